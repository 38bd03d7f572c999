use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::Connection;
use tempfile::TempDir;

use super::{SqliteStore, schema, search, writer};
use crate::chat::message::{Draft, Entry};
use crate::chat::search::Query;
use crate::contract::{Data as _, Fixture, OwnFile};
use crate::sqlite::{self, OpenFile, Options};
use crate::store::contract::{
    append, draft, drafts, room, said, seqs, store_contract, walk_back, walk_forth,
};
use crate::store::{Page, Search, Store, StoreError};

#[async_trait]
impl Fixture<dyn Store> for OwnFile {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open(&self.path()).unwrap())
    }
}

store_contract!(OwnFile);

/// A store that gives up on a lock at once, and a folder that goes away with it.
fn impatient(pages_max: Option<u32>) -> (TempDir, PathBuf, SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.db");
    let options = Options {
        busy_timeout: Duration::from_millis(20),
        pages_max,
    };
    let store = SqliteStore::open_with(&path, options).unwrap();
    (folder, path, store)
}

fn count(path: &Path) -> i64 {
    let connection = Connection::open(path).unwrap();
    connection
        .query_row("SELECT count(*) FROM messages", [], |row| row.get(0))
        .unwrap()
}

#[tokio::test]
async fn everything_survives_reopening() {
    let fixture = OwnFile::fresh().await;
    let lobby = room("lobby");
    let before = {
        let store = SqliteStore::open(&fixture.path()).unwrap();
        append(&store, &lobby, drafts("ann", 5)).await;
        store
            .page(&lobby, Page::Latest { limit: 10 })
            .await
            .unwrap()
    };
    let store = SqliteStore::open(&fixture.path()).unwrap();
    assert_eq!(
        store
            .page(&lobby, Page::Latest { limit: 10 })
            .await
            .unwrap(),
        before
    );
    let outcomes = append(&store, &lobby, drafts("ann", 6)).await;
    let places: Vec<_> = outcomes
        .iter()
        .map(|a| (a.message.seq, a.duplicate))
        .collect();
    assert_eq!(
        places,
        [
            (1, true),
            (2, true),
            (3, true),
            (4, true),
            (5, true),
            (6, false)
        ]
    );
}

/// What the first version of Berth made, with three messages in it.
const VERSION_1: &str = "
PRAGMA application_id = 0x42525448;
PRAGMA user_version = 1;
CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE messages (
    room_id       TEXT    NOT NULL,
    seq           INTEGER NOT NULL,
    id            TEXT    NOT NULL,
    kind          TEXT    NOT NULL DEFAULT 'message',
    type          TEXT    NOT NULL,
    content       TEXT    NOT NULL,
    sender_id     TEXT    NOT NULL,
    sender_name   TEXT    NOT NULL,
    client_msg_id TEXT    NOT NULL,
    timestamp_ms  INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX messages_by_seq ON messages (room_id, seq);
CREATE UNIQUE INDEX messages_once ON messages (room_id, sender_id, client_msg_id);
INSERT INTO meta VALUES ('epoch', 'the first');
INSERT INTO messages (room_id, seq, id, type, content, sender_id, sender_name, client_msg_id, timestamp_ms)
VALUES ('lobby', 1, '00000000-0000-0000-0000-000000000001', 'text', 'one', 'ann', 'Ann', 'c1', 1),
       ('lobby', 2, '00000000-0000-0000-0000-000000000002', 'text', 'two', 'ann', 'Ann', 'c2', 2),
       ('lobby', 3, '00000000-0000-0000-0000-000000000003', 'text', 'three', 'ann', 'Ann', 'c3', 3);
";

#[tokio::test]
async fn a_file_of_the_first_version_goes_on() {
    let fixture = OwnFile::fresh().await;
    Connection::open(fixture.path())
        .unwrap()
        .execute_batch(VERSION_1)
        .unwrap();
    let lobby = room("lobby");
    let edit = Draft {
        entry: Entry::Edit {
            ref_seq: 2,
            content: "zwei".to_owned(),
        },
        ..draft("ann", "e", "")
    };
    // Also two at once, as after an update of a whole host.
    let handles = [fixture.open().await, fixture.open().await];
    append(&*handles[0], &lobby, vec![edit, draft("ann", "c4", "four")]).await;
    assert!(append(&*handles[1], &lobby, vec![draft("ann", "c1", "again")]).await[0].duplicate);
    let history = handles[1]
        .page(&lobby, Page::Latest { limit: 10 })
        .await
        .unwrap();
    let texts: Vec<&str> = history.messages.iter().map(|m| m.entry.text()).collect();
    assert_eq!(texts, ["one", "zwei", "three", "zwei", "four"]);
    let ns: Vec<u64> = history.messages.iter().map(|m| m.n).collect();
    assert_eq!(ns, [1, 2, 3, 3, 4]);
    assert_eq!((history.last_n, history.epoch.as_str()), (4, "the first"));
    // What was said before there was a search is found as well, once, and as changes left it.
    for (question, seqs) in [
        ("one", vec![1]),
        ("t", vec![3]),
        ("zwei", vec![2]),
        ("four", vec![5]),
    ] {
        let search = Search {
            query: Query::parse(question).unwrap(),
            room: None,
            before: None,
            limit: 10,
        };
        let found = handles[0].search(search).await.unwrap();
        let found: Vec<u64> = found.messages.iter().map(|message| message.seq).collect();
        assert_eq!(found, seqs, "{question}");
    }
}

/// As the first version left it, with so many messages in two rooms. The text of each is its number.
fn older_file(path: &Path, messages: u32) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(VERSION_1).unwrap();
    connection
        .execute_batch(&format!(
            "DELETE FROM messages;
             WITH RECURSIVE numbers (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM numbers WHERE n < {messages})
             INSERT INTO messages (room_id, seq, id, type, content, sender_id, sender_name, client_msg_id, timestamp_ms)
             SELECT 'room' || (n % 2), (n + 1) / 2, printf('00000000-0000-0000-0000-%012d', n), 'text', 'number ' || n,
                    'ann', 'Ann', 'c' || n, n
             FROM numbers"
        ))
        .unwrap();
    connection
}

