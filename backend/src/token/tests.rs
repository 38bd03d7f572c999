use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::testing::{ED25519_PEM, RSA_PEM, eddsa, hs256, key_set, rs256, signed};
use super::*;
use crate::chat::message::Sender;

const NOW_MS: i64 = 1_795_339_157_084;
const NOW: i64 = NOW_MS / 1000;
const SHARED: &str = "a secret that is shared with an issuer";

fn rules() -> Rules {
    Rules {
        algorithms: vec![Algorithm::HS256, Algorithm::RS256, Algorithm::EdDSA],
        issuer: None,
        audience: None,
        leeway: Duration::from_secs(30),
    }
}

fn tokens(rules: Rules) -> Tokens {
    let keys = vec![
        keys_of_secret(SHARED).unwrap(),
        keys_of_pem(RSA_PEM).unwrap(),
        keys_of_pem(ED25519_PEM).unwrap(),
    ];
    Tokens::new(["new", "old"], keys, None, rules).unwrap()
}

fn ann(exp: i64) -> Value {
    json!({"sub": "ann", "name": "Ann", "exp": exp})
}

async fn verify(tokens: &Tokens, token: &str) -> Result<String, String> {
    let verified = tokens.verify(token, NOW_MS).await;
    verified
        .map(|bearer| bearer.sender.id)
        .map_err(|bad| bad.to_string())
}

#[track_caller]
fn assert_refused(result: &Result<String, String>, why: &str) {
    let refused = result.as_ref().unwrap_err();
    assert!(refused.contains(why), "{refused}");
}

#[tokio::test]
async fn the_three_algorithms_are_believed() {
    let tokens = tokens(rules());
    for token in [
        hs256(SHARED, &ann(NOW + 60)),
        rs256(None, &ann(NOW + 60)),
        eddsa(Some("any"), &ann(NOW + 60)),
    ] {
        assert_eq!(verify(&tokens, &token).await.as_deref(), Ok("ann"));
    }
    let bearer = tokens
        .verify(&hs256(SHARED, &ann(NOW + 60)), NOW_MS)
        .await
        .unwrap();
    assert_eq!(
        (bearer.sender.name.as_str(), bearer.ends_ms, bearer.is_guest),
        ("Ann", (NOW + 60) * 1000, false)
    );
}

#[tokio::test]
async fn only_listed_algorithms_are_believed_and_none_never() {
    let few = Rules {
        algorithms: vec![Algorithm::EdDSA],
        ..rules()
    };
    let strict = tokens(few);
    for token in [hs256(SHARED, &ann(NOW + 60)), rs256(None, &ann(NOW + 60))] {
        let result = verify(&strict, &token).await;
        assert_refused(&result, "not among the accepted algorithms");
    }
    let open = tokens(rules());
    for header in [json!({"alg": "none"}), json!({"alg": "NONE"}), json!({})] {
        for proof in [&b""[..], b"x"] {
            let token = signed(&header, &ann(NOW + 60), |_| proof.to_vec());
            assert!(verify(&open, &token).await.is_err(), "{header}");
        }
    }
    // The public key as if it were a shared secret.
    let pem = String::from_utf8(RSA_PEM.to_vec()).unwrap();
    let confused = hs256(&pem, &ann(NOW + 60));
    assert_refused(&verify(&open, &confused).await, "InvalidSignature");
}

#[tokio::test]
async fn a_changed_token_is_refused() {
    let tokens = tokens(rules());
    let token = rs256(None, &ann(NOW + 60));
    let parts: Vec<&str> = token.split('.').collect();
    let eve = URL_SAFE_NO_PAD.encode(ann(NOW + 60).to_string().replace("ann", "eve"));
    let forged = format!("{}.{eve}.{}", parts[0], parts[2]);
    assert_refused(&verify(&tokens, &forged).await, "InvalidSignature");
    for broken in ["", ".", "..", "a.b.c", &token[1..], &format!("{token}.x")] {
        assert!(verify(&tokens, broken).await.is_err(), "{broken}");
    }
    let long = format!("{token}{}", "x".repeat(TOKEN_BYTES_MAX));
    assert_refused(&verify(&tokens, &long).await, "longer than");
}

