//! One access line per request and per tunnel. Other modules log transitions; nobody else logs requests.

use std::borrow::Cow;
use std::time::Duration;

use crate::refusal::Refusal;

/// What is known about a request when it ends.
#[derive(Clone, Debug)]
pub struct Access<'a> {
    pub client: &'a str,
    pub method: &'a str,
    pub host: Cow<'a, str>,
    pub target: Cow<'a, str>,
    pub upstream: &'a str,
    /// Empty: no server was reached.
    pub server: &'a str,
    pub tries: u32,
    pub duration: Duration,
}

/// Sends everything that is logged to stdout: for people, or as JSON for machines.
///
/// # Errors
/// When the process already logs somewhere.
pub fn start(directives: &str, is_json: bool) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(directives)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false);
    let started = if is_json {
        builder.json().flatten_event(true).try_init()
    } else {
        builder.try_init()
    };
    started.map_err(|error| anyhow::anyhow!("cannot start logging: {error}"))
}

/// A request was answered; `refusal` says why if the proxy did it.
pub fn request(access: &Access<'_>, status: u16, bytes_sent: usize, refusal: Option<Refusal>) {
    tracing::info!(
        client = access.client,
        method = access.method,
        host = %access.host,
        target = %access.target,
        status,
        upstream = access.upstream,
        server = access.server,
        tries = access.tries,
        bytes_sent,
        duration_seconds = access.duration.as_secs_f64(),
        why = refusal.map(Refusal::why),
        "request"
    );
}

/// A request was refused before it was known what it asks for, or whom.
pub fn refused(client: &str, refusal: Refusal) {
    tracing::info!(
        client,
        status = refusal.status(),
        why = refusal.why(),
        "request refused"
    );
}

/// A tunnel ended.
pub fn tunnel(access: &Access<'_>, bytes: (u64, u64), reason: &'static str) {
    let (bytes_received, bytes_sent) = bytes;
    tracing::info!(
        client = access.client,
        host = %access.host,
        target = %access.target,
        status = 101,
        upstream = access.upstream,
        server = access.server,
        tries = access.tries,
        bytes_received,
        bytes_sent,
        duration_seconds = access.duration.as_secs_f64(),
        reason,
        "websocket closed"
    );
}
