//! A member that sits in its room and says nothing.

use super::super::drive::{Next, Scene, Session};
use super::super::tally::Failure;
use super::super::websocket::WebSocket;
use super::join;

/// Of each room.
const SEATS: usize = 20;

pub(crate) struct Seat(#[expect(dead_code, reason = "open for as long as it is held")] WebSocket);

impl Session for Seat {
    const NAME: &'static str = "socketio-idle";

    async fn open(scene: &Scene, index: usize) -> Result<Self, Failure> {
        let room = format!("seats-{}", index / SEATS);
        Ok(Self(join(scene, index, &room, true).await?))
    }

    async fn once(&mut self) -> Result<Next, Failure> {
        Ok(Next::Same)
    }
}
