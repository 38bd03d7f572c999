//! berth-backend: a Socket.IO chat backend that keeps its promise.

pub mod chat;
pub mod session;
pub mod store;
