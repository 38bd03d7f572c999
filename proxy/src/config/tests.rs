//! What a file means, and what is said of a bad one: by the shipped files, by a folder of bad ones, and by chance.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use toml::de::DeTable;

use super::problem::Report;
use super::quantity::{Bytes, Quantity};
use super::{judge, judge_form, load, load_admin, parse};
use crate::settings::{
    Balance, Cookie, Key, Listen, ListenAddress, Rate, SameSite, ServerAddress, Settings, Sid,
    Sticky,
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn reference() -> String {
    fs::read_to_string(root().join("config/proxy.toml")).unwrap()
}

fn files(folder: &str, least: usize) -> Vec<PathBuf> {
    let folder = root().join("tests/fixtures/config").join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    files.sort();
    assert!(
        files.len() >= least,
        "{} holds {} files",
        folder.display(),
        files.len()
    );
    files
}

fn good(text: &str) -> Settings {
    parse("f", text).unwrap_or_else(|problems| panic!("{problems}\n{text}"))
}

/// The text's problems, without the file's name and the count.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let told: Vec<String> = match parse("f", text) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.to_string().lines().map(str::to_owned).collect(),
    };
    let told: Vec<&str> = told
        .iter()
        .filter_map(|line| line.strip_prefix("f:"))
        .collect();
    assert_eq!(told, expected, "{text}");
}

#[test]
fn every_good_file_is_accepted() {
    for file in files("good", 5) {
        load(&file).unwrap_or_else(|problems| panic!("{problems}"));
    }
}

/// The first lines of a bad file are comments: `# LINE:COLUMN: key: message`, one for each problem, in order.
#[test]
fn every_bad_file_is_refused_with_the_messages_that_it_begins_with() {
    for file in files("bad", 40) {
        let text = fs::read_to_string(&file).unwrap();
        let expected: Vec<&str> = text
            .lines()
            .map_while(|line| line.strip_prefix("# "))
            .collect();
        assert!(!expected.is_empty(), "{} expects nothing", file.display());
        let problems = load(&file).expect_err(&format!("{} is accepted", file.display()));
        let shown = problems.to_string();
        let mut told: Vec<&str> = shown.lines().collect();
        let count = told.pop().unwrap();
        let prefix = format!("{}:", file.display());
        let told: Vec<&str> = told
            .iter()
            .map(|line| line.strip_prefix(&prefix).unwrap().trim_start())
            .collect();
        assert_eq!(told, expected, "{}", file.display());
        let plural = if told.len() == 1 { "" } else { "s" };
        assert_eq!(
            count,
            format!("({} problem{plural}; nothing was started)", told.len())
        );
    }
}

#[test]
fn the_reference_is_the_guides_setup() {
    let settings = load(&root().join("config/proxy.toml")).unwrap();
    assert_eq!(
        settings.listen,
        [Listen::plain(ListenAddress::Tcp(
            "0.0.0.0:8080".parse().unwrap()
        ))]
    );
    assert_eq!(settings.upstreams.len(), 1);
    let upstream = &settings.upstreams[0];
    assert_eq!(
        (upstream.balance, upstream.keepalive),
        (Balance::IpHash, 32)
    );
    assert_eq!(upstream.servers.len(), 3);
    for (server, host) in upstream.servers.iter().zip(["app1", "app2", "app3"]) {
        assert_eq!(
            server.address,
            ServerAddress::Name {
                host: host.to_owned(),
                port: 3000
            }
        );
        assert_eq!(
            (server.max_fails, server.fail_timeout),
            (3, Duration::from_secs(30))
        );
    }
}

#[test]
fn a_commented_default_of_the_reference_changes_nothing() {
    let text = reference();
    let mut defaults = 0;
    let uncommented: Vec<&str> = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => {
                defaults += 1;
                rest
            }
            _ => line,
        })
        .collect();
    assert!(defaults >= 15, "found {defaults} defaults");
    assert_eq!(good(&uncommented.join("\n")), good(&text));
}

/// Each block of `#: ` lines, as the file it stands for.
fn alternatives() -> Vec<String> {
    let text = reference();
    let mut blocks = vec![String::new()];
    for line in text.lines() {
        match line.strip_prefix("#: ") {
            Some(rest) => blocks.last_mut().unwrap().push_str(&format!("{rest}\n")),
            None => blocks.push(String::new()),
        }
    }
    blocks.retain(|block| !block.is_empty());
    assert!(blocks.len() >= 4, "found {} blocks", blocks.len());
    blocks
}

#[test]
fn every_alternative_of_the_reference_is_a_good_file() {
    for alternative in alternatives() {
        // Certificates that it names are the reader's own.
        judge_form("f", &alternative)
            .unwrap_or_else(|problems| panic!("{problems}\n{alternative}"));
    }
}

