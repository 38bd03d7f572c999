//! Pingora's errors in our words: what happened to a try, and what the client is told.

use bytes::Bytes;
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::{Error, ErrorSource, ErrorType};

use crate::exchange::cut::Cut;
use crate::outcome::Outcome;
use crate::refusal::Refusal;
use crate::request::Tries;

/// What failed before the connection stood.
pub(super) fn of_connect(error: &Error) -> Outcome {
    match error.etype() {
        ErrorType::ConnectRefused => Outcome::ConnectRefused,
        ErrorType::ConnectTimedout => Outcome::ConnectTimeout,
        // Pingora's word for sockets that could not even be made or bound.
        ErrorType::InternalError | ErrorType::SocketError | ErrorType::BindError => Outcome::Local,
        _ => {
            system_error(error).map_or(Outcome::ConnectFailed, |error| {
                match Outcome::of_connect(error) {
                    Outcome::Local => Outcome::Local,
                    Outcome::ConnectRefused => Outcome::ConnectRefused,
                    _ => Outcome::ConnectFailed,
                }
            })
        }
    }
}

fn system_error(error: &Error) -> Option<&std::io::Error> {
    error.root_cause().downcast_ref()
}

/// What failed on a connection that stood.
pub(super) fn of_exchange(error: &Error, was_kept: bool) -> Outcome {
    if *error.esource() != ErrorSource::Upstream {
        return Outcome::ClientGone;
    }
    match error.etype() {
        ErrorType::ReadTimedout | ErrorType::WriteTimedout => Outcome::Timeout,
        ErrorType::InvalidHTTPHeader | ErrorType::H1Error => Outcome::InvalidAnswer,
        _ if was_kept => Outcome::StaleConnection,
        _ => Outcome::Broken,
    }
}

/// What the client is told about an error that no hook of ours made; `None` if nobody is left to tell.
pub(super) fn refusal_of(error: &Error, tries: &Tries) -> Option<Refusal> {
    match error.esource() {
        // Its stream, or its whole connection, is gone.
        ErrorSource::Downstream => None,
        ErrorSource::Upstream | ErrorSource::Internal | ErrorSource::Unset => {
            Some(tries.last().map_or(Refusal::Internal, Outcome::refusal))
        }
    }
}

/// Why an answer that began did not end.
pub(super) fn cut_of(error: &Error) -> Cut {
    match (error.esource(), error.etype()) {
        (ErrorSource::Downstream, ErrorType::WriteTimedout) => Cut::SendTimeout,
        (ErrorSource::Downstream, _) => Cut::Client,
        (ErrorSource::Upstream | ErrorSource::Internal | ErrorSource::Unset, _) => Cut::Server,
    }
}

/// The same answer as `Refusal::to_bytes`, on a stream. `origin`: as there.
pub(super) async fn answer(
    session: &mut ServerSession,
    refusal: Refusal,
    origin: Option<&str>,
) -> pingora::Result<()> {
    let body = Bytes::from(refusal.body());
    let mut head = ResponseHeader::build(refusal.status(), Some(6))?;
    head.insert_header("Content-Type", refusal.content_type())?;
    if let Some(seconds) = refusal.retry_after_seconds() {
        head.insert_header("Retry-After", seconds.to_string())?;
    }
    for (name, value) in origin.map_or_else(Vec::new, |origin| refusal.cross_origin_fields(origin))
    {
        head.insert_header(name, value)?;
    }
    head.insert_header("Content-Length", body.len())?;
    session.write_error_response(head, body).await
}
