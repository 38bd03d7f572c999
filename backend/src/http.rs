//! The HTTP side of a backend.

pub mod page;
