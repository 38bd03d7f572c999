//! Where a body ends, and how much of the bytes that arrive is still it.

use super::chunked::{Chunked, Keep, Malformed, Passed};
use crate::head::Body;

/// A body's framing (RFC 9112 §6), and how far it has come.
#[derive(Clone, Debug)]
pub(crate) enum Framing {
    /// So many bytes are left.
    Length(u64),
    Chunked(Chunked),
    /// The end of the connection is its end.
    UntilClose,
}

impl Framing {
    pub(crate) const NONE: Self = Self::Length(0);

    /// A request's.
    #[must_use]
    pub(crate) fn of_request(body: Body) -> Self {
        match body {
            Body::None => Self::NONE,
            Body::Length(length) => Self::Length(length),
            Body::Chunked => Self::Chunked(Chunked::new(Keep::Chunks)),
        }
    }

    /// Whether all of it has passed.
    #[must_use]
    pub(crate) fn is_done(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunked) => chunked.is_done(),
            Self::UntilClose => false,
        }
    }

    /// Whether the end of the connection may end it here.
    #[must_use]
    pub(crate) fn may_end(&self) -> bool {
        matches!(self, Self::UntilClose)
    }

    /// Takes what arrived, and moves what goes on to its front.
    ///
    /// # Errors
    /// When chunks are malformed, or announce more than `content_bytes_max`.
    pub(crate) fn filter(&mut self, bytes: &mut [u8]) -> Result<Passed, Malformed> {
        match self {
            Self::Length(left) => {
                let used = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *left -= used as u64;
                Ok(Passed { kept: used, used })
            }
            Self::Chunked(chunked) => chunked.filter(bytes),
            Self::UntilClose => Ok(Passed {
                kept: bytes.len(),
                used: bytes.len(),
            }),
        }
    }

    /// Content that chunks announced so far, in bytes. What has a length was judged by it.
    #[must_use]
    pub(crate) fn announced_bytes(&self) -> u64 {
        match self {
            Self::Chunked(chunked) => chunked.content_bytes(),
            Self::Length(_) | Self::UntilClose => 0,
        }
    }
}
