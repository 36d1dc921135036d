//! The waiting room: connections from outside that have not finished their handshake.
//!
//! Whoever opens a thousand connections and says nothing must not take the place of someone who
//! does speak. Refusing newcomers when the room is full would do just that, so the room never
//! refuses: it shows the oldest out, of the source that has the most in it. An honest handshake
//! takes a few round trips, so it is done long before it is the oldest.
//!
//! ```text
//! transport -- Incoming --> Places::enter --> handshake | shown out | too late
//! ```
//!
//! A QUIC connection that we give up lingers for three probe timeouts and takes about 55 kB while
//! it does; the library has no way to turn one away before that. So its room also counts those who
//! linger, and lets nobody in while there are too many: whoever is not patient comes over TCP,
//! which has a room of its own and lingers not at all.
//!
//! Invariant: at most [`Room::places`] handshakes are under way in a room, none for longer than
//! [`HANDSHAKE`], and at most [`Room::lingering`] connections linger.

use libp2p::PeerId;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{Boxed, DialOpts, ListenerId, TransportError, TransportEvent};
use libp2p::core::{Multiaddr, Transport};
use libp2p::multiaddr::Protocol;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::time::Sleep;

/// How many may be in a room.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// Handshakes under way at once: an honest one is done before as many newcomers have come.
    pub(super) places: usize,
    /// Connections that were given up and are not gone yet.
    pub(super) lingering: usize,
}

/// QUIC: 208 connections of 55 kB; a flood is let in at about 50 a second.
pub(super) const QUIC: Room = Room {
    places: 48,
    lingering: 160,
};
/// TCP: a silent connection is a file and little else, and closes at once. With round trips of
/// 100 ms a flood has to open 2,500 connections a second to show an honest one out.
pub(super) const TCP: Room = Room {
    places: 256,
    lingering: usize::MAX,
};
/// How long a connection lingers: three probe timeouts of one that never measured a round trip.
const LINGERS: Duration = Duration::from_secs(3);
/// How often a room that lets nobody in looks whether it may again.
const LOOK: Duration = Duration::from_millis(20);
/// How long a handshake may take, also one that we began.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(5);
/// The bits of an IPv6 address that name a network: one household has all addresses of it.
const IPV6_NETWORK: u128 = !0 << 64;

type Connected = (PeerId, StreamMuxerBox);
type Pending = Pin<Box<dyn Future<Output = io::Result<Connected>> + Send>>;

/// A transport with a waiting room.
pub(super) struct WaitingRoom {
    inner: Boxed<Connected>,
    places: Places,
    /// Runs while nobody is let in.
    look: Pin<Box<Sleep>>,
}

impl WaitingRoom {
    pub(super) fn new(inner: Boxed<Connected>, room: Room) -> Self {
        let places = Places::of(room);
        let look = Box::pin(tokio::time::sleep(LOOK));
        Self {
            inner,
            places,
            look,
        }
    }
}

impl Transport for WaitingRoom {
    type Output = Connected;
    type Error = io::Error;
    type ListenerUpgrade = Pending;
    type Dial = Pending;

    fn listen_on(
        &mut self,
        id: ListenerId,
        addr: Multiaddr,
    ) -> Result<(), TransportError<io::Error>> {
        self.inner.listen_on(id, addr)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.inner.remove_listener(id)
    }

