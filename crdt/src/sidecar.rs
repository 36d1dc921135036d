//! The sidecar: the holder's own labels on a memory, which never leave their devices.
//!
//! Fields are last-writer-wins in hybrid logical time, ties broken by event id, so every own
//! device ends with the same labels in any order of arrival.

use crate::codec::{Canonical, DecodeError, Reader, Writer};
use crate::id::EventId;
use crate::time::Hybrid;
use std::collections::BTreeMap;

/// The longest name of a space, in bytes.
pub const SPACE_BYTES_MAX: usize = 128;
/// The space of memories that were put in none.
pub const DEFAULT_SPACE: &str = "default";
const TAG_BYTES_MAX: usize = 128;
const TAGS_MAX: usize = 256;
const PATCH_VERSION: u8 = 1;

/// How careful to be with a memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Sensitivity {
    /// Nothing special.
    #[default]
    Normal = 0,
    /// The egress guard holds it back from everyone. Does not hide it from this person's agents.
    Secret = 1,
}

impl Sensitivity {
    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Secret => "secret",
        }
    }
    /// Reads the word for it.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Normal, Self::Secret]
            .into_iter()
            .find(|level| level.as_str() == text)
    }
}

/// A change of private labels: the body of a sidecar event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SidecarPatch {
    /// Moves the memory to a space.
    pub space: Option<String>,
    /// Sets how careful to be.
    pub sensitivity: Option<Sensitivity>,
    /// Hides a memory that someone else owns, or shows it again.
    pub hidden: Option<bool>,
    /// Sets (true) or takes away (false) private tags.
    pub tags: BTreeMap<String, bool>,
}

/// The private labels of a memory as they stand. Most memories have none, which takes one word.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sidecar(Option<Box<Labels>>);

/// Labels; those of a sidecar are never all absent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Labels {
    space: Option<(Stamp, String)>,
    sensitivity: Option<(Stamp, Sensitivity)>,
    hidden: Option<(Stamp, bool)>,
    tags: BTreeMap<String, (Stamp, bool)>,
}

/// Orders writes of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Stamp(Hybrid, EventId);

impl Sidecar {
    /// Applies a patch that was written at `time` by `event`.
    pub fn apply(&mut self, time: Hybrid, event: EventId, patch: &SidecarPatch) {
        if *patch == SidecarPatch::default() {
            return;
        }
        let stamp = Stamp(time, event);
        let labels = self.0.get_or_insert_default();
        put(&mut labels.space, stamp, patch.space.clone());
        put(&mut labels.sensitivity, stamp, patch.sensitivity);
        put(&mut labels.hidden, stamp, patch.hidden);
        for (tag, set) in &patch.tags {
            let entry = labels.tags.entry(tag.clone()).or_insert((stamp, *set));
            if entry.0 < stamp {
                *entry = (stamp, *set);
            }
        }
    }
    /// Returns the space.
    pub fn space(&self) -> &str {
        let space = self.0.as_ref().and_then(|labels| labels.space.as_ref());
        space.map_or(DEFAULT_SPACE, |(_, space)| space)
    }
    /// Returns how careful to be.
    pub fn sensitivity(&self) -> Sensitivity {
        let sensitivity = self.0.as_ref().and_then(|labels| labels.sensitivity);
        sensitivity.map_or(Sensitivity::Normal, |(_, level)| level)
    }
    /// Tells whether the holder hid it.
    pub fn is_hidden(&self) -> bool {
        let hidden = self.0.as_ref().and_then(|labels| labels.hidden);
        hidden.is_some_and(|(_, hidden)| hidden)
    }
    /// Returns the private tags.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        let tags = self.0.iter().flat_map(|labels| &labels.tags);
        tags.filter(|(_, (_, set))| *set)
            .map(|(tag, _)| tag.as_str())
    }
}

fn put<T>(field: &mut Option<(Stamp, T)>, stamp: Stamp, value: Option<T>) {
    let Some(value) = value else { return };
    if field.as_ref().is_none_or(|(last, _)| *last < stamp) {
        *field = Some((stamp, value));
    }
}

impl Canonical for Stamp {
    fn encode(&self, out: &mut Writer) {
        self.0.encode(out);
        self.1.encode(out);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(Hybrid::decode(input)?, EventId::decode(input)?))
    }
}

impl Canonical for Sensitivity {
    fn encode(&self, out: &mut Writer) {
        out.u8(*self as u8);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match input.u8("sensitivity")? {
            0 => Ok(Self::Normal),
            1 => Ok(Self::Secret),
            found => Err(DecodeError::Unknown {
                what: "sensitivity",
                found,
            }),
        }
    }
}

