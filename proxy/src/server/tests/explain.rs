//! What `explain` says comes true.

use super::cluster::{Does, Proxy, Server};
use super::exchange::sticky;
use crate::explain::{Question, explain};
use crate::settings::{Balance, Key, Settings, Sid, Sticky};

/// Asks `explain` and the proxy about each client: by address alone, then with what the first answer bound it by.
async fn comes_true(settings: Settings) {
    let proxy = Proxy::start(settings.clone()).await;
    let mut seen = Vec::new();
    for network in 0..12 {
        let ip = format!("10.7.{network}.9");
        let mut path = "/socket.io/?EIO=4&transport=polling".to_owned();
        let mut cookie = String::new();
        for is_first in [true, false] {
            let question = Question {
                ip: ip.parse().unwrap(),
                host: "a",
                path: &path,
                cookie: Some(&cookie),
                sid: None,
                out: &[],
            };
            let told = explain(&settings, &question).unwrap();
            let mut client = proxy.connect().await;
            client
                .send(&format!(
                    "GET {path} HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {ip}\r\nCookie: {cookie}\r\n\r\n"
                ))
                .await;
            let answer = client.answer().await;
            let server = answer.field("X-Server").unwrap().to_owned();
            let is_settled = !is_first || settings.upstreams[0].balance == Balance::IpHash;
            assert_eq!(told.server.is_some(), is_settled, "{told}");
            assert!(told.server.is_none_or(|told| told == server));
            cookie = answer.cookie("srv_id").unwrap_or(cookie);
            if let Some((_, sid)) = answer.body.split_once("\"sid\":\"") {
                path = format!("{path}&sid={}", sid.split('"').next().unwrap());
            }
            seen.push(server);
        }
    }
    seen.sort();
    seen.dedup();
    assert!(seen.len() > 1, "all on {seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_explain_says_comes_true() {
    let mut servers = Vec::new();
    for _ in 0..3 {
        servers.push(Server::start(Does::Open).await);
    }
    let addresses: Vec<&str> = servers.iter().map(|server| &*server.address).collect();
    let mut by_address = sticky(&addresses);
    by_address.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let mut by_cookie = by_address.clone();
    by_address.upstreams[0].balance = Balance::IpHash;
    by_address.upstreams[0].sticky.clear();
    by_cookie.upstreams[0].balance = Balance::RoundRobin;
    let mut by_session = by_cookie.clone();
    by_session.upstreams[0].sticky = vec![Sticky::Sid(Sid {
        keys: vec![Key::new("0123456789abcdef0123456789abcdef")],
        answer_gone: true,
    })];
    for settings in [by_address, by_cookie, by_session] {
        comes_true(settings).await;
    }
}
