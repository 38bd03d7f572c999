//! How a tunnel ended: the metric's words and the log's.

use super::frames::{CLOSE_GOING_AWAY, CLOSE_SERVICE_RESTART};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) reason: Reason,
    /// From the client to the server.
    pub(crate) received: Traffic,
    /// From the server to the client.
    pub(crate) sent: Traffic,
    /// The server said goodbye before it ended: it answered the client's Close frame or sent one of its own.
    pub(crate) is_clean: bool,
    /// Who began to end it.
    pub(crate) closed_by: Side,
    /// Of the first Close frame (RFC 6455 §7.4).
    pub(crate) close_code: Option<u16>,
}

/// What passed in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) bytes: u64,
    /// Counted as long as the bytes are frames.
    pub(crate) messages: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
    Proxy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    ClientClosed,
    ServerClosed,
    ClientBroke,
    ServerBroke,
    Idle,
    TooOld,
    Stopped,
}

/// Why the proxy ends a tunnel that works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaving {
    Stopped,
    TooOld,
}

impl Ended {
    /// Whether the server just went away.
    #[must_use]
    pub(crate) fn server_dropped_it(&self) -> bool {
        matches!(self.reason, Reason::ServerClosed | Reason::ServerBroke) && !self.is_clean
    }
}

impl Side {
    #[must_use]
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
            Self::Proxy => "proxy",
        }
    }
}

impl Reason {
    /// The metric's label and the log's word.
    #[must_use]
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::ClientClosed => "client_closed",
            Self::ServerClosed => "server_closed",
            Self::ClientBroke => "client_broke",
            Self::ServerBroke => "server_broke",
            Self::Idle => "idle",
            Self::TooOld => "max_age",
            Self::Stopped => "stopped",
        }
    }

    /// Whose doing it is by itself. Who sent the first Close frame may know better about a connection that ended.
    #[must_use]
    pub(crate) fn side(self) -> Side {
        match self {
            Self::ClientClosed | Self::ClientBroke => Side::Client,
            Self::ServerClosed | Self::ServerBroke => Side::Server,
            Self::Idle | Self::TooOld | Self::Stopped => Side::Proxy,
        }
    }
}

impl Leaving {
    #[must_use]
    pub(crate) fn reason(self) -> Reason {
        match self {
            Self::Stopped => Reason::Stopped,
            Self::TooOld => Reason::TooOld,
        }
    }

    /// The Close frame that the client gets.
    #[must_use]
    pub(crate) fn goodbye(self) -> &'static [u8] {
        match self {
            Self::Stopped => &CLOSE_SERVICE_RESTART,
            Self::TooOld => &CLOSE_GOING_AWAY,
        }
    }

    /// Its code.
    #[must_use]
    pub(crate) fn code(self) -> u16 {
        match self {
            Self::Stopped => 1012,
            Self::TooOld => 1001,
        }
    }
}
