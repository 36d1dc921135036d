//! The body of an approval: what a person says about memories that wait for their word.

use crate::codec::{Canonical, DecodeError, Reader, Writer};
use crate::hash::Hash;
use crate::id::{GrantId, MemoryId};

/// The longest name of a rule, in bytes.
pub const RULE_BYTES_MAX: usize = 64;
/// The most memories in one approval.
pub const APPROVED_MAX: usize = 4_096;

/// What memories wait for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// To enter the view of a grant whose selector infers.
    Addition {
        /// The grant.
        grant: GrantId,
    },
    /// To leave although a rule of the egress guard holds them.
    Hold {
        /// The name of the rule.
        rule: String,
        /// The digest of what the rule found, so that a release does not cover what is added
        /// to the memory later.
        found: Hash,
    },
}

/// Says yes or no for memories. The latest word about a subject and a memory counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// What they wait for.
    pub subject: Subject,
    /// The memories, ascending.
    pub memories: Vec<MemoryId>,
    /// Yes or no.
    pub approved: bool,
}

impl Canonical for Subject {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Addition { grant } => {
                out.u8(1);
                grant.encode(out);
            }
            Self::Hold { rule, found } => {
                out.u8(2);
                out.text(rule);
                found.encode(out);
            }
        }
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match input.u8("subject")? {
            1 => Ok(Self::Addition {
                grant: GrantId::decode(input)?,
            }),
            2 => Ok(Self::Hold {
                rule: input.text(RULE_BYTES_MAX, "rule")?,
                found: Hash::decode(input)?,
            }),
            found => Err(DecodeError::Unknown {
                what: "subject",
                found,
            }),
        }
    }
}

impl Canonical for Approval {
    fn encode(&self, out: &mut Writer) {
        self.subject.encode(out);
        out.list(&self.memories);
        out.bool(self.approved);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let subject = Subject::decode(input)?;
        let memories: Vec<MemoryId> = input.list(APPROVED_MAX, "approved memories")?;
        crate::codec::ascending(&memories, "approved memories")?;
        Ok(Self {
            subject,
            memories,
            approved: input.bool("approved")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(subject: Subject) -> Approval {
        Approval {
            subject,
            memories: vec![MemoryId([1; 32]), MemoryId([2; 32])],
            approved: true,
        }
    }

    #[test]
    fn an_approval_reads_as_it_was_written() {
        let hold = Subject::Hold {
            rule: "payment-card".to_owned(),
            found: Hash([9; 32]),
        };
        let addition = Subject::Addition {
            grant: GrantId([7; 32]),
        };
        for approval in [of(hold), of(addition)] {
            assert_eq!(Approval::from_bytes(&approval.to_bytes()), Ok(approval));
        }
    }

    #[test]
    fn unordered_memories_and_unknown_subjects_are_refused() {
        let mut approval = of(Subject::Addition {
            grant: GrantId([7; 32]),
        });
        let mut bytes = approval.to_bytes();
        if let Some(subject) = bytes.first_mut() {
            *subject = 3;
        }
        assert!(Approval::from_bytes(&bytes).is_err());
        approval.memories.reverse();
        assert!(Approval::from_bytes(&approval.to_bytes()).is_err());
    }
}
