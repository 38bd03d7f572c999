//! What only browsers mind: the attributes of cookies, and cross-origin rules.

use std::collections::BTreeMap;

use crate::doctor::finding::Finding;
use crate::doctor::jar::SetCookie;
use crate::doctor::judge::affinity;
use crate::doctor::seen::{Answer, Fate, Reply, Seen, fate, said};
use crate::doctor::target::Origin;

pub(super) fn findings(seen: &Seen) -> Vec<Finding> {
    let mut findings: Vec<Finding> = sticky_cookies(seen)
        .iter()
        .flat_map(|cookie| cookie_findings(seen, cookie))
        .collect();
    if let (Some(origin), Some(Ok(opening))) = (&seen.origin, &seen.opening)
        && seen.open().is_some()
    {
        findings.push(cors(seen, origin, opening));
        let asked = seen
            .preflight
            .as_ref()
            .filter(|_| origin.text != seen.target.base());
        findings.extend(asked.map(|reply| preflight(origin, reply)));
    }
    findings
}

fn sticky_cookies(seen: &Seen) -> Vec<SetCookie> {
    let names: Vec<String> = affinity::cookie_names(seen).collect();
    let mut cookies: BTreeMap<String, SetCookie> = BTreeMap::new();
    let answers = seen.sessions().flat_map(|session| session.answers());
    for cookie in answers.flat_map(Answer::cookies) {
        if names.contains(&cookie.name) {
            cookies.entry(cookie.name.clone()).or_insert(cookie);
        }
    }
    cookies.into_values().collect()
}

/// Whether sessions are lost by clients that send no cookie.
fn needs_cookie(seen: &Seen) -> bool {
    let lost = |fate| {
        seen.without_cookies
            .iter()
            .map(move |session| session.count(fate))
            .sum::<usize>()
    };
    lost(Fate::Lost) > 0
}

fn cookie_findings(seen: &Seen, cookie: &SetCookie) -> Vec<Finding> {
    let id = "cookie";
    let name = &cookie.name;
    if let Some(why) = cookie.is_useless(&seen.target) {
        let finding = graded(seen, format!("browsers never send {name} back: {why}"))
            .means("It binds nobody.")
            .change("Set it with Path=/, without Domain, with Secure only behind https, and with Secure wherever SameSite=None.");
        return vec![finding];
    }
    let mut findings: Vec<Finding> = foreign_finding(seen, cookie).into_iter().collect();
    if seen.target.is_secure && !cookie.is_secure {
        findings.push(
            Finding::warning(
                id,
                format!("{name} is not Secure although the address is https"),
            )
            .means("It also travels over plain http, where anybody can read and set it.")
            .change("Set secure = true on the cookie."),
        );
    }
    if !cookie.is_http_only {
        findings.push(
            Finding::warning(id, format!("{name} is not HttpOnly"))
                .means("Scripts of the page can read it, and no script needs to.")
                .change("Set httponly = true on the cookie (nginx: httponly)."),
        );
    }
    if findings.is_empty() {
        findings.push(Finding::ok(
            id,
            format!("{name} has the attributes it needs"),
        ));
    }
    findings
}

/// What becomes of it on a page of another site.
fn foreign_finding(seen: &Seen, cookie: &SetCookie) -> Option<Finding> {
    let name = &cookie.name;
    let origin = seen
        .origin
        .as_ref()
        .filter(|origin| !seen.target.is_same_site(origin))?;
    if cookie.same_site.as_deref() != Some("none") || !cookie.is_secure {
        let text = format!(
            "{name} lacks SameSite=None; Secure, and {} is another site",
            origin.text
        );
        let remedy = if seen.target.is_secure {
            "Set samesite = \"none\" and secure = true on the cookie (nginx: samesite=none secure), or bind by session id (Berth: sticky = [\"sid\"])."
        } else {
            "Secure needs https. Serve it by https and set SameSite=None; Secure, or bind by session id (Berth: sticky = [\"sid\"])."
        };
        let finding = graded(seen, text)
            .means("Browsers do not send it from there, so every request of such a page counts as a new client's.")
            .change(remedy);
        return Some(finding);
    }
    (!cookie.is_partitioned).then(|| {
        Finding::warning("cookie", format!("{name} is not Partitioned"))
            .means("Browsers that block third-party cookies refuse it, Safari and private windows among them.")
            .change("Set partitioned = true on the cookie, or bind by session id.")
    })
}

