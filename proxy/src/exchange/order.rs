//! A request that the edge accepted, with all that carrying it out takes.

use std::borrow::Cow;
use std::ops::Range;

use bytes::BytesMut;

use super::Patience;
use super::answer::Asked;
use crate::head::Body;
use crate::request::Request;

/// A request that the edge accepted.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) request: Request,
    /// The head as servers get it, without the fields about the connection and without the end.
    pub(crate) head: Vec<u8>,
    pub(crate) body: Body,
    pub(crate) asked: Asked,
    pub(crate) patience: Patience,
    /// The client wants to go on with its connection.
    pub(crate) is_kept: bool,
    /// Where in `text` the log finds what was asked for.
    pub(crate) places: Places,
    /// The head as it came.
    pub(crate) text: BytesMut,
}

/// Parts of a head's text.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    pub(crate) method: Range<usize>,
    pub(crate) host: Range<usize>,
    pub(crate) target: Range<usize>,
    pub(crate) origin: Option<Range<usize>>,
}

impl Order {
    pub(super) fn method(&self) -> Cow<'_, str> {
        self.part(&self.places.method)
    }

    /// Fields may hold any bytes; what is no text is shown as such.
    pub(super) fn part(&self, place: &Range<usize>) -> Cow<'_, str> {
        String::from_utf8_lossy(self.bytes(place))
    }

    pub(super) fn bytes(&self, place: &Range<usize>) -> &[u8] {
        self.text.get(place.clone()).unwrap_or_default()
    }
}
