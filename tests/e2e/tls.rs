//! Clients that know nothing of Berth speak TLS with it: the official ones, curl and openssl.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use berth_tests::{Proxy, Script, Town, binary, secs};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A certificate and its key, made as the README says.
pub(crate) struct Pair {
    folder: TempDir,
}

impl Pair {
    pub(crate) fn make(days: u32) -> Self {
        let pair = Self {
            folder: TempDir::new().expect("a temporary folder"),
        };
        let made = run(Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-nodes",
                "-subj",
                "/CN=localhost",
            ])
            .args(["-pkeyopt", "ec_paramgen_curve:P-256"])
            .args([
                "-addext",
                "subjectAltName=DNS:localhost,IP:127.0.0.1,DNS:chat.example.com",
            ])
            .args(["-days", &days.to_string(), "-keyout"])
            .arg(pair.key())
            .arg("-out")
            .arg(pair.certificate()));
        assert!(made.status.success(), "{made:?}");
        pair
    }

    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.path().join("chat.pem")
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("chat.key")
    }

    pub(crate) fn shown_by(&self, plan: Proxy) -> Proxy {
        plan.encrypted(&self.certificate(), &self.key())
    }
}

pub(crate) fn run(command: &mut Command) -> Output {
    command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn official_clients_talk_over_https_and_wss() {
    let pair = Pair::make(30);
    let plan = pair.shown_by(Proxy::sticky_sid());
    let town = Town::with_backends(2).redis().proxy(plan).start().await;
    let ca = std::fs::read_to_string(pair.certificate()).expect("the certificate");
    let pairs: Vec<Value> = [
        ("polling", json!(["polling"]), "polling"),
        ("upgrade", Value::Null, "websocket"),
        ("websocket", json!(["websocket"]), "websocket"),
    ]
    .into_iter()
    .map(|(name, transports, transport)| {
        let client = json!({"url": town.proxy().url(""), "transports": transports, "ca": ca});
        json!({
            "name": name, "room": format!("tls-{name}"), "first": client, "second": client, "transport": transport,
        })
    })
    .collect();
    let played = Script::run("guide.mjs", &json!({"pairs": pairs}), secs(90)).await;
    assert_eq!(played["played"], json!(3));
    let proxy = town.proxy();
    let full = [("result", "full")];
    assert!(proxy.metric("berth_tls_handshakes_total", &full).await > Some(3.0));
}

/// What `openssl s_client` says of a handshake.
fn s_client(address: &str, pair: &Pair, more: &[&str]) -> Output {
    run(Command::new("openssl")
        .args([
            "s_client",
            "-connect",
            address,
            "-servername",
            "chat.example.com",
        ])
        .args(["-verify_return_error", "-CAfile"])
        .arg(pair.certificate())
        .args(more))
}

#[tokio::test]
async fn curl_and_openssl_see_a_proper_server() {
    let pair = Pair::make(30);
    let plan = pair.shown_by(Proxy::round_robin());
    let town = Town::with_backends(1).memory().proxy(plan).start().await;
    let address = town.proxy().address();

    let curl = |url: &str| {
        let answer = run(Command::new("curl")
            .args([
                "-sS",
                "--noproxy",
                "*",
                "--max-time",
                "10",
                "-w",
                "\n%{http_code} %{http_version}",
                "--cacert",
            ])
            .arg(pair.certificate())
            .arg(url));
        assert!(answer.status.success(), "{answer:?}");
        text(&answer.stdout)
    };
    let answer = curl(&town.proxy().url("/api/instance"));
    assert!(
        answer.contains("backend-1") && answer.ends_with("200 2"),
        "{answer}"
    );
    let answer = curl(&format!("http://{address}/api/instance"));
    assert_eq!(
        answer,
        "The plain HTTP request was sent to HTTPS port\n\n400 1.1"
    );

    for (version, offered, chosen) in [
        ("-tls1_2", "http/1.1", "http/1.1"),
        ("-tls1_3", "http/1.1,h2", "h2"),
    ] {
        let shaken = s_client(&address, &pair, &[version, "-alpn", offered]);
        let said = text(&shaken.stdout);
        assert!(shaken.status.success(), "{version}: {shaken:?}");
        assert!(
            said.contains(&format!("ALPN protocol: {chosen}")),
            "{version}: {said}"
        );
        assert!(
            said.contains("Verify return code: 0 (ok)"),
            "{version}: {said}"
        );
    }
    assert!(!s_client(&address, &pair, &["-tls1_1"]).status.success());
    let again = s_client(&address, &pair, &["-tls1_2", "-reconnect"]);
    assert!(text(&again.stdout).contains("Reused, TLSv1.2"), "{again:?}");
    let incompatible = [("result", "incompatible")];
    let counted = town
        .proxy()
        .metric("berth_tls_handshakes_total", &incompatible);
    assert_eq!(counted.await, Some(1.0));
}

fn check(file: &Path) -> Output {
    run(Command::new(binary("berth-proxy"))
        .args(["check", "-c"])
        .arg(file))
}

#[test]
fn a_check_warns_of_a_certificate_that_nobody_renews() {
    let pair = Pair::make(5);
    let file = pair.folder.path().join("proxy.toml");
    let config = "[server]\nlisten = [{ address = \"127.0.0.1:8443\", tls = true }]\n\
                  [[server.tls]]\ncertificate = \"chat.pem\"\nkey = \"chat.key\"\n\
                  [upstream.app]\nservers = [\"127.0.0.1:3000\"]\n";
    std::fs::write(&file, config).expect("a file");
    let checked = check(&file);
    assert!(checked.status.success(), "{checked:?}");
    let warned = text(&checked.stderr);
    assert!(
        warned.ends_with("proxy.toml: warning: the certificate of localhost expires in 4 days\n"),
        "{warned}"
    );

    // Encrypted by a passphrase, as openssl does unless it is told not to.
    let encrypted = pair.folder.path().join("encrypted.key");
    let made = run(Command::new("openssl")
        .args(["pkey", "-aes256", "-passout", "pass:secret", "-in"])
        .arg(pair.key())
        .arg("-out")
        .arg(&encrypted));
    assert!(made.status.success(), "{made:?}");
    std::fs::rename(&encrypted, pair.key()).expect("the key in its place");
    let checked = check(&file);
    assert_eq!(checked.status.code(), Some(2), "{checked:?}");
    let told = text(&checked.stderr);
    assert!(
        told.contains("proxy.toml:5:7: server.tls[0].key: \"chat.key\" is encrypted"),
        "{told}"
    );
}
