//! Names while the proxy runs, with a resolver that says what the test tells it to, on tokio's paused clock.

use std::sync::Mutex;
use std::sync::atomic::Ordering::Relaxed;

use super::*;
use crate::pool::State;
use crate::registry::tests::settings;

/// Answers by name; a name that is not in there has no address.
#[derive(Clone, Default)]
struct Script(Arc<Mutex<HashMap<String, Vec<SocketAddr>>>>);

impl Script {
    fn says(&self, host: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|text| text.parse().unwrap());
        let mut answers = self.0.lock().unwrap();
        answers.insert(host.to_owned(), addresses.collect());
    }

    fn fails(&self, host: &str) {
        self.0.lock().unwrap().remove(host);
    }

    fn answer(&self, host: &str) -> Found {
        let answers = self.0.lock().unwrap();
        let found = answers.get(host).cloned();
        found.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

/// A registry of these servers that is kept fresh by the script.
async fn kept_fresh(servers: &[&str], resolve: Option<u64>, script: &Script) -> Arc<Registry> {
    let mut settings = settings(servers);
    settings.upstreams[0].resolve = resolve.map(Duration::from_secs);
    let script = script.clone();
    let ask = move |(host, _port): Name| {
        let script = script.clone();
        async move {
            if host == "hangs" {
                std::future::pending::<()>().await;
            }
            script.answer(&host)
        }
    };
    let looked_up = look_up(names(&settings), &ask, |_, _| {}).await;
    let registry = Arc::new(Registry::new(settings, looked_up));
    tokio::spawn(keep_fresh(Arc::clone(&registry), Clock::start(), ask));
    registry
}

fn servers(registry: &Registry) -> Vec<String> {
    let snapshot = registry.current();
    let servers = snapshot.upstreams[0].pool.servers().iter();
    servers.map(|server| server.name.to_string()).collect()
}

fn dialled(registry: &Registry) -> String {
    let snapshot = registry.current();
    format!("{:?}", snapshot.upstreams[0].pool.servers()[0].endpoint)
}

fn state(registry: &Registry, index: usize) -> Arc<State> {
    let snapshot = registry.current();
    Arc::clone(&snapshot.upstreams[0].pool.servers()[index].state)
}

async fn seconds(count: u64) {
    tokio::time::sleep(Duration::from_secs(count)).await;
}

#[tokio::test(start_paused = true)]
async fn a_name_follows_its_addresses_at_every_interval() {
    let script = Script::default();
    script.says("app", &["10.0.0.1:3000"]);
    let registry = kept_fresh(&["app:3000"], Some(10), &script).await;
    assert_eq!(servers(&registry), ["app:3000"]);
    script.says("app", &["10.0.0.2:3000", "10.0.0.1:3000"]);
    seconds(8).await;
    assert_eq!(servers(&registry), ["app:3000"], "not yet");
    seconds(8).await;
    let both = ["app:3000 (10.0.0.1:3000)", "app:3000 (10.0.0.2:3000)"];
    assert_eq!(servers(&registry), both);
    script.says("app", &["10.0.0.2:3000"]);
    seconds(16).await;
    assert_eq!(servers(&registry), ["app:3000"]);
    assert!(dialled(&registry).contains("10.0.0.2:3000"));
}

#[tokio::test(start_paused = true)]
async fn the_order_of_an_answer_moves_nobody() {
    let script = Script::default();
    let all = ["10.0.0.3:1", "10.0.0.1:1", "[2001:db8::1]:1", "10.0.0.2:1"];
    script.says("app", &all);
    let registry = kept_fresh(&["app:1"], Some(1), &script).await;
    let before = registry.current();
    for turn in 1..4 {
        let mut turned = all;
        turned.rotate_left(turn);
        script.says("app", &[&turned[..], &turned[..1]].concat());
        seconds(3).await;
        assert!(Arc::ptr_eq(&before, &registry.current()), "{turned:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn counters_stay_with_an_address_that_stays() {
    let script = Script::default();
    script.says("app", &["10.0.0.1:1", "10.0.0.2:1"]);
    let registry = kept_fresh(&["app:1"], Some(1), &script).await;
    state(&registry, 1).fails.store(3, Relaxed);
    script.says("app", &["10.0.0.2:1", "10.0.0.9:1"]);
    seconds(3).await;
    assert_eq!(state(&registry, 0).fails.load(Relaxed), 3);
    assert_eq!(state(&registry, 1).fails.load(Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn a_failed_lookup_keeps_the_last_answer() {
    let script = Script::default();
    script.says("app", &["10.0.0.1:1", "10.0.0.2:1"]);
    let registry = kept_fresh(&["app:1"], Some(1), &script).await;
    let before = registry.current();
    script.fails("app");
    seconds(30).await;
    assert!(Arc::ptr_eq(&before, &registry.current()));
    script.says("app", &[]);
    seconds(3).await;
    assert!(Arc::ptr_eq(&before, &registry.current()), "an empty answer");
    script.says("app", &["10.0.0.2:1"]);
    seconds(3).await;
    assert_eq!(servers(&registry), ["app:1"]);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_missing_at_the_start_is_a_server_as_soon_as_it_has_an_address() {
    let script = Script::default();
    let registry = kept_fresh(&["late:1", "10.0.0.1:1"], None, &script).await;
    assert_eq!(servers(&registry), ["10.0.0.1:1"]);
    script.says("late", &["10.0.0.2:1"]);
    seconds(11).await;
    assert_eq!(servers(&registry), ["late:1", "10.0.0.1:1"]);
    // Without `resolve` it is not asked for again.
    script.says("late", &["10.0.0.3:1"]);
    seconds(60).await;
    assert!(dialled(&registry).contains("10.0.0.2:1"));
}

#[tokio::test(start_paused = true)]
async fn a_lookup_that_hangs_is_given_up_and_holds_up_nobody_for_long() {
    let script = Script::default();
    script.says("app", &["10.0.0.1:1"]);
    let registry = kept_fresh(&["app:1", "hangs:1"], Some(1), &script).await;
    assert_eq!(servers(&registry), ["app:1"]);
    script.says("app", &["10.0.0.1:1", "10.0.0.2:1"]);
    seconds(15).await;
    assert_eq!(servers(&registry).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_reload_brings_new_names_and_a_shorter_interval() {
    let script = Script::default();
    script.says("app", &["10.0.0.1:1"]);
    let registry = kept_fresh(&["app:1"], Some(3600), &script).await;
    let mut changed = settings(&["app:1", "new:1"]);
    changed.upstreams[0].resolve = Some(Duration::from_secs(2));
    registry.replace(changed, Addresses::new(), Clock::start().seconds());
    script.says("app", &["10.0.0.7:1"]);
    script.says("new", &["10.0.0.8:1"]);
    seconds(20).await;
    assert_eq!(servers(&registry), ["app:1", "new:1"]);
    assert!(dialled(&registry).contains("10.0.0.7:1"));
}

#[tokio::test]
async fn the_system_knows_this_machine() {
    let found = settled(system(("localhost".to_owned(), 3000)))
        .await
        .unwrap();
    assert!(!found.is_empty());
    for address in found {
        assert!(
            address.ip().is_loopback() && address.port() == 3000,
            "{address}"
        );
    }
}
