//! What a client knows of who is in one room: an answer, and what it was told since it asked.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::record::{Did, Person, RoomId, person};

/// Between two questions about one room.
const LOOK_PAUSE_MICROS: u64 = 1_000_000;
/// In larger rooms one hears how many there are, and no names.
const NAMED_MAX: u64 = 200;
/// Pages of names that a client reads before it is content with the number.
const PAGES_MAX: usize = 5;

/// Who came and who went.
#[derive(Clone, Debug, Default)]
struct News {
    joined: Vec<Person>,
    left: Vec<Person>,
}

/// How many, and the same for the same people, so that it can be compared at a glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digest {
    pub(crate) count: u64,
    /// All of them together; nothing when only their number is known.
    pub(crate) mix: Option<u64>,
}

#[derive(Debug, Default)]
pub(super) struct Company {
    people: BTreeSet<Person>,
    /// As the server says; nothing before it has.
    count: Option<u64>,
    /// While an answer is awaited: the pages that have come, and the news since the question, which may be newer than the answer.
    pages: Vec<Person>,
    page_count: usize,
    news: Option<Vec<News>>,
    look_at: Option<u64>,
}

impl Company {
    /// A question is on its way.
    pub(super) fn ask(&mut self, now: u64) {
        (self.pages, self.page_count) = (Vec::new(), 0);
        self.news = Some(Vec::new());
        self.look_at = Some(now + LOOK_PAUSE_MICROS);
    }

    /// No answer will come.
    pub(super) fn lost(&mut self) {
        *self = Self::default();
    }

    pub(super) fn is_asking(&self) -> bool {
        self.news.is_some()
    }

    /// When to ask, if that would help.
    pub(super) fn look_at(&self) -> Option<u64> {
        let is_known = match self.count {
            None => false,
            Some(count) => count > NAMED_MAX || count == self.people.len() as u64,
        };
        (!is_known && !self.is_asking()).then(|| self.look_at.unwrap_or(0))
    }

    /// A page came. Answers what is known now, or, when more is to be read, where the next page begins.
    pub(super) fn answered(
        &mut self,
        room: RoomId,
        body: &Value,
        reads_on: bool,
    ) -> Result<Did, String> {
        let users = list(&body["users"]);
        self.pages.extend(users);
        self.page_count += 1;
        let count = body["count"].as_u64().unwrap_or(0);
        if let Some(cursor) = body["cursor"].as_str()
            && reads_on
            && self.page_count < PAGES_MAX
        {
            return Err(cursor.to_owned());
        }
        let asked: BTreeSet<Person> = std::mem::take(&mut self.pages).into_iter().collect();
        let is_whole = asked.len() as u64 == count;
        let people = is_whole.then(|| asked.iter().copied().collect());
        (self.people, self.count) = (asked, Some(count));
        for news in self.news.take().unwrap_or_default() {
            self.apply(&news);
        }
        Ok(Did::Present {
            room,
            count,
            people,
            approximate: body["approximate"] == true,
        })
    }

    /// The question came to nothing.
    pub(super) fn unanswered(&mut self) {
        self.news = None;
    }

    pub(super) fn heard(&mut self, room: RoomId, body: &Value) -> Did {
        let news = News {
            joined: list(&body["joined"]),
            left: list(&body["left"]),
        };
        self.apply(&news);
        let count = body["count"].as_u64().unwrap_or(0);
        self.count = self.count.and(Some(count));
        if let Some(later) = &mut self.news {
            later.push(news.clone());
        }
        let News { joined, left } = news;
        Did::Presence {
            room,
            count,
            joined,
            left,
            approximate: body["approximate"] == true,
        }
    }

    fn apply(&mut self, news: &News) {
        self.people.extend(&news.joined);
        for person in &news.left {
            self.people.remove(person);
        }
    }

    pub(super) fn digest(&self) -> Option<Digest> {
        let count = self.count?;
        let is_named = count <= NAMED_MAX;
        Some(Digest {
            count,
            mix: is_named.then(|| mix(&self.people)),
        })
    }
}

/// Of everybody in a room.
pub(crate) fn digest(people: &BTreeSet<Person>) -> Digest {
    let count = people.len() as u64;
    let mix = (count <= NAMED_MAX).then(|| mix(people));
    Digest { count, mix }
}

fn mix(people: &BTreeSet<Person>) -> u64 {
    people.iter().fold(0, |mix, person| mix ^ person)
}

fn list(people: &Value) -> Vec<Person> {
    let people = people.as_array().map_or(&[][..], Vec::as_slice);
    let ids = people.iter().filter_map(|one| one["id"].as_str());
    ids.map(person).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn users(ids: &[&str]) -> Value {
        ids.iter().map(|id| json!({ "id": id })).collect()
    }

    fn people(ids: &[&str]) -> BTreeSet<Person> {
        ids.iter().map(|id| person(id)).collect()
    }

    fn news(joined: &[&str], left: &[&str], count: u64) -> Value {
        json!({ "joined": users(joined), "left": users(left), "count": count })
    }

    #[test]
    fn news_that_come_before_an_answer_hold_beyond_it() {
        let mut company = Company::default();
        assert_eq!(company.look_at(), Some(0));
        company.ask(0);
        company.heard(0, &news(&["cal"], &["ben"], 2));
        // The answer was made before.
        let body = json!({ "count": 2, "users": users(&["ann", "ben"]) });
        assert!(company.answered(0, &body, true).is_ok());
        assert_eq!(company.digest(), Some(digest(&people(&["ann", "cal"]))));
        company.heard(0, &news(&[], &["cal"], 1));
        assert_eq!(company.digest(), Some(digest(&people(&["ann"]))));
        assert_eq!(company.look_at(), None);
    }

    #[test]
    fn a_number_that_does_not_fit_makes_it_ask_again_and_pages_make_the_whole() {
        let mut company = Company::default();
        company.ask(0);
        let body = json!({ "count": 1, "users": users(&["ann"]) });
        assert!(company.answered(0, &body, true).is_ok());
        company.heard(0, &news(&[], &[], 3));
        assert_eq!(company.look_at(), Some(LOOK_PAUSE_MICROS));
        company.ask(5_000_000);
        let first = json!({ "count": 3, "users": users(&["ann", "ben"]), "cursor": "ben" });
        assert_eq!(company.answered(0, &first, true), Err("ben".to_owned()));
        let second = json!({ "count": 3, "users": users(&["cal"]) });
        let Ok(Did::Present {
            people: Some(all), ..
        }) = company.answered(0, &second, true)
        else {
            panic!("everybody")
        };
        assert_eq!(all.len(), 3);
        assert_eq!(company.look_at(), None);
    }
}
