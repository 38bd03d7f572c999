//! What a message costs in SQLite, and how much of that is the search: `cargo bench -p berth-backend --bench append`.
//!
//! Words are indexed; of signs alone there is nothing to index, and the rest is the same. A message that comes alone is a commit of its own,
//! of those that come together 256 share one. `older_file` is the search's work on a file that was written without one.
#![allow(clippy::expect_used, reason = "what cannot be measured is a failure")]

use std::path::Path;
use std::time::Duration;

use berth_backend::chat::message::{Draft, Entry, Sender};
use berth_backend::chat::room::RoomId;
use berth_backend::chat::search::Query;
use berth_backend::store::sqlite::SqliteStore;
use berth_backend::store::{Search, Store as _};
use divan::Bencher;
use divan::counter::ItemsCount;
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

const MIN_TIME: Duration = Duration::from_secs(2);

/// About as long as people write: 12 words, 68 characters.
const WORDS: &str = "could somebody please look at the second crane before the ship leaves";

/// Messages of the older file.
const OLDER: usize = 10_000;

fn main() {
    divan::Divan::default()
        .min_time(MIN_TIME)
        .config_with_args()
        .main();
}

struct Log {
    folder: TempDir,
    store: SqliteStore,
    room: RoomId,
    runtime: Runtime,
}

impl Log {
    fn new() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let store = SqliteStore::open(&folder.path().join("chat.db"))?;
        Ok(Self {
            folder,
            store,
            room: RoomId::parse("room")?,
            runtime: Builder::new_current_thread().enable_all().build()?,
        })
    }

    fn append(&self, drafts: Vec<Draft>) {
        let appended = self.runtime.block_on(self.store.append(&self.room, drafts));
        assert!(appended.iter().all(Result::is_ok), "{appended:?}");
    }
}

fn drafts(content: &str, count: usize) -> Vec<Draft> {
    let draft = |_| {
        let id = Uuid::now_v7();
        Draft {
            id,
            sender: Sender {
                id: "ann".to_owned(),
                name: "Ann".to_owned(),
            },
            client_msg_id: id.to_string(),
            entry: Entry::Message {
                message_type: "text".to_owned(),
                content: content.to_owned(),
                reply_to: None,
            },
            timestamp_ms: 1_795_000_000_000,
        }
    };
    (0..count).map(draft).collect()
}

fn append(bencher: Bencher<'_, '_>, content: &str, count: usize) {
    let log = Log::new().expect("a folder for temporary files");
    bencher
        .counter(ItemsCount::new(count))
        .with_inputs(|| drafts(content, count))
        .bench_local_values(|drafts| log.append(drafts));
}

#[divan::bench(args = [1, 256])]
fn words(bencher: Bencher<'_, '_>, count: usize) {
    append(bencher, WORDS, count);
}

#[divan::bench(args = [1, 256])]
fn signs(bencher: Bencher<'_, '_>, count: usize) {
    append(bencher, &"…".repeat(WORDS.len() / "…".len()), count);
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn older_file(bencher: Bencher<'_, '_>) {
    bencher
        .counter(ItemsCount::new(OLDER))
        .with_inputs(|| older().expect("an older file"))
        .bench_local_values(|log| {
            let path = log.folder.path().join("chat.db");
            take_up(&log.runtime, &path).expect("all is found");
        });
}

/// A log as it was before there was a search. The oldest message is told from the others.
fn older() -> anyhow::Result<Log> {
    let log = Log::new()?;
    log.append(drafts("oldest", 1));
    log.append(drafts(WORDS, OLDER - 1));
    let file = Connection::open(log.folder.path().join("chat.db"))?;
    file.execute_batch("DELETE FROM search_places; DELETE FROM search_words;")?;
    Ok(log)
}

fn take_up(runtime: &Runtime, path: &Path) -> anyhow::Result<()> {
    let store = SqliteStore::open(path)?;
    let oldest = Search {
        query: Query::parse("oldest")?,
        room: None,
        before: None,
        limit: 1,
    };
    while runtime
        .block_on(store.search(oldest.clone()))?
        .messages
        .is_empty()
    {
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}
