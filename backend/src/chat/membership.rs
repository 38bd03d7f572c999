//! What a room is beside its log, and who its members are.
//!
//! A public room has no list of those who come by: being there is enough, and only whoever differs from the others (a role, a ban, a read
//! mark) has a membership on record. A private room or a direct one is for those on record alone.

use super::message::Place;
use super::room::RoomId;

/// Longest name of a room, in bytes.
pub const ROOM_NAME_BYTES_MAX: usize = 128;

/// Who may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Public,
    /// Members.
    Private,
    /// The two (or one) that it is between, for ever.
    Direct,
    /// Nobody: an owner closed it. Its log is kept, and its id is not given again.
    Archived,
}

impl Access {
    pub const ALL: [Self; 4] = [Self::Public, Self::Private, Self::Direct, Self::Archived];

    /// The word on the wire and in stores.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
            Self::Direct => "dm",
            Self::Archived => "archived",
        }
    }

    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }
}

/// What a member may do, in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Member,
    /// Keeps order: deletes, mutes, kicks and bans members.
    Moderator,
    /// May also change the room, and do all that to moderators.
    Owner,
}

impl Role {
    pub const ALL: [Self; 3] = [Self::Member, Self::Moderator, Self::Owner];

    /// The word on the wire and in stores.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Moderator => "moderator",
            Self::Owner => "owner",
        }
    }

    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }
}

/// A room on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    pub id: RoomId,
    pub name: String,
    pub access: Access,
    /// None: it came into being when somebody joined it, and belongs to nobody.
    pub created_by: Option<String>,
    pub created_at_ms: i64,
    pub rules: Rules,
    /// Goes up with every change: of two that somebody is told, in whatever order, the higher is the later one.
    pub version: u64,
}

/// What applies to members that are not moderators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Least time between two messages of one member; 0 for none.
    pub slow_mode_ms: u32,
    /// Only moderators and owners speak.
    pub read_only: bool,
    /// Most members on record; 0 for no bound.
    pub members_max: u32,
}

/// Somebody's membership on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub user_id: String,
    /// What they were called when they joined.
    pub name: String,
    /// False: there is only something to remember, such as a ban.
    pub is_member: bool,
    pub role: Role,
    pub joined_at_ms: i64,
    /// Up to where they have read.
    pub read: Place,
    /// [`FOREVER`] has no end.
    pub muted_until_ms: Option<i64>,
    pub banned_until_ms: Option<i64>,
    /// Goes up with every [`MemberChange`], as a room's does.
    pub version: u64,
}

/// The end of what has no end.
pub const FOREVER: i64 = i64::MAX;

/// One change of a membership. It makes the record when there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberChange {
    /// Who is a member already keeps role and date.
    Join {
        name: String,
        role: Role,
        at_ms: i64,
    },
    /// Role and membership end; what was read and what was forbidden stays.
    Leave,
    Role(Role),
    Mute(Option<i64>),
    /// Ends the membership as well, unless it lifts the ban.
    Ban(Option<i64>),
}

impl Member {
    /// Nothing is remembered.
    #[must_use]
    pub fn unknown(user_id: &str) -> Self {
        Self {
            user_id: user_id.to_owned(),
            name: String::new(),
            is_member: false,
            role: Role::Member,
            joined_at_ms: 0,
            read: Place::default(),
            muted_until_ms: None,
            banned_until_ms: None,
            version: 0,
        }
    }

    /// Whether anything is remembered.
    #[must_use]
    pub fn is_on_record(&self) -> bool {
        let version = self.version;
        let unknown = Self::unknown(&self.user_id);
        *self != Self { version, ..unknown }
    }

    /// The record after a change. Every directory uses this one function.
    #[must_use]
    pub fn after(mut self, change: &MemberChange) -> Self {
        self.version += 1;
        match change {
            MemberChange::Join { name, role, at_ms } => {
                self.name.clone_from(name);
                if !self.is_member {
                    self.is_member = true;
                    self.role = *role;
                    self.joined_at_ms = *at_ms;
                }
            }
            MemberChange::Leave => {
                self.is_member = false;
                self.role = Role::Member;
            }
            MemberChange::Role(role) => self.role = *role,
            MemberChange::Mute(until_ms) => self.muted_until_ms = *until_ms,
            MemberChange::Ban(until_ms) => {
                self.banned_until_ms = *until_ms;
                if until_ms.is_some() {
                    self.is_member = false;
                    self.role = Role::Member;
                }
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(role: Role, at_ms: i64) -> MemberChange {
        let name = "Ann".to_owned();
        MemberChange::Join { name, role, at_ms }
    }

    #[test]
    fn joining_again_keeps_role_and_date() {
        let owner = Member::unknown("ann").after(&join(Role::Owner, 7));
        let again = owner.clone().after(&join(Role::Member, 9));
        assert_eq!((again.role, again.joined_at_ms), (Role::Owner, 7));
        let again = owner
            .after(&MemberChange::Leave)
            .after(&join(Role::Member, 9));
        assert_eq!((again.role, again.joined_at_ms), (Role::Member, 9));
    }

    #[test]
    fn a_ban_ends_the_membership_and_its_lifting_does_not_bring_it_back() {
        let member = Member::unknown("ann").after(&join(Role::Moderator, 7));
        let banned = member.after(&MemberChange::Ban(Some(FOREVER)));
        assert_eq!((banned.is_member, banned.role), (false, Role::Member));
        let lifted = banned.after(&MemberChange::Ban(None));
        assert_eq!((lifted.is_member, lifted.banned_until_ms), (false, None));
    }

    #[test]
    fn words_are_read_as_they_are_written() {
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Some(role));
        }
        for access in Access::ALL {
            assert_eq!(Access::parse(access.as_str()), Some(access));
        }
        assert_eq!((Role::parse("king"), Access::parse("")), (None, None));
    }
}
