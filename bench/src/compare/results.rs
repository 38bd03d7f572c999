//! What was measured and where, as it is written to JSON.

use std::collections::BTreeMap;

use serde::Serialize;

#[derive(Debug, Serialize)]
pub struct Results {
    pub(super) machine: Machine,
    pub(super) command: String,
    pub(super) is_quick: bool,
    /// What was skipped, and what went wrong meanwhile.
    pub(super) notes: Vec<String>,
    pub(super) rows: Vec<Judged>,
}

impl Results {
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

/// A row with its numbers.
#[derive(Debug, Serialize)]
pub(super) struct Judged {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) unit: &'static str,
    pub(super) is_cost: bool,
    pub(super) goal: String,
    /// Where it is, as a share of what nginx takes.
    pub(super) goal_to_nginx: Option<f64>,
    pub(super) is_reached: Option<bool>,
    /// Berth's, the median of the rounds' ratios.
    pub(super) to_nginx: Option<f64>,
    pub(super) to_haproxy: Option<f64>,
    pub(super) seen: BTreeMap<&'static str, Seen>,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Seen {
    /// The median of the rounds, or their sum.
    pub(super) value: Option<f64>,
    pub(super) to_nginx: Option<f64>,
    pub(super) samples: Vec<f64>,
}
