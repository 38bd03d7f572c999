//! What keeps browsers on their server when the page is of another origin, or of another site, than the proxy: with the
//! official client in headless Chromium, which asks first (CORS preflight) because of a field of its own.

use berth_tests::{Port, Proxy, RunningProxy, Script, secs};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::page::chromium;

/// Three Node servers to be, and proxies before them.
struct Fleet {
    ports: [Port; 3],
    proxies: Vec<(RunningProxy, TempDir)>,
}

impl Fleet {
    async fn behind(plans: Vec<Proxy>) -> Self {
        let ports = [Port::reserve(), Port::reserve(), Port::reserve()];
        let servers: Vec<String> = ports
            .iter()
            .map(|port| format!("\"{}\"", port.address()))
            .collect();
        let mut proxies = Vec::new();
        for plan in plans {
            let folder = TempDir::new().expect("a temporary folder");
            let proxy = RunningProxy::before(plan, folder.path(), &servers).await;
            proxies.push((proxy, folder));
        }
        Self { ports, proxies }
    }

    /// A proxy as a page of `127.0.0.1` reaches it on the same site, but as another origin.
    fn same_site(&self, number: usize) -> String {
        self.proxies[number].0.url("")
    }

    /// The same proxy on another site.
    fn other_site(&self, number: usize) -> String {
        self.same_site(number).replace("127.0.0.1", "localhost")
    }

    async fn holds(&self, browsers: Value) {
        let options = json!({
            "nodePorts": self.ports.iter().map(Port::number).collect::<Vec<_>>(),
            "chromium": chromium(),
            "browsers": browsers,
        });
        Script::run("cross_origin.mjs", &options, secs(120)).await;
    }
}

#[tokio::test]
async fn pages_of_other_sites_stay_by_session_id_without_cookies() {
    let fleet = Fleet::behind(vec![Proxy::sticky_sid()]).await;
    let case = |name: &str, transports: Value| json!({ "name": name, "url": fleet.other_site(0), "transports": transports, "sid": true, "stays": true, "sendsCookies": false });
    let cases = json!([
        case("polling", json!(["polling"])),
        case("upgrading", Value::Null),
    ]);
    fleet
        .holds(json!([{ "blocksThirdPartyCookies": true, "cases": cases }]))
        .await;
    let labels = [("method", "sid"), ("result", "invalid")];
    let (proxy, _) = &fleet.proxies[0];
    assert_eq!(
        proxy.metric("berth_sticky_requests_total", &labels).await,
        None
    );
}

#[tokio::test]
async fn pages_of_other_origins_stay_by_cookie_if_everybody_agrees() {
    let plain = Proxy::sticky_cookie();
    let everywhere = Proxy::sticky_cookie().cookie_line("samesite = \"none\"\nsecure = true");
    let partitioned = everywhere.clone().cookie_line("partitioned = true");
    let fleet = Fleet::behind(vec![plain, everywhere, partitioned]).await;
    let case = |name: &str, url: String, with_credentials: bool, stays: bool| {
        json!({
            "name": name, "url": url, "transports": ["polling"], "withCredentials": with_credentials,
            "stays": stays, "sendsCookies": stays,
        })
    };
    let tolerant = json!([
        case(
            "another origin with credentials",
            fleet.same_site(0),
            true,
            true
        ),
        case(
            "another origin without credentials",
            fleet.same_site(0),
            false,
            false
        ),
        case(
            "another site without SameSite=None",
            fleet.other_site(0),
            true,
            false
        ),
        case(
            "another site with SameSite=None; Secure",
            fleet.other_site(1),
            true,
            true
        ),
    ]);
    let strict = json!([
        case(
            "third-party cookies blocked",
            fleet.other_site(1),
            true,
            false
        ),
        case(
            "third-party cookies blocked, but partitioned",
            fleet.other_site(2),
            true,
            true
        ),
    ]);
    fleet
        .holds(json!([
            { "blocksThirdPartyCookies": false, "cases": tolerant },
            { "blocksThirdPartyCookies": true, "cases": strict },
        ]))
        .await;
}
