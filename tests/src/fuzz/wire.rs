//! What a connected peer says: frames, control messages, content, reconciliation, and sessions.

use super::events;
use super::ledger::signed_checkpoint;
use super::persons::{certified, person, sealed};
use super::{Subject, Target, slow, target};
use crdt::codec::Canonical as _;
use crdt::event::Incarnation;
use crdt::hash::Hash;
use crdt::id::{DeviceId, EventId, MemoryId};
use crdt::time::Timestamp;
use protocol::blob;
use protocol::limits::FRAME_BYTES_MAX;
use protocol::reconcile::{Run, Salt};
use protocol::session::{Admission, Effect, Input, Role, Session};
use protocol::trace::TraceContext;
use protocol::view::{Item, Summary, View};
use protocol::wire::brief::{Again, Digest, Recent, Topic};
use protocol::wire::content::Content;
use protocol::wire::control::{Control, Enrolled, FeedTip, Hello, RefusedBecause, RefusedEvent};
use protocol::wire::{self, FRAME_HEADER_BYTES, Message, VERSION_MAX, VERSION_MIN};
use std::cell::RefCell;

/// The targets.
pub(super) const TARGETS: [Target; 11] = [
    slow("reconciliation of 100,000", 5_000, reconcile_many),
    target("stream of frames", frames),
    target("control message", control),
    target("content message", content),
    slow("reconciliation, as responder", 200_000, answer),
    slow("reconciliation, as initiator", 200_000, step),
    target("session, greeting", greeting),
    target("session, syncing", syncing),
    target("summary of a view", summary),
    target("request for an attachment", blob_request),
    target("answer with an attachment", blob_answer),
];

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn hello(seed: u8) -> Hello {
    Hello {
        version_min: VERSION_MIN,
        version_max: VERSION_MAX,
        certificate: certified(seed),
        nonce: [seed; 16],
        alias: "ana".to_owned(),
        addresses: vec!["/ip4/127.0.0.1/udp/5/quic-v1".to_owned()],
        ticket: (seed == 3).then_some([5; 16]),
    }
}

fn tip(number: u8) -> FeedTip {
    FeedTip {
        author: DeviceId([number; 32]),
        incarnation: Incarnation([1; 16]),
        feed: Hash([number; 32]),
        next: number.into(),
    }
}

fn summary_of(items: u64) -> Summary {
    view(items).summary()
}

/// One message of every kind, some of them twice.
fn messages() -> Vec<Control> {
    let checkpoint = || Box::new(signed_checkpoint(person(3).id()));
    let refused = RefusedEvent {
        event: EventId([3; 32]),
        code: "fork".to_owned(),
    };
    vec![
        Control::Hello(Box::new(hello(2))),
        Control::Hello(Box::new(hello(3))),
        Control::Refused(RefusedBecause::TicketUsed),
        Control::Frontier(vec![tip(1), tip(2), tip(3)]),
        Control::Consent {
            events: events::signed().into_iter().take(2).collect(),
            last: true,
        },
        Control::Proof {
            summary: summary_of(9),
            wants_answer: true,
        },
        Control::Reconcile {
            first: true,
            bytes: run(50).initiate().expect("a run begins"),
        },
        Control::Want(vec![[1; 32], [2; 32]]),
        Control::Stored {
            stored: 2,
            refused: vec![refused],
        },
        Control::Withheld(3),
        Control::Bye,
        Control::Echo(None),
        Control::Echo(Some(checkpoint())),
        Control::Checkpoint {
            checkpoint: checkpoint(),
            proof: vec![Hash([1; 32]), Hash([2; 32])],
        },
        Control::Enrolled(Box::new(Enrolled {
            certificate: certified(1),
            host: certified(2),
        })),
        Control::Again(Again {
            nonce: [4; 16],
            both: Digest::of_greetings(&hello(2), &hello(1)),
        }),
        Control::Tell(Topic::Hello),
        Control::Tell(Topic::Held),
        Control::Tell(Topic::Whole),
        Control::Tell(Topic::Proof),
        Control::ProofIs(Digest::of_view(&view(40).summary())),
        Control::Trace(None),
        Control::Trace(TraceContext::new([1; 16], [2; 8], true)),
        Control::FrontierIs(Digest::of_frontier(&[tip(1)])),
        Control::EchoIs(Digest::of_held(None)),
        Control::Recent(Recent {
            since: 9,
            before: view(40).before(9),
            bytes: run(50).initiate().expect("a run begins"),
        }),
    ]
}

