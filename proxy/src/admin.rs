//! The operator's listener: `/metrics`, `/status`, `/health/liveness`, `/health/readiness`. Never public.
//!
//! Liveness says that the process serves; readiness, that it wants clients: not while it drains, and not while an
//! upstream has no server that may serve.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::alarm::Alarm;
use crate::head::read::{Bounds, Came, read};
use crate::head::{self, find_end};
use crate::health;
use crate::lifecycle::Phase;
use crate::refusal::Refusal;
use crate::shared::Context;

/// A scraper needs a few hundred bytes.
const BOUNDS: Bounds = Bounds {
    bytes_max: 8 * 1024,
    idle_timeout: Duration::from_secs(30),
    head_timeout: Duration::from_secs(5),
};
/// Who does not take an answer in this time does not want it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

mod status;

const TEXT: &str = "text/plain; charset=utf-8";

struct Page {
    status: &'static str,
    content_type: &'static str,
    body: Vec<u8>,
}

/// Answers one request and closes.
pub(crate) async fn serve(mut stream: TcpStream, context: Arc<Context>) {
    let mut bytes = BytesMut::new();
    let answer = match read(&mut stream, &mut bytes, BOUNDS, &mut Alarm::default()).await {
        Came::Nothing => return,
        Came::Refused(refusal) => refusal.to_bytes(None),
        Came::Head(_) => answer(&bytes, &context),
    };
    let written = timeout(ANSWER_TIMEOUT, async {
        stream.write_all(&answer).await?;
        stream.shutdown().await
    });
    if let Ok(Err(error)) = written.await {
        tracing::debug!(%error, "an admin client left before its answer");
    }
}

fn answer(bytes: &[u8], context: &Context) -> Vec<u8> {
    let mut room = head::room();
    let parsed = find_end(bytes)
        .map(|end| bytes.get(..end.unwrap_or(0)).unwrap_or_default())
        .and_then(|bytes| head::parse(bytes, &mut room));
    let head = match parsed {
        Ok(head) => head,
        Err(refusal) => return refusal.to_bytes(None),
    };
    let page = match (head.method, head.path) {
        ("GET" | "HEAD", b"/metrics") => metrics(context),
        ("GET" | "HEAD", b"/status") => status(context),
        ("GET" | "HEAD", b"/health/liveness") => text("200 OK", "ok\n"),
        ("GET" | "HEAD", b"/health/readiness") => readiness(context),
        ("GET" | "HEAD", _) => text(
            "404 Not Found",
            "/metrics /status /health/liveness /health/readiness\n",
        ),
        _ => text("405 Method Not Allowed", "GET only\n"),
    };
    let mut answer = format!(
        "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        page.status,
        page.content_type,
        page.body.len()
    )
    .into_bytes();
    if head.method == "GET" {
        answer.extend_from_slice(&page.body);
    }
    answer
}

fn text(status: &'static str, body: impl Into<String>) -> Page {
    Page {
        status,
        content_type: TEXT,
        body: body.into().into_bytes(),
    }
}

fn metrics(context: &Context) -> Page {
    let shared = &context.shared;
    match shared
        .metrics
        .text(&shared.registry.current(), shared.clock.seconds())
    {
        Ok(body) => Page {
            status: "200 OK",
            content_type: "text/plain; version=0.0.4",
            body,
        },
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written");
            text("500 Internal Server Error", Refusal::Internal.body())
        }
    }
}

fn status(context: &Context) -> Page {
    match serde_json::to_vec(&status::status(context)) {
        Ok(mut body) => {
            body.push(b'\n');
            Page {
                status: "200 OK",
                content_type: "application/json",
                body,
            }
        }
        Err(error) => {
            tracing::error!(%error, "the status cannot be written");
            text("500 Internal Server Error", Refusal::Internal.body())
        }
    }
}

fn readiness(context: &Context) -> Page {
    if context.life.phase() != Phase::Running {
        return text("503 Service Unavailable", "draining\n");
    }
    let now = context.shared.clock.seconds();
    let snapshot = context.shared.registry.current();
    let lost = snapshot.upstreams.iter().find(|upstream| {
        !upstream
            .pool
            .servers()
            .iter()
            .any(|server| health::may_serve(server, now))
    });
    match lost {
        None => text("200 OK", "ready\n"),
        Some(upstream) => text(
            "503 Service Unavailable",
            format!("upstream {}: no live server\n", upstream.name),
        ),
    }
}
