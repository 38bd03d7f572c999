//! The results as text, columns under columns.

use super::results::{Judged, Results};

/// What a cell says when there is nothing to say.
const NOTHING: &str = "-";

pub(super) fn table(results: &Results) -> String {
    let names = names(&results.rows);
    let mut lines = vec![header(&names)];
    lines.extend(results.rows.iter().map(|row| cells(row, &names)));
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

/// Of those who were measured, in the order in which they are shown.
pub(super) fn names(rows: &[Judged]) -> Vec<&'static str> {
    let order = ["berth", "nginx", "haproxy", "envoy"];
    let is_there = |name: &&str| rows.iter().any(|row| row.seen.contains_key(*name));
    order.into_iter().filter(is_there).collect()
}

fn header(names: &[&str]) -> Vec<String> {
    let start = ["what", "unit"].into_iter();
    let end = ["× nginx", "× haproxy", "goal", ""];
    start
        .chain(names.iter().copied())
        .chain(end)
        .map(str::to_owned)
        .collect()
}

fn cells(row: &Judged, names: &[&str]) -> Vec<String> {
    let mut cells = vec![row.title.to_owned(), row.unit.to_owned()];
    for name in names {
        let value = row.seen.get(name).and_then(|seen| seen.value);
        cells.push(value.map_or(NOTHING.to_owned(), number));
    }
    let ratio =
        |ratio: Option<f64>| ratio.map_or(NOTHING.to_owned(), |ratio| format!("{ratio:.2}"));
    cells.push(ratio(row.to_nginx));
    cells.push(ratio(row.to_haproxy));
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
    use crate::compare::results::Seen;

    fn row(title: &'static str, berth: f64, is_reached: Option<bool>) -> Judged {
        let seen = |value| Seen {
            value: Some(value),
            ..Seen::default()
        };
        Judged {
            id: "x",
            title,
            unit: "µs",
            is_cost: true,
            goal: "≤ 0.80 × nginx".to_owned(),
            goal_to_nginx: Some(0.8),
            is_reached,
            to_nginx: Some(berth / 50.0),
            to_haproxy: None,
            seen: [("berth", seen(berth)), ("nginx", seen(50.0))].into(),
        }
    }

    #[test]
    fn a_row_shows_values_ratios_and_whether_the_goal_is_reached() {
        let rows = vec![
            row("small", 35.04, Some(true)),
            row("a larger one", 60.0, Some(false)),
        ];
        let lines: Vec<Vec<String>> = rows.iter().map(|row| cells(row, &names(&rows))).collect();
        assert_eq!(
            lines[0],
            [
                "small",
                "µs",
                "35.0",
                "50",
                "0.70",
                "-",
                "≤ 0.80 × nginx",
                "reached"
            ]
        );
        assert_eq!(lines[1][7], "MISSED");
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
