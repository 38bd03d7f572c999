//! The results as a picture: what each costs, as a share of what the reference takes. Plain SVG, readable on light and dark pages.

use super::results::{Judged, Results};
use super::table::number;

const WIDTH: f64 = 760.0;
const TITLE_HEIGHT: f64 = 58.0;
const BAR_HEIGHT: f64 = 13.0;
const BAR_STEP: f64 = 15.0;
const GROUP_GAP: f64 = 12.0;
/// Where bars begin: to the left stand the rows' titles.
const LEFT: f64 = 290.0;
/// What the reference takes is so long.
const UNIT: f64 = 190.0;
/// Longer bars are cut, and their label says so.
const RATIO_MAX: f64 = 1.8;
const FOOT_HEIGHT: f64 = 34.0;

const STYLE: &str = "
  text { font: 12px system-ui, sans-serif; fill: #1f2328 }
  .title { font-size: 15px; font-weight: 600 }
  .small { font-size: 11px; fill: #59636e }
  .berth { fill: #0969da } .nginx { fill: #8c959f } .haproxy { fill: #b7bfc7 } .envoy { fill: #d1d9e0 }
  .node { fill: #8c959f }
  .floor { fill: none; stroke: #59636e; stroke-dasharray: 3 2 }
  .goal { stroke: #cf222e; stroke-width: 2 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .small { fill: #9198a1 }
    .berth { fill: #4493f8 } .nginx { fill: #7d8590 } .haproxy { fill: #57606a } .envoy { fill: #3d444d }
    .node { fill: #7d8590 } .floor { stroke: #9198a1 }
    .goal { stroke: #ff7b72 }
  }";

pub(super) fn chart(results: &Results) -> String {
    let (names, reference) = (&results.columns, results.reference());
    let rows = results.rows.iter();
    let rows: Vec<&Judged> = rows.filter(|row| has_place(row, reference)).collect();
    let mut top = TITLE_HEIGHT;
    let mut body = legend(names, reference);
    for row in &rows {
        body += &group(row, names, top);
        top += BAR_STEP * names.len() as f64 + GROUP_GAP;
    }
    let machine = &results.machine;
    let foot = format!(
        "{} × {}, kernel {}. {}",
        machine.processors, machine.processor, machine.kernel, results.command
    );
    let foot_at = top + 14.0;
    body += &format!(
        "<text class=\"small\" x=\"12\" y=\"{foot_at}\">{}</text>\n",
        escaped(&foot)
    );
    let height = top + FOOT_HEIGHT;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\" aria-label=\"What Berth and others cost, relative to {reference}\">\n<style>{STYLE}\n</style>\n{body}</svg>\n"
    )
}

/// Costs that are there for Berth and for the reference.
fn has_place(row: &Judged, reference: &str) -> bool {
    let ratio = row.ratios.get(reference);
    row.is_cost && ratio.is_some_and(|ratio| ratio.is_finite())
}

fn legend(names: &[&str], reference: &str) -> String {
    let title = format!("Cost relative to {reference}: shorter is better");
    let mut text = format!("<text class=\"title\" x=\"12\" y=\"22\">{title}</text>\n");
    let mut left = 12.0;
    for name in names {
        let word = left + 16.0;
        text += &format!(
            "<rect class=\"{name}\" x=\"{left}\" y=\"34\" width=\"11\" height=\"11\"/><text x=\"{word}\" y=\"44\">{name}</text>\n"
        );
        left += 80.0;
    }
    let (line, word) = (left + 5.0, left + 14.0);
    text += &format!("<line class=\"goal\" x1=\"{line}\" x2=\"{line}\" y1=\"33\" y2=\"47\"/>");
    text += &format!("<text x=\"{word}\" y=\"44\">Berth's goal</text>\n");
    text
}

fn group(row: &Judged, names: &[&str], top: f64) -> String {
    let baseline = top + BAR_HEIGHT - 2.0;
    let mut text = format!(
        "<text x=\"12\" y=\"{baseline}\">{}</text>\n",
        escaped(row.title)
    );
    if !row.goal.is_empty() {
        let below = baseline + BAR_STEP;
        let goal = format!("goal {}", row.goal);
        text += &format!(
            "<text class=\"small\" x=\"12\" y=\"{below}\">{}</text>\n",
            escaped(&goal)
        );
    }
    // One that is off the picture would say something else.
    let goal = row.goal_to_reference.filter(|goal| *goal <= RATIO_MAX);
    for (index, name) in names.iter().enumerate() {
        let seen = row.seen.get(name);
        let Some((value, ratio)) = seen.and_then(|seen| seen.value.zip(seen.to_reference)) else {
            continue;
        };
        let y = top + BAR_STEP * index as f64;
        let width = ratio.clamp(0.0, RATIO_MAX) * UNIT;
        // Words stand behind Berth's goal, not under it.
        let goal = goal.filter(|_| index == 0).unwrap_or_default() * UNIT;
        let (label_x, label_y) = (LEFT + width.max(goal) + 5.0, y + BAR_HEIGHT - 3.0);
        let is_cut = if ratio > RATIO_MAX { "→ " } else { "" };
        let label = format!("{is_cut}{} {} ({ratio:.2} ×)", number(value), row.unit);
        text += &format!(
            "<rect class=\"{name}\" x=\"{LEFT}\" y=\"{y}\" width=\"{width:.1}\" height=\"{BAR_HEIGHT}\"/>\
             <text class=\"small\" x=\"{label_x:.1}\" y=\"{label_y}\">{}</text>\n",
            escaped(&label)
        );
    }
    if let Some(goal) = goal {
        let x = LEFT + goal * UNIT;
        let (above, below) = (top - 2.0, top + BAR_HEIGHT + 2.0);
        text += &format!(
            "<line class=\"goal\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{above}\" y2=\"{below}\"/>\n"
        );
    }
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::results::{Machine, Seen};

    fn seen(value: f64) -> Seen {
        Seen {
            value: Some(value),
            to_reference: Some(value / 50.0),
            samples: vec![value],
        }
    }

    #[test]
    fn bars_are_as_long_as_the_share_of_nginx() {
        let row = Judged {
            id: "x",
            title: "CPU <per> request",
            unit: "µs",
            is_cost: true,
            goal: "≤ 0.80 × nginx".to_owned(),
            goal_to_reference: Some(0.8),
            is_reached: Some(true),
            ratios: [("nginx", 0.7)].into(),
            seen: [
                ("berth", seen(35.0)),
                ("nginx", seen(50.0)),
                ("envoy", seen(150.0)),
            ]
            .into(),
        };
        let picture = chart(&Results {
            machine: Machine::default(),
            command: "bench/run.sh".to_owned(),
            is_quick: false,
            columns: vec!["berth", "nginx", "envoy"],
            others: vec!["nginx"],
            notes: Vec::new(),
            rows: vec![row],
        });
        assert!(picture.contains(&format!(
            "class=\"berth\" x=\"{LEFT}\" y=\"{TITLE_HEIGHT}\" width=\"133.0\""
        )));
        assert!(picture.contains("width=\"342.0\""), "Envoy's bar is cut");
        assert!(picture.contains("→ 150 µs (3.00 ×)"));
        assert!(picture.contains("CPU &lt;per&gt; request"));
        assert_eq!(picture.matches("<rect").count(), 6);
        assert!(
            picture.contains("x1=\"442.0\""),
            "the goal, at 0.8 of nginx's bar"
        );
    }
}
