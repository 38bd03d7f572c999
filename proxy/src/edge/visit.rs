//! A client's connection from its first head to its last, one request at a time.

use crate::client::Peer;
use crate::exchange::{self, Line, Order};
use crate::h2;
use crate::head::read::{Came, read};
use crate::lifecycle::{Awaited, Phase};
use crate::refusal::Refusal;
use crate::tunnel::{self, Upgrade};

use super::{Edge, Guest, Step, decide};

/// A client's connection between its requests. One box of it is all that an idle connection has beside its socket.
pub(super) struct Visit {
    edge: Edge,
    line: Line,
    peer: Peer,
    guest: Guest,
    draining: Awaited,
    /// Requests so far.
    served: u32,
}

/// How a visit goes on.
enum Next {
    Request,
    End,
    Http2,
    Tunnel(Box<Upgrade>),
    Refuse(Refusal),
}

impl Visit {
    #[must_use]
    pub(super) fn new(edge: Edge, line: Line, peer: Peer, guest: Guest) -> Self {
        Self {
            draining: edge.context.life.awaited(Phase::Draining),
            edge,
            line,
            peer,
            guest,
            served: 0,
        }
    }

    /// Takes one request after the other.
    pub(super) async fn converse(mut self: Box<Self>) {
        let next = loop {
            match self.next().await {
                Next::Request => {}
                next => break next,
            }
        };
        let Self {
            edge,
            line: Line { socket, bytes, .. },
            peer,
            guest,
            ..
        } = *self;
        match next {
            Next::Request | Next::End => {}
            Next::Http2 => Box::pin(h2::serve(edge, guest, peer, socket, bytes)).await,
            Next::Tunnel(upgrade) => {
                // A task of its own, so that this one and its larger state end here.
                tokio::spawn(tunnel::run(socket, upgrade, edge.context, guest));
            }
            Next::Refuse(refusal) => {
                let _guest = guest;
                Box::pin(edge.refuse(socket, peer.ip, refusal)).await;
            }
        }
    }

    /// Reads one head and carries it out, or tells who shall.
    async fn next(&mut self) -> Next {
        let end = match self.read_head().await {
            Came::Head(end) => end,
            Came::Nothing => return Next::End,
            Came::Refused(refusal) => return Next::Refuse(refusal),
        };
        // Taken only now: the wait for the head may have lasted over a reload.
        let snapshot = self.edge.peek();
        let bytes = &mut self.line.bytes;
        if self.served == 0 && snapshot.limits.http2 && bytes.starts_with(h2::PREFACE) {
            return Next::Http2;
        }
        self.served = self.served.saturating_add(1);
        match decide(&snapshot, self.peer, bytes, end) {
            Step::Exchange(mut order) => {
                order.is_kept &= self.served < snapshot.limits.client_keepalive_requests;
                drop(snapshot);
                if Box::pin(self.exchange(order)).await {
                    Next::Request
                } else {
                    Next::End
                }
            }
            Step::Tunnel(upgrade) => Next::Tunnel(upgrade),
            Step::Refuse(refusal) => Next::Refuse(refusal),
        }
    }

    /// Reads the next head. An idle connection ends when the proxy drains; one that is inside a head may finish it.
    async fn read_head(&mut self) -> Came {
        let bounds = self.edge.bounds(self.served == 0);
        let Line {
            socket,
            bytes,
            alarm,
        } = &mut self.line;
        tokio::select! {
            biased;
            came = read(socket, bytes, bounds, alarm) => return came,
            () = &mut self.draining => {}
        }
        if bytes.is_empty() {
            return Came::Nothing;
        }
        let mut closing = self.edge.context.life.awaited(Phase::Closing);
        Box::pin(async {
            tokio::select! {
                came = read(socket, bytes, bounds, alarm) => came,
                () = &mut closing => Came::Nothing,
            }
        })
        .await
    }

    /// Carries out one request, unless the proxy closes meanwhile. Tells whether the connection may go on.
    async fn exchange(&mut self, order: Box<Order>) -> bool {
        let Edge {
            context, worker, ..
        } = &self.edge;
        // Only who sees the drain asks for what comes behind it.
        let closing = async {
            (&mut self.draining).await;
            context.life.reached(Phase::Closing).await;
        };
        tokio::select! {
            biased;
            is_kept = exchange::run(&mut self.line, order, context, worker) => is_kept,
            () = closing => false,
        }
    }
}
