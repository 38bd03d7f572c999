//! What a server tells everybody about itself.

use serde::Serialize;
use serde_json::Value;

use super::read::{needed, object, text};
use crate::chat::admit::{check_text, check_word};
use crate::chat::refusal::Refusal;

/// The names of the server's events.
pub const SERVER_NOTICE: &str = "serverNotice";
pub const SERVER_DRAINING: &str = "serverDraining";

/// How urgent a notice may be.
const LEVELS: [&str; 3] = ["info", "warning", "error"];

/// Longest text and word of a notice, in bytes.
const NOTICE_BYTES_MAX: usize = 2_048;
const CODE_BYTES_MAX: usize = 64;

/// `serverNotice`: from an operator, to everybody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServerNotice {
    level: &'static str,
    code: String,
    message: String,
}

impl ServerNotice {
    /// # Errors
    /// The refusal to answer.
    pub fn read(arguments: Vec<Value>) -> Result<Self, Refusal> {
        let fields = object(arguments)?;
        let message = needed(&fields, "message")?;
        check_text("message", &message, NOTICE_BYTES_MAX)?;
        let code = text(&fields, "code")?.unwrap_or_else(|| "NOTICE".to_owned());
        check_word("code", &code, CODE_BYTES_MAX)?;
        let wanted = text(&fields, "level")?;
        let wanted = wanted.as_deref().unwrap_or("info");
        let level = LEVELS.into_iter().find(|level| *level == wanted);
        let level = level
            .ok_or_else(|| Refusal::bad_request("level is none of info, warning and error"))?;
        Ok(Self {
            level,
            code,
            message,
        })
    }
}

/// `serverDraining`: this server lets its clients go; each is told when to connect anew.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerDraining {
    pub reconnect_in_ms: u64,
}
