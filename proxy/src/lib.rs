//! berth-proxy: a sticky-session load balancer for Socket.IO and WebSocket fleets.
//!
//! The file list is the way of a request. Core modules take facts and return decisions; they read no clock, roll no
//! dice and open no socket. Shell modules do the rest. `config` builds `settings`; nothing else knows the file.

pub mod config;
pub mod descriptors;
pub mod doctor;
pub mod explain;
pub mod import;
pub mod server;
pub mod settings;
pub mod status;

// Core, in the order a request meets it.
pub mod affinity;
pub mod balance;
mod by_thread;
pub mod certificate;
pub mod choose;
pub mod client;
pub mod handshakes;
pub mod hash_key;
pub mod head;
pub mod headers;
pub mod health;
pub mod heartbeat;
pub mod outcome;
pub mod pool;
pub mod refusal;
pub mod route;

// Shell.
mod admin;
mod alarm;
mod clock;
mod dial;
mod edge;
mod exchange;
mod h2;
mod lease;
mod lifecycle;
mod linger;
mod listen;
pub mod logging;
mod metrics;
mod prober;
mod registry;
mod reload;
mod request;
mod resolver;
mod scratch;
mod shared;
mod socket;
pub mod tls;
mod tunnel;
mod workers;
