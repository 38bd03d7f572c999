//! What people do in rooms: decided and carried out here, whoever brings the wish, a socket or a REST call.
//!
//! How a wish is read and how its outcome is answered is theirs. What is allowed is decided in `chat`.

mod announce;
pub(crate) mod archive_room;
pub(crate) mod change;
pub(crate) mod create_room;
pub(crate) mod invite_user;
pub(crate) mod mark_read;
pub(crate) mod moderate;
pub(crate) mod open_direct;
mod purse;
pub(crate) mod send;
pub(crate) mod update_room;

use std::sync::Arc;

use uuid::Uuid;

use crate::chat::admit::{Moment, take_token};
use crate::chat::message::Sender;
use crate::chat::refusal::Refusal;
use crate::chat::standing::Standing;
use crate::clock;
use crate::socket::App;

pub(crate) use purse::{Purse, Purses, Shares};

/// Somebody who does something, and out of which purse.
#[derive(Clone, Copy)]
pub(crate) struct Person<'a> {
    pub(crate) sender: &'a Sender,
    pub(crate) purse: &'a Purse,
}

impl Person<'_> {
    /// For what is neither a message nor a change of one, and costs as much.
    pub(crate) fn take_token(&self, app: &App) -> Result<(), Refusal> {
        let limits = &app.limits;
        self.purse
            .with_buckets(|mut buckets| take_token(limits, &mut buckets, moment()))
    }
}

/// Where somebody is who speaks of a room.
#[derive(Clone, Debug)]
pub(crate) enum Seat {
    Outside,
    /// In it by an operator's hand, from outside: no rule of the room is known to concern them.
    ByHand,
    As(Arc<Standing>),
}

impl Seat {
    pub(crate) fn is_inside(&self) -> bool {
        !matches!(self, Self::Outside)
    }

    pub(crate) fn standing(&self) -> Option<&Standing> {
        match self {
            Self::As(standing) => Some(standing),
            Self::Outside | Self::ByHand => None,
        }
    }
}

/// Facts of now, for who admits.
pub(crate) fn moment() -> Moment {
    Moment {
        monotonic: clock::monotonic(),
        unix_ms: clock::unix_ms(),
        id: Uuid::now_v7(),
    }
}
