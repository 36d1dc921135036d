//! Opening: rows into memory, then the projections that lag.

use super::generations::{Generation, Generations};
use super::state::State;
use super::state::texts::Texts;
use super::{Parts, Store, StoreError, decode};
use crate::attached::Attached;
use crate::cipher::{Cipher, Context};
use crate::entropy::Entropy;
use crate::fork::Forked;
use crate::kv::sealed::OpaqueKey;
use crate::kv::{Batch, Durability, Keyspace, Kv, KvError, Scan};
use crate::late::{Mine, TrayRow};
use crate::layout::{self, meta, number_of, ordered};
use crate::projection::text::TextIndex;
use crate::quarantine::Quarantined;
use crate::records::{Facts, Invite, Member, Peer};
use crate::screen::{Guard, Screen};
use crdt::codec::Canonical;
use crdt::event::{Incarnation, Signed};
use crdt::grant::authority::Authority;
use crdt::id::MemoryId;
use crdt::time::{Hybrid, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, RwLock};

/// Log entries whose memories are indexed in one go while catching up.
const CATCH_UP_ENTRIES: u64 = 2_048;

pub(super) fn open(parts: Parts<'_>, now: Timestamp) -> Result<Store, StoreError> {
    let Parts {
        kv,
        master,
        owner,
        guard,
        text,
        model,
        entropy,
    } = parts;
    let is_whole = check_format(&*kv)?;
    let incarnation = new_writer(&entropy)?;
    let mut state = State::empty(owner.certificate.person, incarnation, guard);
    state.authority.enrol(owner.certificate.clone());
    let text = TextIndex::open(text, Cipher::new(master, Context::TextIndex))?;
    let store = Store {
        generations: Generations::new(model.1),
        selections: super::selections::Selections::default(),
        opened: super::opened::Opened::default(),
        writers: super::writers::Writers::default(),
        state: RwLock::new(state),
        text,
        kv,
        opaque: OpaqueKey::new(master),
        owner,
        entropy,
        is_suspect: AtomicBool::new(false),
    };
    let guard = store.read(|state| Arc::clone(&state.guard));
    // Half of the time is spent on vectors, and neither needs the other.
    let (loaded, vectors) = std::thread::scope(|scope| {
        let vectors = scope.spawn(|| load_vectors(&store, model));
        let loaded = is_whole.then(|| load(&store, incarnation, guard));
        (loaded, vectors.join())
    });
    vectors.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    if let Some(loaded) = loaded {
        match loaded {
            Ok(loaded) => {
                *store
                    .state
                    .write()
                    .unwrap_or_else(std::sync::PoisonError::into_inner) = loaded;
            }
            Err(error) if is_of_a_projection(&error) => {
                tracing::warn!(%error, "a projection is damaged and is made anew from the log");
                store.rebuild(now)?;
            }
            Err(error) => return Err(error),
        }
    } else {
        // A rebuild was cut short: begin it again.
        store.rebuild(now)?;
    }
    store.read(|state| catch_up_text(&store, state))?;
    store.introduce_device(now)?;
    store.rescreen(now)?;
    if store.read(|state| state.gaps.halt() == crate::gaps::Halt::Over) {
        store.transact::<_, StoreError>(now, |tx| {
            tx.end_halt();
            Ok(())
        })?;
    }
    Ok(store)
}

/// Tells whether the row that does not read is made anew by a rebuild.
fn is_of_a_projection(error: &StoreError) -> bool {
    let name = match error {
        StoreError::Row { keyspace, .. } => keyspace,
        StoreError::Kv(KvError::Corrupt { keyspace, .. }) => keyspace.0,
        _ => return false,
    };
    layout::REBUILT.iter().any(|rebuilt| rebuilt.0 == name)
}

/// Returns whether the projections are whole; writes the format into a new store.
pub(super) fn check_format(kv: &dyn Kv) -> Result<bool, StoreError> {
    match kv.get(layout::META, meta::FORMAT)?.as_deref() {
        None => {
            let mut batch = Batch::new();
            batch.put(layout::META, meta::FORMAT, vec![layout::FORMAT_VERSION, 1]);
            kv.commit(batch, Durability::Durable)?;
            Ok(true)
        }
        Some([version, whole]) if *version <= layout::FORMAT_VERSION => Ok(*whole == 1),
        Some(other) => Err(StoreError::Newer(other.first().copied().unwrap_or(u8::MAX))),
    }
}

