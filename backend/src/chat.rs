//! What a chat is: rooms, messages, and the rules that decide who may do what.
//!
//! Core: takes facts, returns decisions. Never reads the clock, never does IO, never sees the configuration.

pub mod admit;
pub mod change;
pub mod fold;
pub mod limits;
pub mod membership;
pub mod message;
pub mod refusal;
pub mod room;
pub mod search;
pub mod standing;
pub mod typing;