/// `kind.key` of every key in a table, with names and list positions taken out.
fn keys_of(table: &DeTable<'_>, kind: &str, keys: &mut BTreeSet<String>) {
    for (key, value) in table {
        let key = key.get_ref();
        let is_name = kind == "upstream";
        if !is_name {
            keys.insert(format!("{kind}.{key}"));
        }
        let inner = match (kind, is_name) {
            ("", _) => key.to_string(),
            (_, true) => "upstream.NAME".to_owned(),
            _ => format!("{kind}.{key}"),
        };
        if let Some(table) = value.get_ref().as_table() {
            keys_of(table, &inner, keys);
        }
        for item in value
            .get_ref()
            .as_array()
            .into_iter()
            .flat_map(|items| items.iter())
        {
            if let Some(table) = item.get_ref().as_table() {
                keys_of(table, &inner, keys);
            }
        }
    }
}

#[test]
fn the_reference_and_the_reader_know_the_same_keys() {
    let mut documented = BTreeSet::new();
    let mut known = BTreeSet::new();
    let defaults: String = reference()
        .lines()
        .filter(|line| !line.starts_with("# ") && !line.starts_with("#:"))
        .map(|line| format!("{}\n", line.trim_start_matches('#')))
        .collect();
    for text in alternatives().into_iter().chain([defaults]) {
        keys_of(
            DeTable::parse(&text).unwrap().get_ref(),
            "",
            &mut documented,
        );
        let report = Report::default();
        judge(&text, &report, None);
        known.extend(report.known());
    }
    assert!(known.len() > 30, "{known:?}");
    assert_eq!(documented, known);
}

#[test]
fn a_server_line_has_nginx_defaults() {
    let settings = good("upstream.a.servers = ['10.0.0.1:3000']");
    let server = &settings.upstreams[0].servers[0];
    assert_eq!(
        server.address,
        ServerAddress::Ip("10.0.0.1:3000".parse().unwrap())
    );
    assert_eq!((server.weight, server.max_fails), (1, 1));
    assert_eq!(server.fail_timeout, Duration::from_secs(10));
    assert!(!server.backup && !server.down && server.route.is_none());
    assert_eq!(settings.upstreams[0].balance, Balance::RoundRobin);
}

#[test]
fn no_admin_table_is_no_admin_listener() {
    let servers = "upstream.a.servers = ['a:1']";
    assert_eq!(good(servers).admin, None);
    let with_table = good(&format!("{servers}\n[admin]"));
    assert_eq!(with_table.admin, Some("127.0.0.1:9090".parse().unwrap()));
}

#[test]
fn a_sticky_cookie_needs_no_table() {
    let settings = good("[upstream.a]\nservers = ['a:1']\nsticky = ['cookie']");
    let Sticky::Cookie(cookie) = &settings.upstreams[0].sticky[0] else {
        panic!("{settings:?}");
    };
    assert_eq!(
        (cookie.name.as_str(), cookie.path.as_deref()),
        ("srv_id", Some("/"))
    );
    assert_eq!((cookie.expires, cookie.domain.as_deref()), (None, None));
}

#[test]
fn a_sticky_cookie_takes_nginx_words() {
    let settings = good(
        "[upstream.a]\nservers = ['a:1']\nsticky = ['cookie']\n[upstream.a.cookie]\nname = 's'\nexpires = '1h'\n\
         domain = '.example.com'\npath = '/x'\nsecure = true\nhttponly = true\nsamesite = 'none'\npartitioned = true\n\
         keys = ['0123456789abcdef0123456789abcdef']",
    );
    let expected = Cookie {
        name: "s".to_owned(),
        keys: vec![Key::new("0123456789abcdef0123456789abcdef")],
        expires: Some(Duration::from_secs(3600)),
        domain: Some(".example.com".to_owned()),
        path: Some("/x".to_owned()),
        secure: true,
        httponly: true,
        samesite: Some(SameSite::None),
        partitioned: true,
    };
    assert_eq!(settings.upstreams[0].sticky, [Sticky::Cookie(expected)]);
}

#[test]
fn sticky_methods_keep_their_order_and_have_defaults() {
    let settings = good("[upstream.a]\nservers = ['a:1']\nsticky = ['cookie', 'sid']");
    let [Sticky::Cookie(_), Sticky::Sid(sid)] = &settings.upstreams[0].sticky[..] else {
        panic!("{settings:?}");
    };
    assert!(sid.keys.is_empty() && sid.answer_gone);
}

