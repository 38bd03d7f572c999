//! berth-proxy: a sticky-session load balancer for Socket.IO and WebSocket fleets.

pub mod config;
pub mod descriptors;
pub mod server;
pub mod settings;