/// Draws the name of this writer. Each opening is a writer of its own: nobody can tell a store from
/// an old copy of it that was put back, and two writers of one name would use a number twice.
pub(crate) fn new_writer(entropy: &Entropy) -> Result<Incarnation, StoreError> {
    let mut name = [0; 16];
    entropy.fill(&mut name).map_err(KvError::from)?;
    Ok(Incarnation(name))
}

/// Takes a key and a value; tells whether to go on.
pub(crate) type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> Result<bool, StoreError> + 'a;

/// Calls `visit` for every row of a keyspace.
pub(crate) fn each_row(
    kv: &dyn Kv,
    keyspace: Keyspace,
    after: Option<Vec<u8>>,
    visit: &mut Visit<'_>,
) -> Result<(), StoreError> {
    let mut scan = Scan::all();
    scan.after = after;
    loop {
        let page = kv.scan(keyspace, &scan)?;
        for item in &page.items {
            if !visit(&item.key, &item.value)? {
                return Ok(());
            }
        }
        match page.items.last() {
            Some(last) if page.more => scan.after = Some(last.key.clone()),
            _ => return Ok(()),
        }
    }
}

fn each<T: Canonical>(
    kv: &dyn Kv,
    keyspace: Keyspace,
    visit: &mut dyn FnMut(T),
) -> Result<(), StoreError> {
    each_row(kv, keyspace, None, &mut |_, value| {
        visit(decode(keyspace.0, value)?);
        Ok(true)
    })
}

impl State {
    pub(super) fn empty(
        me: crdt::id::PersonId,
        incarnation: Incarnation,
        guard: Arc<dyn Guard>,
    ) -> Self {
        let screen = guard.compile(None);
        Self::without_rows(me, incarnation, guard, screen)
    }

    /// Returns what stands in for this state while a transaction has it.
    pub(super) fn hollow(&self) -> Self {
        let (guard, screen) = (Arc::clone(&self.guard), Arc::clone(&self.screen));
        Self::without_rows(self.me, self.incarnation, guard, screen)
    }

    fn without_rows(
        me: crdt::id::PersonId,
        incarnation: Incarnation,
        guard: Arc<dyn Guard>,
        screen: Arc<dyn Screen>,
    ) -> Self {
        Self {
            me,
            incarnation,
            head: 0,
            wall: Timestamp(0),
            clock: Hybrid::default(),
            rotation: 0,
            authority: Authority::default(),
            memories: BTreeMap::new(),
            slots: BTreeMap::new(),
            names: super::state::names::Names::default(),
            sources: super::state::Sources::default(),
            attached: BTreeMap::new(),
            members: BTreeMap::new(),
            peers: BTreeMap::new(),
            invites: Vec::new(),
            texts: Texts::default(),
            late: crate::late::Late::default(),
            forks: BTreeMap::new(),
            quarantined: BTreeMap::new(),
            waiting: crate::waiting::Waiting::default(),
            gaps: crate::gaps::Gaps::default(),
            consent: BTreeMap::new(),
            screen,
            guard,
            floor: 0,
            own: super::own::Own::default(),
            changes: super::state::changes::Changes::default(),
        }
    }
}

/// Loads what is not derived from the log.
pub(super) fn load_primary(store: &Store, state: &mut State) -> Result<(), StoreError> {
    let kv = &*store.kv;
    state.authority.enrol(store.owner.certificate.clone());
    each::<Member>(kv, layout::MEMBER, &mut |member| state.add_member(&member))?;
    each::<Peer>(kv, layout::PEER, &mut |peer| {
        for certificate in &peer.certificates {
            state.authority.enrol(certificate.clone());
        }
        if peer.person == state.me {
            state.own.contact = Some(peer);
        } else {
            state.peers.insert(peer.person, peer);
        }
    })?;
    each::<Invite>(kv, layout::INVITE, &mut |invite| state.invites.push(invite))?;
    let wall = kv.get(layout::META, meta::WALL)?;
    let wall = wall.and_then(|bytes| bytes.try_into().ok());
    state.wall = Timestamp(wall.map_or(0, u64::from_le_bytes));
    each::<TrayRow>(kv, layout::TRAY, &mut |row| {
        state.late.enter(&row);
    })?;
    each::<Mine>(kv, layout::LATE, &mut |mine| {
        state.late.mine.insert(mine.event, mine);
    })?;
    state.gaps = crate::salvage::gaps_of(kv)?;
    let rotation = kv.get(layout::META, meta::ROTATION)?;
    state.rotation = rotation
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u32::from_le_bytes);
    let floor = kv.get(layout::META, meta::FLOOR)?;
    state.floor = floor
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u32::from_le_bytes);
    Ok(())
}

