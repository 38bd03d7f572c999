//! End to end: the real programs, real Redis and MongoDB, official clients. Would survive a rewrite of either program.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "in a test they are the failure"
)]

mod harness;
