use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::affinity::{Mark, Method};
use crate::choose::{Affinity, Asking, Attempt, NoServer, choose};
use crate::client::HashBytes;
use crate::settings::{Balance, IdleTimeout};

const NOW: Seconds = 1_000_000;

/// Settings with one upstream `app` of these servers; everything else is as small as tests like it.
pub(crate) fn settings(servers: &[&str]) -> Settings {
    Settings {
        listen: vec![settings::Listen::plain(settings::ListenAddress::Tcp(
            "127.0.0.1:0".parse().unwrap(),
        ))],
        certificates: Vec::new(),
        admin: Some("127.0.0.1:0".parse().unwrap()),
        pid_file: None,
        trusted_proxies: Vec::new(),
        drain_timeout: Duration::from_secs(5),
        limits: Limits {
            head_bytes_max: 32 * 1024,
            head_fields_max: 100,
            head_timeout: Duration::from_secs(10),
            client_keepalive_requests: 1000,
            body_timeout: Duration::from_secs(60),
            send_timeout: Duration::from_secs(60),
            body_rate_min: 240,
            send_rate_min: 240,
            rate_window: Duration::from_secs(60),
            connections_per_client_max: 0,
            client_keepalive_timeout: Duration::from_secs(75),
            tls_handshake_timeout: Duration::from_secs(10),
            http2: true,
            http2_streams_max: 128,
            body_bytes_max: 1024 * 1024,
            connections_max: 10_000,
        },
        threads: 2,
        upstreams: vec![settings::Upstream {
            name: "app".to_owned(),
            balance: Balance::RoundRobin,
            hash_key: None,
            sticky: Vec::new(),
            servers: servers.iter().map(|server| self::server(server)).collect(),
            keepalive: 8,
            keepalive_requests: 1000,
            keepalive_timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(60),
            tries_max: 0,
            tries_timeout: Duration::ZERO,
            resolve: None,
            websocket_idle_timeout: IdleTimeout::After(Duration::from_secs(60)),
            websocket_max_age: None,
            websocket_early_close: None,
            health_check: None,
            fail_open: false,
            handshakes: settings::Handshakes::default(),
        }],
        routes: Vec::new(),
    }
}

pub(crate) fn server(address: &str) -> settings::Server {
    let address = address.parse().map_or_else(
        |_| {
            let (host, port) = address.split_once(':').unwrap();
            ServerAddress::Name {
                host: host.to_owned(),
                port: port.parse().unwrap(),
            }
        },
        ServerAddress::Ip,
    );
    settings::Server {
        address,
        weight: 1,
        max_fails: 1,
        fail_timeout: Duration::from_secs(10),
        failure_window: None,
        slow_start: Duration::ZERO,
        max_conns: 0,
        backup: false,
        down: false,
        route: None,
    }
}

fn state(registry: &Registry, server: &str) -> Arc<State> {
    let snapshot = registry.current();
    let mut servers = snapshot.upstreams[0].pool.servers().iter();
    Arc::clone(&servers.find(|found| &*found.name == server).unwrap().state)
}

fn found(name: &str, addresses: &[&str]) -> Addresses {
    let (host, port) = name.split_once(':').unwrap();
    let addresses = addresses
        .iter()
        .map(|address| address.parse().unwrap())
        .collect();
    Addresses::from([((host.to_owned(), port.parse().unwrap()), addresses)])
}

#[test]
fn counters_survive_a_reload_that_keeps_the_server() {
    let registry = Registry::new(
        settings(&["10.0.0.1:3000", "10.0.0.2:3000"]),
        Addresses::new(),
    );
    state(&registry, "10.0.0.2:3000").fails.store(3, Relaxed);
    registry.replace(
        settings(&["10.0.0.3:3000", "10.0.0.2:3000"]),
        Addresses::new(),
        NOW,
    );
    assert_eq!(state(&registry, "10.0.0.2:3000").fails.load(Relaxed), 3);
    assert_eq!(state(&registry, "10.0.0.3:3000").fails.load(Relaxed), 0);
}

