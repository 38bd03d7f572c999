//! Everything that is no WebSocket, carried out by Pingora's `HttpProxy` with our decisions in its hooks.
//!
//! Owns the translation: our request into its peer, its errors into our outcomes. The decisions themselves are
//! `request::Tries` (which server), `outcome` (what an error means) and `refusal` (what the client is told).
//! Upgrades never come here, and the peer's policy drops upgrade fields besides: 0.9.1 loses fresh tunnels.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::protocols::{Digest, UniqueIDType};
use pingora::proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use pingora::upstreams::peer::{HttpPeer, HttpUpstreamRequestPolicy};
use pingora::{Error, ErrorType};

use crate::affinity::sid::Reading;
use crate::headers::{FORWARDED_FOR, FORWARDED_PROTO, REAL_IP};
use crate::logging::{self, Access};
use crate::outcome::Outcome;
use crate::pool::Endpoint;
use crate::refusal::Refusal;
use crate::registry::Upstream;
use crate::request::{Request, Tries};
use crate::shared::Shared;
use crate::uses::Uses;

mod envelope;
mod errors;

use envelope::Wrapping;
use errors::{answer, is_idempotent, of_connect, of_exchange, refusal_of};

/// How long a client may pause inside a body it sends, or a body it takes (nginx's defaults).
const CLIENT_STALL_TIMEOUT: Duration = Duration::from_secs(60);
/// A client that sends a request body nobody wants any more gets this long to finish it.
const CLIENT_DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// The connection ends without a word of ours.
const NOTHING_SAID: FailToProxy = FailToProxy {
    error_code: 0,
    can_reuse_downstream: false,
};

#[derive(Debug)]
pub(crate) struct Forward {
    shared: Arc<Shared>,
    uses: Uses,
}

/// One request on its way.
#[derive(Debug, Default)]
pub(crate) struct Passage {
    request: Option<Box<Request>>,
    tries: Tries,
    body_bytes: u64,
    /// The connection to the server ends with this request.
    is_last_use: bool,
    /// The answer broke after its head had left.
    is_cut_short: bool,
    refusal: Option<Refusal>,
    /// The answer to a handshake whose session id is to be wrapped.
    wrapping: Option<Wrapping>,
}

impl Passage {
    /// The edge gives a request to every passage before any hook that can fail runs.
    fn request(&self) -> Result<&Request, Box<Error>> {
        self.request
            .as_deref()
            .ok_or_else(|| Error::explain(ErrorType::InternalError, "no request from the edge"))
    }

    fn refuse<T>(&mut self, refusal: Refusal) -> Result<T, Box<Error>> {
        self.refusal = Some(refusal);
        Err(Error::explain(
            ErrorType::HTTPStatus(refusal.status()),
            refusal.why(),
        ))
    }
}

#[async_trait]
impl ProxyHttp for Forward {
    type CTX = Passage;

    fn new_ctx(&self) -> Passage {
        Passage::default()
    }

    fn init_downstream_modules(&self, _modules: &mut HttpModules) {
        // None: the default one is a compressor that we do not offer.
    }

    fn on_connection_reuse(
        &self,
        _session: &mut Session,
        passage: &mut Passage,
        from_edge: Box<dyn std::any::Any + Send + Sync>,
    ) {
        passage.request = from_edge.downcast().ok();
    }

    async fn early_request_filter(
        &self,
        session: &mut Session,
        _passage: &mut Passage,
    ) -> pingora::Result<()> {
        session.set_read_timeout(Some(CLIENT_STALL_TIMEOUT));
        session.set_write_timeout(Some(CLIENT_STALL_TIMEOUT));
        session.set_total_drain_timeout(Some(CLIENT_DRAIN_TIMEOUT));
        Ok(())
    }

