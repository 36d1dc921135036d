//! The consent receipt of a grant: ISO/IEC TS 27560:2023 as JSON-LD, with the terms of the DPV.
//!
//! The owner of the memories is the data subject, the grantee is the controller who receives
//! them. Every event of the grant is a part of the record: its signed bytes, its signature and
//! the certificate of the device that signed, so a reader needs no node to check it. See
//! `docs/guide/ledger.md` for the table of fields.

use crate::clock;
use crate::service::{Failure, Services};
use crdt::codec::Canonical as _;
use crdt::event::body::{Answer, Receipt, Renewal, Return, Revocation};
use crdt::event::{Event, Kind, Signed};
use crdt::grant::Access;
use crdt::grant::authority::{Grant, State as GrantState};
use crdt::id::{GrantId, PersonId};
use crdt::identity::SIGNATURE_BYTES;
use crdt::identity::did::to_did;
use crdt::time::Timestamp;
use protocol::api::ledger::export::to_base64;
use serde_json::{Value, json};
use storage::store::query::Frontier;

const CONFORMS_RECEIPT: &str = "https://w3id.org/dpv/schema/dpv-27560#receipt-record";
const CONFORMS_RECORD: &str = "https://w3id.org/dpv/schema/dpv-27560#record";

impl Services {
    /// Returns the consent receipt of a grant.
    pub fn receipt(&self, id: &str) -> Result<Value, Failure> {
        let id = self.find_grant(id)?;
        let (grant, me) = self
            .store()
            .read(|state| (state.authority.grant(id).cloned(), state.me));
        let grant = grant.ok_or_else(|| Failure::not_found("grant", &id.to_string()))?;
        let other = if grant.owner == me {
            grant.grantee
        } else {
            grant.owner
        };
        let mut parts = Vec::new();
        for event in self.consent_of(other, id)? {
            parts.push(self.part(&event));
        }
        Ok(document(&grant, me, &parts))
    }

    /// Returns the events that opened, answered and ended a grant, oldest first.
    fn consent_of(&self, other: PersonId, id: GrantId) -> Result<Vec<Signed<Event>>, Failure> {
        let all = self.store().consent_beyond(other, &Frontier::new())?;
        let events = all
            .iter()
            .filter_map(|bytes| Signed::from_bytes(bytes).ok());
        Ok(events.filter(|event| is_about(event, id)).collect())
    }

    fn part(&self, event: &Signed<Event>) -> Value {
        let header = event.header();
        let status = match header.kind {
            Kind::Offer => "dpv:ConsentRequested",
            Kind::Acceptance => "dpv:ConsentGiven",
            Kind::Decline => "dpv:ConsentRefused",
            Kind::Renewal => "dpv:RenewedConsentGiven",
            _ => "dpv:ConsentWithdrawn",
        };
        let certificate = self.store().read(|state| {
            let device = state.authority.device(&header.author);
            device.map(|device| to_base64(&device.certificate.to_bytes()))
        });
        let bytes = event.bytes();
        let signature = bytes.len().saturating_sub(SIGNATURE_BYTES);
        json!({
            "@id": format!("urn:brain:event:{}", event.id()),
            "@type": [status, "dpv:ExplicitlyExpressedConsent"],
            "dct:date": header.time.wall().to_rfc3339(),
            "dpv:isIndicatedBy": to_did(&header.person),
            "dpv:isIndicatedAtTime": header.time.wall().to_rfc3339(),
            "dpv:hasIndicationMethod": "signed with the key of a device that the person certified",
            "brain:kind": word(header.kind),
            "brain:device": header.author.to_string(),
            "brain:certificate": certificate,
            "brain:signature": to_base64(bytes.get(signature..).unwrap_or_default()),
            "brain:signed": to_base64(bytes),
        })
    }
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Offer => "offer",
        Kind::Acceptance => "acceptance",
        Kind::Decline => "decline",
        Kind::Renewal => "renewal",
        Kind::Receipt => "receipt",
        Kind::Return => "return",
        _ => "revocation",
    }
}