/// As bad as it is to be without the cookie.
fn graded(seen: &Seen, text: String) -> Finding {
    if needs_cookie(seen) {
        Finding::problem("cookie", text)
    } else {
        Finding::warning("cookie", text)
    }
}

/// What the browser makes of the handshake's answer.
fn cors(seen: &Seen, origin: &Origin, opening: &Answer) -> Finding {
    let id = "cors";
    let allowed: Vec<&str> = opening.all("access-control-allow-origin").collect();
    let with_credentials = opening.header("access-control-allow-credentials") == Some("true");
    if origin.text == seen.target.base() {
        return Finding::ok(
            id,
            format!("{} is the same origin, so no rules apply", origin.text),
        );
    }
    let refused = |text: String| {
        Finding::problem(id, text).means(
            "Browsers show the page nothing of the answers: polling fails on the first request.",
        )
    };
    let text = &origin.text;
    match allowed.as_slice() {
        [] => refused(format!("no Access-Control-Allow-Origin for {text}"))
            .change(format!("Allow it where Socket.IO runs: cors: {{ origin: \"{text}\" }}, or BERTH_CORS_ORIGIN on a Berth backend.")),
        [_, _, ..] => refused(format!("Access-Control-Allow-Origin comes {} times: {}", allowed.len(), allowed.join(" and ")))
            .change("Set it in one place only: either in the server (cors.origin) or in the proxy (add_header), not in both."),
        [one] if one.contains(',') => refused(format!("Access-Control-Allow-Origin has several values: {one}"))
            .change("It must be the one origin that asked."),
        [one] if *one != "*" && *one != text => refused(format!("Access-Control-Allow-Origin is {one}, not {text}"))
            .change(format!("Add {text} to the allowed origins.")),
        ["*"] if needs_cookie(seen) => credentials(format!("{text} may connect as anybody (*), but not with cookies")),
        [_] if needs_cookie(seen) && !with_credentials => credentials(format!("{text} may connect, but not with cookies")),
        ["*"] => Finding::ok(id, "every origin may connect, without cookies"),
        [_] => Finding::ok(id, format!("{text} may connect, {} cookies", if with_credentials { "with" } else { "without" })),
    }
}

fn credentials(text: String) -> Finding {
    Finding::problem("cors", text)
        .means("Sessions are bound by a cookie here, and browsers neither keep nor send it without credentials.")
        .change("On the server cors: { origin: \"…\", credentials: true } with the origin spelled out, in the client withCredentials: true; or bind by session id.")
}

/// Asked for a living session, without cookies, as browsers do.
fn preflight(origin: &Origin, reply: &Reply) -> Finding {
    let id = "preflight";
    let text = &origin.text;
    let means = "Requests that need a preflight (own headers such as Authorization in extraHeaders) fail in browsers.";
    match reply {
        Ok(answer) if (200..300).contains(&answer.status) => {
            match answer.header("access-control-allow-origin") {
                Some(allowed) if allowed == "*" || allowed == text => {
                    Finding::ok(id, format!("OPTIONS on a living session: {}, {allowed}", answer.status))
                }
                other => Finding::warning(id, format!("OPTIONS on a living session allows {}", other.unwrap_or("no origin")))
                    .means(means)
                    .change("Let OPTIONS through to the server, or answer it in the proxy with the same headers."),
            }
        }
        _ if fate(reply) == Fate::Lost => Finding::problem(id, "OPTIONS on a living session: Session ID unknown")
            .means("Preflights carry no cookie, so they reach another server, which refuses them.")
            .change("Bind by session id (Berth: sticky = [\"sid\"]), or answer OPTIONS in the proxy."),
        _ => Finding::warning(id, format!("OPTIONS on a living session: {}", said(reply)))
            .means(means)
            .change("Let OPTIONS through to the server, or answer it in the proxy with the same headers."),
    }
}
