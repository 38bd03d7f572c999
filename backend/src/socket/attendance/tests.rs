use uuid::Uuid;

use super::*;
use crate::presence::memory::MemoryPresence;

fn attendance() -> Attendance {
    let me = InstanceId::new("one", 1, Uuid::nil());
    let keeper = Arc::new(MemoryPresence::new());
    Attendance::new(me, keeper, settings::Presence::default())
}

fn people(ids: &[&str]) -> People {
    let named = ids.iter().map(|id| ((*id).to_owned(), (*id).to_owned()));
    named.collect()
}

#[test]
fn what_is_doubted_during_a_look_is_written_again_by_the_next() {
    let (attendance, now) = (attendance(), clock::monotonic());
    let (room, here) = (RoomId::parse("r").unwrap(), people(&["ann"]));
    attendance.note(&room);
    let change = attendance.begin_look(&room, &here, now).unwrap();
    assert_eq!(change.add, here);
    // Written before the keeper forgot everything; the answer comes later.
    attendance.doubt_all();
    attendance.end_look(&room, &here, (true, Some(here.clone())), now);
    let again = attendance.begin_look(&room, &here, now).unwrap();
    assert_eq!(again.add, here);
    attendance.end_look(&room, &here, (true, Some(here.clone())), now);
    assert_eq!(attendance.begin_look(&room, &here, now), None);
}

#[test]
fn what_was_not_written_is_written_by_the_next_look() {
    let (attendance, now) = (attendance(), clock::monotonic());
    let (room, here) = (RoomId::parse("r").unwrap(), people(&["ann"]));
    attendance.note(&room);
    attendance.begin_look(&room, &here, now);
    attendance.end_look(&room, &here, (false, None), now);
    let again = attendance.begin_look(&room, &here, now).unwrap();
    assert_eq!(again.add, here);
}
