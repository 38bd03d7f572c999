use super::*;
use crate::chat::limits::TokenBucket;

fn limits() -> Limits {
    Limits {
        content_bytes_max: 16,
        messages_per_second_max: 1,
        messages_burst_max: 2,
        user_messages_per_second_max: 1,
        user_messages_burst_max: 2,
        rooms_per_socket_max: 10,
        page_messages_max: 200,
        join_messages_default: 50,
        edit_window: std::time::Duration::from_secs(60),
        reactions_per_message_max: 3,
        emojis_per_message_max: 2,
    }
}

fn wish(content: &str) -> Wish {
    Wish {
        content: content.to_owned(),
        message_type: None,
        reply_to: None,
        client_msg_id: None,
    }
}

fn moment() -> Moment {
    Moment {
        monotonic: crate::clock::monotonic(),
        unix_ms: 1_700_000_000_000,
        id: Uuid::from_u128(7),
    }
}

fn admit_one(wish: Wish, is_member: bool) -> Result<Draft, Refusal> {
    let (limits, moment) = (limits(), moment());
    let mut connection = full(&limits);
    let mut user = connection;
    let sender = Sender {
        id: "u1".to_owned(),
        name: "Ann".to_owned(),
    };
    let buckets = Buckets {
        connection: &mut connection,
        user: &mut user,
    };
    admit(wish, &sender, is_member, (&limits, buckets), moment)
}

fn full(limits: &Limits) -> TokenBucket {
    TokenBucket::full(limits.connection_rate(), moment().monotonic)
}

#[track_caller]
fn refused(wish: Wish, code: Code) {
    assert_eq!(admit_one(wish, true).unwrap_err().code, code);
}

#[test]
fn a_plain_wish_gets_the_defaults() {
    let draft = admit_one(wish("hi"), true).unwrap();
    let said = Entry::Message {
        message_type: "text".to_owned(),
        content: "hi".to_owned(),
        reply_to: None,
    };
    assert_eq!(draft.entry, said);
    assert_eq!(draft.client_msg_id, draft.id.to_string());
    assert_eq!(draft.timestamp_ms, 1_700_000_000_000);
}

#[test]
fn only_members_are_heard() {
    assert_eq!(
        admit_one(wish("hi"), false).unwrap_err().code,
        Code::NotMember
    );
}

#[test]
fn texts_have_bounds() {
    refused(wish(""), Code::BadRequest);
    refused(wish(&"x".repeat(17)), Code::PayloadTooLarge);
    assert!(admit_one(wish(&"x".repeat(16)), true).is_ok());
    refused(
        Wish {
            message_type: Some(String::new()),
            ..wish("hi")
        },
        Code::BadRequest,
    );
    refused(
        Wish {
            message_type: Some("a\nb".to_owned()),
            ..wish("hi")
        },
        Code::BadRequest,
    );
    refused(
        Wish {
            client_msg_id: Some("x".repeat(129)),
            ..wish("hi")
        },
        Code::PayloadTooLarge,
    );
    refused(
        Wish {
            client_msg_id: Some(String::new()),
            ..wish("hi")
        },
        Code::BadRequest,
    );
}

#[test]
fn a_refused_wish_costs_no_token() {
    let (limits, moment) = (limits(), moment());
    let mut connection = full(&limits);
    let mut user = connection;
    let sender = Sender {
        id: "u1".to_owned(),
        name: "Ann".to_owned(),
    };
    let mut try_one = |text: &str| {
        let buckets = Buckets {
            connection: &mut connection,
            user: &mut user,
        };
        admit(wish(text), &sender, true, (&limits, buckets), moment)
    };
    for _ in 0..10 {
        assert!(try_one("").is_err());
    }
    assert!(try_one("a").is_ok());
    assert!(try_one("b").is_ok());
    let refusal = try_one("c").unwrap_err();
    assert_eq!(
        (refusal.code, refusal.retry_after_ms),
        (Code::RateLimited, Some(1_000))
    );
}
