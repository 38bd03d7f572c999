//! What is on the wire: the bytes of broadcasts, requests and answers.
//! Pure functions; every error is a value, and input from the network can neither panic nor
//! recurse without end.

pub(crate) mod args;
pub(crate) mod broadcast;
pub(crate) mod date;
pub(crate) mod reader;
pub(crate) mod request;
pub(crate) mod response;

/// Nesting deeper than this is refused in both directions. `serde_json` refuses the same depth, so
/// what one side can read the other can write.
pub(crate) const DEPTH_MAX: usize = 128;
