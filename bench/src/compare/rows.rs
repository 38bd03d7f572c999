//! The table's rows: what is measured, in what unit, and the goal.

use std::collections::BTreeMap;

use super::Samples;
use super::median::{median, median_of_ratios};
use super::proxies::Contender;
use super::results::{Judged, Seen};

/// Runs that give several rows at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Scenario {
    Http,
    HttpFull,
    WsSmall,
    WsLarge,
    WsIdle,
    HttpIdle,
    Latency,
    WsOpen,
    Tls,
}

impl Scenario {
    pub(super) const ALL: [Self; 9] = [
        Self::Http,
        Self::HttpFull,
        Self::WsSmall,
        Self::WsLarge,
        Self::WsIdle,
        Self::HttpIdle,
        Self::Latency,
        Self::WsOpen,
        Self::Tls,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::HttpFull => "http-full",
            Self::WsSmall => "ws-small",
            Self::WsLarge => "ws-large",
            Self::WsIdle => "ws-idle",
            Self::HttpIdle => "http-idle",
            Self::Latency => "latency",
            Self::WsOpen => "ws-open",
            Self::Tls => "tls",
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Goal {
    /// At most so much of what the other takes.
    Nginx(f64),
    Haproxy(f64),
    /// At most so much, whatever others do.
    AtMost(f64),
}

#[derive(Clone, Copy, Debug)]
enum Fold {
    Median,
    /// What must not happen in any round.
    Sum,
}

#[derive(Debug)]
pub(super) struct Row {
    pub(super) scenario: Scenario,
    /// Of the scenario's numbers; also the row's name.
    pub(super) id: &'static str,
    title: &'static str,
    unit: &'static str,
    goals: &'static [Goal],
    fold: Fold,
    /// Less is better. What is not, has no goal and no place in the chart.
    is_cost: bool,
}

const fn cost(
    scenario: Scenario,
    id: &'static str,
    title: &'static str,
    unit: &'static str,
    goals: &'static [Goal],
) -> Row {
    Row {
        scenario,
        id,
        title,
        unit,
        goals,
        fold: Fold::Median,
        is_cost: true,
    }
}

const fn gain(scenario: Scenario, id: &'static str, title: &'static str) -> Row {
    Row {
        is_cost: false,
        ..cost(scenario, id, title, "1/s", &[])
    }
}

pub(super) const ROWS: [Row; 20] = [
    cost(
        Scenario::Http,
        "http-cpu",
        "CPU per small request",
        "µs",
        &[Goal::Nginx(0.80), Goal::Haproxy(0.90)],
    ),
    gain(Scenario::Http, "http-rate", "small requests, saturated"),
    cost(
        Scenario::HttpFull,
        "http-full-cpu",
        "… with cookie, metrics, access log",
        "µs",
        &[Goal::Nginx(0.85)],
    ),
    cost(
        Scenario::WsSmall,
        "ws-small-cpu",
        "CPU per 100 B WebSocket message",
        "µs",
        &[Goal::Nginx(0.95)],
    ),
    gain(
        Scenario::WsSmall,
        "ws-small-rate",
        "100 B messages, saturated",
    ),
    cost(
        Scenario::WsLarge,
        "ws-large-cpu",
        "CPU per 64 KiB WebSocket message",
        "µs",
        &[Goal::Nginx(0.25)],
    ),
    cost(
        Scenario::WsIdle,
        "ws-idle-memory",
        "memory per idle WebSocket",
        "KiB",
        &[Goal::AtMost(2.0)],
    ),
    cost(
        Scenario::WsIdle,
        "ws-idle-memory-after",
        "… after 2 × 64 KiB on each",
        "KiB",
        &[Goal::AtMost(2.0)],
    ),
    cost(
        Scenario::WsIdle,
        "ws-idle-kept",
        "… kept by the process after all closed",
        "MiB",
        &[Goal::AtMost(30.0)],
    ),
    cost(
        Scenario::WsIdle,
        "ws-setup-cpu",
        "CPU per WebSocket set-up",
        "µs",
        &[Goal::Nginx(1.0)],
    ),
    cost(
        Scenario::HttpIdle,
        "http-idle-memory",
        "memory per idle keep-alive connection",
        "KiB",
        &[Goal::AtMost(1.5)],
    ),
    cost(
        Scenario::Latency,
        "latency-p50",
        "p50 at half of nginx's saturation",
        "µs",
        &[],
    ),
    cost(
        Scenario::Latency,
        "latency-p99",
        "p99",
        "µs",
        &[Goal::Nginx(1.0)],
    ),
    cost(Scenario::Latency, "latency-p99.9", "p99.9", "µs", &[]),
    Row {
        fold: Fold::Sum,
        ..cost(
            Scenario::WsOpen,
            "ws-open-opened",
            "fresh WebSockets opened",
            "",
            &[],
        )
    },
    Row {
        fold: Fold::Sum,
        ..cost(
            Scenario::WsOpen,
            "ws-open-lost",
            "… of them lost",
            "",
            &[Goal::AtMost(0.0)],
        )
    },
    gain(Scenario::WsOpen, "ws-open-rate", "… opened and closed"),
    cost(
        Scenario::WsOpen,
        "ws-open-cpu",
        "CPU per WebSocket opened and closed",
        "µs",
        &[],
    ),
    cost(
        Scenario::Tls,
        "tls-handshake-cpu",
        "CPU per TLS handshake with one request",
        "µs",
        &[Goal::Nginx(0.75)],
    ),
    cost(
        Scenario::Tls,
        "tls-request-cpu",
        "CPU per small request over TLS",
        "µs",
        &[Goal::Nginx(0.70)],
    ),
];

impl Row {
    pub(super) fn answers_to(&self, name: &str) -> bool {
        self.id == name || self.scenario.name() == name
    }

    pub(super) fn judge(&self, contenders: &[Contender], samples: &Samples) -> Judged {
        let of = |contender: Contender| {
            samples
                .get(&(contender, self.id))
                .map_or(&[][..], Vec::as_slice)
        };
        let ratio = |other: Contender| match self.fold {
            Fold::Median => median_of_ratios(of(Contender::Berth), of(other)),
            Fold::Sum => None,
        };
        let seen = contenders.iter().map(|contender| {
            let samples = of(*contender).to_vec();
            let value = match self.fold {
                Fold::Median => median(&samples),
                Fold::Sum => (!samples.is_empty()).then(|| samples.iter().sum()),
            };
            let to_nginx = median_of_ratios(&samples, of(Contender::Nginx));
            (
                contender.name(),
                Seen {
                    value,
                    to_nginx,
                    samples,
                },
            )
        });
        let seen: BTreeMap<_, _> = seen.collect();
        let berth = seen
            .get(Contender::Berth.name())
            .and_then(|seen| seen.value);
        let (to_nginx, to_haproxy) = (ratio(Contender::Nginx), ratio(Contender::Haproxy));
        Judged {
            id: self.id,
            title: self.title,
            unit: self.unit,
            is_cost: self.is_cost,
            goal: self
                .goals
                .iter()
                .map(|goal| goal.words(self.unit))
                .collect::<Vec<_>>()
                .join(", "),
            goal_to_nginx: self.goal_to_nginx(&seen),
            is_reached: reached(self.goals, berth, to_nginx, to_haproxy),
            to_nginx,
            to_haproxy,
            seen,
        }
    }
}

impl Row {
    /// Where the goal is, as a share of what nginx takes.
    fn goal_to_nginx(&self, seen: &BTreeMap<&'static str, Seen>) -> Option<f64> {
        let nginx = seen
            .get(Contender::Nginx.name())
            .and_then(|seen| seen.value)?;
        let shares = self.goals.iter().filter_map(|goal| match goal {
            Goal::Nginx(most) => Some(*most),
            Goal::AtMost(most) => (nginx > 0.0).then(|| most / nginx),
            Goal::Haproxy(_) => None,
        });
        shares.min_by(f64::total_cmp)
    }
}

impl Goal {
    fn words(&self, unit: &str) -> String {
        match self {
            Self::Nginx(most) => format!("≤ {most:.2} × nginx"),
            Self::Haproxy(most) => format!("≤ {most:.2} × haproxy"),
            Self::AtMost(most) => format!("≤ {most} {unit}").trim_end().to_owned(),
        }
    }
}

/// `None`: there is no goal, or not all that it needs was measured.
fn reached(
    goals: &[Goal],
    berth: Option<f64>,
    to_nginx: Option<f64>,
    to_haproxy: Option<f64>,
) -> Option<bool> {
    let mut all = None;
    for goal in goals {
        let is_reached = match goal {
            Goal::Nginx(most) => to_nginx? <= *most,
            Goal::Haproxy(most) => to_haproxy? <= *most,
            Goal::AtMost(most) => berth? <= *most,
        };
        all = Some(all.unwrap_or(true) && is_reached);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_reached_when_all_its_parts_are() {
        let goals = [Goal::Nginx(0.8), Goal::Haproxy(0.9)];
        assert_eq!(reached(&goals, None, Some(0.79), Some(0.9)), Some(true));
        assert_eq!(reached(&goals, None, Some(0.79), Some(0.91)), Some(false));
        assert_eq!(reached(&goals, None, Some(0.79), None), None);
        assert_eq!(
            reached(&[Goal::AtMost(0.0)], Some(0.0), None, None),
            Some(true)
        );
        assert_eq!(reached(&[], Some(1.0), Some(1.0), Some(1.0)), None);
    }

    #[test]
    fn losses_are_added_up_over_the_rounds() {
        let row = ROWS.iter().find(|row| row.id == "ws-open-lost").unwrap();
        let lost = |lost: &[f64]| {
            let samples = Samples::from([((Contender::Berth, "ws-open-lost"), lost.to_vec())]);
            row.judge(&[Contender::Berth], &samples).is_reached
        };
        assert_eq!(lost(&[0.0, 0.0, 0.0]), Some(true));
        assert_eq!(
            lost(&[0.0, 1.0, 0.0]),
            Some(false),
            "a median would hide it"
        );
    }

    #[test]
    fn names_are_said_once() {
        let mut names: Vec<&str> = ROWS.iter().map(|row| row.id).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ROWS.len());
    }
}
