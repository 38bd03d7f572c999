//! What every keeper of users must do: one suite, run for memory, SQLite and MongoDB.

use super::{User, Username, Users, UsersError};
use crate::contract::Fixture;

/// Makes one test per behaviour for a fixture.
macro_rules! users_contract {
    ($fixture:ty) => {
        $crate::contract::behaviours! { users, $fixture:
            nobody_is_found_where_nobody_registered
            a_user_comes_back_as_registered
            a_name_is_given_once_in_whatever_case
            instances_race_for_a_name
            an_id_is_given_once
            whoever_is_shut_out_is_known_to_all
        }
    };
}
pub(super) use users_contract;

fn name(text: &str) -> Username {
    Username::parse(text).unwrap()
}

fn user(id: &str, username: &str) -> User {
    User {
        id: id.to_owned(),
        username: name(username),
        password_hash: "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA".to_owned(),
        display_name: "Änn \u{1f373} \"'".to_owned(),
        roles: vec!["admin".to_owned(), "x".to_owned()],
        created_ms: 1_795_339_157_084,
    }
}

pub(super) async fn nobody_is_found_where_nobody_registered(fixture: &impl Fixture<dyn Users>) {
    let users = fixture.open().await;
    assert_eq!(users.by_name(&name("ann")).await, Ok(None));
    assert_eq!(users.by_id("1").await, Ok(None));
}

pub(super) async fn a_user_comes_back_as_registered(fixture: &impl Fixture<dyn Users>) {
    let ann = user("1", "Ann");
    fixture.open().await.create(&ann).await.unwrap();
    let elsewhere = fixture.open().await;
    for found in [
        elsewhere.by_name(&name("aNN")).await,
        elsewhere.by_id("1").await,
    ] {
        assert_eq!(found, Ok(Some(ann.clone())));
    }
    assert_eq!(elsewhere.by_id("Ann").await, Ok(None));
}

pub(super) async fn a_name_is_given_once_in_whatever_case(fixture: &impl Fixture<dyn Users>) {
    let users = fixture.open().await;
    users.create(&user("1", "ann")).await.unwrap();
    assert_eq!(
        users.create(&user("2", "ANN")).await,
        Err(UsersError::Taken)
    );
    users.create(&user("3", "ann.b")).await.unwrap();
    assert_eq!(users.by_id("2").await, Ok(None));
}

pub(super) async fn instances_race_for_a_name(fixture: &impl Fixture<dyn Users>) {
    let mut racing = tokio::task::JoinSet::new();
    for number in 0..4 {
        let users = fixture.open().await;
        racing.spawn(async move { users.create(&user(&number.to_string(), "ann")).await });
    }
    let outcomes = racing.join_all().await;
    let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let lost = outcomes
        .iter()
        .filter(|outcome| **outcome == Err(UsersError::Taken))
        .count();
    assert_eq!((won, lost), (1, 3), "{outcomes:?}");
}

pub(super) async fn an_id_is_given_once(fixture: &impl Fixture<dyn Users>) {
    let users = fixture.open().await;
    users.create(&user("1", "ann")).await.unwrap();
    assert_eq!(
        users.create(&user("1", "ben")).await,
        Err(UsersError::Taken)
    );
    assert_eq!(
        users.by_id("1").await.unwrap().unwrap().username,
        name("ann")
    );
}

pub(super) async fn whoever_is_shut_out_is_known_to_all(fixture: &impl Fixture<dyn Users>) {
    let users = fixture.open().await;
    assert_eq!(users.banned().await, Ok(vec![]));
    users.create(&user("1", "ann")).await.unwrap();
    for (id, is_banned) in [
        ("1", true),
        ("guest $x.ü", true),
        ("1", true),
        ("1", false),
        ("2", false),
    ] {
        assert_eq!(users.set_banned(id, is_banned).await, Ok(()));
    }
    let other = fixture.open().await;
    assert_eq!(other.banned().await, Ok(vec!["guest $x.ü".to_owned()]));
    assert!(other.by_id("1").await.unwrap().is_some());
}
