//! What becomes of whole configurations: by the fixtures, by small cases, and by chance.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::{Disk, Files, Import, Refused, Weight, import};
use crate::config;

mod complete;

/// Files that exist in the test alone.
struct Folder(BTreeMap<PathBuf, String>);

impl Files for Folder {
    fn read(&self, path: &Path) -> io::Result<String> {
        let found = self.0.get(path).cloned();
        found.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn names(&self, folder: &Path) -> Vec<String> {
        let inside = self
            .0
            .keys()
            .filter_map(|path| path.strip_prefix(folder).ok());
        inside
            .filter_map(|rest| rest.iter().next()?.to_str().map(str::to_owned))
            .collect()
    }
}

fn folder(files: &[(&str, &str)]) -> Folder {
    let owned = files
        .iter()
        .map(|(path, text)| (PathBuf::from(path), (*text).to_owned()));
    Folder(owned.collect())
}

fn of(text: &str) -> Result<Import, Refused> {
    import(Path::new("n.conf"), &folder(&[("n.conf", text)]))
}

/// A configuration with an upstream `app` of these lines, and a location with those.
fn around(upstream: &str, location: &str) -> Import {
    let text = format!(
        "http {{ upstream app {{\nserver a:1; {upstream}\n}}\nserver {{ listen 80;\n\
         location / {{ proxy_pass http://app; proxy_set_header Host $host;\n{location}\n}} }} }}"
    );
    of(&text).unwrap()
}

/// The result below its heading.
fn body(import: &Import) -> String {
    let lines = import
        .toml
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

/// The notes, `!` before those that change something.
fn notes(import: &Import) -> Vec<String> {
    let mark = |weight| if weight == Weight::Changes { "!" } else { "" };
    import
        .notes
        .iter()
        .map(|note| format!("{}{note}", mark(note.weight)))
        .collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/nginx")
}

/// The fixtures as if they lay in the working folder, so that messages name them alike on every machine.
struct Fixtures;

impl Files for Fixtures {
    fn read(&self, path: &Path) -> io::Result<String> {
        Disk.read(&root().join(path))
    }

    fn names(&self, folder: &Path) -> Vec<String> {
        Disk.names(&root().join(folder))
    }
}

#[test]
fn every_fixture_becomes_the_file_beside_it() {
    let mut names = Fixtures.names(Path::new(""));
    names.retain(|name| name.ends_with(".conf"));
    assert!(names.len() >= 7, "found only {names:?}");
    for name in names {
        let path = Path::new(&name);
        let toml = import(path, &Fixtures)
            .unwrap_or_else(|why| panic!("{name}: {why}"))
            .toml;
        let expected = Fixtures
            .read(&path.with_extension("toml"))
            .unwrap_or_default();
        assert_eq!(toml, expected, "{name}");
        config::judge_form("f", &toml).unwrap_or_else(|problems| panic!("{problems}\n{toml}"));
    }
}

#[test]
fn includes_are_relative_to_the_main_file_and_sorted() {
    let files = folder(&[
        (
            "etc/n.conf",
            "http { include up/*.conf; server { location / { proxy_pass http://app; include none/*.conf; } } }",
        ),
        ("etc/up/b.conf", "upstream other { server b:1; }"),
        ("etc/up/a.conf", "upstream app { include up/servers; }"),
        ("etc/up/servers", "server a:1;\nserver a:2;"),
    ]);
    let import = import(Path::new("etc/n.conf"), &files).unwrap();
    assert_eq!(
        body(&import),
        "[server]\nlisten = [\"0.0.0.0:80\"]\n[upstream.app]\nservers = [\n  \"a:1\",\n  \"a:2\",\n]"
    );
}

#[test]
fn an_include_that_leads_back_is_refused() {
    let files = folder(&[
        ("n.conf", "http {\ninclude a;\n}"),
        ("a", "\n\ninclude n.conf;"),
    ]);
    let refused = import(Path::new("n.conf"), &files).unwrap_err().to_string();
    assert_eq!(
        refused,
        "a:3: include n.conf: the file includes itself\n(nothing was imported)"
    );
}

#[test]
fn a_missing_include_is_told() {
    let import = of(
        "http {\ninclude gone.conf;\nserver { location / { proxy_pass http://a:1; proxy_set_header Host $host; } } }",
    );
    assert_eq!(
        notes(&import.unwrap()),
        [
            "!n.conf:2: include: gone.conf cannot be read: entity not found; what it says is missing here"
        ]
    );
}

#[test]
fn what_nginx_could_not_read_is_refused_by_line() {
    for (text, told) in [
        (
            "http {\n",
            "n.conf:1: the { is never closed; write a } for it",
        ),
        ("\n}", "n.conf:2: a } closes nothing; take it away"),
        (
            "http {\n a b }",
            "n.conf:2: a } comes before the ; of the directive; write the ;",
        ),
        (
            "a\n b",
            "n.conf:1: the directive has neither ; nor {; write one",
        ),
        (
            "a;\n;",
            "n.conf:2: a ; stands where a directive should begin",
        ),
        (
            "http { server { location / { proxy_pass https://a; } } }",
            "n.conf: no location passes anything to an http:// server that Berth could take over",
        ),
    ] {
        let refused = of(text).unwrap_err().to_string();
        assert_eq!(refused, format!("{told}\n(nothing was imported)"), "{text}");
    }
    let deep = "a {".repeat(100_000);
    assert!(of(&deep).unwrap_err().to_string().contains("deeper"));
}

/// What the lines of the upstream and of the location become, below the fixed first lines, and what is told.
#[track_caller]
fn check(upstream: &str, location: &str, expected: &[&str], told: &[&str]) {
    let import = around(upstream, location);
    let fixed = [
        "[server]",
        "listen = [\"0.0.0.0:80\"]",
        "[upstream.app]",
        "servers = [",
        "  \"a:1\",",
        "]",
    ];
    let text = body(&import);
    let lines: Vec<&str> = text.lines().filter(|line| !fixed.contains(line)).collect();
    assert_eq!(lines, expected, "{upstream} {location}");
    assert_eq!(notes(&import), told, "{upstream} {location}");
}

#[test]
fn the_words_of_servers_are_kept() {
    check(
        "server B weight=2 max_fails=0 fail_timeout=1m slow_start=30s; server c:3 backup; server unix:/s down route=x;",
        "",
        &[
            "  { address = \"b:80\", weight = 2, max_fails = 0, fail_timeout = \"60s\", slow_start = \"30s\" },",
            "  { address = \"c:3\", backup = true },",
            "  { address = \"unix:/s\", down = true, route = \"x\" },",
        ],
        &[],
    );
}

#[test]
fn what_the_reader_refuses_is_left_out_and_told() {
    check(
        "ip_hash;\nserver b:1 backup;\nserver c:1 weight=none;",
        "",
        &["balance = \"ip_hash\"", "  \"b:1\",", "  \"c:1\","],
        &[
            "!n.conf:3: server: left out: backup: cannot be combined with balance = \"ip_hash\"; \
             leave it out, or write balance = \"round_robin\" or \"least_conn\"",
            "!n.conf:4: server: left out: weight: \"none\" is not a whole number; write a whole number without quotes, such as 3",
        ],
    );
}

#[test]
fn certificates_are_those_of_the_blocks_that_are_served_the_default_first() {
    let text = "http {
        ssl_session_cache shared:SSL:10m;
        server { listen 443 ssl; server_name a.example.com .example.org; ssl_certificate a.pem; ssl_certificate_key a.key;
            location / { proxy_pass http://a:1; proxy_set_header Host $host; } }
        server { listen 80; listen 443; listen 443 default_server; server_name _; ssl_certificate /b.pem; ssl_certificate_key /b.key;
            ssl_protocols TLSv1.1 TLSv1.2; ssl_verify_client on;
            location / { proxy_pass http://b:1; proxy_set_header Host $host; } }
        server { listen 443 ssl; server_name c; ssl_certificate /$ssl_server_name.pem; ssl_certificate_key /c.key;
            location / { proxy_pass http://b:1; proxy_set_header Host $host; } }
        server { listen 443 ssl; ssl_certificate /d.pem; ssl_certificate_key /d.key; return 404; } }";
    let files = folder(&[("/etc/nginx/n.conf", text)]);
    let import = import(Path::new("/etc/nginx/n.conf"), &files).unwrap();
    let body = body(&import);
    assert!(
        body.starts_with(
            "[server]\nlisten = [{ address = \"0.0.0.0:443\", tls = true }, \"0.0.0.0:80\"]\n\
         [[server.tls]]\ncertificate = \"/b.pem\"\nkey = \"/b.key\"\n\
         [[server.tls]]\ncertificate = \"/etc/nginx/a.pem\"\nkey = \"/etc/nginx/a.key\"\n\
         names = [\"a.example.com\", \"example.org\", \"*.example.org\"]\n[upstream.a_1]\n"
        ),
        "{body}"
    );
    let told = notes(&import).join("\n");
    for expected in [
        "/etc/nginx/n.conf:2: ssl_session_cache: rustls has its own choice",
        "!/etc/nginx/n.conf:6: ssl_protocols: only TLS 1.2 and 1.3 are spoken",
        "!/etc/nginx/n.conf:6: ssl_verify_client: clients are not asked for certificates",
        "!/etc/nginx/n.conf:8: ssl_certificate: left out: Berth reads certificates and keys from files with fixed names",
    ] {
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn the_cookie_is_nginxs() {
    check(
        "least_conn; sticky cookie srv_id expires=1h domain=.example.com path=/ httponly secure samesite=None;",
        "",
        &[
            "balance = \"least_conn\"",
            "sticky = [\"cookie\"]",
            "[upstream.app.cookie]",
            "name = \"srv_id\"",
            "expires = \"1h\"",
            "domain = \".example.com\"",
            "path = \"/\"",
            "httponly = true",
            "secure = true",
            "samesite = \"none\"",
        ],
        &[],
    );
}

#[test]
fn timeouts_hold_for_answers_and_websockets() {
    check(
        "",
        "proxy_read_timeout 2m; proxy_connect_timeout 500ms; proxy_next_upstream off; client_max_body_size 0; client_header_timeout 10; send_timeout 2h; client_body_timeout 90; keepalive_requests 5000;",
        &[
            "head_timeout = \"10s\"",
            "body_timeout = \"90s\"",
            "send_timeout = \"2h\"",
            "keepalive_requests = 5000",
            "body_bytes_max = \"1024GiB\"",
            "connect_timeout = \"500ms\"",
            "read_timeout = \"2m\"",
            "tries = 1",
            "[upstream.app.websocket]",
            "idle_timeout = \"2m\"",
        ],
        &[],
    );
}

#[test]
fn http2_is_one_switch() {
    check(
        "",
        "http2 on; http2_max_concurrent_streams 32;",
        &["http2_streams_max = 32"],
        &[],
    );
    check("", "http2 off;", &["http2 = false"], &[]);
    let import = of("http { server { listen 80; http2 off; location / { proxy_pass http://a; proxy_set_header Host $host; } }
server { listen 443; http2 on; location / { proxy_pass http://b; proxy_set_header Host $host; } } }").unwrap();
    assert!(!import.toml.contains("\nhttp2"), "{}", import.toml);
    let told = notes(&import);
    assert!(
        told.iter()
            .any(|note| note.contains("http2 is one switch for all listeners")),
        "{told:?}"
    );
}

#[test]
fn a_bound_on_tries_holds_if_every_location_has_one() {
    let two = |first: &str, second: &str| {
        let text = format!(
            "http {{ server {{ location / {{ proxy_pass http://a:1; proxy_set_header Host $host;\n{first} }}\n\
             location /x/ {{ proxy_pass http://a:1; proxy_set_header Host $host;\n{second} }} }} }}"
        );
        let import = of(&text).unwrap();
        let text = body(&import);
        let lines = text.lines().filter(|line| line.contains("tries"));
        (lines.map(str::to_owned).collect::<Vec<_>>(), notes(&import))
    };
    let (lines, told) = two(
        "proxy_next_upstream_tries 2; proxy_next_upstream_timeout 10s;",
        "proxy_next_upstream_tries 3; proxy_next_upstream_timeout 500ms;",
    );
    assert_eq!(lines, ["tries = 3", "tries_timeout = \"10s\""]);
    assert_eq!(told.len(), 2, "{told:?}");
    let (lines, told) = two("proxy_next_upstream off;", "proxy_next_upstream_tries 0;");
    assert!(lines.is_empty(), "{lines:?}");
    assert_eq!(
        told,
        [
            "!n.conf:2: proxy_next_upstream: tries is one value for all locations of an upstream, and another one has a larger or none; \
          write tries there if this one is right",
            "n.conf:4: proxy_next_upstream_tries: says what Berth does anyway, or concerns nothing that Berth takes over"
        ]
    );
}

#[test]
fn a_timeout_that_another_location_leaves_at_its_default_is_not_shortened() {
    let import = of(
        "http { server { location / { proxy_pass http://a:1; proxy_set_header Host $host;\nproxy_read_timeout 5s; }\n\
         location /x/ { proxy_pass http://a:1; proxy_set_header Host $host; } } }",
    );
    assert!(!body(&import.unwrap()).contains("timeout"));
}

#[test]
fn configurations_of_other_programs_are_recognised() {
    let refused = of("# ours\nglobal\n  daemon\nfrontend web\n  bind *:80\n").unwrap_err();
    assert_eq!(
        refused.to_string(),
        "n.conf: this looks like HAProxy's configuration; import-nginx reads nginx's main file\n(nothing was imported)"
    );
}

#[test]
fn headers_that_berth_sets_by_itself_are_recognised() {
    check(
        "",
        "proxy_set_header X-Real-IP $remote_addr; proxy_set_header x-forwarded-for $proxy_add_x_forwarded_for;\n\
         proxy_set_header X-Forwarded-For $remote_addr;\nproxy_set_header X-Who me;",
        &[],
        &[
            "!n.conf:7: proxy_set_header X-Forwarded-For: Berth sends x-forwarded-for as nginx does with $proxy_add_x_forwarded_for, and nothing else",
            "!n.conf:8: proxy_set_header X-Who: Berth sets X-Real-IP, X-Forwarded-For and X-Forwarded-Proto only; find out whether the application reads this one",
        ],
    );
}

/// Pieces of configurations, mixed at random: most mixtures are nonsense that nearly makes sense.
fn mixture() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "http {",
        "server {",
        "location / {",
        "location /a/ {",
        "upstream app {",
        "upstream b.c {",
        "}",
        "}\n",
        ";\n",
        "\n",
        "server a:1;\n",
        "server a:1 weight=0 backup;\n",
        "server [::1]:3 down;\n",
        "server unix:/x max_conns=3 x=\"\\n\";\n",
        "ip_hash;",
        "hash $remote_addr consistent;\n",
        "random two;",
        "sticky cookie \"\" expires=x;\n",
        "sticky cookie c samesite=none;",
        "proxy_pass http://app;\n",
        "proxy_pass http://b.c/;",
        "proxy_pass http://1.2.3.4;",
        "proxy_pass http://;",
        "listen 80;",
        "listen 443 ssl;\n",
        "listen x;",
        "listen [::]:99;",
        "server_name a *.b ~c _;\n",
        "set_real_ip_from 1.2.3.4/8;\n",
        "keepalive 9;",
        "proxy_read_timeout 9y;",
        "client_max_body_size 1;",
        "worker_processes 0;",
        "keepalive_timeout 0;",
        "ssl_certificate é;\n",
        "'",
        "\"",
        "#",
        "\\",
    ]);
    prop::collection::vec(pieces, 0..60).prop_map(|pieces| pieces.concat())
}

/// Whole configurations of random insides, so that most of them come out.
fn plausible() -> impl Strategy<Value = String> {
    let server = prop::sample::select(vec![
        "server a:1;\n",
        "server a:2 weight=70000;\n",
        "server b:1 backup down;\n",
        "server unix:x;\n",
        "server c:0 route=é;\n",
        "ip_hash;\n",
        "hash $uri;\n",
        "random two;\n",
        "least_conn;\n",
        "keepalive 99999999;\n",
        "sticky cookie __Host-x expires=9y samesite=x;\n",
        "queue 3;\n",
    ]);
    let inside = prop::sample::select(vec![
        "location / { proxy_pass http://app; }\n",
        "location /x { proxy_pass http://app/; proxy_read_timeout 9y; }\n",
        "location \"/ é*\" { proxy_pass http://b:1; }\n",
        "location = / { proxy_pass http://app; }\n",
        "listen 80;\n",
        "listen 0;\n",
        "listen 127.0.0.1:80 ssl;\n",
        "listen localhost:3 default_server;\n",
        "server_name a b.example.com;\n",
        "}\nserver {\n",
        "client_max_body_size 1;\n",
        "set_real_ip_from me;\n",
        "location /deep { location /deep/er { proxy_pass http://app:70000; } }\n",
    ]);
    (
        prop::collection::vec(server, 1..8),
        prop::collection::vec(inside, 1..12),
    )
        .prop_map(|(servers, insides)| {
            format!(
                "http {{\nupstream app {{\n{}}}\nserver {{\n{}}}\n}}\n",
                servers.concat(),
                insides.concat()
            )
        })
}

/// Whatever comes out is a good file, and every line that is named is a line of the text.
fn judge(text: &str) {
    let lines = text.split('\n').count();
    let (named, toml) = match of(text) {
        Ok(import) => (import.notes, Some(import.toml)),
        Err(Refused::Unreadable(unreadable)) => {
            assert!(
                (1..=lines).contains(&unreadable.place.line),
                "{unreadable}\n{text}"
            );
            (Vec::new(), None)
        }
        Err(refused) => (refused.notes().to_vec(), None),
    };
    for note in named {
        assert!(
            (1..=lines).contains(&note.origin.place.line),
            "{note}\n{text}"
        );
    }
    if let Some(toml) = toml {
        config::judge_form("f", &toml)
            .unwrap_or_else(|problems| panic!("{problems}\n{text}\n{toml}"));
    }
}

proptest! {
    #[test]
    fn nonsense_is_judged_and_never_panics(text in mixture()) {
        judge(&text);
    }

    #[test]
    fn whatever_comes_out_is_a_good_file(text in plausible()) {
        judge(&text);
    }

    #[test]
    fn any_text_is_judged(text in "\\PC{0,80}") {
        judge(&text);
    }
}
