//! `POST /api/admin/{broadcast,kick,ban,drain}`: what an operator tells this server, and by it all of them.

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Json, Response};
use serde_json::{Map, Value, json};

use super::admit;
use crate::chat::refusal::Refusal;
use crate::http::call::Call;
use crate::protocol::{self, DirectRequest, ServerNotice, boolean, number, text};
use crate::socket::leaving::{self, SPREAD_MS_MAX};
use crate::socket::{Ended, Revocation};

/// Within which time clients are moved when nothing is said.
const SPREAD_MS_DEFAULT: u64 = 20_000;

type Answer = Result<Response, Refusal>;

pub(in crate::http) async fn broadcast(call: Call) -> Answer {
    let fields = order(&call)?;
    let notice = ServerNotice::read(vec![Value::Object(fields)])?;
    tracing::info!(?notice, "an operator tells everybody");
    let members = &call.app().members;
    members.tell_all(protocol::SERVER_NOTICE, &notice).await;
    Ok(yes(&json!({"ok": true})))
}

/// Ends somebody's connections everywhere. They may come back.
pub(in crate::http) async fn kick(call: Call) -> Answer {
    let user_id = DirectRequest::read(vec![Value::Object(order(&call)?)])?.user_id;
    tracing::info!(user = user_id, "an operator ends somebody's connections");
    call.app().revoke(Revocation {
        user_id,
        session: None,
        why: Ended::Kicked,
    });
    Ok(yes(&json!({"ok": true})))
}

/// On record first: whoever hears of it later, or not at all, finds it there.
pub(in crate::http) async fn ban(call: Call) -> Answer {
    let fields = order(&call)?;
    let is_banned = boolean(&fields, "banned")?.unwrap_or(true);
    let user_id = DirectRequest::read(vec![Value::Object(fields)])?.user_id;
    let app = call.app();
    app.users.set_banned(&user_id, is_banned).await?;
    app.bans.set(&user_id, is_banned);
    tracing::info!(
        user = user_id,
        is_banned,
        "an operator shuts somebody out or lets them in"
    );
    if is_banned {
        app.revoke(Revocation {
            user_id,
            session: None,
            why: Ended::Banned,
        });
    }
    Ok(yes(&json!({"ok": true, "banned": is_banned})))
}

/// Of this instance, or of the one that is named: a proxy gives an order to whichever it likes.
pub(in crate::http) async fn drain(call: Call) -> Answer {
    let fields = order(&call)?;
    let app = &call.site.app;
    let wanted = leaving::Order {
        instance_id: text(&fields, "instanceId")?.unwrap_or_else(|| app.instance.clone()),
        draining: boolean(&fields, "draining")?.unwrap_or(true),
        spread_ms: number(&fields, "spreadMs")?.unwrap_or(SPREAD_MS_DEFAULT),
    };
    if wanted.spread_ms > SPREAD_MS_MAX {
        let message = format!("spreadMs is more than {SPREAD_MS_MAX}");
        return Err(Refusal::bad_request(message));
    }
    if wanted.instance_id != app.instance {
        leaving::pass_on(app, &wanted)?;
        let told = Json(json!({"ok": true, "state": "told"}));
        return Ok((StatusCode::ACCEPTED, told).into_response());
    }
    let connections = leaving::carry_out(app, &wanted);
    let state = if app.is_leaving() { "draining" } else { "up" };
    Ok(yes(
        &json!({"ok": true, "state": state, "connections": connections}),
    ))
}

/// The fields of an operator's order.
fn order(call: &Call) -> Result<Map<String, Value>, Refusal> {
    admit(&call.site.admin, &call.headers)?;
    call.fields()
}

fn yes(body: &Value) -> Response {
    Json(body).into_response()
}
