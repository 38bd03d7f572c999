//! `GET /status` on the admin listener.

use super::cluster::{Does, Proxy, Server, handshake, settings};
use crate::settings::{Handshakes, Rate};
use crate::status::Status;

async fn status(proxy: &Proxy) -> Status {
    let answer = proxy.admin("/status").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.field("Content-Type"), Some("application/json"));
    serde_json::from_str(&answer.body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn status_tells_what_happens() {
    let (dead, server) = (Server::dead().await, Server::start(Does::Echo).await);
    let mut settings = settings(&[&dead, &server.address, "10.255.255.1:9"]);
    settings.upstreams[0].servers[1].max_conns = 7;
    settings.upstreams[0].servers[2].down = true;
    settings.upstreams[0].handshakes = Handshakes {
        overall: None,
        per_server: Some(Rate {
            per_minute: 1,
            burst: 1,
        }),
    };
    let proxy = Proxy::start(settings).await;
    let (_tunnel, answer) = proxy.handshake("").await;
    assert_eq!(answer.status, 101);
    assert_eq!(proxy.handshake("").await.1.status, 503);
    let bound = handshake("").replace("transport=", "sid=abc&transport=");
    let mut other = proxy.connect().await;
    other.send(&bound).await;
    assert_eq!(other.answer().await.status, 101);

    // A tunnel is counted when its task begins, just after its 101.
    let line = "berth_websocket_connections{upstream=\"app\"} 2";
    proxy.wait_for_metric(line).await;
    let told = status(&proxy).await;
    assert_eq!(told.phase, "running");
    assert!(told.config.last_reload_successful && told.config.loaded_at > 1_700_000_000);
    assert!(told.connections >= 2);
    let [upstream] = told.upstreams.as_slice() else {
        panic!("{told:?}")
    };
    assert_eq!(
        (&*upstream.name, &*upstream.balance),
        ("app", "round_robin")
    );
    assert_eq!((upstream.websockets, upstream.failing_open), (2, false));
    let handshakes = upstream.handshakes.as_ref().unwrap();
    assert!(handshakes.limiting && handshakes.limited_total == 1);
    let [out, up, down] = upstream.servers.as_slice() else {
        panic!("{told:?}")
    };
    assert_eq!((&*out.name, &*out.state, out.fails), (&*dead, "out", 1));
    assert!((1..=11).contains(&out.out_for.unwrap()));
    assert_eq!((&*up.state, up.connections, up.max_conns), ("up", 2, 7));
    assert_eq!(up.handshakes_limited_total, 1);
    assert_eq!(
        (&*down.state, down.out_for, &down.check),
        ("down", None, &None)
    );
}
