use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, proptest};
use proptest::prop_oneof;

use super::*;

/// A line of bare seqs, and what has passed.
struct Scene {
    line: Line<u64>,
    passed: Vec<u64>,
}

impl Scene {
    fn new(line: Line<u64>) -> Self {
        let passed = Vec::new();
        Self { line, passed }
    }

    fn at(tail: u64) -> Self {
        let mut scene = Self::new(Line::asking(8));
        scene.begin(tail);
        scene
    }

    fn begin(&mut self, tail: u64) {
        self.line.begin(tail, &mut |seq| self.passed.push(seq));
    }

    fn drift(&mut self) {
        self.line.drift(&mut |seq| self.passed.push(seq));
    }

    fn offer(&mut self, seq: u64) -> Offered {
        self.line.offer(seq, seq, &mut |seq| self.passed.push(seq))
    }

    /// Reads a page of a log that keeps `first..=tail`.
    fn read(&mut self, (first, tail): (u64, u64), limit: u64) -> bool {
        let Some(missing) = self.line.missing() else {
            return false;
        };
        let from = first.max(missing.after + 1);
        let to = tail.min(from + limit - 1);
        let page = (from..=to).map(|seq| (seq, seq));
        self.line.fill(page, &mut |seq| self.passed.push(seq));
        if to == tail {
            let foreign = self.line.settle(missing, tail);
            self.passed.extend(foreign);
        }
        true
    }
}

#[test]
fn entries_in_order_pass_at_once() {
    let mut scene = Scene::at(5);
    for seq in 6..=9 {
        assert_eq!(scene.offer(seq), Offered::Passed);
        assert_eq!(scene.line.missing(), None);
    }
    assert_eq!(scene.passed, [6, 7, 8, 9]);
}

#[test]
fn what_was_there_before_the_first_socket_does_not_pass() {
    let mut scene = Scene::at(5);
    assert_eq!(scene.offer(5), Offered::Old);
    assert_eq!(scene.offer(1), Offered::Old);
    assert_eq!(scene.passed, [0; 0]);
}

#[test]
fn an_entry_waits_for_the_one_ahead_of_it() {
    let mut scene = Scene::at(0);
    assert_eq!(scene.offer(2), Offered::Waits);
    let missing = scene.line.missing().unwrap();
    assert_eq!((missing.after, missing.up_to), (0, 2));
    assert_eq!(scene.offer(1), Offered::Passed);
    assert_eq!(
        (scene.passed.as_slice(), scene.line.missing()),
        (&[1, 2][..], None)
    );
}

#[test]
fn entries_wait_while_the_log_is_asked() {
    let mut scene = Scene::new(Line::asking(8));
    for seq in [7, 5, 6] {
        assert_eq!(scene.offer(seq), Offered::Waits);
    }
    assert_eq!(scene.line.missing(), None);
    scene.begin(5);
    assert_eq!(scene.passed, [6, 7]);
}

#[test]
fn without_the_log_the_first_entry_is_the_beginning() {
    let mut waited = Scene::new(Line::asking(8));
    waited.offer(8);
    waited.offer(7);
    waited.drift();
    assert_eq!(waited.passed, [7, 8]);
    let mut adrift = Scene::new(Line::asking(8));
    adrift.drift();
    assert_eq!(adrift.offer(12), Offered::Passed);
    assert_eq!(adrift.offer(11), Offered::Old);
    // The log answers after all, and nothing had come.
    let mut late = Scene::new(Line::adrift(8));
    late.begin(3);
    late.offer(4);
    assert_eq!(late.passed, [4]);
}

#[test]
fn a_tail_that_is_ahead_is_missing() {
    let mut scene = Scene::at(5);
    scene.line.expect(5);
    assert_eq!(scene.line.missing(), None);
    scene.line.expect(7);
    assert!(scene.read((1, 7), 10));
    assert_eq!(
        (scene.passed.as_slice(), scene.line.missing()),
        (&[6, 7][..], None)
    );
}

#[test]
fn what_the_log_no_longer_keeps_is_skipped() {
    let mut scene = Scene::at(2);
    scene.offer(5);
    scene.offer(9);
    assert!(scene.read((8, 9), 10));
    assert_eq!(
        (scene.passed.as_slice(), scene.line.missing()),
        (&[5, 8, 9][..], None)
    );
}

#[test]
fn entries_of_another_log_are_given_back_and_hold_nothing_up() {
    let mut scene = Scene::at(2);
    scene.offer(1_000_000);
    let read = scene.line.missing().unwrap();
    // These come while the log is read, and are of the log.
    scene.offer(5);
    scene.line.expect(6);
    scene.line.fill([(3, 3)], &mut |seq| scene.passed.push(seq));
    assert_eq!(scene.line.settle(read, 3), [1_000_000]);
    let missing = scene.line.missing().unwrap();
    assert_eq!((missing.after, missing.up_to), (3, 6));
    assert_eq!(scene.passed, [3]);
}

#[test]
fn too_many_that_wait_are_fetched_again() {
    let mut scene = Scene::at(0);
    for seq in (2..=30).rev() {
        scene.offer(seq);
    }
    assert_eq!(scene.line.waiting.len(), 8);
    while scene.read((1, 30), 4) {}
    assert_eq!(scene.passed, (1..=30).collect::<Vec<_>>());
}

#[test]
fn another_log_is_shown_from_its_beginning() {
    let mut scene = Scene::at(500);
    scene.line.restart(2);
    assert!(scene.read((1, 2), 10));
    assert_eq!(scene.passed, [1, 2]);
}

/// What may happen to a line while a log grows.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// Somebody appends, and the frame arrives so many events later, if at all, and perhaps twice.
    Append { delay: usize, copies: usize },
    /// Somebody looks whether something is missing, and reads a page.
    Read { limit: u64 },
    /// The end of the log is heard of.
    Tail,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let append = (0..12_usize, 0..3_usize);
    let append = append.prop_map(|(delay, copies)| Event::Append { delay, copies });
    let read = (1..6_u64).prop_map(|limit| Event::Read { limit });
    vec(
        prop_oneof![6 => append, 1 => read, 1 => Just(Event::Tail)],
        0..120,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_frames_do_each_entry_passes_once_and_in_order(
        start in 0..20_u64,
        begins_at in 0..20_usize,
        is_log_known in any::<bool>(),
        events in events(),
    ) {
        let mut scene = Scene::new(Line::asking(8));
        let (mut tail, mut began) = (start, None);
        let mut on_the_way: Vec<(usize, u64)> = Vec::new();
        for (now, event) in events.iter().enumerate() {
            if now == begins_at && is_log_known {
                began = Some(tail);
                scene.begin(tail);
            }
            match *event {
                Event::Append { delay, copies } => {
                    tail += 1;
                    let arrivals = (0..copies).map(|copy| (now + delay * (copy + 1), tail));
                    on_the_way.extend(arrivals);
                }
                Event::Read { limit } => {
                    scene.read((1, tail), limit);
                }
                Event::Tail => scene.line.expect(tail),
            }
            let due: Vec<u64> = on_the_way.extract_if(.., |(at, _)| *at <= now).map(|(_, seq)| seq).collect();
            for seq in due {
                scene.offer(seq);
            }
        }
        let began = began.unwrap_or_else(|| { scene.begin(tail); scene.line.passed().unwrap() - scene.passed.len() as u64 });
        scene.line.expect(tail);
        while scene.read((1, tail), 3) {}
        let wanted: Vec<u64> = (began + 1..=tail).collect();
        assert_eq!(scene.passed, wanted);
    }
}
