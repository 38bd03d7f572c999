//! What every directory must do: one suite, run for memory, SQLite and MongoDB by [`directory_contract`].

use futures_util::future::join_all;

use super::{Directory, ReadMark};
use crate::chat::membership::{Access, FOREVER, Member, MemberChange, Role, Room, Rules};
use crate::chat::message::Place;
use crate::chat::room::RoomId;
use crate::contract::Fixture;

/// Makes one test per behaviour for a fixture.
macro_rules! directory_contract {
    ($fixture:ty) => {
        $crate::contract::behaviours! { directory, $fixture:
            what_is_not_there_is_not_found
            a_room_comes_back_as_it_went
            whoever_makes_a_room_everybody_has_the_same
            a_room_changes_its_name_and_rules
            memberships_follow_their_changes
            changes_at_the_same_time_all_count
            read_marks_only_move_forward
            members_are_listed_in_pages
            rooms_are_listed_in_pages
            public_rooms_are_found_by_their_names
            a_closed_room_stays_on_record_and_is_not_listed
        }
    };
}
pub(super) use directory_contract;

fn id(name: &str) -> RoomId {
    RoomId::parse(name).unwrap()
}

fn room(name: &str, access: Access) -> Room {
    Room {
        id: id(name),
        name: format!("The {name}"),
        access,
        created_by: Some("ann".to_owned()),
        created_at_ms: 1_795_000_000_123,
        rules: Rules::default(),
        version: 0,
    }
}

fn join(role: Role) -> MemberChange {
    MemberChange::Join {
        name: "Ännchen 🍳".to_owned(),
        role,
        at_ms: 1_795_000_000_456,
    }
}

pub(super) async fn what_is_not_there_is_not_found(fixture: &impl Fixture<dyn Directory>) {
    let directory = fixture.open().await;
    let here = id("nowhere");
    assert_eq!(directory.room(&here).await, Ok(None));
    assert_eq!(directory.member(&here, "ann").await, Ok(None));
    assert_eq!(directory.members(&here, None, 5).await, Ok(vec![]));
    assert_eq!(directory.member_count(&here).await, Ok(0));
    assert_eq!(directory.rooms_of("ann", None, 5).await, Ok(vec![]));
    assert_eq!(directory.public_rooms(None, None, 5).await, Ok(vec![]));
    let room = room("nowhere", Access::Public);
    assert_eq!(directory.update_room(&room).await, Ok(None));
    assert_eq!(directory.mark_read(vec![]).await, Ok(()));
}

pub(super) async fn a_room_comes_back_as_it_went(fixture: &impl Fixture<dyn Directory>) {
    let directory = fixture.open().await;
    for (name, access) in [
        ("a", Access::Public),
        ("b $where.{\"$gt\":1}", Access::Private),
        ("dm:ü", Access::Direct),
    ] {
        let mut made = room(name, access);
        made.rules = Rules {
            slow_mode_ms: u32::MAX,
            read_only: true,
            members_max: 7,
        };
        if access == Access::Public {
            made.created_by = None;
        }
        assert_eq!(directory.room_or_new(&made).await, Ok((made.clone(), true)));
        assert_eq!(directory.room(&made.id).await, Ok(Some(made.clone())));
        let other = fixture.open().await;
        assert_eq!(other.room(&made.id).await, Ok(Some(made)));
    }
}

pub(super) async fn whoever_makes_a_room_everybody_has_the_same(
    fixture: &impl Fixture<dyn Directory>,
) {
    let handles = join_all((0..4).map(|_| fixture.open())).await;
    for n in 0..5 {
        let makers = handles.iter().enumerate().map(|(maker, directory)| {
            let mut wanted = room(&format!("r{n}"), Access::Private);
            wanted.created_by = Some(maker.to_string());
            async move { directory.room_or_new(&wanted).await.unwrap() }
        });
        let made = join_all(makers).await;
        assert_eq!(made.iter().filter(|(_, is_new)| *is_new).count(), 1);
        assert!(made.iter().all(|(room, _)| *room == made[0].0));
    }
}

