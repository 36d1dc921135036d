//! Makes mutants of valid inputs, seeded: the same number gives the same mutant everywhere.
//!
//! It knows what our encodings look like, but no type: 32-bit little-endian lengths, blocks of 32
//! bytes, words of a grammar. A part of the mutants therefore decodes, and the rest fails deep
//! inside as well as at the first byte.

/// The longest run that is inserted at once, in bytes: beyond most limits of the wire.
const RUN_BYTES_MAX: usize = 64 << 10;
/// The longest piece that an ordinary mutation copies, in bytes.
const PIECE_BYTES_MAX: usize = 80;
/// The most bytes of an input that was not made from a valid one.
const NOISE_BYTES_MAX: usize = 300;

/// Numbers at which arithmetic and limits turn.
const INTERESTING: [u64; 16] = [
    0,
    1,
    2,
    16,
    64,
    256,
    4_095,
    4_097,
    0x7fff,
    0x1_0000,
    0x10_0001,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    i64::MAX as u64,
    u64::MAX,
];

/// A small seeded generator (`SplitMix64`).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Starts at a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }
    /// Returns the next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// Returns a number below a bound, or 0 if the bound is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.number() % bound.max(1) as u64).unwrap_or(0)
    }
    fn byte(&mut self) -> u8 {
        self.number().to_le_bytes()[0]
    }
    fn interesting(&mut self) -> u64 {
        let at = self.below(INTERESTING.len());
        let base = INTERESTING.get(at).copied().unwrap_or_default();
        match self.below(4) {
            0 => base.wrapping_sub(1),
            1 => base.wrapping_add(1),
            _ => base,
        }
    }
}

/// Makes the mutants of one target.
#[derive(Debug)]
pub struct Mutator<'a> {
    name: u64,
    seeds: &'a [Vec<u8>],
    words: &'static [&'static str],
}

impl<'a> Mutator<'a> {
    /// Prepares the mutants of a target with these valid inputs.
    pub fn new(name: &str, seeds: &'a [Vec<u8>], words: &'static [&'static str]) -> Self {
        let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let name = name.bytes().fold(0xcbf2_9ce4_8422_2325, fold);
        Self { name, seeds, words }
    }

    /// Returns the mutant with a number.
    pub fn mutant(&self, number: u64) -> Vec<u8> {
        let mut random = Random::new(self.name ^ number.wrapping_mul(0xd605_1d5a_6f2d_9c3b));
        if random.below(64) == 0 {
            let length = random.below(NOISE_BYTES_MAX);
            return (0..length).map(|_| random.byte()).collect();
        }
        let at = random.below(self.seeds.len());
        let mut bytes = self.seeds.get(at).cloned().unwrap_or_default();
        let times = [1, 1, 1, 2, 2, 3, 4, 6];
        let times = times.get(random.below(times.len())).copied();
        for _ in 0..times.unwrap_or(1) {
            self.mutate(&mut random, &mut bytes);
        }
        bytes
    }

    fn mutate(&self, random: &mut Random, bytes: &mut Vec<u8>) {
        let at = random.below(bytes.len());
        match random.below(20) {
            0..=2 => set(bytes, at, |byte| byte ^ (1 << random.below(8))),
            3 | 4 => set(bytes, at, |_| random.byte()),
            5 => set(bytes, at, |byte| {
                byte.wrapping_add(random.byte() % 7).wrapping_sub(3)
            }),
            6 => {
                let number = random.interesting();
                write(bytes, at, &number.to_le_bytes());
            }
            7 | 8 => {
                let at = length_field(bytes, at).map_or(at, |(at, _)| at);
                let number = random.interesting().to_le_bytes();
                write(bytes, at, number.get(..4).unwrap_or_default());
            }
            9 | 10 => grow_field(random, bytes, at),
            11 => shrink_field(random, bytes, at),
            12 => bytes.truncate(at),
            13 => {
                let more = random.below(PIECE_BYTES_MAX);
                bytes.extend((0..more).map(|_| random.byte()));
            }
            14 => repeat(random, bytes, at),
            15 => {
                let end = (at + 1 + random.below(PIECE_BYTES_MAX)).min(bytes.len());
                if at < end {
                    drop(bytes.drain(at..end));
                }
            }
            16 => self.splice(random, bytes, at),
            17 => swap_blocks(random, bytes),
            _ => self.insert_word(random, bytes, at),
        }
    }

    /// Puts a part of another valid input here.
    fn splice(&self, random: &mut Random, bytes: &mut Vec<u8>, at: usize) {
        let Some(other) = self.seeds.get(random.below(self.seeds.len())) else {
            return;
        };
        let from = random.below(other.len());
        let rest = other.get(from..).unwrap_or_default();
        if random.below(2) == 0 {
            bytes.truncate(at);
            bytes.extend_from_slice(rest);
        } else {
            let length = random.below(PIECE_BYTES_MAX).min(rest.len());
            write(bytes, at, rest.get(..length).unwrap_or_default());
        }
    }

    fn insert_word(&self, random: &mut Random, bytes: &mut Vec<u8>, at: usize) {
        match self.words.get(random.below(self.words.len())) {
            Some(word) => drop(bytes.splice(at..at, word.bytes())),
            None => bytes.insert(at.min(bytes.len()), random.byte()),
        }
    }
}

fn set(bytes: &mut [u8], at: usize, change: impl FnOnce(u8) -> u8) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte = change(*byte);
    }
}

