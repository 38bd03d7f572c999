//! What every keeper of webhooks must do: one suite, run for memory, SQLite and MongoDB.

use std::time::Duration;

use super::{
    Cursor, Receiver, Record, SigningSecret, Standing, State, Wants, Webhook, WebhookId, Webhooks,
};
use crate::chat::room::RoomId;
use crate::contract::Fixture;

/// Makes one test per behaviour for a fixture.
macro_rules! webhooks_contract {
    ($fixture:ty) => {
        $crate::contract::behaviours! { webhooks, $fixture:
            a_webhook_comes_back_as_created_until_it_is_removed
            cursors_are_of_one_webhook_in_one_room
            a_cursor_only_moves_forward_within_an_epoch
            beginning_moves_no_cursor
            one_holder_has_a_webhook_at_a_time
            instances_race_for_a_lease
            a_lease_ends_by_itself
            a_standing_is_seen_by_everybody
            removing_takes_everything_along
        }
    };
}
pub(super) use webhooks_contract;

const LONG: Duration = Duration::from_secs(60);

fn id(text: &str) -> WebhookId {
    WebhookId::parse(text).unwrap()
}

fn room(name: &str) -> RoomId {
    RoomId::parse(name).unwrap()
}

fn at(seq: u64, epoch: &str) -> Cursor {
    Cursor {
        seq,
        epoch: epoch.to_owned(),
    }
}

fn webhook(name: &str) -> Webhook {
    Webhook {
        id: id(name),
        url: Receiver::parse(&format!("https://example.com/{name}?a=ü")).unwrap(),
        secrets: vec![SigningSecret::new([1; 32]), SigningSecret::new([2; 32])],
        wants: Wants::parse(&["edit", "message"], &["lobby", "dm:*"]).unwrap(),
        created_ms: 1_795_000_000_123,
    }
}

async fn cursor(webhooks: &dyn Webhooks, name: &str, of: &str) -> Option<Cursor> {
    webhooks
        .cursors(&id(name), &[room(of)])
        .await
        .unwrap()
        .remove(0)
}

async fn record(webhooks: &dyn Webhooks, name: &str) -> Record {
    let records = webhooks.records().await.unwrap();
    records
        .into_iter()
        .find(|record| record.id == id(name))
        .unwrap()
}

pub(super) async fn a_webhook_comes_back_as_created_until_it_is_removed(
    fixture: &impl Fixture<dyn Webhooks>,
) {
    let (here, there) = (fixture.open().await, fixture.open().await);
    assert_eq!(there.list().await, Ok(vec![]));
    let all = Webhook {
        wants: Wants::default(),
        ..webhook("b")
    };
    here.create(&all).await.unwrap();
    here.create(&webhook("a")).await.unwrap();
    assert_eq!(there.list().await, Ok(vec![webhook("a"), all.clone()]));
    assert_eq!(there.remove(&id("a")).await, Ok(true));
    assert_eq!(here.remove(&id("a")).await, Ok(false));
    assert_eq!(here.list().await, Ok(vec![all]));
}

pub(super) async fn cursors_are_of_one_webhook_in_one_room(fixture: &impl Fixture<dyn Webhooks>) {
    let (here, there) = (fixture.open().await, fixture.open().await);
    let rooms = [room("lobby"), room("nobody"), room("garden")];
    here.move_cursor(&id("a"), &rooms[0], &at(7, "e"))
        .await
        .unwrap();
    here.move_cursor(&id("a"), &rooms[2], &at(9, "e"))
        .await
        .unwrap();
    here.move_cursor(&id("b"), &rooms[0], &at(1, "e"))
        .await
        .unwrap();
    let found = there.cursors(&id("a"), &rooms).await.unwrap();
    assert_eq!(found, [Some(at(7, "e")), None, Some(at(9, "e"))]);
    assert_eq!(cursor(&*there, "b", "lobby").await, Some(at(1, "e")));
    assert_eq!(there.cursors(&id("a"), &[]).await.unwrap(), []);
}

pub(super) async fn a_cursor_only_moves_forward_within_an_epoch(
    fixture: &impl Fixture<dyn Webhooks>,
) {
    let webhooks = fixture.open().await;
    for (moved, stands) in [
        (at(5, "e"), at(5, "e")),
        (at(3, "e"), at(5, "e")),
        (at(6, "e"), at(6, "e")),
        (at(1, "f"), at(1, "f")),
        (at(2, "f"), at(2, "f")),
    ] {
        webhooks
            .move_cursor(&id("a"), &room("lobby"), &moved)
            .await
            .unwrap();
        assert_eq!(cursor(&*webhooks, "a", "lobby").await, Some(stands));
    }
}