fn read_tags<T>(
    input: &mut Reader<'_>,
    read: impl Fn(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<BTreeMap<String, T>, DecodeError> {
    let mut tags = BTreeMap::new();
    for _ in 0..input.length(TAGS_MAX, "private tags")? {
        let tag = input.text(TAG_BYTES_MAX, "private tag")?;
        if tags.last_key_value().is_some_and(|(last, _)| *last >= tag) {
            return Err(DecodeError::NotCanonical("private tags"));
        }
        tags.insert(tag, read(input)?);
    }
    Ok(tags)
}

impl Canonical for SidecarPatch {
    fn encode(&self, out: &mut Writer) {
        out.u8(PATCH_VERSION);
        out.option(self.space.as_ref(), |out, space| out.text(space));
        out.option(self.sensitivity.as_ref(), |out, level| level.encode(out));
        out.option(self.hidden.as_ref(), |out, hidden| out.bool(*hidden));
        out.length(self.tags.len());
        for (tag, set) in &self.tags {
            out.text(tag);
            out.bool(*set);
        }
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match input.u8("sidecar version")? {
            PATCH_VERSION => {}
            found => {
                return Err(DecodeError::Unknown {
                    what: "sidecar version",
                    found,
                });
            }
        }
        Ok(Self {
            space: input.option("space", |input| input.text(SPACE_BYTES_MAX, "space"))?,
            sensitivity: input.option("sensitivity", Sensitivity::decode)?,
            hidden: input.option("hidden", |input| input.bool("hidden"))?,
            tags: read_tags(input, |input| input.bool("private tag"))?,
        })
    }
}

impl Canonical for Sidecar {
    fn encode(&self, out: &mut Writer) {
        match &self.0 {
            Some(labels) => labels.encode(out),
            None => Labels::default().encode(out),
        }
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let labels = Labels::decode(input)?;
        let is_any = labels != Labels::default();
        Ok(Self(is_any.then(|| Box::new(labels))))
    }
}

impl Canonical for Labels {
    fn encode(&self, out: &mut Writer) {
        out.option(self.space.as_ref(), |out, (stamp, space)| {
            stamp.encode(out);
            out.text(space);
        });
        out.option(self.sensitivity.as_ref(), |out, (stamp, level)| {
            stamp.encode(out);
            level.encode(out);
        });
        out.option(self.hidden.as_ref(), |out, (stamp, hidden)| {
            stamp.encode(out);
            out.bool(*hidden);
        });
        out.length(self.tags.len());
        for (tag, (stamp, set)) in &self.tags {
            out.text(tag);
            stamp.encode(out);
            out.bool(*set);
        }
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            space: input.option("space", |input| {
                Ok((Stamp::decode(input)?, input.text(SPACE_BYTES_MAX, "space")?))
            })?,
            sensitivity: input.option("sensitivity", |input| {
                Ok((Stamp::decode(input)?, Sensitivity::decode(input)?))
            })?,
            hidden: input.option("hidden", |input| {
                Ok((Stamp::decode(input)?, input.bool("hidden")?))
            })?,
            tags: read_tags(input, |input| {
                Ok((Stamp::decode(input)?, input.bool("private tag")?))
            })?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_writer_wins_in_any_order() {
        let to = |space: &str| SidecarPatch {
            space: Some(space.into()),
            ..Default::default()
        };
        let writes = [(3, to("c")), (1, to("a")), (2, to("b"))];
        let mut forward = Sidecar::default();
        let mut backward = Sidecar::default();
        for (time, patch) in &writes {
            forward.apply(Hybrid(*time), EventId([1; 32]), patch);
        }
        for (time, patch) in writes.iter().rev() {
            backward.apply(Hybrid(*time), EventId([1; 32]), patch);
        }
        assert_eq!(forward.space(), "c");
        assert_eq!(forward, backward);
        assert_eq!(Sidecar::from_bytes(&forward.to_bytes()), Ok(forward));
    }

    #[test]
    fn no_labels_are_equal_however_they_came() {
        let mut sidecar = Sidecar::default();
        sidecar.apply(Hybrid(1), EventId([1; 32]), &SidecarPatch::default());
        assert_eq!(sidecar, Sidecar::default());
        assert_eq!(Sidecar::from_bytes(&sidecar.to_bytes()), Ok(sidecar));
    }
}
