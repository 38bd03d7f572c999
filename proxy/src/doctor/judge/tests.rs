//! Recorded answers of nginx, Node, Berth and others, and what must be said of them.

use std::time::Duration;

use super::judge;
use crate::doctor::finding::{Finding, Verdict};
use crate::doctor::seen::{
    Address, Answer, Body, Certificate, Fault, Idle, Reply, Seen, Session, Upgrade,
};
use crate::doctor::target::{Origin, Target};

const SECOND: Duration = Duration::from_secs(1);

fn handshake(sid: &str, headers: &[(&str, &str)]) -> Answer {
    let body = format!(
        r#"0{{"sid":"{sid}","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}}"#
    );
    Answer::example(200, headers, &body)
}

fn ok() -> Reply {
    Ok(Answer::example(200, &[("content-type", "text/html")], "ok"))
}

fn lost() -> Reply {
    Ok(Answer::example(
        400,
        &[
            ("server", "nginx/1.22.1"),
            ("content-type", "application/json"),
        ],
        r#"{"code":1,"message":"Session ID unknown"}"#,
    ))
}

fn nginx_page(status: u16) -> Answer {
    Answer::example(
        status,
        &[("server", "nginx/1.22.1"), ("content-type", "text/html")],
        "<html>\r\n<head><title>an error</title></head></html>",
    )
}

/// Sessions with ids of their own, the same headers, and these requests.
fn sessions(headers: &[(&str, &str)], requests: &[Reply]) -> Vec<Session> {
    let session = |number: usize| Session {
        handshake: Ok(handshake(&format!("{number}-{}", headers.len()), headers)),
        requests: requests.to_vec(),
    };
    (0..6).map(session).collect()
}

/// Different ids, so that nobody takes them for cached.
fn others(headers: &[(&str, &str)], requests: &[Reply]) -> Vec<Session> {
    let mut sessions = sessions(headers, requests);
    for (number, session) in sessions.iter_mut().enumerate() {
        session.handshake = Ok(handshake(&format!("other-{number}"), headers));
    }
    sessions
}

/// One Node server behind nginx, as it should be.
fn healthy(url: &str) -> Seen {
    Seen {
        target: Target::parse(url, None).unwrap(),
        origin: None,
        address: Address {
            used: Some("192.0.2.1:80".parse().unwrap()),
            ..Address::default()
        },
        certificate: None,
        opening: Some(Ok(handshake("first", &[]))),
        other_path: None,
        without_cookies: sessions(&[], &[ok(), ok()]),
        with_cookies: others(&[], &[ok(), ok()]),
        upgrades: vec![Upgrade::Works; 3],
        websocket: Some(Upgrade::Works),
        preflight: None,
        live_poll: Some(Ok(Duration::from_millis(3))),
        body: Some(Body {
            bytes: 1_000_000,
            reply: ok(),
        }),
        idle_websocket: Some(Idle::Alive(25 * SECOND)),
        idle_poll: Some(Idle::Alive(25 * SECOND)),
        is_quick: false,
    }
}

/// A server bound by `srv_id` only.
fn bound_by_cookie(url: &str, cookie: &str) -> Seen {
    Seen {
        without_cookies: sessions(&[("set-cookie", cookie)], &[ok(), lost()]),
        with_cookies: others(&[("set-cookie", cookie)], &[ok(), ok()]),
        ..healthy(url)
    }
}

/// Everything that is not well, as `id verdict`.
fn complaints(seen: &Seen) -> Vec<String> {
    let findings = judge(seen);
    assert!(!findings.is_empty());
    let bad = findings
        .iter()
        .filter(|finding| finding.verdict != Verdict::Ok);
    bad.map(|finding| format!("{} {}", finding.id, finding.verdict).to_lowercase())
        .collect()
}

fn finding(seen: &Seen, id: &str) -> Finding {
    let mut findings = judge(seen).into_iter();
    findings.find(|finding| finding.id == id).unwrap()
}

fn all_words(finding: &Finding) -> String {
    [
        Some(&finding.seen),
        finding.means.as_ref(),
        finding.change.as_ref(),
    ]
    .into_iter()
    .flatten()
    .cloned()
    .collect::<Vec<_>>()
    .join(" ")
}

