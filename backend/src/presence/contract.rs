//! What every keeper of presence must do: one suite, run in memory and on Redis.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::{Change, InstanceId, People, Presence, Written};
use crate::chat::room::RoomId;

/// Rooms of its own, and ways to them.
#[async_trait]
pub(super) trait Fixture: Sized + Send + Sync {
    async fn fresh() -> Self;
    /// A further handle, as another instance has one.
    async fn open(&self) -> Arc<dyn Presence>;
    /// Lets time pass where leases are judged.
    async fn pass(&self, time: Duration);
    async fn clear(self);
}

/// Makes one test per behaviour for a fixture.
macro_rules! presence_contract {
    ($fixture:ty) => {
        presence_contract! { $fixture:
            an_empty_room_has_nobody
            the_parts_of_instances_make_the_room
            changes_repeat_safely
            who_dies_takes_its_people_along
            a_lease_that_is_renewed_does_not_end
            the_dead_are_cleaned_up_once
            the_living_are_not_cleaned_up
            who_leaves_is_gone_at_once
            who_was_taken_for_dead_comes_back
            names_of_any_kind_come_back
            a_write_says_when_it_begins_a_lease
        }
    };
    ($fixture:ty: $($behaviour:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $behaviour() {
                use $crate::presence::contract::{self, Fixture as _};
                let fixture = <$fixture>::fresh().await;
                contract::$behaviour(&fixture).await;
                fixture.clear().await;
            }
        )+
    };
}
pub(super) use presence_contract;

/// Long enough for a slow machine between two lines of a test.
const LEASE: Duration = Duration::from_secs(2);

fn instance() -> InstanceId {
    InstanceId::new("a|b", 7, Uuid::new_v4())
}

fn room(name: &str) -> RoomId {
    RoomId::parse(name).unwrap()
}

fn people(ids: &[&str]) -> People {
    ids.iter()
        .map(|id| ((*id).to_owned(), format!("{id}'s name")))
        .collect()
}

fn adds(ids: &[&str]) -> Change {
    Change {
        add: people(ids),
        ..Change::default()
    }
}

fn removes(ids: &[&str], is_last: bool) -> Change {
    Change {
        remove: ids.iter().map(|id| (*id).to_owned()).collect(),
        is_last,
        ..Change::default()
    }
}

async fn write(presence: &Arc<dyn Presence>, me: &InstanceId, name: &str, change: Change) {
    presence
        .write(me, &room(name), &change, LEASE)
        .await
        .unwrap();
}

async fn read(presence: &Arc<dyn Presence>, name: &str) -> Vec<String> {
    let all = presence.read(&room(name)).await.unwrap();
    all.into_keys().collect()
}

pub(super) async fn an_empty_room_has_nobody(fixture: &impl Fixture) {
    let presence = fixture.open().await;
    assert_eq!(presence.read(&room("r")).await, Ok(People::new()));
}

pub(super) async fn the_parts_of_instances_make_the_room(fixture: &impl Fixture) {
    let (one, two) = (fixture.open().await, fixture.open().await);
    let (first, second) = (instance(), instance());
    write(&one, &first, "r", adds(&["ann", "ben"])).await;
    write(&two, &second, "r", adds(&["ben", "cal"])).await;
    write(&two, &second, "other", adds(&["dot"])).await;
    assert_eq!(
        two.read(&room("r")).await,
        Ok(people(&["ann", "ben", "cal"]))
    );
    // Ben is on the other instance still.
    write(&one, &first, "r", removes(&["ben"], false)).await;
    assert_eq!(read(&one, "r").await, ["ann", "ben", "cal"]);
    write(&two, &second, "r", removes(&["ben", "cal"], true)).await;
    assert_eq!(read(&one, "r").await, ["ann"]);
    write(&one, &first, "r", removes(&["ann"], true)).await;
    write(&two, &second, "other", removes(&["dot"], true)).await;
    assert_eq!(read(&one, "r").await, [""; 0]);
}

pub(super) async fn changes_repeat_safely(fixture: &impl Fixture) {
    let (presence, me) = (fixture.open().await, instance());
    for _ in 0..2 {
        write(&presence, &me, "r", adds(&["ann", "ben"])).await;
    }
    assert_eq!(read(&presence, "r").await, ["ann", "ben"]);
    for _ in 0..2 {
        write(&presence, &me, "r", removes(&["ann", "nobody"], false)).await;
    }
    assert_eq!(read(&presence, "r").await, ["ben"]);
    for _ in 0..2 {
        write(&presence, &me, "r", removes(&["ben"], true)).await;
    }
    assert_eq!(read(&presence, "r").await, [""; 0]);
}

pub(super) async fn who_dies_takes_its_people_along(fixture: &impl Fixture) {
    let presence = fixture.open().await;
    let (alive, dying) = (instance(), instance());
    write(&presence, &dying, "r", adds(&["ann", "ben"])).await;
    write(&presence, &alive, "r", adds(&["ben"])).await;
    fixture.pass(LEASE).await;
    let beat = presence.beat(&alive, LEASE).await.unwrap();
    // Nobody has cleaned up, and yet:
    assert_eq!(read(&presence, "r").await, ["ben"]);
    assert_eq!(beat.live, BTreeSet::from([alive.as_str().to_owned()]));
    assert_eq!(beat.dead, BTreeSet::from([dying.as_str().to_owned()]));
    presence.leave(&alive).await.unwrap();
    presence.leave(&dying).await.unwrap();
}

