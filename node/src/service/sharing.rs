//! Sharing: preview, offer, answer, revoke.

mod additions;
mod ends;

use super::receipts::{purge_request, receipts};
use super::{Failure, Services};
use crate::clock;
use crdt::grant::authority::{Grant as Held, State as GrantState};
use crdt::grant::{Access, History, Terms};
use crdt::hash::Hash;
use crdt::id::{GrantId, MemoryId, PersonId};
use crdt::identity::did::to_did;
use crdt::selector::Selector;
use protocol::api::Page;
use protocol::api::problem::ErrorCode;
use protocol::api::sharing::{
    Grant, GrantSpec, Held as HeldBack, NewGrant, Offered, Preview, PreviewItem, PreviewRequest,
    Request, Resolved, RevokeRequest, Revoked, Told,
};
use std::time::Duration;
use storage::store::preview::Held as Withheld;
use storage::store::state::{self, State};
use storage::tx::ShareError;

/// How long a grant holds if nothing is said.
const GRANT_SECONDS_DEFAULT: u64 = 90 * 86_400;
const GRANT_SECONDS_MAX: u64 = 400 * 86_400;
/// How long a revocation waits for the grantee's node to acknowledge it.
const TOLD_MAX: Duration = Duration::from_millis(800);

/// What revoking does not do.
const NOTICE: &str = "What was already read stays known, and a copy that was sent can be kept. \
    New changes cannot be read from now on.";

/// What a person would see, as it is told and confirmed.
pub(super) struct Set(pub(super) storage::store::preview::Preview);

impl Set {
    /// Names exactly this set under these terms.
    fn digest(&self, audience: &[PersonId], selector: &str, terms: &Terms) -> String {
        let shape = [
            terms.access as u8,
            terms.history as u8,
            u8::from(terms.reshare),
        ];
        let people = Hash::of("second-brain 2026 v1 audience", &{
            let people = audience.iter().map(|person| person.as_bytes().as_slice());
            people.collect::<Vec<_>>()
        });
        let mut parts: Vec<&[u8]> = vec![people.0.as_slice(), &shape, selector.as_bytes()];
        let mut ids: Vec<&[u8; 32]> = self
            .0
            .memories
            .iter()
            .map(|(id, _)| id.as_bytes())
            .collect();
        ids.sort_unstable();
        parts.extend(ids.iter().map(|id| id.as_slice()));
        crdt::id::to_base32(&Hash::of("second-brain 2026 v1 preview", &parts).0)
    }
    /// Stops a commit whose set is not the one that was confirmed.
    pub(super) fn check(
        &self,
        audience: &[PersonId],
        selector: &str,
        terms: &Terms,
        digest: Option<String>,
        expect: Option<usize>,
    ) -> Result<String, Failure> {
        let found = self.0.memories.len();
        let look = "look at the preview again: brainctl share preview";
        if let Some(expected) = expect.filter(|count| *count != found) {
            let title = format!("the selector takes in {found} memories, not {expected}");
            return Err(Failure::new(ErrorCode::Conflict, title).hint(look));
        }
        let is = self.digest(audience, selector, terms);
        if digest.is_some_and(|seen| seen != is) {
            let title = "the set changed since you looked at it; nothing was shared";
            return Err(Failure::new(ErrorCode::PreviewChanged, title).hint(look));
        }
        Ok(is)
    }
    fn held(&self) -> Vec<HeldBack> {
        let show = |(id, held): &(MemoryId, Withheld)| HeldBack {
            id: id.to_string(),
            rule: held.rule.clone(),
            reason: held.reason.clone(),
        };
        self.0.held.iter().map(show).collect()
    }
}

