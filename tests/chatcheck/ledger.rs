//! Reads after a row what the store has: over REST, as a fresh client would, and past the backends in the database itself.

mod database;
pub(crate) mod rest;

use crate::history::History;
use crate::record::{Did, Mark, RoomId, SERVER, Source};
use crate::rooms::Rooms;
use crate::site::Site;

/// One entry of a log.
struct Entry {
    room: RoomId,
    seq: u64,
    kind: String,
    content: String,
}

/// Writes every stored message of the first rooms into the history.
///
/// # Panics
/// When the store cannot be read: then the row proves nothing.
pub(crate) async fn read(
    site: &Site,
    http: &reqwest::Client,
    (names, rooms): (&Rooms, RoomId),
    history: &History,
) {
    for room in 0..rooms {
        for entry in rest::log(site, http, names, room).await {
            write(history, Source::Rest, entry);
        }
    }
    let logs = match (site.database(), site.mongo_uri()) {
        (Some(file), _) => database::sqlite(&file, names, rooms).expect("the SQLite file is read"),
        (None, Some(uri)) => database::mongodb(uri, names, rooms)
            .await
            .expect("MongoDB is read"),
        (None, None) => panic!("a row's messages lie somewhere"),
    };
    for entry in logs {
        write(history, Source::Database, entry);
    }
}

fn write(history: &History, source: Source, entry: Entry) {
    let Entry {
        room,
        seq,
        kind,
        content,
    } = entry;
    let number = u32::try_from(seq).unwrap_or(u32::MAX);
    let by_server = Mark {
        client: SERVER,
        number,
    };
    let mark = if kind == "message" {
        Mark::of(&content)
    } else {
        Some(by_server)
    };
    let did = match mark {
        Some(mark) => Did::Stored {
            source,
            room,
            seq,
            mark,
        },
        None => Did::Stray {
            what: format!("{content:?} as seq {seq} of room {room} in the store").into(),
        },
    };
    history.write(None, did);
}
