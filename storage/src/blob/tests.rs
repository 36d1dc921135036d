//! Blobs on a real folder: kept whole, sealed, checked, resumed, swept.

use super::file::{HEAD_BYTES, SLOT_BYTES};
use super::*;
use crdt::blob::{CHUNK_BYTES, outline_of};
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use tempfile::TempDir;
use zeroize::Zeroizing;

struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder }
    }
    fn open(&self) -> Arc<Blobs> {
        let master = MasterKey::from_bytes(Zeroizing::new([7; 32]));
        Blobs::open(&self.folder.path().join("blobs"), &master).unwrap()
    }
    fn files(&self) -> Vec<PathBuf> {
        let all = fs::read_dir(self.folder.path().join("blobs")).unwrap();
        let mut all: Vec<PathBuf> = all.map(|item| item.unwrap().path()).collect();
        all.sort();
        all
    }
}

/// Bytes that a scan can find and that repeat nowhere within a chunk.
fn bytes(count: usize) -> Vec<u8> {
    let mut data = Vec::with_capacity(count + 64);
    for number in 0_u64.. {
        if data.len() >= count {
            break;
        }
        data.extend(format!("canary {number} ").as_bytes());
    }
    data.truncate(count);
    data
}

fn keep(blobs: &Arc<Blobs>, data: &[u8]) -> Kept {
    let mut upload = blobs.upload(u64::MAX).unwrap();
    // In pieces that meet no border of a chunk.
    for piece in data.chunks(70_001) {
        upload.write(piece).unwrap();
    }
    upload.finish().unwrap()
}

fn read_all(blobs: &Arc<Blobs>, blob: Hash) -> Vec<u8> {
    let reader = blobs.read(blob).unwrap().expect("it is here");
    let chunks = 0..reader.outline().chunks();
    chunks
        .flat_map(|index| reader.chunk(index).unwrap())
        .collect()
}

fn scan(place: &Place, needle: &[u8]) -> bool {
    place.files().iter().any(|file| {
        let bytes = fs::read(file).unwrap();
        bytes.windows(needle.len()).any(|window| window == needle)
    })
}

#[test]
fn what_was_kept_is_read_after_a_restart_and_lies_there_sealed() {
    let place = Place::new();
    for size in [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 77] {
        let data = bytes(size);
        let kept = keep(&place.open(), &data);
        assert_eq!(kept.hash.0, *blake3::hash(&data).as_bytes());
        assert_eq!(kept.bytes, size as u64);
        let blobs = place.open();
        assert!(blobs.holds(kept.hash), "{size}");
        assert_eq!(read_all(&blobs, kept.hash), data, "{size}");
        let name = place.files();
        let hash = kept.hash.to_string();
        assert!(
            name.iter()
                .all(|file| !file.to_string_lossy().contains(&hash))
        );
    }
    assert!(!scan(&place, b"canary"), "plain text at rest");
    assert_eq!(place.files().len(), 5);
    keep(&place.open(), &bytes(1));
    assert_eq!(place.files().len(), 5, "equal bytes are kept once");
}

