use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Bytes {
    let digits = hex.replace(char::is_whitespace, "");
    let pair = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len())
        .step_by(2)
        .map(pair)
        .collect::<Vec<_>>()
        .into()
}

/// The JSON text and its MessagePack, each made of the other.
#[track_caller]
fn check(text: &str, msgpack: &str) {
    check_to_msgpack(text, msgpack);
    check_to_json(msgpack, text);
}

#[track_caller]
fn check_to_msgpack(text: &str, msgpack: &str) {
    let encoded = to_msgpack(text, &VecDeque::new()).unwrap();
    assert_eq!(hex(&encoded), msgpack.replace(' ', ""));
}

#[track_caller]
fn check_to_json(msgpack: &str, text: &str) {
    let payload = bytes(msgpack);
    assert_eq!(
        to_json(&payload, &payload),
        Ok((text.to_owned(), VecDeque::new()))
    );
}

/// Captured from Node: `emit("t",1,-1,200,70000,5e9,1.5,true,null,"é",{a:[1,2]},undefined)`.
#[test]
fn values_look_as_node_writes_them() {
    check(
        r#"["t",1,-1,200,70000,5000000000,1.5,true,null,"é",{"a":[1,2]},null]"#,
        "9c a174 01 ff ccc8 ce00011170 cf000000012a05f200 cb3ff8000000000000 c3 c0 a2c3a9 \
         81a161920102 c0",
    );
    check(
        r#"[-128,-129,-40000,-3000000000]"#,
        "94 d080 d1ff7f d2ffff63c0 d3ffffffff4d2fa200",
    );
    check(
        r#"[18446744073709551615,-9223372036854775808]"#,
        "92 cfffffffffffffffff d38000000000000000",
    );
}

#[test]
fn lengths_use_the_shortest_form() {
    let long = |count: usize| format!("[{}]", vec!["0"; count].join(","));
    assert!(hex(&to_msgpack(&long(15), &VecDeque::new()).unwrap()).starts_with("9f00"));
    assert!(hex(&to_msgpack(&long(16), &VecDeque::new()).unwrap()).starts_with("dc001000"));
    assert!(hex(&to_msgpack(&long(65_536), &VecDeque::new()).unwrap()).starts_with("dd0001000000"));
}

#[test]
fn what_json_cannot_say_becomes_what_javascript_makes_of_it() {
    // Date(1700000000000), NaN, Infinity, undefined, and an invalid date.
    check_to_json(
        "95 d6ff6553f100 cb7ff8000000000000 ca7f800000 d40000 c70cff000000007fffffffffffffff",
        r#"["2023-11-14T22:13:20.000Z",null,null,null,null]"#,
    );
    // Keys that are numbers.
    check_to_json("82 01 a161 ff a162", r#"{"1":"a","-1":"b"}"#);
    // A lone surrogate, in the bytes that Node makes of it.
    check_to_json("91 a3eda080", "[\"\u{fffd}\u{fffd}\u{fffd}\"]");
    // Forms that Node reads but does not write.
    check_to_json("92 d30000000000000007 ca3fc00000", "[7,1.5]");
}

#[test]
fn attachments_change_places_with_their_placeholders() {
    let msgpack = bytes("93 a3 62696e c403010203 81 a162 c401ff");
    let text = r#"["bin",{"_placeholder":true,"num":0},{"b":{"_placeholder":true,"num":1}}]"#;
    let attachments: VecDeque<_> = [bytes("010203"), bytes("ff")].into();
    assert_eq!(to_msgpack(text, &attachments).unwrap(), msgpack);
    assert_eq!(
        to_json(&msgpack, &msgpack),
        Ok((text.to_owned(), attachments.clone()))
    );

    let turned = text.replace(
        r#""_placeholder":true,"num":0"#,
        r#""num":0,"_placeholder":true"#,
    );
    assert_eq!(to_msgpack(&turned, &attachments).unwrap(), msgpack);
    assert!(
        to_msgpack(&text.replace(":1}", ":2}"), &attachments).is_err(),
        "no such attachment"
    );
}

#[test]
fn text_that_looks_like_a_placeholder_stays_text() {
    check(
        r#"[{"_placeholder":true,"num":0}]"#,
        "91 82 ac5f706c616365686f6c646572 c3 a36e756d 00",
    );
    let attachments: VecDeque<_> = [bytes("ff")].into();
    for text in [
        r#"[{"_placeholder":false,"num":0}]"#,
        r#"[{"_placeholder":true,"num":0,"x":0}]"#,
        r#"[{"_placeholder":true,"num":-1}]"#,
    ] {
        let payload = Bytes::from(to_msgpack(text, &attachments).unwrap());
        assert_eq!(
            to_json(&payload, &payload),
            Ok((text.to_owned(), VecDeque::new()))
        );
    }
}

#[test]
fn depth_is_bounded_and_the_same_both_ways() {
    let nested = |depth: usize| format!("{}0{}", "[".repeat(depth), "]".repeat(depth));
    let deepest =
        (1..=200).take_while(|depth| to_msgpack(&nested(*depth), &VecDeque::new()).is_ok());
    let deepest = deepest.last().unwrap();
    assert!(deepest >= 100, "{deepest}");
    let payload = Bytes::from(to_msgpack(&nested(deepest), &VecDeque::new()).unwrap());
    assert_eq!(to_json(&payload, &payload).unwrap().0, nested(deepest));
    let bottomless = Bytes::from(vec![0x91; 1 << 20]);
    assert!(to_json(&bottomless, &bottomless).is_err());
}

#[test]
fn half_a_value_and_one_and_a_half_are_refused() {
    let payload = bytes("93 a174 01 81 a161 02");
    for length in 0..payload.len() {
        let part = payload.slice(..length);
        assert!(to_json(&part, &part).is_err(), "{length} bytes");
    }
    let more = bytes("93 a174 01 81 a161 02 00");
    assert!(to_json(&more, &more).is_err());
    for text in ["", "[", "[1]]", "[1] 2", "nul"] {
        assert!(to_msgpack(text, &VecDeque::new()).is_err(), "{text:?}");
    }
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        // Fractions that decimal text holds exactly.
        any::<i32>().prop_map(|eighths| json!(f64::from(eighths) / 8.0)),
        any::<String>().prop_map(Json::from),
    ];
    leaf.prop_recursive(5, 64, 20, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..20).prop_map(Json::from),
            prop::collection::vec((any::<String>(), inner), 0..20)
                .prop_map(|pairs| Json::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn json_survives_the_way_there_and_back(value in any_json()) {
        let msgpack = Bytes::from(to_msgpack(&value.to_string(), &VecDeque::new()).unwrap());
        // Another implementation reads it, to its end.
        let mut rest = &msgpack[..];
        prop_assert!(rmpv::decode::read_value_ref(&mut rest).is_ok());
        prop_assert!(rest.is_empty());
        let (text, attachments) = to_json(&msgpack, &msgpack).unwrap();
        prop_assert!(attachments.is_empty());
        prop_assert_eq!(serde_json::from_str::<Json>(&text).unwrap(), value);
    }

    #[test]
    fn any_bytes_are_read_or_refused(garbage in prop::collection::vec(any::<u8>(), 0..200)) {
        let payload = Bytes::from(garbage);
        if let Ok((text, attachments)) = to_json(&payload, &payload) {
            prop_assert!(serde_json::from_str::<Json>(&text).is_ok(), "{}", text);
            prop_assert!(to_msgpack(&text, &attachments).is_ok(), "{}", text);
        }
    }
}
