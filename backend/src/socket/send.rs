//! `sendMessage`: admit, append, fan out, ack, in this order and no other.

use std::time::Instant;

use uuid::Uuid;

use super::connect::Client;
use super::reply::Reply;
use super::worker::{Job, read};
use super::{App, join};
use crate::append::Outcome;
use crate::chat::admit::{Moment, admit};
use crate::chat::message::Draft;
use crate::chat::refusal::{Code, Refusal};
use crate::chat::room::RoomId;
use crate::clock;
use crate::protocol::{SendRequest, Sent};

/// Submits a message behind this socket's earlier ones. The future answers the client; there is none when the answer was no.
pub(super) fn submit(
    app: &App,
    client: &Client,
    job: Job,
) -> Option<impl Future<Output = ()> + use<>> {
    let Job {
        packet,
        reply,
        arrived,
    } = job;
    let request = match read(&packet).and_then(SendRequest::read) {
        Ok(request) => request,
        Err(refusal) => return refuse(app, reply, &refusal, (None, None)),
    };
    let room = request.room.clone();
    let client_msg_id = request.wish.client_msg_id.clone();
    let submitted = admitted(app, client, &reply, request)
        .and_then(|draft| app.appender.submit(room.clone(), draft));
    let metrics = app.metrics.clone();
    match submitted {
        Ok(outcome) => Some(async move {
            // The appender answers every draft; a dropped answer is a bug of a store, not a reason to stay silent.
            let outcome = outcome.await.unwrap_or_else(|_| {
                Err(Refusal::new(
                    Code::Internal,
                    "the message may not have been stored; send it again",
                ))
            });
            metrics.chat.ack_seconds.observe(seconds_since(arrived));
            answer(reply, &outcome, (&room, client_msg_id.as_deref()));
        }),
        Err(refusal) => refuse(
            app,
            reply,
            &refusal,
            (Some(room.as_str()), client_msg_id.as_deref()),
        ),
    }
}

fn admitted(
    app: &App,
    client: &Client,
    reply: &Reply,
    request: SendRequest,
) -> Result<Draft, Refusal> {
    let moment = Moment {
        monotonic: clock::monotonic(),
        unix_ms: clock::unix_ms(),
        id: Uuid::now_v7(),
    };
    let is_member = join::is_member(&reply.socket, &request.room);
    client.with_bucket(|bucket| {
        admit(
            request.wish,
            &client.sender,
            is_member,
            (&app.limits, bucket),
            moment,
        )
    })
}

fn answer(reply: Reply, outcome: &Outcome, (room, client_msg_id): (&RoomId, Option<&str>)) {
    let result = match outcome {
        Ok(appended) if appended.duplicate => "duplicate",
        Ok(_) => "stored",
        Err(_) => "refused",
    };
    reply
        .metrics
        .chat
        .messages_total
        .with_label_values(&[result])
        .inc();
    match outcome {
        Ok(appended) => {
            if appended.duplicate {
                reply.metrics.chat.duplicates_total.inc();
            }
            reply.done(Sent::new(&appended.message, appended.duplicate));
        }
        Err(refusal) => reply.refuse(refusal, (Some(room.as_str()), client_msg_id)),
    }
}

fn refuse<F>(
    app: &App,
    reply: Reply,
    refusal: &Refusal,
    about: (Option<&str>, Option<&str>),
) -> Option<F> {
    app.metrics
        .chat
        .messages_total
        .with_label_values(&["refused"])
        .inc();
    reply.refuse(refusal, about);
    None
}

fn seconds_since(start: Instant) -> f64 {
    clock::monotonic()
        .saturating_duration_since(start)
        .as_secs_f64()
}
