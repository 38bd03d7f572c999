//! Do WebSockets come about, by upgrade and from the start, and do they carry anything?

use crate::doctor::finding::Finding;
use crate::doctor::packet::Refused;
use crate::doctor::seen::{Answer, Fault, Seen, Upgrade, said};

const HEADERS: &str = "Pass the upgrade on. nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade; \
                       other proxies and CDNs have a switch for WebSockets.";

pub(super) fn findings(seen: &Seen) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !seen.upgrades.is_empty() {
        let what = "upgrades of polling sessions carried packets";
        findings.push(finding("upgrade", &seen.upgrades, what));
    }
    if let Some(websocket) = &seen.websocket {
        let what = "session began as a WebSocket and carried packets";
        findings.push(finding("websocket", std::slice::from_ref(websocket), what));
    }
    findings
}

fn finding(id: &'static str, tries: &[Upgrade], what: &str) -> Finding {
    let all = tries.len();
    let failed: Vec<&Upgrade> = tries
        .iter()
        .filter(|one| !matches!(one, Upgrade::Works))
        .collect();
    let Some(first) = failed.first() else {
        return Finding::ok(id, format!("{all} of {all} {what}"));
    };
    let count = format!("{} of {all} failed", failed.len());
    // Without a session there was nothing to upgrade; `answers` says why there was none.
    if failed
        .iter()
        .all(|one| matches!(one, Upgrade::NoSession(_)))
    {
        return Finding::unknown(
            id,
            format!("{count} for want of a session: {}", reason(first)),
        );
    }
    let told = failed
        .iter()
        .find(|one| !matches!(one, Upgrade::NoSession(_)))
        .unwrap_or(first);
    let (means, change) = explanation(told);
    Finding::problem(id, format!("{count}: {}", reason(told)))
        .means(means)
        .change(change)
}

fn reason(upgrade: &Upgrade) -> String {
    match upgrade {
        Upgrade::Works => "works".to_owned(),
        Upgrade::NoSession(reply) => said(reply),
        Upgrade::Refused(answer) => answer.to_string(),
        Upgrade::Mute(missing, fault) => format!("101, and then no {missing}: {fault}"),
        Upgrade::Broken(fault) => fault.to_string(),
    }
}

fn explanation(upgrade: &Upgrade) -> (&'static str, &'static str) {
    match upgrade {
        Upgrade::Works | Upgrade::NoSession(_) => ("", ""),
        Upgrade::Refused(answer) => refusal(answer),
        Upgrade::Mute(_, Fault::Silent(_)) => (
            "The WebSocket opens, but its frames do not arrive: something between buffers or inspects them.",
            "Let the proxy pass the bytes of upgraded connections at once, without buffering, filters or inspection.",
        ),
        Upgrade::Mute(..) => (
            "The WebSocket opens and is cut at once.",
            "Look at the logs of proxy and server at that moment; a filter that dislikes WebSocket frames does this.",
        ),
        Upgrade::Broken(_) => (
            "Clients stay on polling, and those with transports: [\"websocket\"] cannot connect at all.",
            "Ask a server directly. If that works, the proxy between does not let WebSockets through.",
        ),
    }
}

fn refusal(answer: &Answer) -> (&'static str, &'static str) {
    let stay = "Clients stay on polling, and those with transports: [\"websocket\"] cannot connect at all.";
    match (answer.refused(), answer.status) {
        (Some(Refused::SessionUnknown), _) => (
            "The upgrade reached another server than the session's: there is no stickiness for it. Clients stay on polling or reconnect in a loop.",
            "Bind WebSocket requests as the others: one upstream with sticky or ip_hash for the whole path, not a second one for WebSockets.",
        ),
        (Some(Refused::BadRequest), _) => (
            "The server did not see an upgrade: the proxy dropped the headers Upgrade and Connection. Clients stay on polling, and those with transports: [\"websocket\"] cannot connect at all.",
            HEADERS,
        ),
        (Some(Refused::TransportUnknown), _) => (
            stay,
            "The server has WebSockets switched off: transports: [\"polling\", \"websocket\"].",
        ),
        (Some(Refused::Forbidden), _) | (_, 401 | 403) => (
            "Server or proxy refuse WebSockets of this origin, or without credentials.",
            "Allow the origin (cors.origin, allowRequest, the rules of a firewall before it), and examine with --origin.",
        ),
        (_, 200 | 400 | 404 | 426) => (
            "The server did not see an upgrade: the proxy dropped the headers Upgrade and Connection, or routes WebSockets elsewhere. Clients stay on polling.",
            HEADERS,
        ),
        (_, 502..=504) => (
            "The proxy did not get the server's 101: the server is gone or busy, or cut the connection.",
            "Look at the proxy's log for that moment. If polls work and this never does, the proxy talks another protocol (HTTP/2, or HTTP/1.0) to the server.",
        ),
        _ => (stay, HEADERS),
    }
}
