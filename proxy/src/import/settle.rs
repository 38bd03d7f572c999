//! Lets `config` judge the draft and takes away what it refuses, so that the result always passes `check`.
//!
//! The reader of this version is the only one who knows what this version can do: the importer never has to be told.

use std::collections::BTreeMap;

use super::draft::Draft;
use super::note::{Notes, Origin};
use crate::config::{self, Problems};

/// # Errors
/// What is wrong if nothing can be taken away to make it right: nothing is left to pass requests to.
pub(super) fn settle(draft: &mut Draft, notes: &mut Notes) -> Result<(), Problems> {
    loop {
        let Err(problems) = config::judge_form("proxy.toml", &draft.text()) else {
            return Ok(());
        };
        // One directive may have become several keys; what is said of them is said together, in their order.
        let mut refused: BTreeMap<Origin, Vec<String>> = BTreeMap::new();
        // From the end, so that the places of list items stay what they were.
        for problem in problems.iter().rev() {
            if let Some(origin) = draft.remove(&problem.key) {
                let key = problem.key.rsplit('.').next().unwrap_or_default();
                let said = format!("{key}: {}", problem.message);
                refused.entry(origin).or_default().insert(0, said);
            }
        }
        if refused.is_empty() {
            return Err(problems);
        }
        for (origin, mut said) in refused {
            // The first key of a directive says it all when its companions are unknown with it.
            let mut is_first = true;
            said.retain(|message| {
                std::mem::take(&mut is_first) || !message.contains(": is an unknown key")
            });
            notes.changes(origin, format!("left out: {}", said.join("; ")));
        }
    }
}
