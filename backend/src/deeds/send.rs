//! Saying something: admitted, then appended and fanned out, in this order and no other.

use std::time::Instant;

use tokio::sync::oneshot;

use super::{Person, Seat, moment};
use crate::append::Outcome;
use crate::chat::admit::admit;
use crate::chat::message::Draft;
use crate::chat::refusal::{Code, Refusal};
use crate::clock;
use crate::metrics::Metrics;
use crate::protocol::SendRequest;
use crate::socket::App;

/// Decides, and pays.
pub(crate) fn admitted(
    app: &App,
    person: Person<'_>,
    seat: &Seat,
    request: SendRequest,
) -> Result<Draft, Refusal> {
    let (room, user_id) = (&request.room, &person.sender.id);
    let moment = moment();
    let standing = seat.standing();
    let slow_ms = standing.map_or(0, |standing| standing.room.rules.slow_mode_ms);
    if let Some(standing) = standing {
        let pace = &app.rooms.pace;
        let last_ms = pace.last_ms(room, user_id).filter(|_| slow_ms > 0);
        standing.may_speak(last_ms, moment.unix_ms)?;
    }
    let draft = person.purse.with_buckets(|buckets| {
        let limits = (&app.limits, buckets);
        let wish = request.wish;
        admit(wish, person.sender, seat.is_inside(), limits, moment)
    })?;
    if slow_ms > 0 {
        app.rooms.pace.note(room, user_id, moment.unix_ms, slow_ms);
    }
    Ok(draft)
}

/// What became of what was submitted.
pub(crate) async fn outcome(submitted: Result<oneshot::Receiver<Outcome>, Refusal>) -> Outcome {
    // The appender answers every draft; a dropped answer is a bug of a store, not a reason to stay silent.
    submitted?.await.unwrap_or_else(|_| {
        let message = "the message may not have been stored; send it again";
        Err(Refusal::new(Code::Internal, message))
    })
}

/// Counts what became of a message, or of a change of one.
pub(crate) fn count(metrics: &Metrics, outcome: &Outcome, arrived: Instant) {
    let chat = &metrics.chat;
    let result = match outcome {
        Ok(appended) if appended.duplicate => "duplicate",
        Ok(_) => "stored",
        Err(_) => "refused",
    };
    chat.messages_total.with_label_values(&[result]).inc();
    if let Ok(appended) = outcome {
        let waited = clock::monotonic().saturating_duration_since(arrived);
        chat.ack_seconds.observe(waited.as_secs_f64());
        if appended.duplicate {
            chat.duplicates_total.inc();
        }
    }
}
