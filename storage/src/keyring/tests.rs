//! Tests of the keyring: files, modes, passphrases.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

mod os;

fn folder() -> (tempfile::TempDir, PathBuf) {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("keys");
    (outer, folder)
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_key_file_opens_with_the_same_key_and_is_private() {
    let (_outer, folder) = folder();
    let created = Keyring::create(&folder, Unlock::KeyFile).unwrap();
    let opened = Keyring::open(&folder, Unlock::KeyFile).unwrap();
    assert_eq!(created.master().as_bytes(), opened.master().as_bytes());
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&folder.join(MASTER_FILE)), 0o600);
    assert_eq!(Keyring::kept(&folder).unwrap(), Kept::Plain);
}

#[test]
fn a_master_key_is_never_overwritten() {
    let (_outer, folder) = folder();
    Keyring::create(&folder, Unlock::KeyFile).unwrap();
    let again = Keyring::create(&folder, Unlock::KeyFile);
    assert!(matches!(again, Err(KeyringError::Exists { .. })));
}

#[test]
fn what_others_can_read_is_refused() {
    let (_outer, folder) = folder();
    let missing = Keyring::open(&folder, Unlock::KeyFile);
    assert!(matches!(missing, Err(KeyringError::Missing { .. })));
    Keyring::create(&folder, Unlock::KeyFile).unwrap();
    let file = folder.join(MASTER_FILE);
    for mode in [0o640, 0o604, 0o660] {
        chmod(&file, mode);
        let error = Keyring::open(&folder, Unlock::KeyFile).unwrap_err();
        assert!(matches!(error, KeyringError::Exposed { .. }), "{mode:o}");
        assert!(
            error.to_string().contains(&format!("mode {mode:o}")),
            "{error}"
        );
    }
    chmod(&file, 0o600);
    chmod(&folder, 0o755);
    let error = Keyring::open(&folder, Unlock::KeyFile).unwrap_err();
    assert!(matches!(error, KeyringError::Exposed { .. }));
}

#[test]
fn a_damaged_key_file_is_not_another_key() {
    let (_outer, folder) = folder();
    Keyring::create(&folder, Unlock::KeyFile).unwrap();
    let file = folder.join(MASTER_FILE);
    let good = fs::read(&file).unwrap();
    for byte in 0..good.len() {
        let mut bad = good.clone();
        bad[byte] ^= 1;
        fs::write(&file, &bad).unwrap();
        assert!(
            Keyring::open(&folder, Unlock::KeyFile).is_err(),
            "byte {byte}"
        );
        fs::write(&file, &good[..byte]).unwrap();
        assert!(
            Keyring::open(&folder, Unlock::KeyFile).is_err(),
            "cut to {byte}"
        );
    }
}

#[test]
fn a_passphrase_opens_and_changes_while_the_key_stays() {
    let (_outer, folder) = folder();
    let created = Keyring::create(&folder, Unlock::passphrase("correct horse")).unwrap();
    let raw = fs::read(folder.join(MASTER_FILE)).unwrap();
    assert!(
        !raw.windows(32)
            .any(|window| window == created.master().as_bytes())
    );
    assert_eq!(Keyring::kept(&folder).unwrap(), Kept::Passphrase);

    let wrong = Keyring::open(&folder, Unlock::passphrase("battery staple")).unwrap_err();
    assert_eq!(wrong.to_string(), "wrong passphrase");
    let none = Keyring::open(&folder, Unlock::KeyFile).unwrap_err();
    assert!(matches!(none, KeyringError::PassphraseNeeded));

    let opened = Keyring::open(&folder, Unlock::passphrase("correct horse")).unwrap();
    let refused = opened.rewrap(
        Unlock::passphrase("battery staple"),
        Unlock::passphrase("new words"),
    );
    assert!(matches!(refused, Err(KeyringError::WrongPassphrase)));
    Keyring::open(&folder, Unlock::passphrase("correct horse")).unwrap();
    opened
        .rewrap(
            Unlock::passphrase("correct horse"),
            Unlock::passphrase("new words"),
        )
        .unwrap();
    assert!(Keyring::open(&folder, Unlock::passphrase("correct horse")).is_err());
    let changed = Keyring::open(&folder, Unlock::passphrase("new words")).unwrap();
    assert_eq!(changed.master().as_bytes(), created.master().as_bytes());

    changed
        .rewrap(Unlock::passphrase("new words"), Unlock::KeyFile)
        .unwrap();
    let unused = Keyring::open(&folder, Unlock::passphrase("new words"));
    assert!(matches!(unused, Err(KeyringError::PassphraseUnused)));
    Keyring::open(&folder, Unlock::KeyFile).unwrap();
}

