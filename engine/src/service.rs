//! The engine as a service: takes requests under its path, and passes others on.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::Full;
use hyper::service::Service as HyperService;
use pin_project_lite::pin_project;
use tower_service::Service as TowerService;

use crate::answer::{self, Answer};
use crate::config::EngineIoConfig;
use crate::handler::EngineIoHandler;
use crate::request::{self, Wish};
use crate::sessions::Sessions;
use crate::{polling, websocket};

pub use crate::answer::ResponseBody;
pub use crate::request::Refused;

/// Serves Engine.IO under its path, and what `inner` serves elsewhere.
#[derive(Debug)]
pub struct EngineIoService<H: EngineIoHandler, S = NotFoundService> {
    inner: S,
    sessions: Arc<Sessions<H>>,
}

impl<H: EngineIoHandler, S: Clone> EngineIoService<H, S> {
    /// `inner` serves what is not under the engine's path.
    pub fn with_config_inner(inner: S, handler: Arc<H>, config: EngineIoConfig) -> Self {
        let sessions = Sessions::new(handler, config);
        Self { inner, sessions }
    }

    /// One such service for every connection.
    pub fn into_make_service(self) -> MakeEngineIoService<H, S> {
        MakeEngineIoService(self)
    }
}

impl<H: EngineIoHandler, S> EngineIoService<H, S> {
    fn is_asked<B>(&self, request: &Request<B>) -> bool {
        is_under(&self.sessions.config.req_path, request.uri().path())
    }

    fn answer<B>(&self, request: Request<B>) -> OurAnswer
    where
        B: Body + Send + Unpin + 'static,
        B::Data: Send,
        B::Error: std::fmt::Debug,
    {
        let sessions = Arc::clone(&self.sessions);
        match request::wish(&request, &sessions.config) {
            Ok(Wish::Open) => at_once(polling::open(&sessions, request.into_parts().0)),
            Ok(Wish::Poll(id)) => Box::pin(polling::poll(sessions, id)),
            Ok(Wish::Post(id)) => Box::pin(polling::post(sessions, id, request)),
            Ok(Wish::WebSocket(id)) => at_once(websocket::accept(sessions, id, request)),
            Err(why) => at_once(answer::refused(why)),
        }
    }
}

impl<H: EngineIoHandler, S: Clone> Clone for EngineIoService<H, S> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            sessions: Arc::clone(&self.sessions),
        }
    }
}

/// `/engine.io` has `/engine.io/`, and not `/engine.iou`.
fn is_under(path: &str, asked: &str) -> bool {
    let rest = asked.strip_prefix(path);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

type OurAnswer = Pin<Box<dyn Future<Output = Answer> + Send>>;

fn at_once(answer: Answer) -> OurAnswer {
    Box::pin(ready(answer))
}

pin_project! {
    /// The answer of the engine or of the inner service.
    #[project = AnsweringProjection]
    pub enum Answering<F> {
        Ours { answer: OurAnswer },
        Theirs { #[pin] answer: F },
    }
}

impl<F, B, E> Future for Answering<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            AnsweringProjection::Ours { answer } => {
                let answer = answer.as_mut().poll(cx);
                answer.map(|answer| Ok(answer.map(ResponseBody::Ours)))
            }
            AnsweringProjection::Theirs { answer } => {
                let answer = answer.poll(cx);
                answer.map_ok(|answer| answer.map(ResponseBody::Theirs))
            }
        }
    }
}

impl<H, S, B, A> TowerService<Request<B>> for EngineIoService<H, S>
where
    H: EngineIoHandler,
    S: TowerService<Request<B>, Response = Response<A>>,
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: std::fmt::Debug,
{
    type Response = Response<ResponseBody<A>>;
    type Error = S::Error;
    type Future = Answering<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match self.is_asked(&request) {
            true => Answering::Ours {
                answer: self.answer(request),
            },
            false => Answering::Theirs {
                answer: self.inner.call(request),
            },
        }
    }
}

impl<H, S, B, A> HyperService<Request<B>> for EngineIoService<H, S>
where
    H: EngineIoHandler,
    S: HyperService<Request<B>, Response = Response<A>>,
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: std::fmt::Debug,
{
    type Response = Response<ResponseBody<A>>;
    type Error = S::Error;
    type Future = Answering<S::Future>;

    fn call(&self, request: Request<B>) -> Self::Future {
        match self.is_asked(&request) {
            true => Answering::Ours {
                answer: self.answer(request),
            },
            false => Answering::Theirs {
                answer: self.inner.call(request),
            },
        }
    }
}

/// Connections that HTTP did not bring are not taken: socketioxide asks for this interface, and nobody uses it.
impl<C, H: EngineIoHandler, S> TowerService<(C, Request<()>)> for EngineIoService<H, S> {
    type Response = ();
    type Error = Refused;
    type Future = Ready<Result<(), Refused>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: (C, Request<()>)) -> Self::Future {
        ready(Err(Refused::BadRequest))
    }
}

impl<C, H: EngineIoHandler, S> HyperService<(C, Request<()>)> for EngineIoService<H, S> {
    type Response = ();
    type Error = Refused;
    type Future = Ready<Result<(), Refused>>;

    fn call(&self, _: (C, Request<()>)) -> Self::Future {
        ready(Err(Refused::BadRequest))
    }
}

/// Gives every connection the same service.
#[derive(Clone, Debug)]
pub struct MakeEngineIoService<H: EngineIoHandler, S>(EngineIoService<H, S>);

impl<H: EngineIoHandler, S: Clone, T> TowerService<T> for MakeEngineIoService<H, S> {
    type Response = EngineIoService<H, S>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: T) -> Self::Future {
        ready(Ok(self.0.clone()))
    }
}

/// Knows nothing.
#[derive(Clone, Copy, Debug)]
pub struct NotFoundService;

impl<B> TowerService<Request<B>> for NotFoundService {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        ready(Ok(answer::empty(StatusCode::NOT_FOUND)))
    }
}

impl<B> HyperService<Request<B>> for NotFoundService {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn call(&self, _: Request<B>) -> Self::Future {
        ready(Ok(answer::empty(StatusCode::NOT_FOUND)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_has_what_is_under_it() {
        for (asked, is_ours) in [
            ("/socket.io", true),
            ("/socket.io/", true),
            ("/socket.io/socket.io.js", true),
            ("/socket.iou", false),
            ("/", false),
        ] {
            assert_eq!(is_under("/socket.io", asked), is_ours, "{asked}");
        }
    }
}
