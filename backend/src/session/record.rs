//! What a session record says: who the user is, and until when it lives.
//!
//! The record stays express-session's: only the fields named here are read or changed, everything else passes through.

use serde_json::{Map, Value, json};

use super::cookie::CookieSettings;
use super::{Session, SessionError, SessionTtl};
use crate::date;

/// Where the user is looked for, in this order: Berth's and most guides', a bare id, Passport's.
pub const USER_PATHS: [&str; 3] = ["user", "userId", "passport.user"];

/// Somebody a session has logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionUser {
    pub id: String,
    pub name: Option<String>,
    pub guest: bool,
}

/// How long a record is kept from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lifetime {
    Seconds(u32),
    /// It is over: the record is removed instead.
    Over,
}

impl Session {
    /// # Errors
    /// [`SessionError::Malformed`] when the text is not a JSON object with a `cookie` object, which express-session cannot do without.
    pub fn parse(text: &str) -> Result<Self, SessionError> {
        let fields: Map<String, Value> =
            serde_json::from_str(text).map_err(|why| SessionError::Malformed(why.to_string()))?;
        let session = Self(fields);
        session.checked()?;
        Ok(session)
    }

    /// express-session answers 500 to a record without a `cookie` object, so none may be kept.
    pub(super) fn checked(&self) -> Result<&Self, SessionError> {
        match self.0.get("cookie") {
            Some(Value::Object(_)) => Ok(self),
            Some(_) | None => Err(SessionError::Malformed(
                "it has no `cookie` object".to_owned(),
            )),
        }
    }

    /// The JSON that is kept.
    #[must_use]
    pub fn to_json(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }

    /// A new session of a guest. Times are milliseconds since the Unix epoch.
    #[must_use]
    pub fn guest(id: &str, name: &str, settings: &CookieSettings, now_ms: i64) -> Self {
        let mut session = Self::new(settings, now_ms);
        session.0.insert(
            "user".to_owned(),
            json!({ "id": id, "name": name, "guest": true }),
        );
        session
    }

    /// A new session of somebody who has logged in.
    #[must_use]
    pub fn user_logged_in(
        id: &str,
        name: &str,
        username: &str,
        settings: &CookieSettings,
        now_ms: i64,
    ) -> Self {
        let mut session = Self::new(settings, now_ms);
        session.0.insert(
            "user".to_owned(),
            json!({ "id": id, "name": name, "username": username }),
        );
        session
    }

    /// A session of nobody yet: only the `cookie` object, with express-session's fields in its order.
    #[must_use]
    pub fn new(settings: &CookieSettings, now_ms: i64) -> Self {
        let expires = settings
            .max_age_ms
            .map(|age| date::to_iso(now_ms.saturating_add(age)));
        let mut cookie = Map::new();
        cookie.insert("originalMaxAge".to_owned(), json!(settings.max_age_ms));
        cookie.insert("expires".to_owned(), json!(expires));
        if settings.secure {
            cookie.insert("secure".to_owned(), json!(true));
        }
        cookie.insert("httpOnly".to_owned(), json!(settings.http_only));
        if let Some(domain) = &settings.domain {
            cookie.insert("domain".to_owned(), json!(domain));
        }
        cookie.insert("path".to_owned(), json!(settings.path));
        if let Some(same_site) = settings.same_site {
            cookie.insert("sameSite".to_owned(), json!(same_site.as_str()));
        }
        Self(Map::from_iter([(
            "cookie".to_owned(),
            Value::Object(cookie),
        )]))
    }

    /// The user at the first of `paths` (dots lead into objects) that names one. See [`USER_PATHS`].
    ///
    /// What is found may be the id itself, a text or a number, or an object with `id`, `_id` or `userId`.
    #[must_use]
    pub fn user<P: AsRef<str>>(&self, paths: &[P]) -> Option<SessionUser> {
        paths.iter().find_map(|path| {
            let mut steps = path.as_ref().split('.');
            let first = self.0.get(steps.next()?)?;
            let found = steps.try_fold(first, |value, step| value.get(step))?;
            self.read_user(found)
        })
    }

    fn read_user(&self, found: &Value) -> Option<SessionUser> {
        let (id, described_by) = match found {
            Value::Object(user) => (
                ["id", "_id", "userId"]
                    .iter()
                    .find_map(|k| id_of(user.get(*k)?))?,
                user,
            ),
            // A bare id: a name, if any, stands beside it.
            other => (id_of(other)?, &self.0),
        };
        let name = ["name", "displayName", "username"].iter().find_map(|key| {
            described_by
                .get(*key)?
                .as_str()
                .filter(|name| !name.is_empty())
        });
        let guest = described_by
            .get("guest")
            .and_then(Value::as_bool)
            .unwrap_or(false);
        Some(SessionUser {
            id,
            name: name.map(str::to_owned),
            guest,
        })
    }

