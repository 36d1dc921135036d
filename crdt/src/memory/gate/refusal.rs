//! The reasons why a change from outside is not let in, one name each.

use super::super::document::ChangeHash;
use super::super::limits;
use thiserror::Error;

macro_rules! refusals {
    ($($(#[$meta:meta])* $code:literal => $name:ident $(($($tuple:ty),+))? $({ $($(#[$field_meta:meta])* $field:ident: $ty:ty),+ })?,)+) => {
        /// The reason why a change was refused.
        #[derive(Debug, Clone, PartialEq, Eq, Error)]
        pub enum Refusal {
            $($(#[$meta])* $name $(($($tuple),+))? $({ $($(#[$field_meta])* $field: $ty),+ })?,)+
        }
        impl Refusal {
            /// Returns the stable name of the reason.
            pub fn code(&self) -> &'static str {
                match self {
                    $(Self::$name { .. } => $code,)+
                }
            }
        }
    };
}

refusals! {
    /// The chunk is too large.
    #[error("{found} bytes are more than {}", limits::CHANGE_BYTES_MAX)]
    "too_many_bytes" => TooManyBytes {
        /// The size of the chunk.
        found: usize
    },
    /// The bytes do not start as a chunk.
    #[error("the bytes are no chunk")]
    "not_a_chunk" => NotAChunk,
    /// A whole document, which would be loaded without a check.
    #[error("a document chunk is not a change")]
    "document_chunk" => DocumentChunk,
    /// A compressed chunk, whose size is not known before it is inflated.
    #[error("a compressed chunk is not taken")]
    "compressed_chunk" => CompressedChunk,
    /// A chunk of another type.
    #[error("{0} is no known type of chunk")]
    "unknown_chunk" => UnknownChunk(u8),
    /// The bytes end too early.
    #[error("the chunk ends too early")]
    "truncated" => Truncated,
    /// Bytes follow the chunk.
    #[error("{0} bytes follow the chunk")]
    "trailing_bytes" => TrailingBytes(u64),
    /// Bytes follow the columns inside the chunk.
    #[error("{0} bytes follow the columns")]
    "extra_bytes" => ExtraBytes(usize),
    /// The checksum is wrong.
    #[error("the checksum is wrong")]
    "wrong_checksum" => WrongChecksum,
    /// A part of the header is not well formed.
    #[error("the {0} is malformed")]
    "malformed" => Malformed(&'static str),
    /// The change is already part of the document.
    #[error("the change is known")]
    "duplicate" => Duplicate,
    /// The change builds on nothing; all changes descend from the root.
    #[error("the change builds on nothing")]
    "no_dependencies" => NoDependencies,
    /// The change names too many parents.
    #[error("{found} dependencies are more than {}", limits::DEPENDENCIES_MAX)]
    "too_many_dependencies" => TooManyDependencies {
        /// The number that was claimed.
        found: u64
    },
    /// The parents are not strictly ascending.
    #[error("the dependencies are not in order")]
    "unsorted_dependencies" => UnsortedDependencies,
    /// A parent is not part of the document.
    #[error("the dependency {0:?} is not known")]
    "unknown_dependency" => UnknownDependency(ChangeHash),
    /// An actor does not have 16 bytes.
    #[error("an actor has {found} bytes, not 16")]
    "actor_length" => ActorLength {
        /// The length that was claimed.
        found: u64
    },
    /// The actor is not the one of the device that signed.
    #[error("the actor is not the one of the device")]
    "wrong_actor" => WrongActor,
    /// An operation refers to a writer that the document does not know.
    #[error("an actor that is referred to is not known")]
    "unknown_actor" => UnknownActor,
    /// The document would have too many writers.
    #[error("there are more than {} writers", limits::ACTORS_MAX)]
    "too_many_actors" => TooManyActors,
    /// The number belongs to another change of the same writer.
    #[error("number {seq} of this writer is another change")]
    "equivocation" => Equivocation {
        /// The number.
        seq: u64
    },
    /// Changes of this writer are missing in between.
    #[error("number {found} does not follow {last}")]
    "sequence_gap" => SequenceGap {
        /// The number of the writer's newest known change.
        last: u64,
        /// The number of this one.
        found: u64
    },
    /// The change does not build on the writer's own change before it.
    #[error("the change does not build on the writer's last one")]
    "broken_chain" => BrokenChain,
    /// The counter does not follow from the parents.
    #[error("operations start at {found}, not at {expected}")]
    "wrong_start_op" => WrongStartOp {
        /// One above the greatest counter of the parents.
        expected: u64,
        /// The counter that was claimed.
        found: u64
    },
    /// The counter is near its end.
    #[error("the operation counter passes {}", limits::COUNTER_MAX)]
    "counter_too_large" => CounterTooLarge,
    /// A time or a message, which honest writers leave out.
    #[error("the change carries a time or a message")]
    "metadata" => Metadata,
    /// A column is compressed.
    #[error("a column is compressed")]
    "deflated_column" => DeflatedColumn,
    /// The change does nothing.
    #[error("the change has no operations")]
    "no_operations" => NoOperations,
    /// The change has too many operations.
    #[error("{found} operations are too many")]
    "too_many_operations" => TooManyOperations {
        /// The number of operations.
        found: u64
    },
    /// More is added than the bytes can hold: a run-length bomb.
    #[error("{found} operations do not fit into the bytes")]
    "operations_exceed_bytes" => OperationsExceedBytes {
        /// The number of operations that add something.
        found: u64
    },
    /// Automerge does not read the change.
    #[error("automerge does not read the change: {0}")]
    "unreadable" => Unreadable(String),
    /// Automerge counts other operations than we did.
    #[error("the columns disagree about the number of operations")]
    "operation_count" => OperationCount,
    /// The change has another, canonical encoding.
    #[error("the encoding is not canonical")]
    "not_canonical" => NotCanonical,
    /// An object inside an object.
    #[error("an object is nested")]
    "too_deep" => TooDeep,
    /// A key is empty or too long.
    #[error("a key has {found} bytes")]
    "key_length" => KeyLength {
        /// The length of the key.
        found: usize
    },
    /// A value is too long.
    #[error("a value has {found} bytes")]
    "value_too_long" => ValueTooLong {
        /// The length of the value.
        found: usize
    },
    /// An operation that memories do not use.
    #[error("a {0} is not part of a memory")]
    "unsupported_operation" => UnsupportedOperation(&'static str),
    /// The batch is too large; smaller ones may pass.
    #[error("the batch is too large")]
    "batch_too_large" => BatchTooLarge,
    /// The trial failed; the document is as it was.
    #[error("the trial failed: {0}")]
    "trial_failed" => TrialFailed(String),
    /// Automerge panicked over the change; the document is as it was.
    #[error("automerge panicked over the change")]
    "panicked" => Panicked,
}