/// Overwrites as much as fits.
fn write(bytes: &mut [u8], at: usize, with: &[u8]) {
    let places = bytes.iter_mut().skip(at);
    places.zip(with).for_each(|(place, byte)| *place = *byte);
}

/// Finds what looks like a length in front of that many bytes, from a place on: its place and value.
fn length_field(bytes: &[u8], from: usize) -> Option<(usize, usize)> {
    let fields = bytes.windows(4).enumerate().skip(from);
    fields
        .filter_map(|(at, field)| Some((at, u32::from_le_bytes(field.try_into().ok()?))))
        .map(|(at, length)| (at, usize::try_from(length).unwrap_or(usize::MAX)))
        .find(|(at, length)| *length < 4_096 && *length <= bytes.len() - at - 4)
}

/// Makes a field longer, or a list by one block, and its length with it.
fn grow_field(random: &mut Random, bytes: &mut Vec<u8>, at: usize) {
    let Some((at, length)) = length_field(bytes, at) else {
        return;
    };
    // A list gets one more item, a copy of what stands there; a field gets some bytes.
    let (count, more) = if random.below(3) == 0 {
        (length + 1, 32)
    } else {
        let more = random.below(20);
        (length + more, more)
    };
    let from = at + 4;
    let copy = bytes.get(from..).unwrap_or_default();
    let copy: Vec<u8> = copy.iter().take(more).copied().collect();
    bytes.splice(from..from, copy);
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    write(bytes, at, &count.to_le_bytes());
}

/// Makes a field shorter, and its length with it.
fn shrink_field(random: &mut Random, bytes: &mut Vec<u8>, at: usize) {
    let Some((at, length)) = length_field(bytes, at).filter(|(_, length)| *length > 0) else {
        return;
    };
    let less = 1 + random.below(length);
    drop(bytes.drain(at + 4..at + 4 + less));
    let left = u32::try_from(length - less).unwrap_or(u32::MAX);
    write(bytes, at, &left.to_le_bytes());
}

/// Repeats what stands here, rarely until it is longer than most limits.
fn repeat(random: &mut Random, bytes: &mut Vec<u8>, at: usize) {
    let end = (at + 1 + random.below(PIECE_BYTES_MAX)).min(bytes.len());
    let piece = bytes.get(at..end).unwrap_or_default().to_vec();
    let times = match random.below(16) {
        0 => RUN_BYTES_MAX / piece.len().max(1),
        1..=3 => 100,
        _ => 1 + random.below(3),
    };
    bytes.splice(at..at, piece.repeat(times));
}

/// Exchanges two blocks of the size of an id.
fn swap_blocks(random: &mut Random, bytes: &mut [u8]) {
    let Some(last) = bytes.len().checked_sub(32) else {
        return;
    };
    let (one, other) = (random.below(last + 1), random.below(last + 1));
    for at in 0..32 {
        bytes.swap(one + at, other + at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_gives_one_mutant_and_another_number_another() {
        let seeds = [b"\x03\0\0\0abc and more".to_vec(), vec![7; 90]];
        let one = Mutator::new("one", &seeds, &["word"]);
        let again: Vec<_> = (0..500).map(|number| one.mutant(number)).collect();
        assert_eq!(
            again,
            (0..500)
                .map(|number| one.mutant(number))
                .collect::<Vec<_>>()
        );
        let different: std::collections::BTreeSet<_> = again.iter().collect();
        assert!(different.len() > 400, "{}", different.len());
        let other = Mutator::new("other", &seeds, &["word"]);
        assert!((0..500).any(|number| other.mutant(number) != one.mutant(number)));
    }

    #[test]
    fn a_field_grows_and_shrinks_with_its_length() {
        let mut random = Random::new(1);
        for _ in 0..100 {
            let mut bytes = b"\x05\0\0\0hello".to_vec();
            shrink_field(&mut random, &mut bytes, 0);
            let length = usize::from(bytes[0]);
            assert_eq!(length + 4, bytes.len());
        }
    }
}
