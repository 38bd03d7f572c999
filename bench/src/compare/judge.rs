//! What a row of the table is: what is measured, in what unit, the goal, and how the rounds' numbers become one verdict.

use std::collections::BTreeMap;

use super::Samples;
use super::median::{median, median_of_ratios};
use super::results::{Judged, Seen};

#[derive(Clone, Copy, Debug)]
pub(super) enum Goal {
    /// At most so much of what this other one takes.
    Share(&'static str, f64),
    /// At most so much, whatever others do.
    AtMost(f64),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Fold {
    Median,
    /// What must not happen in any round.
    Sum,
}

#[derive(Debug)]
pub(super) struct Row {
    /// The name of the run that gives it, with others.
    pub(super) group: &'static str,
    /// Of the run's numbers; also the row's name.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) unit: &'static str,
    pub(super) goals: &'static [Goal],
    pub(super) fold: Fold,
    /// Less is better. What is not, has no goal and no place in the chart.
    pub(super) is_cost: bool,
}

pub(super) const fn cost(
    group: &'static str,
    id: &'static str,
    title: &'static str,
    unit: &'static str,
    goals: &'static [Goal],
) -> Row {
    Row {
        group,
        id,
        title,
        unit,
        goals,
        fold: Fold::Median,
        is_cost: true,
    }
}

pub(super) const fn gain(group: &'static str, id: &'static str, title: &'static str) -> Row {
    Row {
        is_cost: false,
        ..cost(group, id, title, "1/s", &[])
    }
}

/// Whom a comparison is about.
pub(super) struct Field<'a> {
    /// All that were measured, Berth first.
    pub(super) columns: &'a [&'static str],
    /// To whom Berth's ratios are, the reference first.
    pub(super) others: &'a [&'static str],
}

pub(super) const BERTH: &str = "berth";

impl Row {
    pub(super) fn answers_to(&self, name: &str) -> bool {
        self.id == name || self.group == name
    }

    pub(super) fn judge(&self, field: &Field<'_>, samples: &Samples) -> Judged {
        let of = |who: &'static str| samples.get(&(who, self.id)).map_or(&[][..], Vec::as_slice);
        let reference = field.others.first().copied().unwrap_or_default();
        let ratio = |one: &[f64], other: &'static str| match self.fold {
            Fold::Median => median_of_ratios(one, of(other)),
            Fold::Sum => None,
        };
        let seen = field.columns.iter().map(|who| {
            let samples = of(who).to_vec();
            let value = match self.fold {
                Fold::Median => median(&samples),
                Fold::Sum => (!samples.is_empty()).then(|| samples.iter().sum()),
            };
            let seen = Seen {
                value,
                to_reference: median_of_ratios(&samples, of(reference)),
                samples,
            };
            (*who, seen)
        });
        let seen: BTreeMap<_, _> = seen.collect();
        let value = |who: &str| seen.get(who).and_then(|seen| seen.value);
        let ratios = field.others.iter();
        let ratios = ratios.filter_map(|other| Some((*other, ratio(of(BERTH), other)?)));
        let ratios: BTreeMap<_, _> = ratios.collect();
        let words = self.goals.iter().map(|goal| goal.words(self.unit));
        Judged {
            id: self.id,
            title: self.title,
            unit: self.unit,
            is_cost: self.is_cost,
            goal: words.collect::<Vec<_>>().join(", "),
            goal_to_reference: self.goal_to(reference, value(reference)),
            is_reached: reached(self.goals, value(BERTH), &ratios),
            ratios,
            seen,
        }
    }

    /// Where the goal is, as a share of what the reference takes.
    fn goal_to(&self, reference: &str, takes: Option<f64>) -> Option<f64> {
        let takes = takes?;
        let shares = self.goals.iter().filter_map(|goal| match goal {
            Goal::Share(other, most) => (*other == reference).then_some(*most),
            Goal::AtMost(most) => (takes > 0.0).then(|| most / takes),
        });
        shares.min_by(f64::total_cmp)
    }
}

impl Goal {
    fn words(&self, unit: &str) -> String {
        match self {
            Self::Share(other, most) => format!("≤ {most:.2} × {other}"),
            Self::AtMost(most) => format!("≤ {most} {unit}").trim_end().to_owned(),
        }
    }
}

/// `None`: there is no goal, or not all that it needs was measured.
fn reached(
    goals: &[Goal],
    berth: Option<f64>,
    ratios: &BTreeMap<&'static str, f64>,
) -> Option<bool> {
    let mut all = None;
    for goal in goals {
        let is_reached = match goal {
            Goal::Share(other, most) => ratios.get(other)? <= most,
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
        let goals = [Goal::Share("nginx", 0.8), Goal::Share("haproxy", 0.9)];
        let both = |nginx, haproxy| BTreeMap::from([("nginx", nginx), ("haproxy", haproxy)]);
        assert_eq!(reached(&goals, None, &both(0.79, 0.9)), Some(true));
        assert_eq!(reached(&goals, None, &both(0.79, 0.91)), Some(false));
        let one = BTreeMap::from([("nginx", 0.79)]);
        assert_eq!(reached(&goals, None, &one), None);
        let none = BTreeMap::new();
        assert_eq!(reached(&[Goal::AtMost(0.0)], Some(0.0), &none), Some(true));
        assert_eq!(reached(&[], Some(1.0), &one), None);
    }

    #[test]
    fn losses_are_added_up_over_the_rounds() {
        let row = Row {
            fold: Fold::Sum,
            ..cost("open", "lost", "lost", "", &[Goal::AtMost(0.0)])
        };
        let field = Field {
            columns: &[BERTH],
            others: &[],
        };
        let lost = |lost: &[f64]| {
            let samples = Samples::from([((BERTH, "lost"), lost.to_vec())]);
            row.judge(&field, &samples).is_reached
        };
        assert_eq!(lost(&[0.0, 0.0, 0.0]), Some(true));
        assert_eq!(
            lost(&[0.0, 1.0, 0.0]),
            Some(false),
            "a median would hide it"
        );
    }
}
