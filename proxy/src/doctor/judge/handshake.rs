//! What the server promises in its handshake, and whether every handshake comes about.

use std::collections::BTreeMap;

use crate::doctor::finding::Finding;
use crate::doctor::packet::Open;
use crate::doctor::seen::{Answer, Fate, Reply, Seen, fate, said, seconds};

pub(super) fn findings(seen: &Seen) -> Vec<Finding> {
    let Some(open) = seen.open() else {
        return Vec::new();
    };
    let mut findings = vec![content(&open)];
    findings.extend(answers(seen));
    findings.extend(cache(seen));
    findings
}

fn content(open: &Open) -> Finding {
    let mut said = format!(
        "ping every {}, given up after {} more",
        seconds(open.ping_interval),
        seconds(open.ping_timeout)
    );
    if let Some(bytes) = open.max_payload {
        said.push_str(&format!(", up to {bytes} bytes at once"));
    }
    if !open.offers_websocket {
        return Finding::warning("handshake", format!("{said}; no WebSocket is offered"))
            .means("Every client stays on polling: more requests, and more delay.")
            .change("Allow the transport on the server: transports: [\"polling\", \"websocket\"], unless this is meant.");
    }
    if open.ping_interval.is_zero() || open.ping_timeout.is_zero() {
        return Finding::problem("handshake", said)
            .means("With a time of zero clients give up at once.")
            .change(
                "Set pingInterval and pingTimeout on the server; 25 s and 20 s are its defaults.",
            );
    }
    Finding::ok("handshake", said)
}

/// Whether what has nothing to do with affinity failed now and then.
fn answers(seen: &Seen) -> Option<Finding> {
    let handshakes: Vec<&Reply> = seen.sessions().map(|session| &session.handshake).collect();
    let later = seen.sessions().flat_map(|session| &session.requests);
    let failed_handshakes = handshakes.iter().filter(|reply| !is_handshake(reply));
    let failed = failed_handshakes
        .copied()
        .chain(later.clone().filter(|reply| fate(reply) == Fate::Failed));
    let failed: Vec<&Reply> = failed.collect();
    let all = handshakes.len() + later.count();
    if all == 0 {
        return None;
    }
    if failed.is_empty() {
        return Some(Finding::ok(
            "answers",
            format!("{all} of {all} requests were answered by Socket.IO"),
        ));
    }
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for reply in &failed {
        *kinds.entry(said(reply)).or_default() += 1;
    }
    let kinds: Vec<String> = kinds
        .iter()
        .map(|(kind, count)| format!("{count} × {kind}"))
        .collect();
    let seen_of_it = format!(
        "{} of {all} requests failed: {}",
        failed.len(),
        kinds.join(", ")
    );
    if failed.iter().all(|reply| is_limited(reply)) {
        return Some(
            Finding::warning("answers", seen_of_it)
                .means("A limit was reached by this examination, so what follows stands on fewer sessions.")
                .change("Examine with fewer --sessions. If real clients share an address, or come back all at once, check the limit."),
        );
    }
    Some(
        Finding::problem("answers", seen_of_it)
            .means("Some clients are let down although others are served: one of the servers is down, overloaded or wrong.")
            .change("Look at the proxy's log for that server. Active health checks, or max_fails, keep it out until it is well."),
    )
}

fn is_handshake(reply: &Reply) -> bool {
    reply.as_ref().is_ok_and(|answer| answer.open().is_some())
}

fn is_limited(reply: &Reply) -> bool {
    let limited = |answer: &Answer| {
        answer.status == 429 || (answer.status == 503 && answer.header("retry-after").is_some())
    };
    reply.as_ref().is_ok_and(limited)
}

/// Two clients with one session: somebody between keeps answers and gives them to others.
fn cache(seen: &Seen) -> Option<Finding> {
    let mut sids: Vec<String> = seen
        .sessions()
        .filter_map(|session| Some(session.open()?.sid))
        .collect();
    let all = sids.len();
    sids.sort_unstable();
    sids.dedup();
    let shared = all - sids.len();
    (shared > 0).then(|| {
        Finding::problem("cache", format!("{shared} of {all} handshakes got a session id that was given before"))
            .means("A cache answers instead of the server, so clients share sessions and read each other's messages.")
            .change("Switch caching off for this path, in the proxy and in the CDN, and let it respect Cache-Control: no-store.")
    })
}