impl Services {
    /// Reads what to share; refuses selectors that infer or are open-ended.
    pub(super) fn read_spec(spec: &GrantSpec) -> Result<(Selector, Terms), Failure> {
        let selector = Selector::parse(&spec.selector)?;
        let refuse = |title: &str| Failure::new(ErrorCode::BadSelector, title);
        if selector.asks_about_grants() {
            return Err(
                refuse("a share cannot select by shared-with:, it would ask about itself")
                    .hint("name what to share by its labels: tag:, space: or id:"),
            );
        }
        if selector.is_open_ended() {
            return Err(
                refuse("this selector would share everything that nobody labelled")
                    .hint("name what to share: tag:, space: or id:"),
            );
        }
        let access = spec.access.as_deref().unwrap_or("read");
        let access = Access::parse(access).filter(|access| *access != Access::Pull);
        let Some(access) = access else {
            let title = "access is read or write";
            return Err(Failure::new(ErrorCode::BadRequest, title));
        };
        let seconds = spec.expires_in_s.unwrap_or(GRANT_SECONDS_DEFAULT);
        if seconds == 0 || seconds > GRANT_SECONDS_MAX {
            let title = "a grant holds between a second and 400 days";
            return Err(Failure::new(ErrorCode::BadRequest, title));
        }
        let purpose = spec.purpose.clone().unwrap_or_default();
        if purpose.len() > crdt::grant::PURPOSE_BYTES_MAX {
            return Err(Failure::new(
                ErrorCode::LimitExceeded,
                "the purpose is too long",
            ));
        }
        let terms = Terms {
            access,
            expires: Some(clock::now().plus_ms(seconds.saturating_mul(1_000))),
            // Nothing was said about an end: the grant is a lease.
            lease_ms: spec
                .expires_in_s
                .is_none()
                .then_some(GRANT_SECONDS_DEFAULT * 1_000),
            purpose,
            reshare: false,
            history: History::Full,
        };
        Ok((selector, terms))
    }

