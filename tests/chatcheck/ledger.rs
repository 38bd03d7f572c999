//! Reads after a row what the store has: over REST, as a fresh client would, and in the database itself where it is a file.

use std::path::Path;

use serde_json::Value;

use crate::history::History;
use crate::record::{Did, Mark, RoomId, SERVER, Source};
use crate::rooms::Rooms;
use crate::site::Site;

const PAGE_LIMIT: u64 = 200;

/// The newest seq of a room by REST; nothing while nobody can say.
pub(crate) async fn tail(site: &Site, http: &reqwest::Client, name: &str) -> Option<u64> {
    let page = page(site, http, name, "limit=1").await?;
    page["lastSeq"].as_u64()
}

async fn page(site: &Site, http: &reqwest::Client, name: &str, query: &str) -> Option<Value> {
    let url = site.url(&format!("/api/rooms/{name}/messages?{query}"));
    let answer = http.get(url).send().await.ok()?;
    let page: Value = answer.json().await.ok()?;
    (page["ok"] == true).then_some(page)
}

/// Writes every stored message of these rooms into the history.
///
/// # Panics
/// When the store cannot be read: then the row proves nothing.
pub(crate) async fn read(
    site: &Site,
    http: &reqwest::Client,
    names: &Rooms,
    rooms: RoomId,
    history: &History,
) {
    for room in 0..rooms {
        let name = names.name(room);
        let mut after = 0;
        loop {
            let query = format!("after={after}&limit={PAGE_LIMIT}");
            let page = page(site, http, &name, &query)
                .await
                .expect("a page of history");
            let messages = page["messages"].as_array().expect("messages");
            for message in messages {
                let seq = message["seq"].as_u64().expect("a seq");
                let kind = message["kind"].as_str().unwrap_or_default();
                let content = message["content"].as_str().unwrap_or_default();
                write(history, Source::Rest, room, (seq, kind, content));
                after = after.max(seq);
            }
            if messages.is_empty() || page["hasMore"] != true {
                break;
            }
        }
    }
    if let Some(file) = site.database() {
        read_sqlite(&file, names, rooms, history).expect("the database is read");
    }
}

fn read_sqlite(
    file: &Path,
    names: &Rooms,
    rooms: RoomId,
    history: &History,
) -> rusqlite::Result<()> {
    let database = rusqlite::Connection::open(file)?;
    let mut statement = database
        .prepare("SELECT seq, kind, content FROM messages WHERE room_id = ?1 ORDER BY seq")?;
    for room in 0..rooms {
        let mut rows = statement.query([names.name(room)])?;
        while let Some(row) = rows.next()? {
            let (seq, kind, content): (i64, String, String) =
                (row.get(0)?, row.get(1)?, row.get(2)?);
            let seq = u64::try_from(seq).unwrap_or(0);
            write(history, Source::Database, room, (seq, &kind, &content));
        }
    }
    Ok(())
}

fn write(history: &History, source: Source, room: RoomId, (seq, kind, content): (u64, &str, &str)) {
    let number = u32::try_from(seq).unwrap_or(u32::MAX);
    let by_server = Mark {
        client: SERVER,
        number,
    };
    let mark = if kind == "message" {
        Mark::of(content)
    } else {
        Some(by_server)
    };
    match mark {
        Some(mark) => history.write(
            None,
            Did::Stored {
                source,
                room,
                seq,
                mark,
            },
        ),
        None => history.write(
            None,
            Did::Stray {
                what: format!("{content:?} as seq {seq} of room {room} in the store").into(),
            },
        ),
    }
}