#[test]
fn a_healthy_server_has_no_complaints_but_the_honest_one() {
    let seen = healthy("http://a.b");
    assert_eq!(complaints(&seen), ["affinity_method unknown"]);
    let honest = all_words(&finding(&seen, "affinity_method"));
    assert!(honest.contains("ip_hash"), "{honest}");
}

#[test]
fn what_binds_sessions_is_named_where_it_shows() {
    let mut tagged = healthy("http://a.b");
    for (number, session) in tagged.without_cookies.iter_mut().enumerate() {
        session.handshake = Ok(handshake(&format!("{number}~1"), &[]));
    }
    assert_eq!(complaints(&tagged), Vec::<String>::new());
    let mut named = healthy("http://a.b");
    for (number, session) in named.without_cookies.iter_mut().enumerate() {
        let name = format!("backend-{}", number % 2);
        let headers = [("x-berth-instance", name.as_str())];
        session.handshake = Ok(handshake(&number.to_string(), &headers));
    }
    assert_eq!(complaints(&named), Vec::<String>::new());
    assert!(
        finding(&named, "affinity_method")
            .seen
            .contains("2 servers")
    );
}

#[test]
fn no_stickiness_is_a_problem() {
    let seen = Seen {
        without_cookies: sessions(&[], &[ok(), lost()]),
        with_cookies: others(&[], &[lost(), ok()]),
        ..healthy("http://a.b")
    };
    assert_eq!(complaints(&seen), ["affinity problem"]);
    let said = finding(&seen, "affinity").seen;
    assert!(said.starts_with("6 of 12 requests"), "{said}");
}

#[test]
fn cookies_alone_are_a_warning_and_on_other_sites_a_problem() {
    let good = "srv_id=a; Path=/; HttpOnly";
    let seen = bound_by_cookie("http://a.b", good);
    assert_eq!(complaints(&seen), ["affinity warning"]);
    let method = finding(&seen, "affinity_method").seen;
    assert_eq!(method, "the cookie srv_id");
    assert!(all_words(&finding(&seen, "affinity")).contains("only with cookies"));

    let foreign = |cookie: &str, headers: &[(&str, &str)]| Seen {
        origin: Some(Origin::parse("https://www.example.org").unwrap()),
        opening: Some(Ok(handshake("first", headers))),
        ..bound_by_cookie("https://io.example.com", cookie)
    };
    let open = [
        ("access-control-allow-origin", "https://www.example.org"),
        ("access-control-allow-credentials", "true"),
    ];
    assert_eq!(
        complaints(&foreign("srv_id=a; Secure; HttpOnly; SameSite=Lax", &open)),
        ["affinity warning", "cookie problem"]
    );
    let none = "srv_id=a; Secure; HttpOnly; SameSite=None";
    assert_eq!(
        complaints(&foreign(none, &open)),
        ["affinity warning", "cookie warning"]
    );
    let partitioned = format!("{none}; Partitioned");
    assert_eq!(
        complaints(&foreign(&partitioned, &open)),
        ["affinity warning"]
    );
    let without_credentials = &open[..1];
    assert_eq!(
        complaints(&foreign(&partitioned, without_credentials)),
        ["affinity warning", "cors problem"]
    );
}

#[test]
fn cookies_that_browsers_drop_bind_nobody() {
    for cookie in [
        "srv_id=a; HttpOnly; Secure",
        "srv_id=a; HttpOnly; SameSite=None",
        "srv_id=a; HttpOnly; Path=/chat",
        "srv_id=a; HttpOnly; Domain=c.d",
    ] {
        let seen = Seen {
            with_cookies: others(&[("set-cookie", cookie)], &[ok(), lost()]),
            ..bound_by_cookie("http://a.b", cookie)
        };
        assert_eq!(
            complaints(&seen),
            ["affinity problem", "cookie problem"],
            "{cookie}"
        );
    }
}

#[test]
fn a_cookie_of_the_app_is_not_taken_for_sticky() {
    let mut seen = healthy("https://a.b");
    for (number, session) in seen.without_cookies.iter_mut().enumerate() {
        let cookie = format!("connect.sid={number}");
        let headers = [("set-cookie", cookie.as_str()), ("set-cookie", "lang=en")];
        session.handshake = Ok(handshake(&number.to_string(), &headers));
    }
    assert_eq!(complaints(&seen), ["affinity_method unknown"]);
}

