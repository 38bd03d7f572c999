//! Who is told what clients do.

use std::sync::Arc;

use bytes::Bytes;
use engineioxide_core::Str;

use crate::socket::{DisconnectReason, Socket};

/// Hears of every session. Nothing here may block: it runs on the task that reads the connection.
pub trait EngineIoHandler: std::fmt::Debug + Send + Sync + 'static {
    /// What a session carries for its handler.
    type Data: Default + Send + Sync + 'static;

    /// A session has begun.
    fn on_connect(self: Arc<Self>, socket: Arc<Socket<Self::Data>>);

    /// A session has ended. Called once.
    fn on_disconnect(&self, socket: Arc<Socket<Self::Data>>, reason: DisconnectReason);

    /// A text message came.
    fn on_message(self: &Arc<Self>, msg: Str, socket: Arc<Socket<Self::Data>>);

    /// A binary message came.
    fn on_binary(self: &Arc<Self>, data: Bytes, socket: Arc<Socket<Self::Data>>);
}