    async fn upstream_peer(
        &self,
        _session: &mut Session,
        passage: &mut Passage,
    ) -> pingora::Result<Box<HttpPeer>> {
        let request = passage
            .request
            .as_deref()
            .ok_or_else(|| Error::explain(ErrorType::InternalError, "no request from the edge"))?;
        match passage.tries.next(request, &self.shared) {
            Ok(lease) => Ok(Box::new(peer(&lease.server().endpoint, &request.upstream)?)),
            Err(refusal) => passage.refuse(refusal),
        }
    }

    fn fail_to_connect(
        &self,
        session: &mut Session,
        _peer: &HttpPeer,
        passage: &mut Passage,
        mut error: Box<Error>,
    ) -> Box<Error> {
        let outcome = of_connect(&error);
        self.failed(session, passage, outcome, &error);
        error.set_retry(outcome.may_try_next(true));
        error
    }

    async fn connected_to_upstream(
        &self,
        _session: &mut Session,
        was_kept: bool,
        _peer: &HttpPeer,
        connection: UniqueIDType,
        _digest: Option<&Digest>,
        passage: &mut Passage,
    ) -> pingora::Result<()> {
        let uses = self.uses.count(connection, was_kept);
        passage.is_last_use = uses >= passage.request()?.upstream.keepalive_requests;
        Ok(())
    }

    async fn upstream_request_filter(
        &self,
        _session: &mut Session,
        head: &mut RequestHeader,
        passage: &mut Passage,
    ) -> pingora::Result<()> {
        let forwarded = &passage.request()?.forwarded;
        head.insert_header(REAL_IP, forwarded.real_ip.as_str())?;
        head.insert_header(FORWARDED_FOR, forwarded.forwarded_for.as_slice())?;
        head.insert_header(FORWARDED_PROTO, forwarded.proto)?;
        envelope::prepare(head, &passage.request()?.sid)?;
        if passage.is_last_use {
            head.insert_header("Connection", "close")?;
        }
        Ok(())
    }

