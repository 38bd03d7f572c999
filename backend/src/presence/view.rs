//! What the members of a room are told about who is there: changes, with some patience for those who come back at once.
//!
//! Decides from facts; the time is one of them. It does not know where the facts come from, and it may be given the same ones again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::People;

/// Who is shown in a room.
#[derive(Clone, Debug, Default)]
pub struct View {
    shown: BTreeMap<String, Shown>,
    is_begun: bool,
}

#[derive(Clone, Debug)]
struct Shown {
    name: String,
    /// Set while this user is not there: they are shown until the grace is over.
    gone_since: Option<Instant>,
}

/// What has changed since the last time, for those who watch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    pub joined: People,
    pub left: People,
}

impl Diff {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.joined.is_empty() && self.left.is_empty()
    }
}

impl View {
    /// Takes in who is there now. The first time nobody has joined: whoever watches learns the whole by another way.
    pub fn observe(&mut self, there: &People, grace: Duration, now: Instant) -> Diff {
        let mut diff = Diff::default();
        for (id, name) in there {
            let shown = Shown {
                name: name.clone(),
                gone_since: None,
            };
            if self.shown.insert(id.clone(), shown).is_none() && self.is_begun {
                diff.joined.insert(id.clone(), name.clone());
            }
        }
        self.is_begun = true;
        self.shown.retain(|id, shown| {
            if there.contains_key(id) {
                return true;
            }
            let gone_since = *shown.gone_since.get_or_insert(now);
            let is_shown = now.saturating_duration_since(gone_since) < grace;
            if !is_shown {
                diff.left.insert(id.clone(), shown.name.clone());
            }
            is_shown
        });
        diff
    }

    /// It could not be asked who is there: of these it is not known whether they are away any longer, so their grace begins again.
    pub fn hold(&mut self, is_held: impl Fn(&str) -> bool, now: Instant) {
        for (id, shown) in &mut self.shown {
            if shown.gone_since.is_some() && is_held(id) {
                shown.gone_since = Some(now);
            }
        }
    }

    /// When somebody's grace ends, if nobody comes back.
    #[must_use]
    pub fn next_end(&self, grace: Duration) -> Option<Instant> {
        let gone = self.shown.values().filter_map(|shown| shown.gone_since);
        gone.min().map(|gone_since| gone_since + grace)
    }

    #[must_use]
    pub fn is_begun(&self) -> bool {
        self.is_begun
    }

    #[must_use]
    pub fn contains(&self, user_id: &str) -> bool {
        self.shown.contains_key(user_id)
    }

    #[must_use]
    pub fn count(&self) -> usize {
        self.shown.len()
    }

    /// Up to `limit` people whose id comes after `after`, by id, and whether there are more.
    #[must_use]
    pub fn page(&self, after: Option<&str>, limit: usize) -> (Vec<(String, String)>, bool) {
        let from = match after {
            Some(after) => std::ops::Bound::Excluded(after),
            None => std::ops::Bound::Unbounded,
        };
        let mut rest = self
            .shown
            .range::<str, _>((from, std::ops::Bound::Unbounded));
        let page: Vec<_> = rest
            .by_ref()
            .take(limit)
            .map(|(id, shown)| (id.clone(), shown.name.clone()))
            .collect();
        let has_more = rest.next().is_some();
        (page, has_more)
    }
}