fn is_about(event: &Signed<Event>, id: GrantId) -> bool {
    let body = event.event().body.as_slice();
    match event.header().kind {
        Kind::Offer => event.id().as_grant() == id,
        Kind::Acceptance | Kind::Decline => {
            Answer::from_bytes(body).is_ok_and(|answer| answer.grant == id)
        }
        Kind::Renewal => Renewal::from_bytes(body).is_ok_and(|renewal| renewal.grant == id),
        Kind::Receipt => Receipt::from_bytes(body).is_ok_and(|receipt| receipt.grant == id),
        Kind::Return => Return::from_bytes(body).is_ok_and(|given| given.grant == id),
        Kind::Revocation => Revocation::from_bytes(body).is_ok_and(|end| end.grant == id),
        _ => false,
    }
}

fn document(grant: &Grant, me: PersonId, parts: &[Value]) -> Value {
    let now = clock::now();
    let other = if me == grant.owner {
        grant.grantee
    } else {
        grant.owner
    };
    json!({
        "@context": {
            "dpv": "https://w3id.org/dpv#",
            "dct": "http://purl.org/dc/terms/",
            "xsd": "http://www.w3.org/2001/XMLSchema#",
            "schema": "https://schema.org/",
            "brain": "urn:brain:terms:",
        },
        "@id": format!("urn:brain:receipt:{}", grant.id),
        "@type": "dpv:ConsentReceipt",
        "dct:identifier": format!("receipt-{}", grant.id),
        "dct:conformsTo": CONFORMS_RECEIPT,
        "dct:created": now.to_rfc3339(),
        "dct:publisher": to_did(&me),
        "schema:recipient": to_did(&other),
        "dpv:hasRecordOfActivity": record(grant, grant.state(now), parts),
    })
}

fn record(grant: &Grant, state: GrantState, parts: &[Value]) -> Value {
    let status = match state {
        GrantState::Offered => "dpv:ConsentRequested",
        GrantState::Active => "dpv:ConsentGiven",
        GrantState::Declined => "dpv:ConsentRefused",
        GrantState::Expired => "dpv:ConsentExpired",
        GrantState::Revoked | GrantState::Returned => "dpv:ConsentWithdrawn",
        GrantState::Superseded => "dpv:ConsentInvalidated",
    };
    let name = |grant: GrantId| format!("urn:brain:grant:{grant}");
    json!({
        "@id": name(grant.id),
        "@type": "dpv:ConsentRecord",
        "dct:identifier": grant.id.to_string(),
        "dct:conformsTo": CONFORMS_RECORD,
        "dpv:hasDataSubject": to_did(&grant.owner),
        "dpv:hasDataController": to_did(&grant.grantee),
        "dpv:hasConsentStatus": status,
        "dpv:hasProcess": process(grant),
        "dct:replaces": grant.supersedes.map(name),
        "dct:isReplacedBy": grant.superseded_by.map(name),
        "dct:valid": {
            "brain:from": grant.accepted.map(|time| time.wall().to_rfc3339()),
            "brain:until": grant.expires().map(Timestamp::to_rfc3339),
            "brain:state": state.as_str(),
        },
        "dct:hasPart": parts,
    })
}

fn process(grant: &Grant) -> Value {
    let processing: &[&str] = match grant.terms.access {
        Access::Pull => &["dpv:Store"],
        Access::Read => &["dpv:Obtain", "dpv:Store", "dpv:Consult"],
        Access::Write => &["dpv:Obtain", "dpv:Store", "dpv:Consult", "dpv:Modify"],
    };
    json!({
        "@type": "dpv:Process",
        "dpv:hasLegalBasis": "dpv:Consent",
        "dpv:hasPurpose": {
            "@type": "dpv:Purpose",
            "dct:description": grant.terms.purpose,
        },
        "dpv:hasPersonalData": {
            "@type": "dpv:PersonalData",
            "dct:description": "the memories that the selector takes in, as they change",
            "brain:selector": grant.selector,
        },
        "dpv:hasProcessing": processing,
        "dpv:hasDataSource": "dpv:DataSubject",
        "dpv:hasRecipient": [to_did(&grant.grantee)],
        "dpv:hasStorageCondition": {
            "@type": "dpv:StorageCondition",
            "dpv:hasLocation": "the devices of the recipient",
            "dct:description": "copies that were sent can be kept after a withdrawal",
        },
        "dpv:hasRight": {
            "@type": "dpv:Right",
            "dct:description": "withdraw at any time, without a reason and without a connection: \
                brainctl revoke",
        },
    })
}