#[test]
fn a_reload_neither_fills_nor_empties_a_bucket() {
    let limited = |per_minute| {
        let rate = Some(settings::Rate {
            per_minute,
            burst: 1,
        });
        let mut settings = settings(&["10.0.0.1:3000"]);
        settings.upstreams[0].handshakes = settings::Handshakes {
            overall: rate,
            per_server: rate,
        };
        settings
    };
    let registry = Registry::new(limited(1), Addresses::new());
    let take = |now| {
        let snapshot = registry.current();
        let upstream = &snapshot.upstreams[0];
        let (server, overall) = (&upstream.pool.servers()[0], upstream.handshakes.as_ref());
        let overall = overall.map(|limit| limit.gate.bucket.take(limit.rate.unwrap(), now));
        let own = server
            .state
            .handshakes
            .take(server.handshakes.unwrap(), now);
        assert_eq!(overall, Some(own));
        own
    };
    let start = 1_000_000_000;
    take(start).unwrap();
    registry.replace(limited(1), Addresses::new(), 0);
    take(start).unwrap_err();
    registry.replace(limited(60_000), Addresses::new(), 0);
    take(start).unwrap_err();
    take(start + 1_000_000).unwrap();
}

#[test]
fn a_changed_weight_counts_from_now_on() {
    let mut changed = settings(&["10.0.0.1:3000"]);
    changed.upstreams[0].servers[0].weight = 7;
    let registry = Registry::new(settings(&["10.0.0.1:3000"]), Addresses::new());
    registry.replace(changed, Addresses::new(), NOW);
    assert_eq!(
        state(&registry, "10.0.0.1:3000")
            .effective_weight
            .load(Relaxed),
        7
    );
}

#[test]
fn a_name_is_as_many_servers_as_it_has_addresses() {
    let registry = Registry::new(settings(&["app:3000"]), Addresses::new());
    assert_eq!(registry.current().upstreams[0].pool.servers().len(), 0);
    assert_eq!(registry.unresolved(), [("app".to_owned(), 3000)]);
    assert!(registry.readdress(found("app:3000", &["10.0.0.1:3000"]), NOW));
    let first = state(&registry, "app:3000");
    assert!(registry.readdress(found("app:3000", &["10.0.0.1:3000", "10.0.0.2:3000"]), NOW));
    assert!(Arc::ptr_eq(
        &first,
        &state(&registry, "app:3000 (10.0.0.1:3000)")
    ));
    assert!(!registry.readdress(found("app:3000", &["10.0.0.1:3000", "10.0.0.2:3000"]), NOW));
    assert!(registry.unresolved().is_empty());
}

#[test]
fn a_reload_keeps_the_last_answer_of_a_name_that_cannot_be_looked_up() {
    let registry = Registry::new(
        settings(&["app:3000"]),
        found("app:3000", &["10.0.0.1:3000"]),
    );
    registry.replace(
        settings(&["app:3000", "10.0.0.2:3000"]),
        Addresses::new(),
        NOW,
    );
    assert_eq!(registry.current().upstreams[0].pool.servers().len(), 2);
}

#[test]
fn a_server_is_marked_by_its_route_or_its_address() {
    let mut routed = settings(&["127.0.0.1:3000", "10.0.0.1:3000"]);
    routed.upstreams[0].servers[1].route = Some("b".to_owned());
    let snapshot = Registry::new(routed, Addresses::new()).current();
    let marks: Vec<_> = snapshot.upstreams[0]
        .pool
        .servers()
        .iter()
        .map(|server| &*server.mark)
        .collect();
    assert_eq!(marks, ["01c2a3a6a99837796bad2f82f71dfc33", "b"]);
}

/// Settings in which every server has a `slow_start` of ten seconds.
fn slow(servers: &[&str]) -> Settings {
    let mut settings = settings(servers);
    for server in &mut settings.upstreams[0].servers {
        server.slow_start = Duration::from_secs(10);
    }
    settings
}

/// The parts of their weight that the servers have now, in the settings' order.
fn parts(registry: &Registry, now: Seconds) -> Vec<u32> {
    let snapshot = registry.current();
    let servers = snapshot.upstreams[0].pool.servers().iter();
    servers
        .map(|server| slow_start::part(server, now))
        .collect()
}

#[test]
fn servers_that_are_there_from_the_start_have_their_weight() {
    let registry = Registry::new(slow(&["10.0.0.1:1", "10.0.0.2:1"]), Addresses::new());
    assert_eq!(parts(&registry, NOW), [1000, 1000]);
    let registry = Registry::new(slow(&["app:1"]), Addresses::new());
    registry.readdress(found("app:1", &["10.0.0.1:1", "10.0.0.2:1"]), NOW);
    assert_eq!(parts(&registry, NOW), [1000, 1000], "all are new alike");
}

