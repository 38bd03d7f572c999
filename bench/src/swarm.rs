//! The clients: many connections on one thread, each doing one exchange after another.
//!
//! A run warms up, then measures: exchanges, their latency, and what the watched processes spent meanwhile. With a rate, every
//! exchange has an intended time, and its latency counts from there: a proxy that stalls is charged for what it kept waiting.

mod channel;
mod drive;
mod h2;
mod http;
mod idle;
mod meter;
mod pace;
mod progress;
mod report;
mod socketio;
mod tally;
mod target;
mod websocket;

pub use drive::{Plan, Session, run};
pub use h2::H2;
pub use http::Http;
pub use idle::{IdlePlan, Kind, idle};
pub use report::{Cpu, IdleReport, Latency, Memory, Report, RoomReport};
pub use socketio::{RoomPlan, rooms};
pub use target::Target;
pub use websocket::{Echo, Fresh};
