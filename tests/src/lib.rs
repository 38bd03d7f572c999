//! The words the end-to-end tests are written in.
//!
//! ```text
//! let town = Town::with_backends(3).redis().proxy(Proxy::ip_hash()).start().await;
//! let alice = town.client(1).await;
//! alice.join("lobby").await;
//! town.kill(2);
//! eventually("two servers are left", secs(5), async || (town.ready().await == 2).then_some(())).await;
//! ```
//!
//! It starts the real programs on free ports, waits for conditions and never for time, and stops only what it started.
//! A word that cannot do its work panics: in a test that is the failure, with both programs' logs behind it.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "the harness of tests: what goes wrong here fails the test that asked for it"
)]

mod backend;
mod client;
mod echo;
mod environment;
mod eventually;
mod haproxy;
pub mod http;
mod nginx;
mod node;
mod ports;
mod process;
mod proxy;
mod reading;
pub mod recorder;
mod services;
mod stack;
mod town;
mod wire;

pub use backend::Backend;
pub use client::{Client, Event, Transport};
pub use echo::{Echo, Mood};
pub use environment::{now, repository, variable};
pub use eventually::{eventually, secs, within};
pub use haproxy::Haproxy;
pub use nginx::{Nginx, NginxLines};
pub use node::Script;
pub use ports::Port;
pub use process::{Program, binary};
pub use proxy::{Proxy, RunningProxy};
pub use reading::{Read, Reader};
pub use recorder::Recorder;
pub use services::{Mongo, Redis};
pub use stack::Stack;
pub use town::{SESSION_SECRET, Town, TownPlan};
