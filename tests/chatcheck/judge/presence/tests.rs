//! Histories in which presence goes wrong on purpose, beside the same in which it does not.

use super::super::{Law, judge};
use super::{BREAK_MICROS, GONE_MICROS, SEEN_MICROS};
use crate::record::{ClientId, Did, Kind, Line, Person};

const SECOND: u64 = 1_000_000;
const ANN: ClientId = 0;
const BEN: ClientId = 1;
const CAL: ClientId = 2;

/// Everybody is who their number says.
#[derive(Default)]
struct Story(Vec<Line>);

impl Story {
    fn at(mut self, seconds: u64, client: ClientId, did: Did) -> Self {
        let micros = seconds * SECOND;
        let client = Some(client);
        self.0.push(Line {
            micros,
            client,
            did,
        });
        self
    }

    fn comes(self, seconds: u64, client: ClientId) -> Self {
        self.comes_by(seconds, client, false)
    }

    fn comes_by(self, seconds: u64, client: ClientId, polls: bool) -> Self {
        let up = Did::Up {
            kind: Kind::Good,
            instance: "one".into(),
            person: Person::from(client),
            polls,
        };
        let joined = Did::Joined {
            room: 0,
            from: 0,
            last: 0,
            epoch: "e".into(),
        };
        let after = None;
        self.at(seconds, client, up)
            .at(seconds, client, Did::Join { room: 0, after })
            .at(seconds, client, joined)
    }

    fn goes(self, seconds: u64, client: ClientId) -> Self {
        let why = "gone".into();
        self.at(seconds, client, Did::Down { why, chosen: true })
    }

    fn sees(self, seconds: u64, client: ClientId, people: &[ClientId]) -> Self {
        let present = Did::Present {
            room: 0,
            count: people.len() as u64,
            people: Some(people.iter().copied().map(Person::from).collect()),
            approximate: false,
        };
        self.at(seconds, client, present)
    }

    fn counts(self, seconds: u64, client: ClientId, count: u64) -> Self {
        let present = Did::Present {
            room: 0,
            count,
            people: None,
            approximate: false,
        };
        self.at(seconds, client, present)
    }

    fn hears(
        self,
        seconds: u64,
        client: ClientId,
        (joined, left, count): (&[ClientId], &[ClientId], u64),
    ) -> Self {
        let list = |people: &[ClientId]| people.iter().copied().map(Person::from).collect();
        let news = Did::Presence {
            room: 0,
            count,
            joined: list(joined),
            left: list(left),
            approximate: false,
        };
        self.at(seconds, client, news)
    }

    /// Signs of life, each second.
    fn lives(mut self, seconds: std::ops::Range<u64>, clients: &[ClientId]) -> Self {
        for second in seconds {
            for client in clients {
                self = self.at(second, *client, Did::CaughtUp);
            }
        }
        self
    }

    fn fault(mut self, seconds: u64) -> Self {
        let micros = seconds * SECOND;
        let did = Did::Fault {
            what: "kill -9".into(),
        };
        let client = None;
        self.0.push(Line {
            micros,
            client,
            did,
        });
        self
    }

    fn wrong(&self) -> (u64, u64, u64) {
        let verdict = judge(&self.0);
        let count = verdict.breaches.counts.get(&Law::I7).copied();
        let figures = verdict.figures;
        let wrong = figures.views_wrong + figures.flaps;
        assert_eq!(count.unwrap_or(0), wrong, "{:?}", verdict.breaches.kept);
        (figures.views, figures.views_wrong, figures.flaps)
    }
}

fn seconds(micros: u64) -> u64 {
    micros / SECOND
}

#[test]
fn who_is_there_must_be_seen_once_the_news_had_time() {
    let late = 1 + seconds(SEEN_MICROS);
    let story = || Story::default().comes(0, ANN).comes(1, BEN);
    assert_eq!(story().sees(late, ANN, &[ANN, BEN]).wrong(), (1, 0, 0));
    assert_eq!(story().sees(late, ANN, &[ANN]).wrong(), (1, 1, 0));
    assert_eq!(story().sees(late - 1, ANN, &[ANN]).wrong(), (1, 0, 0));
    // One who knows only how many there are must know that.
    assert_eq!(story().counts(late, ANN, 2).wrong(), (1, 0, 0));
    assert_eq!(story().counts(late, ANN, 1).wrong(), (1, 1, 0));
    assert_eq!(story().counts(late, ANN, 3).wrong(), (1, 1, 0));
}

