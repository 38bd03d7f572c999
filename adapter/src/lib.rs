//! Joins Socket.IO servers into one: rooms span servers, whether they are Berth, other programs on
//! [socketioxide](https://docs.rs/socketioxide), or Node with `@socket.io/redis-adapter`.
//!
//! Over Redis it speaks the classic protocol of `@socket.io/redis-adapter` 8, byte for byte, so
//! that Node servers and `@socket.io/redis-emitter` take part. The [`Hub`] carries the same bytes
//! between servers of one process. A server that has neither is [alone](Cluster::alone).
//!
//! ```
//! use berth_adapter::{Cluster, ClusterAdapter, RedisOptions};
//! use socketioxide::{SocketIo, adapter::Emitter, extract::SocketRef};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), berth_adapter::ClusterError> {
//! // Returns at once, whether Redis is there or not.
//! let cluster = Cluster::redis(RedisOptions::new("redis://127.0.0.1:6379"))?;
//! let (layer, io) = SocketIo::builder()
//!     .with_adapter::<ClusterAdapter<Emitter>>(cluster.clone())
//!     .build_layer();
//! io.ns("/", async |socket: SocketRef<ClusterAdapter<Emitter>>| {
//!     // As Node does: servers address a client, or exclude it, by the room that has its id.
//!     socket.join(socket.id);
//! });
//! let is_clustered = cluster.link().borrow().is_clustered();
//! # drop((layer, is_clustered));
//! # Ok(())
//! # }
//! ```
//!
//! # What holds
//! - Local clients are served first. No event, and no change of rooms, waits for the bus or fails
//!   because of it; when the bus is gone, the server goes on alone and joins again by itself.
//! - Broadcasts made one after another on one server arrive everywhere in that order.
//! - A broadcast reaches a client at most once. One that is made while Redis is away is published
//!   when it is back within [five seconds](RedisOptions::publish_age_max), and is dropped
//!   otherwise; one that is under way when a connection breaks is lost. What must not be lost
//!   belongs into a store.
//! - A lost connection is made again for ever, after 100 ms at first and 2 s at most.
//!   [`Link::attached`] is only said when a message has come back through the subscriptions, and
//!   they are checked in that way every two seconds.
//! - Whatever comes from the bus, nothing panics: what makes no sense is
//!   [counted](Counts::malformed) and logged.
//! - Every queue is bounded in messages and in bytes, and what is lost is counted.
//!
//! # What is not there yet
//! - `fetch_sockets` shows sockets of servers on socketioxide only: the ids of Node's sockets are
//!   longer than this server's type for them.
//! - `emit_with_ack` collects the acknowledgements of all servers' clients. Those of other servers
//!   come without their ids and, as the protocol has it, with the first argument only; the ones
//!   that do not come in time are left out.
//! - Events between servers (`serverSideEmit`) carry no acknowledgements.
//! - `fetchSockets` on Node shows this server's sockets with their rooms, without handshake and
//!   data.
//! - Sharded pub/sub. On a Redis Cluster the classic channels work, through one node.
//! - A namespace whose name has a `#` stays on its own server.

mod adapter;
mod answer;
mod ask;
mod bus;
mod channels;
mod cluster;
mod codec;
mod counts;
mod dispatch;
mod gate;
mod hub;
mod receive;
mod redis;

pub use adapter::ClusterAdapter;
pub use cluster::{Cluster, ClusterError, Kind, Link, ServerEvent};
pub use counts::Counts;
pub use gate::{Arrived, Gate, Missed};
pub use hub::Hub;
pub use redis::RedisOptions;