#[test]
fn keys_are_taken_and_never_shown() {
    let secret = "0123456789abcdef0123456789abcdef";
    let settings = good(&format!(
        "[upstream.a]\nservers = ['a:1']\nsticky = ['sid']\n[upstream.a.sid]\nkeys = ['{secret}']\nanswer_gone = false"
    ));
    let expected = Sid {
        keys: vec![Key::new(secret)],
        answer_gone: false,
    };
    assert!(!format!("{settings:?}").contains(secret));
    assert_eq!(settings.upstreams[0].sticky, [Sticky::Sid(expected)]);
    check(
        "[upstream.a]\nservers = ['a:1']\nsticky = ['sid']\n[upstream.a.sid]\nkeys = ['hunter2', 5]",
        &[
            "5:9: upstream.a.sid.keys[0]: is not a key of 32 to 256 characters; write what `openssl rand -hex 32` prints",
            "5:20: upstream.a.sid.keys[1]: is not a key of 32 to 256 characters; write what `openssl rand -hex 32` prints",
        ],
    );
}

/// Problems end in logs.
#[test]
fn a_key_that_is_written_wrongly_is_not_quoted() {
    let secret = "89e6f1a2c0b34d57a1e2f3c4d5b6a798";
    let ways = [
        format!("keys = '{secret}'"),
        format!("keys = {secret}"),
        format!("keys = [{secret}]"),
        format!("keys = [{secret}, {secret}]"),
        format!("keys = a{secret}"),
        format!("keys = ['{secret}]"),
        format!("keys = ['{secret}' '{secret}']"),
        format!("keys = ['{secret}', '{secret}']"),
        format!("keys = ['{secret}'"),
        format!("keys = ['{secret}'] '{secret}'"),
        format!("keys ['{secret}']"),
        format!("keys: ['{secret}']"),
        format!("keys = {{ first = '{secret}' }}"),
        format!("keys = [['{secret}']]"),
        format!("key = '{secret}'"),
        format!("secrets = ['{secret}']"),
        format!("keys = ['{}']", secret.repeat(9)),
        format!("keys = [\n{secret},\n]"),
        format!("keys = ['a']\n{secret}"),
    ];
    for (method, way) in ["sid", "cookie"]
        .iter()
        .flat_map(|method| ways.iter().map(move |way| (method, way)))
    {
        let text = format!(
            "[upstream.a]\nservers = ['a:1']\nsticky = ['{method}']\n[upstream.a.{method}]\n{way}\n"
        );
        let problems = parse("f", &text).expect_err(way).to_string();
        assert!(!problems.contains("f1a2"), "{way}\n{problems}");
    }
}

#[test]
fn upstreams_keep_the_files_order() {
    let settings = good(
        "[upstream.z]\nservers = ['z:1']\n[upstream.a]\nservers = ['a:1']\n\
         [[route]]\nupstream = 'a'\nhost = 'A.Example'\n[[route]]\nupstream = 'z'",
    );
    let names: Vec<&str> = settings
        .upstreams
        .iter()
        .map(|upstream| upstream.name.as_str())
        .collect();
    assert_eq!(names, ["z", "a"]);
    assert_eq!(settings.routes[0].host.as_deref(), Some("a.example"));
    assert_eq!(
        (settings.routes[0].upstream, settings.routes[1].upstream),
        (1, 0)
    );
}

#[test]
fn a_syntax_error_does_not_hide_the_mistakes_below_it() {
    check(
        "[server]\ndrain_timeout = 30s\nthreads = 0\n[upstream.a]\nservers = ['a:1']\nbalanse = 'ip_hash'",
        &[
            "2:17: server.drain_timeout: 30s is not a TOML value; write \"30s\" if it is text or has a unit",
            "3:11: server.threads: 0 is too small; write 1 to 256",
            "6:1: upstream.a.balanse: is an unknown key; did you mean balance?",
        ],
    );
}

#[test]
fn an_empty_file_says_what_it_lacks() {
    check(
        "",
        &[
            "1:1: upstream: is missing, so there is nobody to pass requests to; \
           write [upstream.app_backend] with servers = [\"app1:3000\", \"app2:3000\"]",
        ],
    );
}

#[test]
fn a_missing_file_has_no_line() {
    let shown = load(Path::new("/no/such.toml")).unwrap_err().to_string();
    assert!(
        shown.starts_with("/no/such.toml: cannot be read: "),
        "{shown}"
    );
    assert!(
        shown.ends_with("(1 problem; nothing was started)"),
        "{shown}"
    );
}

#[test]
fn a_file_that_is_not_text_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy.toml");
    fs::write(&path, b"[server]\nthreads = 1 # \xff\n").unwrap();
    let shown = load(&path).unwrap_err().to_string();
    assert!(shown.contains("proxy.toml:2:15: is not UTF-8"), "{shown}");
}

