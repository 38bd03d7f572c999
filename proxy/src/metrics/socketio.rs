//! The numbers of Engine.IO sessions. Never a session's id: that would be a client's label.

use prometheus::IntCounterVec;

use super::{Families, Metrics};
use crate::affinity::sid::Revision;

#[derive(Debug)]
pub(super) struct SocketIo {
    handshakes: IntCounterVec,
    limited: IntCounterVec,
    upgrades: IntCounterVec,
    unknown_sids: IntCounterVec,
}

impl Families<'_> {
    pub(super) fn socketio(&self) -> prometheus::Result<SocketIo> {
        Ok(SocketIo {
            handshakes: self.counters(
                "socketio_handshakes_total",
                "Engine.IO sessions begun in upstreams that are sticky by sid.",
                &["upstream", "eio", "transport"],
            )?,
            limited: self.counters(
                "handshakes_limited_total",
                "Engine.IO sessions not begun because of the upstream's rates.",
                &["upstream"],
            )?,
            upgrades: self.counters(
                "socketio_upgrades_total",
                "WebSocket handshakes of Engine.IO sessions that began by polling.",
                &["upstream", "result"],
            )?,
            unknown_sids: self.counters(
                "socketio_unknown_sid_total",
                "Times a server did not know the session that a request named.",
                &["upstream", "server"],
            )?,
        })
    }
}

impl Metrics {
    /// A server began an Engine.IO session. `transport` is one of a few words.
    pub(crate) fn session_began(
        &self,
        upstream: &str,
        revision: Revision,
        transport: &'static str,
    ) {
        self.socketio
            .handshakes
            .with_label_values(&[upstream, revision.label(), transport])
            .inc();
    }

    /// A session was refused because too many begin.
    pub(crate) fn handshake_limited(&self, upstream: &str) {
        self.socketio.limited.with_label_values(&[upstream]).inc();
    }

    /// A polling session asked for a WebSocket. `result` is one of a few words.
    pub(crate) fn upgraded(&self, upstream: &str, result: &'static str) {
        self.socketio
            .upgrades
            .with_label_values(&[upstream, result])
            .inc();
    }

    /// A server did not know a session.
    pub(crate) fn unknown_sid(&self, upstream: &str, server: &str) {
        self.socketio
            .unknown_sids
            .with_label_values(&[upstream, server])
            .inc();
    }
}
