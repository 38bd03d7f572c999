//! Closing a room for good. Its log stays where it is, for the operator; nobody enters it any more, and its id is not given again.

use super::Person;
use crate::chat::refusal::Refusal;
use crate::chat::room::RoomId;
use crate::clock;
use crate::socket::App;
use crate::socket::news::{self, Word};

/// Who is in it leaves, on every instance.
pub(crate) async fn archive(app: &App, person: Person<'_>, room: &RoomId) -> Result<(), Refusal> {
    person.take_token(app)?;
    let standing = app.rooms.standing(room, &person.sender.id).await?;
    standing.may_enter(clock::unix_ms())?;
    standing.may_rule()?;
    app.rooms.archive_room(room).await?;
    news::tell(app, Word::of_room(room)).await;
    Ok(())
}
