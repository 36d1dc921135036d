//! The Secret Service of a Linux session (GNOME Keyring, `KWallet` and others) over D-Bus.
//!
//! Secrets pass over the bus encrypted, under a key that both ends agree on for the session.
//! Nobody is asked to unlock anything: a locked keyring is said to be locked.

use super::{ANSWER_MAX, APPLICATION, SystemKeyring};
use secret_service::{EncryptionType, Error, Item, SecretService};
use std::collections::HashMap;
use storage::keyring::{ItemName, OsKeyringError};
use zbus::connection::Builder;
use zeroize::Zeroizing;

/// The error of the Secret Service for what is locked.
const IS_LOCKED: &str = "org.freedesktop.Secret.Error.IsLocked";

pub(super) fn has(keyring: &SystemKeyring, item: &ItemName) -> Result<bool, OsKeyringError> {
    within(keyring, async |service| {
        Ok(find(service, item).await?.is_some())
    })
}

pub(super) fn read(
    keyring: &SystemKeyring,
    item: &ItemName,
) -> Result<Option<Zeroizing<Vec<u8>>>, OsKeyringError> {
    within(keyring, async |service| match find(service, item).await? {
        Some(found) => Ok(Some(Zeroizing::new(
            found.get_secret().await.map_err(refused)?,
        ))),
        None => Ok(None),
    })
}

pub(super) fn write(
    keyring: &SystemKeyring,
    item: &ItemName,
    bytes: &[u8],
) -> Result<(), OsKeyringError> {
    const BYTES: &str = "application/octet-stream";
    within(keyring, async |service| {
        if let Some(found) = find(service, item).await? {
            return found.set_secret(bytes, BYTES).await.map_err(refused);
        }
        let collection = service.get_default_collection().await.map_err(refused)?;
        let name = item.to_string();
        let attributes = attributes(&name);
        let created = collection.create_item(&keyring.label, attributes, bytes, true, BYTES);
        created.await.map_err(refused)?;
        Ok(())
    })
}

pub(super) fn remove(keyring: &SystemKeyring, item: &ItemName) -> Result<(), OsKeyringError> {
    within(keyring, async |service| match find(service, item).await? {
        Some(found) => found.delete().await.map_err(refused),
        None => Ok(()),
    })
}

/// Finds the one item of this name. None is none only if the keyring is open: what is in a locked
/// one cannot always be seen.
async fn find<'a>(
    service: &'a SecretService<'_>,
    item: &ItemName,
) -> Result<Option<Item<'a>>, OsKeyringError> {
    let name = item.to_string();
    let found = service.search_items(attributes(&name)).await;
    let mut found = found.map_err(refused)?;
    let count = found.unlocked.len() + found.locked.len();
    match (found.unlocked.pop(), count) {
        (Some(one), 1) => Ok(Some(one)),
        (None, 0) => {
            let collection = service.get_default_collection().await.map_err(refused)?;
            collection.ensure_unlocked().await.map_err(refused)?;
            Ok(None)
        }
        (None, 1) => Err(OsKeyringError::Locked),
        (_, count) => Err(OsKeyringError::Several { item: *item, count }),
    }
}

fn attributes(name: &str) -> HashMap<&str, &str> {
    HashMap::from([("application", APPLICATION), ("item", name)])
}

/// Asks within the time, on a thread and a runtime of its own: the caller may block inside of a
/// runtime, which must not be blocked on from there, and nothing of the connection stays behind.
fn within<T: Send>(
    keyring: &SystemKeyring,
    ask: impl AsyncFnOnce(&SecretService<'_>) -> Result<T, OsKeyringError> + Send,
) -> Result<T, OsKeyringError> {
    let run = move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().map_err(unreachable)?;
        let asked = async {
            let service = connect(keyring.bus.as_deref()).await.map_err(unreachable)?;
            ask(&service).await
        };
        let answer = runtime.block_on(async { tokio::time::timeout(ANSWER_MAX, asked).await });
        runtime.shutdown_background();
        answer.unwrap_or_else(|late| Err(unreachable(late)))
    };
    std::thread::scope(|scope| match scope.spawn(run).join() {
        Ok(answer) => answer,
        Err(_panic) => Err(unreachable("asking it did not end in order")),
    })
}

async fn connect(bus: Option<&str>) -> Result<SecretService<'static>, Error> {
    let bus = match bus {
        Some(address) => Builder::address(address)?,
        None => Builder::session()?,
    };
    SecretService::connect_with_existing(EncryptionType::Dh, bus.build().await?).await
}

#[expect(clippy::needless_pass_by_value, reason = "it is mapped with")]
fn unreachable(reason: impl ToString) -> OsKeyringError {
    OsKeyringError::Unreachable {
        reason: reason.to_string(),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is mapped with")]
fn refused(error: Error) -> OsKeyringError {
    match &error {
        Error::Locked => OsKeyringError::Locked,
        Error::Zbus(zbus::Error::MethodError(name, ..)) if name.as_str() == IS_LOCKED => {
            OsKeyringError::Locked
        }
        Error::NoResult => unreachable("it has no default collection"),
        other => OsKeyringError::Refused {
            reason: other.to_string(),
        },
    }
}
