//! Messages by their words: the terms of `chat::search`, kept beside the log in the transactions that write it.
//!
//! `search_places` numbers the messages in the order in which they came (the table's own row numbers may change), and `search_words` has the
//! terms under these numbers: an FTS5 index without a copy of the texts. A room's name is a term as well, so that a search in one room
//! does not walk through all others.

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use super::row;
use crate::chat::message::{Entry, Message};
use crate::chat::room::RoomId;
use crate::chat::search::{Needle, Query, terms};
use crate::sqlite::SqliteError;
use crate::store::{Found, Search, SearchMark};

/// Terms are letters and digits in lower case with spaces between: the tokenizer has nothing to decide. FTS5 alone knows the words' rows.
pub(super) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS search_places (
    number  INTEGER PRIMARY KEY,
    of_room TEXT    NOT NULL,
    of_seq  INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS search_places_once ON search_places (of_room, of_seq);
CREATE VIRTUAL TABLE IF NOT EXISTS search_words USING fts5 (
    room, words, content = '', contentless_delete = 1, detail = column, tokenize = 'ascii'
);
";

/// Messages of an older file that are taken up in one transaction: some milliseconds, in which nobody else can write.
const TAKEN_UP_AT_ONCE: i64 = 500;

/// How far that has come, in `meta`: what lies in rows below is still to be taken up, and 0 says that nothing is.
const BELOW: &str = "search_below";

/// Messages that one question looks at, found or not.
const EXAMINED_MAX: u32 = 2_000;

/// Keeps the terms of a new message.
pub(super) fn add(transaction: &Transaction<'_>, message: &Message) -> Result<(), SqliteError> {
    let Entry::Message { content, .. } = &message.entry else {
        return Ok(());
    };
    transaction
        .prepare_cached("INSERT INTO search_places (of_room, of_seq) VALUES (?1, ?2)")?
        .execute(params![message.room.as_str(), row::cursor(message.seq)])?;
    let number = transaction.last_insert_rowid();
    add_words(transaction, number, message.room.as_str(), content)
}

/// Keeps the terms that a message has after a change; a deleted one has none.
pub(super) fn renew(transaction: &Transaction<'_>, message: &Message) -> Result<(), SqliteError> {
    let number: Option<i64> = transaction
        .prepare_cached("SELECT number FROM search_places WHERE of_room = ?1 AND of_seq = ?2")?
        .query_row(
            params![message.room.as_str(), row::cursor(message.seq)],
            |line| line.get(0),
        )
        .optional()?;
    let Some(number) = number else {
        return Ok(());
    };
    transaction
        .prepare_cached("DELETE FROM search_words WHERE rowid = ?1")?
        .execute([number])?;
    add_words(
        transaction,
        number,
        message.room.as_str(),
        message.entry.text(),
    )
}

fn add_words(
    transaction: &Transaction<'_>,
    number: i64,
    room: &str,
    content: &str,
) -> Result<(), SqliteError> {
    let terms: Vec<String> = terms(content).into_iter().collect();
    if terms.is_empty() {
        return Ok(());
    }
    transaction
        .prepare_cached("INSERT INTO search_words (rowid, room, words) VALUES (?1, ?2, ?3)")?
        .execute(params![number, room_term(room), terms.join(" ")])?;
    Ok(())
}

/// A room's name in letters and digits.
fn room_term(room: &str) -> String {
    room.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// Notes what is to be taken up, in a file that was written before there was a search.
pub(super) fn begin_taking_up(transaction: &Transaction<'_>) -> Result<(), SqliteError> {
    let begun = transaction.execute(
        "INSERT INTO meta (key, value) SELECT ?1, max(rowid) + 1 FROM messages
         WHERE NOT EXISTS (SELECT 1 FROM search_places) HAVING max(rowid) IS NOT NULL
         ON CONFLICT (key) DO NOTHING",
        [BELOW],
    )?;
    if begun == 1 {
        tracing::info!("messages are taken up for searching; this happens once");
    }
    Ok(())
}

/// Takes up the next ones, from the newest back. Whatever was committed is not done again. False: that was all.
///
/// A message gets the number of its row. New ones have higher numbers, so the newest are found first all the while.
pub(super) fn take_up(transaction: &Transaction<'_>) -> Result<bool, SqliteError> {
    let below: Option<i64> = transaction
        .prepare_cached("SELECT CAST(value AS INTEGER) FROM meta WHERE key = ?1")?
        .query_row([BELOW], |line| line.get(0))
        .optional()?;
    let Some(below) = below.filter(|below| *below > 0) else {
        return Ok(false);
    };
    let mut rows = transaction
        .prepare_cached(
            "SELECT rowid, room_id, seq, content, kind = 'message' FROM messages
             WHERE rowid < ?1 ORDER BY rowid DESC LIMIT ?2",
        )?
        .query_map([below, TAKEN_UP_AT_ONCE], Older::read)?
        .collect::<Result<Vec<_>, _>>()?;
    // In the order of their numbers FTS5 writes them all at once, and else one by one.
    rows.reverse();
    let lowest = rows.first().map_or(0, |older| older.number);
    for older in rows.into_iter().filter(|older| older.is_message) {
        older.take_up(transaction)?;
    }
    transaction
        .prepare_cached("UPDATE meta SET value = ?2 WHERE key = ?1")?
        .execute(params![BELOW, lowest])?;
    Ok(lowest > 0)
}

/// An entry from before there was a search.
struct Older {
    number: i64,
    room: String,
    seq: i64,
    content: String,
    is_message: bool,
}

impl Older {
    fn read(line: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            number: line.get(0)?,
            room: line.get(1)?,
            seq: line.get(2)?,
            content: line.get(3)?,
            is_message: line.get(4)?,
        })
    }

    fn take_up(&self, transaction: &Transaction<'_>) -> Result<(), SqliteError> {
        let is_new = transaction
            .prepare_cached(
                "INSERT OR IGNORE INTO search_places (number, of_room, of_seq) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![self.number, self.room, self.seq])?;
        if is_new == 1 {
            add_words(transaction, self.number, &self.room, &self.content)?;
        }
        Ok(())
    }
}

/// The newest first.
pub(super) fn search(connection: &mut Connection, search: &Search) -> Result<Found, SqliteError> {
    let snapshot = connection.transaction()?;
    let found = examine(&snapshot, search)?;
    snapshot.commit()?;
    Ok(found)
}

fn examine(snapshot: &Transaction<'_>, search: &Search) -> Result<Found, SqliteError> {
    let sql = format!(
        "SELECT {}, number, of_room
         FROM search_words AS index_
           JOIN search_places ON number = index_.rowid
           JOIN messages ON room_id = of_room AND messages.seq = of_seq
         WHERE search_words MATCH ?1 AND index_.rowid < ?2
         ORDER BY index_.rowid DESC LIMIT ?3",
        row::COLUMNS
    );
    let before = search.before.map_or(i64::MAX, |SearchMark(number)| {
        i64::try_from(number).unwrap_or(i64::MAX)
    });
    let question = question(&search.query, search.room.as_ref());
    let mut statement = snapshot.prepare_cached(&sql)?;
    let mut lines = statement.query(params![question, before, EXAMINED_MAX])?;
    let (mut messages, mut examined, mut last) = (Vec::new(), 0, None);
    let wanted = usize::try_from(search.limit.max(1)).unwrap_or(usize::MAX);
    while messages.len() < wanted
        && let Some(line) = lines.next()?
    {
        examined += 1;
        let (number, message) = read(line)?;
        last = Some(number);
        messages.extend(message.filter(|message| search.finds(message)));
    }
    let is_end = messages.len() < wanted && examined < EXAMINED_MAX;
    let next = last.filter(|_| !is_end);
    Ok(Found {
        messages,
        next: next.and_then(|number| Some(SearchMark(u128::try_from(number).ok()?))),
    })
}

/// None: the room's name is none of ours.
fn read(line: &Row<'_>) -> rusqlite::Result<(i64, Option<Message>)> {
    let number = line.get(16)?;
    let Ok(room) = RoomId::parse(&line.get::<_, String>(17)?) else {
        return Ok((number, None));
    };
    Ok((number, Some(row::read(line, &room)?)))
}

/// FTS5's syntax around terms that cannot be any.
fn question(query: &Query, room: Option<&RoomId>) -> String {
    let terms = query.needles().into_iter().map(|needle| match needle {
        Needle::Whole(term) => format!("words : \"{term}\""),
        Needle::Beginning(term) => format!("words : \"{term}\" *"),
    });
    let room = room.map(|room| format!("room : \"{}\"", room_term(room.as_str())));
    let terms: Vec<String> = room.into_iter().chain(terms).collect();
    terms.join(" AND ")
}
