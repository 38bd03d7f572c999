//! `sendMessage`: admit, append, fan out, ack, in this order and no other.

use std::time::Instant;

use super::App;
use super::connect::Client;
use super::reply::{About, Reply};
use super::worker::{Job, read};
use crate::append::Outcome;
use crate::chat::room::RoomId;
use crate::deeds::send::{admitted, count, outcome};
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
            let seat = client.seat(&reply.socket, &room);
            let draft = admitted(app, client.person(), &seat, request)?;
            app.appender.submit(room, draft)
        });
    async move {
        let outcome = outcome(submitted).await;
        let about = (about.0.as_ref().map(RoomId::as_str), about.1.as_deref());
        answer(reply, &outcome, about, arrived).await;
    }
}

pub(super) async fn answer(reply: Reply, outcome: &Outcome, about: About<'_>, arrived: Instant) {
    count(&reply.metrics, outcome, arrived);
    match outcome {
        Ok(appended) => {
            let sent = Sent::new(&appended.message, appended.duplicate);
            reply.done(sent).await;
        }
        Err(refusal) => reply.refuse(refusal, about).await,
    }
}
