//! `typing`: said to the members of a room, kept nowhere, and the first thing to go when there is too much to do.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use berth_adapter::{Cluster, ServerEvent};
use serde_json::{Value, json};
use socketioxide::SocketIo;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::connect::Client;
use super::reply::Reply;
use super::{Adapter, App, join};
use crate::chat::message::Sender;
use crate::chat::refusal::{Code, Refusal};
use crate::chat::room::RoomId;
use crate::chat::typing::Typing;
use crate::clock;
use crate::protocol::{self, TypingBody, TypingRequest};

/// The event between servers: who has begun, gone on or stopped.
const SAID: &str = "berth:typing";

/// How often members and other servers are told.
const TICK: Duration = Duration::from_millis(250);

/// What waits to be told to the other servers; more is dropped, as all of it may be.
const SAID_MAX: usize = 1_000;

/// Who types, as far as this instance knows, and what the others have not heard of yet.
#[derive(Default)]
pub(super) struct Typists(Mutex<State>);

#[derive(Default)]
struct State {
    typing: Typing,
    said: Vec<Value>,
}

impl Typists {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a client's word. Answered only when it makes no sense: nobody waits for an ack.
pub(super) async fn note(app: &App, client: &Client, arguments: Vec<Value>, reply: Reply) {
    let request = match TypingRequest::read(arguments) {
        Ok(request) => request,
        Err(refusal) => return reply.refuse(&refusal, (None, None)).await,
    };
    let room = request.room;
    if !join::is_member(&reply.socket, &room) {
        let refusal = Refusal::new(Code::NotMember, "join the room before typing in it");
        return reply.refuse(&refusal, (Some(room.as_str()), None)).await;
    }
    if is_worth_it(app, &room) {
        let mut state = app.typists.state();
        let now = clock::monotonic();
        state
            .typing
            .note(&room, &client.sender, request.is_typing, now);
        if state.said.len() < SAID_MAX {
            state.said.push(json!({
                "roomId": room.as_str(),
                "id": client.sender.id,
                "name": client.sender.name,
                "isTyping": request.is_typing,
            }));
        }
    }
    reply.done(protocol::Nothing {}).await;
}

/// In a large room somebody always types. And when messages wait for the store, they come first.
fn is_worth_it(app: &App, room: &RoomId) -> bool {
    let is_small = app.attendance.count(room) <= app.typing_members_max;
    is_small && !is_under_pressure(app)
}

fn is_under_pressure(app: &App) -> bool {
    let pending = usize::try_from(app.metrics.append.pending_bytes.get()).unwrap_or_default();
    pending > app.pressure_bytes
}

/// Tells members and other servers, and hears these, until the instance drains.
pub(super) async fn run(
    app: Arc<App>,
    io: SocketIo<Adapter>,
    cluster: Cluster,
    draining: CancellationToken,
) {
    let mut heard = cluster.server_events();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = draining.cancelled() => return,
            event = heard.recv() => match event {
                Ok(event) if event.name == SAID => hear(&app, &event),
                // What was missed ends by itself.
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
            _ = ticks.tick() => tell(&app, &io, &cluster).await,
        }
    }
}

fn hear(app: &App, event: &ServerEvent) {
    let said = event.arguments.first().and_then(Value::as_array);
    let (mut state, now) = (app.typists.state(), clock::monotonic());
    for one in said.into_iter().flatten() {
        let text = |key: &str| one.get(key).and_then(Value::as_str);
        let is_typing = one.get("isTyping").and_then(Value::as_bool);
        let (Some(room), Some(id), Some(name), Some(is_typing)) =
            (text("roomId"), text("id"), text("name"), is_typing)
        else {
            continue;
        };
        // Only rooms that have somebody here are worth remembering.
        if let Ok(room) = RoomId::parse(room)
            && app.attendance.count(&room) > 0
        {
            let sender = Sender {
                id: id.to_owned(),
                name: name.to_owned(),
            };
            state.typing.note(&room, &sender, is_typing, now);
        }
    }
}

async fn tell(app: &App, io: &SocketIo<Adapter>, cluster: &Cluster) {
    let (due, said) = {
        let mut state = app.typists.state();
        if state.typing.is_empty() && state.said.is_empty() {
            return;
        }
        let due = state.typing.due(clock::monotonic());
        (due, std::mem::take(&mut state.said))
    };
    if !said.is_empty()
        && let Err(error) = cluster.server_side_emit("/", SAID, &Value::from(said))
    {
        tracing::debug!(%error, "other servers were not told who types");
    }
    if is_under_pressure(app) {
        return;
    }
    for (room, typers) in due {
        let body = TypingBody {
            room_id: room.as_str(),
            users: typers.into_iter().map(Into::into).collect(),
        };
        let members = io.within(room.as_str().to_owned()).local().volatile();
        if let Err(error) = members.emit(protocol::TYPING, &body).await {
            tracing::debug!(%room, %error, "not all members were told who types");
        }
    }
}
