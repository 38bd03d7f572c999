//! berth-backend: a Socket.IO chat backend that keeps its promise.
//!
//! Core, without clocks, dice or sockets: [`chat`], [`protocol`]. Ports: [`store`], [`directory`], [`session`], [`users`], [`presence`], [`webhooks`]. Shell: `deeds`, [`append`], [`delivery`], [`socket`], [`http`],
//! [`server`] and what surrounds them.

pub mod append;
pub mod bans;
pub mod bots;
pub mod chat;
pub mod cli;
pub mod clock;
#[cfg(test)]
mod contract;
pub mod date;
mod deeds;
pub mod delivery;
pub mod directory;
pub mod http;
pub mod lifecycle;
pub mod logging;
pub mod metrics;
pub mod presence;
pub mod probe;
pub mod protocol;
pub mod reader;
pub mod rooms;
pub mod server;
pub mod session;
pub mod settings;
pub mod socket;
mod sqlite;
pub mod store;
pub mod stores;
pub mod token;
pub mod trial;
pub mod users;
pub mod webhooks;
