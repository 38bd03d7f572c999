//! Does a session stay with its server, and by what?

use std::collections::{BTreeMap, BTreeSet};

use crate::doctor::finding::Finding;
use crate::doctor::seen::{Answer, Fate, Seen, Session};

/// Cookies by which proxies and clouds are known to bind clients, in lower case.
const KNOWN: [&str; 17] = [
    "arraffinity",
    "arraffinitysamesite",
    "awsalb",
    "awsalbapp-0",
    "awsalbcors",
    "awsalbtg",
    "awsalbtgcors",
    "gclb",
    "ingresscookie",
    "io",
    "lb",
    "route",
    "serverid",
    "sozubalanceid",
    "srv_id",
    "sticky",
    "stickysession",
];

/// How the requests of several sessions fared.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    kept: usize,
    lost: usize,
}

impl Tally {
    fn of(sessions: &[Session]) -> Self {
        let count = |fate| sessions.iter().map(|session| session.count(fate)).sum();
        Self {
            kept: count(Fate::Kept),
            lost: count(Fate::Lost),
        }
    }

    fn all(self) -> usize {
        self.kept + self.lost
    }
}

pub(super) fn findings(seen: &Seen) -> Vec<Finding> {
    let plain = Tally::of(&seen.without_cookies);
    let kept = Tally::of(&seen.with_cookies);
    if plain.all() == 0 && kept.all() == 0 {
        return Vec::new();
    }
    let sessions = seen.without_cookies.len();
    let lost = |tally: Tally| {
        format!(
            "{} of {} requests on new connections: Session ID unknown",
            tally.lost,
            tally.all()
        )
    };
    let stayed = |tally: Tally| {
        format!(
            "{} of {} requests on new connections found their session",
            tally.kept,
            tally.all()
        )
    };
    let finding = match (plain.lost, kept.lost) {
        (0, 0) => Finding::ok("affinity", format!("{}, without cookies ({sessions} sessions)", stayed(plain))),
        (1.., 0) if kept.all() > 0 && cookie_names(seen).next().is_some() => {
            Finding::warning("affinity", format!("without cookies {}; with them none of {}", lost(plain), kept.all()))
                .means("Sessions work only with cookies: native apps, pages on other sites and CORS preflights send none, and fail with \"Session ID unknown\".")
                .change("Bind by session id (Berth: sticky = [\"sid\"]), or by address (ip_hash); or have every client keep cookies (withCredentials: true, a cookie jar).")
        }
        (1.., 0) => {
            Finding::problem("affinity", format!("{}; later, with no other cookie set, none of {}", lost(plain), kept.all()))
                .means("Requests of one session reach different servers now and then.")
                .change("Examine again. If it happens again, bind sessions: sticky = [\"sid\"] in Berth, ip_hash or sticky cookie in nginx.")
        }
        (0, 1..) => Finding::problem("affinity_cookies", lost(kept))
            .means("Sessions are lost just because the client keeps cookies: a cookie leads to another server than the one that has the session.")
            .change("Bind by one thing only, and let it be the same for handshake and later requests."),
        (1.., 1..) => Finding::problem("affinity", format!("{}, and with cookies {} of {}", lost(plain), kept.lost, kept.all()))
            .means("There is no stickiness: requests of one session reach different servers, which do not know it. Clients reconnect in a loop.")
            .change("Bind sessions to servers: sticky = [\"sid\"] in Berth, ip_hash or sticky cookie in nginx, cookie … insert in HAProxy. With several processes per server (PM2, cluster) use @socket.io/sticky there too."),
    };
    let mut findings = vec![finding];
    if plain.lost == 0 || kept.lost == 0 {
        findings.push(method(seen));
    }
    findings
}

/// By what they are bound, as far as the answers tell.
fn method(seen: &Seen) -> Finding {
    let id = "affinity_method";
    let sessions = seen.sessions();
    let is_tagged = |session: &Session| session.open().is_some_and(|open| open.sid.contains('~'));
    if sessions.clone().any(is_tagged) {
        return Finding::ok(
            id,
            "the session id names its server (X~TAG), which needs nothing of the client",
        );
    }
    let instances: BTreeSet<&str> = sessions
        .flat_map(Session::answers)
        .filter_map(|answer| answer.header("x-berth-instance"))
        .collect();
    let names: Vec<String> = cookie_names(seen).collect();
    if !names.is_empty() && Tally::of(&seen.without_cookies).lost > 0 {
        return Finding::ok(id, format!("the cookie {}", names.join(" and ")));
    }
    let mut said = match instances.len() {
        0 => "not visible: no answer names its server".to_owned(),
        1 => "every session came to the same server, by X-Berth-Instance".to_owned(),
        count => {
            return Finding::ok(
                id,
                format!(
                    "{count} servers answered, by X-Berth-Instance, and each kept its sessions"
                ),
            );
        }
    };
    if !names.is_empty() {
        said.push_str(&format!(
            "; there is a cookie {}, but sessions stay without it",
            names.join(" and ")
        ));
    }
    Finding::unknown(id, said).means(
        "One server alone, or binding by address (ip_hash), look the same from here, because all connections come from one address. \
         If it is by address: clients behind one NAT share a server, and a phone that changes networks loses its session.",
    )
}

/// The cookies that seem to name servers.
pub(super) fn cookie_names(seen: &Seen) -> impl Iterator<Item = String> {
    let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for session in seen.sessions() {
        let mut own: BTreeMap<String, String> = BTreeMap::new();
        for cookie in session.answers().flat_map(Answer::cookies) {
            own.insert(cookie.name, cookie.value);
        }
        for (name, value) in own {
            values.entry(name).or_default().push(value);
        }
    }
    values.into_iter().filter_map(|(name, values)| {
        let distinct = values.iter().collect::<BTreeSet<_>>().len();
        // Of each client its own: a session. One for all: a setting. In between: a server.
        let is_server = distinct >= 2 && distinct <= values.len() / 2;
        (KNOWN.contains(&name.to_ascii_lowercase().as_str()) || is_server).then_some(name)
    })
}
