//! `sync`: after a reconnect, the socket joins all its rooms at once and gets what it missed in them.

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::Value;

use super::App;
use super::connect::Client;
use super::join::{CaughtUp, catch_up, enter, still_inside};
use super::reply::Reply;
use crate::chat::limits::page_limit;
use crate::chat::message::Message;
use crate::chat::refusal::Refusal;
use crate::chat::standing::Standing;
use crate::protocol::{JoinRequest, SyncRequest, Synced, SyncedRoom};

/// The messages of one answer, in bytes of their texts. More are had by `getHistory`; a single answer must not fill a client's connection.
const ANSWER_BYTES_MAX: usize = 512 * 1024;

/// What a message takes in an answer beside its texts.
const MESSAGE_OVERHEAD_BYTES: usize = 256;

/// Rooms entered, and read, at the same time.
const ROOMS_AT_ONCE: usize = 8;

/// What became of one room.
type Outcome = Result<CaughtUp, Refusal>;

/// The same, of a client that is still in it.
type Inside = Result<(CaughtUp, Arc<Standing>), Refusal>;

pub(super) async fn sync(app: &App, client: &Client, arguments: Vec<Value>, reply: Reply) {
    let request = match SyncRequest::read(arguments) {
        Ok(request) => request,
        Err(refusal) => return reply.refuse(&refusal, (None, None)).await,
    };
    // In all rooms first: what is said in the last of them while the first are read is not missed.
    let mut entered = Vec::new();
    for some in request.rooms.chunks(ROOMS_AT_ONCE) {
        let enters = some
            .iter()
            .map(|one| enter(app, client, &reply.socket, &one.room));
        entered.extend(join_all(enters).await);
    }
    let (mut outcomes, mut room_left) = (Vec::new(), ANSWER_BYTES_MAX);
    let mut rooms = request.rooms.iter().zip(entered);
    loop {
        let some = rooms.by_ref().take(ROOMS_AT_ONCE);
        let reads = some.map(|(one, entered)| read(app, one, entered, room_left > 0));
        let read = join_all(reads).await;
        if read.is_empty() {
            break;
        }
        for outcome in read {
            let fitting = outcome.as_ref().map_or(0, |caught| {
                fitting(&caught.history.messages, &mut room_left)
            });
            outcomes.push((outcome, fitting));
        }
    }
    // As they are by now: what changed since they were entered was told before this answer.
    let outcomes: Vec<_> = request
        .rooms
        .iter()
        .zip(outcomes)
        .map(|(one, (outcome, fitting))| {
            let outcome = outcome.and_then(|caught| Ok((caught, still_inside(client, &one.room)?)));
            (one, outcome, fitting)
        })
        .collect();
    let rooms = outcomes.iter().map(answer).collect();
    reply.done(Synced { rooms }).await;
}

/// When no room is left in the answer, the rooms still hear that there is more.
async fn read(
    app: &App,
    one: &JoinRequest,
    entered: Result<(), Refusal>,
    has_room: bool,
) -> Outcome {
    entered?;
    app.delivery
        .begin(&one.room)
        .await
        .map_err(|error| Refusal::from(&error))?;
    let limit = if has_room {
        page_limit(one.limit, &app.limits)?
    } else {
        1
    };
    catch_up(app, one, limit).await
}

/// How many of the messages still fit.
fn fitting(messages: &[Message], left: &mut usize) -> usize {
    let mut count = 0;
    for message in messages {
        let bytes = MESSAGE_OVERHEAD_BYTES + message.entry.bytes() + message.sender.name.len();
        if bytes > *left {
            // The rest would be a gap.
            *left = 0;
            break;
        }
        *left -= bytes;
        count += 1;
    }
    count
}

fn answer<'a>((one, inside, fitting): &'a (&JoinRequest, Inside, usize)) -> SyncedRoom<'a> {
    match inside {
        Ok((caught, standing)) => {
            let messages = caught.history.messages.get(..*fitting).unwrap_or_default();
            let facts = (caught.recovered, caught.trimmed);
            SyncedRoom::caught_up(standing, &caught.history, messages, facts)
        }
        Err(refusal) => SyncedRoom::refused(one.room.as_str(), refusal),
    }
}