fn contents() -> Vec<Content> {
    vec![
        Content::default(),
        Content {
            events: events::signed(),
            keys: vec![sealed(1), sealed(2)],
        },
    ]
}

fn control() -> Subject {
    Subject::canonical(&messages(), drop)
}

fn content() -> Subject {
    Subject::canonical(&contents(), |content: Content| {
        for event in &content.events {
            std::hint::black_box(crdt::event::Signed::from_bytes(event).is_ok());
        }
    })
}

fn blob_request() -> Subject {
    let ask = blob::Request::Ask {
        memory: MemoryId([3; 32]),
        blob: Hash([4; 32]),
        keys: [Hash([8; 32])].into(),
    };
    Subject::canonical(&[ask, blob::Request::From(7)], drop)
}

fn blob_answer() -> Subject {
    let answers = [
        blob::Answer::Refused,
        blob::Answer::Outline {
            key: Hash([8; 32]),
            sealed: vec![5; 300],
        },
        blob::Answer::Chunk {
            index: 2,
            sealed: vec![6; 90],
        },
    ];
    Subject::canonical(&answers, drop)
}

fn summary() -> Subject {
    let mine = summary_of(9);
    Subject::canonical(&[mine, summary_of(0)], move |theirs: Summary| {
        let equal = theirs == mine;
        assert_eq!(
            equal,
            theirs.to_bytes() == mine.to_bytes(),
            "equal, and not"
        );
    })
}

/// Takes frames off a stream as the driver does, until it ends or breaks.
fn frames() -> Subject {
    let mut seeds: Vec<Vec<u8>> = messages().iter().map(wire::control_frame).collect();
    seeds.extend(contents().iter().map(wire::content_frame));
    let short = messages().into_iter().skip(4).take(6);
    seeds.push(
        short
            .flat_map(|message| wire::control_frame(&message))
            .collect(),
    );
    Subject::new(seeds, |stream| {
        let mut rest = stream;
        let mut read = 0;
        while let Some((header, after)) = rest.split_first_chunk::<FRAME_HEADER_BYTES>() {
            let Some(length) = wire::frame_length(*header) else {
                break;
            };
            assert!(length <= FRAME_BYTES_MAX, "a frame over the limit");
            let Some((frame, after)) = after.split_at_checked(length) else {
                break;
            };
            rest = after;
            let Ok(message) = Message::from_frame(frame) else {
                break;
            };
            let again = match &message {
                Message::Control(control) => wire::control_frame(control),
                Message::Content(content) => wire::content_frame(content),
            };
            assert_eq!(
                again.get(FRAME_HEADER_BYTES..),
                Some(frame),
                "another frame"
            );
            read += 1;
        }
        read > 0
    })
}

fn item(number: u64) -> Item {
    let mut id = [0; 32];
    let hash = Hash::of("second-brain 2026 fuzzed item", &[&number.to_le_bytes()]);
    id.copy_from_slice(&hash.0);
    Item {
        time: number / 3,
        id,
    }
}

fn view(items: u64) -> View {
    View::new((0..items).map(item), items)
}

fn salt() -> Salt {
    Salt::new(&[1; 16], &[2; 16])
}

fn run(items: u64) -> Run {
    Run::new(&view(items), &salt(), None).expect("a view makes a run")
}

/// The messages of the initiator and of the responder, while they find what differs.
fn conversation(items: u64) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let other = (0..items).filter(|number| number % 29 != 3).map(item);
    let other = View::new(other, items);
    let mut responder = Run::new(&other, &salt(), None).expect("a view makes a run");
    let mut initiator = run(items);
    let (mut asked, mut answered) = (Vec::new(), Vec::new());
    let mut next = Some(initiator.initiate().expect("a run begins"));
    while let Some(message) = next {
        let reply = responder.answer(&message).expect("it is answered");
        asked.push(message);
        next = initiator.step(&reply).expect("it is understood").next;
        answered.push(reply);
    }
    (asked, answered)
}

const SOME: u64 = 300;
/// Under libFuzzer, which makes all subjects of a family first, less has to do.
const MANY: u64 = if cfg!(fuzzing) { 2_000 } else { 100_000 };

