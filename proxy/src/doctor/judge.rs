//! From what was seen to what is wrong: observations in, findings out. Asks nobody and waits for nothing.

mod affinity;
mod browser;
mod flow;
mod handshake;
mod reach;
mod websocket;

use crate::doctor::finding::Finding;
use crate::doctor::seen::Seen;

/// Every finding that these observations allow.
#[must_use]
pub fn judge(seen: &Seen) -> Vec<Finding> {
    let mut findings = reach::findings(seen);
    findings.extend(handshake::findings(seen));
    findings.extend(affinity::findings(seen));
    findings.extend(websocket::findings(seen));
    findings.extend(browser::findings(seen));
    findings.extend(flow::findings(seen));
    findings
}

#[cfg(test)]
mod tests;