pub(super) async fn beginning_moves_no_cursor(fixture: &impl Fixture<dyn Webhooks>) {
    let webhooks = fixture.open().await;
    webhooks
        .move_cursor(&id("a"), &room("lobby"), &at(5, "e"))
        .await
        .unwrap();
    let places: Vec<_> = (0..700)
        .map(|number| (room(&format!("r{number}")), at(number, "e")))
        .collect();
    let begun = [vec![(room("lobby"), at(9, "e"))], places].concat();
    for _ in 0..2 {
        webhooks.begin(&id("a"), &begun).await.unwrap();
        assert_eq!(cursor(&*webhooks, "a", "lobby").await, Some(at(5, "e")));
        assert_eq!(cursor(&*webhooks, "a", "r699").await, Some(at(699, "e")));
    }
    webhooks.begin(&id("a"), &[]).await.unwrap();
    webhooks.set_begun(&id("a")).await.unwrap();
    assert!(record(&*webhooks, "a").await.is_begun);
}

pub(super) async fn one_holder_has_a_webhook_at_a_time(fixture: &impl Fixture<dyn Webhooks>) {
    let (here, there) = (fixture.open().await, fixture.open().await);
    let both = [id("a"), id("b")];
    assert_eq!(
        here.claim(&both[..1], "here", LONG).await.unwrap(),
        [id("a")]
    );
    assert_eq!(there.claim(&both, "there", LONG).await.unwrap(), [id("b")]);
    assert_eq!(here.claim(&both, "here", LONG).await.unwrap(), [id("a")]);
    assert_eq!(record(&*there, "a").await.holder.as_deref(), Some("here"));

    there.release(&id("a"), "there").await.unwrap();
    assert_eq!(there.claim(&both, "there", LONG).await.unwrap(), [id("b")]);
    here.release(&id("a"), "here").await.unwrap();
    assert_eq!(record(&*there, "a").await.holder, None);
    assert_eq!(there.claim(&both, "there", LONG).await.unwrap(), both);
}

pub(super) async fn instances_race_for_a_lease(fixture: &impl Fixture<dyn Webhooks>) {
    let mut racing = tokio::task::JoinSet::new();
    for number in 0..4 {
        let webhooks = fixture.open().await;
        let holder = number.to_string();
        racing.spawn(async move { webhooks.claim(&[id("a")], &holder, LONG).await });
    }
    let outcomes = racing.join_all().await;
    let won = outcomes
        .iter()
        .filter(|outcome| outcome.as_ref().unwrap().len() == 1);
    assert_eq!(won.count(), 1, "{outcomes:?}");
}

pub(super) async fn a_lease_ends_by_itself(fixture: &impl Fixture<dyn Webhooks>) {
    let (here, there) = (fixture.open().await, fixture.open().await);
    let short = Duration::from_millis(300);
    assert_eq!(
        here.claim(&[id("a")], "here", short).await.unwrap().len(),
        1
    );
    let mut patience = 200;
    while there
        .claim(&[id("a")], "there", LONG)
        .await
        .unwrap()
        .is_empty()
    {
        patience -= 1;
        assert!(patience > 0, "it does not end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(patience < 200, "it never began");
    assert_eq!(here.claim(&[id("a")], "here", LONG).await.unwrap(), []);
}

pub(super) async fn a_standing_is_seen_by_everybody(fixture: &impl Fixture<dyn Webhooks>) {
    let (here, there) = (fixture.open().await, fixture.open().await);
    let failing = Standing {
        state: State::Paused,
        failing_since_ms: Some(1_795_000_000_123),
        failures: 12,
        error: Some("503".to_owned()),
        delivered_ms: Some(1_794_000_000_000),
    };
    here.claim(&[id("a")], "here", LONG).await.unwrap();
    here.set_standing(&id("a"), &failing).await.unwrap();
    there.resume(&id("a"), 5).await.unwrap();
    let expected = Record {
        id: id("a"),
        is_begun: false,
        holder: Some("here".to_owned()),
        standing: failing,
        resumed_ms: 5,
    };
    assert_eq!(there.records().await.unwrap(), [expected]);
    here.set_standing(&id("a"), &Standing::default())
        .await
        .unwrap();
    let after = record(&*there, "a").await;
    assert_eq!((after.standing, after.resumed_ms), (Standing::default(), 5));
}

pub(super) async fn removing_takes_everything_along(fixture: &impl Fixture<dyn Webhooks>) {
    let webhooks = fixture.open().await;
    for name in ["a", "b"] {
        webhooks.create(&webhook(name)).await.unwrap();
        webhooks
            .move_cursor(&id(name), &room("lobby"), &at(7, "e"))
            .await
            .unwrap();
        webhooks.set_begun(&id(name)).await.unwrap();
    }
    webhooks.remove(&id("a")).await.unwrap();
    assert_eq!(cursor(&*webhooks, "a", "lobby").await, None);
    assert_eq!(cursor(&*webhooks, "b", "lobby").await, Some(at(7, "e")));
    assert_eq!(webhooks.records().await.unwrap().len(), 1);
}
