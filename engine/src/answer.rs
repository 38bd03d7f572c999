//! Answers of the engine, and a body that is either one of them or another service's.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;

use crate::request::Refused;

/// The body of an answer.
#[derive(Debug)]
pub enum ResponseBody<B> {
    Ours(Full<Bytes>),
    Theirs(B),
}

impl<B: Body<Data = Bytes> + Unpin> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.get_mut() {
            Self::Ours(body) => Pin::new(body)
                .poll_frame(cx)
                .map_err(|never| match never {}),
            Self::Theirs(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Ours(body) => body.is_end_stream(),
            Self::Theirs(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Ours(body) => body.size_hint(),
            Self::Theirs(body) => body.size_hint(),
        }
    }
}

/// An answer of the engine itself.
pub(crate) type Answer = Response<Full<Bytes>>;

pub(crate) fn text(text: impl Into<Bytes>) -> Answer {
    typed(StatusCode::OK, "text/plain; charset=UTF-8", text.into())
}

pub(crate) fn refused(why: Refused) -> Answer {
    let body = format!(r#"{{"code":{},"message":"{why}"}}"#, why.code());
    typed(StatusCode::BAD_REQUEST, "application/json", body.into())
}

pub(crate) fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}

fn typed(status: StatusCode, media_type: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    let media_type = HeaderValue::from_static(media_type);
    answer
        .headers_mut()
        .insert(header::CONTENT_TYPE, media_type);
    answer
}
