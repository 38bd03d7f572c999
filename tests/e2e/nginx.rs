//! Berth decides as nginx decides: a real nginx and the proxy stand before the same servers and are asked the same.

use berth_tests::{Echo, Nginx, Proxy, RunningProxy, http};
use tempfile::TempDir;

async fn echoes(count: usize) -> Vec<Echo> {
    let mut echoes = Vec::new();
    for _ in 0..count {
        echoes.push(Echo::start().await);
    }
    echoes
}

async fn chosen(client: &reqwest::Client, url: &str, address: &str) -> String {
    let request = client.get(url).header("x-forwarded-for", address);
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    answer.headers()["x-echo"]
        .to_str()
        .expect("a name")
        .to_owned()
}

/// The nginx lines and the TOML values for the same servers, with these weights.
fn servers(echoes: &[Echo], weights: &[u32]) -> (String, Vec<String>) {
    let lines = echoes
        .iter()
        .zip(weights)
        .map(|(echo, weight)| format!("server {} weight={weight};", echo.address()));
    let values = echoes
        .iter()
        .zip(weights)
        .map(|(echo, weight)| format!("{{ address = \"{}\", weight = {weight} }}", echo.address()));
    (lines.collect(), values.collect())
}

/// Addresses all over the first three octets, which are what `ip_hash` looks at.
fn addresses() -> impl Iterator<Item = String> {
    (0_u32..600).map(|number| {
        let spread = number.wrapping_mul(2_654_435_761);
        let [a, b, c, d] = spread.to_be_bytes();
        format!("{}.{b}.{c}.{d}", 1 + u32::from(a) % 223)
    })
}

async fn agree_on_every_address(weights: &[u32]) {
    let echoes = echoes(weights.len()).await;
    let (lines, values) = servers(&echoes, weights);
    let nginx = Nginx::start(&format!("ip_hash; {lines}")).await;
    let folder = TempDir::new().expect("a temporary folder");
    let proxy =
        RunningProxy::before(Proxy::ip_hash().behind_localhost(), folder.path(), &values).await;
    let client = http::client();
    let mut seen = Vec::new();
    for address in addresses() {
        let theirs = chosen(&client, &nginx.url("/"), &address).await;
        let ours = chosen(&client, &proxy.url("/"), &address).await;
        assert_eq!(ours, theirs, "{address}");
        seen.push(ours);
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), weights.len(), "not every server was chosen");
}

#[tokio::test]
async fn ip_hash_of_equal_servers() {
    agree_on_every_address(&[1, 1, 1]).await;
}

#[tokio::test]
async fn ip_hash_of_weighted_servers() {
    agree_on_every_address(&[5, 1, 2, 3]).await;
}

async fn agree_on_the_sequence(weights: &[u32]) {
    let echoes = echoes(weights.len()).await;
    let (lines, values) = servers(&echoes, weights);
    let nginx = Nginx::start(&lines).await;
    let folder = TempDir::new().expect("a temporary folder");
    let proxy = RunningProxy::before(Proxy::round_robin(), folder.path(), &values).await;
    let client = http::client();
    let mut theirs = Vec::new();
    let mut ours = Vec::new();
    for _ in 0..60 {
        theirs.push(chosen(&client, &nginx.url("/"), "10.0.0.1").await);
        ours.push(chosen(&client, &proxy.url("/"), "10.0.0.1").await);
    }
    assert_eq!(ours, theirs);
}

#[tokio::test]
async fn round_robin_of_equal_servers() {
    agree_on_the_sequence(&[1, 1, 1]).await;
}

#[tokio::test]
async fn smooth_weighted_round_robin() {
    agree_on_the_sequence(&[5, 1, 1]).await;
    agree_on_the_sequence(&[3, 2, 7, 1]).await;
}

/// The value of one header in an echoed head, or nothing; all values, joined, if there are several.
fn header(head: &str, name: &str) -> Option<String> {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    let values: Vec<&str> = lines
        .filter(|(field, _)| field.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
        .collect();
    (!values.is_empty()).then(|| values.join(" | "))
}

#[tokio::test]
async fn servers_behind_see_the_headers_nginx_users_set() {
    let echo = Echo::start().await;
    let servers = [format!("\"{}\"", echo.address())];
    let nginx = Nginx::start(&format!("server {};", echo.address())).await;
    let folder = TempDir::new().expect("a temporary folder");
    let trusting = RunningProxy::before(
        Proxy::round_robin().behind_localhost(),
        folder.path(),
        &servers,
    )
    .await;
    let folder = TempDir::new().expect("a temporary folder");
    let proxy = RunningProxy::before(Proxy::round_robin(), folder.path(), &servers).await;
    let echoed = async |url: String, address: Option<&str>| {
        let mut request = http::client()
            .get(url)
            .header("host", "Chat.Example.com:8080")
            .header("x-real-ip", "6.6.6.6");
        if let Some(address) = address {
            request = request.header("x-forwarded-for", address);
        }
        request
            .send()
            .await
            .expect("an answer")
            .text()
            .await
            .expect("a body")
    };
    for address in [None, Some("203.0.113.9"), Some("198.51.100.1, 203.0.113.9")] {
        let theirs = echoed(nginx.url("/path?query=1"), address).await;
        let ours = echoed(trusting.url("/path?query=1"), address).await;
        assert_eq!(
            ours.lines().next(),
            theirs.lines().next(),
            "the request line"
        );
        for name in ["host", "x-real-ip", "x-forwarded-proto"] {
            assert_eq!(
                header(&ours, name),
                header(&theirs, name),
                "{name} with {address:?}"
            );
        }
    }
    // Nobody here is trusted: the chain grows as nginx lets it grow, and the address is the peer's.
    let ours = echoed(proxy.url("/"), Some("203.0.113.9")).await;
    assert_eq!(
        header(&ours, "x-forwarded-for").as_deref(),
        Some("203.0.113.9, 127.0.0.1")
    );
    assert_eq!(header(&ours, "x-real-ip").as_deref(), Some("127.0.0.1"));
    assert_eq!(header(&ours, "x-forwarded-proto").as_deref(), Some("http"));
    let ours = echoed(proxy.url("/"), None).await;
    assert_eq!(
        header(&ours, "x-forwarded-for").as_deref(),
        Some("127.0.0.1")
    );
}
