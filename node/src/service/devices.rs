//! Devices of this person: add, join, name, retire, and the way back from the recovery phrase.

use super::{Failure, Services};
use crate::clock;
use crate::identity::IdentityError;
use crate::runtime::Ending;
use crate::sync::{Introduction, Outcome, Party};
use crdt::id::DeviceId;
use crdt::identity::did::to_did;
use crdt::identity::phrase;
use crdt::identity::words::safety_words;
use crdt::identity::{DeviceCertificate, PersonKey};
use protocol::api::Page;
use protocol::api::devices::{
    Device, DevicePatch, JoinDevice, NewDevice, NewIdentity, Phrase, RetireDevice, Retired,
};
use protocol::api::peers::Invite;
use protocol::api::problem::ErrorCode;
use protocol::session::Role;
use protocol::ticket::{Purpose, Ticket};
use std::time::Duration;
use storage::records::Invite as Given;
use storage::store::StoreError;
use storage::store::state::State;
use storage::tx::{AppendError, RetireError};
use tokio::sync::oneshot;

const TICKET_SECONDS_DEFAULT: u64 = 3_600;
const TICKET_SECONDS_MAX: u64 = 86_400;
/// How long joining waits for the other device to answer.
const JOIN_MAX: Duration = Duration::from_secs(10);
/// How long the answer has to reach the caller before the node starts again.
const FAREWELL: Duration = Duration::from_millis(300);
const NAME_CHARS_MAX: usize = 64;

/// What retiring does not do.
const NOTICE: &str = "What is on that device stays readable to whoever opens it, and what was \
    read there stays known. From now on it gets nothing, and nothing it writes counts.";

fn check_name(name: &str) -> Result<(), Failure> {
    let fits = !name.trim().is_empty()
        && name.chars().count() <= NAME_CHARS_MAX
        && !name
            .chars()
            .any(|c| c.is_control() || matches!(c, '"' | ',' | '/'));
    if fits {
        Ok(())
    } else {
        let title = format!("{name:?} is no name for a device");
        Err(Failure::new(ErrorCode::BadRequest, title))
    }
}

fn read_phrase(text: &str) -> Result<PersonKey, Failure> {
    phrase::read(text).map_err(|error| {
        Failure::new(
            ErrorCode::BadRequest,
            format!("this is no recovery phrase: {error}"),
        )
        .because("nothing was changed")
        .hint("write all 24 words in their order, as brainctl id phrase showed them")
    })
}

impl Services {
    fn show_device(&self, state: &State, certificate: &DeviceCertificate) -> Device {
        let device = certificate.device;
        let party = Party {
            person: state.me,
            device: Some(device),
        };
        let path = if device == self.store().owner().device.id() {
            "this"
        } else if self.0.sync.session(party).is_some() {
            "direct"
        } else {
            "offline"
        };
        let is_retired = state.is_retired(&device);
        Device {
            id: device.to_string(),
            name: state.device_name(&device),
            state: if is_retired { "retired" } else { "active" }.to_owned(),
            path: path.to_owned(),
            since: certificate.issued.to_rfc3339(),
        }
    }

    /// Lists the devices of this person, the oldest first.
    #[expect(clippy::unnecessary_wraps, reason = "every use case answers alike")]
    pub fn devices(&self) -> Result<Page<Device>, Failure> {
        let items = self.store().read(|state| {
            let mut found: Vec<_> = state.own_devices().map(|f| &f.certificate).collect();
            found.sort_by_key(|certificate| (certificate.issued, certificate.device));
            let show = |certificate| self.show_device(state, certificate);
            found.into_iter().map(show).collect()
        });
        Ok(Page {
            items,
            next_cursor: None,
        })
    }

    fn find_device(&self, name: &str) -> Result<DeviceId, Failure> {
        let found = self.store().read(|state| state.own_device(name));
        found.ok_or_else(|| {
            Failure::not_found("device", name).hint("brainctl device ls        list your devices")
        })
    }