/// What is found of "number", page by page.
async fn numbers(store: &SqliteStore) -> Vec<u32> {
    let mut search = Search {
        query: Query::parse("number").unwrap(),
        room: None,
        before: None,
        limit: 100,
    };
    let mut numbers = Vec::new();
    loop {
        let page = store.search(search.clone()).await.unwrap();
        let texts = page.messages.iter().map(|message| message.entry.text());
        numbers.extend(texts.map(|text| text["number ".len()..].parse::<u32>().unwrap()));
        let Some(next) = page.next else {
            return numbers;
        };
        search.before = Some(next);
    }
}

#[tokio::test]
async fn an_older_file_is_taken_up_beside_its_use_and_goes_on_after_a_kill() {
    let fixture = OwnFile::fresh().await;
    let path = fixture.path();
    drop(older_file(&path, 2_300));
    {
        let mut killed = sqlite::open(&path, Options::default(), schema::TABLES).unwrap();
        schema::upgrade(&mut killed).unwrap();
        let transaction = killed.transaction().unwrap();
        assert!(search::take_up(&transaction).unwrap());
        // It dies before it commits.
    }
    // This one is stopped at once, wherever it is by then.
    drop(SqliteStore::open(&path).unwrap());
    let store = SqliteStore::open(&path).unwrap();
    let last = draft("bob", "new", "number 2301");
    append(&store, &room("room1"), vec![last]).await;
    let whole = async {
        loop {
            let found = numbers(&store).await;
            // At any time: the newest, without a hole.
            let expected: Vec<u32> = (1..=2_301).rev().take(found.len()).collect();
            assert_eq!(found, expected);
            assert!(found.len() > 500, "{}", found.len());
            if found.len() == 2_301 {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), whole)
        .await
        .unwrap();
    drop(store);
    let again = SqliteStore::open(&path).unwrap();
    assert_eq!(numbers(&again).await.len(), 2_301, "each once");
}

#[tokio::test]
async fn a_locked_file_refuses_the_drafts_and_recovers() {
    let (_folder, path, store) = impatient(None);
    let lobby = room("lobby");
    append(&store, &lobby, drafts("ann", 2)).await;

    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let outcomes = store.append(&lobby, drafts("bob", 3)).await;
    assert_eq!(outcomes.len(), 3);
    assert!(
        outcomes
            .iter()
            .all(|o| matches!(o, Err(StoreError::Unavailable(_)))),
        "{outcomes:?}"
    );
    // Reading goes on beside the lock.
    assert_eq!(seqs(&walk_back(&store, &lobby, 10).await), [1, 2]);
    assert_eq!(store.ping().await, Ok(()));

    other.execute_batch("ROLLBACK").unwrap();
    let outcomes = append(&store, &lobby, drafts("bob", 3)).await;
    assert_eq!(
        outcomes.iter().map(|a| a.message.seq).collect::<Vec<_>>(),
        [3, 4, 5]
    );
    assert_eq!(count(&path), 5);
}

#[tokio::test]
async fn a_full_disk_refuses_the_drafts_and_recovers() {
    let (_folder, path, store) = impatient(Some(64));
    let lobby = room("lobby");
    let big = "x".repeat(50_000);
    let mut acked = 0;
    let refused = loop {
        let sent = draft("ann", &acked.to_string(), &big);
        match store.append(&lobby, vec![sent.clone()]).await.remove(0) {
            Ok(appended) => {
                acked += 1;
                assert_eq!(appended.message.seq, acked);
            }
            Err(why) => {
                assert!(
                    matches!(&why, StoreError::Unavailable(text) if text.contains("full")),
                    "{why}"
                );
                break sent;
            }
        }
    };
    assert!(acked >= 2);
    assert_eq!(
        seqs(&walk_forth(&store, &lobby, 100).await),
        (1..=acked).collect::<Vec<_>>()
    );
    // What still fits is still stored.
    append(
        &store,
        &room("garden"),
        vec![draft("ann", "small", "small")],
    )
    .await;

    // Space comes back: an operator removes the oldest message.
    let other = Connection::open(&path).unwrap();
    other
        .execute(
            "DELETE FROM messages WHERE room_id = 'lobby' AND seq <= 2",
            [],
        )
        .unwrap();
    let outcome = append(&store, &lobby, vec![refused]).await;
    assert_eq!(
        (outcome[0].message.seq, outcome[0].duplicate),
        (acked + 1, false)
    );
    let page = store
        .page(&lobby, Page::Latest { limit: 100 })
        .await
        .unwrap();
    assert_eq!((page.first_seq, page.last_seq), (3, acked + 1));
}

#[tokio::test]
async fn a_batch_too_big_for_the_disk_does_not_take_others_with_it() {
    let (_folder, path, store) = impatient(Some(64));
    let store = Arc::new(store);
    let (small, big) = (room("small"), room("big"));
    let flood = drafts("ann", 20).into_iter().map(|d| Draft {
        entry: said(&"x".repeat(50_000)),
        ..d
    });
    let (first, refused, second) = tokio::join!(
        store.append(&small, drafts("bob", 1)),
        store.append(&big, flood.collect()),
        store.append(&small, drafts("cat", 1)),
    );
    assert!(first[0].is_ok() && second[0].is_ok());
    assert_eq!(refused.len(), 20);
    assert!(
        refused
            .iter()
            .all(|o| matches!(o, Err(StoreError::Unavailable(_))))
    );
    assert_eq!(count(&path), 2);
}

#[tokio::test]
async fn a_file_that_was_moved_away_refuses_the_drafts_and_recovers() {
    let (_folder, path, store) = impatient(None);
    let lobby = room("lobby");
    append(&store, &lobby, drafts("ann", 1)).await;
    let away = path.with_extension("away");
    fs::rename(&path, &away).unwrap();
    let outcomes = store.append(&lobby, drafts("bob", 1)).await;
    assert!(
        matches!(outcomes[0], Err(StoreError::Unavailable(_))),
        "{outcomes:?}"
    );
    fs::write(&path, "").unwrap();
    let outcomes = store.append(&lobby, drafts("bob", 1)).await;
    assert!(
        matches!(outcomes[0], Err(StoreError::Unavailable(_))),
        "{outcomes:?}"
    );
    fs::rename(&away, &path).unwrap();
    assert_eq!(
        append(&store, &lobby, drafts("bob", 1)).await[0]
            .message
            .seq,
        2
    );
}

#[tokio::test]
async fn a_read_only_file_refuses_the_drafts() {
    let (_folder, path, store) = impatient(None);
    let lobby = room("lobby");
    append(&store, &lobby, drafts("ann", 1)).await;
    // Rights do not stop root, who may run the tests; a connection that may only read fails in the same way.
    let read_only = sqlite::open_reader(&path, Options::default()).unwrap();
    let writer = writer::start(read_only, OpenFile::at(&path).unwrap()).unwrap();
    let read_only = SqliteStore { writer, ..store };
    let outcomes = read_only.append(&lobby, drafts("bob", 2)).await;
    assert_eq!(outcomes.len(), 2);
    let refused = |o: &Result<_, _>| matches!(o, Err(StoreError::Unavailable(text)) if text.contains("readonly"));
    assert!(outcomes.iter().all(refused), "{outcomes:?}");
    assert_eq!(seqs(&walk_back(&read_only, &lobby, 10).await), [1]);
}

#[tokio::test]
async fn the_shell_reads_the_file() {
    let (_folder, path, store) = impatient(None);
    append(&store, &room("lobby"), vec![draft("ann", "a", "grüß dich")]).await;
    let shell = Command::new("sqlite3")
        .arg(&path)
        .arg("SELECT room_id, seq, kind, type, sender_id, content FROM messages")
        .output();
    // The shell is a convenience of the operator's; where it is missing, the bundled library stands in.
    let line = match shell {
        Ok(output) => String::from_utf8(output.stdout).unwrap(),
        Err(_) => return assert_eq!(count(&path), 1),
    };
    assert_eq!(line.trim_end(), "lobby|1|message|text|ann|grüß dich");
}

/// What a child process of the test below appends to; unset in every other run.
const CHILD_FILE: &str = "BERTH_TEST_CHILD_FILE";

#[allow(
    clippy::disallowed_methods,
    reason = "how the parent test reaches its child"
)]
fn child_file() -> Option<PathBuf> {
    std::env::var(CHILD_FILE).ok().map(PathBuf::from)
}

