//! Receipts and returns: what grantees say about their copies, and giving back.

use super::{Failure, Services};
use crate::clock;
use crdt::grant::authority::Grant as Held;
use crdt::id::{DeviceId, GrantId};
use protocol::api::sharing::{GivenBack, Receipt, Request};
use std::time::Duration;
use storage::store::state::State;
use storage::tx::ShareError;

/// How long a revocation waits for the receipt of a grantee who is here.
const RECEIPT_MAX: Duration = Duration::from_secs(2);
const RECEIPT_STEP: Duration = Duration::from_millis(20);

/// Lists what the grantee's devices say they did, if they were asked to purge.
pub(super) fn receipts(state: &State, grant: &Held) -> Vec<Receipt> {
    let asked = grant.revoked.as_ref().is_some_and(|(_, body)| body.purge);
    if !asked {
        return Vec::new();
    }
    let mut devices: Vec<DeviceId> = grant.aftermath.devices().collect();
    let known = state.authority.devices_of(grant.grantee).map(|c| c.device);
    devices.extend(known);
    devices.sort_unstable();
    devices.dedup();
    let person = state.petname(grant.grantee);
    let show = |device: DeviceId| {
        let said = grant.aftermath.receipt(&device);
        let number = |get: fn(&crdt::event::body::Receipt) -> u32| {
            said.map_or(0, |(_, receipt)| get(receipt))
        };
        Receipt {
            person: person.clone(),
            device: device.to_string(),
            state: said.map_or_else(
                || "unreachable".to_owned(),
                |(_, receipt)| receipt.outcome.as_str().to_owned(),
            ),
            memories: number(|receipt| receipt.memories),
            passed_on: number(|receipt| receipt.passed_on),
            when: said.map(|(time, _)| time.wall().to_rfc3339()),
        }
    };
    devices.into_iter().map(show).collect()
}

/// Shows a purge that the owner asks for and this person has to decide.
pub(super) fn purge_request(state: &State, grant: &Held, device: &DeviceId) -> Option<Request> {
    if !state.purge_waits(grant, device) {
        return None;
    }
    let (since, receipt) = grant.aftermath.receipt(device)?;
    let from = state.petname(grant.owner);
    let many = receipt.memories;
    let what = if many == 1 { "memory" } else { "memories" };
    Some(Request {
        id: grant.id.to_string(),
        kind: "purge".to_owned(),
        summary: format!(
            "{from} revoked {} and asks you to purge your copies: {many} {what}",
            grant.selector
        ),
        from,
        created: since.wall().to_rfc3339(),
        items: Vec::new(),
    })
}

impl Services {
    /// Waits a moment until a device that has the news says what it did.
    pub(super) async fn await_receipts(&self, grant: GrantId, devices: &[String]) -> Vec<Receipt> {
        let read = || {
            self.store().read(|state| {
                let grant = state.authority.grant(grant);
                grant
                    .map(|grant| receipts(state, grant))
                    .unwrap_or_default()
            })
        };
        let is_open =
            |receipt: &Receipt| receipt.state == "unreachable" && devices.contains(&receipt.device);
        let until = tokio::time::Instant::now() + RECEIPT_MAX;
        loop {
            let found = read();
            if !found.iter().any(is_open) || tokio::time::Instant::now() >= until {
                return found;
            }
            tokio::time::sleep(RECEIPT_STEP).await;
        }
    }

    /// Gives a grant back: purges here what only it covers, and tells the sender.
    pub fn return_grant(&self, id: &str) -> Result<GivenBack, Failure> {
        let grant = self.find_grant(id)?;
        let given = self
            .store()
            .transact::<_, ShareError>(clock::now(), |tx| tx.return_grant(grant))?;
        self.wrote("grant.returned", grant.to_string());
        Ok(GivenBack {
            grant: grant.to_string(),
            state: "returned".to_owned(),
            memories: given.memories,
            kept: given.kept,
        })
    }
}