    /// Makes a one-use ticket for a new device.
    pub fn add_device(&self, new: NewDevice) -> Result<Invite, Failure> {
        if let Some(name) = &new.name {
            check_name(name)?;
        }
        let owner = self.store().owner();
        if owner.root.is_none() {
            return Err(no_root(
                "add a device on the first one, which has the root key",
            ));
        }
        let seconds = new.expires_in_s.unwrap_or(TICKET_SECONDS_DEFAULT);
        let now = clock::now();
        let mut secret = [0; 16];
        getrandom::fill(&mut secret).map_err(|error| {
            Failure::new(ErrorCode::Internal, "the system gives no randomness")
                .because(error.to_string())
        })?;
        let mut addresses = self.0.sync.network().listen();
        addresses.truncate(protocol::limits::ADDRESSES_MAX);
        let ticket = Ticket {
            purpose: Purpose::Device,
            person: owner.certificate.person,
            device: owner.device.id(),
            secret,
            expires: now.plus_ms(seconds.min(TICKET_SECONDS_MAX).saturating_mul(1_000)),
            addresses,
        };
        let given = Given {
            secret: Ticket::secret_hash(&secret),
            expires: ticket.expires,
            petname: new.name,
            used_by: None,
            offer: None,
            is_device: true,
        };
        self.store().transact::<_, StoreError>(now, |tx| {
            tx.add_invite(given);
            Ok(())
        })?;
        self.0.sync.mind_the_door();
        Ok(Invite {
            ticket: ticket.to_string(),
            expires: ticket.expires.to_rfc3339(),
            words: safety_words(&owner.certificate.person),
        })
    }

    /// Only a node with nothing of its own can become someone else.
    fn check_empty(&self) -> Result<(), Failure> {
        let (memories, peers) = self
            .store()
            .read(|state| (state.memories.len(), state.peers.len()));
        let devices = self.store().read(|state| state.own_devices().count());
        if memories + peers == 0 && devices < 2 {
            return Ok(());
        }
        let title = "this node has a life of its own already; nothing was changed";
        Err(Failure::new(ErrorCode::Conflict, title)
            .because(format!(
                "it holds {memories} memories, {peers} peers and {devices} devices, which would \
                 be lost"
            ))
            .hint("start a node on an empty folder and run this there:  BRAIN_HOME=DIR brain-node")
            .hint("bring its memories along by import or by sharing"))
    }

    /// Makes this machine a device of whoever made the ticket.
    pub async fn join_devices(&self, join: JoinDevice) -> Result<NewIdentity, Failure> {
        tokio::task::block_in_place(|| self.check_empty())?;
        let ticket: Ticket = join.ticket.parse().map_err(|error| {
            Failure::new(ErrorCode::BadTicket, format!("this is no ticket: {error}"))
                .hint("on a device you have:  brainctl device add")
        })?;
        if ticket.purpose != Purpose::Device {
            let title = "this ticket introduces two persons; it adds no device";
            return Err(Failure::new(ErrorCode::BadTicket, title)
                .hint("on a device you have:  brainctl device add"));
        }
        if ticket.expires <= clock::now() {
            return Err(super::peers::expired());
        }
        let addresses = ticket.addresses.clone();
        let network = self.0.sync.network();
        let stream = network.open(ticket.device, &ticket.addresses).await;
        let stream = stream.map_err(|error| super::peers::unreachable(&error.to_string()))?;
        let person = ticket.person;
        let (outcome, answer) = oneshot::channel();
        let introduction = Introduction {
            ticket,
            petname: None,
            outcome,
        };
        self.0
            .sync
            .spawn(stream, Role::Initiator, Some(introduction));
        let enrolled = match tokio::time::timeout(JOIN_MAX, answer).await {
            Ok(Ok(Outcome::Enrolled(enrolled))) if enrolled.certificate.person == person => {
                enrolled
            }
            Ok(Ok(Outcome::Refused(because))) => return Err(super::peers::refused(because)),
            Ok(_) => {
                let why = "the connection ended before an answer";
                return Err(super::peers::unreachable(why));
            }
            Err(_) => return Err(super::peers::unreachable("no answer in time")),
        };
        tokio::task::block_in_place(|| {
            self.check_empty()?;
            let written = self.0.identity.join(&enrolled, addresses);
            written.map_err(|error| not_written(&error))
        })?;
        Ok(self.start_again_as(&enrolled.certificate))
    }

