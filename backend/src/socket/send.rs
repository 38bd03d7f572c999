//! `sendMessage`: admit, append, fan out, ack, in this order and no other.

use std::time::Instant;

use tokio::sync::oneshot;
use uuid::Uuid;

use super::connect::Client;
use super::reply::{About, Reply};
use super::worker::{Job, read};
use super::{App, join};
use crate::append::Outcome;
use crate::chat::admit::{Moment, admit};
use crate::chat::message::Draft;
use crate::chat::refusal::{Code, Refusal};
use crate::chat::room::RoomId;
use crate::clock;
use crate::protocol::{SendRequest, Sent};

/// Submits a message behind this socket's earlier ones, at once. The future answers the client.
pub(super) fn submit(app: &App, client: &Client, job: Job) -> impl Future<Output = ()> + use<> {
    let Job {
        packet,
        reply,
        arrived,
    } = job;
    let mut about = (None, None);
    let submitted = read(&packet)
        .and_then(SendRequest::read)
        .and_then(|request| {
            let room = request.room.clone();
            about = (Some(room.clone()), request.wish.client_msg_id.clone());
            let draft = admitted(app, client, &reply, request)?;
            app.appender.submit(room, draft)
        });
    async move {
        let outcome = outcome(submitted).await;
        let about = (about.0.as_ref().map(RoomId::as_str), about.1.as_deref());
        answer(reply, &outcome, about, arrived).await;
    }
}

fn admitted(
    app: &App,
    client: &Client,
    reply: &Reply,
    request: SendRequest,
) -> Result<Draft, Refusal> {
    let (room, user_id) = (&request.room, &client.sender.id);
    let is_member = join::is_member(&reply.socket, room);
    let moment = moment();
    let seat = client.seats.of(room).filter(|_| is_member);
    let slow_ms = seat.as_ref().map_or(0, |seat| seat.room.rules.slow_mode_ms);
    if let Some(seat) = &seat {
        let last_ms = app
            .rooms
            .pace
            .last_ms(room, user_id)
            .filter(|_| slow_ms > 0);
        seat.may_speak(last_ms, moment.unix_ms)?;
    }
    let draft = client.with_buckets(|buckets| {
        let limits = (&app.limits, buckets);
        admit(request.wish, &client.sender, is_member, limits, moment)
    })?;
    if slow_ms > 0 {
        app.rooms.pace.note(room, user_id, moment.unix_ms, slow_ms);
    }
    Ok(draft)
}

/// What became of what was submitted.
pub(super) async fn outcome(submitted: Result<oneshot::Receiver<Outcome>, Refusal>) -> Outcome {
    // The appender answers every draft; a dropped answer is a bug of a store, not a reason to stay silent.
    submitted?.await.unwrap_or_else(|_| {
        let message = "the message may not have been stored; send it again";
        Err(Refusal::new(Code::Internal, message))
    })
}

/// Facts of now, for who admits.
pub(super) fn moment() -> Moment {
    Moment {
        monotonic: clock::monotonic(),
        unix_ms: clock::unix_ms(),
        id: Uuid::now_v7(),
    }
}

pub(super) async fn answer(reply: Reply, outcome: &Outcome, about: About<'_>, arrived: Instant) {
    let result = match outcome {
        Ok(appended) if appended.duplicate => "duplicate",
        Ok(_) => "stored",
        Err(_) => "refused",
    };
    let chat = &reply.metrics.chat;
    chat.messages_total.with_label_values(&[result]).inc();
    match outcome {
        Ok(appended) => {
            chat.ack_seconds.observe(seconds_since(arrived));
            if appended.duplicate {
                chat.duplicates_total.inc();
            }
            reply
                .done(Sent::new(&appended.message, appended.duplicate))
                .await;
        }
        Err(refusal) => reply.refuse(refusal, about).await,
    }
}

fn seconds_since(start: Instant) -> f64 {
    clock::monotonic()
        .saturating_duration_since(start)
        .as_secs_f64()
}