fn answering(items: u64) -> Subject {
    let (seeds, _) = conversation(items);
    let run = RefCell::new(run(items));
    Subject::new(seeds, move |message| {
        run.borrow_mut().answer(message).is_ok_and(|reply| {
            let read = Control::Reconcile {
                first: false,
                bytes: reply,
            };
            assert!(Control::from_bytes(&read.to_bytes()).is_ok(), "too long");
            true
        })
    })
}

fn answer() -> Subject {
    answering(SOME)
}

fn reconcile_many() -> Subject {
    answering(MANY)
}

fn step() -> Subject {
    let (_, seeds) = conversation(SOME);
    let mut begun = run(SOME);
    begun.initiate().expect("a run begins");
    let begun = RefCell::new(begun);
    Subject::new(seeds, move |message| {
        begun.borrow_mut().step(message).is_ok()
    })
}

/// Who speaks in a session: device 1, and device 2 of another person.
struct Pair {
    own: Hello,
    theirs: Hello,
}

impl Pair {
    fn new() -> Self {
        let (own, theirs) = (hello(1), hello(2));
        Self { own, theirs }
    }

    /// A session that was connected a moment ago.
    fn connected(&self, role: Role) -> Session {
        let mut session = Session::new(role, self.theirs.certificate.device, self.own.clone());
        drop(session.handle(Input::Started, NOW));
        session
    }

    /// A session that has greeted, exchanged consent and has a view.
    fn synced(&self, view: &View) -> Session {
        let mut session = self.connected(Role::Responder);
        let person = self.theirs.certificate.person;
        let last = Control::Consent {
            events: Vec::new(),
            last: true,
        };
        let steps = [
            Input::Message(Control::Hello(Box::new(self.theirs.clone()))),
            Input::Admission(Box::new(Admission::Welcome(person))),
            Input::Frontier(Vec::new()),
            Input::Message(Control::Frontier(Vec::new())),
            Input::ConsentFor(Vec::new()),
            Input::Message(last),
            Input::ConsentTaken,
            Input::View(View::default().change_to(view)),
        ];
        for step in steps {
            drop(session.handle(step, NOW));
        }
        assert!(!session.is_closed(), "the session goes on");
        session
    }
}

/// Hands a message to a session, and a run where it asks for one; tells whether it read.
fn say(session: &mut Session, view: &View, bytes: &[u8]) -> bool {
    let effects = match Message::from_frame(bytes) {
        Ok(Message::Control(control)) => session.handle(Input::Message(control), NOW),
        Ok(Message::Content(content)) => session.handle(Input::Content(content), NOW),
        Err(_) => return false,
    };
    for effect in effects {
        if let Effect::LoadRun { salt, since } = effect {
            let run = Run::new(view, &salt, since).map(Box::new);
            std::hint::black_box(session.handle(Input::Run(run), NOW));
        }
    }
    true
}

fn frame_bodies() -> Vec<Vec<u8>> {
    let controls = messages().into_iter().map(|one| wire::control_frame(&one));
    let contents = contents().into_iter().map(|one| wire::content_frame(&one));
    let bodies = controls.chain(contents);
    bodies
        .filter_map(|frame| Some(frame.get(FRAME_HEADER_BYTES..)?.to_vec()))
        .collect()
}

fn greeting() -> Subject {
    let pair = Pair::new();
    let fresh = move || {
        (
            pair.connected(Role::Responder),
            pair.connected(Role::Initiator),
        )
    };
    let sessions = RefCell::new(fresh());
    Subject::new(frame_bodies(), move |bytes| {
        let (responder, initiator) = &mut *sessions.borrow_mut();
        let none = View::default();
        let read = say(responder, &none, bytes) && say(initiator, &none, bytes);
        if read {
            assert!(!responder.status().in_sync, "in sync with a stranger");
            (*responder, *initiator) = fresh();
        }
        read
    })
}

fn syncing() -> Subject {
    let (pair, view) = (Pair::new(), view(40));
    let session = RefCell::new(pair.synced(&view));
    Subject::new(frame_bodies(), move |bytes| {
        let session = &mut *session.borrow_mut();
        let read = say(session, &view, bytes);
        if read {
            let status = session.status();
            let equal = status.mine.is_some() && status.mine == status.theirs;
            assert!(!status.in_sync || equal, "in sync, and not equal");
            *session = pair.synced(&view);
        }
        read
    })
}
