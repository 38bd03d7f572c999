//! Decides what somebody may do in a room, from the room and what is on record of them.

use super::membership::{Access, FOREVER, Member, Role, Room};
use super::refusal::{Code, Refusal};

/// Somebody in a room, as far as rules are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub room: Room,
    pub member: Member,
}

impl Standing {
    /// The role that counts: nobody has one in a direct room.
    #[must_use]
    pub fn role(&self) -> Role {
        match self.room.access {
            Access::Direct | Access::Archived => Role::Member,
            Access::Public | Access::Private => self.member.role,
        }
    }

    #[must_use]
    pub fn is_moderator(&self) -> bool {
        self.role() >= Role::Moderator
    }

    /// How many messages they have not read when the room has had `last_n`. Who never marked any has come for what follows; what was said
    /// to them directly waits for them all the same.
    #[must_use]
    pub fn unread(&self, last_n: u64) -> u64 {
        if self.member.read.seq == 0 && self.room.access != Access::Direct {
            return 0;
        }
        last_n.saturating_sub(self.member.read.n)
    }

    /// Whether they may be in the room, and read it.
    ///
    /// # Errors
    /// `ROOM_NOT_FOUND` for what is archived, `BANNED` or `NOT_MEMBER`.
    pub fn may_enter(&self, now_ms: i64) -> Result<(), Refusal> {
        if self.room.access == Access::Archived {
            return Err(Refusal::new(Code::RoomNotFound, "this room was closed"));
        }
        if let Some(until_ms) = self.member.banned_until_ms.filter(|until| *until > now_ms) {
            let refusal = Refusal::new(Code::Banned, "you are banned from this room");
            return Err(until(refusal, until_ms, now_ms));
        }
        if self.room.access != Access::Public && !self.member.is_member {
            return Err(Refusal::new(
                Code::NotMember,
                "this room is for its members; one of them can invite you",
            ));
        }
        Ok(())
    }

