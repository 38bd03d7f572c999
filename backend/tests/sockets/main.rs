//! Backends as clients meet them: real sockets, in this process, on a memory store.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do; clippy exempts only the test functions themselves"
)]

mod auth;
mod bad_input;
mod bots;
mod changes;
mod chat;
mod client;
mod delivery;
mod http;
mod identity;
mod openapi;
mod operator;
mod place;
mod presence;
mod rest;
mod rooms;
mod search;
mod stop;
mod trouble;
mod webhooks;
