//! How many requests each kept connection to a server has carried (nginx's `keepalive_requests`).
//!
//! Pingora keeps the connections and does not count. A number that the system gives to a new connection starts
//! afresh, so there are never more counts than the process may have open files.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use pingora::protocols::UniqueIDType;

#[derive(Debug, Default)]
pub(crate) struct Uses(Mutex<HashMap<UniqueIDType, u32>>);

impl Uses {
    /// Counts a request on a connection and tells the count, this one included.
    pub(crate) fn count(&self, connection: UniqueIDType, was_kept: bool) -> u32 {
        // Counts are whole at any moment; a panic elsewhere cannot leave one half done.
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = uses.entry(connection).or_default();
        *count = if was_kept { count.saturating_add(1) } else { 1 };
        *count
    }
}
