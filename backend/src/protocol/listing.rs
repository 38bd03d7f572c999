//! Rooms and members in lists, as REST shows them.

use serde::Serialize;

use super::{MemberBody, PersonBody, RoomBody};
use crate::chat::standing::Standing;

/// A page of rooms.
#[derive(Debug, Serialize)]
pub struct RoomList<'a, R> {
    pub rooms: Vec<R>,
    /// There may be more: ask again with it as `after`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<&'a str>,
}

/// A room in the list of somebody who is a member.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedRoom<'a> {
    #[serde(flatten)]
    room: RoomBody<'a>,
    #[serde(flatten)]
    unread: Unread,
    last_read_seq: u64,
    /// Of a direct room: the other one.
    #[serde(skip_serializing_if = "Option::is_none")]
    partner: Option<PartnerBody>,
}

/// How far a room's log has come, and what of it somebody has not read.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unread {
    pub last_seq: u64,
    pub unread: u64,
}

/// The other one of a direct room.
pub type PartnerBody = PersonBody;

impl<'a> ListedRoom<'a> {
    #[must_use]
    pub fn new(standing: &'a Standing, (unread, partner): (Unread, Option<PartnerBody>)) -> Self {
        Self {
            room: RoomBody::from(standing),
            unread,
            last_read_seq: standing.member.read.seq,
            partner,
        }
    }
}

/// One room, and how many are on record in it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OneRoom<'a> {
    pub room: ListedRoom<'a>,
    pub member_count: u64,
}

/// A page of members.
#[derive(Debug, Serialize)]
pub struct MemberList<'a> {
    pub members: Vec<MemberBody<'a>>,
    /// Of all of them.
    pub count: u64,
    /// There may be more: ask again with it as `after`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<&'a str>,
}
