//! Every bound of the peer protocol, named, with its unit and its reason.

/// The largest frame, in bytes: one content frame with a few large events.
pub const FRAME_BYTES_MAX: usize = 1 << 20;
/// The most events in one content frame; the window counts frames.
pub const FRAME_EVENTS_MAX: usize = 256;
/// How many bytes of events a sender puts into one frame before it starts the next.
pub const FRAME_BYTES_TARGET: usize = 256 << 10;
/// The most content frames that wait for an answer: what a slow peer can make us hold.
pub const WINDOW_FRAMES: usize = 4;
/// The most items asked for in one message.
pub const WANT_MAX: usize = 4_096;
/// The largest reconciliation message, in bytes: a five-byte query must not draw megabytes.
pub const RECONCILE_BYTES_MAX: usize = 64 << 10;
/// The most reconciliation messages of one run; a million differences need fewer.
pub const RECONCILE_ROUNDS_MAX: u32 = 512;
/// The most consent events in one message.
pub const CONSENT_EVENTS_MAX: usize = 64;
/// The most feeds in one frontier: devices times incarnations of two persons; between the devices
/// of one person, those with every peer. 88 bytes each fit into a frame.
pub const FRONTIER_FEEDS_MAX: usize = 8_192;
/// The longest name a node gives itself, in bytes.
pub const ALIAS_BYTES_MAX: usize = 128;
/// The most addresses a node tells of itself.
pub const ADDRESSES_MAX: usize = 16;
/// The longest address, in bytes.
pub const ADDRESS_BYTES_MAX: usize = 256;
/// How long a peer may take to greet, in milliseconds.
pub const GREETING_MS: u64 = 5_000;
/// How long until an unequal proof is tried again, in milliseconds.
pub const RETRY_MS: u64 = 15_000;
/// How long a peer that is waited for may say nothing, in milliseconds: a store that is slow takes
/// seconds, and a session that never ends keeps the next from beginning.
pub const STALLED_MS: u64 = 120_000;
/// The most reconciliations in a row that bring nothing before the session waits.
pub const FRUITLESS_RUNS_MAX: u32 = 2;
/// How long a checkpoint of a line that has not grown is not shown again, in milliseconds: it also
/// carries how the whole ledger stood, which should not be much older than this.
pub const CHECKPOINT_FRESH_MS: u64 = 3_600_000;
/// The most chunks of a blob in one entry of the ledger (4 MiB): what an entry can say too much if
/// the connection breaks.
pub const BLOB_PART_CHUNKS: u32 = 16;
/// The most content keys of a memory that a receiver of a blob names, the newest ones.
pub const BLOB_KEYS_MAX: usize = 64;
/// How long a receiver of a blob may take to say what it wants, in milliseconds.
pub const BLOB_REQUEST_MS: u64 = 15_000;
/// How long a sender of a blob may take for the next answer, in milliseconds.
pub const BLOB_ANSWER_MS: u64 = 30_000;
/// The most blobs that are sent at once.
pub const BLOB_STREAMS_MAX: usize = 16;
/// The most blobs that are sent at once to one device.
pub const BLOB_STREAMS_PER_DEVICE_MAX: usize = 4;
/// The most blobs that are fetched at once.
pub const BLOB_FETCHES_MAX: usize = 2;
