use proptest::prelude::*;

use super::*;

fn bytes(hex: &str) -> Vec<u8> {
    let pair = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(pair).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn audience(rooms: &[&str], except: &[&str]) -> Audience {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    Audience {
        rooms: names(rooms),
        except: names(except),
        volatile: false,
    }
}

/// Written as Node's server wrote it, and read.
#[track_caller]
fn check(data: &str, audience: &Audience, captured: &str) {
    let data = Value::Str(data.to_owned().into(), None);
    let encoded = encode("neW5e6", "/", &data, audience).unwrap();
    assert_eq!(hex(&encoded), captured);

    let broadcast = decode(&encoded).unwrap();
    assert_eq!(broadcast.audience, *audience);
    assert_eq!(broadcast.event.namespace, "/");
    assert_eq!(broadcast.event.arguments, encode_arguments(&data).unwrap());
    assert_eq!(sender(&encoded), Ok("neW5e6"));
}

/// `io.emit("hi","all")`
#[test]
fn to_everybody() {
    check(
        r#"["hi","all"]"#,
        &Audience::default(),
        "93a66e655735653683a47479706502a46461746192a26869a3616c6ca36e7370a12f83a5726f6f6d7390a66578\
         6365707490a5666c61677380",
    );
}

/// `io.to("lobby").emit("chat message",{room,text})`
#[test]
fn to_a_room() {
    check(
        r#"["chat message",{"room":"lobby","text":"hello"}]"#,
        &audience(&["lobby"], &[]),
        "93a66e655735653683a47479706502a46461746192ac63686174206d65737361676582a4726f6f6da56c6f6262\
         79a474657874a568656c6c6fa36e7370a12f83a5726f6f6d7391a56c6f626279a665786365707490a5666c6167\
         7380",
    );
}

/// `io.to(["r0","r1"]).except("zzz").emit("e",1)`
#[test]
fn to_rooms_but_one() {
    check(
        r#"["e",1]"#,
        &audience(&["r0", "r1"], &["zzz"]),
        "93a66e655735653683a47479706502a46461746192a16501a36e7370a12f83a5726f6f6d7392a27230a27231a6\
         65786365707491a37a7a7aa5666c61677380",
    );
}

/// `socket.to("lobby").emit("m",{text})`, which leaves the sender out.
#[test]
fn from_a_client() {
    check(
        r#"["m",{"text":"from client"}]"#,
        &audience(&["lobby"], &["x7Zasod"]),
        "93a66e655735653683a47479706502a46461746192a16d81a474657874ab66726f6d20636c69656e74a36e7370\
         a12f83a5726f6f6d7391a56c6f626279a665786365707491a778375a61736f64a5666c61677380",
    );
}

#[test]
fn volatile_is_a_flag() {
    let volatile = Audience {
        volatile: true,
        ..audience(&["lobby"], &[])
    };
    let data = Value::Str("[\"v\",1]".into(), None);
    let encoded = encode("neW5e6", "/", &data, &volatile).unwrap();
    assert!(hex(&encoded).ends_with("a5666c61677381a8766f6c6174696c65c3"));
    assert_eq!(decode(&encoded).unwrap().audience, volatile);
    // Node's other flags are read over: `.volatile.compress(false)`.
    let with_more = hex(&encoded).replace("81a8766f", "82a8766f") + "a8636f6d7072657373c2";
    assert_eq!(decode(&bytes(&with_more)).unwrap().audience, volatile);
}

/// `emit("bin",<010203>,{b:<ff>})`: the type stays 2.
#[test]
fn binary_is_part_of_the_message() {
    let attachments = [Bytes::from_static(&[1, 2, 3]), Bytes::from_static(&[0xff])];
    let data = Value::Str(
        r#"["bin",{"_placeholder":true,"num":0},{"b":{"_placeholder":true,"num":1}}]"#.into(),
        Some(attachments.into()),
    );
    let encoded = hex(&encode("neW5e6", "/", &data, &Audience::default()).unwrap());
    assert!(
        encoded.contains("a47479706502a46461746193a362696ec40301020381a162c401ff"),
        "{encoded}"
    );
}

#[test]
fn arguments_that_are_messagepack_already_are_checked() {
    let value = |bytes: &'static [u8]| Value::Bytes(Bytes::from_static(bytes));
    let everybody = Audience::default();
    assert!(encode("u", "/", &value(b"\x91\xa1e"), &everybody).is_ok());
    for broken in [&b""[..], b"\x91", b"\x91\xa1e\x00", b"\xc1"] {
        assert!(
            encode("u", "/", &value(broken), &everybody).is_err(),
            "{broken:?}"
        );
    }
}

/// `em.emit("from-emitter",42,"x")`: other order of keys.
#[test]
fn the_emitter_is_understood() {
    let captured = bytes(
        "93a7656d697474657283a47479706502a46461746193ac66726f6d2d656d69747465722aa178a36e7370a12f83\
         a5726f6f6d7390a5666c61677380a665786365707490",
    );
    let broadcast = decode(&captured).unwrap();
    assert_eq!(broadcast.audience, Audience::default());
    assert_eq!(
        hex(broadcast.event.arguments),
        "93ac66726f6d2d656d69747465722aa178"
    );
}

#[test]
fn what_may_be_missing_may_be_missing() {
    // [“u”, {data:["e"]}, {rooms:nil, except:[1,-1,1.5], flags:nil, more:{}}]
    let message = bytes(
        "93a17581a46461746191a16584a5726f6f6d73c0a665786365707493\
         01ffcb3ff8000000000000a5666c616773c0a46d6f726580",
    );
    let broadcast = decode(&message).unwrap();
    assert_eq!(broadcast.event.namespace, "/");
    assert_eq!(broadcast.audience, audience(&[], &["1", "-1", "1.5"]));
}

#[test]
fn what_must_not_be_is_refused() {
    for (why, message) in [
        ("nothing", ""),
        ("not an array", "81a175c0"),
        ("two parts", "92a17581a46461746191a165"),
        ("no data", "93a17581a36e7370a12f80"),
        ("data is a map", "93a17581a4646174618080"),
        ("options are nil", "93a17581a46461746191a165c0"),
        (
            "an acknowledgement",
            "93a17582a47479706503a46461746191a16580",
        ),
        (
            "a room is a map",
            "93a17581a46461746191a16581a5726f6f6d739180",
        ),
        ("something follows", "93a17581a46461746191a1658000"),
    ] {
        assert!(decode(&bytes(message)).is_err(), "{why}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(garbage in prop::collection::vec(any::<u8>(), 0..200)) {
        let _outcome = decode(&garbage);
    }

    #[test]
    fn a_damaged_message_is_read_or_refused(
        damage in prop::collection::vec((0..120_usize, any::<u8>()), 1..4),
        length in 0..140_usize,
    ) {
        let data = Value::Str(r#"["chat message",{"room":"lobby","text":["hello"]}]"#.into(), None);
        let mut message = encode("neW5e6", "/", &data, &audience(&["a", "b"], &["c"])).unwrap().to_vec();
        for (at, byte) in damage {
            let at = at % message.len();
            message[at] = byte;
        }
        message.truncate(length.max(1));
        let message = Bytes::from(message);
        if let Ok(broadcast) = decode(&message) {
            let _outcome = args::to_json(broadcast.event.arguments, &message);
        }
    }
}
