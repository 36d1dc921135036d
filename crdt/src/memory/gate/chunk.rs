//! Stage 0 of the gate: a change chunk is walked by our own code before Automerge sees a byte.
//!
//! It reads the header, the list of columns and the run lengths of the action column. It does not
//! decode operations.
//!
//! Source: the Automerge binary format (magic, checksum, type, length; then dependencies, actor,
//! sequence, first counter, time, message, other actors, columns).
//!
//! Invariant: walking costs time and memory in proportion to the bytes, whatever they claim.

use super::super::document::{ActorId, ChangeHash};
use super::super::limits::{
    CHANGE_ACTORS_MAX, CHANGE_BYTES_MAX, COLUMNS_MAX, DELETES_MAX, DEPENDENCIES_MAX, INSERTS_MAX,
};
use super::Refusal;
use sha2::{Digest as _, Sha256};

const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
const DOCUMENT: u8 = 0;
const CHANGE: u8 = 1;
const COMPRESSED: u8 = 2;
/// The column of actions: id 4, type 2 (run-length encoded unsigned integers).
const ACTION_COLUMN: u64 = 0x42;
/// The bit of a column's specification that says "deflated".
const DEFLATED: u64 = 0x08;
/// The action that deletes.
const DELETE: u64 = 3;

/// What the header of a change claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) hash: ChangeHash,
    pub(super) deps: Vec<ChangeHash>,
    pub(super) actor: ActorId,
    pub(super) seq: u64,
    pub(super) start_op: u64,
    pub(super) others: Vec<ActorId>,
    pub(super) operations: u64,
}

/// Reads the envelope of a chunk: its hash, and the data inside.
pub(super) fn open(bytes: &[u8]) -> Result<(ChangeHash, &[u8]), Refusal> {
    let found = bytes.len();
    if found > CHANGE_BYTES_MAX {
        return Err(Refusal::TooManyBytes { found });
    }
    let mut walk = Walk(bytes);
    if walk.array()? != MAGIC {
        return Err(Refusal::NotAChunk);
    }
    let checksum: [u8; 4] = walk.array()?;
    let hashed = walk.0;
    match walk.array()? {
        [CHANGE] => {}
        [DOCUMENT] => return Err(Refusal::DocumentChunk),
        [COMPRESSED] => return Err(Refusal::CompressedChunk),
        [other] => return Err(Refusal::UnknownChunk(other)),
    }
    let length = walk.unsigned()?;
    let present = walk.0.len() as u64;
    if present > length {
        return Err(Refusal::TrailingBytes(present - length));
    }
    if present < length {
        return Err(Refusal::Truncated);
    }
    let hash: [u8; 32] = Sha256::digest(hashed).into();
    if !hash.starts_with(&checksum) {
        return Err(Refusal::WrongChecksum);
    }
    Ok((ChangeHash(hash), walk.0))
}

/// Reads the header inside a chunk, and counts its operations.
pub(super) fn header(hash: ChangeHash, data: &[u8]) -> Result<Header, Refusal> {
    let mut walk = Walk(data);
    let deps = walk.dependencies()?;
    let actor = walk.actor()?;
    let seq = walk.unsigned()?;
    let start_op = walk.unsigned()?;
    let (time, message) = (walk.signed()?, walk.unsigned()?);
    if time != 0 || message != 0 {
        return Err(Refusal::Metadata);
    }
    let others = walk.others()?;
    let operations = walk.columns(data.len())?;
    Ok(Header {
        hash,
        deps,
        actor,
        seq,
        start_op,
        others,
        operations,
    })
}

/// The bytes that are still to be walked.
struct Walk<'a>(&'a [u8]);