#[test]
fn every_altered_byte_is_named_as_damage() {
    let place = Place::new();
    let blobs = place.open();
    let kept = keep(&blobs, &bytes(2 * CHUNK_BYTES + 10));
    let [path] = place.files().try_into().unwrap();
    let whole = fs::read(&path).unwrap();
    let flip = |at: usize| {
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(&[whole[at] ^ 1], at as u64).unwrap();
        let found = blobs.read(kept.hash).and_then(|reader| {
            let reader = reader.expect("it is here");
            (0..reader.outline().chunks()).try_for_each(|index| reader.chunk(index).map(drop))
        });
        file.write_all_at(&[whole[at]], at as u64).unwrap();
        match found {
            Err(BlobError::Damaged { chunk, .. }) => chunk,
            other => panic!("byte {at}: {other:?}"),
        }
    };
    let slot = usize::try_from(SLOT_BYTES).unwrap();
    let head = usize::try_from(HEAD_BYTES).unwrap();
    assert_eq!(flip(0), None, "the version");
    assert_eq!(flip(5), Some(0), "the id, to which every chunk is bound");
    assert_eq!(flip(head), Some(0));
    assert_eq!(flip(head + slot + 100), Some(1));
    assert_eq!(flip(whole.len() - 1), None, "the length of the outline");
    assert_eq!(flip(whole.len() - 20), None, "the outline");
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(whole.len() as u64 - 1).unwrap();
    assert!(
        matches!(blobs.read(kept.hash), Err(BlobError::Damaged { .. })),
        "truncated"
    );
    // The same bytes once more mend it.
    keep(&blobs, &bytes(2 * CHUNK_BYTES + 10));
    assert_eq!(read_all(&blobs, kept.hash), bytes(2 * CHUNK_BYTES + 10));
}

#[test]
fn chunks_of_one_file_do_not_pass_for_those_of_another() {
    let place = Place::new();
    let blobs = place.open();
    let mut other = bytes(2 * CHUNK_BYTES);
    let one = keep(&blobs, &other);
    let first = place.files();
    other[5] ^= 1;
    keep(&blobs, &other);
    let second: Vec<PathBuf> = place
        .files()
        .into_iter()
        .filter(|f| !first.contains(f))
        .collect();
    fs::copy(&second[0], &first[0]).unwrap();
    let read = blobs.read(one.hash);
    assert!(matches!(read, Err(BlobError::Damaged { chunk: None, .. })));
}

#[test]
fn chunks_of_one_file_do_not_change_places() {
    let place = Place::new();
    let blobs = place.open();
    let kept = keep(&blobs, &bytes(3 * CHUNK_BYTES));
    let [path] = place.files().try_into().unwrap();
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    let slot = usize::try_from(SLOT_BYTES).unwrap();
    let [mut first, mut second] = [vec![0; slot], vec![0; slot]];
    file.read_exact_at(&mut first, HEAD_BYTES).unwrap();
    file.read_exact_at(&mut second, HEAD_BYTES + SLOT_BYTES)
        .unwrap();
    file.write_all_at(&second, HEAD_BYTES).unwrap();
    file.write_all_at(&first, HEAD_BYTES + SLOT_BYTES).unwrap();
    let reader = blobs.read(kept.hash).unwrap().expect("it is here");
    for index in [0, 1] {
        let read = reader.chunk(index);
        assert!(matches!(read, Err(BlobError::Damaged { chunk, .. }) if chunk == Some(index)));
    }
    assert!(reader.chunk(2).is_ok());
}

#[test]
fn an_upload_over_the_limit_or_cut_off_leaves_nothing() {
    let place = Place::new();
    let blobs = place.open();
    let mut upload = blobs.upload(10).unwrap();
    assert!(matches!(
        upload.write(&[0; 11]),
        Err(BlobError::TooLarge { limit: 10 })
    ));
    drop(upload);
    assert_eq!(place.files().len(), 0);
    // What a crash leaves in the middle of an upload goes at the next start.
    let mut upload = blobs.upload(u64::MAX).unwrap();
    upload.write(&bytes(CHUNK_BYTES)).unwrap();
    let [path] = place.files().try_into().unwrap();
    let left = format!("{}.new", "ab".repeat(16));
    fs::copy(&path, path.with_file_name(left)).unwrap();
    drop(upload);
    assert_eq!(place.files().len(), 1);
    place.open();
    assert_eq!(place.files().len(), 0);
}

