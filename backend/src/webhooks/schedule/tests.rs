use proptest::prelude::{ProptestConfig, any, prop, proptest};

use super::*;

const LIMITS: Limits = Limits {
    rooms_at_once_max: 2,
    rooms_waiting_max: 4,
    pause_max: Duration::from_secs(60),
    paused_after: Duration::from_secs(600),
    paused_interval: Duration::from_secs(3_600),
};

/// A schedule and its clock. The dice always show 1: pauses are whole.
struct Scene {
    schedule: Schedule,
    start: Instant,
    now: Instant,
}

fn room(name: &str) -> RoomId {
    RoomId::parse(name).unwrap()
}

impl Scene {
    fn with(rooms: &[&str]) -> Self {
        let start = crate::clock::monotonic();
        let mut schedule = Schedule::new(LIMITS, None);
        rooms.iter().for_each(|name| schedule.note(room(name)));
        Self {
            schedule,
            start,
            now: start,
        }
    }

    fn at(&mut self, seconds: u64) -> &mut Self {
        self.now = self.start + Duration::from_secs(seconds);
        self
    }

    /// A room's name, `@` and the second, or `-`.
    fn next(&mut self) -> String {
        match self.schedule.next(self.now) {
            Next::Tell(room, _) => room.to_string(),
            Next::At(at) => format!("@{}", (at - self.start).as_secs_f64()),
            Next::Nothing => "-".to_owned(),
        }
    }

    fn told(&mut self, name: &str) {
        self.schedule.told(&room(name), false, true);
    }

    fn failed(&mut self, name: &str) {
        self.schedule.failed(&room(name), 9, None, (self.now, 1.0));
    }

    fn state(&self) -> State {
        self.schedule.state(self.now)
    }
}

#[test]
fn rooms_take_turns_and_so_many_at_once() {
    let mut scene = Scene::with(&["a", "b", "c"]);
    assert_eq!([scene.next(), scene.next(), scene.next()], ["a", "b", "-"]);
    scene.schedule.told(&room("a"), true, true);
    assert_eq!([scene.next(), scene.next()], ["c", "-"]);
    scene.told("b");
    assert_eq!(scene.next(), "a");
    scene.told("a");
    scene.told("c");
    assert_eq!(
        (scene.next().as_str(), scene.schedule.is_empty()),
        ("-", true)
    );
}

#[test]
fn what_comes_while_a_room_is_told_of_is_told_after_it() {
    let mut scene = Scene::with(&["a"]);
    assert_eq!(scene.next(), "a");
    scene.schedule.note(room("a"));
    assert_eq!(scene.next(), "-", "never twice at the same time");
    scene.told("a");
    assert_eq!(scene.next(), "a");
    scene.told("a");
    assert_eq!(scene.next(), "-");
}

#[test]
fn pauses_double_up_to_a_bound_and_a_success_ends_them() {
    let mut scene = Scene::with(&["a"]);
    let mut time = 0;
    for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
        assert_eq!(scene.at(time).next(), "a");
        scene.failed("a");
        assert_eq!(scene.next(), format!("@{}", time + pause));
        time += pause;
    }
    assert_eq!(scene.state(), State::Failing);
    assert_eq!(scene.at(time).next(), "a");
    scene.told("a");
    assert_eq!(scene.state(), State::Ok);
    scene.schedule.note(room("a"));
    assert_eq!(scene.next(), "a");
}

#[test]
fn a_receiver_that_is_away_is_asked_one_room_at_a_time_and_then_told_of_all() {
    let mut scene = Scene::with(&["a", "b", "c"]);
    assert_eq!([scene.next(), scene.next()], ["a", "b"]);
    scene.failed("a");
    scene.failed("b");
    assert_eq!(scene.next(), "@1", "one outage is one failure");
    assert_eq!([scene.at(1).next(), scene.next()], ["c", "-"]);
    scene.failed("c");
    assert_eq!(scene.next(), "@3");
    assert_eq!(scene.at(3).next(), "b");
    scene.told("b");
    assert_eq!([scene.next(), scene.next()], ["a", "c"]);
}

#[test]
fn a_room_that_alone_fails_holds_up_itself_alone() {
    let mut scene = Scene::with(&["bad", "good"]);
    let (mut good, mut bad) = (0, 0);
    for second in 0..100 {
        scene.at(second);
        scene.schedule.note(room("good"));
        loop {
            match scene.next().as_str() {
                "bad" => {
                    bad += 1;
                    scene.failed("bad");
                }
                "good" => {
                    good += 1;
                    scene.told("good");
                }
                _ => break,
            }
        }
    }
    assert!(good >= 90 && (5..10).contains(&bad), "{good} {bad}");
}

