//! One call of the API as its handlers get it: whatever is wrong with it is answered in our words.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts as _, Query, RawPathParams, Request};
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value};
use std::sync::Arc;

use super::Site;
use super::auth::{Visitor, visitor};
use crate::chat::message::Sender;
use crate::chat::refusal::{Code, Refusal};
use crate::chat::room::RoomId;
use crate::chat::standing::Standing;
use crate::clock;
use crate::deeds::{Person, Purse, Seat};
use crate::socket::App;

/// The header that makes a message, or a change of one, safe to send again.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

pub(super) struct Call {
    pub(super) site: Site,
    pub(super) headers: HeaderMap,
    /// What the path has in the places of its parameters, decoded.
    path: Vec<(String, String)>,
    query: Vec<(String, String)>,
    body: Bytes,
}

impl FromRequest<Site> for Call {
    type Rejection = Response;

    async fn from_request(request: Request, site: &Site) -> Result<Self, Response> {
        let (mut head, body) = request.into_parts();
        let bad = |what: &str| Refusal::bad_request(what).into_response();
        let path = RawPathParams::from_request_parts(&mut head, site).await;
        let path = path.map_err(|_| bad("the path is not UTF-8"))?;
        let query = Query::from_request_parts(&mut head, site).await;
        let Query(query) = query.map_err(|_| bad("the query cannot be read"))?;
        let path = path.iter();
        let path = path.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let (path, headers) = (path.collect(), head.headers.clone());
        let request = Request::from_parts(head, body);
        let body = Bytes::from_request(request, site).await;
        let body = body.map_err(|why| too_large(&why).into_response())?;
        Ok(Self {
            site: site.clone(),
            headers,
            path,
            query,
            body,
        })
    }
}

fn too_large(why: &BytesRejection) -> Refusal {
    let code = match why.status().as_u16() {
        413 => Code::PayloadTooLarge,
        _ => Code::BadRequest,
    };
    Refusal::new(code, why.body_text())
}

impl Call {
    pub(super) fn app(&self) -> &App {
        &self.site.app
    }

    /// What the path has for a parameter.
    pub(super) fn named(&self, key: &str) -> &str {
        find(&self.path, key).unwrap_or_default()
    }

    /// The room of the path.
    pub(super) fn room(&self) -> Result<RoomId, Refusal> {
        Ok(RoomId::parse(self.named("id"))?)
    }

    /// A text of the query.
    pub(super) fn asked(&self, key: &str) -> Option<&str> {
        find(&self.query, key)
    }

    /// A number of the query.
    pub(super) fn asked_number(&self, key: &str) -> Result<Option<u64>, Refusal> {
        self.asked(key).map(|text| number(key, text)).transpose()
    }

    /// The fields of the body; an empty one has none.
    pub(super) fn fields(&self) -> Result<Map<String, Value>, Refusal> {
        fields(&self.body)
    }

    /// The call as the event of the same meaning takes it: parameters of the path are fields like others, and count more.
    pub(super) fn wish(&self) -> Result<Map<String, Value>, Refusal> {
        let mut fields = self.fields()?;
        for (key, value) in &self.path {
            let value = match key.as_str() {
                "seq" => Value::from(number(key, value)?),
                _ => Value::from(value.as_str()),
            };
            let key = if key == "id" { "roomId" } else { key };
            fields.insert(key.to_owned(), value);
        }
        Ok(fields)
    }

    /// [`wish`](Self::wish), whose `clientMsgId` is the `Idempotency-Key`.
    pub(super) fn wish_once(&self) -> Result<Map<String, Value>, Refusal> {
        let mut fields = self.wish()?;
        let Some(key) = idempotency_key(&self.headers)? else {
            return Ok(fields);
        };
        let other = fields.insert("clientMsgId".to_owned(), Value::from(key.as_str()));
        if other.is_some_and(|other| other != key) {
            return Err(Refusal::bad_request(
                "Idempotency-Key and clientMsgId are two names of one thing, and differ",
            ));
        }
        Ok(fields)
    }

    /// Whoever calls, who must be somebody.
    pub(super) async fn caller(&self) -> Result<Caller, Refusal> {
        let app = self.app();
        match visitor(app, &self.headers).await? {
            Visitor::User { sender, .. } => Ok(Caller::new(app, sender)),
            Visitor::Anonymous { .. } => Err(Refusal::new(
                Code::Unauthorized,
                "nobody is logged in; POST /api/auth/guest makes a guest",
            )),
        }
    }

