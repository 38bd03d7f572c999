//! `leaveRoom`: no more messages of that room. Leaving a room one is not in is fine.

use serde_json::Value;

use super::App;
use super::connect::Client;
use super::join::is_own_room;
use super::reply::Reply;
use crate::protocol::{LeaveRequest, Nothing};

pub(super) async fn leave(app: &App, client: &Client, arguments: Vec<Value>, reply: Reply) {
    match LeaveRequest::read(arguments) {
        Ok(request) => {
            if !is_own_room(&reply.socket, &request.room) {
                client.seats.leave(&request.room);
                let leave = || reply.socket.leave(request.room.as_str().to_owned());
                app.delivery.exit(&request.room, leave);
                app.attendance.note(&request.room);
            }
            reply.done(Nothing {}).await;
        }
        Err(refusal) => reply.refuse(&refusal, (None, None)).await,
    }
}
