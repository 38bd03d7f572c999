use socketioxide_core::Sid;

use super::*;

fn options(rooms: &[&str], flags: &[BroadcastFlags], sid: Option<Sid>) -> BroadcastOptions {
    let mut options = BroadcastOptions::default();
    options.sid = sid;
    options
        .rooms
        .extend(rooms.iter().map(|&room| Room::Owned(room.to_owned())));
    for flag in flags {
        options.add_flag(*flag);
    }
    options
}

fn wire(rooms: &[&str], except: &[&str]) -> Option<Audience> {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    Some(Audience {
        rooms: names(rooms),
        except: names(except),
        volatile: false,
    })
}

#[test]
fn nobody_never_becomes_everybody() {
    assert_eq!(audience(&options(&[], &[], None)), None, "io.within([])");
    let everybody = options(&[], &[BroadcastFlags::Broadcast], None);
    assert_eq!(audience(&everybody), wire(&[], &[]));
}

#[test]
fn the_sender_is_left_out_of_a_broadcast_and_no_other_way() {
    let sid = Sid::new();
    let id = sid.to_string();
    let to = options(&["a"], &[BroadcastFlags::Broadcast], Some(sid));
    assert_eq!(audience(&to), wire(&["a"], &[&id]));
    let within = options(&["a", "b"], &[], Some(sid));
    assert_eq!(audience(&within), wire(&["a", "b"], &[]));
    let only_that_one = options(&[], &[], Some(sid));
    assert_eq!(audience(&only_that_one), wire(&[&id], &[]));
}
