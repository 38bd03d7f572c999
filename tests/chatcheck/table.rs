//! Shows outcomes: one table for people, the same as JSON for programs, and of what was broken the lines that show it.

use serde_json::{Value, json};

use crate::judge::{Breach, Breaches, Figures};
use crate::record::Line;
use crate::run::Outcome;

/// Of one breach.
const LINES_SHOWN: usize = 14;

const HEAD: [&str; 19] = [
    "row",
    "pair",
    "clients",
    "messages",
    "delivered",
    "lost",
    "doubled",
    "misord.",
    "broken",
    "cuts",
    "back p50",
    "back p99",
    "nacks",
    "wire dup.",
    "delay p99",
    "views",
    "wrong",
    "flaps",
    "gone p99",
];

/// The table, a line a row.
pub(crate) fn table(outcomes: &[Outcome]) -> String {
    let mut lines = vec![HEAD.map(str::to_owned).to_vec()];
    lines.extend(outcomes.iter().map(cells));
    let widths: Vec<usize> = (0..HEAD.len())
        .map(|column| {
            lines
                .iter()
                .map(|line| line[column].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for line in lines {
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let width = *width;
            // Names to the left, numbers to the right.
            let padded = if column < 2 {
                format!("{cell:<width$}  ")
            } else {
                format!("{cell:>width$}  ")
            };
            text.push_str(&padded);
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

fn cells(outcome: &Outcome) -> Vec<String> {
    let figures = &outcome.verdict.figures;
    let recovery = figures.recovery_micros;
    vec![
        outcome.row.to_owned(),
        outcome.pair.as_str().to_owned(),
        figures.clients.to_string(),
        figures.stored.to_string(),
        percent(figures),
        figures.lost.to_string(),
        figures.doubled.to_string(),
        figures.misordered.to_string(),
        broken(&outcome.verdict.breaches),
        figures.disconnects.to_string(),
        seconds(recovery.p50, recovery.count),
        seconds(recovery.p99, recovery.count),
        figures.nacks.to_string(),
        figures.wire_duplicates.to_string(),
        seconds(figures.delivery_micros.p99, figures.delivery_micros.count),
        figures.views.to_string(),
        figures.views_wrong.to_string(),
        figures.flaps.to_string(),
        seconds(figures.gone_micros.p99, figures.gone_micros.count),
    ]
}

/// Rounded down: 100 means all.
fn percent(figures: &Figures) -> String {
    let percent = (figures.delivered_percent() * 1000.0).floor() / 1000.0;
    format!("{percent}%")
}

fn broken(breaches: &Breaches) -> String {
    if breaches.is_empty() {
        return "-".to_owned();
    }
    let laws: Vec<String> = breaches.counts.keys().map(ToString::to_string).collect();
    laws.join(",")
}

fn seconds(micros: u64, count: u64) -> String {
    if count == 0 {
        return "-".to_owned();
    }
    let ms = micros / 1_000;
    if ms < 1_000 {
        format!("{ms} ms")
    } else {
        format!("{}.{} s", ms / 1_000, ms % 1_000 / 100)
    }
}

/// What was broken in one row: of each law the breach that the fewest lines show.
pub(crate) fn breaches(history: &[Line], breaches: &Breaches) -> String {
    let mut text = String::new();
    for (law, count) in &breaches.counts {
        let of_law = breaches.kept.iter().filter(|breach| breach.law == *law);
        let Some(smallest) = of_law.min_by_key(|breach| breach.lines.len()) else {
            continue;
        };
        show(&mut text, *count, smallest, history);
    }
    text
}

fn show(text: &mut String, count: u64, breach: &Breach, history: &[Line]) {
    let Breach { law, what, lines } = breach;
    text.push_str(&format!("  {law} broken {count} times, such as: {what}\n"));
    for index in lines.iter().take(LINES_SHOWN) {
        let line = history.get(*index).map(serde_json::to_string);
        let line = line.and_then(Result::ok).unwrap_or_default();
        text.push_str(&format!("    line {}: {line}\n", index + 1));
    }
}

/// Everything about all rows.
pub(crate) fn json(outcomes: &[Outcome], seed: u64, is_long: bool) -> Value {
    let rows: Vec<Value> = outcomes
        .iter()
        .map(|outcome| {
            let verdict = &outcome.verdict;
            let breaches = &verdict.breaches;
            let first: Vec<Value> = breaches
                .kept
                .iter()
                .map(|breach| {
                    let lines: Vec<&Line> = breach
                        .lines
                        .iter()
                        .filter_map(|at| outcome.history.get(*at))
                        .collect();
                    json!({ "law": breach.law, "what": breach.what, "lines": lines })
                })
                .collect();
            json!({
                "row": outcome.row,
                "pair": outcome.pair,
                "seconds": outcome.seconds,
                "figures": verdict.figures,
                "deliveredPercent": verdict.figures.delivered_percent(),
                "broken": breaches.counts,
                "breaches": first,
            })
        })
        .collect();
    json!({ "seed": seed, "long": is_long, "rows": rows })
}