pub(super) async fn a_room_changes_its_name_and_rules(fixture: &impl Fixture<dyn Directory>) {
    let directory = fixture.open().await;
    let before = room("r", Access::Private);
    directory.room_or_new(&before).await.unwrap();
    let mut after = before.clone();
    after.name = "Another".to_owned();
    after.rules.slow_mode_ms = 5_000;
    // What a room is for stays.
    let mut wanted = after.clone();
    wanted.access = Access::Public;
    wanted.created_by = None;
    after.version = 1;
    let updated = directory.update_room(&wanted).await;
    assert_eq!(updated, Ok(Some(after.clone())));
    assert_eq!(fixture.open().await.room(&before.id).await, Ok(Some(after)));
    // The version is the directory's: who brings an old one does not turn it back.
    let again = directory.update_room(&wanted).await.unwrap().unwrap();
    assert_eq!(again.version, 2);
}

pub(super) async fn memberships_follow_their_changes(fixture: &impl Fixture<dyn Directory>) {
    let directory = fixture.open().await;
    let here = id("r");
    let mut expected = Member::unknown("ann");
    for change in [
        MemberChange::Mute(Some(5)),
        join(Role::Owner),
        join(Role::Member),
        MemberChange::Role(Role::Moderator),
        MemberChange::Ban(Some(FOREVER)),
        MemberChange::Ban(None),
        join(Role::Member),
        MemberChange::Mute(None),
        MemberChange::Leave,
    ] {
        expected = expected.after(&change);
        let changed = directory.change_member(&here, "ann", &change).await;
        assert_eq!(changed, Ok(expected.clone()), "{change:?}");
        let found = fixture.open().await.member(&here, "ann").await;
        assert_eq!(found, Ok(Some(expected.clone())), "{change:?}");
    }
    assert_eq!(directory.member(&id("other"), "ann").await, Ok(None));
    assert_eq!(directory.member(&here, "Ann").await, Ok(None));
}

pub(super) async fn changes_at_the_same_time_all_count(fixture: &impl Fixture<dyn Directory>) {
    let here = id("r");
    for n in 0..5 {
        let user = format!("user {n}");
        let handles = join_all((0..3).map(|_| fixture.open())).await;
        let changes = [
            join(Role::Moderator),
            MemberChange::Mute(Some(7)),
            MemberChange::Role(Role::Moderator),
        ];
        let made = handles
            .iter()
            .zip(&changes)
            .map(|(directory, change)| directory.change_member(&here, &user, change));
        assert!(join_all(made).await.iter().all(Result::is_ok));
        let found = handles[0].member(&here, &user).await.unwrap().unwrap();
        let seen = (found.is_member, found.role, found.muted_until_ms);
        assert_eq!(seen, (true, Role::Moderator, Some(7)));
    }
}

pub(super) async fn read_marks_only_move_forward(fixture: &impl Fixture<dyn Directory>) {
    let directory = fixture.open().await;
    let here = id("r");
    let mark = |user: &str, seq: u64| ReadMark {
        room: here.clone(),
        user_id: user.to_owned(),
        read: Place { seq, n: seq / 2 },
    };
    directory
        .change_member(&here, "ann", &join(Role::Owner))
        .await
        .unwrap();
    directory
        .mark_read(vec![mark("ann", 6), mark("bob", 4), mark("ann", 2)])
        .await
        .unwrap();
    let marks = (0..10).map(|seq| directory.mark_read(vec![mark("bob", seq)]));
    assert!(join_all(marks).await.iter().all(Result::is_ok));
    let read = async |user: &str| {
        let member = directory.member(&here, user).await.unwrap().unwrap();
        (member.read, member.is_member)
    };
    assert_eq!(read("ann").await, (Place { seq: 6, n: 3 }, true));
    assert_eq!(read("bob").await, (Place { seq: 9, n: 4 }, false));
}

