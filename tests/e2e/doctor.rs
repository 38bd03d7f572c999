//! `berth-proxy doctor` before real proxies and servers: each fault is named, and what is well is not complained of.

use std::path::Path;

use berth_tests::{
    Nginx, NginxLines, Port, Proxy, RunningProxy, Script, Town, binary, secs, within,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

/// What it said, and how it ended.
struct Report {
    code: Option<i32>,
    json: Value,
}

impl Report {
    async fn of(url: &str, words: &[&str]) -> Self {
        Self::from(Command::new(binary("berth-proxy")), url, words).await
    }

    /// On a machine that trusts only the authorities in this file.
    async fn trusting(authorities: &Path, url: &str, words: &[&str]) -> Self {
        let mut command = Command::new(binary("berth-proxy"));
        command
            .env("SSL_CERT_FILE", authorities)
            .env_remove("SSL_CERT_DIR");
        Self::from(command, url, words).await
    }

    async fn from(mut command: Command, url: &str, words: &[&str]) -> Self {
        command.args(["doctor", url, "--json"]).args(words);
        command.kill_on_drop(true);
        let output = within("the examination", secs(60), command.output()).await;
        let output = output.expect("it runs");
        let text = String::from_utf8(output.stdout).expect("text");
        let json = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{error}: {text:?} {:?}", output.stderr));
        Self {
            code: output.status.code(),
            json,
        }
    }

    fn findings(&self) -> &[Value] {
        let findings = self.json["findings"].as_array().expect("findings");
        assert!(!findings.is_empty(), "{}", self.json);
        findings
    }

    fn with(&self, verdict: &str) -> Vec<&str> {
        let findings = self.findings().iter();
        let found = findings.filter(|finding| finding["verdict"] == verdict);
        found
            .map(|finding| finding["id"].as_str().expect("an id"))
            .collect()
    }

    /// The ids of the problems; the exit code agrees.
    fn problems(&self) -> Vec<&str> {
        let problems = self.with("problem");
        assert_eq!(self.json["problems"], problems.len(), "{}", self.json);
        let code = i32::from(!problems.is_empty());
        assert_eq!(self.code, Some(code), "{}", self.json);
        problems
    }

    /// On a busy machine a packet may well wait, as behind a slow proxy.
    fn warnings(&self) -> Vec<&str> {
        let mut warnings = self.with("warning");
        warnings.retain(|id| *id != "live_poll");
        warnings
    }

    /// Something under this id holds these words.
    fn says(&self, id: &str, words: &str) {
        let own = self.findings().iter().filter(|finding| finding["id"] == id);
        let own: Vec<String> = own.map(Value::to_string).collect();
        assert!(
            own.iter().any(|finding| finding.contains(words)),
            "{id} does not say {words:?}: {}",
            self.json
        );
    }
}

/// Node servers that know nothing of each other.
struct Fleet {
    ports: Vec<Port>,
    script: Script,
}

impl Fleet {
    async fn start(count: usize, server: Value) -> Self {
        let ports: Vec<Port> = (0..count).map(|_| Port::reserve()).collect();
        let numbers: Vec<u16> = ports.iter().map(Port::number).collect();
        let options = json!({ "ports": numbers, "server": server });
        let mut script = Script::start("fleet.mjs", &options);
        script.says("ready", 1, secs(20)).await;
        Self { ports, script }
    }

    fn nginx_lines(&self) -> String {
        let lines = self
            .ports
            .iter()
            .map(|port| format!("server {};", port.address()));
        lines.collect()
    }

    fn toml_values(&self) -> Vec<String> {
        let values = self
            .ports
            .iter()
            .map(|port| format!("\"{}\"", port.address()));
        values.collect()
    }

    /// No app behind a proxy noticed that somebody examines.
    async fn heard_nothing(mut self) {
        self.script.tell("heard");
        let said = self.script.says("heard", 1, secs(10)).await;
        assert_eq!(said["heard"], json!([]));
    }
}

/// What nginx's documentation says lets upgrades through.
const WEBSOCKETS: &str =
    "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $http_connection;";

async fn nginx(upstream: &str, location: &str) -> Nginx {
    let lines = NginxLines {
        location,
        ..NginxLines::default()
    };
    Nginx::with(upstream, lines).await
}

/// Servers that ping soon, so that silence is short.
fn soon() -> Value {
    json!({ "pingInterval": 1000, "pingTimeout": 4000 })
}

#[tokio::test]
async fn sessions_bound_by_their_id_are_well() {
    let fleet = Fleet::start(3, soon()).await;
    let folder = TempDir::new().expect("a temporary folder");
    let servers = fleet.toml_values();
    let proxy = RunningProxy::before(Proxy::sticky_sid(), folder.path(), &servers).await;
    let report = Report::of(&proxy.url(""), &[]).await;
    assert_eq!(report.problems(), Vec::<&str>::new());
    assert_eq!(report.warnings(), Vec::<&str>::new());
    assert_eq!(report.with("unknown"), Vec::<&str>::new());
    report.says("affinity_method", "X~TAG");
    report.says("idle_websocket", "until the ping");
    report.says("idle_poll", "until the ping");
    report.says("body", "1000000 bytes arrived");
    fleet.heard_nothing().await;
}

#[tokio::test]
async fn berths_own_backends_are_well() {
    let town = Town::with_backends(2)
        .proxy(Proxy::sticky_sid())
        .start()
        .await;
    let report = Report::of(&town.proxy().url(""), &["--quick"]).await;
    assert_eq!(report.problems(), Vec::<&str>::new());
    assert_eq!(report.warnings(), Vec::<&str>::new());
    assert_eq!(report.with("unknown"), ["idle"]);
}

#[tokio::test]
async fn round_robin_without_stickiness_is_named() {
    let fleet = Fleet::start(2, soon()).await;
    let nginx = nginx(&fleet.nginx_lines(), WEBSOCKETS).await;
    let report = Report::of(&nginx.url(""), &[]).await;
    assert_eq!(report.problems(), ["affinity", "upgrade"]);
    report.says("affinity", "Session ID unknown");
    report.says("affinity", "There is no stickiness");
    report.says("upgrade", "another server");
    report.says("websocket", "1 of 1");
    fleet.heard_nothing().await;
}

#[tokio::test]
async fn upgrade_headers_that_a_proxy_drops_are_named() {
    let fleet = Fleet::start(2, soon()).await;
    let nginx = Nginx::start(&format!("ip_hash; {}", fleet.nginx_lines())).await;
    let report = Report::of(&nginx.url(""), &["--quick"]).await;
    assert_eq!(report.problems(), ["upgrade", "websocket"]);
    report.says("upgrade", "dropped the headers Upgrade and Connection");
    report.says("websocket", "proxy_set_header Upgrade $http_upgrade");
    report.says("affinity_method", "ip_hash");
    assert!(report.with("unknown").contains(&"affinity_method"));
}

#[tokio::test]
async fn an_idle_timeout_shorter_than_the_ping_is_named() {
    let server = json!({ "pingInterval": 5000, "pingTimeout": 4000 });
    let fleet = Fleet::start(1, server).await;
    let nginx = nginx(
        &fleet.nginx_lines(),
        &format!("{WEBSOCKETS} proxy_read_timeout 3s;"),
    )
    .await;
    let report = Report::of(&nginx.url(""), &[]).await;
    assert_eq!(report.problems(), ["idle_websocket", "idle_poll"]);
    report.says(
        "idle_websocket",
        "A proxy between cuts idle connections after",
    );
    report.says("idle_websocket", "pingInterval + pingTimeout, 9 s here");
    report.says("idle_poll", "504");
}

#[tokio::test]
async fn a_limit_on_bodies_below_the_servers_is_named() {
    let fleet = Fleet::start(1, soon()).await;
    let nginx = nginx(
        &fleet.nginx_lines(),
        &format!("{WEBSOCKETS} client_max_body_size 100k;"),
    )
    .await;
    let report = Report::of(&nginx.url(""), &["--quick"]).await;
    assert_eq!(report.problems(), ["body"]);
    report.says("body", "client_max_body_size");
}

#[tokio::test]
async fn sessions_bound_by_a_cookie_fail_without_it() {
    let server = json!({ "cors": { "origin": "https://chat.example.org" } });
    let fleet = Fleet::start(2, server).await;
    let folder = TempDir::new().expect("a temporary folder");
    let servers = fleet.toml_values();
    let proxy = RunningProxy::before(Proxy::sticky_cookie(), folder.path(), &servers).await;
    let report = Report::of(&proxy.url(""), &["--quick"]).await;
    assert_eq!(report.problems(), Vec::<&str>::new());
    assert!(report.with("warning").contains(&"affinity"));
    report.says("affinity", "only with cookies");
    report.says("affinity_method", "srv_id");

    let words = ["--quick", "--origin", "https://chat.example.org"];
    let report = Report::of(&proxy.url(""), &words).await;
    assert_eq!(report.problems(), ["cookie", "cors"]);
    report.says("cookie", "SameSite=None; Secure");
    report.says("cors", "withCredentials");
    fleet.heard_nothing().await;
}

#[tokio::test]
async fn an_origin_that_is_not_allowed_is_named() {
    let fleet = Fleet::start(1, json!({})).await;
    let folder = TempDir::new().expect("a temporary folder");
    let servers = fleet.toml_values();
    let proxy = RunningProxy::before(Proxy::sticky_sid(), folder.path(), &servers).await;
    let words = ["--quick", "--origin", "https://chat.example.org"];
    let report = Report::of(&proxy.url(""), &words).await;
    assert_eq!(report.problems(), ["cors"]);
    report.says("cors", "https://chat.example.org");
}

#[tokio::test]
async fn a_wrong_path_and_the_right_one_are_named() {
    let fleet = Fleet::start(1, json!({})).await;
    let url = format!("http://{}", fleet.ports[0].address());
    let report = Report::of(&url, &["--path", "/chat/"]).await;
    assert_eq!(report.problems(), ["path"]);
    report.says("path", "Socket.IO answers at /socket.io/");
}

#[tokio::test]
async fn a_server_that_is_down_is_named() {
    let gone = Port::reserve();
    let nginx = Nginx::start(&format!("server {};", gone.address())).await;
    let report = Report::of(&nginx.url(""), &[]).await;
    assert_eq!(report.problems(), ["path"]);
    report.says("path", "502 from nginx");
    report.says("path", "reaches no server");
}

#[tokio::test]
async fn nobody_listening_is_named() {
    let port = Port::reserve();
    let report = Report::of(&format!("http://{}", port.address()), &[]).await;
    assert_eq!(report.problems(), ["address"]);
    report.says("address", "connection refused");
}

/// An nginx that also listens with TLS, and that port.
async fn with_tls(fleet: &Fleet, folder: &Path, pair: (String, String)) -> (Nginx, Port) {
    let port = Port::reserve();
    let write = |name: &str, text: &str| {
        let path = folder.join(format!("{}-{name}", port.number()));
        std::fs::write(&path, text).expect("a file of the certificate");
        path.display().to_string()
    };
    let server = format!(
        "listen 127.0.0.1:{} ssl; ssl_certificate {}; ssl_certificate_key {};",
        port.number(),
        write("certificate.pem", &pair.0),
        write("key.pem", &pair.1)
    );
    let lines = NginxLines {
        server: &server,
        location: WEBSOCKETS,
        ..NginxLines::default()
    };
    (Nginx::with(&fleet.nginx_lines(), lines).await, port)
}

fn localhost(port: &Port) -> String {
    format!("https://localhost:{}", port.number())
}

/// A certificate and its key, signed by this authority for `localhost`.
fn signed(authority: &Issuer<'_, KeyPair>, name: &str, last_year: i32) -> (String, String) {
    let mut request = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    request.not_before = date_time_ymd(2020, 1, 1);
    request.not_after = date_time_ymd(last_year, 1, 1);
    let key = KeyPair::generate().expect("a key");
    let certificate = request.signed_by(&key, authority).expect("a certificate");
    (certificate.pem(), key.serialize_pem())
}

#[tokio::test]
async fn certificates_that_clients_refuse_are_named() {
    let fleet = Fleet::start(1, soon()).await;
    let mut authority = CertificateParams::new(Vec::new()).expect("no names");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let certificate = authority.self_signed(&key).expect("an authority");
    let folder = TempDir::new().expect("a temporary folder");
    let trusted = folder.path().join("authorities.pem");
    std::fs::write(&trusted, certificate.pem()).expect("the authorities");
    let authority = Issuer::new(authority, key);

    let pair = signed(&authority, "localhost", 2090);
    let (_good, port) = with_tls(&fleet, folder.path(), pair).await;
    let url = localhost(&port);
    let report = Report::trusting(&trusted, &url, &[]).await;
    assert_eq!(report.problems(), Vec::<&str>::new());
    report.says("certificate", "valid for localhost and trusted");
    report.says("upgrade", "6 of 6");
    report.says("idle_websocket", "until the ping");
    let report = Report::of(&url, &["--quick"]).await;
    assert_eq!(report.problems(), ["certificate"]);
    report.says("certificate", "self-signed, of a private authority");
    let report = Report::of(&url, &["--quick", "--insecure"]).await;
    assert_eq!(report.problems(), Vec::<&str>::new());
    report.says("certificate", "not checked: --insecure");

    let pair = signed(&authority, "other.example", 2090);
    let (_other, port) = with_tls(&fleet, folder.path(), pair).await;
    let report = Report::trusting(&trusted, &localhost(&port), &["--quick"]).await;
    assert_eq!(report.problems(), ["certificate"]);
    report.says("certificate", "for other.example, not for localhost");
    let pair = signed(&authority, "localhost", 2021);
    let (_old, port) = with_tls(&fleet, folder.path(), pair).await;
    let report = Report::trusting(&trusted, &localhost(&port), &["--quick"]).await;
    assert_eq!(report.problems(), ["certificate"]);
    report.says("certificate", "has expired");
}

#[tokio::test]
async fn a_port_of_the_other_kind_is_named() {
    let fleet = Fleet::start(1, soon()).await;
    let report = Report::of(&format!("https://{}", fleet.ports[0].address()), &[]).await;
    assert_eq!(report.problems(), ["path"]);
    report.says("path", "speaks TLS");
}

#[tokio::test]
async fn wrong_usage_is_2() {
    for words in [["nonsense", "--quick"], ["http://a.b", "--sessions=0"]] {
        let mut command = Command::new(binary("berth-proxy"));
        command.arg("doctor").args(words);
        let output = command.output().await.expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert!(output.stdout.is_empty(), "{words:?}");
    }
}