    async fn request_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        _is_last: bool,
        passage: &mut Passage,
    ) -> pingora::Result<()> {
        passage.body_bytes += body.as_ref().map_or(0, |bytes| bytes.len() as u64);
        if passage.body_bytes > passage.request()?.body_bytes_max {
            return passage.refuse(Refusal::BodyTooLarge);
        }
        Ok(())
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        head: &mut ResponseHeader,
        passage: &mut Passage,
    ) -> pingora::Result<()> {
        passage.tries.settle(Outcome::Answered, &self.shared);
        // About the server's connection, not the client's.
        head.remove_header("Keep-Alive");
        if let Some(cookie) = passage.tries.set_cookie(passage.request()?) {
            head.append_header("Set-Cookie", cookie)?;
        }
        if let Reading::Handshake {
            revision,
            is_polling: true,
        } = passage.request()?.sid
        {
            passage.wrapping = Wrapping::begin(session.req_header(), head, revision)?;
        }
        Ok(())
    }

    fn response_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        is_last: bool,
        passage: &mut Passage,
    ) -> pingora::Result<Option<Duration>> {
        let Passage {
            wrapping: Some(wrapping),
            request: Some(request),
            tries,
            ..
        } = passage
        else {
            return Ok(None);
        };
        if let (Some(envelope), Some(tag)) = (&request.upstream.sid, tries.tag()) {
            let wrap = |held: &[u8], revision| {
                let wrapped = envelope.wrap(held, revision, tag)?;
                let metrics = &self.shared.metrics;
                metrics.session_began(&request.upstream.name, revision, "polling");
                Some(wrapped)
            };
            wrapping.take(body, is_last, wrap);
        }
        Ok(None)
    }

    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        session: &mut Session,
        mut error: Box<Error>,
        passage: &mut Passage,
        was_kept: bool,
    ) -> Box<Error> {
        let outcome = of_exchange(&error, was_kept);
        let has_answered = session.response_written().is_some();
        self.failed(session, passage, outcome, &error);
        let is_repeatable = is_idempotent(session.req_header().method.as_str())
            && !session.as_ref().retry_buffer_truncated()
            && !has_answered;
        error.set_retry(outcome.may_try_next(is_repeatable));
        error
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        passage: &mut Passage,
    ) -> FailToProxy {
        if session.response_written().is_some() {
            // Too late to say anything but the end of the connection.
            passage.is_cut_short = true;
            return NOTHING_SAID;
        }
        passage.refusal = passage
            .refusal
            .or_else(|| refusal_of(error, &passage.tries));
        let Some(refusal) = passage.refusal else {
            return NOTHING_SAID;
        };
        self.shared.metrics.refused(refusal);
        if let Err(error) = answer(session, refusal).await {
            tracing::debug!(%error, "the client left before its answer");
        }
        FailToProxy {
            error_code: refusal.status(),
            can_reuse_downstream: false,
        }
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, passage: &mut Passage) {
        if error.is_some() {
            // The client left, or the body broke after the head: nothing that counts.
            passage.tries.settle(Outcome::ClientGone, &self.shared);
        }
        let Some(request) = passage.request.as_deref() else {
            return;
        };
        let head = session.req_header();
        let status = session
            .response_written()
            .map_or(499, |written| written.status.as_u16());
        let duration = request.began.elapsed();
        let metrics = &self.shared.metrics;
        metrics.answered(&request.upstream.name, status, head.method.as_str(), "http");
        metrics.took(&request.upstream.name, duration);
        let client = request.client.address_text();
        let host = head
            .headers
            .get("Host")
            .map_or(&b""[..], http::HeaderValue::as_bytes);
        let access = Access {
            client: &client,
            method: head.method.as_str(),
            host: String::from_utf8_lossy(host),
            target: Cow::Owned(String::from_utf8_lossy(head.raw_path()).into_owned()),
            upstream: &request.upstream.name,
            server: passage.tries.server_name(),
            tries: passage.tries.count_of_tries(),
            duration,
        };
        let cut_short = passage.is_cut_short.then_some("the answer was cut short");
        let why = passage.refusal.map(Refusal::why).or(cut_short);
        logging::request(&access, status, session.body_bytes_sent(), why);
    }

    fn suppress_error_log(&self, _session: &Session, _passage: &Passage, _error: &Error) -> bool {
        // The access line and `failed` say it.
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _session: &Session,
        _passage: &Passage,
        _error: &Error,
        _context: ProxyWarnLogContext,
    ) -> bool {
        true
    }
}

impl Forward {
    #[must_use]
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            uses: Uses::default(),
        }
    }

    /// A try failed.
    fn failed(&self, session: &Session, passage: &mut Passage, outcome: Outcome, error: &Error) {
        passage.tries.settle(outcome, &self.shared);
        if outcome == Outcome::ClientGone {
            return;
        }
        tracing::warn!(
            upstream = passage.request.as_deref().map(|request| &*request.upstream.name),
            server = passage.tries.server_name(),
            method = %session.req_header().method,
            why = outcome.label(),
            %error,
            "try failed"
        );
    }
}

fn peer(endpoint: &Endpoint, upstream: &Upstream) -> pingora::Result<HttpPeer> {
    let mut peer = match endpoint {
        Endpoint::Ip(address) => HttpPeer::new(*address, false, String::new()),
        Endpoint::Unix(path) => {
            let path = path.to_str().ok_or_else(|| {
                Error::explain(
                    ErrorType::InternalError,
                    "the path of a server's socket is not UTF-8",
                )
            })?;
            HttpPeer::new_uds(path, false, String::new())?
        }
    };
    peer.options.connection_timeout = Some(upstream.connect_timeout);
    peer.options.total_connection_timeout = Some(upstream.connect_timeout);
    peer.options.read_timeout = Some(upstream.read_timeout);
    peer.options.write_timeout = Some(upstream.write_timeout);
    peer.options.idle_timeout = Some(upstream.keepalive_timeout);
    peer.options.http_upstream_request_policy = HttpUpstreamRequestPolicy::deny_upgrades();
    Ok(peer)
}