#[test]
fn a_probe_finds_the_admin_address_in_a_half_edited_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy.toml");
    fs::write(
        &path,
        "[admin]\nlisten = '127.0.0.1:9191'\n[upstream.a]\nservers = [",
    )
    .unwrap();
    load(&path).unwrap_err();
    assert_eq!(
        load_admin(&path).unwrap(),
        Some("127.0.0.1:9191".parse().unwrap())
    );
}

#[test]
fn a_file_that_is_not_toml_is_told_briefly() {
    let log = "2026-01-01 12:00:00 INFO something happened key=value [x]\n".repeat(500);
    let shown = parse("f", &log).unwrap_err().to_string();
    assert_eq!(shown.lines().count(), 102, "{shown}");
    assert!(
        shown.ends_with("f: and 400 more\n(500 problems; nothing was started)"),
        "{shown}"
    );
}

#[test]
fn a_key_with_a_line_break_stays_on_its_line() {
    check(
        "upstream.a.servers = ['a:1']\nserver.\"a\\nb\" = 1",
        &[
            "2:8: server.\"a\\nb\": is an unknown key; the keys here are listen, tls, trusted_proxies, \
           drain_timeout, pid_file, threads, head_bytes_max, head_fields_max, head_timeout, \
           keepalive_timeout, keepalive_requests, body_bytes_max, body_timeout, send_timeout, \
           body_rate_min, send_rate_min, rate_window, connections_max, connections_per_client_max, \
           tls_handshake_timeout, http2, http2_streams_max",
        ],
    );
}

/// Every problem names a line of the text and a column on it, or just behind its end.
fn places_are_inside(text: &str) {
    let Err(problems) = parse("f", text) else {
        return;
    };
    let lines: Vec<&str> = text.split('\n').collect();
    assert!(problems.iter().count() > 0, "refused without a reason");
    for problem in &problems {
        let (line, column) = problem.place.expect("a text's problems have places");
        assert!((1..=lines.len()).contains(&line), "{problem:?} in {text:?}");
        let length = lines[line - 1].chars().count();
        assert!(
            (1..=length + 1).contains(&column),
            "{problem:?} in {text:?}"
        );
        assert!(!problem.message.contains('\n'), "{problem:?}");
    }
}

/// Files that look like ours until they do not: lines of the reference and of the fixtures, shuffled and cut.
fn near_file() -> impl Strategy<Value = String> {
    let mut lines: Vec<String> = reference()
        .lines()
        .map(|line| line.trim_start_matches(['#', ':', ' ']).to_owned())
        .collect();
    for file in files("bad", 40) {
        lines.extend(fs::read_to_string(file).unwrap().lines().map(str::to_owned));
    }
    let line = prop::sample::select(lines);
    let cut =
        (line, any::<prop::sample::Index>(), any::<bool>()).prop_map(|(line, index, whole)| {
            let keep = if whole {
                usize::MAX
            } else {
                index.index(line.len() + 1)
            };
            line.chars().take(keep).collect::<String>()
        });
    prop::collection::vec(cut, 0..40).prop_map(|lines| lines.join("\n"))
}

fn read_back<T: Quantity>(quantity: T) -> T {
    let text = format!("a = \"{}\"", quantity.write());
    let tree = DeTable::parse(&text).unwrap();
    T::read(tree.get_ref().get("a").unwrap().get_ref()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_quantity_is_read_as_it_is_written(number in any::<u64>(), shift in 0u32..64) {
        let number = number >> shift;
        prop_assert_eq!(read_back(Duration::from_millis(number)), Duration::from_millis(number));
        prop_assert_eq!(read_back(Bytes(number)), Bytes(number));
    }

    #[test]
    fn any_text_is_judged_without_panic(text in any::<String>()) {
        places_are_inside(&text);
    }

    #[test]
    fn any_marks_are_judged_without_panic(text in "[\\[\\]{}=.,#\"'a-c0-9 \n-]{0,80}") {
        places_are_inside(&text);
    }

    #[test]
    fn any_near_file_is_judged_without_panic(text in near_file()) {
        places_are_inside(&text);
    }
}

#[test]
fn a_rate_has_a_burst_of_a_second_unless_it_says_otherwise() {
    let rates = |text: &str| {
        let text =
            format!("[upstream.app]\nservers = [\"a:1\"]\n[upstream.app.handshakes]\n{text}");
        let handshakes = parse("proxy.toml", &text).unwrap().upstreams[0].handshakes;
        let rate = |rate: Option<Rate>| rate.map(|rate| (rate.per_minute, rate.burst));
        (rate(handshakes.overall), rate(handshakes.per_server))
    };
    assert_eq!(rates("rate = \"200/s\""), (Some((12_000, 200)), None));
    assert_eq!(
        rates("rate_per_server = \"30/m\"\nrate = \"90/m\"\nburst = 7"),
        (Some((90, 7)), Some((30, 1)))
    );
}