/// Reads the state from the rows.
pub(super) fn load(
    store: &Store,
    incarnation: Incarnation,
    guard: Arc<dyn Guard>,
) -> Result<State, StoreError> {
    let kv = &*store.kv;
    let mut state = State::empty(store.owner.certificate.person, incarnation, guard);
    load_primary(store, &mut state)?;
    let mut all = Vec::new();
    each::<Facts>(kv, layout::FACTS, &mut |mut facts| {
        state.share_names(&mut facts);
        state.clock = state.clock.max(facts.updated);
        all.push(Arc::new(facts));
    })?;
    state.put_all_facts(all);
    each::<Attached>(kv, layout::ATTACHED, &mut |row| {
        state.attached.insert(row.memory, row.attachments);
    })?;
    each_row(kv, layout::CONSENT, None, &mut |key, _| {
        let number = number_of(key).unwrap_or_default();
        let event = store.event_at(number)?;
        if let Some(event) = event {
            state.replay_consent(number, event);
        }
        Ok(true)
    })?;
    each::<Forked>(kv, layout::FORK, &mut |forked| {
        state.forks.insert(forked.memory, forked);
    })?;
    each::<Quarantined>(kv, layout::QUARANTINE, &mut |row| {
        state.quarantined.insert(row.memory, row);
    })?;
    state.adopt_policy();
    load_texts(store, &mut state)?;
    let last = kv.scan(layout::LOG, &Scan::all().descending().max(1))?;
    if let Some(item) = last.items.first() {
        state.head = number_of(&item.key).unwrap_or_default();
        if let Ok(event) = Signed::from_bytes(&item.value) {
            state.clock = state.clock.max(event.header().time);
        }
    }
    Ok(state)
}

/// Finds what contains the words that grants of mine select by.
fn load_texts(store: &Store, state: &mut State) -> Result<(), StoreError> {
    let missing = state.texts.missing(&state.authority, state.me);
    if missing.is_empty() {
        return Ok(());
    }
    state.texts.follow(&missing);
    let mine = state
        .memories
        .values()
        .filter(|facts| facts.owner == state.me);
    for memory in mine.map(|facts| facts.id).collect::<Vec<_>>() {
        let content = store.content(memory)?;
        state.texts.note(memory, content.as_ref());
    }
    Ok(())
}

fn load_vectors(store: &Store, model: (&str, usize)) -> Result<(), StoreError> {
    let kv = &*store.kv;
    let known = kv.get(layout::META, meta::VECTOR_MODEL)?;
    if known.as_deref() != Some(model.0.as_bytes()) {
        // Another model: its vectors say nothing to this one. All are made anew.
        let mut batch = Batch::new();
        batch.delete_all(layout::VECTOR);
        batch.put(
            layout::META,
            meta::VECTOR_MODEL,
            model.0.as_bytes().to_vec(),
        );
        batch.put(layout::META, meta::VECTOR_CURSOR, ordered(0).to_vec());
        return Ok(kv.commit(batch, Durability::Durable)?);
    }
    store.load_vectors(Generation::BuiltIn, model.1)
}

/// Indexes what was committed after the text index was last made durable.
///
/// Whoever calls it holds the state, so that nobody commits meanwhile: the index would take that
/// commit first, and its position with it, and what lies before would never be found.
pub(super) fn catch_up_text(store: &Store, state: &State) -> Result<(), StoreError> {
    loop {
        let (from, head) = (store.text.cursor(), state.head);
        if from >= head {
            return Ok(());
        }
        let until = head.min(from + CATCH_UP_ENTRIES);
        let mut touched: BTreeSet<MemoryId> = BTreeSet::new();
        for number in from + 1..=until {
            touched.extend(store.subject_of(state, number)?);
        }
        let touched = touched.into_iter().map(|memory| (memory, None)).collect();
        store.index_touched(touched, state, until)?;
        store.text.flush()?;
    }
}
