//! Changes of a circle: my private name for a set of persons, and what they are all given.
//!
//! These events lie in the author's own feed and go to their own devices only: nobody learns
//! that they are in a circle, or who else is.

use crate::codec::{Canonical, DecodeError, Reader, Writer};
use crate::event::body::SELECTOR_BYTES_MAX;
use crate::grant::Terms;
use crate::id::{GrantId, PersonId};

/// The longest name of a circle, in bytes.
pub const CIRCLE_BYTES_MAX: usize = 128;

/// Changes one thing about a circle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CircleChange {
    /// The circle.
    pub name: String,
    /// What changes.
    pub what: CirclePart,
}

/// What changes about a circle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CirclePart {
    /// Whether there is such a circle.
    Exists(bool),
    /// Whether a person is in it.
    Member(PersonId, bool),
    /// What its members are given, and on which terms; none takes it back.
    Share(String, Option<Terms>),
    /// A grant that was made for a member because of a share.
    Gave(PersonId, String, GrantId),
    /// A grant that was made for a member ended, and does not count any more.
    Took(GrantId),
}

impl Canonical for CircleChange {
    fn encode(&self, out: &mut Writer) {
        out.text(&self.name);
        match &self.what {
            CirclePart::Exists(exists) => {
                out.u8(1);
                out.bool(*exists);
            }
            CirclePart::Member(person, is_in) => {
                out.u8(2);
                person.encode(out);
                out.bool(*is_in);
            }
            CirclePart::Share(selector, terms) => {
                out.u8(3);
                out.text(selector);
                out.option(terms.as_ref(), |out, terms| terms.encode(out));
            }
            CirclePart::Gave(person, selector, grant) => {
                out.u8(4);
                person.encode(out);
                out.text(selector);
                grant.encode(out);
            }
            CirclePart::Took(grant) => {
                out.u8(5);
                grant.encode(out);
            }
        }
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let name = input.text(CIRCLE_BYTES_MAX, "circle")?;
        let what = match input.u8("change of a circle")? {
            1 => CirclePart::Exists(input.bool("exists")?),
            2 => CirclePart::Member(PersonId::decode(input)?, input.bool("member")?),
            3 => {
                let selector = input.text(SELECTOR_BYTES_MAX, "selector")?;
                CirclePart::Share(selector, input.option("terms", Terms::decode)?)
            }
            4 => {
                let person = PersonId::decode(input)?;
                let selector = input.text(SELECTOR_BYTES_MAX, "selector")?;
                CirclePart::Gave(person, selector, GrantId::decode(input)?)
            }
            5 => CirclePart::Took(GrantId::decode(input)?),
            found => {
                return Err(DecodeError::Unknown {
                    what: "change of a circle",
                    found,
                });
            }
        };
        Ok(Self { name, what })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::Access;

    #[test]
    fn every_change_reads_as_it_was_written() {
        let person = PersonId([1; 32]);
        let parts = [
            CirclePart::Exists(true),
            CirclePart::Member(person, false),
            CirclePart::Share("tag:t".into(), Some(Terms::of(Access::Read))),
            CirclePart::Share("tag:t".into(), None),
            CirclePart::Gave(person, "tag:t".into(), GrantId([2; 32])),
            CirclePart::Took(GrantId([2; 32])),
        ];
        for what in parts {
            let name = "family".to_owned();
            let change = CircleChange { name, what };
            assert_eq!(CircleChange::from_bytes(&change.to_bytes()), Ok(change));
        }
    }
}
