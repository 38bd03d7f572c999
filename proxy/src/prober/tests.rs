use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::*;
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::registry::Addresses;
use crate::registry::tests::settings;
use crate::settings::HealthRequest;

fn shared(server: &str) -> Arc<Shared> {
    let mut settings = settings(&[server]);
    settings.upstreams[0].health_check = Some(HealthCheck {
        request: Some(HealthRequest {
            path: "/".to_owned(),
            host: None,
            status: 200..=399,
        }),
        interval: Duration::from_secs(5),
        timeout: Duration::from_secs(3600),
        rise: 2,
        fall: 3,
    });
    Arc::new(Shared {
        registry: Arc::new(Registry::new(settings, Addresses::new())),
        metrics: Metrics::new().unwrap(),
        tls: crate::tls::Tls::new(&[]).unwrap(),
        clock: Clock::start(),
        crowd: crate::edge::Crowd::default(),
        turned_away: Semaphore::new(1),
    })
}

#[tokio::test(start_paused = true)]
async fn a_start_does_not_wait_for_ever() {
    // Accepts, by its backlog, and says nothing.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let shared = shared(&listener.local_addr().unwrap().to_string());
    let began = Instant::now();
    start(&shared).await;
    assert_eq!(began.elapsed(), FIRST_VERDICTS_TIMEOUT);
    assert!(is_any_pending(&shared.registry));
}

#[tokio::test]
async fn a_start_waits_for_the_first_verdict() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let shared = shared(&address);
    start(&shared).await;
    let snapshot = shared.registry.current();
    let server = &snapshot.upstreams[0].pool.servers()[0];
    assert_eq!(server.state.standing.get(), Verdict::Unwell);
}

#[test]
fn a_pause_is_up_to_a_tenth_shorter_or_longer() {
    let interval = Duration::from_secs(10);
    assert_eq!(jittered(interval, 0.0), Duration::from_secs(9));
    assert_eq!(jittered(interval, 0.5), interval);
    assert_eq!(jittered(interval, 1.0), Duration::from_secs(11));
}
