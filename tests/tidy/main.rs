//! What reviewers would otherwise have to look for. Runs in milliseconds and starts no program.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "in a test they are the failure"
)]

mod architecture;
mod documented;
mod layers;
mod sources;
mod words;