/// Everybody of several parts: a user of several has the name that the first part gives.
pub fn merge<'a>(parts: impl IntoIterator<Item = &'a People>) -> People {
    let mut all = People::new();
    for part in parts {
        for (id, name) in part {
            all.entry(id.clone()).or_insert_with(|| name.clone());
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::{Strategy, prop, prop_assert, prop_assert_eq, proptest};

    use super::*;
    use crate::clock;

    const GRACE: Duration = Duration::from_secs(8);

    fn people(ids: &[&str]) -> People {
        ids.iter()
            .map(|id| ((*id).to_owned(), format!("{id}'s name")))
            .collect()
    }

    fn ids(people: &People) -> Vec<&str> {
        people.keys().map(String::as_str).collect()
    }

    #[test]
    fn the_first_look_tells_nobody_anything() {
        let (mut view, now) = (View::default(), clock::monotonic());
        assert!(
            view.observe(&people(&["ann", "ben"]), GRACE, now)
                .is_empty()
        );
        let diff = view.observe(&people(&["ann", "ben", "cal"]), GRACE, now);
        assert_eq!((ids(&diff.joined), diff.left.len()), (vec!["cal"], 0));
        assert_eq!(view.count(), 3);
    }

    #[test]
    fn who_comes_back_in_time_was_never_away() {
        let (mut view, start) = (View::default(), clock::monotonic());
        let at = |seconds| start + Duration::from_secs(seconds);
        view.observe(&people(&["ann", "ben"]), GRACE, at(0));
        assert!(view.observe(&people(&["ann"]), GRACE, at(1)).is_empty());
        assert_eq!(view.next_end(GRACE), Some(at(9)));
        assert_eq!(view.count(), 2, "shown until the grace is over");
        assert!(
            view.observe(&people(&["ann", "ben"]), GRACE, at(8))
                .is_empty()
        );
        assert_eq!(view.next_end(GRACE), None);
        // The next absence begins anew.
        assert!(view.observe(&people(&["ann"]), GRACE, at(9)).is_empty());
        assert!(view.observe(&people(&["ann"]), GRACE, at(16)).is_empty());
        let diff = view.observe(&people(&["ann"]), GRACE, at(17));
        assert_eq!((ids(&diff.left), diff.joined.len()), (vec!["ben"], 0));
        assert_eq!(view.count(), 1);
    }

    #[test]
    fn nobody_is_gone_by_time_in_which_nobody_could_be_asked() {
        let (mut view, start) = (View::default(), clock::monotonic());
        let at = |seconds| start + Duration::from_secs(seconds);
        view.observe(&people(&["ann", "ben"]), GRACE, at(0));
        view.observe(&people(&[]), GRACE, at(1));
        view.hold(|id| id == "ann", at(10));
        let diff = view.observe(&people(&[]), GRACE, at(10));
        assert_eq!(ids(&diff.left), ["ben"]);
        assert_eq!(view.next_end(GRACE), Some(at(18)));
        assert!(view.observe(&people(&["ann"]), GRACE, at(11)).is_empty());
        view.hold(|_| true, at(12));
        assert_eq!(view.next_end(GRACE), None);
    }

    #[test]
    fn pages_make_the_whole() {
        let mut view = View::default();
        let names: Vec<String> = (0..25).map(|number| format!("{number:02}")).collect();
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        view.observe(&people(&all), GRACE, clock::monotonic());
        let (mut seen, mut after) = (Vec::new(), None::<String>);
        loop {
            let (page, has_more) = view.page(after.as_deref(), 10);
            seen.extend(page.iter().map(|(id, _)| id.clone()));
            after = seen.last().cloned();
            if !has_more {
                break;
            }
        }
        assert_eq!(seen, names);
    }

    fn some_people() -> impl Strategy<Value = People> {
        prop::collection::btree_map("[a-f]", "[x-z]", 0..6)
    }

    proptest! {
        /// Parts belong to different instances; whose comes first decides only about names.
        #[test]
        fn merging_commutes_and_repeats_safely(
            parts in prop::collection::vec(some_people(), 0..5),
            order in prop::collection::vec(0usize..5, 0..15),
        ) {
            let whole = merge(&parts);
            let everybody: BTreeSet<&String> = whole.keys().collect();
            // Some parts again, in any order, and all of them backwards.
            let again = order.iter().filter_map(|index| parts.get(*index));
            let mixed = merge(again.chain(parts.iter().rev()));
            prop_assert_eq!(mixed.keys().collect::<BTreeSet<_>>(), everybody);
            let repeated = merge(parts.iter().chain(&parts).chain([&whole]));
            prop_assert_eq!(repeated, whole);
        }

        /// Whatever is observed, and however often: who follows the changes sees what is shown, and nobody joins or leaves twice.
        #[test]
        fn following_the_changes_gives_what_is_shown(
            looks in prop::collection::vec((some_people(), 0u64..12), 1..40),
        ) {
            let (mut view, mut now) = (View::default(), clock::monotonic());
            let mut followed: BTreeSet<String> = looks[0].0.keys().cloned().collect();
            for (there, seconds) in looks {
                for _ in 0..2 {
                    let diff = view.observe(&there, GRACE, now);
                    for id in diff.joined.keys() {
                        prop_assert!(followed.insert(id.clone()), "{} joined twice", id);
                    }
                    for id in diff.left.keys() {
                        prop_assert!(followed.remove(id), "{} left twice", id);
                        prop_assert!(!there.contains_key(id));
                    }
                }
                let (shown, has_more) = view.page(None, usize::MAX);
                let shown: BTreeSet<String> = shown.into_iter().map(|(id, _)| id).collect();
                prop_assert!(!has_more);
                prop_assert_eq!(&shown, &followed);
                prop_assert!(there.keys().all(|id| shown.contains(id)));
                now += Duration::from_secs(seconds);
            }
        }
    }
}
