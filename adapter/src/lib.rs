//! Joins Socket.IO servers into one: rooms span servers, whether they are Berth, other users of
//! socketioxide, or Node with `@socket.io/redis-adapter`.

mod adapter;
mod answer;
mod bus;
mod channels;
mod cluster;
mod codec;
mod counts;
mod dispatch;
mod hub;
mod receive;
mod redis;

pub use adapter::ClusterAdapter;
pub use cluster::{Cluster, ClusterError, Kind, Link};
pub use counts::Counts;
pub use hub::Hub;
pub use redis::RedisOptions;