#[test]
fn a_cost_below_the_floor_is_refused_both_ways() {
    let (_outer, folder) = folder();
    let cheap = Unlock::Passphrase {
        words: "words",
        cost: KdfCost {
            memory_kib: MEMORY_KIB_FLOOR - 1,
            ..KdfCost::FLOOR
        },
    };
    let created = Keyring::create(&folder, cheap);
    assert!(matches!(created, Err(KeyringError::Cost { .. })));
    assert!(!folder.join(MASTER_FILE).exists());

    Keyring::create(&folder, Unlock::passphrase("words")).unwrap();
    let file = folder.join(MASTER_FILE);
    let good = fs::read(&file).unwrap();
    // Memory and passes stand behind magic, version and kind; both below and far beyond.
    for (at, number) in [(10, 8_u32), (14, 1), (10, u32::MAX), (18, 0)] {
        let mut bad = good.clone();
        bad[at..at + 4].copy_from_slice(&number.to_le_bytes());
        fs::write(&file, &bad).unwrap();
        let opened = Keyring::open(&folder, Unlock::passphrase("words"));
        assert!(
            matches!(opened, Err(KeyringError::Cost { .. })),
            "{at} {number}"
        );
    }
}

#[test]
fn an_empty_passphrase_is_refused() {
    let (_outer, folder) = folder();
    let created = Keyring::create(&folder, Unlock::passphrase(""));
    assert!(matches!(created, Err(KeyringError::PassphraseEmpty)));
}

#[test]
fn sealed_files_open_under_their_name_only() {
    let (_outer, folder) = folder();
    let keyring = Keyring::create(&folder, Unlock::KeyFile).unwrap();
    let identity = folder.join("identity.key");
    // Left behind by a power cut in an earlier attempt.
    fs::write(folder.join("identity.key.new"), b"half").unwrap();
    keyring.write_sealed(&identity, b"first").unwrap();
    keyring.write_sealed(&identity, b"secret").unwrap();
    assert_eq!(
        keyring.read_sealed(&identity).unwrap().as_slice(),
        b"secret"
    );
    assert!(!folder.join("identity.key.new").exists());

    let other = folder.join("other.key");
    fs::rename(&identity, &other).unwrap();
    let moved = keyring.read_sealed(&other);
    assert!(matches!(moved, Err(KeyringError::Damaged { .. })));
}

#[test]
fn an_attempt_that_was_cut_short_leaves_no_key_behind() {
    let (_outer, folder) = folder();
    let keyring = Keyring::create(&folder, Unlock::passphrase("words")).unwrap();
    let beside = folder.join("master.key.new");
    // As if taking the passphrase away had been cut short between writing and renaming.
    fs::write(&beside, header::plain(keyring.master())).unwrap();
    Keyring::open(&folder, Unlock::passphrase("words")).unwrap();
    assert!(!beside.exists(), "the key lies beside its own lock");
}

#[test]
fn a_wrapping_key_elsewhere_opens_and_is_replaced_while_the_key_stays() {
    let (outer, folder) = folder();
    let stick = outer.path().join("stick.key");
    let here = Unlock::WrappingFile(&stick);
    let created = Keyring::create(&folder, here).unwrap();
    assert_eq!(Keyring::kept(&folder).unwrap(), Kept::Elsewhere);
    let master = folder.join(MASTER_FILE);
    let (first_master, first_stick) = (fs::read(&master).unwrap(), fs::read(&stick).unwrap());
    for other in [Unlock::KeyFile, Unlock::passphrase("words")] {
        let opened = Keyring::open(&folder, other);
        assert!(matches!(opened, Err(KeyringError::WrappingNeeded)));
    }
    created.rewrap(here, here).unwrap();
    let opened = Keyring::open(&folder, here).unwrap();
    assert_eq!(opened.master().as_bytes(), created.master().as_bytes());
    assert_ne!(fs::read(&master).unwrap(), first_master);

    // The old key opens nothing that is new; with the old file it opens, as the header says.
    let second_stick = fs::read(&stick).unwrap();
    fs::write(&stick, &first_stick).unwrap();
    let old = Keyring::open(&folder, here);
    assert!(matches!(old, Err(KeyringError::WrongWrapping { .. })));
    fs::write(&master, &first_master).unwrap();
    Keyring::open(&folder, here).unwrap();
    fs::write(&stick, &second_stick).unwrap();
    assert!(Keyring::open(&folder, here).is_err());
}

