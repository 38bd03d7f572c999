//! Takes a client's event in: synchronously, in order of arrival, into the socket's inbox.

use std::sync::Arc;

use socketioxide::handler::MessageHandler;
use socketioxide::socket::Socket;
use socketioxide_core::Value;

use super::inbox::Pushed;
use super::reply::Reply;
use super::worker::{self, Job};
use super::{Adapter, App, connect::Client};
use crate::chat::refusal::{Code, Refusal};
use crate::protocol::Event;

/// What a waiting event weighs beyond its text, in bytes.
const JOB_OVERHEAD_BYTES: usize = 128;

/// The handler of all events of one socket: one for each would be a kilobyte for every idle connection.
pub(super) struct Intake {
    pub(super) app: Arc<App>,
    pub(super) client: Arc<Client>,
}

/// Implemented by hand: the ready-made handlers run in a spawned task, where the order of arrival is lost.
impl MessageHandler<Adapter, Self> for Intake {
    fn call(&self, socket: Arc<Socket<Adapter>>, packet: Value, ack_id: Option<i64>) {
        let Some(event) = event(&packet) else {
            return;
        };
        self.app
            .metrics
            .chat
            .events_total
            .with_label_values(&[event.as_str()])
            .inc();
        let metrics = self.app.metrics.clone();
        let reply = Reply {
            socket,
            client: Arc::clone(&self.client),
            ack_id,
            event,
            metrics,
        };
        if self.app.draining.is_cancelled() {
            return reply.refuse_now(&Refusal::draining());
        }
        let bytes = JOB_OVERHEAD_BYTES + weight(&packet);
        let bounds = (
            self.app.chat.inbox_events_max,
            self.app.chat.inbox_bytes_max,
        );
        let job = Job {
            packet,
            reply,
            arrived: crate::clock::monotonic(),
        };
        match self.client.inbox.push(job, bytes, bounds) {
            Ok(Pushed::Queued) => {}
            Ok(Pushed::StartWorker) => {
                let work = worker::run(Arc::clone(&self.app), Arc::clone(&self.client));
                self.app.tasks.spawn(work);
            }
            Err((_, job)) => {
                let refusal =
                    Refusal::new(Code::Overloaded, "too many events wait on this connection");
                job.reply.refuse_now(&refusal.retry_after_ms(1_000));
            }
        }
    }
}

/// What a packet asks for, if it is something of ours.
fn event(packet: &Value) -> Option<Event> {
    match packet {
        Value::Str(text, _) => Event::of(text),
        Value::Bytes(_) => None,
    }
}

fn weight(packet: &Value) -> usize {
    match packet {
        Value::Str(text, attachments) => {
            let attachments = attachments.iter().flatten();
            text.len() + attachments.map(bytes::Bytes::len).sum::<usize>()
        }
        Value::Bytes(bytes) => bytes.len(),
    }
}
