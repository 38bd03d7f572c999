//! Who gets a request, and what is said about it.

use super::{Answer, Question, explain};
use crate::config;

fn ask(upstream: &str, ip: &str, cookie: Option<&str>) -> Answer {
    let text = format!("[upstream.app]\n{upstream}");
    let settings = config::parse("f", &text).unwrap_or_else(|problems| panic!("{problems}"));
    let question = Question {
        ip: ip.parse().unwrap(),
        host: "chat.example.com",
        path: "/socket.io/?EIO=4",
        cookie,
    };
    explain(&settings, &question).unwrap()
}

/// Who gets it (all candidates if that depends on the moment), and a word of the reason.
#[track_caller]
fn check(upstream: &str, ip: &str, cookie: Option<&str>, server: &str, word: &str) {
    let answer = ask(upstream, ip, cookie);
    let names: Vec<&str> = answer
        .candidates
        .iter()
        .map(|one| one.server.as_str())
        .collect();
    assert_eq!(names.join(" "), server);
    assert_eq!(answer.server.is_some(), names.len() == 1);
    assert!(answer.why.join(" ").contains(word), "{answer}");
}

const THREE: &str = r#"servers = ["a:1", "b:1", "c:1"]"#;

#[test]
fn ip_hash_is_nginxs() {
    // Asked of a real nginx with three equal servers.
    for (ip, server) in [
        ("127.0.0.1", "c:1"),
        ("10.0.0.254", "a:1"),
        ("192.168.1.10", "b:1"),
        ("::ffff:10.0.0.1", "a:1"),
        ("2001:db8::1", "c:1"),
    ] {
        check(
            &format!("balance = \"ip_hash\"\n{THREE}"),
            ip,
            None,
            server,
            "Names are not looked up",
        );
    }
}

#[test]
fn hash_takes_its_key() {
    let consistent =
        format!("balance = \"hash\"\nhash_key = \"$remote_addr\"\nconsistent = true\n{THREE}");
    let first = ask(&consistent, "10.0.0.1", None);
    assert!(
        first.server.is_some() && first.why.join(" ").contains("\"10.0.0.1\""),
        "{first}"
    );
    let by_argument = format!("balance = \"hash\"\nhash_key = \"$arg_room\"\n{THREE}");
    check(&by_argument, "10.0.0.1", None, "a:1 b:1 c:1", "empty");
}

#[test]
fn what_depends_on_the_moment_is_said_so() {
    check(THREE, "10.0.0.1", None, "a:1 b:1 c:1", "turns by weight");
    check(
        &format!("balance = \"least_conn\"\n{THREE}"),
        "10.0.0.1",
        None,
        "a:1 b:1 c:1",
        "fewest",
    );
    check(
        "servers = [\"a:1\", { address = \"b:1\", down = true }]",
        "10.0.0.1",
        None,
        "a:1",
        "turns",
    );
    check(
        "servers = [{ address = \"a:1\", down = true }, { address = \"b:1\", backup = true }]",
        "10.0.0.1",
        None,
        "b:1",
        "is down",
    );
}

#[test]
fn a_cookie_comes_first() {
    let sticky = "sticky = [\"cookie\"]\nservers = [{ address = \"10.0.0.1:3000\", route = \"x\" }, { address = \"b:1\", route = \"y\", down = true }, \"10.0.0.1:3001\"]";
    let servers = "10.0.0.1:3000 10.0.0.1:3001";
    check(
        sticky,
        "10.0.0.9",
        Some("a=1; srv_id=x"),
        "10.0.0.1:3000",
        "is that of 10.0.0.1:3000",
    );
    check(
        sticky,
        "10.0.0.9",
        Some("srv_id=y"),
        servers,
        "which is down",
    );
    check(
        sticky,
        "10.0.0.9",
        Some("srv_id=forged"),
        servers,
        "nobody's",
    );
    check(
        sticky,
        "10.0.0.9",
        Some("srv_id=x; srv_id=y"),
        servers,
        "no one cookie",
    );
    check(sticky, "10.0.0.9", None, servers, "no one cookie");
    check(
        &format!("sticky = [\"cookie\"]\n{THREE}"),
        "10.0.0.9",
        Some("srv_id=0"),
        "a:1 b:1 c:1",
        "unless it is the MD5",
    );
}

#[test]
fn active_checks_are_presumed_passed() {
    let checked = "servers = [\"a:1\"]\n[upstream.app.health_check]\npath = \"/health\"";
    check(checked, "10.0.0.1", None, "a:1", "presumes");
}

#[test]
fn no_route_is_nobody_and_nonsense_is_no_request() {
    let settings = config::parse(
        "f",
        "[upstream.app]\nservers = [\"a:1\"]\n[[route]]\npath = \"/x\"\nupstream = \"app\"",
    )
    .unwrap();
    let question = |path| Question {
        ip: "10.0.0.1".parse().unwrap(),
        host: "h",
        path,
        cookie: None,
    };
    let answer = explain(&settings, &question("/y")).unwrap();
    assert_eq!((answer.upstream, answer.candidates.len()), (None, 0));
    for path in ["", "x", "/a b", "/\r\nHost: x", "/#"] {
        assert!(explain(&settings, &question(path)).is_err(), "{path:?}");
    }
}

#[test]
fn a_session_id_names_its_server() {
    let settings = config::parse(
        "f",
        "[upstream.app]\nsticky = [\"sid\", \"cookie\"]\nservers = [{ address = \"10.0.0.1:1\", route = \"x\" }, \
         { address = \"10.0.0.2:1\", route = \"y\", down = true }, { address = \"10.0.0.3:1\", route = \"z\" }]",
    )
    .unwrap();
    let ask = |path: &str, cookie| {
        let question = Question {
            ip: "10.0.0.9".parse().unwrap(),
            host: "h",
            path,
            cookie,
        };
        explain(&settings, &question).unwrap()
    };
    let path = |tag| format!("/socket.io/?EIO=4&transport=polling&sid=abcdefghijklmnopqrst~{tag}");
    assert_eq!(
        ask(&path("z"), Some("srv_id=x")).server.as_deref(),
        Some("10.0.0.3:1")
    );
    let gone = ask(&path("y"), None);
    assert_eq!((gone.server.clone(), gone.candidates.len()), (None, 2));
    assert!(gone.why.join(" ").contains("Session ID unknown"), "{gone}");
    let fresh = ask("/socket.io/?EIO=4&transport=polling", Some("srv_id=x"));
    assert_eq!(fresh.server.as_deref(), Some("10.0.0.1:1"));
}