#[test]
fn who_is_gone_must_be_gone_once_the_lease_and_the_grace_are_over() {
    let late = 10 + seconds(GONE_MICROS);
    let story = || {
        let story = Story::default().comes(0, ANN).comes(0, BEN);
        story.goes(10, BEN)
    };
    assert_eq!(story().sees(late, ANN, &[ANN]).wrong(), (1, 0, 0));
    assert_eq!(story().sees(late, ANN, &[ANN, BEN]).wrong(), (1, 1, 0));
    assert_eq!(story().sees(late - 1, ANN, &[ANN, BEN]).wrong(), (1, 0, 0));
    // Of one who polled, only the heartbeat tells that they are gone.
    let polled = Story::default().comes(0, ANN).comes_by(0, BEN, true);
    let polled = polled.goes(10, BEN).sees(late, ANN, &[ANN, BEN]);
    assert_eq!(polled.wrong(), (1, 0, 0));
    // Nobody of the row.
    assert_eq!(story().sees(12, ANN, &[ANN, BEN, 9]).wrong(), (1, 1, 0));
}

#[test]
fn news_are_followed_to_the_end() {
    let story = |news: (&[ClientId], &[ClientId], u64)| {
        let story = Story::default().comes(0, ANN).comes(0, BEN).comes(0, CAL);
        let story = story.sees(0, ANN, &[ANN, BEN]).hears(1, ANN, news);
        story.at(40, ANN, Did::End { is_up: true })
    };
    assert_eq!(story((&[CAL], &[], 3)).wrong(), (1, 0, 0));
    assert_eq!(story((&[], &[], 2)).wrong(), (1, 1, 0));
    // Where names and number do not fit, the number is judged.
    assert_eq!(story((&[], &[], 3)).wrong(), (1, 0, 0));
}

#[test]
fn news_between_a_question_and_its_answer_hold_beyond_the_answer() {
    let story = Story::default().comes(0, ANN).comes(0, BEN);
    let story = story.at(1, ANN, Did::Looks { room: 0 });
    let story = story.hears(1, ANN, (&[BEN], &[], 2)).sees(2, ANN, &[ANN]);
    let story = story.at(40, ANN, Did::End { is_up: true });
    assert_eq!(story.wrong(), (1, 0, 0));
}

#[test]
fn nothing_is_judged_before_ten_seconds_after_the_last_fault() {
    let story = |calm| {
        let story = Story::default().comes(0, ANN).comes(0, BEN).fault(calm);
        story.sees(40, ANN, &[ANN])
    };
    assert_eq!(story(31).wrong(), (0, 0, 0));
    assert_eq!(story(30).wrong(), (1, 1, 0));
}

#[test]
fn a_list_that_stays_approximate_is_wrong() {
    let present = Did::Present {
        room: 0,
        count: 1,
        people: Some(vec![Person::from(ANN)]),
        approximate: true,
    };
    let story = Story::default().comes(0, ANN).fault(1);
    assert_eq!(story.at(12, ANN, present).wrong(), (1, 1, 0));
}

#[test]
fn who_was_there_all_the_time_must_not_be_told_to_be_gone() {
    let away = |seconds: u64| {
        let story = Story::default().comes(0, ANN).comes(0, BEN);
        let story = story.lives(0..30, &[ANN, BEN]).goes(30, BEN);
        let story = story.comes(30 + seconds, BEN);
        let story = story.lives(30 + seconds..38, &[ANN, BEN]);
        story.fault(38).hears(38, ANN, (&[], &[BEN], 1))
    };
    assert_eq!(away(1).wrong().2, 1);
    assert_eq!(away(seconds(BREAK_MICROS) + 1).wrong().2, 0);
}

#[test]
fn a_frozen_person_may_be_told_to_be_gone() {
    let story = Story::default().comes(0, ANN).comes(0, BEN);
    let story = story.lives(0..10, &[ANN, BEN]).lives(10..30, &[ANN]);
    assert_eq!(story.hears(30, ANN, (&[], &[BEN], 1)).wrong().2, 0);
}

#[test]
fn departures_are_measured_until_they_are_told() {
    let story = Story::default().comes(0, ANN).comes(0, BEN).goes(5, BEN);
    let story = story.hears(14, ANN, (&[], &[BEN], 1));
    let gone = judge(&story.0).figures.gone_micros;
    assert_eq!((gone.count, gone.max), (1, 9 * SECOND));
}
