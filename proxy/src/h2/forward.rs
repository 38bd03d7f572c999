//! A request of an HTTP/2 client, carried out by Pingora's `HttpProxy` with our decisions in its hooks.
//!
//! Owns the translation: our request into its peer, its errors into our outcomes. The decisions themselves are
//! `request::Tries` (which server), `outcome` (what an error means) and `refusal` (what the client is told).

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

use super::envelope::{self, Wrapping};
use super::errand::Carried;
use super::errors::{answer, cut_of, of_connect, of_exchange, refusal_of};
use super::passage::Passage;
use super::uses::Uses;
use crate::affinity::sid::{Complaint, Reading};
use crate::headers::{FORWARDED_FOR, FORWARDED_PROTO, REAL_IP};
use crate::outcome::{Outcome, is_idempotent};
use crate::pool::Endpoint;
use crate::refusal::Refusal;
use crate::registry::Upstream;
use crate::shared::Shared;

/// The stream ends without a word of ours.
const NOTHING_SAID: FailToProxy = FailToProxy {
    error_code: 0,
    can_reuse_downstream: false,
};

#[derive(Debug)]
pub(super) struct Forward {
    shared: Arc<Shared>,
    uses: Uses,
}

#[async_trait]
impl ProxyHttp for Forward {
    type CTX = Passage;

    fn new_ctx(&self) -> Passage {
        Passage::new(Arc::clone(&self.shared))
    }

    fn init_downstream_modules(&self, _modules: &mut HttpModules) {
        // None: the default one is a compressor that we do not offer.
    }

    async fn early_request_filter(
        &self,
        session: &mut Session,
        passage: &mut Passage,
    ) -> pingora::Result<()> {
        let extensions = session.req_header_mut().extensions_mut();
        passage.errand = extensions.remove().map(|Carried(errand)| errand);
        let takes = passage.errand()?.patience.takes;
        session.set_write_timeout(Some(takes.timeout));
        Ok(())
    }

    async fn upstream_peer(
        &self,
        _session: &mut Session,
        passage: &mut Passage,
    ) -> pingora::Result<Box<HttpPeer>> {
        let errand = passage.errand()?;
        errand.moved(0);
        match passage.tries.next(&errand.request, &self.shared) {
            Ok(lease) => {
                let endpoint = &lease.server().endpoint;
                Ok(Box::new(peer(endpoint, &errand.request.upstream)?))
            }
            Err(refusal) => passage.refuse(refusal),
        }
    }

    fn fail_to_connect(
        &self,
        _session: &mut Session,
        _peer: &HttpPeer,
        passage: &mut Passage,
        mut error: Box<Error>,
    ) -> Box<Error> {
        let outcome = of_connect(&error);
        passage.failed(outcome, &error);
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
        let errand = passage.errand()?;
        errand.moved(0);
        let uses = self.uses.count(connection, was_kept);
        passage.is_last_use = uses >= errand.request.upstream.keepalive_requests;
        Ok(())
    }

    async fn upstream_request_filter(
        &self,
        _session: &mut Session,
        head: &mut RequestHeader,
        passage: &mut Passage,
    ) -> pingora::Result<()> {
        let request = &passage.errand()?.request;
        let forwarded = &request.forwarded;
        head.insert_header(REAL_IP, forwarded.real_ip.as_str())?;
        head.insert_header(FORWARDED_FOR, forwarded.forwarded_for().as_slice())?;
        head.insert_header(FORWARDED_PROTO, forwarded.proto)?;
        envelope::prepare(head, &request.sid)?;
        join_cookies(head)?;
        if passage.is_last_use {
            head.insert_header("Connection", "close")?;
        }
        Ok(())
    }

    async fn request_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        is_last: bool,
        passage: &mut Passage,
    ) -> pingora::Result<()> {
        let errand = passage.errand()?;
        let bytes = body.as_ref().map_or(0, Bytes::len);
        errand.moved(bytes);
        if is_last {
            errand.sent();
        }
        passage.body_bytes += bytes as u64;
        if passage.body_bytes > errand.request.body_bytes_max {
            return passage.refuse(Refusal::BodyTooLarge);
        }
        Ok(())
    }

    async fn upstream_response_filter(
        &self,
        _session: &mut Session,
        head: &mut ResponseHeader,
        passage: &mut Passage,
    ) -> pingora::Result<()> {
        if head.status.is_informational() {
            return Ok(());
        }
        passage.tries.settle(Outcome::Answered, &self.shared);
        let request = &passage.errand()?.request;
        if let Some(cookie) = passage.tries.set_cookie(request) {
            head.append_header("Set-Cookie", cookie)?;
        }
        passage.complaint = Complaint::begin(request.stage, head.status.as_u16());
        if let Reading::Handshake {
            is_polling: true, ..
        } = request.sid
        {
            passage.wrapping = Wrapping::begin(head);
        }
        Ok(())
    }

    fn response_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        is_last: bool,
        passage: &mut Passage,
    ) -> pingora::Result<Option<Duration>> {
        passage.hear(body.as_ref(), is_last);
        if let Some(mut wrapping) = passage.wrapping.take() {
            wrapping.take(body, is_last, |held| passage.wrap(held));
            passage.wrapping = Some(wrapping);
        }
        // Of a piece it is not seen how it moves, only whether all of it was taken.
        let takes = passage.errand()?.patience.takes;
        let bytes = body.as_ref().map_or(0, Bytes::len);
        session.set_write_timeout(Some(takes.time_for(bytes)));
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
        passage.failed(outcome, &error);
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
            // Too late to say anything but the end of the stream.
            passage.cut = Some(cut_of(error));
            return NOTHING_SAID;
        }
        passage.refusal = passage
            .refusal
            .or_else(|| refusal_of(error, &passage.tries));
        let Some(refusal) = passage.refusal else {
            return NOTHING_SAID;
        };
        self.shared.metrics.refused(refusal);
        let origin = passage
            .errand
            .as_deref()
            .and_then(|errand| errand.origin.as_deref());
        if let Err(error) = answer(&mut session.downstream_session, refusal, origin).await {
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
        let written = session.response_written();
        passage.status = written.map(|head| head.status.as_u16());
        passage.bytes_sent = session.body_bytes_sent();
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
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            uses: Uses::default(),
        }
    }
}

/// HTTP/2 clients may send a cookie for each field, HTTP/1.1 servers expect one field (RFC 9113 §8.2.3).
fn join_cookies(head: &mut RequestHeader) -> pingora::Result<()> {
    let cookies: Vec<&[u8]> = head
        .headers
        .get_all(http::header::COOKIE)
        .iter()
        .map(http::HeaderValue::as_bytes)
        .collect();
    if cookies.len() > 1 {
        let joined = cookies.join(&b"; "[..]);
        head.insert_header(http::header::COOKIE, joined)?;
    }
    Ok(())
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