    /// Makes this machine a device of the person whose recovery phrase it is.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the edge hands over what it decoded"
    )]
    pub fn recover(&self, phrase: Phrase) -> Result<NewIdentity, Failure> {
        self.check_empty()?;
        let root = read_phrase(&phrase.phrase)?;
        let written = self.0.identity.recover(&root);
        let certificate = written.map_err(|error| not_written(&error))?;
        Ok(self.start_again_as(&certificate))
    }

    /// Ends the node in a moment, so that it starts again under its new identity.
    fn start_again_as(&self, certificate: &DeviceCertificate) -> NewIdentity {
        self.0.ending.get_or_init(|| Ending::Again);
        let shutdown = self.0.shutdown.clone();
        self.0.tasks.spawn(async move {
            tokio::time::sleep(FAREWELL).await;
            shutdown.cancel();
        });
        NewIdentity {
            person: to_did(&certificate.person),
            words: safety_words(&certificate.person),
            device: certificate.device.to_string(),
        }
    }

    /// Returns the recovery phrase.
    pub fn phrase(&self) -> Result<Phrase, Failure> {
        let root = self.store().owner().root.as_ref();
        let root = root.ok_or_else(|| no_root("ask the first device, which has the root key"))?;
        Ok(Phrase {
            phrase: root.phrase().to_string(),
        })
    }

    /// Names a device.
    pub fn patch_device(&self, device: &str, patch: DevicePatch) -> Result<Device, Failure> {
        check_name(&patch.name)?;
        let device = self.find_device(device)?;
        let taken = self.store().read(|state| state.own_device(&patch.name));
        if taken.is_some_and(|taken| taken != device && !self.is_retired(taken)) {
            let title = "another device has this name already";
            return Err(Failure::new(ErrorCode::Conflict, title));
        }
        self.store()
            .transact::<_, AppendError>(clock::now(), |tx| tx.name_device(device, patch.name))?;
        self.wrote("device.named", device.to_string());
        let shown = self.store().read(|state| {
            let found = state.authority.device(&device);
            found.map(|found| self.show_device(state, &found.certificate))
        });
        shown.ok_or_else(|| Failure::not_found("device", &device.to_string()))
    }

    fn is_retired(&self, device: DeviceId) -> bool {
        self.store().read(|state| state.is_retired(&device))
    }

    /// Retires a device.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the edge hands over what it decoded"
    )]
    pub fn retire_device(&self, name: &str, request: RetireDevice) -> Result<Retired, Failure> {
        let device = self.find_device(name)?;
        let root = request.phrase.as_deref().map(read_phrase).transpose()?;
        let person = self.store().owner().certificate.person;
        if root.as_ref().is_some_and(|root| root.id() != person) {
            let title = "this recovery phrase is another person's; nothing was changed";
            return Err(Failure::new(ErrorCode::Forbidden, title));
        }
        let (name, epoch) = self
            .store()
            .transact::<_, RetireError>(clock::now(), |tx| {
                tx.retire(device, root.as_ref())?;
                let state = tx.state();
                Ok((state.device_name(&device), state.rotation))
            })
            .map_err(|error| not_retired(error, name))?;
        self.wrote("device.retired", device.to_string());
        let sync = self.0.sync.clone();
        let party = Party {
            person,
            device: Some(device),
        };
        self.0.tasks.spawn(async move { sync.close(party).await });
        Ok(Retired {
            device: device.to_string(),
            name,
            epoch,
            notice: NOTICE.to_owned(),
        })
    }
}

fn no_root(hint: &str) -> Failure {
    let title = "the root key is not on this device";
    Failure::new(ErrorCode::Forbidden, title).hint(hint)
}

fn not_written(error: &IdentityError) -> Failure {
    tracing::error!(%error, "the new identity could not be written");
    Failure::new(
        ErrorCode::Internal,
        "the new identity could not be written; nothing was changed",
    )
    .because(error.to_string())
}

fn not_retired(error: RetireError, name: &str) -> Failure {
    let detail = error.to_string();
    match error {
        RetireError::Unknown(_) => Failure::not_found("device", name),
        RetireError::Itself => Failure::new(ErrorCode::Conflict, detail)
            .hint("run this on another device of yours, or on one recovered from the words"),
        RetireError::Already => Failure::new(ErrorCode::Conflict, detail),
        RetireError::Older => Failure::new(ErrorCode::Forbidden, detail)
            .because("only an older device or the recovery phrase can retire a device")
            .hint(format!(
                "brainctl device revoke {name} --phrase FILE      with the 24 words"
            )),
        RetireError::Append(error) => error.into(),
    }
}
