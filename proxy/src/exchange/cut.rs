//! Why an answer that began did not end: one table of the metric's label and the words for the log.

use super::flow::Fault;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// It did not go on as it began.
    Server,
    /// The client took nothing of it for too long.
    SendTimeout,
    /// The client took it too slowly.
    SendRate,
}

impl Cut {
    /// `None`: the client went, which is nobody's fault.
    #[must_use]
    pub(super) fn of(fault: Fault) -> Option<Self> {
        match fault {
            Fault::Receiver => None,
            Fault::ReceiverStalled => Some(Self::SendTimeout),
            Fault::ReceiverSlow => Some(Self::SendRate),
            Fault::Sender
            | Fault::Malformed
            | Fault::TooLarge
            | Fault::SenderStalled
            | Fault::SenderSlow => Some(Self::Server),
        }
    }

    /// The metric's label.
    #[must_use]
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::SendTimeout => "send_timeout",
            Self::SendRate => "send_rate",
        }
    }

    /// The words for the log.
    #[must_use]
    pub(super) fn why(self) -> &'static str {
        match self {
            Self::Server => "the answer was cut short",
            Self::SendTimeout => "the client took nothing of its answer for send_timeout",
            Self::SendRate => "the client took its answer more slowly than send_rate_min",
        }
    }
}
