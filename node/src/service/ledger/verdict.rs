//! Checking the ledger, and what of it a person has to look at.

use crate::service::{Failure, Services};
use crdt::codec::Canonical as _;
use crdt::hash::Hash;
use crdt::id::from_base32;
use crdt::identity::did::to_did;
use protocol::api::ledger::export::{root_text, to_base64};
use protocol::api::ledger::{LedgerCheck, LedgerConflict, LedgerVerdict, LedgerWitness};
use protocol::api::problem::ErrorCode;
use storage::ledger::{Fault, FaultKind, Held, Verdict, Witness};

/// Says what a fault is, with the witness if there is one.
fn reason(fault: &Fault, witness: Option<&str>) -> String {
    let who = witness.unwrap_or("a checkpoint that you kept");
    let last = fault.last.unwrap_or(fault.first);
    match fault.kind {
        FaultKind::Misplaced => "an entry is missing, unreadable or out of place".to_owned(),
        FaultKind::Unsigned => "the entries are not what this device signed last".to_owned(),
        FaultKind::Derived => "the lines to persons are not what the entries give".to_owned(),
        FaultKind::Cut => format!(
            "{who} witnessed {last} entries; the ledger was cut off and now lacks entry {}",
            fault.first
        ),
        FaultKind::Older => format!(
            "{who} witnessed {last} entries and a longer log; this store is an older copy of \
             itself, such as a restored backup"
        ),
        FaultKind::Rewritten => format!(
            "{who} witnessed other entries: something between {} and {last} was rewritten",
            fault.first
        ),
    }
}

impl Services {
    /// Checks every entry against the signed head, the witnesses, and a checkpoint.
    pub fn verify_ledger(&self, check: &LedgerCheck) -> Result<LedgerVerdict, Failure> {
        let from = check.from.as_deref().map(read_checkpoint).transpose()?;
        let verdict = self.store().verify_ledger()?;
        let mut found = verdict
            .first_fault()
            .map(|(fault, witness)| (fault, witness.map(|witness| self.name_of(witness))));
        if let Some((entries, root)) = from
            && let Some(fault) = self.against(&verdict, entries, root)?
            && found
                .as_ref()
                .is_none_or(|(known, _)| fault.first < known.first)
        {
            found = Some((fault, None));
        }
        let told = |(fault, who): &(Fault, Option<String>)| reason(fault, who.as_deref());
        Ok(LedgerVerdict {
            entries: verdict.entries,
            checkpoint: format!("{}.{}", verdict.entries, root_text(&verdict.root)),
            ok: found.is_none(),
            first_bad: found.as_ref().map(|(fault, _)| fault.first),
            fault: found
                .as_ref()
                .map(|(fault, _)| fault.kind.as_str().to_owned()),
            reason: found.as_ref().map(told).unwrap_or_default(),
            witnesses: verdict
                .witnesses
                .iter()
                .map(|witness| self.show_witness(witness))
                .collect(),
            conflicts: self.conflicts()?,
        })
    }

    /// Tells whether the ledger still begins as a checkpoint of the person's own says.
    fn against(
        &self,
        verdict: &Verdict,
        entries: u64,
        root: Hash,
    ) -> Result<Option<Fault>, Failure> {
        let last = Some(entries);
        if entries > verdict.entries {
            let (kind, first) = (FaultKind::Cut, verdict.entries + 1);
            return Ok(Some(Fault { kind, first, last }));
        }
        if self.store().ledger_root(entries)? == Some(root) {
            return Ok(None);
        }
        let (kind, first) = (FaultKind::Rewritten, 1);
        Ok(Some(Fault { kind, first, last }))
    }

    fn name_of(&self, witness: &Witness) -> String {
        let person = witness.echo.person;
        self.store().read(|state| state.petname(person))
    }

    pub(super) fn show_witness(&self, witness: &Witness) -> LedgerWitness {
        let held = &witness.echo.checkpoint;
        LedgerWitness {
            who: self.name_of(witness),
            person: to_did(&witness.echo.person),
            device: witness.echo.device.to_string(),
            entries: witness.note.map(|note| note.entries).unwrap_or_default(),
            root: witness
                .note
                .map(|note| root_text(&note.root))
                .unwrap_or_default(),
            line: held.size,
            time: held.time.to_rfc3339(),
            shown: witness.echo.received.to_rfc3339(),
            ok: witness.fault.is_none(),
            fault: witness.fault.map(|fault| fault.kind.as_str().to_owned()),
            checkpoint: to_base64(&held.to_bytes()),
        }
    }

    fn conflicts(&self) -> Result<Vec<LedgerConflict>, Failure> {
        let held = self.store().all_held()?;
        let shown = held.into_iter().filter_map(|held| {
            let Held {
                checkpoint,
                conflict,
                ..
            } = held;
            let (other, since) = conflict?;
            let person = checkpoint.person;
            Some(LedgerConflict {
                who: self.store().read(|state| state.petname(person)),
                person: to_did(&person),
                device: checkpoint.device.to_string(),
                since: since.to_rfc3339(),
                held: checkpoint.size,
                shown: other.size,
                evidence: vec![
                    to_base64(&checkpoint.to_bytes()),
                    to_base64(&other.to_bytes()),
                ],
            })
        });
        Ok(shown.collect())
    }

    /// Says which ledgers a person has to look at.
    pub(in crate::service) fn ledger_needs_you(&self) -> Result<Vec<String>, Failure> {
        let mut needs = Vec::new();
        let witnesses = self.store().witnesses()?;
        let mut seen = std::collections::BTreeSet::new();
        for witness in witnesses.iter().filter(|witness| witness.fault.is_some()) {
            let who = self.name_of(witness);
            if seen.insert(who.clone()) {
                needs.push(format!(
                    "{who} witnessed another history of your ledger: brainctl ledger verify"
                ));
            }
        }
        for conflict in self.conflicts()? {
            needs.push(format!(
                "the ledger of {} is not what it showed before: brainctl ledger verify",
                conflict.who
            ));
        }
        Ok(needs)
    }
}

/// Reads a checkpoint as `ledger verify` prints it.
fn read_checkpoint(text: &str) -> Result<(u64, Hash), Failure> {
    let read = || {
        let (entries, root) = text.trim().split_once('.')?;
        let root = from_base32(root)?.try_into().ok()?;
        Some((entries.parse().ok()?, Hash(root)))
    };
    read().ok_or_else(|| {
        Failure::new(
            ErrorCode::BadRequest,
            format!("{text:?} is no checkpoint: a number, a dot and 52 characters are needed"),
        )
        .hint("brainctl ledger verify        prints one")
    })
}