pub(super) async fn a_lease_that_is_renewed_does_not_end(fixture: &impl Fixture) {
    let (presence, me) = (fixture.open().await, instance());
    let first = presence.beat(&me, LEASE).await.unwrap();
    assert!(first.was_lost, "there was none");
    write(&presence, &me, "r", adds(&["ann"])).await;
    for _ in 0..3 {
        fixture.pass(LEASE / 2).await;
        let beat = presence.beat(&me, LEASE).await.unwrap();
        assert!(!beat.was_lost && beat.dead.is_empty(), "{beat:?}");
        assert_eq!(read(&presence, "r").await, ["ann"]);
    }
    presence.leave(&me).await.unwrap();
}

pub(super) async fn the_dead_are_cleaned_up_once(fixture: &impl Fixture) {
    let presence = fixture.open().await;
    let (dying, others) = (instance(), [instance(), instance()]);
    write(&presence, &dying, "r", adds(&["ann"])).await;
    write(&presence, &dying, "s", adds(&["ann", "ben"])).await;
    fixture.pass(LEASE).await;
    let mut rooms = Vec::new();
    for other in &others {
        presence.beat(other, LEASE).await.unwrap();
        rooms.extend(presence.reap(other, dying.as_str()).await.unwrap());
    }
    rooms.sort();
    assert_eq!(rooms, [room("r"), room("s")]);
    let beat = presence.beat(&others[0], LEASE).await.unwrap();
    assert_eq!(beat.dead, BTreeSet::new());
    for other in &others {
        presence.leave(other).await.unwrap();
    }
}

pub(super) async fn the_living_are_not_cleaned_up(fixture: &impl Fixture) {
    let presence = fixture.open().await;
    let (alive, other) = (instance(), instance());
    presence.beat(&alive, LEASE).await.unwrap();
    write(&presence, &alive, "r", adds(&["ann"])).await;
    assert_eq!(presence.reap(&other, alive.as_str()).await, Ok(vec![]));
    assert_eq!(read(&presence, "r").await, ["ann"]);
    presence.leave(&alive).await.unwrap();
}

pub(super) async fn who_leaves_is_gone_at_once(fixture: &impl Fixture) {
    let presence = fixture.open().await;
    let (leaving, staying) = (instance(), instance());
    write(&presence, &leaving, "r", adds(&["ann"])).await;
    write(&presence, &staying, "r", adds(&["ben"])).await;
    assert_eq!(presence.leave(&leaving).await, Ok(vec![room("r")]));
    assert_eq!(read(&presence, "r").await, ["ben"]);
    let beat = presence.beat(&staying, LEASE).await.unwrap();
    assert_eq!((beat.live.len(), beat.dead.len()), (1, 0));
    presence.leave(&staying).await.unwrap();
}

pub(super) async fn who_was_taken_for_dead_comes_back(fixture: &impl Fixture) {
    let presence = fixture.open().await;
    let (stopped, other) = (instance(), instance());
    presence.beat(&stopped, LEASE).await.unwrap();
    write(&presence, &stopped, "r", adds(&["ann"])).await;
    fixture.pass(LEASE).await;
    presence.beat(&other, LEASE).await.unwrap();
    presence.reap(&other, stopped.as_str()).await.unwrap();
    // It goes on, and is told that it must write all of its people again.
    let beat = presence.beat(&stopped, LEASE).await.unwrap();
    assert!(beat.was_lost);
    write(&presence, &stopped, "r", adds(&["ann"])).await;
    assert_eq!(read(&presence, "r").await, ["ann"]);
    presence.leave(&stopped).await.unwrap();
    presence.leave(&other).await.unwrap();
}

pub(super) async fn names_of_any_kind_come_back(fixture: &impl Fixture) {
    let (presence, me) = (fixture.open().await, instance());
    for name in ["inst:x", "a|b", "*", "Küche \u{1f373}", "room:r", "{x}"] {
        let all = People::from([
            ("a|b".to_owned(), "x|y".to_owned()),
            ("ü:*".to_owned(), String::new()),
        ]);
        let change = Change {
            add: all.clone(),
            ..Change::default()
        };
        write(&presence, &me, name, change).await;
        assert_eq!(presence.read(&room(name)).await, Ok(all), "{name}");
    }
    assert_eq!(presence.leave(&me).await.unwrap().len(), 6);
    assert_eq!(read(&presence, "a|b").await, [""; 0]);
}

pub(super) async fn a_write_says_when_it_begins_a_lease(fixture: &impl Fixture) {
    let (presence, me) = (fixture.open().await, instance());
    let change = adds(&["ann"]);
    for written in [Written::Anew, Written::Onward] {
        let answer = presence.write(&me, &room("r"), &change, LEASE).await;
        assert_eq!(answer, Ok(written));
    }
    // What a beat would say then: nothing was lost.
    assert!(!presence.beat(&me, LEASE).await.unwrap().was_lost);
    let answer = presence.write(&me, &room("s"), &change, LEASE).await;
    assert_eq!(answer, Ok(Written::Onward));
    presence.leave(&me).await.unwrap();
}
