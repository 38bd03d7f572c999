use std::sync::Arc;

use tokio::sync::Semaphore;

use super::*;
use crate::client::{Client, Scheme};
use crate::clock::{Clock, Stopwatch};
use crate::edge::Crowd;
use crate::headers::Forwarded;
use crate::lifecycle::life;
use crate::metrics::Metrics;
use crate::registry::{Addresses, Registry, tests::settings};
use crate::shared::Shared;
use crate::workers::Worker;

/// What an idle WebSocket costs beside its two sockets and some text for the log; it must not grow by accident.
const BYTES_MAX: usize = 752;

#[tokio::test]
async fn an_idle_websocket_is_small() {
    let shared = Arc::new(Shared {
        registry: Arc::new(Registry::new(settings(&["127.0.0.1:1"]), Addresses::new())),
        metrics: Metrics::new().unwrap(),
        tls: crate::tls::Tls::new(&[]).unwrap(),
        clock: Clock::start(),
        crowd: Crowd::default(),
        turned_away: Semaphore::new(1),
    });
    let (life, _reaper) = life();
    let context = Context { shared, life };
    let worker = Worker::new(&context.shared, 0);
    let guest = Guest::admit(&context, &worker, None, &context.life.open()).unwrap();
    let client = Client {
        ip: None,
        scheme: Scheme::Http,
    };
    let request = Request {
        upstream: Arc::clone(&context.shared.registry.current().upstreams[0]),
        client,
        forwarded: Forwarded::of(&client, &http::HeaderMap::new()),
        hash_key: Vec::new(),
        sid: crate::affinity::sid::Reading::Plain,
        stage: crate::affinity::sid::Stage::None,
        cookie: crate::affinity::cookie::Reading::Absent,
        body_bytes_max: 0,
        began: Stopwatch::start(),
    };
    let mut upgrade = Upgrade {
        request,
        head: Vec::new(),
        rest: BytesMut::new(),
        host: String::new(),
        target: String::new(),
    };
    let socket = || Socket::Unix(tokio::net::UnixStream::pair().unwrap().0);
    let bounds = Bounds {
        idle_timeout: heartbeat::IDLE_TIMEOUT,
        is_told: false,
        max_age: None,
    };
    let relay = Relay::new(
        (socket(), socket()),
        BytesMut::new(),
        BytesMut::new(),
        bounds,
    );
    let mut tries = Tries::default();
    tries.next(&upgrade.request, &context.shared).unwrap();
    let story = Story::begin(&mut upgrade, tries, &context, guest).unwrap();
    let tunnel = Box::new(Tunnel {
        relay,
        closing: context.life.awaited(Phase::Closing),
        story,
    });
    let bytes = size_of::<Tunnel>() + size_of_val(&tunnel.last());
    assert!(bytes <= BYTES_MAX, "{bytes} bytes");
}
