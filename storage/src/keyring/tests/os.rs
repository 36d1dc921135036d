//! Tests of the key under a wrapping key in the OS keyring, with a keyring in memory that can fail
//! at any moment.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// A keyring that stops working after so many writes.
#[derive(Debug)]
struct Memory {
    items: Mutex<Vec<(ItemName, Vec<u8>)>>,
    writes_left: AtomicUsize,
}

impl Memory {
    fn new() -> Self {
        Self {
            items: Mutex::default(),
            writes_left: AtomicUsize::new(usize::MAX),
        }
    }

    fn stop_after(&self, writes: usize) {
        self.writes_left.store(writes, Ordering::Relaxed);
    }

    fn write_counts(&self) -> Result<(), OsKeyringError> {
        let less = |left: usize| left.checked_sub(1);
        let order = Ordering::Relaxed;
        match self.writes_left.fetch_update(order, order, less) {
            Ok(_) => Ok(()),
            Err(_) => Err(OsKeyringError::Locked),
        }
    }

    fn bytes(&self) -> Vec<Vec<u8>> {
        let items = self.items.lock().unwrap();
        items.iter().map(|(_, bytes)| bytes.clone()).collect()
    }

    fn set(&self, bytes: &[u8]) {
        self.items.lock().unwrap()[0].1 = bytes.to_vec();
    }
}

impl OsKeyring for Memory {
    fn has(&self, item: &ItemName) -> Result<bool, OsKeyringError> {
        Ok(self.read(item)?.is_some())
    }

    fn read(&self, item: &ItemName) -> Result<Option<Zeroizing<Vec<u8>>>, OsKeyringError> {
        let items = self.items.lock().unwrap();
        let found = items.iter().find(|(name, _)| name == item);
        Ok(found.map(|(_, bytes)| Zeroizing::new(bytes.clone())))
    }

    fn write(&self, item: &ItemName, bytes: &[u8]) -> Result<(), OsKeyringError> {
        self.write_counts()?;
        let mut items = self.items.lock().unwrap();
        items.retain(|(name, _)| name != item);
        items.push((*item, bytes.to_vec()));
        Ok(())
    }

    fn remove(&self, item: &ItemName) -> Result<(), OsKeyringError> {
        self.write_counts()?;
        self.items.lock().unwrap().retain(|(name, _)| name != item);
        Ok(())
    }
}

#[test]
fn an_item_opens_and_is_replaced_and_goes_with_its_use() {
    let (outer, folder) = folder();
    let os = Memory::new();
    let here = Unlock::OsKeyring(&os);
    let keyring = Keyring::create(&folder, Unlock::KeyFile).unwrap();
    assert!(
        keyring
            .rewrap(Unlock::KeyFile, here)
            .unwrap()
            .item
            .is_none()
    );
    assert_eq!(Keyring::kept(&folder).unwrap(), Kept::OsKeyring);
    let name = Keyring::item(&folder).unwrap();
    for other in [Unlock::KeyFile, Unlock::passphrase("words")] {
        let opened = Keyring::open(&folder, other);
        assert!(matches!(opened, Err(KeyringError::ItemNeeded)));
    }
    let first = os.bytes();
    keyring.rewrap(here, here).unwrap();
    let opened = Keyring::open(&folder, here).unwrap();
    assert_eq!(opened.master().as_bytes(), keyring.master().as_bytes());
    assert_ne!(os.bytes(), first);
    assert_eq!(
        Keyring::item(&folder).unwrap(),
        name,
        "the item keeps its name"
    );

    // Whatever the key is wrapped under next, the item goes.
    let stick = outer.path().join("stick.key");
    let ways = [
        Unlock::WrappingFile(&stick),
        Unlock::passphrase("words"),
        Unlock::KeyFile,
    ];
    for way in ways {
        assert!(keyring.rewrap(here, way).unwrap().item.is_none());
        assert!(os.bytes().is_empty(), "{way:?}: the item is left");
        Keyring::open(&folder, way).unwrap();
        assert!(matches!(
            Keyring::open(&folder, here),
            Err(KeyringError::ItemUnused
                | KeyringError::PassphraseNeeded
                | KeyringError::WrappingNeeded)
        ));
        keyring.rewrap(way, here).unwrap();
    }
}

#[test]
fn an_item_that_cannot_be_removed_is_named() {
    let (_outer, folder) = folder();
    let os = Memory::new();
    let here = Unlock::OsKeyring(&os);
    let keyring = Keyring::create(&folder, here).unwrap();
    let name = Keyring::item(&folder).unwrap().unwrap();
    os.stop_after(0);
    let (left, why) = keyring.rewrap(here, Unlock::KeyFile).unwrap().item.unwrap();
    assert_eq!(left, name);
    assert!(why.is_away());
    Keyring::open(&folder, Unlock::KeyFile).unwrap();
}

