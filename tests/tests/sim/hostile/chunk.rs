//! An Automerge change chunk, taken apart and put together again with whatever it should claim.
//!
//! Written after the format, apart from the gate's own reader: checksum and lengths are made right
//! again, so that what is refused is the claim and not the wrapping.

use sha2::{Digest as _, Sha256};

/// The column of actions: id 4, run-length encoded.
const ACTION_COLUMN: u64 = 0x42;

/// What a change chunk says.
#[derive(Debug, Clone)]
pub(super) struct Chunk {
    pub(super) deps: Vec<[u8; 32]>,
    pub(super) actor: Vec<u8>,
    pub(super) seq: u64,
    pub(super) start_op: u64,
    others: Vec<Vec<u8>>,
    pub(super) columns: Vec<(u64, Vec<u8>)>,
}

struct Walk<'a>(&'a [u8]);

impl<'a> Walk<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (head, rest) = self.0.split_at(count);
        self.0 = rest;
        head
    }
    fn number(&mut self) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = self.take(1)[0];
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                return value;
            }
        }
    }
    fn length(&mut self) -> usize {
        usize::try_from(self.number()).expect("lengths of honest chunks")
    }
    fn counted(&mut self) -> Vec<u8> {
        let length = self.length();
        self.take(length).to_vec()
    }
}

pub(super) fn number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).expect("seven bits") | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).expect("seven bits"));
}

impl Chunk {
    /// Reads an honest chunk.
    pub(super) fn read(bytes: &[u8]) -> Self {
        let mut walk = Walk(&bytes[9..]);
        walk.number();
        let count = walk.length();
        let deps = (0..count)
            .map(|_| walk.take(32).try_into().expect("32 bytes"))
            .collect();
        let actor = walk.counted();
        let (seq, start_op) = (walk.number(), walk.number());
        assert_eq!(
            walk.take(2),
            [0, 0],
            "honest writers leave no time and no message"
        );
        let count = walk.length();
        let others = (0..count).map(|_| walk.counted()).collect();
        let count = walk.length();
        let lengths: Vec<(u64, usize)> =
            (0..count).map(|_| (walk.number(), walk.length())).collect();
        let columns = lengths
            .into_iter()
            .map(|(column, length)| (column, walk.take(length).to_vec()))
            .collect();
        Self {
            deps,
            actor,
            seq,
            start_op,
            others,
            columns,
        }
    }

    fn data(&self) -> Vec<u8> {
        let mut out = Vec::new();
        number(&mut out, self.deps.len() as u64);
        self.deps.iter().for_each(|dep| out.extend(dep));
        number(&mut out, self.actor.len() as u64);
        out.extend(&self.actor);
        number(&mut out, self.seq);
        number(&mut out, self.start_op);
        out.extend([0, 0]);
        number(&mut out, self.others.len() as u64);
        for other in &self.others {
            number(&mut out, other.len() as u64);
            out.extend(other);
        }
        number(&mut out, self.columns.len() as u64);
        for (column, data) in &self.columns {
            number(&mut out, *column);
            number(&mut out, data.len() as u64);
        }
        self.columns.iter().for_each(|(_, data)| out.extend(data));
        out
    }

    /// Returns the bytes as a chunk of a kind: 0 a document, 1 a change, 2 a compressed change.
    pub(super) fn wrapped(&self, kind: u8) -> Vec<u8> {
        wrap(kind, &self.data())
    }
    pub(super) fn write(&self) -> Vec<u8> {
        self.wrapped(1)
    }

    /// Returns the column of actions.
    pub(super) fn actions(&mut self) -> &mut Vec<u8> {
        let found = self.columns.iter_mut();
        let mut found = found.filter(|(column, _)| *column == ACTION_COLUMN);
        &mut found.next().expect("every change acts").1
    }
}

/// Packs the data of a chunk with a right length and checksum.
pub(super) fn wrap(kind: u8, data: &[u8]) -> Vec<u8> {
    let mut hashed = vec![kind];
    number(&mut hashed, data.len() as u64);
    hashed.extend_from_slice(data);
    let mut bytes = vec![0x85, 0x6f, 0x4a, 0x83];
    bytes.extend_from_slice(&Sha256::digest(&hashed)[..4]);
    bytes.extend(hashed);
    bytes
}
