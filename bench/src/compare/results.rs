//! What was measured and where, as it is written to JSON.

use std::collections::BTreeMap;

use serde::Serialize;

#[derive(Debug, Serialize)]
pub struct Results {
    pub(super) machine: Machine,
    pub(super) command: String,
    pub(super) is_quick: bool,
    /// Who was measured, Berth first.
    pub(super) columns: Vec<&'static str>,
    /// To whom Berth's ratios are, the reference first.
    pub(super) others: Vec<&'static str>,
    /// What was skipped, and what went wrong meanwhile.
    pub(super) notes: Vec<String>,
    pub(super) rows: Vec<Judged>,
}

impl Results {
    pub(super) fn reference(&self) -> &'static str {
        self.others.first().copied().unwrap_or_default()
    }

    #[must_use]
    pub fn to_json(&self) -> String {
        // Numbers, texts and maps with texts as keys always have a form in JSON.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Machine {
    pub(super) processor: String,
    pub(super) processors: usize,
    pub(super) memory_gib: f64,
    pub(super) kernel: String,
    /// Runnable tasks in the minute before. What is above 0 was in the way.
    pub(super) load_before: f64,
    pub(super) revision: String,
    pub(super) versions: BTreeMap<&'static str, String>,
}

/// Runnable tasks before the start above which somebody else was at work.
const LOAD_MAX: f64 = 0.7;

impl Machine {
    pub(super) fn is_busy(&self) -> Option<String> {
        let note = "the machine was busy: these numbers are not to be quoted";
        (self.load_before > LOAD_MAX).then(|| note.to_owned())
    }
}

/// A row with its numbers.
#[derive(Debug, Serialize)]
pub(super) struct Judged {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) unit: &'static str,
    pub(super) is_cost: bool,
    pub(super) goal: String,
    /// Where it is, as a share of what the reference takes.
    pub(super) goal_to_reference: Option<f64>,
    pub(super) is_reached: Option<bool>,
    /// Berth's to each other one, the median of the rounds' ratios.
    pub(super) ratios: BTreeMap<&'static str, f64>,
    pub(super) seen: BTreeMap<&'static str, Seen>,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Seen {
    /// The median of the rounds, or their sum.
    pub(super) value: Option<f64>,
    pub(super) to_reference: Option<f64>,
    pub(super) samples: Vec<f64>,
}