    /// Shows what a person would see under a grant.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the edge hands over what it decoded"
    )]
    pub fn preview(&self, request: PreviewRequest) -> Result<Preview, Failure> {
        let audience = self.find_audience(&request.with)?;
        let (selector, terms) = Self::read_spec(&request.grant)?;
        let set = Set(self.store().preview(&selector, clock::now())?);
        let mut items = Vec::with_capacity(set.0.memories.len());
        let mut outside = 0_usize;
        let (mut attachments, mut attachment_bytes) = (0, 0);
        for (id, bytes) in &set.0.memories {
            let Some(content) = self.store().content(*id)? else {
                continue;
            };
            attachments += content.attachments.len();
            attachment_bytes += content
                .attachments
                .iter()
                .map(|file| file.bytes)
                .sum::<u64>();
            let is_in = |to: &MemoryId| set.0.memories.iter().any(|(id, _)| id == to);
            outside += content.links.iter().filter(|link| !is_in(&link.to)).count();
            items.push(PreviewItem {
                id: id.to_string(),
                title: content.title,
                bytes: *bytes,
            });
        }
        let mut careful = Vec::new();
        if outside > 0 {
            careful.push(format!(
                "{outside} links lead to memories outside this share; their ids go along, \
                 their titles and texts do not"
            ));
        }
        if !selector.is_explicit() {
            careful.push(if request.grant.live == Some(true) {
                "words, kinds and dates take in new matches that nobody labelled, at once"
                    .to_owned()
            } else {
                "new matches wait for your yes: brainctl request ls".to_owned()
            });
        }
        if terms.access == Access::Write {
            careful.push("they can change these memories; you see every change".to_owned());
        }
        Ok(Preview {
            count: set.0.memories.len(),
            bytes: set.0.memories.iter().map(|(_, bytes)| bytes).sum(),
            attachments,
            attachment_bytes,
            items,
            digest: set.digest(&audience, &selector.to_string(), &terms),
            held: set.held(),
            careful,
        })
    }

    /// Offers a grant, if the set is still the one that was confirmed.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the edge hands over what it decoded"
    )]
    pub fn offer(&self, new: NewGrant) -> Result<Offered, Failure> {
        let person = self.find_person(&new.with)?;
        let (selector, terms) = Self::read_spec(&new.grant)?;
        let text = selector.to_string();
        let offered = self.store().transact::<_, Failure>(clock::now(), |tx| {
            let set = Set(tx.preview(&selector)?);
            let seen = new.digest.clone();
            let digest = set.check(&[person], &text, &terms, seen, new.expect)?;
            let live = new.grant.live.unwrap_or(false);
            let grant = tx.offer_instead(person, text.clone(), terms.clone(), None, live)?;
            Ok(Offered {
                grant: grant.to_string(),
                state: GrantState::Offered.as_str().to_owned(),
                count: set.0.memories.len(),
                held: set.held(),
                digest,
            })
        })?;
        self.wrote("grant.offered", offered.grant.clone());
        Ok(offered)
    }

    pub(super) fn show_grant(state: &State, grant: &Held) -> Grant {
        let now = clock::now();
        let gives = grant.owner == state.me;
        let other = if gives { grant.grantee } else { grant.owner };
        let is_counted = grant.state(now) == GrantState::Active;
        let count = state.memories.values().filter(|facts| {
            if !is_counted || facts.purged {
                false
            } else if gives {
                state
                    .grants_over(facts, other, now)
                    .any(|found| found.id == grant.id)
            } else {
                facts.owner == other && state.held_under(facts, now).any(|f| f.id == grant.id)
            }
        });
        Grant {
            id: grant.id.to_string(),
            direction: if gives { "out" } else { "in" }.to_owned(),
            with: state.petname(other),
            person: to_did(&other),
            selector: grant.selector.clone(),
            access: grant.terms.access.as_str().to_owned(),
            state: grant.state(now).as_str().to_owned(),
            expires: grant.expires().map(crdt::time::Timestamp::to_rfc3339),
            lease: grant.terms.lease_ms.is_some(),
            supersedes: grant.supersedes.map(|before| before.to_string()),
            purpose: grant.terms.purpose.clone(),
            count: count.count(),
            receipts: receipts(state, grant),
        }
    }

    /// Lists all grants, given and received.
    #[expect(clippy::unnecessary_wraps, reason = "every use case answers alike")]
    pub fn grants(&self) -> Result<Page<Grant>, Failure> {
        let items = self.store().read(|state| {
            let grants = state.authority.grants();
            let mine = grants.filter(|grant| grant.owner == state.me || grant.grantee == state.me);
            mine.map(|grant| Self::show_grant(state, grant)).collect()
        });
        Ok(Page {
            items,
            next_cursor: None,
        })
    }

    pub(super) fn find_grant(&self, text: &str) -> Result<GrantId, Failure> {
        let lower = text.to_lowercase();
        let found: Vec<GrantId> = self.store().read(|state| {
            let grants = state.authority.grants().map(|grant| grant.id);
            grants
                .filter(|id| lower.len() >= 4 && id.to_string().starts_with(&lower))
                .collect()
        });
        match found.as_slice() {
            [] => {
                Err(Failure::not_found("grant", text)
                    .hint("brainctl share ls        list your grants"))
            }
            [one] => Ok(*one),
            several => {
                let title = format!("several grants begin with {text:?}");
                let failure = Failure::new(ErrorCode::AmbiguousId, title);
                Err(several
                    .iter()
                    .map(GrantId::to_string)
                    .fold(failure, Failure::hint))
            }
        }
    }

    /// Returns one grant.
    pub fn grant(&self, id: &str) -> Result<Grant, Failure> {
        let found = self.find_grant(id)?;
        let shown = self.store().read(|state| {
            state
                .authority
                .grant(found)
                .map(|grant| Self::show_grant(state, grant))
        });
        shown.ok_or_else(|| Failure::not_found("grant", id))
    }

    /// Takes a grant back for good and tells the grantee's node.
    pub async fn revoke(&self, id: &str, request: RevokeRequest) -> Result<Revoked, Failure> {
        let (grant, epoch, person) = tokio::task::block_in_place(|| {
            let grant = self.find_grant(id)?;
            let mut reason = request.reason;
            reason.truncate(reason.floor_char_boundary(crdt::event::body::REASON_BYTES_MAX));
            let epoch = self.store().transact::<_, ShareError>(clock::now(), |tx| {
                if request.purge {
                    tx.revoke_and_purge(grant, reason)
                } else {
                    tx.revoke(grant, reason)
                }
            })?;
            let person = self.store().read(|state| {
                state
                    .authority
                    .grant(grant)
                    .map_or(state.me, |found| found.grantee)
            });
            Ok::<_, Failure>((grant, epoch, person))
        })?;
        self.wrote("grant.revoked", grant.to_string());
        let told = self.told(person).await;
        let here = told.iter().filter(|told| told.state == "acknowledged");
        let here: Vec<String> = here.map(|told| told.device.clone()).collect();
        let receipts = self.await_receipts(grant, &here).await;
        Ok(Revoked {
            grant: grant.to_string(),
            epoch,
            told,
            notice: NOTICE.to_owned(),
            receipts,
        })
    }

    /// Waits a moment for the grantee's node to acknowledge all consent events.
    async fn told(&self, person: PersonId) -> Vec<Told> {
        let (name, devices) = self.store().read(|state| {
            let devices = state.authority.devices_of(person).map(|c| c.device);
            (state.petname(person), devices.collect::<Vec<_>>())
        });
        let mine = self.store().owner().device.id();
        let wanted: Vec<_> = self
            .store()
            .consent_frontier(person)
            .into_iter()
            .filter(|((author, ..), _)| *author == mine)
            .collect();
        let session = self.0.sync.session(person);
        let mut acknowledged = None;
        if let Some(handle) = session {
            let mut known = handle.known.clone();
            let all = known.wait_for(|tips| {
                wanted.iter().all(|((author, incarnation, feed), next)| {
                    tips.iter().any(|tip| {
                        tip.author == *author
                            && tip.incarnation == *incarnation
                            && tip.feed == *feed
                            && tip.next >= *next
                    })
                })
            });
            if matches!(tokio::time::timeout(TOLD_MAX, all).await, Ok(Ok(_))) {
                acknowledged = Some(handle.device);
            }
        }
        let state = |device| {
            if acknowledged == Some(device) {
                "acknowledged"
            } else {
                "waiting"
            }
        };
        let show = |device: crdt::id::DeviceId| Told {
            person: name.clone(),
            device: device.to_string(),
            state: state(device).to_owned(),
        };
        devices.into_iter().map(show).collect()
    }

    /// Lists what waits for a yes or a no.
    #[expect(clippy::unnecessary_wraps, reason = "every use case answers alike")]
    pub fn requests(&self) -> Result<Page<Request>, Failure> {
        let now = clock::now();
        let items = self.store().read(|state| {
            let waiting = state.authority.grants().filter(|grant| {
                grant.grantee == state.me && grant.state(now) == GrantState::Offered
            });
            let show = |grant: &Held| {
                let from = state.petname(grant.owner);
                let until = grant.expires().map(crdt::time::Timestamp::to_rfc3339);
                let until = until.and_then(|time| time.split('T').next().map(str::to_owned));
                Request {
                    id: grant.id.to_string(),
                    kind: "grant".to_owned(),
                    summary: format!(
                        "{from} shares {} with you to {} until {}",
                        grant.selector,
                        grant.terms.access.as_str(),
                        until.unwrap_or_else(|| "it is revoked".to_owned())
                    ),
                    from,
                    created: grant.offered.wall().to_rfc3339(),
                    items: Vec::new(),
                }
            };
            let mut items: Vec<Request> = waiting.map(show).collect();
            items.extend(additions::requests(state));
            let device = self.store().owner().device.id();
            let purges = state.authority.grants();
            items.extend(purges.filter_map(|grant| purge_request(state, grant, &device)));
            items
        });
        Ok(Page {
            items,
            next_cursor: None,
        })
    }

    /// Shows one thing that waits.
    pub fn request(&self, id: &str) -> Result<Request, Failure> {
        if let Some(addition) = self.addition(id)? {
            return Ok(addition);
        }
        let lower = id.to_lowercase();
        let all = self.requests()?.items.into_iter();
        let mut found = all.filter(|request| lower.len() >= 4 && request.id.starts_with(&lower));
        found.next().ok_or_else(|| {
            Failure::not_found("request", id).hint("brainctl request ls        list what waits")
        })
    }

    /// Says yes or no.
    pub fn resolve_request(&self, id: &str, approve: bool) -> Result<Resolved, Failure> {
        if let Some(resolved) = self.resolve_addition(id, approve)? {
            return Ok(resolved);
        }
        let Ok(grant) = self.find_grant(id) else {
            return Err(Failure::not_found("request", id)
                .hint("brainctl request ls        list what waits"));
        };
        let device = self.store().owner().device.id();
        self.store().transact::<_, ShareError>(clock::now(), |tx| {
            let found = tx.state().authority.grant(grant);
            if found.is_some_and(|found| tx.state().purge_waits(found, &device)) {
                tx.answer_purge(grant, approve)
            } else {
                tx.answer(grant, approve)
            }
        })?;
        self.wrote("request.resolved", grant.to_string());
        let state = if approve { "approved" } else { "denied" };
        Ok(Resolved {
            id: grant.to_string(),
            state: state.to_owned(),
        })
    }

    /// Counts what waits for a person.
    pub(super) fn needs_you(&self) -> Vec<String> {
        let waiting = self.requests().map_or(0, |page| page.items.len());
        let line = format!("{waiting} requests wait for an answer: brainctl request ls");
        let mut lines = if waiting > 0 { vec![line] } else { Vec::new() };
        let late = self
            .store()
            .read(|state| state.late_work(clock::now()).len());
        if late > 0 {
            lines.push(format!("{late} pieces of late work: brainctl tray ls"));
        }
        lines.extend(self.guard_needs_you());
        lines
    }

    /// Counts memories, and how many of them are forgotten.
    pub(super) fn counts(&self) -> (u64, u64) {
        self.store().read(|state| {
            let live = state
                .memories
                .values()
                .filter(|f| !f.purged && !f.sidecar.is_hidden());
            let live = live.filter(|facts| !state.is_hidden(facts));
            live.fold((0, 0), |(all, forgotten), facts| {
                let is_listed = state::is_listed(facts);
                (
                    all + u64::from(is_listed),
                    forgotten + u64::from(!is_listed),
                )
            })
        })
    }
}