#[tokio::test]
async fn time_is_judged_with_the_leeway() {
    let tokens = tokens(rules());
    let at = async |claims: Value| verify(&tokens, &hs256(SHARED, &claims)).await;
    assert!(at(ann(NOW - 29)).await.is_ok());
    assert_refused(&at(ann(NOW - 30)).await, "expired");
    let soon = |nbf: i64| json!({"sub": "ann", "exp": NOW + 60, "nbf": nbf});
    assert!(at(soon(NOW + 30)).await.is_ok());
    assert_refused(&at(soon(NOW + 31)).await, "not valid yet");
    assert!(
        at(json!({"sub": "ann", "exp": 1_795_339_217.5}))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn what_must_be_there_is_asked_for() {
    let tokens = tokens(rules());
    for claims in [
        json!({"sub": "ann"}),
        json!({"exp": NOW + 60}),
        json!({"sub": "", "exp": NOW + 60}),
        json!({"sub": 7, "exp": NOW + 60}),
        json!({"sub": "ann", "exp": "soon"}),
        json!({"sub": "ann", "exp": NOW + 60, "nbf": "never"}),
        json!({"sub": "x".repeat(129), "exp": NOW + 60}),
        json!({"sub": "a\nb", "exp": NOW + 60}),
    ] {
        let result = verify(&tokens, &hs256(SHARED, &claims)).await;
        assert!(result.is_err(), "{claims}");
    }
}

#[tokio::test]
async fn issuer_and_audience_are_asked_for_when_named() {
    let strict = tokens(Rules {
        issuer: Some("https://id.example".to_owned()),
        audience: Some("chat".to_owned()),
        ..rules()
    });
    let of = async |iss: Value, aud: Value| {
        let claims = json!({"sub": "ann", "exp": NOW + 60, "iss": iss, "aud": aud});
        verify(&strict, &hs256(SHARED, &claims)).await
    };
    let issuer = json!("https://id.example");
    assert!(of(issuer.clone(), json!("chat")).await.is_ok());
    assert!(of(issuer.clone(), json!(["mail", "chat"])).await.is_ok());
    assert_refused(&of(issuer, json!("mail")).await, "InvalidAudience");
    let other = of(json!("https://evil.example"), json!("chat")).await;
    assert_refused(&other, "InvalidIssuer");
    assert!(
        verify(&strict, &hs256(SHARED, &ann(NOW + 60)))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn our_own_tokens_live_through_a_rotation_and_name_their_session() {
    let sender = Sender {
        id: "guest-1".to_owned(),
        name: "Ann".to_owned(),
    };
    let session = SessionDigest::of("sid");
    let claims = Claims::own(&sender, true, session, NOW_MS + 60_000);
    let none = Rules {
        algorithms: Vec::new(),
        ..rules()
    };
    let before = Tokens::new(["old"], Vec::new(), None, none.clone()).unwrap();
    let after = Tokens::new(["new", "old"], Vec::new(), None, none.clone()).unwrap();
    let elsewhere = Tokens::new(["other"], Vec::new(), None, none).unwrap();
    let token = before.issue(&claims).unwrap();
    let bearer = after.verify(&token, NOW_MS).await.unwrap();
    assert_eq!(
        bearer,
        Bearer {
            sender,
            is_guest: true,
            ends_ms: NOW_MS + 60_000,
            session: Some(session)
        }
    );
    assert!(!token.contains("sid"));
    assert!(elsewhere.verify(&token, NOW_MS).await.is_err());
    // Without any leeway: both clocks are ours.
    let late = after.verify(&token, NOW_MS + 60_000).await;
    assert!(matches!(late, Err(BadToken::Refused(_))));
}

#[tokio::test]
async fn an_issuer_cannot_speak_of_our_sessions_or_guests() {
    let digest = SessionDigest::of("sid").to_hex();
    let claims = json!({"sub": "ann", "exp": NOW + 60, "guest": true, "berthSession": digest});
    let bearer = tokens(rules())
        .verify(&hs256(SHARED, &claims), NOW_MS)
        .await
        .unwrap();
    assert_eq!((bearer.is_guest, bearer.session), (false, None));
}

#[test]
fn keys_that_are_none_are_refused() {
    assert!(keys_of_secret("short").is_err());
    assert!(keys_of_pem(b"-----BEGIN NOTHING-----").is_err());
    for set in [
        "",
        "{}",
        r#"{"keys":[]}"#,
        r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#,
    ] {
        assert!(keys_of_jwks(set.as_bytes()).is_err(), "{set}");
    }
    let keys = keys_of_jwks(key_set("ed").as_bytes()).unwrap();
    let algorithms: Vec<Algorithm> = keys.iter().map(Key::algorithm).collect();
    assert_eq!(algorithms, [Algorithm::RS256, Algorithm::EdDSA]);
}

/// Serves each answer once, then hangs up on whoever asks.
async fn issuer(answers: Vec<String>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 1024];
            assert!(stream.read(&mut head).await.unwrap() > 0);
            let length = answer.len();
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    format!("http://{address}/keys")
}

#[tokio::test]
async fn a_key_set_is_fetched_by_url() {
    let url = issuer(vec![key_set("ed")]).await;
    let tokens = Tokens::new(["s"], Vec::new(), Some(Jwks::at(&url).unwrap()), rules()).unwrap();
    let token = eddsa(Some("ed"), &ann(NOW + 60));
    assert_eq!(verify(&tokens, &token).await.as_deref(), Ok("ann"));
    let token = rs256(Some("rsa"), &ann(NOW + 60));
    assert_eq!(verify(&tokens, &token).await.as_deref(), Ok("ann"));
    // Not asked again at once, and the keys stay.
    let unknown = eddsa(Some("unknown"), &ann(NOW + 60));
    assert_refused(&verify(&tokens, &unknown).await, "no key fits");
    assert_eq!(verify(&tokens, &token).await.as_deref(), Ok("ann"));
    // A secret in a public set is no secret.
    let shared = hs256(
        "a shared secret has no business in a public set",
        &ann(NOW + 60),
    );
    assert_refused(&verify(&tokens, &shared).await, "no key fits");
}

#[tokio::test]
async fn an_issuer_that_does_not_answer_is_not_a_bad_token() {
    for answers in [
        vec![],
        vec!["nonsense".to_owned()],
        vec![" ".repeat(300_000)],
    ] {
        let url = issuer(answers).await;
        let jwks = Some(Jwks::at(&url).unwrap());
        let tokens = Tokens::new(["s"], Vec::new(), jwks, rules()).unwrap();
        let result = tokens.verify(&eddsa(None, &ann(NOW + 60)), NOW_MS).await;
        assert!(
            matches!(result, Err(BadToken::KeysUnavailable(_))),
            "{result:?}"
        );
    }
}

proptest! {
    #[test]
    fn any_text_is_no_token_of_ours(text in any::<String>(), parts in "[A-Za-z0-9_-]{0,40}(\\.[A-Za-z0-9_-]{0,40}){2}") {
        let tokens = tokens(rules());
        for text in [text, parts] {
            let verdict = futures_util::future::FutureExt::now_or_never(tokens.verify(&text, NOW_MS));
            prop_assert!(verdict.is_some_and(|verdict| verdict.is_err()), "{text:?}");
        }
    }

    #[test]
    fn a_digest_is_read_as_it_is_written(sid in any::<String>(), text in any::<String>()) {
        let digest = SessionDigest::of(&sid);
        prop_assert_eq!(SessionDigest::from_hex(&digest.to_hex()), Some(digest));
        std::hint::black_box(SessionDigest::from_hex(&text));
    }
}
