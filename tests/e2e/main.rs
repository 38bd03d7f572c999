//! End to end: the real programs, real Redis and MongoDB, official clients. Would survive a rewrite of either program.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "in a test they are the failure"
)]

mod api;
mod bad_input_backend;
mod bad_input_proxy;
mod checks;
mod configs;
mod cross_origin;
mod delivery;
mod descriptors;
mod doctor;
mod engine;
mod failover;
mod frames;
mod guide;
mod harness;
mod http2;
mod names;
mod nginx;
mod nginx_clients;
mod nginx_failures;
mod nginx_hash;
mod nginx_import;
mod nginx_rounds;
mod node;
mod operator;
mod order;
mod page;
mod presence;
mod redis;
mod reload;
mod sessions;
mod shutdown;
mod smuggling;
mod status;
mod stickiness;
mod stores;
mod storm;
mod tls;
mod webhooks;
