//! System entries: what happened in a room that nobody said. Told where few enough are to care.

use uuid::Uuid;

use crate::chat::membership::{Access, Room};
use crate::chat::message::{Draft, Entry, Sender};
use crate::chat::refusal::Refusal;
use crate::clock;
use crate::socket::App;

/// A happening as a word, as a sentence, and whom it happened to.
pub(super) struct Happening<'a> {
    pub(super) event: &'static str,
    pub(super) content: String,
    pub(super) subject: Option<&'a str>,
}

/// Appends the entry, and waits until it is there. What was done stays done without it.
pub(super) async fn announce(app: &App, room: &Room, by: &Sender, happening: Happening<'_>) {
    match is_told(app, room).await {
        Ok(true) => {}
        Ok(false) => return,
        Err(refusal) => return tracing::debug!(room = %room.id, %refusal, "not announced"),
    }
    let id = Uuid::now_v7();
    let draft = Draft {
        id,
        sender: by.clone(),
        client_msg_id: id.to_string(),
        entry: Entry::System {
            event: happening.event.to_owned(),
            content: happening.content,
            subject: happening.subject.map(str::to_owned),
        },
        timestamp_ms: clock::unix_ms(),
    };
    let submitted = app.appender.submit(room.id.clone(), draft);
    if let Err(refusal) = super::send::outcome(submitted).await {
        tracing::debug!(room = %room.id, %refusal, "not announced");
    }
}

/// A room that belongs to nobody is told of nothing, and two people know what they do.
async fn is_told(app: &App, room: &Room) -> Result<bool, Refusal> {
    if room.access == Access::Direct || room.created_by.is_none() {
        return Ok(false);
    }
    let members = app.rooms.member_count(&room.id).await?;
    Ok(members <= u64::from(app.room_settings.announced_members_max))
}