    /// Whether they may say something now, having said something before at `last_ms`.
    ///
    /// # Errors
    /// Whatever [`may_enter`](Self::may_enter) refuses, `MUTED`, `FORBIDDEN` where only moderators speak, or `SLOW_MODE`.
    pub fn may_speak(&self, last_ms: Option<i64>, now_ms: i64) -> Result<(), Refusal> {
        self.may_change(now_ms)?;
        if self.is_moderator() {
            return Ok(());
        }
        let slow_ms = i64::from(self.room.rules.slow_mode_ms);
        match last_ms.map(|last_ms| last_ms.saturating_add(slow_ms)) {
            Some(until_ms) if slow_ms > 0 && until_ms > now_ms => {
                let refusal = Refusal::new(Code::SlowMode, "this room is in slow mode");
                Err(until(refusal, until_ms, now_ms))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether they may edit, delete and react now: as speaking, but slow mode does not count it.
    ///
    /// # Errors
    /// As [`may_speak`](Self::may_speak).
    pub fn may_change(&self, now_ms: i64) -> Result<(), Refusal> {
        self.may_enter(now_ms)?;
        if let Some(until_ms) = self.member.muted_until_ms.filter(|until| *until > now_ms) {
            let refusal = Refusal::new(Code::Muted, "you are muted in this room");
            return Err(until(refusal, until_ms, now_ms));
        }
        if self.room.rules.read_only && !self.is_moderator() {
            return Err(Refusal::new(
                Code::Forbidden,
                "only moderators write in this room",
            ));
        }
        Ok(())
    }

    /// Whether they may kick, ban, mute or promote somebody whose role is `target`.
    ///
    /// # Errors
    /// `FORBIDDEN`.
    pub fn may_moderate(&self, target: Role) -> Result<(), Refusal> {
        if self.is_moderator() && self.role() > target {
            return Ok(());
        }
        Err(Refusal::new(
            Code::Forbidden,
            "only those above somebody in this room may do that to them",
        ))
    }

    /// Whether they may bring others in. In a public room there is nothing to bring them into.
    ///
    /// # Errors
    /// `NOT_MEMBER`, or `FORBIDDEN` for direct rooms.
    pub fn may_invite(&self, now_ms: i64) -> Result<(), Refusal> {
        self.may_enter(now_ms)?;
        if self.room.access == Access::Direct {
            return Err(Refusal::new(
                Code::Forbidden,
                "a direct room stays between those that it is between",
            ));
        }
        Ok(())
    }

    /// Whether they may change the room's name and rules.
    ///
    /// # Errors
    /// `FORBIDDEN`.
    pub fn may_rule(&self) -> Result<(), Refusal> {
        if self.role() == Role::Owner {
            return Ok(());
        }
        Err(Refusal::new(
            Code::Forbidden,
            "only an owner may change this room",
        ))
    }
}

fn until(refusal: Refusal, until_ms: i64, now_ms: i64) -> Refusal {
    match u64::try_from(until_ms.saturating_sub(now_ms)) {
        Ok(wait_ms) if until_ms != FOREVER => refusal.retry_after_ms(wait_ms),
        _ => refusal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::membership::{MemberChange, Rules};
    use crate::chat::room::RoomId;

    const NOW: i64 = 1_700_000_000_000;

    fn standing(access: Access, changes: &[MemberChange]) -> Standing {
        let room = Room {
            id: RoomId::parse("r").unwrap(),
            name: "r".to_owned(),
            access,
            created_by: None,
            created_at_ms: 0,
            rules: Rules::default(),
            version: 0,
        };
        let member = changes.iter().fold(Member::unknown("ann"), Member::after);
        Standing { room, member }
    }

    fn join(role: Role) -> MemberChange {
        MemberChange::Join {
            name: String::new(),
            role,
            at_ms: 0,
        }
    }

    fn code(result: Result<(), Refusal>) -> Option<(Code, Option<u64>)> {
        result
            .err()
            .map(|refusal| (refusal.code, refusal.retry_after_ms))
    }

    #[test]
    fn anybody_enters_a_public_room_and_only_members_another() {
        assert_eq!(standing(Access::Public, &[]).may_speak(None, NOW), Ok(()));
        for access in [Access::Private, Access::Direct] {
            let refused = standing(access, &[]).may_enter(NOW);
            assert_eq!(code(refused), Some((Code::NotMember, None)));
            let member = standing(access, &[join(Role::Member)]);
            assert_eq!(member.may_speak(None, NOW), Ok(()));
        }
    }

    #[test]
    fn nobody_enters_a_room_that_is_closed() {
        let owner = standing(Access::Archived, &[join(Role::Owner)]);
        let refused = owner.may_enter(NOW);
        assert_eq!(code(refused), Some((Code::RoomNotFound, None)));
        assert!(owner.may_rule().is_err());
    }

    #[test]
    fn bans_and_mutes_end_when_they_end() {
        let of = |change: fn(Option<i64>) -> MemberChange, until| {
            standing(Access::Public, &[change(Some(until))])
        };
        let banned = of(MemberChange::Ban, NOW + 5);
        assert_eq!(code(banned.may_enter(NOW)), Some((Code::Banned, Some(5))));
        assert_eq!(banned.may_enter(NOW + 5), Ok(()));
        let muted = of(MemberChange::Mute, NOW + 5);
        assert_eq!(muted.may_enter(NOW), Ok(()));
        assert_eq!(
            code(muted.may_speak(None, NOW)),
            Some((Code::Muted, Some(5)))
        );
        assert_eq!(code(muted.may_change(NOW)), Some((Code::Muted, Some(5))));
        assert_eq!(muted.may_speak(None, NOW + 5), Ok(()));
        let forever = of(MemberChange::Ban, FOREVER);
        assert_eq!(code(forever.may_enter(NOW)), Some((Code::Banned, None)));
    }

    #[test]
    fn rules_are_for_those_below_moderators() {
        let mut member = standing(Access::Private, &[join(Role::Member)]);
        let mut moderator = standing(Access::Private, &[join(Role::Moderator)]);
        for one in [&mut member, &mut moderator] {
            one.room.rules.slow_mode_ms = 1_000;
        }
        let slow = member.may_speak(Some(NOW - 400), NOW);
        assert_eq!(code(slow), Some((Code::SlowMode, Some(600))));
        assert_eq!(member.may_change(NOW), Ok(()));
        assert_eq!(member.may_speak(Some(NOW - 1_000), NOW), Ok(()));
        assert_eq!(moderator.may_speak(Some(NOW), NOW), Ok(()));
        for one in [&mut member, &mut moderator] {
            one.room.rules.read_only = true;
        }
        let refused = member.may_speak(None, NOW);
        assert_eq!(code(refused), Some((Code::Forbidden, None)));
        assert_eq!(moderator.may_speak(None, NOW), Ok(()));
    }

    #[test]
    fn order_is_kept_downwards_only() {
        let may = |role, target| {
            standing(Access::Private, &[join(role)])
                .may_moderate(target)
                .is_ok()
        };
        for role in Role::ALL {
            for target in Role::ALL {
                let expected = role != Role::Member && role > target;
                assert_eq!(may(role, target), expected, "{role:?} {target:?}");
            }
        }
        assert!(
            standing(Access::Private, &[join(Role::Owner)])
                .may_rule()
                .is_ok()
        );
        assert!(
            standing(Access::Private, &[join(Role::Moderator)])
                .may_rule()
                .is_err()
        );
    }

    #[test]
    fn nobody_rules_a_direct_room() {
        let direct = standing(Access::Direct, &[join(Role::Owner)]);
        assert!(direct.may_rule().is_err());
        assert!(direct.may_moderate(Role::Member).is_err());
        assert!(direct.may_invite(NOW).is_err());
    }
}
