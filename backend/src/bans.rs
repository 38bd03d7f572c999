//! Who is shut out of this system altogether, as far as this instance knows.
//!
//! The users' keeper has the list; here it is at hand, so that a storm of handshakes asks nobody. It is renewed twice a minute, and a word
//! from the bus adds to it at once.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::chat::refusal::{Code, Refusal};

#[derive(Debug, Default)]
pub struct Bans(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    banned: HashSet<String>,
    /// Goes up with every change: a list that was asked for before it does not take it back.
    changes: u64,
}

impl Bans {
    /// # Errors
    /// `BANNED`.
    pub fn check(&self, user_id: &str) -> Result<(), Refusal> {
        if self.state().banned.contains(user_id) {
            return Err(Refusal::new(Code::Banned, "you are shut out"));
        }
        Ok(())
    }

    pub fn set(&self, user_id: &str, is_banned: bool) {
        let mut state = self.state();
        state.changes += 1;
        if is_banned {
            state.banned.insert(user_id.to_owned());
        } else {
            state.banned.remove(user_id);
        }
    }

    /// To be had before the list is asked for.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.state().changes
    }

    /// Takes over a list that was asked for as of `changes`, and answers who is new in it.
    pub fn renew(&self, list: Vec<String>, changes: u64) -> Vec<String> {
        let mut state = self.state();
        let listed: HashSet<String> = list.into_iter().collect();
        let new = listed.difference(&state.banned).cloned().collect();
        if state.changes == changes {
            state.banned = listed;
            return new;
        }
        // Somebody was shut out or let in meanwhile; the next list knows.
        Vec::new()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_taken_over_and_its_news_told() {
        let bans = Bans::default();
        bans.set("ann", true);
        let asked = bans.changes();
        let new = bans.renew(vec!["ann".to_owned(), "bob".to_owned()], asked);
        assert_eq!(new, ["bob"]);
        assert!(bans.check("ann").is_err() && bans.check("bob").is_err());
        assert!(
            bans.renew(vec!["ann".to_owned()], bans.changes())
                .is_empty()
        );
        assert!(bans.check("bob").is_ok());
    }

    #[test]
    fn what_happened_while_the_list_was_read_counts_more() {
        let bans = Bans::default();
        let asked = bans.changes();
        bans.set("ann", true);
        assert!(bans.renew(Vec::new(), asked).is_empty());
        assert!(bans.check("ann").is_err());
    }
}
