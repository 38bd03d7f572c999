//! Clients that speak HTTP/2: many requests at once on one connection.
//!
//! Owns the connection: how many streams it may have, how long it may idle, and its goodbye. The protocol is Pingora's
//! (the `h2` crate), and so is carrying requests out (`forward`), with the decisions that every other request gets.
//! WebSockets never come here: that HTTP/2 could carry them (RFC 8441) is not told, so browsers open them over HTTP/1.1.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::BytesMut;
use pingora::apps::{HttpServerApp, ReusedHttpStream, ServerApp as _};
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::{H2Options, default_h2_options};
use pingora::proxy::HttpProxy;
use pingora::server::ShutdownWatch;
use pingora::server::configuration::ServerConf;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::client::Peer;
use crate::edge::{self, Edge, Guest};
use crate::exchange::Patience;
use crate::head;
use crate::lifecycle::Phase;
use crate::refusal::Refusal;
use crate::settings::Settings;
use crate::shared::Shared;
use crate::socket::Socket;

mod envelope;
mod errand;
mod errors;
mod forward;
mod passage;
mod stream;
mod uses;

use errand::{Carried, Errand};
use forward::Forward;
use stream::Lent;

/// What every connection begins with (RFC 9113 §3.4), up to where the head of a request would end.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\n";
/// How long a connection without a request stays after it was told to end: for last bytes, and for who does not listen.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(2);
/// What all bodies of one connection may have sent that no server took yet. One stalled body, of which 64 KiB may wait,
/// must not stop the others.
const WINDOW_BYTES: u32 = 256 * 1024;
/// What may wait for the client, per stream.
const SEND_BUFFER_BYTES_MAX: usize = 64 * 1024;
/// Streams that were cancelled while their servers are dialled are served on for a moment: so many times
/// `http2_streams_max` may be served in all, for the client may have begun others meanwhile.
const STREAMS_RATIO_MAX: usize = 2;
/// Pingora gives up a request after this many servers; ours end it first, by `tries` or when all were tried.
const TRIES_MAX: usize = 1024;

/// Carries out the requests of one worker's clients, and keeps connections to servers for them.
#[derive(Clone)]
pub(crate) struct Carrier(Arc<HttpProxy<Forward>>);

impl Carrier {
    #[must_use]
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        let conf = Arc::new(pingora_conf(&shared.registry.settings()));
        let forward = Forward::new(Arc::clone(shared));
        Self(Arc::new(pingora::proxy::http_proxy(&conf, forward)))
    }
}

impl fmt::Debug for Carrier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Carrier")
    }
}

fn pingora_conf(settings: &Settings) -> ServerConf {
    let kept = settings.upstreams.iter().map(|upstream| upstream.keepalive);
    ServerConf {
        threads: 1,
        upstream_keepalive_pool_size: kept.sum::<usize>().max(1),
        max_retries: TRIES_MAX,
        ..ServerConf::default()
    }
}

/// One client's connection, shared by the tasks of its streams.
struct Visit {
    edge: Edge,
    peer: Peer,
    /// Streams that are being served.
    active: watch::Sender<usize>,
    _guest: Guest,
}

/// Serves a connection to its end. `before` was read of it already.
pub(crate) async fn serve(edge: Edge, guest: Guest, peer: Peer, socket: Socket, before: BytesMut) {
    let limits = &edge.context.shared.registry.current().limits;
    let (first, later) = (limits.head_timeout, limits.client_keepalive_timeout);
    let life = edge.context.life.clone();
    let visit = Arc::new(Visit {
        edge,
        peer,
        active: watch::Sender::new(0),
        _guest: guest,
    });
    let mut active = visit.active.subscribe();
    let (goodbye, shutdown) = watch::channel(false);
    let served = visit.process_new(Box::new(Lent::new(socket, before)), &shutdown);
    tokio::pin!(served);
    tokio::select! {
        _ = &mut served => return,
        () = idle(&mut active, first, later) => {}
        () = life.reached(Phase::Draining) => {}
    }
    // GOAWAY: what is open goes on to its end, further requests go elsewhere.
    goodbye.send_replace(true);
    tokio::select! {
        _ = &mut served => {}
        () = idle(&mut active, GOODBYE_TIMEOUT, GOODBYE_TIMEOUT) => {}
        () = life.reached(Phase::Closing) => {}
    }
}

/// Returns when there was no request for so long; `first` is for the first.
async fn idle(active: &mut watch::Receiver<usize>, first: Duration, later: Duration) {
    let mut patience = first;
    while active.wait_for(|count| *count == 0).await.is_ok() {
        if timeout(patience, active.changed()).await.is_err() {
            return;
        }
        patience = later;
    }
}

/// A stream that is being served.
struct Active<'v>(&'v watch::Sender<usize>);

impl<'v> Active<'v> {
    fn new(count: &'v watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

#[async_trait]
impl HttpServerApp for Visit {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        let _active = Active::new(&self.active);
        let errand = match self.accept(&mut session) {
            Ok(errand) => Arc::new(errand),
            Err(refusal) => {
                self.refuse(session, refusal).await;
                return None;
            }
        };
        let carried = Carried(Arc::clone(&errand));
        session.req_header_mut().extensions_mut().insert(carried);
        let life = &self.edge.context.life;
        tokio::select! {
            _ = self.edge.worker.carrier.0.process_new_http(session, shutdown) => {}
            () = errand.stalled() => {}
            () = life.reached(Phase::Closing) => {}
        }
        None
    }

    /// What the `h2` crate has bounds for by itself: streams that are reset before they are served, or because of
    /// errors (rapid reset, `MadeYouReset`), CONTINUATION frames of one head, empty frames of a body.
    fn h2_options(&self) -> Option<H2Options> {
        let limits = &self.edge.context.shared.registry.current().limits;
        let mut options = default_h2_options();
        options
            .max_concurrent_streams(limits.http2_streams_max)
            .max_header_list_size(u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX))
            .initial_connection_window_size(WINDOW_BYTES)
            .max_send_buffer_size(SEND_BUFFER_BYTES_MAX);
        Some(options)
    }
}

impl Visit {
    /// Decides about a head as about every other.
    fn accept(&self, session: &mut ServerSession) -> Result<Errand, Refusal> {
        let limits = &self.edge.context.shared.registry.current().limits;
        let streams_max = usize::try_from(limits.http2_streams_max).unwrap_or(usize::MAX);
        if *self.active.borrow() > streams_max.saturating_mul(STREAMS_RATIO_MAX) {
            return Err(Refusal::TooManyStreams);
        }
        let is_whole = session.is_body_done();
        let parts: &http::request::Parts = session.req_header();
        let fields = head::h2::fields(parts);
        let head = head::h2::view(parts, &fields, is_whole)?;
        let snapshot = self.edge.context.shared.registry.current();
        let request = edge::request(&snapshot, self.peer, &head)?;
        Ok(Errand::new(&head, request, Patience::new(&snapshot.limits)))
    }

    async fn refuse(&self, mut session: ServerSession, refusal: Refusal) {
        edge::note(&self.edge.context.shared, self.peer.ip, refusal);
        if let Err(error) = errors::answer(&mut session, refusal, None).await {
            tracing::debug!(%error, "the client left before it was told");
        }
    }
}
