//! The login keychain of a Mac. It is compiled, and not tried by us yet.

use super::{ANSWER_MAX, APPLICATION, SystemKeyring};
use security_framework::base::Error;
use security_framework::passwords::{
    PasswordOptions, delete_generic_password_options, generic_password,
    set_generic_password_options,
};
use std::sync::mpsc;
use std::thread;
use storage::keyring::{ItemName, OsKeyringError};
use zeroize::Zeroizing;

/// `errSecItemNotFound`: the keychain is there and has no such item.
const NOT_FOUND: i32 = -25_300;
/// `errSecInteractionNotAllowed`: it would have to ask somebody, and nobody can be asked.
const LOCKED: i32 = -25_308;
/// `errSecNotAvailable` and `errSecNoSuchKeychain`.
const NONE: [i32; 2] = [-25_291, -25_294];

pub(super) fn has(keyring: &SystemKeyring, item: &ItemName) -> Result<bool, OsKeyringError> {
    Ok(read(keyring, item)?.is_some())
}

pub(super) fn read(
    _keyring: &SystemKeyring,
    item: &ItemName,
) -> Result<Option<Zeroizing<Vec<u8>>>, OsKeyringError> {
    let options = options(item);
    found(within(move || {
        generic_password(options()).map(Zeroizing::new)
    })?)
}

pub(super) fn write(
    keyring: &SystemKeyring,
    item: &ItemName,
    bytes: &[u8],
) -> Result<(), OsKeyringError> {
    let (options, label) = (options(item), keyring.label.clone());
    let bytes = Zeroizing::new(bytes.to_vec());
    within(move || {
        let mut options = options();
        options.set_label(&label);
        set_generic_password_options(&bytes, options)
    })?
    .map_err(refused)
}

pub(super) fn remove(_keyring: &SystemKeyring, item: &ItemName) -> Result<(), OsKeyringError> {
    let options = options(item);
    found(within(move || delete_generic_password_options(options()))?).map(|_| ())
}

/// Says which item is meant; the options themselves do not go from thread to thread.
fn options(item: &ItemName) -> impl FnOnce() -> PasswordOptions + Send + 'static {
    let name = item.to_string();
    move || PasswordOptions::new_generic_password(APPLICATION, &name)
}

/// Asks within the time. The system may show a dialog that nobody answers: the thread that waits
/// for it is left behind then, and holds nothing but the question.
fn within<T: Send + 'static>(
    ask: impl FnOnce() -> T + Send + 'static,
) -> Result<T, OsKeyringError> {
    let (tell, answer) = mpsc::sync_channel(1);
    thread::spawn(move || tell.send(ask()).ok());
    answer
        .recv_timeout(ANSWER_MAX)
        .map_err(|late| OsKeyringError::Unreachable {
            reason: late.to_string(),
        })
}

fn found<T>(answer: Result<T, Error>) -> Result<Option<T>, OsKeyringError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.code() == NOT_FOUND => Ok(None),
        Err(error) => Err(refused(error)),
    }
}

fn refused(error: Error) -> OsKeyringError {
    let reason = error.to_string();
    match error.code() {
        LOCKED => OsKeyringError::Locked,
        code if NONE.contains(&code) => OsKeyringError::Unreachable { reason },
        _ => OsKeyringError::Refused { reason },
    }
}
