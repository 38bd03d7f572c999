use super::*;
use proptest::prelude::*;

/// Builds a pool from words such as `a`, `b=5` (weight), `c!` (down), `d+` (backup), named by their letter.
pub(crate) fn pool(words: &str) -> Pool {
    Pool::new(servers(words))
}

pub(crate) fn servers(words: &str) -> impl Iterator<Item = Server> {
    words.split_whitespace().map(|word| {
        let text = word.trim_end_matches(['!', '+']);
        let (name, weight) = text.split_once('=').unwrap_or((text, "1"));
        let weight = weight.parse().unwrap();
        Server {
            name: name.into(),
            configured: name.into(),
            endpoint: Endpoint::Unix(name.into()),
            weight,
            max_fails: 1,
            fail_timeout: 10,
            failure_window: None,
            slow_start: 0,
            max_conns: 0,
            handshakes: None,
            counts_apart: false,
            backup: word.ends_with('+'),
            down: word.ends_with('!'),
            has_check: false,
            mark: name.into(),
            tag: format!("tag-{name}").into(),
            state: Arc::new(State::new(weight)),
        }
    })
}

#[test]
fn backups_come_last() {
    let pool = pool("a+ b c+ d");
    let names: Vec<_> = pool.servers().iter().map(|server| &*server.name).collect();
    assert_eq!(names, ["b", "d", "a", "c"]);
    assert_eq!(
        pool.group(Group::Backup)
            .map(|(index, _)| index)
            .collect::<Vec<_>>(),
        [2, 3]
    );
}

proptest! {
    #[test]
    fn every_primary_has_as_many_points_as_weight(weights in prop::collection::vec(1_u32..20, 0..8)) {
        let words: String = weights.iter().map(|weight| format!("p={weight} b=3+ ")).collect();
        let pool = pool(&words);
        let mut points = vec![0; weights.len()];
        for point in 0..pool.weight() {
            let (index, server) = pool.at_weight(point).unwrap();
            prop_assert_eq!(server.weight, weights[index]);
            points[index] += 1;
        }
        prop_assert_eq!(points, weights);
        prop_assert!(pool.at_weight(pool.weight()).is_none());
    }

    #[test]
    fn tried_is_a_set(indexes in prop::collection::vec(0_usize..700, 0..40), removed in 0_usize..700) {
        let mut tried = Tried::default();
        for index in &indexes {
            tried.insert(*index);
        }
        tried.remove(removed);
        for index in 0..700 {
            prop_assert_eq!(tried.contains(index), index != removed && indexes.contains(&index));
        }
    }
}

#[test]
fn connections_are_counted_whoever_begins_and_ends_them() {
    let mut server = servers("a").next().unwrap();
    let mut limited = server.clone();
    server.counts_apart = true;
    limited.max_conns = 3;
    // Begun by one thread before a reload, ended by others behind it.
    assert!((0..2).all(|_| server.enter()));
    assert_eq!(server.state.connections(), 2);
    assert!(limited.enter());
    assert!(!limited.enter() && !limited.has_room());
    std::thread::scope(|scope| {
        scope.spawn(|| limited.leave());
        scope.spawn(|| server.leave());
    });
    assert_eq!(server.state.connections(), 1);
    assert!((0..2).all(|_| limited.enter()));
    assert!(!limited.enter());
    for _ in 0..3 {
        limited.leave();
    }
    assert_eq!(server.state.connections(), 0);
    assert!((0..3).all(|_| limited.enter()));
}
