//! Who gets a request, and what is said about it.

use super::{Answer, Question, explain};
use crate::affinity::signature::Keys;
use crate::config;
use crate::settings::Key;

fn question(ip: &str) -> Question<'_> {
    Question {
        ip: ip.parse().unwrap(),
        host: "h",
        path: "/socket.io/?EIO=4",
        cookie: None,
        sid: None,
        out: &[],
    }
}

fn ask(upstream: &str, ip: &str, cookie: Option<&str>) -> Answer {
    let text = format!("[upstream.app]\n{upstream}");
    let settings = config::parse("f", &text).unwrap_or_else(|problems| panic!("{problems}"));
    let question = Question {
        host: "chat.example.com",
        cookie,
        ..question(ip)
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
        "the backups take turns",
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
        "which is 10.0.0.1:3000.",
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
        "no server here",
    );
    check(
        sticky,
        "10.0.0.9",
        Some("srv_id=x; srv_id=y"),
        servers,
        "more than one cookie",
    );
    check(sticky, "10.0.0.9", None, servers, "no cookie srv_id");
    check(
        &format!("sticky = [\"cookie\"]\n{THREE}"),
        "10.0.0.9",
        Some("srv_id=0"),
        "a:1 b:1 c:1",
        "unless it is made from an address of a:1, b:1, c:1",
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
    let ask = |path, sid| {
        let question = Question {
            path,
            sid,
            ..question("10.0.0.1")
        };
        explain(&settings, &question)
    };
    let answer = ask("/y", None).unwrap();
    assert_eq!((answer.upstream, answer.candidates.len()), (None, 0));
    assert_eq!(
        (answer.refusal, answer.status),
        (Some("no_route"), Some(404))
    );
    for path in ["", "x", "/a b", "/\r\nHost: x", "/#"] {
        assert!(ask(path, None).is_err(), "{path:?}");
        assert!(ask(path, Some("x")).is_err(), "{path:?}");
    }
    assert!(ask("/x?sid=a", Some("b")).is_err());
    assert!(ask("/x", Some("a b&c#ü\r\n")).is_ok());
    let out = ["b:1".to_owned()];
    let unknown = Question {
        out: &out,
        ..question("10.0.0.1")
    };
    let told = explain(&settings, &unknown).unwrap_err().to_string();
    assert_eq!(told, "there is no server \"b:1\"; there are a:1");
}

const NEW: &str = "0123456789abcdef0123456789abcdef";
const OLD: &str = "fedcba9876543210fedcba9876543210";
/// `x` is in service, `y` is down, `z` is in service and `b` is the backup; both methods are signed.
const SIGNED: &str = r#"
[upstream.app]
sticky = ["sid", "cookie"]
fail_open = true
servers = [
  { address = "10.0.0.1:1", route = "x" }, { address = "10.0.0.2:1", route = "y", down = true },
  { address = "10.0.0.3:1", route = "z" }, { address = "10.0.0.4:1", route = "b", backup = true },
]
[upstream.app.cookie]
keys = ["0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"]
[upstream.app.sid]
keys = ["0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"]
"#;

fn cookie(key: &str, mark: &str) -> String {
    let keys = Keys::new(&[Key::new(key)], &["cookie", "app", "srv_id"]);
    let signature = keys.sign(&[mark.as_bytes()]).unwrap();
    format!("srv_id={mark}.{}", signature.as_str())
}

fn sid(key: &str, tag: &str) -> String {
    let keys = Keys::new(&[Key::new(key)], &["sid"]);
    let signature = keys.sign(&[b"X~", tag.as_bytes()]).unwrap();
    format!("X~{tag}.{}", signature.as_str())
}

/// Of a request with this session id and cookie, while these servers fail: `METHOD RESULT: CANDIDATES REFUSAL`, and a
/// word of the reasons.
#[track_caller]
fn is(sid: Option<&str>, cookie: Option<&str>, out: &str, expected: &str, word: &str) {
    let settings = config::parse("f", SIGNED).unwrap();
    let out: Vec<String> = out
        .split_whitespace()
        .map(|n| format!("10.0.0.{n}:1"))
        .collect();
    let question = Question {
        sid,
        cookie,
        out: &out,
        ..question("10.0.0.9")
    };
    let answer = explain(&settings, &question).unwrap();
    let sticky = answer
        .sticky
        .map(|sticky| format!("{} {}:", sticky.method, sticky.result));
    let mut found = vec![sticky.unwrap_or_default()];
    let names = answer
        .candidates
        .iter()
        .map(|one| &one.server["10.0.0.".len()..]);
    found.extend(names.map(|name| name.trim_end_matches(":1").to_owned()));
    found.extend(answer.refusal.map(str::to_owned));
    assert_eq!(found.join(" "), expected, "{answer}");
    assert!(answer.why.join(" ").contains(word), "{answer}");
}

#[test]
fn a_signed_cookie_is_verified() {
    let of = |cookie: &str, expected, word| is(None, Some(cookie), "", expected, word);
    of(
        &cookie(NEW, "z"),
        "cookie hit: 3",
        "names z, which is 10.0.0.3:1.",
    );
    of(
        &cookie(OLD, "z"),
        "cookie hit: 3",
        "An older key signed it, so the answer sets it anew.",
    );
    of(
        &cookie(NEW, "y"),
        "cookie rebound: 1 3",
        "10.0.0.2:1, which is down",
    );
    of(
        &cookie(NEW, "gone"),
        "cookie invalid: 1 3",
        "no server here",
    );
    of(
        "srv_id=z",
        "cookie invalid: 1 3",
        "No key signed its cookie srv_id",
    );
    of(
        &cookie(&NEW.replace('0', "1"), "z"),
        "cookie invalid: 1 3",
        "No key signed",
    );
    of("srv_id=; srv_id=", "cookie invalid: 1 3", "more than one");
}

#[test]
fn a_signed_session_id_is_verified() {
    let of = |sid: &str, expected, word| is(Some(sid), Some(&cookie(NEW, "x")), "", expected, word);
    of(
        &sid(NEW, "z"),
        "sid hit: 3",
        "names z, which is 10.0.0.3:1.",
    );
    of(
        &sid(NEW, "z").replace('~', "%7E"),
        "sid hit: 3",
        "The answer sets the cookie srv_id.",
    );
    of(
        &sid(OLD, "z"),
        "sid hit: 3",
        "good until that key is taken away",
    );
    of(&sid(NEW, "x"), "sid hit: 1", "names x");
    // The cookie is the next to be asked.
    of(
        "X~z",
        "cookie hit: 1",
        "No key signed the server in its session id",
    );
    of("X", "cookie hit: 1", "no session id that binds it");
    of(&sid(NEW, "y"), "sid gone: 1 session_gone", "which is down");
    of(
        &sid(NEW, "gone"),
        "sid gone: 1 session_gone",
        "Session ID unknown",
    );
}

#[test]
fn servers_may_be_supposed_to_fail() {
    is(
        None,
        Some(&cookie(NEW, "x")),
        "1",
        "cookie rebound: 3",
        "10.0.0.1:1, which is out",
    );
    is(
        Some(&sid(NEW, "x")),
        None,
        "1",
        "sid gone: 3 session_gone",
        "which is out",
    );
    is(None, None, "1 3", "cookie new: 4", "backups");
    is(None, None, "1 3 4", "cookie new: 1 3", "fail_open");
    let refuses = SIGNED.replace("fail_open = true", "");
    let settings = config::parse("f", &refuses).unwrap();
    let out = ["10.0.0.1:1", "10.0.0.3:1", "10.0.0.4:1"].map(str::to_owned);
    let question = Question {
        out: &out,
        ..question("10.0.0.9")
    };
    let answer = explain(&settings, &question).unwrap();
    assert_eq!((answer.status, answer.candidates.len()), (Some(502), 0));
    assert!(
        answer.to_string().starts_with("nobody of app (502)\n"),
        "{answer}"
    );
}

#[test]
fn a_hash_that_meets_nobody_gives_up() {
    let servers: Vec<String> = (1..=40).map(|n| format!("10.0.0.{n}:1")).collect();
    let text = format!("[upstream.app]\nbalance = \"ip_hash\"\nservers = {servers:?}");
    let settings = config::parse("f", &text).unwrap();
    let given_up = (0..100).any(|network| {
        let ip = format!("10.0.{network}.1");
        let question = Question {
            out: &servers[..38],
            ..question(&ip)
        };
        let answer = explain(&settings, &question).unwrap();
        let has_given_up = answer.why.join(" ").contains("the others take turns");
        assert_eq!(
            answer.candidates.len(),
            if has_given_up { 2 } else { 1 },
            "{answer}"
        );
        has_given_up
    });
    assert!(given_up, "20 misses are seldom");
}

#[test]
fn marks_that_nothing_reads_are_said_so() {
    let settings = config::parse(
        "f",
        &format!("[upstream.app]\n{THREE}\n[server]\ntrusted_proxies = [\"10.0.0.0/8\"]"),
    )
    .unwrap();
    let question = Question {
        sid: Some("X~a"),
        cookie: Some("srv_id=a"),
        ..question("::ffff:10.0.0.1")
    };
    let answer = explain(&settings, &question).unwrap();
    for word in [
        "does not list \"sid\"",
        "does not list \"cookie\"",
        "trusted_proxies",
    ] {
        assert!(answer.why.join(" ").contains(word), "{answer}");
    }
    assert_eq!(answer.sticky, None);
}

/// What programs read of an answer, which stays.
#[test]
fn the_json_is_stable() {
    let settings = config::parse("f", SIGNED).unwrap();
    let gone = sid(NEW, "y");
    let question = Question {
        sid: Some(&gone),
        ..question("10.0.0.9")
    };
    let mut answer = explain(&settings, &question).unwrap();
    answer.why = vec!["words".to_owned()];
    assert_eq!(
        serde_json::to_string(&answer).unwrap(),
        r#"{"upstream":"app","server":null,"candidates":[{"server":"10.0.0.1:1","weight":1},{"server":"10.0.0.3:1","weight":1}],"why":["words"],"sticky":{"method":"sid","result":"gone"},"refusal":"session_gone","status":400}"#
    );
}
