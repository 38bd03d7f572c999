//! The results as text, columns under columns.

use super::results::{Judged, Results};

/// What a cell says when there is nothing to say.
const NOTHING: &str = "-";
/// Stands behind the ratios: it is none of those who are compared.
pub(super) const FLOOR: &str = "floor";

pub(super) fn table(results: &Results) -> String {
    let mut lines = vec![header(results)];
    lines.extend(results.rows.iter().map(|row| cells(row, results)));
    let mut text = aligned(&lines);
    let machine = &results.machine;
    text += &format!(
        "\nMedians; ratios are medians of the rounds' ratios. {} × {}, kernel {}, load before {:.2}.\n",
        machine.processors, machine.processor, machine.kernel, machine.load_before
    );
    for (name, version) in &machine.versions {
        text += &format!("  {name}: {version}\n");
    }
    for note in &results.notes {
        text += &format!("note: {note}\n");
    }
    text
}

fn header(results: &Results) -> Vec<String> {
    let mut header = vec!["what".to_owned(), "unit".to_owned()];
    header.extend(compared(results).map(str::to_owned));
    header.extend(results.others.iter().map(|other| format!("× {other}")));
    if results.columns.contains(&FLOOR) {
        header.push(FLOOR.to_owned());
        header.push(format!("floor × {}", results.reference()));
    }
    header.extend(["goal".to_owned(), String::new()]);
    header
}

fn compared(results: &Results) -> impl Iterator<Item = &'static str> {
    let columns = results.columns.iter().copied();
    columns.filter(|name| *name != FLOOR)
}

fn cells(row: &Judged, results: &Results) -> Vec<String> {
    let mut cells = vec![row.title.to_owned(), row.unit.to_owned()];
    let value = |name: &str| {
        let value = row.seen.get(name).and_then(|seen| seen.value);
        value.map_or(NOTHING.to_owned(), number)
    };
    let ratio =
        |ratio: Option<f64>| ratio.map_or(NOTHING.to_owned(), |ratio| format!("{ratio:.2}"));
    cells.extend(compared(results).map(value));
    let others = results.others.iter();
    cells.extend(others.map(|other| ratio(row.ratios.get(other).copied())));
    if results.columns.contains(&FLOOR) {
        let floor = row.seen.get(FLOOR).and_then(|floor| floor.to_reference);
        cells.extend([value(FLOOR), ratio(floor)]);
    }
    cells.push(row.goal.clone());
    let mark = match (row.is_reached, row.goal.is_empty()) {
        (Some(true), _) => "reached",
        (Some(false), _) => "MISSED",
        (None, false) => "unknown",
        (None, true) => "",
    };
    cells.push(mark.to_owned());
    cells
}

/// Three digits, but whole numbers whole.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Texts to the left, numbers to the right.
fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for line in lines {
        let mut padded = String::new();
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let space = " ".repeat(width - cell.chars().count());
            let is_text = column < 2 || column + 2 >= columns;
            padded += &if is_text {
                format!("{cell}{space}  ")
            } else {
                format!("{space}{cell}  ")
            };
        }
        text += padded.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::results::{Machine, Seen};

    fn row(title: &'static str, berth: f64, is_reached: Option<bool>) -> Judged {
        let seen = |value| Seen {
            value: Some(value),
            to_reference: Some(value / 50.0),
            samples: vec![value],
        };
        Judged {
            id: "x",
            title,
            unit: "µs",
            is_cost: true,
            goal: "≤ 0.80 × nginx".to_owned(),
            goal_to_reference: Some(0.8),
            is_reached,
            ratios: [("nginx", berth / 50.0)].into(),
            seen: [
                ("berth", seen(berth)),
                ("nginx", seen(50.0)),
                ("floor", seen(30.0)),
            ]
            .into(),
        }
    }

    #[test]
    fn a_row_shows_values_ratios_and_whether_the_goal_is_reached() {
        let rows = [
            row("small", 35.04, Some(true)),
            row("a larger one", 60.0, Some(false)),
        ];
        let results = Results {
            machine: Machine::default(),
            command: String::new(),
            is_quick: false,
            columns: vec!["berth", "nginx", "floor"],
            others: vec!["nginx", "haproxy"],
            notes: Vec::new(),
            rows: Vec::new(),
        };
        let lines: Vec<Vec<String>> = rows.iter().map(|row| cells(row, &results)).collect();
        assert_eq!(
            lines[0],
            [
                "small",
                "µs",
                "35.0",
                "50",
                "0.70",
                "-",
                "30",
                "0.60",
                "≤ 0.80 × nginx",
                "reached"
            ]
        );
        assert_eq!(lines[1][9], "MISSED");
        let text = aligned(&lines);
        let columns: Vec<Option<usize>> = text.lines().map(|line| line.find("≤")).collect();
        assert_eq!(columns[0], columns[1], "{text}");
    }

    #[test]
    fn numbers_have_three_digits() {
        assert_eq!(number(22_480.4), "22480");
        assert_eq!(number(43.14), "43.1");
        assert_eq!(number(1.867), "1.87");
        assert_eq!(number(0.0), "0");
    }
}
