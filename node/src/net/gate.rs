//! The gate: asks the [`Door`] about each connection from outside before a stream can be opened.
//!
//! The transport has proved the device's key by then. Who has no place is turned away; who has
//! one, but too many of them, has the oldest closed: after a crash the old connections are dead,
//! and only the newest is worth keeping.
//!
//! Invariant: at most [`STRANGERS_MAX`] connections of strangers and [`PER_DEVICE_MAX`] of each
//! known device, and a newcomer that the door lets in is never refused for want of a place.

use super::addresses::device_of;
use super::door::{Door, Standing};
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::dummy::ConnectionHandler;
use libp2p::swarm::{
    CloseConnection, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler,
    THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::task::{Context, Poll, Waker};
use thiserror::Error;

/// Connections of devices nobody knows, while a ticket is open: a guest and a crowd before it.
const STRANGERS_MAX: usize = 16;
/// Connections of one device: one each way while both dial, and as many that died with a crash.
const PER_DEVICE_MAX: usize = 4;

#[derive(Debug, Error)]
#[error("this device has no business here")]
struct TurnedAway;

/// The behaviour that guards connections from outside.
pub(super) struct Gate {
    door: Door,
    /// Connections from outside, oldest first.
    open: Vec<(ConnectionId, PeerId)>,
    closing: VecDeque<(ConnectionId, PeerId)>,
    waker: Option<Waker>,
}

impl Gate {
    pub(super) fn new(door: Door) -> Self {
        Self {
            door,
            open: Vec::new(),
            closing: VecDeque::new(),
            waker: None,
        }
    }

    fn standing(&self, peer: &PeerId) -> Standing {
        device_of(peer).map_or(Standing::Unwelcome, |device| self.door.standing(&device))
    }

    /// Closes the oldest of those that share a place with a newcomer, if there are too many.
    fn make_room(&mut self, sharing: impl Fn(&PeerId) -> bool, places: usize) {
        let mut sharing = self.open.iter().filter(|(_, peer)| sharing(peer));
        let oldest = sharing.next().copied();
        if let Some(oldest) = oldest.filter(|_| sharing.count() + 1 >= places) {
            self.open.retain(|(id, _)| *id != oldest.0);
            self.closing.push_back(oldest);
            if let Some(waker) = self.waker.take() {
                waker.wake();
            }
        }
    }
}

impl NetworkBehaviour for Gate {
    type ConnectionHandler = ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        match self.standing(&peer) {
            Standing::Known => self.make_room(|other| *other == peer, PER_DEVICE_MAX),
            Standing::Stranger => {
                let door = self.door.clone();
                let is_stranger = |other: &PeerId| {
                    device_of(other).is_none_or(|it| door.standing(&it) != Standing::Known)
                };
                self.make_room(is_stranger, STRANGERS_MAX);
            }
            Standing::Unwelcome => return Err(ConnectionDenied::new(TurnedAway)),
        }
        Ok(ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(found) if found.endpoint.is_listener() => {
                self.open.push((found.connection_id, found.peer_id));
            }
            FromSwarm::ConnectionClosed(gone) => {
                self.open.retain(|(id, _)| *id != gone.connection_id);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {}
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        if let Some((id, peer_id)) = self.closing.pop_front() {
            let connection = CloseConnection::One(id);
            return Poll::Ready(ToSwarm::CloseConnection {
                peer_id,
                connection,
            });
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}
