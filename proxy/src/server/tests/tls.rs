use std::path::Path;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, HandshakeKind, RootCertStore};

use super::cluster::{Client, Does, PATIENCE, Proxy, Server, handshake, settings};
use crate::certificate::tests::Made;
use crate::config;
use crate::server::Source;
use crate::settings::Settings;
use crate::tls::provider;

/// A megabyte and a bit: many records, and more than any buffer on the way.
const BIG_BYTES: usize = 1024 * 1024 + 17;

pub(super) fn encrypted(servers: &[&str], made: &[&Made]) -> Settings {
    let mut settings = settings(servers);
    settings.listen[0].tls = true;
    settings.certificates = made.iter().map(|made| made.judged()).collect();
    settings
}

/// A client that trusts these and nobody else.
pub(super) fn trusting(made: &[&Made]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for made in made {
        let der = CertificateDer::from_pem_slice(made.certificate.as_bytes()).unwrap();
        roots.add(der).unwrap();
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

pub(super) async fn try_connect(
    proxy: &Proxy,
    name: &'static str,
    config: &Arc<ClientConfig>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(proxy.address).await?;
    let name = ServerName::try_from(name).unwrap();
    let shaken = TlsConnector::from(Arc::clone(config)).connect(name, stream);
    timeout(PATIENCE, shaken).await.unwrap()
}

pub(super) async fn connect(
    proxy: &Proxy,
    name: &'static str,
    config: &Arc<ClientConfig>,
) -> Client<TlsStream<TcpStream>> {
    Client(try_connect(proxy, name, config).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_over_tls_is_answered_and_told_to_the_server() {
    let server = Server::start(Does::Echo).await;
    let made = Made::new(&["chat.example.com"]);
    let proxy = Proxy::start(encrypted(&[&server.address], &[&made])).await;
    let mut client = connect(&proxy, "chat.example.com", &trusting(&[&made])).await;
    assert_eq!(client.0.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    // Twice: the connection outlives a request. The Host need not be the name of the handshake, as in nginx.
    for host in ["chat.example.com", "other.example.com"] {
        client
            .send(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"))
            .await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 200);
        assert!(
            answer
                .body
                .to_lowercase()
                .contains("x-forwarded-proto: https")
        );
    }
    proxy
        .wait_for_metric("berth_tls_handshakes_total{result=\"full\"} 1")
        .await;
    proxy
        .wait_for_metric(
            "berth_tls_cert_not_after_timestamp_seconds{name=\"chat.example.com\"} 4102444800",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_many_records_passes_both_ways() {
    let server = Server::start(Does::Echo).await;
    let made = Made::new(&["a.example.com"]);
    let mut settings = encrypted(&[&server.address], &[&made]);
    settings.limits.body_bytes_max = 2 * BIG_BYTES as u64;
    let proxy = Proxy::start(settings).await;
    let mut client = connect(&proxy, "a.example.com", &trusting(&[&made])).await;
    let body = "0123456789abcdef".repeat(BIG_BYTES / 16);
    let head = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    client.send(&(head + &body)).await;
    client.0.flush().await.unwrap();
    assert!(client.answer().await.body.ends_with(&body));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_client_is_shown_the_certificate_of_its_name() {
    let made: Vec<Made> = ["first.example.com", "second.example.com", "*.example.org"]
        .iter()
        .map(|name| Made::new(&[name]))
        .collect();
    let all: Vec<&Made> = made.iter().collect();
    let proxy = Proxy::start(encrypted(&[&Server::dead().await], &all)).await;
    for (name, place) in [
        ("first.example.com", 0),
        ("second.example.com", 1),
        ("www.example.org", 2),
    ] {
        let trusting_that = trusting(&[&made[place]]);
        assert!(try_connect(&proxy, name, &trusting_that).await.is_ok());
        let trusting_other = trusting(&[&made[(place + 1) % 3]]);
        assert!(try_connect(&proxy, name, &trusting_other).await.is_err());
    }
    proxy
        .wait_for_metric("berth_tls_handshakes_total{result=\"rejected\"} 3")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_back_resumes() {
    let server = Server::start(Does::Echo).await;
    let made = Made::new(&["a.example.com"]);
    let proxy = Proxy::start(encrypted(&[&server.address], &[&made])).await;
    let config = trusting(&[&made]);
    for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let mut client = connect(&proxy, "a.example.com", &config).await;
        assert_eq!(client.0.get_ref().1.handshake_kind(), Some(expected));
        // The tickets come with the answer.
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(client.answer().await.status, 200);
    }
    proxy
        .wait_for_metric("berth_tls_handshakes_total{result=\"resumed\"} 1")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_over_tls_carries_big_messages_and_half_closes() {
    let server = Server::start(Does::Echo).await;
    let made = Made::new(&["a.example.com"]);
    let proxy = Proxy::start(encrypted(&[&server.address], &[&made])).await;
    let mut client = connect(&proxy, "a.example.com", &trusting(&[&made])).await;
    client.send(&handshake("")).await;
    assert_eq!(client.answer().await.status, 101);
    let sent: Vec<u8> = (0..=250).cycle().take(BIG_BYTES).collect();
    let (mut reader, mut writer) = split(client.0);
    let sending = sent.clone();
    let writing = tokio::spawn(async move {
        writer.write_all(&sending).await.unwrap();
        // Says that nothing follows; what is on its way still arrives.
        writer.shutdown().await.unwrap();
        writer
    });
    let mut got = Vec::new();
    // Without a goodbye from the proxy this were an error.
    timeout(PATIENCE, reader.read_to_end(&mut got))
        .await
        .unwrap()
        .unwrap();
    assert!(got == sent, "{} of {} bytes", got.len(), sent.len());
    drop(writing.await.unwrap());
    proxy
        .wait_for_metric(
            "berth_websocket_closed_total{reason=\"client_closed\",upstream=\"app\"} 1",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_without_a_goodbye_has_closed() {
    let server = Server::start(Does::Echo).await;
    let made = Made::new(&["a.example.com"]);
    let proxy = Proxy::start(encrypted(&[&server.address], &[&made])).await;
    let mut client = connect(&proxy, "a.example.com", &trusting(&[&made])).await;
    client.send(&handshake("")).await;
    assert_eq!(client.answer().await.status, 101);
    drop(client.0.into_inner());
    proxy
        .wait_for_metric(
            "berth_websocket_closed_total{reason=\"client_closed\",upstream=\"app\"} 1",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_says_goodbye_to_open_tunnels() {
    let server = Server::start(Does::Echo).await;
    let made = Made::new(&["a.example.com"]);
    let proxy = Proxy::start(encrypted(&[&server.address], &[&made])).await;
    let mut client = connect(&proxy, "a.example.com", &trusting(&[&made])).await;
    client.send(&handshake("")).await;
    assert_eq!(client.answer().await.status, 101);
    proxy.handle.stop();
    // A Close frame with 1012, and then the end that is no error.
    assert_eq!(client.read_to_end().await, [0x88, 2, 0x03, 0xf4]);
    drop(client);
    proxy.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_read_to_its_end() {
    let made = Made::new(&["a.example.com"]);
    let proxy = Proxy::start(encrypted(&[&Server::dead().await], &[&made])).await;
    let mut client = connect(&proxy, "a.example.com", &trusting(&[&made])).await;
    client.send("GET / HTTP/1.1\r\n\r\n").await;
    let answer = String::from_utf8(client.read_to_end().await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_is_told_that_the_port_is_for_tls() {
    let made = Made::new(&["a.example.com"]);
    let proxy = Proxy::start(encrypted(&[&Server::dead().await], &[&made])).await;
    let answer = proxy.get("").await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.body,
        "The plain HTTP request was sent to HTTPS port\n"
    );
    for line in [
        "berth_tls_handshakes_total{result=\"plain_http\"} 1",
        "berth_refusals_total{reason=\"plain_http\"} 1",
    ] {
        proxy.wait_for_metric(line).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_neither_tls_nor_http_is_cut_and_counted() {
    let made = Made::new(&["a.example.com"]);
    let proxy = Proxy::start(encrypted(&[&Server::dead().await], &[&made])).await;
    let mut client = proxy.connect().await;
    client.send("\u{16}\u{3}\u{1}\0\u{5}hello").await;
    // An alert, or just the end.
    let mut rest = Vec::new();
    let _ended = timeout(PATIENCE, client.0.read_to_end(&mut rest))
        .await
        .unwrap();
    drop(proxy.connect().await);
    for result in ["malformed", "closed"] {
        let line = format!("berth_tls_handshakes_total{{result=\"{result}\"}} 1");
        proxy.wait_for_metric(&line).await;
    }
    proxy.wait_for_metric("berth_connections 0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_shake_hands_are_counted() {
    let made = Made::new(&["a.example.com"]);
    let mut settings = encrypted(&[&Server::dead().await], &[&made]);
    settings.limits.connections_max = 1;
    let proxy = Proxy::start(settings).await;
    let silent = proxy.connect().await;
    proxy.wait_for_metric("berth_connections 1").await;
    let mut turned_away = proxy.connect().await;
    assert_eq!(turned_away.read_to_end().await, b"");
    drop(silent);
    proxy.wait_for_metric("berth_connections 0").await;
    assert!(
        try_connect(&proxy, "a.example.com", &trusting(&[&made]))
            .await
            .is_ok()
    );
}

fn write_config(file: &Path, server: &Server, rest: &str) {
    let text = format!(
        "[server]\nlisten = [{{ address = \"127.0.0.1:0\", tls = true }}]\n{rest}\n\
         [admin]\nlisten = \"127.0.0.1:0\"\n[upstream.app]\nservers = [\"{}\"]\n",
        server.address
    );
    std::fs::write(file, text).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_swaps_certificates_under_open_connections_and_a_bad_one_keeps_them() {
    let server = Server::start(Does::Echo).await;
    let (old, new) = (Made::new(&["a.example.com"]), Made::new(&["a.example.com"]));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("proxy.toml");
    // Named from the folder of the file.
    let pair = "[[server.tls]]\ncertificate = \"a.pem\"\nkey = \"a.key\"";
    old.write(folder.path(), "a");
    write_config(&file, &server, pair);
    let proxy = Proxy::start_from(config::load(&file).unwrap(), Source::File(file.clone())).await;
    let (trusting_old, trusting_new) = (trusting(&[&old]), trusting(&[&new]));
    let mut open = connect(&proxy, "a.example.com", &trusting_old).await;
    open.send(&handshake("")).await;
    assert_eq!(open.answer().await.status, 101);

    new.write(folder.path(), "a");
    proxy.handle.reload();
    proxy
        .wait_for_metric("berth_config_reloads_total{result=\"success\"} 1")
        .await;
    assert!(
        try_connect(&proxy, "a.example.com", &trusting_new)
            .await
            .is_ok()
    );
    open.send("still here").await;
    assert_eq!(open.read(10).await, b"still here");

    // Half written: the certificate of one and the key of the other.
    std::fs::write(folder.path().join("a.pem"), &old.certificate).unwrap();
    proxy.handle.reload();
    proxy
        .wait_for_metric("berth_config_reloads_total{result=\"failure\"} 1")
        .await;
    assert!(
        try_connect(&proxy, "a.example.com", &trusting_new)
            .await
            .is_ok()
    );
    open.send("still here").await;
    assert_eq!(open.read(10).await, b"still here");
}