#[test]
fn a_repeated_request_is_the_same_request() {
    let mut scene = Scene::with(&["a"]);
    assert_eq!(scene.schedule.next(scene.now), Next::Tell(room("a"), None));
    scene.failed("a");
    scene.at(1);
    assert_eq!(
        scene.schedule.next(scene.now),
        Next::Tell(room("a"), Some(9))
    );
    scene.schedule.hindered(&room("a"), scene.now);
    assert_eq!(scene.next(), "@2");
    scene.at(2);
    assert_eq!(
        scene.schedule.next(scene.now),
        Next::Tell(room("a"), Some(9))
    );
}

#[test]
fn what_fails_for_long_is_paused_until_somebody_resumes_it() {
    let mut scene = Scene::with(&["a"]);
    let mut last = 0;
    let mut tries = 0;
    while scene.state() != State::Paused {
        assert_eq!(scene.next(), "a");
        tries += 1;
        scene.failed("a");
        let Next::At(at) = scene.schedule.next(scene.now) else {
            panic!("nothing waits");
        };
        last = (at - scene.start).as_secs();
        scene.at(last);
    }
    assert!(tries > 10 && scene.schedule.len() == 1);
    assert_eq!(scene.next(), "a");
    scene.failed("a");
    assert_eq!(scene.next(), format!("@{}", last + 3_600));
    scene.schedule.resume();
    assert_eq!(scene.next(), "a");
    assert_eq!(scene.state(), State::Ok);
}

#[test]
fn a_receiver_that_says_it_is_gone_is_paused_at_once_and_one_that_is_busy_is_left_alone() {
    let mut scene = Scene::with(&["a"]);
    assert_eq!(scene.next(), "a");
    let busy = Some(Duration::from_secs(30));
    scene.schedule.failed(&room("a"), 9, busy, (scene.now, 1.0));
    assert_eq!(scene.next(), "@30");
    assert_eq!(scene.at(30).next(), "a");
    let for_ever = Some(Duration::from_secs(1 << 40));
    scene
        .schedule
        .failed(&room("a"), 9, for_ever, (scene.now, 1.0));
    assert_eq!(scene.next(), "@90");
    assert_eq!(scene.at(90).next(), "a");
    scene.schedule.gone();
    scene.failed("a");
    assert_eq!(
        (scene.state(), scene.next()),
        (State::Paused, "@3690".to_owned())
    );
}

#[test]
fn a_new_holder_goes_on_where_the_last_one_was() {
    let start = crate::clock::monotonic();
    let mut schedule = Schedule::new(LIMITS, Some(start));
    schedule.note(room("a"));
    schedule.note(room("b"));
    assert_eq!(schedule.state(start + LIMITS.paused_after), State::Paused);
    assert_eq!(schedule.next(start), Next::Tell(room("a"), None));
    assert_eq!(schedule.next(start), Next::Nothing);
}

#[test]
fn rooms_beyond_the_bound_are_forgotten_and_it_says_so() {
    let mut scene = Scene::with(&["a", "b", "c", "d"]);
    assert!(!scene.schedule.take_forgotten());
    scene.schedule.note(room("a"));
    assert!(!scene.schedule.take_forgotten());
    scene.schedule.note(room("e"));
    assert_eq!(scene.schedule.len(), 4);
    assert!(scene.schedule.take_forgotten() && !scene.schedule.take_forgotten());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever fails and comes, when the receiver is well every room that was noted after its last delivery is told of.
    #[test]
    fn nothing_is_left_behind(steps in prop::collection::vec((0_u8..4, 0_u64..3, any::<bool>()), 0..80)) {
        let mut scene = Scene::with(&[]);
        let mut owed = std::collections::HashSet::new();
        let mut time = 0;
        for (number, delay, is_well) in steps {
            time += delay;
            scene.at(time);
            let name = format!("room-{number}");
            scene.schedule.note(room(&name));
            owed.insert(name);
            if let Next::Tell(told, _) = scene.schedule.next(scene.now) {
                if is_well {
                    owed.remove(told.as_str());
                    scene.schedule.told(&told, false, true);
                } else {
                    scene.failed(told.as_str());
                }
            }
        }
        for _ in 0..1_000 {
            match scene.schedule.next(scene.now) {
                Next::Tell(told, _) => {
                    owed.remove(told.as_str());
                    scene.schedule.told(&told, false, true);
                }
                Next::At(at) => scene.now = at,
                Next::Nothing => break,
            }
        }
        assert!(owed.is_empty() && scene.schedule.is_empty(), "{owed:?}");
    }
}