pub(super) async fn members_are_listed_in_pages(fixture: &impl Fixture<dyn Directory>) {
    let directory = fixture.open().await;
    let here = id("r");
    for user in ["b", "a", "ä", "c", "B", "gone"] {
        directory
            .change_member(&here, user, &join(Role::Member))
            .await
            .unwrap();
    }
    directory
        .change_member(&here, "gone", &MemberChange::Leave)
        .await
        .unwrap();
    directory
        .change_member(&id("r2"), "z", &join(Role::Member))
        .await
        .unwrap();
    let mut listed: Vec<String> = Vec::new();
    loop {
        let after = listed.last().cloned();
        let page = directory.members(&here, after.as_deref(), 2).await.unwrap();
        if page.is_empty() {
            break;
        }
        assert!(page.len() <= 2);
        listed.extend(page.into_iter().map(|member| member.user_id));
    }
    assert_eq!(listed, ["B", "a", "b", "c", "ä"]);
    assert_eq!(directory.member_count(&here).await, Ok(5));
}

pub(super) async fn rooms_are_listed_in_pages(fixture: &impl Fixture<dyn Directory>) {
    let directory = fixture.open().await;
    for name in ["b", "a", "c", "d"] {
        let access = if name == "c" {
            Access::Private
        } else {
            Access::Public
        };
        directory.room_or_new(&room(name, access)).await.unwrap();
        if name != "d" {
            directory
                .change_member(&id(name), "ann", &join(Role::Member))
                .await
                .unwrap();
        }
    }
    directory
        .change_member(&id("b"), "ann", &MemberChange::Leave)
        .await
        .unwrap();
    let names = |rooms: Vec<Room>| -> Vec<String> {
        rooms
            .into_iter()
            .map(|room| room.id.as_str().to_owned())
            .collect()
    };
    let public = directory.public_rooms(None, None, 2).await.unwrap();
    assert_eq!(names(public), ["a", "b"]);
    let public = directory
        .public_rooms(None, Some(&id("b")), 2)
        .await
        .unwrap();
    assert_eq!(names(public), ["d"]);
    let own = async |after: Option<&RoomId>, limit| {
        let rooms = directory.rooms_of("ann", after, limit).await.unwrap();
        assert!(rooms.iter().all(|(_, member)| member.user_id == "ann"));
        names(rooms.into_iter().map(|(room, _)| room).collect())
    };
    assert_eq!(own(None, 5).await, ["a", "c"]);
    assert_eq!(own(None, 1).await, ["a"]);
    assert_eq!(own(Some(&id("a")), 5).await, ["c"]);
}

pub(super) async fn public_rooms_are_found_by_their_names(fixture: &impl Fixture<dyn Directory>) {
    let directory = fixture.open().await;
    for (name, called) in [("a", "Ünder (the) Sea"), ("b", "sea.*"), ("c", "under")] {
        let mut made = room(name, Access::Public);
        called.clone_into(&mut made.name);
        directory.room_or_new(&made).await.unwrap();
    }
    for (named, expected) in [
        ("", "abc"),
        ("SEA", "ab"),
        ("sea.*", "b"),
        ("(THE)", "a"),
        ("Ünder", "a"),
        ("nder", "ac"),
        ("nowhere", ""),
    ] {
        let found = directory.public_rooms(Some(named), None, 9).await.unwrap();
        let found: String = found.iter().map(|room| room.id.as_str()).collect();
        assert_eq!(found, expected, "{named}");
    }
    let behind = directory.public_rooms(Some("sea"), Some(&id("a")), 9).await;
    assert_eq!(behind.unwrap().len(), 1);
}

pub(super) async fn a_closed_room_stays_on_record_and_is_not_listed(
    fixture: &impl Fixture<dyn Directory>,
) {
    let directory = fixture.open().await;
    let before = room("r", Access::Public);
    assert_eq!(directory.archive_room(&before.id).await, Ok(false));
    directory.room_or_new(&before).await.unwrap();
    assert_eq!(directory.archive_room(&before.id).await, Ok(true));
    let closed = Room {
        access: Access::Archived,
        version: 1,
        ..before.clone()
    };
    let other = fixture.open().await;
    assert_eq!(other.room(&before.id).await, Ok(Some(closed.clone())));
    assert_eq!(other.room_or_new(&before).await, Ok((closed, false)));
    assert_eq!(other.public_rooms(None, None, 9).await, Ok(vec![]));
}