/// The order is: both keys into the item, the file, the new key alone into the item.
#[test]
fn a_change_can_stop_at_every_write() {
    let (_outer, folder) = folder();
    let os = Memory::new();
    let here = Unlock::OsKeyring(&os);
    let keyring = Keyring::create(&folder, Unlock::KeyFile).unwrap();
    os.stop_after(0);
    assert!(keyring.rewrap(Unlock::KeyFile, here).is_err());
    Keyring::open(&folder, Unlock::KeyFile).unwrap();
    os.stop_after(1);
    keyring.rewrap(Unlock::KeyFile, here).unwrap();
    let mut before = Vec::new();
    for writes in 0..2 {
        before = fs::read(folder.join(MASTER_FILE)).unwrap();
        os.stop_after(writes);
        assert!(keyring.rewrap(here, here).is_err(), "{writes}");
        let opened = Keyring::open(&folder, here).unwrap();
        assert_eq!(opened.master().as_bytes(), keyring.master().as_bytes());
    }
    // Cut short after the file: both keys are there, and the file of before opens as well.
    let both = os.bytes().remove(0);
    fs::write(folder.join(MASTER_FILE), &before).unwrap();
    Keyring::open(&folder, here).unwrap();
    os.stop_after(usize::MAX);
    keyring.rewrap(here, here).unwrap();
    assert!(os.bytes()[0].len() < both.len(), "the old key is left");
}

#[test]
fn another_item_or_none_opens_nothing_and_changes_nothing() {
    let (outer, folder) = folder();
    let os = Memory::new();
    let here = Unlock::OsKeyring(&os);
    let keyring = Keyring::create(&folder, here).unwrap();
    let file = fs::read(folder.join(MASTER_FILE)).unwrap();
    let good = os.bytes().remove(0);

    // The whole item of another folder in its place.
    let other = Memory::new();
    Keyring::create(&outer.path().join("other"), Unlock::OsKeyring(&other)).unwrap();
    os.set(&other.bytes()[0]);
    let opened = Keyring::open(&folder, here);
    assert!(matches!(opened, Err(KeyringError::WrongItem { .. })));
    let changed = keyring.rewrap(here, Unlock::KeyFile);
    assert!(matches!(changed, Err(KeyringError::WrongItem { .. })));
    for bad in [&good[..good.len() - 1], b""] {
        os.set(bad);
        let opened = Keyring::open(&folder, here);
        assert!(matches!(opened, Err(KeyringError::ItemDamaged { .. })));
    }
    os.items.lock().unwrap().clear();
    let opened = Keyring::open(&folder, here);
    assert!(matches!(opened, Err(KeyringError::ItemMissing { .. })));
    assert_eq!(fs::read(folder.join(MASTER_FILE)).unwrap(), file);

    // The name is bound to the key: a file that names another item does not open with it.
    let mut renamed = file;
    renamed[10] ^= 1;
    fs::write(folder.join(MASTER_FILE), &renamed).unwrap();
    let name = Keyring::item(&folder).unwrap().unwrap();
    os.write(&name, &good).unwrap();
    let opened = Keyring::open(&folder, here);
    assert!(matches!(opened, Err(KeyringError::WrongItem { .. })));
}

/// A keyring that takes what it is given and keeps nothing.
#[derive(Debug)]
struct Sieve;

impl OsKeyring for Sieve {
    fn has(&self, _item: &ItemName) -> Result<bool, OsKeyringError> {
        Ok(false)
    }

    fn read(&self, _item: &ItemName) -> Result<Option<Zeroizing<Vec<u8>>>, OsKeyringError> {
        Ok(None)
    }

    fn write(&self, _item: &ItemName, _bytes: &[u8]) -> Result<(), OsKeyringError> {
        Ok(())
    }

    fn remove(&self, _item: &ItemName) -> Result<(), OsKeyringError> {
        Ok(())
    }
}

#[test]
fn what_the_keyring_did_not_keep_wraps_nothing() {
    let (_outer, folder) = folder();
    let keyring = Keyring::create(&folder, Unlock::KeyFile).unwrap();
    let changed = keyring.rewrap(Unlock::KeyFile, Unlock::OsKeyring(&Sieve));
    assert!(matches!(changed, Err(KeyringError::ItemDamaged { .. })));
    Keyring::open(&folder, Unlock::KeyFile).unwrap();
}