/// The child's part: appends for ever and prints each acked seq. Does nothing when run as a test.
#[tokio::test]
async fn child_appends_until_killed() {
    let Some(path) = child_file() else { return };
    let store = SqliteStore::open(&path).unwrap();
    let sender = std::process::id().to_string();
    for n in 0_u64.. {
        let batch = vec![
            draft(&sender, &format!("{n}a"), "x"),
            draft(&sender, &format!("{n}b"), "y"),
        ];
        let acked = append(&store, &room("lobby"), batch).await;
        let line = format!("acked {} {}\n", acked[0].message.seq, acked[1].message.seq);
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
}

#[tokio::test]
async fn what_several_processes_acked_survives_their_death() {
    const PROCESSES: usize = 3;
    const ACKS_EACH: usize = 20;
    let fixture = OwnFile::fresh().await;
    let mut children: Vec<Child> = (0..PROCESSES)
        .map(|_| {
            Command::new(std::env::current_exe().unwrap())
                .args([
                    "--exact",
                    "--nocapture",
                    "store::sqlite::tests::child_appends_until_killed",
                ])
                .env(CHILD_FILE, fixture.path())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let mut acked = HashSet::new();
    for child in &mut children {
        let mut lines = BufReader::new(child.stderr.take().unwrap())
            .lines()
            .map(Result::unwrap);
        let acks = lines
            .by_ref()
            .filter(|line| line.starts_with("acked "))
            .take(ACKS_EACH);
        let before: Vec<String> = acks.collect();
        // SIGKILL, in the middle of whatever it does; what it still said before counts too.
        child.kill().unwrap();
        for line in before
            .into_iter()
            .chain(lines.filter(|line| line.starts_with("acked ")))
        {
            let mut seqs = line
                .split(' ')
                .skip(1)
                .map(|seq| seq.parse::<u64>().unwrap());
            assert!(seqs.all(|seq| acked.insert(seq)), "each seq is given once");
        }
        child.wait().unwrap();
    }
    assert!(acked.len() >= 2 * PROCESSES * ACKS_EACH);
    let store = SqliteStore::open(&fixture.path()).unwrap();
    let kept = seqs(&walk_forth(&store, &room("lobby"), 500).await);
    assert_eq!(kept, (1..=kept.len() as u64).collect::<Vec<_>>(), "no gap");
    assert!(
        acked.iter().all(|seq| kept.contains(seq)),
        "nothing acked is lost"
    );
    assert_eq!(kept.len() % 2, 0, "a batch is stored as a whole");
}