    /// The record as express-session saves it at the end of a request: an age that slides starts anew.
    #[must_use]
    pub fn renewed(&self, now_ms: i64) -> Self {
        let mut session = self.clone();
        if let Some(Value::Object(cookie)) = session.0.get_mut("cookie")
            && let Some(age_ms) = cookie.get("originalMaxAge").and_then(whole)
        {
            let expires = date::to_iso(now_ms.saturating_add(age_ms));
            cookie.insert("expires".to_owned(), Value::String(expires));
        }
        session
    }

    /// connect-redis' rule: until `cookie.expires`, else for the keeper's default.
    pub(super) fn lifetime(&self, now_ms: i64, ttl: SessionTtl) -> Lifetime {
        let expires = self
            .0
            .get("cookie")
            .and_then(|cookie| cookie.get("expires"));
        let Some(expires_ms) = expires.and_then(Value::as_str).and_then(date::parse_iso) else {
            return Lifetime::Seconds(ttl.default_seconds);
        };
        let left_ms = expires_ms.saturating_sub(now_ms);
        if left_ms <= 0 {
            return Lifetime::Over;
        }
        Lifetime::Seconds(u32::try_from(left_ms.saturating_add(999) / 1000).unwrap_or(u32::MAX))
    }
}

/// JavaScript has one kind of number: `3600000.5` and `3.6e6` are ages too.
fn whole(value: &Value) -> Option<i64> {
    #[allow(
        clippy::cast_possible_truncation,
        reason = "a float beyond the range saturates, which is wanted"
    )]
    value
        .as_i64()
        .or_else(|| value.as_f64().map(|age| age as i64))
}

