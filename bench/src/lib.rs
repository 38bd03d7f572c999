//! Measures proxies: `swarm` makes the load, `backend` answers it, `watch` reads what it cost, `compare` puts Berth beside others.
//!
//! Nothing here is used by the product, and nothing of the product is used here: every proxy is a program on a port.

pub mod backend;
mod clock;
pub mod compare;
pub mod descriptors;
pub mod floor;
pub mod frame;
mod handshake;
mod head;
pub mod swarm;
pub mod watch;
