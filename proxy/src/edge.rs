//! The first to meet a client: one task per connection, one head at a time.
//!
//! Owns reading heads under their bounds, refusing what breaks a rule, and deciding who carries a request out. Does
//! not carry out anything itself: WebSockets go to `tunnel` (and the connection's task ends), the rest to `exchange`.
//! Connections that begin as HTTP/2 go to `h2` as a whole.
//! Invariant: **nothing is decided about a request before its whole head was read and found unambiguous**.

use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::time::timeout;

use crate::affinity::cookie;
use crate::affinity::sid::{Reading, Stage};
use crate::alarm::Alarm;
use crate::client::{Client, Peer, Scheme, canonical};
use crate::clock::Stopwatch;
use crate::exchange::answer::Asked;
use crate::exchange::{Line, Order, Patience, Places};
use crate::h2;
use crate::head::read::Bounds;
use crate::head::{self, Body, Head, write};
use crate::headers::{FORWARDED_FOR, FORWARDED_PROTO, Fields, Forwarded};
use crate::lifecycle::{Open, Phase};
use crate::linger::{Talk, linger};
use crate::logging;
use crate::refusal::Refusal;
use crate::registry::Snapshot;
use crate::request::Request;
use crate::shared::{Context, Shared};
use crate::socket::Socket;
use crate::tls::Failed;
use crate::tunnel::{Upgrade, handshake};
use crate::workers::Worker;

mod guest;
mod visit;

pub(crate) use guest::{Crowd, Guest};
use visit::Visit;

/// How long a client that was turned away may take to read why, for others wait for its place.
const TURN_AWAY_TIMEOUT: Duration = Duration::from_secs(2);
/// Clients beyond `connections_max` that are told so at once; further ones are cut without a word.
pub(crate) const TURNED_AWAY_MAX: usize = 1024;

/// Meets all clients of one proxy.
#[derive(Clone)]
pub(crate) struct Edge {
    pub(crate) context: Context,
    pub(crate) worker: Arc<Worker>,
    /// Clients are met with a handshake first.
    pub(crate) is_tls: bool,
}

/// Who carries a request out.
enum Step {
    Exchange(Box<Order>),
    Tunnel(Box<Upgrade>),
    Refuse(Refusal),
}

impl Edge {
    /// Serves one connection to its end. `peer` is `None` on a Unix socket.
    pub(crate) async fn serve(self, socket: Socket, peer: Option<IpAddr>, open: Open) {
        // Boxed, so that the connection does not keep the space of its beginning.
        if let Some(visit) = Box::pin(self.begin(socket, peer, open)).await {
            visit.converse().await;
        }
    }

    /// Lets a client in. `None`: it was served otherwise, or not at all.
    async fn begin(
        self,
        mut socket: Socket,
        peer: Option<IpAddr>,
        open: Open,
    ) -> Option<Box<Visit>> {
        let guest = match Guest::admit(&self.context, &self.worker, peer, &open) {
            Ok(guest) => guest,
            Err(refusal) => {
                self.turn_away(socket, peer, refusal).await;
                return None;
            }
        };
        if self.is_tls {
            socket = self.shake_hands(socket, peer).await?;
        }
        let peer = Peer {
            ip: peer,
            scheme: if socket.is_tls() {
                Scheme::Https
            } else {
                Scheme::Http
            },
        };
        if socket.is_h2() {
            h2::serve(self, guest, peer, socket, BytesMut::new()).await;
            return None;
        }
        let line = Line {
            socket,
            bytes: BytesMut::new(),
            alarm: Alarm::default(),
        };
        Some(Box::new(Visit::new(self, line, peer, guest)))
    }

    /// The client's connection once it is encrypted. Whoever does not get that far is counted, and told if possible.
    async fn shake_hands(&self, socket: Socket, peer: Option<IpAddr>) -> Option<Socket> {
        let Shared { tls, metrics, .. } = &*self.context.shared;
        let snapshot = self.context.shared.registry.current();
        let life = &self.context.life;
        let accepted = tokio::select! {
            accepted = tls.accept(socket, &snapshot.limits) => accepted,
            () = life.reached(Phase::Closing) => return None,
        };
        let Failed {
            handshake,
            error,
            socket,
        } = match accepted {
            Ok((socket, handshake)) => {
                metrics.shook_hands(handshake);
                return Some(socket);
            }
            Err(failed) => failed,
        };
        metrics.shook_hands(handshake);
        tracing::debug!(
            client = peer.map(tracing::field::display),
            why = handshake.label(),
            error = error.map(tracing::field::display),
            "no TLS"
        );
        if let Some(socket) = socket {
            self.refuse(socket, peer, Refusal::PlainHttp).await;
        }
        None
    }

    /// What is served by at this moment, for a look.
    fn peek(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.context.shared.registry.peek(self.worker.number)
    }

    fn bounds(&self, is_first: bool) -> Bounds {
        let limits = &self.peek().limits;
        let idle_timeout = if is_first {
            limits.head_timeout
        } else {
            limits.client_keepalive_timeout
        };
        Bounds {
            bytes_max: limits.head_bytes_max,
            idle_timeout,
            head_timeout: limits.head_timeout,
        }
    }

    /// Tells a client that there is no place. Such clients are not counted as connections, or those that stay to read
    /// why would keep out the next.
    async fn turn_away(&self, socket: Socket, peer: Option<IpAddr>, refusal: Refusal) {
        if self.is_tls {
            // To be told takes a handshake, which costs more than a request.
            return self.context.shared.metrics.refused(refusal);
        }
        let turned_away = &self.context.shared.turned_away;
        if let Ok(_place) = turned_away.try_acquire() {
            let told = self.refuse(socket, peer, refusal);
            if timeout(TURN_AWAY_TIMEOUT, told).await.is_err() {
                tracing::debug!("a client that was turned away was slow to read why");
            }
        }
    }

