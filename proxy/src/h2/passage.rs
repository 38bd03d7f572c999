//! How a request of an HTTP/2 client goes: what Pingora's hooks remember of it from one to the next, and what is told of it
//! at its end.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use pingora::{Error, ErrorType};

use super::envelope::Wrapping;
use super::errand::Errand;
use crate::affinity::sid::{Complaint, Reading};
use crate::exchange::cut::Cut;
use crate::logging::{self, Access};
use crate::outcome::Outcome;
use crate::refusal::Refusal;
use crate::request::Tries;
use crate::shared::Shared;

/// One request on its way. Says how it went exactly once, whatever happens (`Drop`).
#[derive(Debug)]
pub(super) struct Passage {
    pub(super) shared: Arc<Shared>,
    pub(super) errand: Option<Arc<Errand>>,
    pub(super) tries: Tries,
    pub(super) status: Option<u16>,
    pub(super) bytes_sent: usize,
    pub(super) body_bytes: u64,
    /// The connection to the server ends with this request.
    pub(super) is_last_use: bool,
    /// The answer broke after its head had left.
    pub(super) cut: Option<Cut>,
    pub(super) refusal: Option<Refusal>,
    /// The answer to a handshake whose session id is to be wrapped.
    pub(super) wrapping: Option<Wrapping>,
    /// The answer may say that the server does not know the session.
    pub(super) complaint: Option<Complaint>,
}

impl Passage {
    #[must_use]
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            errand: None,
            tries: Tries::default(),
            status: None,
            bytes_sent: 0,
            body_bytes: 0,
            is_last_use: false,
            cut: None,
            refusal: None,
            wrapping: None,
            complaint: None,
        }
    }

    /// Every passage gets its errand before any hook that can fail runs.
    pub(super) fn errand(&self) -> pingora::Result<Arc<Errand>> {
        self.errand
            .clone()
            .ok_or_else(|| Error::explain(ErrorType::InternalError, "no request from the edge"))
    }

    pub(super) fn refuse<T>(&mut self, refusal: Refusal) -> pingora::Result<T> {
        self.refusal = Some(refusal);
        Err(Error::explain(
            ErrorType::HTTPStatus(refusal.status()),
            refusal.why(),
        ))
    }

    /// A try failed.
    pub(super) fn failed(&mut self, outcome: Outcome, error: &Error) {
        self.tries.settle(outcome, &self.shared);
        if outcome == Outcome::ClientGone {
            return;
        }
        let errand = self.errand.as_deref();
        tracing::warn!(
            upstream = errand.map(|errand| &*errand.request.upstream.name),
            server = self.tries.server_name(),
            method = errand.map(|errand| errand.method.as_str()),
            why = outcome.label(),
            %error,
            "try failed"
        );
    }

    /// Notices when the server does not know the session; the answer passes unchanged.
    pub(super) fn hear(&mut self, body: Option<&Bytes>, is_last: bool) {
        let (Some(complaint), Some(errand)) = (&mut self.complaint, &self.errand) else {
            return;
        };
        complaint.hear(body.map_or(&[], |bytes| bytes));
        if is_last {
            self.tries.heard(complaint, &errand.request, &self.shared);
        }
    }

    pub(super) fn wrap(&self, held: &[u8]) -> Option<Vec<u8>> {
        let request = &self.errand.as_deref()?.request;
        let Reading::Handshake { revision, .. } = request.sid else {
            return None;
        };
        let envelope = request.upstream.sid.as_ref()?;
        let wrapped = envelope.wrap(held, revision, self.tries.tag()?)?;
        let metrics = &self.shared.metrics;
        metrics.session_began(&request.upstream.name, revision, "polling");
        Some(wrapped)
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        let Some(errand) = self.errand.take() else {
            return;
        };
        let request = &errand.request;
        let metrics = &self.shared.metrics;
        if let Some(stalled) = errand.stalled_as()
            && self.status.is_none()
        {
            self.refusal = Some(stalled);
            metrics.refused(stalled);
        }
        if let Some(cut) = self.cut {
            metrics.cut(cut);
        }
        let refused = self.refusal.map(Refusal::status);
        // nginx's word for a client that did not wait.
        let status = self.status.or(refused).unwrap_or(499);
        let duration = request.began.elapsed();
        let counted = request.upstream.counted();
        metrics.answered(counted, status, errand.method.as_bytes(), "http");
        metrics.took(counted, duration);
        let access = Access {
            client: &request.forwarded.real_ip,
            method: &errand.method,
            host: Cow::Borrowed(&errand.host),
            target: Cow::Borrowed(&errand.target),
            upstream: &request.upstream.name,
            server: self.tries.server_name(),
            tries: self.tries.count_of_tries(),
            duration,
        };
        let why = self.refusal.map(Refusal::why).or(self.cut.map(Cut::why));
        logging::request(&access, status, self.bytes_sent, why);
    }
}