#[test]
fn a_cookie_of_few_values_is_taken_for_sticky() {
    let mut seen = bound_by_cookie("http://a.b", "unused=1");
    for (number, session) in seen.without_cookies.iter_mut().enumerate() {
        let cookie = format!("_6f2a={}", number % 2);
        session.handshake = Ok(handshake(
            &number.to_string(),
            &[("set-cookie", cookie.as_str())],
        ));
    }
    assert_eq!(finding(&seen, "affinity_method").seen, "the cookie _6f2a");
}

#[test]
fn failed_upgrades_are_told_apart() {
    let check = |refusal: Answer| {
        let seen = Seen {
            upgrades: vec![Upgrade::Works, Upgrade::Refused(refusal)],
            ..healthy("http://a.b")
        };
        assert_eq!(
            complaints(&seen),
            ["affinity_method unknown", "upgrade problem"]
        );
        all_words(&finding(&seen, "upgrade"))
    };
    let without_headers = Answer::example(400, &[], r#"{"code":3,"message":"Bad request"}"#);
    assert!(check(without_headers).contains("proxy_set_header Upgrade"));
    let elsewhere = Answer::example(400, &[("content-type", "text/html")], "Session ID unknown");
    assert!(check(elsewhere).contains("stickiness"));
    assert!(check(nginx_page(403)).contains("origin"));
    assert!(check(nginx_page(502)).contains("proxy's log"));
    assert!(check(nginx_page(426)).contains("Upgrade"));
    assert!(check(nginx_page(500)).contains("polling"));
}

#[test]
fn websockets_that_carry_nothing_are_a_problem() {
    let seen = Seen {
        websocket: Some(Upgrade::Mute("handshake", Fault::Silent(10 * SECOND))),
        ..healthy("http://a.b")
    };
    assert!(all_words(&finding(&seen, "websocket")).contains("buffers or inspects"));
}

#[test]
fn upgrades_without_a_session_prove_nothing() {
    let seen = Seen {
        upgrades: vec![Upgrade::NoSession(Ok(nginx_page(502)))],
        ..healthy("http://a.b")
    };
    assert_eq!(finding(&seen, "upgrade").verdict, Verdict::Unknown);
}

#[test]
fn idle_cuts_are_named_with_their_time() {
    let check = |websocket: Idle, poll: Idle| {
        let seen = Seen {
            idle_websocket: Some(websocket),
            idle_poll: Some(poll),
            ..healthy("http://a.b")
        };
        let websocket = finding(&seen, "idle_websocket");
        let poll = finding(&seen, "idle_poll");
        (websocket, poll)
    };
    let (websocket, poll) = check(
        Idle::Cut(3 * SECOND),
        Idle::Ended(4 * SECOND, "504 from nginx/1.22.1".to_owned()),
    );
    assert_eq!(websocket.verdict, Verdict::Problem);
    let said = all_words(&websocket);
    assert!(said.contains("cuts idle connections after 3 s"), "{said}");
    assert!(
        said.contains("must exceed pingInterval + pingTimeout, 45 s here"),
        "{said}"
    );
    assert!(all_words(&poll).contains("after 4 s"));
    assert_eq!(poll.verdict, Verdict::Problem);
    let (websocket, poll) = check(
        Idle::Ended(SECOND, "the WebSocket was closed with 1001".to_owned()),
        Idle::Moved(3 * SECOND),
    );
    assert_eq!(websocket.verdict, Verdict::Warning);
    assert_eq!(poll.verdict, Verdict::Problem);
    let (websocket, poll) = check(Idle::Silent(30 * SECOND), Idle::TooLong(60 * SECOND));
    assert_eq!(websocket.verdict, Verdict::Problem);
    assert_eq!(poll.verdict, Verdict::Unknown);
}

#[test]
fn quick_says_what_it_left_out() {
    let seen = Seen {
        idle_websocket: None,
        idle_poll: None,
        is_quick: true,
        ..healthy("http://a.b")
    };
    assert_eq!(finding(&seen, "idle").verdict, Verdict::Unknown);
}

#[test]
fn a_smaller_limit_on_bodies_is_named() {
    let body = |reply| Seen {
        body: Some(Body {
            bytes: 1_000_000,
            reply,
        }),
        ..healthy("http://a.b")
    };
    let seen = body(Ok(nginx_page(413)));
    assert!(all_words(&finding(&seen, "body")).contains("client_max_body_size"));
    assert_eq!(finding(&seen, "body").verdict, Verdict::Problem);
    assert_eq!(
        finding(&body(Err(Fault::Silent(SECOND))), "body").verdict,
        Verdict::Warning
    );
}

#[test]
fn held_back_packets_are_a_warning() {
    let seen = Seen {
        live_poll: Some(Ok(5 * SECOND)),
        ..healthy("http://a.b")
    };
    assert_eq!(finding(&seen, "live_poll").verdict, Verdict::Warning);
}

#[test]
fn servers_that_fail_now_and_then_are_counted() {
    let mut seen = healthy("http://a.b");
    seen.with_cookies[0].handshake = Ok(nginx_page(502));
    seen.with_cookies[1].requests[0] = Ok(nginx_page(502));
    seen.with_cookies[2].requests[0] = Err(Fault::Silent(SECOND));
    let answers = finding(&seen, "answers");
    assert_eq!(answers.verdict, Verdict::Problem);
    assert_eq!(
        answers.seen,
        "3 of 36 requests failed: 2 × 502 from nginx/1.22.1, 1 × no answer within 1 s"
    );
}

#[test]
fn limits_are_not_taken_for_faults() {
    let mut seen = healthy("http://a.b");
    seen.with_cookies[0].handshake = Ok(Answer::example(503, &[("retry-after", "1")], ""));
    seen.with_cookies[1].handshake = Ok(nginx_page(429));
    assert_eq!(finding(&seen, "answers").verdict, Verdict::Warning);
}

#[test]
fn one_session_for_two_clients_is_a_cache() {
    let seen = Seen {
        with_cookies: sessions(&[], &[ok()]),
        ..healthy("http://a.b")
    };
    let cache = finding(&seen, "cache");
    assert_eq!(cache.verdict, Verdict::Problem);
    assert!(cache.seen.starts_with("6 of 12"), "{}", cache.seen);
}

/// Nothing but the first handshake.
fn first(reply: Reply) -> Seen {
    Seen {
        opening: Some(reply),
        without_cookies: Vec::new(),
        with_cookies: Vec::new(),
        upgrades: Vec::new(),
        websocket: None,
        live_poll: None,
        body: None,
        idle_websocket: None,
        idle_poll: None,
        ..healthy("http://a.b")
    }
}

#[test]
fn what_is_no_handshake_is_explained() {
    let check = |reply: Reply| {
        let seen = first(reply);
        assert_eq!(complaints(&seen), ["path problem"]);
        all_words(&finding(&seen, "path"))
    };
    let redirect = Answer::example(301, &[("location", "https://a.b/socket.io/")], "");
    assert!(check(Ok(redirect)).contains("redirects to https://a.b/socket.io/"));
    assert!(check(Ok(nginx_page(404))).contains("--path"));
    assert!(check(Ok(nginx_page(502))).contains("reaches no server"));
    assert!(check(Ok(nginx_page(200))).contains("Something else answers"));
    let https = Answer::example(
        400,
        &[],
        "<html><head><title>400 The plain HTTP request was sent to HTTPS port</title>",
    );
    assert!(check(Ok(https)).contains("https://"));
    assert!(check(Err(Fault::Silent(SECOND))).contains("servers behind hang"));
    assert!(check(Err(Fault::Tls("corrupt".to_owned()))).contains("speaks TLS"));
    let forbidden = Answer::example(403, &[], r#"{"code":4,"message":"Forbidden"}"#);
    assert!(check(Ok(forbidden)).contains("allowRequest"));
    let query_lost = Answer::example(400, &[], r#"{"code":2,"message":"Bad handshake method"}"#);
    assert!(check(Ok(query_lost)).contains("query"));
}

#[test]
fn another_path_is_proposed() {
    let seen = Seen {
        other_path: Some("/ws/socket.io/".to_owned()),
        ..first(Ok(nginx_page(404)))
    };
    assert!(all_words(&finding(&seen, "path")).contains("--path /ws/socket.io/"));
}

#[test]
fn a_server_of_websockets_alone_is_well() {
    let refused = Answer::example(400, &[], r#"{"code":0,"message":"Transport unknown"}"#);
    let seen = Seen {
        websocket: Some(Upgrade::Works),
        ..first(Ok(refused))
    };
    assert_eq!(complaints(&seen), Vec::<String>::new());
}

#[test]
fn an_old_server_is_named() {
    let open = r#"0{"sid":"abc","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":5000}"#;
    let body = format!("{}:{open}2:40", open.len());
    let seen = first(Ok(Answer::example(200, &[], &body)));
    assert!(finding(&seen, "path").seen.contains("Socket.IO 2"));
    assert_eq!(finding(&seen, "path").verdict, Verdict::Warning);
}

#[test]
fn certificates_are_judged() {
    let check = |certificate: Certificate| {
        let seen = Seen {
            certificate: Some(certificate),
            ..healthy("https://a.b")
        };
        finding(&seen, "certificate")
    };
    assert_eq!(check(Certificate::Good).verdict, Verdict::Ok);
    assert_eq!(check(Certificate::ExpiresSoon).verdict, Verdict::Warning);
    assert!(all_words(&check(Certificate::Untrusted)).contains("self-signed"));
    let wrong = check(Certificate::WrongName(vec!["c.d".to_owned()]));
    assert_eq!(wrong.seen, "the certificate is for c.d, not for a.b");
    for bad in [
        Certificate::Expired,
        Certificate::NotYetValid,
        Certificate::Other("strange".to_owned()),
    ] {
        assert_eq!(check(bad).verdict, Verdict::Problem);
    }
    let left_out = Certificate::NotChecked("--insecure".to_owned());
    assert_eq!(check(left_out).verdict, Verdict::Unknown);
}

#[test]
fn addresses_are_judged() {
    let with = |address: Address| Seen {
        address,
        ..healthy("http://a.b")
    };
    let nowhere = Address {
        fault: Some("Name or service not known".to_owned()),
        ..Address::default()
    };
    assert!(
        finding(&with(nowhere), "address")
            .seen
            .contains("has no address")
    );
    let refused = vec![("192.0.2.1:80".parse().unwrap(), "refused".to_owned())];
    let nobody = Address {
        refused: refused.clone(),
        ..Address::default()
    };
    assert_eq!(finding(&with(nobody), "address").verdict, Verdict::Problem);
    let half = Address {
        refused,
        used: Some("192.0.2.2:80".parse().unwrap()),
        fault: None,
    };
    assert_eq!(finding(&with(half), "address").verdict, Verdict::Warning);
}

#[test]
fn cross_origin_rules_are_those_of_browsers() {
    let check = |headers: &[(&str, &str)]| {
        let seen = Seen {
            origin: Some(Origin::parse("https://c.d").unwrap()),
            opening: Some(Ok(handshake("first", headers))),
            ..healthy("https://a.b")
        };
        finding(&seen, "cors")
    };
    let allow = "access-control-allow-origin";
    assert_eq!(check(&[(allow, "*")]).verdict, Verdict::Ok);
    assert_eq!(check(&[(allow, "https://c.d")]).verdict, Verdict::Ok);
    assert_eq!(check(&[]).verdict, Verdict::Problem);
    assert_eq!(check(&[(allow, "https://e.f")]).verdict, Verdict::Problem);
    let twice = check(&[(allow, "https://c.d"), (allow, "*")]);
    assert!(all_words(&twice).contains("one place only"));
    let joined = check(&[(allow, "https://c.d, https://e.f")]);
    assert!(joined.seen.contains("several values"));
}

#[test]
fn preflights_must_reach_the_session() {
    let check = |reply: Reply| {
        let seen = Seen {
            origin: Some(Origin::parse("https://c.d").unwrap()),
            opening: Some(Ok(handshake(
                "first",
                &[("access-control-allow-origin", "*")],
            ))),
            preflight: Some(reply),
            ..healthy("https://a.b")
        };
        finding(&seen, "preflight").verdict
    };
    let allowed = Answer::example(204, &[("access-control-allow-origin", "https://c.d")], "");
    assert_eq!(check(Ok(allowed)), Verdict::Ok);
    assert_eq!(check(lost()), Verdict::Problem);
    assert_eq!(check(Ok(nginx_page(405))), Verdict::Warning);
    assert_eq!(check(Ok(Answer::example(204, &[], ""))), Verdict::Warning);
}
