//! One access line per request and per tunnel. Other modules log transitions; nobody else logs requests.

use std::borrow::Cow;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use crate::refusal::Refusal;
use crate::tunnel::Ended;

mod lines;
mod text;

pub use lines::Gathering;

/// What is known about a request when it ends.
#[derive(Clone, Debug)]
pub(crate) struct Access<'a> {
    pub(crate) client: &'a str,
    pub(crate) method: &'a str,
    pub(crate) host: Cow<'a, str>,
    pub(crate) target: Cow<'a, str>,
    pub(crate) upstream: &'a str,
    /// Empty: no server was reached.
    pub(crate) server: &'a str,
    pub(crate) tries: u32,
    pub(crate) duration: Duration,
}

/// Sends everything that is logged to standard output: for people, or as JSON for machines. What this returns has to be
/// kept until the end of the program.
///
/// # Errors
/// When the process already logs somewhere, or the system has no thread left.
pub fn start(filter: EnvFilter, is_json: bool) -> anyhow::Result<Option<Gathering>> {
    let (lines, gathering) = lines::to_stdout()?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(gathering.is_none())
        .with_writer(lines);
    let started = match (is_json, &gathering) {
        (true, _) => builder.json().flatten_event(true).try_init(),
        (false, Some(_)) => builder.event_format(text::Text).try_init(),
        (false, None) => builder.try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("cannot start logging: {error}"))?;
    Ok(gathering)
}

/// Whether access lines are wanted at all, so that nobody gathers facts for nothing.
pub(crate) fn shows_requests() -> bool {
    tracing::enabled!(tracing::Level::INFO)
}

/// A request was answered; `why` is there if it was not by a server's whole answer.
pub(crate) fn request(
    access: &Access<'_>,
    status: u16,
    bytes_sent: usize,
    why: Option<&'static str>,
) {
    tracing::info!(
        client = access.client,
        method = access.method,
        host = &*access.host,
        target = &*access.target,
        status,
        upstream = access.upstream,
        server = access.server,
        tries = access.tries,
        bytes_sent,
        duration_seconds = access.duration.as_secs_f64(),
        why,
        "request"
    );
}

/// A request was refused before it was known what it asks for, or whom.
pub(crate) fn refused(client: &str, refusal: Refusal) {
    tracing::info!(
        client,
        status = refusal.status(),
        why = refusal.why(),
        "request refused"
    );
}

/// A tunnel ended.
pub(crate) fn tunnel(access: &Access<'_>, ended: &Ended) {
    tracing::info!(
        client = access.client,
        host = &*access.host,
        target = &*access.target,
        status = 101,
        upstream = access.upstream,
        server = access.server,
        tries = access.tries,
        bytes_received = ended.received.bytes,
        bytes_sent = ended.sent.bytes,
        messages_received = ended.received.messages,
        messages_sent = ended.sent.messages,
        duration_seconds = access.duration.as_secs_f64(),
        reason = ended.reason.label(),
        closed_by = ended.closed_by.label(),
        close_code = ended.close_code,
        "websocket closed"
    );
}