#[test]
fn a_replacement_of_the_wrapping_key_can_stop_anywhere() {
    let (outer, folder) = folder();
    let stick = outer.path().join("stick.key");
    let here = Unlock::WrappingFile(&stick);
    let keyring = Keyring::create(&folder, here).unwrap();
    let master = folder.join(MASTER_FILE);
    let old_master = fs::read(&master).unwrap();
    let old = Place::File(&stick).read().unwrap().remove(0);
    keyring.rewrap(here, here).unwrap();
    let new_master = fs::read(&master).unwrap();
    let new = Place::File(&stick).read().unwrap().remove(0);
    // After the first step both keys are there; the second step exchanges the master key's file.
    Place::File(&stick).write(&[&new, &old]).unwrap();
    for file in [&old_master, &new_master] {
        fs::write(&master, file).unwrap();
        let opened = Keyring::open(&folder, here).unwrap();
        assert_eq!(opened.master().as_bytes(), keyring.master().as_bytes());
    }
    // A replacement after one that was cut short keeps the key that opens.
    fs::write(&master, &old_master).unwrap();
    keyring.rewrap(here, here).unwrap();
    Keyring::open(&folder, here).unwrap();
    assert_eq!(Place::File(&stick).read().unwrap().len(), 1);
}

#[test]
fn a_wrapping_file_overwrites_nothing_and_lies_elsewhere() {
    let (outer, folder) = folder();
    let stick = outer.path().join("stick.key");
    let keyring = Keyring::create(&folder, Unlock::KeyFile).unwrap();
    let inside = folder.join("stick.key");
    let refused = keyring.rewrap(Unlock::KeyFile, Unlock::WrappingFile(&inside));
    assert!(matches!(refused, Err(KeyringError::Inside { .. })));
    fs::write(&stick, b"letters").unwrap();
    let refused = keyring.rewrap(Unlock::KeyFile, Unlock::WrappingFile(&stick));
    assert!(matches!(refused, Err(KeyringError::Exists { .. })));
    assert_eq!(fs::read(&stick).unwrap(), b"letters");
    Keyring::open(&folder, Unlock::KeyFile).unwrap();

    fs::remove_file(&stick).unwrap();
    let here = Unlock::WrappingFile(&stick);
    keyring.rewrap(Unlock::KeyFile, here).unwrap();
    let good = fs::read(&stick).unwrap();
    for byte in 0..good.len() {
        let mut bad = good.clone();
        bad[byte] ^= 1;
        fs::write(&stick, &bad).unwrap();
        assert!(Keyring::open(&folder, here).is_err(), "byte {byte}");
        fs::write(&stick, &good[..byte]).unwrap();
        assert!(Keyring::open(&folder, here).is_err(), "cut to {byte}");
    }
}

/// What the version before wrapping keys wrote opens for ever.
#[test]
fn key_files_of_version_1_open() {
    let (_outer, folder) = folder();
    Keyring::create(&folder, Unlock::KeyFile).unwrap();
    let fixtures: [(&[u8], Unlock<'_>); 2] = [
        (include_bytes!("fixtures/plain.v1"), Unlock::KeyFile),
        (
            include_bytes!("fixtures/passphrase.v1"),
            Unlock::passphrase("correct horse"),
        ),
    ];
    for (bytes, unlock) in fixtures {
        fs::write(folder.join(MASTER_FILE), bytes).unwrap();
        let opened = Keyring::open(&folder, unlock).unwrap();
        assert_eq!(opened.master().as_bytes(), &[42; 32]);
    }
}