fn id_of(value: &Value) -> Option<String> {
    match value {
        Value::String(id) if !id.is_empty() => Some(id.clone()),
        Value::Number(id) => Some(id.to_string()),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use proptest::prelude::{any, prop_assert_eq, proptest};
    use serde_json::json;

    use super::super::cookie::CookieSettings;
    use super::{Lifetime, Session, SessionError, SessionTtl, SessionUser, USER_PATHS};

    const NOW_MS: i64 = 1_795_339_157_084;

    fn session(text: &str) -> Session {
        Session::parse(text).unwrap()
    }

    #[test]
    fn a_guest_is_a_record_that_express_session_reads() {
        let settings = CookieSettings {
            max_age_ms: Some(3_600_000),
            ..CookieSettings::default()
        };
        assert_eq!(
            Session::guest("g-1", "Ann", &settings, NOW_MS).to_json(),
            r#"{"cookie":{"originalMaxAge":3600000,"expires":"2026-11-22T10:19:17.084Z","httpOnly":true,"path":"/","sameSite":"lax"},"user":{"id":"g-1","name":"Ann","guest":true}}"#
        );
        let settings = CookieSettings {
            domain: Some("example.com".to_owned()),
            secure: true,
            same_site: None,
            ..CookieSettings::default()
        };
        assert_eq!(
            Session::new(&settings, NOW_MS).to_json(),
            r#"{"cookie":{"originalMaxAge":null,"expires":null,"secure":true,"httpOnly":true,"domain":"example.com","path":"/"}}"#
        );
    }

    #[test]
    fn unknown_fields_and_their_order_survive() {
        let text = r#"{"z":1,"cookie":{"path":"/","expires":null,"originalMaxAge":null},"a":{"y":[1.5,null],"b":"ü"},"flash":{}}"#;
        assert_eq!(session(text).renewed(NOW_MS).to_json(), text);
    }

    #[test]
    fn a_record_without_a_cookie_is_malformed() {
        for text in [
            "",
            "1",
            "[]",
            "{}",
            r#"{"cookie":null}"#,
            r#"{"cookie":[]}"#,
            "{\"cookie\":{}",
        ] {
            let parsed = Session::parse(text);
            assert!(
                matches!(parsed, Err(SessionError::Malformed(_))),
                "{text:?}"
            );
        }
    }

    #[test]
    fn the_user_is_found_where_apps_put_it() {
        let user = |fields: &str| {
            let user = session(&format!(r#"{{"cookie":{{}},{fields}}}"#)).user(&USER_PATHS)?;
            Some((user.id, user.name.unwrap_or_default(), user.guest))
        };
        let is = |id: &str, name: &str, guest| Some((id.to_owned(), name.to_owned(), guest));
        assert_eq!(
            user(r#""user":{"id":"7","name":"Ann","guest":true}"#),
            is("7", "Ann", true)
        );
        assert_eq!(
            user(r#""user":{"_id":"5f","username":"ann"}"#),
            is("5f", "ann", false)
        );
        assert_eq!(
            user(r#""user":{"id":7,"name":"","displayName":"A"}"#),
            is("7", "A", false)
        );
        assert_eq!(user(r#""user":"ann""#), is("ann", "", false));
        assert_eq!(
            user(r#""userId":42,"username":"ann""#),
            is("42", "ann", false)
        );
        assert_eq!(user(r#""passport":{"user":"42"}"#), is("42", "", false));
        assert_eq!(
            user(r#""passport":{"user":{"id":"42"}}"#),
            is("42", "", false)
        );
        assert_eq!(user(r#""user":{"id":""},"userId":"9""#), is("9", "", false));
        for nobody in [
            r#""user":null"#,
            r#""user":{}"#,
            r#""userId":true"#,
            r#""passport":[1]"#,
        ] {
            assert_eq!(user(nobody), None, "{nobody}");
        }
        let found = session(r#"{"cookie":{},"a":{"b":{"c":"deep"}}}"#).user(&["x.y", "a.b.c"]);
        assert_eq!(
            found,
            Some(SessionUser {
                id: "deep".to_owned(),
                name: None,
                guest: false
            })
        );
    }

    #[test]
    fn a_sliding_age_starts_anew_and_a_fixed_end_stays() {
        let sliding =
            session(r#"{"cookie":{"originalMaxAge":1000,"expires":"2001-01-01T00:00:00.000Z"}}"#);
        assert_eq!(
            sliding.renewed(NOW_MS).0["cookie"]["expires"],
            json!("2026-11-22T09:19:18.084Z")
        );
        let fixed =
            session(r#"{"cookie":{"originalMaxAge":null,"expires":"2001-01-01T00:00:00.000Z"}}"#);
        assert_eq!(fixed.renewed(NOW_MS), fixed);
    }

    #[test]
    fn the_lifetime_is_connect_redis() {
        let ttl = SessionTtl {
            default_seconds: 77,
        };
        let lifetime = |expires: &str| {
            session(&format!(r#"{{"cookie":{{"expires":{expires}}}}}"#)).lifetime(NOW_MS, ttl)
        };
        assert_eq!(lifetime("null"), Lifetime::Seconds(77));
        assert_eq!(
            lifetime(r#""2026-11-22T09:19:18.084Z""#),
            Lifetime::Seconds(1)
        );
        assert_eq!(
            lifetime(r#""2026-11-22T09:19:18.085Z""#),
            Lifetime::Seconds(2),
            "rounded up"
        );
        assert_eq!(lifetime(r#""2026-11-22T09:19:17.084Z""#), Lifetime::Over);
        assert_eq!(lifetime(r#""2001-01-01T00:00:00.000Z""#), Lifetime::Over);
        assert_eq!(
            lifetime(r#""9999-12-31T23:59:59.999Z""#),
            Lifetime::Seconds(u32::MAX)
        );
        assert_eq!(
            session(r#"{"cookie":{}}"#).lifetime(NOW_MS, ttl),
            Lifetime::Seconds(77)
        );
    }

    proptest! {
        /// Another program's records are in the same place.
        #[test]
        fn any_record_is_a_session_or_malformed(
            text in any::<String>(),
            fields in r#"("user":[{"a0}\[\]:]{0,6},|"passport":\{"user":[0-9"]{1,3}\},|"cart":[0-9]{1,3},){0,3}"#,
            cookie in r#"("originalMaxAge":-?[0-9]{1,20}|"expires":"[0-9TZ:.-]{0,24}"|"httpOnly":true)"#,
        ) {
            for text in [text, format!(r#"{{{fields}"cookie":{{{cookie}}}}}"#)] {
                let Ok(session) = Session::parse(&text) else {
                    continue;
                };
                prop_assert_eq!(Session::parse(&session.to_json()), Ok(session.clone()));
                black_box(session.user(&USER_PATHS));
                black_box(session.lifetime(NOW_MS, SessionTtl::default()));
                black_box(session.renewed(NOW_MS));
            }
        }
    }
}
