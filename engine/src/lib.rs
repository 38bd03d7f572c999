//! Engine.IO for socketioxide: sessions, their two transports, and what their clients are still to be sent.
//!
//! The order of a session's life: `service` takes its requests, `request` says what one asks, `sessions` has the open ones, `socket` is one
//! of them; `polling` and `websocket` carry it, `heartbeat` says when it is dead. **Everything that a client is sent goes through its
//! `outbox`**, whichever transport it has: one queue, bounded in bytes, which writes to the connection at once when nothing waits.
//!
//! The interface is that of the crate whose place this takes (see `Cargo.toml`), as far as socketioxide uses it; [`Outbox`] and [`Stream`]
//! come in addition. Protocol: [Engine.IO 4](https://socket.io/docs/v4/engine-io-protocol/), WebSocket: RFC 6455.

mod answer;
mod clock;
pub mod config;
pub mod frame;
pub mod handler;
mod heartbeat;
mod outbox;
mod payload;
mod polling;
mod request;
pub mod service;
mod sessions;
pub mod socket;
mod stream;
mod websocket;

pub use engineioxide_core::{ProtocolVersion, Str, TransportType};
pub use outbox::{Outbox, Sent};
pub use socket::{DisconnectReason, Socket};
pub use stream::{Shared, Stream};
