//! Devices of this person: `/v1/devices`, `/v1/identity:phrase`, `/v1/identity:recover`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A device of this person.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Device {
    /// Its id.
    pub id: String,
    /// My name for it.
    pub name: String,
    /// `active` or `retired`.
    pub state: String,
    /// `this` for this device, `direct` while a session is open, else `offline`.
    pub path: String,
    /// When it was certified.
    pub since: String,
}

/// `POST /v1/devices`: makes a one-use ticket for a new device.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDevice {
    /// My name for the new device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How long the ticket can be used, in seconds; one hour if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_s: Option<u64>,
}

/// `POST /v1/devices:join`: makes this machine a device of whoever made the ticket.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinDevice {
    /// The ticket.
    pub ticket: String,
}

/// Who this node is about to be; it starts again as that.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NewIdentity {
    /// The person, as `did:key`.
    pub person: String,
    /// Their four safety words.
    pub words: String,
    /// This device.
    pub device: String,
}

/// `PATCH /v1/devices/{id}`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DevicePatch {
    /// My new name for it.
    pub name: String,
}

/// `POST /v1/devices/{id}:retire`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetireDevice {
    /// The recovery phrase, where this device is not older than the other and has no root key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phrase: Option<String>,
}

/// What retiring a device did, and what it cannot do.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Retired {
    /// The device.
    pub device: String,
    /// My name for it.
    pub name: String,
    /// The key epoch from which it can read nothing.
    pub epoch: u32,
    /// What this does not do.
    pub notice: String,
}

/// The recovery phrase.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Phrase {
    /// The 24 words.
    pub phrase: String,
}