impl<'a> Walk<'a> {
    fn take(&mut self, length: u64) -> Result<&'a [u8], Refusal> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let (head, rest) = self.0.split_at_checked(length).ok_or(Refusal::Truncated)?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Refusal> {
        let (head, rest) = self.0.split_first_chunk().ok_or(Refusal::Truncated)?;
        self.0 = rest;
        Ok(*head)
    }

    /// Takes a LEB128 number of at most 64 bits; `bits` is how many it filled.
    fn leb(&mut self) -> Result<(u64, u32, u8), Refusal> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            let part = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit (or for the copies of a sign).
            if shift == 63 && !matches!(byte, 0 | 1 | 0x7f) {
                return Err(Refusal::Malformed("number"));
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Ok((value, shift + 7, byte));
            }
        }
        Err(Refusal::Malformed("number"))
    }

    fn unsigned(&mut self) -> Result<u64, Refusal> {
        match self.leb()? {
            (_, 70, last) if last > 1 => Err(Refusal::Malformed("number")),
            // A last byte of nothing makes the same number longer.
            (_, 8.., 0) => Err(Refusal::Malformed("number")),
            (value, _, _) => Ok(value),
        }
    }

    fn signed(&mut self) -> Result<i64, Refusal> {
        let (value, bits, last) = self.leb()?;
        let negative = last & 0x40 != 0;
        let sign = u64::MAX.checked_shl(bits).filter(|_| negative);
        Ok((value | sign.unwrap_or(0)).cast_signed())
    }

    fn dependencies(&mut self) -> Result<Vec<ChangeHash>, Refusal> {
        let found = self.unsigned()?;
        if found > DEPENDENCIES_MAX as u64 {
            return Err(Refusal::TooManyDependencies { found });
        }
        let deps = (0..found)
            .map(|_| self.array().map(ChangeHash))
            .collect::<Result<Vec<_>, _>>()?;
        if deps.is_empty() {
            return Err(Refusal::NoDependencies);
        }
        if !deps.is_sorted_by(|a, b| a < b) {
            return Err(Refusal::UnsortedDependencies);
        }
        Ok(deps)
    }

    fn actor(&mut self) -> Result<ActorId, Refusal> {
        let found = self.unsigned()?;
        if found != 16 {
            return Err(Refusal::ActorLength { found });
        }
        self.array()
    }

    fn others(&mut self) -> Result<Vec<ActorId>, Refusal> {
        let found = self.unsigned()?;
        if found > CHANGE_ACTORS_MAX as u64 {
            return Err(Refusal::TooManyActors);
        }
        let others = (0..found)
            .map(|_| self.actor())
            .collect::<Result<Vec<_>, _>>()?;
        if !others.is_sorted_by(|a, b| a < b) {
            return Err(Refusal::Malformed("list of actors"));
        }
        Ok(others)
    }

    /// Walks the columns to the end and returns the number of operations.
    fn columns(&mut self, bytes: usize) -> Result<u64, Refusal> {
        let found = self.unsigned()?;
        if found > COLUMNS_MAX as u64 {
            return Err(Refusal::Malformed("number of columns"));
        }
        let columns = (0..found)
            .map(|_| Ok((self.unsigned()?, self.unsigned()?)))
            .collect::<Result<Vec<_>, Refusal>>()?;
        if columns.iter().any(|(column, _)| column & DEFLATED != 0) {
            return Err(Refusal::DeflatedColumn);
        }
        if !columns.is_sorted_by(|a, b| a.0 < b.0) {
            return Err(Refusal::Malformed("order of columns"));
        }
        let mut operations = 0;
        for (column, length) in columns {
            let data = self.take(length)?;
            if column == ACTION_COLUMN {
                operations = count(data, bytes as u64)?;
            }
        }
        if !self.0.is_empty() {
            return Err(Refusal::ExtraBytes(self.0.len()));
        }
        if operations == 0 {
            return Err(Refusal::NoOperations);
        }
        Ok(operations)
    }
}

/// Counts the operations of an action column without expanding its runs.
fn count(column: &[u8], bytes: u64) -> Result<u64, Refusal> {
    let (mut inserts, mut deletes) = (0u64, 0u64);
    let mut walk = Walk(column);
    while !walk.0.is_empty() {
        let run = walk.signed()?;
        // A run is one action many times; a negative one is that many actions written out.
        let (actions, times) = match run {
            1.. => (1, run.unsigned_abs()),
            0 => return Err(Refusal::Malformed("action column")),
            _ => (run.unsigned_abs(), 1),
        };
        for _ in 0..actions {
            match walk.unsigned()? {
                DELETE => deletes = deletes.saturating_add(times),
                _ => inserts = inserts.saturating_add(times),
            }
        }
    }
    if inserts > INSERTS_MAX || deletes > DELETES_MAX {
        let found = inserts.saturating_add(deletes);
        return Err(Refusal::TooManyOperations { found });
    }
    // Whatever is added carries a byte at least: a key, a character.
    if inserts > bytes {
        return Err(Refusal::OperationsExceedBytes { found: inserts });
    }
    Ok(inserts + deletes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(column: &[u8], bytes: u64, expect: &Result<u64, Refusal>) {
        assert_eq!(&count(column, bytes), expect);
    }

    #[test]
    fn runs_are_counted_and_not_expanded() {
        check(&[0x02, 1], 100, &Ok(2));
        check(&[0x7d, 1, 3, 1], 100, &Ok(3));
        check(&[0x02, 1, 0xc8, 0x01, 3], 100, &Ok(202));
        // 1,000,001 insertions in a few bytes, and the most that a number can say.
        let bomb = [0xc1, 0x84, 0x3d, 1];
        check(
            &bomb,
            120,
            &Err(Refusal::TooManyOperations { found: 1_000_001 }),
        );
        let most = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 1];
        let found = i64::MAX.unsigned_abs();
        check(&most, 120, &Err(Refusal::TooManyOperations { found }));
        check(
            &[0xc8, 0x01, 1],
            120,
            &Err(Refusal::OperationsExceedBytes { found: 200 }),
        );
        check(&[0, 5], 100, &Err(Refusal::Malformed("action column")));
        // Two written-out actions are promised, one is there.
        check(&[0x7e, 1], 100, &Err(Refusal::Truncated));
    }

    #[test]
    fn numbers_end_within_64_bits() {
        let eleven = [0x80; 11];
        assert_eq!(Walk(&eleven).unsigned(), Err(Refusal::Malformed("number")));
        let max = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
        assert_eq!(Walk(&max).unsigned(), Ok(u64::MAX));
        assert_eq!(
            Walk(&[0x81, 0]).unsigned(),
            Err(Refusal::Malformed("number"))
        );
        assert_eq!(Walk(&[0x7f]).signed(), Ok(-1));
        assert_eq!(Walk(&[0x80, 0x7f]).signed(), Ok(-128));
    }
}