    /// The id of whoever reads, who may be nobody where guests are let in.
    pub(super) async fn reader_id(&self) -> Result<String, Refusal> {
        let app = self.app();
        match visitor(app, &self.headers).await? {
            Visitor::User { sender, .. } => Ok(sender.id),
            Visitor::Anonymous { .. } if app.chat.guests => Ok(String::new()),
            Visitor::Anonymous { .. } => Err(Refusal::new(Code::Unauthorized, "log in first")),
        }
    }

    /// The standing of whoever reads, in the room of the path.
    pub(super) async fn reader_in_room(&self) -> Result<Standing, Refusal> {
        let user_id = self.reader_id().await?;
        entered(self.app(), &self.room()?, &user_id).await
    }
}

/// Somebody who does something over HTTP.
pub(super) struct Caller {
    pub(super) sender: Sender,
    purse: Arc<Purse>,
}

impl Caller {
    fn new(app: &App, sender: Sender) -> Self {
        let now = clock::monotonic();
        let purse = app.purses.of(&app.shares, &sender.id, &app.limits, now);
        Self { sender, purse }
    }

    pub(super) fn person(&self) -> Person<'_> {
        Person {
            sender: &self.sender,
            purse: &self.purse,
        }
    }

    /// Where they are in a room that is there.
    pub(super) async fn seat(&self, app: &App, room: &RoomId) -> Result<Seat, Refusal> {
        let standing = entered(app, room, &self.sender.id).await?;
        Ok(Seat::As(Arc::new(standing)))
    }

    /// Where they are in a room that they want to say something in. It may come into being here, as by joining it.
    pub(super) async fn seat_to_speak(&self, app: &App, room: &RoomId) -> Result<Seat, Refusal> {
        if app.rooms.room(room).await?.is_none() {
            self.person().take_token(app)?;
        }
        let standing = app.rooms.standing_to_join(room, &self.sender.id).await?;
        standing.may_enter(clock::unix_ms())?;
        Ok(Seat::As(Arc::new(standing)))
    }
}

async fn entered(app: &App, room: &RoomId, user_id: &str) -> Result<Standing, Refusal> {
    let standing = app.rooms.standing(room, user_id).await?;
    standing.may_enter(clock::unix_ms())?;
    Ok(standing)
}

/// The fields of a body; an empty one has none.
pub(super) fn fields(body: &Bytes) -> Result<Map<String, Value>, Refusal> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_slice(body).map_err(|_| {
        Refusal::bad_request("the body is not a JSON object such as {\"displayName\": \"Ann\"}")
    })
}

fn find<'a>(pairs: &'a [(String, String)], key: &str) -> Option<&'a str> {
    let mut found = pairs.iter().filter(|(name, _)| name == key);
    found.next().map(|(_, value)| value.as_str())
}

fn number(key: &str, text: &str) -> Result<u64, Refusal> {
    text.parse()
        .map_err(|_| Refusal::bad_request(format!("{key} is not a whole number from 0")))
}

/// The key, as the IETF's draft writes it (a quoted string) or bare.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let mut given = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = given.next() else {
        return Ok(None);
    };
    let bad = || Refusal::bad_request("Idempotency-Key is not one text of visible ASCII");
    let text = value.to_str().map_err(|_| bad())?.trim();
    let quoted = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    let key = quoted.unwrap_or(text);
    if given.next().is_some() || key.is_empty() || key.contains(['"', '\\']) {
        return Err(bad());
    }
    Ok(Some(key.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &[&str], expected: Result<Option<&str>, ()>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IDEMPOTENCY_KEY, value.parse().unwrap());
        }
        let key = idempotency_key(&headers).map_err(drop);
        assert_eq!(
            key.as_ref().map(Option::as_deref),
            expected.as_ref().copied().map_err(|()| &())
        );
    }

    #[test]
    fn a_key_is_read_quoted_and_bare() {
        check(&[], Ok(None));
        check(&["\"8e03978e\""], Ok(Some("8e03978e")));
        check(&["8e03978e"], Ok(Some("8e03978e")));
    }

    #[test]
    fn what_is_no_one_key_is_refused() {
        for values in [&[""][..], &["\"\""], &["a", "b"], &["\"a"], &["a\"b"]] {
            check(values, Err(()));
        }
    }
}