#[test]
fn a_fetch_goes_on_after_a_restart_and_takes_only_what_fits() {
    let place = Place::new();
    let data = bytes(4 * CHUNK_BYTES + 5);
    let (outline, hash) = (outline_of(&data), outline_of(&data).root());
    let pieces: Vec<&[u8]> = data.chunks(CHUNK_BYTES).collect();
    let blobs = place.open();
    let mut fetch = blobs.fetch(hash, outline.clone()).unwrap();
    assert!(matches!(
        blobs.fetch(hash, outline.clone()),
        Err(BlobError::Fetching(_))
    ));
    fetch.put(0, pieces[0]).unwrap();
    let mut bent = pieces[1].to_vec();
    bent[7] ^= 1;
    for (index, wrong) in [
        (1, bent.as_slice()),
        (1, pieces[2]),
        (2, pieces[2]),
        (1, &pieces[1][1..]),
    ] {
        let error = fetch.put(index, wrong).unwrap_err();
        assert!(
            matches!(error, BlobError::WrongChunk { chunk: 1, .. }),
            "{error}"
        );
    }
    fetch.put(1, pieces[1]).unwrap();
    assert!(fetch.finish().is_err(), "it is not whole");
    assert!(matches!(
        blobs.fetch(hash, outline_of(b"other")),
        Err(BlobError::WrongOutline(_))
    ));
    // A torn write at the end, as a power cut leaves it.
    let [path] = place.files().try_into().unwrap();
    let length = fs::metadata(&path).unwrap().len();
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(length + SLOT_BYTES).unwrap();
    let blobs = place.open();
    assert_eq!(
        blobs.presence(hash),
        Presence::Chunks(3),
        "as the length tells"
    );
    let mut fetch = blobs.fetch(hash, outline).unwrap();
    assert_eq!(fetch.next(), Some(2), "two chunks are real");
    assert_eq!(blobs.presence(hash), Presence::Chunks(2));
    for index in 2..5 {
        fetch.put(index, pieces[index as usize]).unwrap();
    }
    let _pin = fetch.finish().unwrap();
    assert!(blobs.holds(hash));
    assert_eq!(read_all(&place.open(), hash), data);
    assert!(!scan(&place, b"canary"));
}

#[test]
fn a_crash_between_the_last_chunk_and_the_rename_costs_one_chunk() {
    let place = Place::new();
    let data = bytes(2 * CHUNK_BYTES + 5);
    let kept = keep(&place.open(), &data);
    let [path] = place.files().try_into().unwrap();
    fs::rename(&path, path.with_extension("part")).unwrap();
    let blobs = place.open();
    assert!(!blobs.holds(kept.hash));
    let fetch = blobs.fetch(kept.hash, outline_of(&data)).unwrap();
    assert_eq!(fetch.next(), Some(2));
}

#[test]
fn a_sweep_removes_what_nothing_refers_to_and_nobody_pins() {
    let place = Place::new();
    let blobs = place.open();
    let [kept, pinned, loose] = [1, 2, 3].map(|size| keep(&blobs, &bytes(size)));
    let (kept_hash, pinned_hash, loose_hash) = (kept.hash, pinned.hash, loose.hash);
    drop((kept, loose));
    let part = bytes(2 * CHUNK_BYTES);
    let mut fetch = blobs
        .fetch(outline_of(&part).root(), outline_of(&part))
        .unwrap();
    fetch.put(0, &part[..CHUNK_BYTES]).unwrap();
    drop(fetch);
    let wanted = || BTreeSet::from([kept_hash]);
    assert_eq!(
        blobs.sweep(wanted).unwrap(),
        2,
        "the loose one, and the part"
    );
    assert!(blobs.holds(kept_hash) && blobs.holds(pinned_hash) && !blobs.holds(loose_hash));
    assert_eq!(
        blobs.presence(outline_of(&part).root()),
        Presence::Chunks(0)
    );
    // Whoever keeps the same bytes while a sweep is at work does not lose them.
    drop(pinned);
    let swept = blobs.sweep(|| {
        drop(keep(&blobs, &bytes(2)));
        BTreeSet::from([kept_hash])
    });
    assert_eq!((swept.unwrap(), blobs.holds(pinned_hash)), (0, true));
    assert_eq!(blobs.sweep(wanted).unwrap(), 1);
    assert_eq!(place.files().len(), 1);
}
