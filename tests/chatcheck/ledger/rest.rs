//! The backends' REST history, through the proxy.

use serde_json::Value;

use super::Entry;
use crate::record::RoomId;
use crate::rooms::Rooms;
use crate::site::Site;

const PAGE_LIMIT: u64 = 200;

/// The newest seq of a room; nothing while nobody can say.
pub(crate) async fn tail(site: &Site, http: &reqwest::Client, name: &str) -> Option<u64> {
    let page = page(site, http, name, "limit=1").await?;
    page["lastSeq"].as_u64()
}

/// A room's whole log.
///
/// # Panics
/// When a page cannot be had.
pub(super) async fn log(
    site: &Site,
    http: &reqwest::Client,
    names: &Rooms,
    room: RoomId,
) -> Vec<Entry> {
    let name = names.name(room);
    let mut log = Vec::new();
    let mut after = 0;
    loop {
        let query = format!("after={after}&limit={PAGE_LIMIT}");
        let page = page(site, http, &name, &query)
            .await
            .expect("a page of history");
        let messages = page["messages"].as_array().expect("messages");
        for message in messages {
            let seq = message["seq"].as_u64().expect("a seq");
            let text = |key: &str| message[key].as_str().unwrap_or_default().to_owned();
            let (kind, content) = (text("kind"), text("content"));
            log.push(Entry {
                room,
                seq,
                kind,
                content,
            });
            after = after.max(seq);
        }
        if messages.is_empty() || page["hasMore"] != true {
            return log;
        }
    }
}

async fn page(site: &Site, http: &reqwest::Client, name: &str, query: &str) -> Option<Value> {
    let url = site.url(&format!("/api/rooms/{name}/messages?{query}"));
    let answer = http.get(url).send().await.ok()?;
    let page: Value = answer.json().await.ok()?;
    (page["ok"] == true).then_some(page)
}
