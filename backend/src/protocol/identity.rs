//! What passes between a client and the server about who it is, after the handshake.

use serde::Serialize;
use serde_json::Value;

use crate::chat::refusal::Refusal;

/// The names of the server's events.
pub const SESSION_EXPIRING: &str = "sessionExpiring";
pub const SESSION_ENDED: &str = "sessionEnded";

/// `authRefresh({token})`, `authRefresh("token")`.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshRequest {
    pub token: String,
}

impl RefreshRequest {
    /// # Errors
    /// The refusal to answer.
    pub fn read(arguments: Vec<Value>) -> Result<Self, Refusal> {
        let token = match arguments.into_iter().next() {
            Some(Value::String(token)) => Some(token),
            Some(Value::Object(mut fields)) => match fields.remove("token") {
                Some(Value::String(token)) => Some(token),
                _ => None,
            },
            _ => None,
        };
        token
            .map(|token| Self { token })
            .ok_or_else(|| Refusal::bad_request("token is missing; send {token: \"…\"}"))
    }
}

/// The ack of `authRefresh`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Refreshed {
    pub expires_at: String,
}

/// `sessionExpiring`: the token ends soon; `authRefresh` with a new one keeps the connection.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionExpiring {
    pub expires_at: String,
}

/// `sessionEnded`: the last event before the server disconnects the client.
#[derive(Debug, Serialize)]
pub struct SessionEnded {
    pub reason: &'static str,
}