    async fn refuse(&self, socket: Socket, peer: Option<IpAddr>, refusal: Refusal) {
        note(&self.context.shared, peer, refusal);
        say(socket, refusal, &self.context.shared).await;
    }
}

/// Counts and logs that a client was refused before it was known what it asks for.
pub(crate) fn note(shared: &Shared, peer: Option<IpAddr>, refusal: Refusal) {
    shared.metrics.refused(refusal);
    let client = peer.map_or_else(|| "unix:".to_owned(), |ip| canonical(ip).to_string());
    logging::refused(&client, refusal);
}

/// Tells a client why and closes.
pub(crate) async fn say(mut socket: Socket, refusal: Refusal, shared: &Shared) {
    let patience = Patience::new(&shared.registry.current().limits);
    let words = refusal.to_bytes(None);
    linger(&mut socket, &words, Talk::MayGoOn, patience.takes).await;
}

/// Decides about the head that stands in the first `end` of `bytes`.
fn decide(snapshot: &Snapshot, peer: Peer, bytes: &mut BytesMut, end: usize) -> Step {
    let mut room = head::room();
    let (head_bytes, _) = bytes.split_at(end.min(bytes.len()));
    let head = match head::parse(head_bytes, &mut room) {
        Ok(head) => head,
        Err(refusal) => return Step::Refuse(refusal),
    };
    let request = match request(snapshot, peer, &head) {
        Ok(request) => request,
        Err(refusal) => return Step::Refuse(refusal),
    };
    if !head.is_websocket() {
        let mut order = Box::new(order(snapshot, &head, head_bytes, request));
        order.text = if bytes.len() == end {
            std::mem::take(bytes)
        } else {
            bytes.split_to(end)
        };
        return Step::Exchange(order);
    }
    if head.body != Body::None {
        return Step::Refuse(Refusal::BadRequest("a WebSocket handshake with a body"));
    }
    let server_target = request.target(head.target);
    let server_head = handshake::request_head(&head, server_target, &request.forwarded);
    let (host, target) = (
        String::from_utf8_lossy(head.host).into_owned(),
        head.target.to_owned(),
    );
    let rest = bytes.split_off(end);
    Step::Tunnel(Box::new(Upgrade {
        request,
        head: server_head,
        rest,
        host,
        target,
    }))
}

/// A request as the exchange carries it out.
fn order(snapshot: &Snapshot, head: &Head<'_, '_>, head_bytes: &[u8], request: Request) -> Order {
    let is_handshake = matches!(
        request.sid,
        Reading::Handshake {
            is_polling: true,
            ..
        }
    );
    // A compressed answer could not be read.
    let without = is_handshake.then_some("Accept-Encoding");
    let place = |part: &[u8]| place(part, head_bytes);
    Order {
        head: write::for_server(
            head,
            request.target(head.target),
            &request.forwarded,
            without,
        ),
        body: head.body,
        asked: Asked {
            is_head: head.method == "HEAD",
            is_http11: head.is_http11,
            is_handshake,
        },
        is_kept: head.is_kept(),
        patience: Patience::new(&snapshot.limits),
        places: Places {
            method: place(head.method.as_bytes()),
            host: place(head.host),
            target: place(head.target.as_bytes()),
            origin: head.fields.first_of("Origin").map(place),
        },
        text: BytesMut::new(),
        request,
    }
}

/// Where a part of `whole` lies in it.
fn place(part: &[u8], whole: &[u8]) -> Range<usize> {
    let start = part.as_ptr().addr().saturating_sub(whole.as_ptr().addr());
    start..start + part.len()
}

/// Who asks for what.
pub(crate) fn request(
    snapshot: &Snapshot,
    peer: impl Into<Peer>,
    head: &Head<'_, '_>,
) -> Result<Request, Refusal> {
    let began = Stopwatch::start();
    let upstream = snapshot
        .routes
        .find(head.host, head.path)
        .and_then(|index| snapshot.upstreams.get(index))
        .ok_or(Refusal::NoRoute)?;
    if head.fields.len() > snapshot.limits.head_fields_max {
        return Err(Refusal::TooManyFields);
    }
    let body_bytes_max = snapshot.limits.body_bytes_max;
    if let Body::Length(length) = head.body
        && length > body_bytes_max
    {
        return Err(Refusal::BodyTooLarge);
    }
    let client = Client::behind(
        peer,
        &snapshot.trusted_proxies,
        head.fields.all(FORWARDED_FOR),
        head.fields.first_of(FORWARDED_PROTO),
    );
    let sticky = upstream.cookie.as_ref();
    let cookie = sticky.map(|sticky| sticky.read(head.fields.all("Cookie")));
    let hash_key = upstream.hash_key.as_ref().map(|key| key.of(&client, head));
    let sid = upstream.sid.as_ref();
    Ok(Request {
        sid: sid.map_or(Reading::Plain, |sid| sid.read(head.method, head.target)),
        stage: Stage::of(head.method, head.target),
        forwarded: Forwarded::of(&client, head.fields),
        cookie: cookie.unwrap_or(cookie::Reading::Absent),
        hash_key: hash_key.unwrap_or_default(),
        upstream: Arc::clone(upstream),
        client,
        body_bytes_max,
        began,
    })
}
