//! An upstream's limits on new Engine.IO sessions in a snapshot: the rates of the settings, the bucket of before.

use std::sync::Arc;

use crate::handshakes::{Gate, Rate};
use crate::settings;

#[derive(Clone, Debug)]
pub(crate) struct Handshakes {
    /// In the whole upstream; `None`: only its servers have limits.
    pub(crate) rate: Option<Rate>,
    pub(crate) gate: Arc<Gate>,
}

impl Handshakes {
    /// `None`: any number of sessions may begin.
    pub(super) fn new(limits: settings::Handshakes, before: Option<&Self>) -> Option<Self> {
        let is_limited = limits.overall.is_some() || limits.per_server.is_some();
        is_limited.then(|| Self {
            rate: limits.overall.map(Rate::new),
            gate: before.map_or_else(Arc::default, |before| Arc::clone(&before.gate)),
        })
    }
}
