//! What a grantee says after a revocation, or gives back by themselves.
//!
//! Both are claims of the grantee about their own copies. Nothing here proves what became of a
//! copy; what is shown to the owner says "they say".

use crate::codec::{Canonical, DecodeError, Reader, Writer, ascending};
use crate::id::{GrantId, MemoryId};

/// The most memories in one return event.
pub const RETURN_MAX: usize = 4_096;

/// What a node says that it did when it was asked to purge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It purged its copies.
    Complied = 1,
    /// It keeps them.
    Refused = 2,
    /// It asks its person first.
    Waiting = 3,
}

impl Outcome {
    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complied => "complied",
            Self::Refused => "refused",
            Self::Waiting => "waiting",
        }
    }
}

/// Answers a revocation that asks for a purge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The grant.
    pub grant: GrantId,
    /// What was done.
    pub outcome: Outcome,
    /// How many memories it is about: those that were held under this grant only.
    pub memories: u32,
    /// How many of them had been passed on to others before.
    pub passed_on: u32,
}

/// Gives memories back: the grantee keeps no copy and wants none under this grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Return {
    /// The grant.
    pub grant: GrantId,
    /// The memories, ascending; all of the grant if absent.
    pub memories: Option<Vec<MemoryId>>,
}

impl Canonical for Receipt {
    fn encode(&self, out: &mut Writer) {
        self.grant.encode(out);
        out.u8(self.outcome as u8);
        out.u32(self.memories);
        out.u32(self.passed_on);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            grant: GrantId::decode(input)?,
            outcome: match input.u8("outcome")? {
                1 => Outcome::Complied,
                2 => Outcome::Refused,
                3 => Outcome::Waiting,
                found => {
                    return Err(DecodeError::Unknown {
                        what: "outcome",
                        found,
                    });
                }
            },
            memories: input.u32("memories")?,
            passed_on: input.u32("passed on")?,
        })
    }
}

impl Canonical for Return {
    fn encode(&self, out: &mut Writer) {
        self.grant.encode(out);
        out.option(self.memories.as_ref(), |out, memories| out.list(memories));
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let grant = GrantId::decode(input)?;
        let memories = input.option("memories", |input| input.list(RETURN_MAX, "memories"))?;
        if let Some(memories) = &memories {
            ascending(memories, "memories")?;
        }
        Ok(Self { grant, memories })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn receipts_and_returns_read_as_they_were_written() {
        let grant = GrantId([7; 32]);
        for outcome in [Outcome::Complied, Outcome::Refused, Outcome::Waiting] {
            let receipt = Receipt {
                grant,
                outcome,
                memories: 3,
                passed_on: 1,
            };
            assert_eq!(Receipt::from_bytes(&receipt.to_bytes()), Ok(receipt));
        }
        let some = vec![MemoryId([1; 32]), MemoryId([2; 32])];
        for memories in [None, Some(Vec::new()), Some(some.clone())] {
            let given = Return { grant, memories };
            assert_eq!(Return::from_bytes(&given.to_bytes()), Ok(given));
        }
        let reversed = Return {
            grant,
            memories: Some(some.into_iter().rev().collect()),
        };
        assert!(Return::from_bytes(&reversed.to_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn whatever_decodes_is_canonical(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            if let Ok(receipt) = Receipt::from_bytes(&bytes) {
                prop_assert_eq!(receipt.to_bytes(), bytes.clone());
            }
            if let Ok(given) = Return::from_bytes(&bytes) {
                prop_assert_eq!(given.to_bytes(), bytes);
            }
        }
    }
}