    fn dial(
        &mut self,
        addr: Multiaddr,
        opts: DialOpts,
    ) -> Result<Pending, TransportError<io::Error>> {
        let dialled = self.inner.dial(addr, opts)?;
        Ok(Box::pin(async {
            let late = io::Error::from(io::ErrorKind::TimedOut);
            let done = tokio::time::timeout(HANDSHAKE, dialled).await;
            done.unwrap_or(Err(late))
        }))
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<TransportEvent<Pending, io::Error>> {
        while self.places.is_crowded(Instant::now()) {
            self.look.as_mut().reset((Instant::now() + LOOK).into());
            std::task::ready!(self.look.as_mut().poll(cx));
        }
        let event = std::task::ready!(Transport::poll(Pin::new(&mut self.inner), cx));
        Poll::Ready(match event {
            TransportEvent::Incoming {
                listener_id,
                upgrade,
                local_addr,
                send_back_addr,
            } => {
                let place = self.places.enter(source(&send_back_addr));
                TransportEvent::Incoming {
                    listener_id,
                    upgrade: Box::pin(place.wait_for(upgrade)),
                    local_addr,
                    send_back_addr,
                }
            }
            other => other,
        })
    }
}

/// Returns where a connection comes from, as far as one attacker has many of it.
fn source(address: &Multiaddr) -> Option<IpAddr> {
    address.iter().find_map(|part| match part {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(Ipv6Addr::from_bits(ip.to_bits() & IPV6_NETWORK).into()),
        _ => None,
    })
}

/// The places of a waiting room.
#[derive(Debug, Clone)]
struct Places(Arc<Mutex<Taken>>);

#[derive(Debug)]
struct Taken {
    room: Room,
    next: u64,
    /// When each of those who linger was given up.
    lingering: VecDeque<Instant>,
    /// By number, so the first is the oldest. Dropping the sender shows whoever waits out.
    places: BTreeMap<u64, (Option<IpAddr>, oneshot::Sender<()>)>,
}

impl Taken {
    /// Returns the oldest of the source that has the most.
    fn least_welcome(&self) -> Option<u64> {
        let mut sources: BTreeMap<Option<IpAddr>, (usize, u64)> = BTreeMap::new();
        for (number, (source, _)) in &self.places {
            sources.entry(*source).or_insert((0, *number)).0 += 1;
        }
        let crowded = sources.into_values();
        crowded
            .max_by_key(|(count, oldest)| (*count, std::cmp::Reverse(*oldest)))
            .map(|(_, oldest)| oldest)
    }
}

impl Places {
    fn of(room: Room) -> Self {
        Self(Arc::new(Mutex::new(Taken {
            room,
            next: 0,
            lingering: VecDeque::new(),
            places: BTreeMap::new(),
        })))
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whether too many linger for anyone to be let in.
    fn is_crowded(&self, now: Instant) -> bool {
        let mut taken = self.taken();
        let is_gone = |since: &Instant| now.saturating_duration_since(*since) >= LINGERS;
        while taken.lingering.front().is_some_and(is_gone) {
            taken.lingering.pop_front();
        }
        taken.lingering.len() >= taken.room.lingering
    }

    fn enter(&self, source: Option<IpAddr>) -> Place {
        let mut taken = self.taken();
        if taken.places.len() >= taken.room.places
            && let Some(number) = taken.least_welcome()
        {
            taken.places.remove(&number);
        }
        let number = taken.next;
        taken.next += 1;
        let (stay, shown_out) = oneshot::channel();
        taken.places.insert(number, (source, stay));
        Place {
            places: self.clone(),
            number,
            shown_out,
            is_done: false,
        }
    }
}

/// A place in the room; it is free again when this is dropped.
struct Place {
    places: Places,
    number: u64,
    shown_out: oneshot::Receiver<()>,
    /// Whether the handshake was finished.
    is_done: bool,
}

impl Place {
    /// Waits for a handshake, as long as it may wait here.
    async fn wait_for(mut self, handshake: Pending) -> io::Result<Connected> {
        tokio::select! {
            biased;
            done = handshake => {
                self.is_done = done.is_ok();
                done
            }
            _ = &mut self.shown_out => Err(io::Error::other("shown out for a newcomer")),
            () = tokio::time::sleep(HANDSHAKE) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.places.remove(&self.number);
        if !self.is_done && taken.room.lingering < usize::MAX {
            taken.lingering.push_back(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACES: usize = TCP.places;

    fn is_here(place: &mut Place) -> bool {
        place.shown_out.try_recv() == Err(oneshot::error::TryRecvError::Empty)
    }

    #[test]
    fn a_crowd_shows_out_its_own_oldest_and_nobody_else() {
        let places = Places::of(TCP);
        let ip = |last: u8| Some(IpAddr::from([10, 0, 0, last]));
        let mut honest = places.enter(ip(1));
        let mut crowd: Vec<Place> = (0..3 * PLACES).map(|_| places.enter(ip(2))).collect();
        assert!(is_here(&mut honest), "the honest one stays");
        let here = crowd.iter_mut().map(is_here).collect::<Vec<_>>();
        let first_here = here.iter().position(|here| *here);
        assert_eq!(first_here, Some(2 * PLACES + 1), "the oldest went first");
        drop(crowd);
        assert_eq!(places.taken().places.len(), 1, "places become free");
    }

    #[test]
    fn with_one_source_the_newest_stay() {
        let places = Places::of(TCP);
        let mut all: Vec<Place> = (0..=PLACES).map(|_| places.enter(None)).collect();
        let here: Vec<bool> = all.iter_mut().map(is_here).collect();
        assert!(!here[0] && here[1..].iter().all(|here| *here));
    }

    #[test]
    fn nobody_is_let_in_while_too_many_linger() {
        let places = Places::of(QUIC);
        let now = Instant::now();
        for _ in 0..QUIC.lingering {
            assert!(!places.is_crowded(now));
            drop(places.enter(None));
        }
        assert!(places.is_crowded(now));
        let mut done = places.enter(None);
        done.is_done = true;
        drop(done);
        assert!(!places.is_crowded(Instant::now() + LINGERS));
        assert!(places.taken().lingering.is_empty(), "they are gone");
    }

    #[test]
    fn a_household_is_one_source() {
        let of = |text: &str| source(&text.parse().expect("an address"));
        let one = of("/ip6/2001:db8:1:2:3::4/udp/1/quic-v1");
        assert_eq!(one, of("/ip6/2001:db8:1:2:ffff::9/tcp/2"));
        assert_ne!(one, of("/ip6/2001:db8:1:3::4/tcp/2"));
        assert_ne!(of("/ip4/10.0.0.1/tcp/1"), of("/ip4/10.0.0.2/tcp/1"));
    }
}