#[test]
fn a_server_that_a_reload_adds_starts_slowly_and_no_further_reload_disturbs_it() {
    let registry = Registry::new(slow(&["10.0.0.1:1"]), Addresses::new());
    let two = slow(&["10.0.0.1:1", "10.0.0.2:1"]);
    registry.replace(two.clone(), Addresses::new(), NOW);
    assert_eq!(parts(&registry, NOW), [1000, 1]);
    registry.replace(two.clone(), Addresses::new(), NOW + 4);
    assert_eq!(parts(&registry, NOW + 5), [1000, 500]);
    let mut longer = two;
    for server in &mut longer.upstreams[0].servers {
        server.slow_start = Duration::from_secs(100);
    }
    registry.replace(longer, Addresses::new(), NOW + 10);
    assert_eq!(parts(&registry, NOW + 11), [1000, 1000]);
}

#[test]
fn an_address_that_a_name_gains_starts_slowly() {
    let registry = Registry::new(slow(&["app:1"]), found("app:1", &["10.0.0.1:1"]));
    registry.readdress(found("app:1", &["10.0.0.1:1", "10.0.0.2:1"]), NOW);
    assert_eq!(parts(&registry, NOW + 3), [1000, 300]);
}

#[test]
fn a_server_that_is_no_longer_down_starts_slowly() {
    let both = slow(&["10.0.0.1:1", "10.0.0.2:1"]);
    let mut one = both.clone();
    one.upstreams[0].servers[1].down = true;
    let registry = Registry::new(one, Addresses::new());
    registry.replace(both, Addresses::new(), NOW);
    assert_eq!(parts(&registry, NOW + 3), [1000, 300]);
}

/// Whom a request of the session that `tag` names is given to.
fn served(registry: &Registry, tag: &str) -> Result<(String, Affinity), NoServer> {
    let snapshot = registry.current();
    let upstream = &snapshot.upstreams[0];
    let asking = Asking {
        address: HashBytes::Three([10, 0, 0]),
        marks: [
            Some(Mark {
                method: Method::Sid,
                name: tag.as_bytes(),
                is_only: true,
            }),
            None,
        ],
        key: b"some key",
        dice: 7,
        handshake: None,
    };
    let mut attempt = Attempt::default();
    let choice = choose(&upstream.pool, upstream.policy, asking, &mut attempt, NOW)?;
    let server = &upstream.pool.servers()[choice.server];
    Ok((server.name.to_string(), choice.affinity))
}

proptest! {
    #[test]
    fn a_reload_without_a_server_moves_nobody_elses_session(
        addresses in prop::collection::btree_set((any::<[u8; 4]>(), 1_u16..), 2..10),
        routed in any::<u16>(),
        removed in any::<prop::sample::Index>(),
        is_down_only in any::<bool>(),
        balance in prop::sample::select(vec![
            Balance::RoundRobin, Balance::LeastConn, Balance::IpHash, Balance::Hash, Balance::HashConsistent, Balance::RandomTwo,
        ]),
    ) {
        let texts: Vec<_> = addresses.into_iter().map(|address| SocketAddr::from(address).to_string()).collect();
        let mut settings = settings(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        settings.upstreams[0].balance = balance;
        for (index, server) in settings.upstreams[0].servers.iter_mut().enumerate() {
            server.route = (routed & 1 << index != 0).then(|| format!("route-{index}"));
        }
        let registry = Registry::new(settings.clone(), Addresses::new());
        let snapshot = registry.current();
        let sessions: Vec<_> = snapshot.upstreams[0].pool.servers().iter()
            .map(|server| (server.tag.to_string(), server.name.to_string())).collect();

        let removed = removed.index(texts.len());
        if is_down_only {
            settings.upstreams[0].servers[removed].down = true;
        } else {
            settings.upstreams[0].servers.remove(removed);
        }
        registry.replace(settings, Addresses::new(), NOW);

        for (index, (tag, server)) in sessions.into_iter().enumerate() {
            let expected = if index == removed { Err(NoServer::SessionGone) } else { Ok((server, Affinity::Hit)) };
            prop_assert_eq!(served(&registry, &tag), expected);
        }
    }
}
