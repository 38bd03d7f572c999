//! Why an answer that began did not end: one table of the metric's label and the words for the log.

use super::flow::Fault;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// It did not go on as it began.
    Server,
    /// The client left.
    Client,
    /// The client took nothing of it for too long.
    SendTimeout,
    /// The client took it too slowly.
    SendRate,
}

impl Cut {
    #[must_use]
    pub(super) fn of(fault: Fault) -> Self {
        match fault {
            Fault::Receiver => Self::Client,
            Fault::ReceiverStalled => Self::SendTimeout,
            Fault::ReceiverSlow => Self::SendRate,
            Fault::Sender
            | Fault::Malformed
            | Fault::TooLarge
            | Fault::SenderStalled
            | Fault::SenderSlow => Self::Server,
        }
    }

    /// The metric's label.
    #[must_use]
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
            Self::SendTimeout => "send_timeout",
            Self::SendRate => "send_rate",
        }
    }

    /// The words for the log.
    #[must_use]
    pub(crate) fn why(self) -> &'static str {
        match self {
            Self::Server => "the answer was cut short",
            Self::Client => "the client left before the end of its answer",
            Self::SendTimeout => "the client took nothing of its answer for send_timeout",
            Self::SendRate => "the client took its answer more slowly than send_rate_min",
        }
    }
}
