//! berth-backend: a Socket.IO chat backend that keeps its promise.

pub mod chat;
pub mod date;
pub mod http;
pub mod session;
mod sqlite;
pub mod store;
