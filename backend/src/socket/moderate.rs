//! `kickUser`, `banUser`, `muteUser`: in effect on every instance when it is answered here, and in a moment elsewhere.

use serde_json::Value;

use super::App;
use super::connect::Client;
use super::reply::Reply;
use crate::deeds::moderate;
use crate::protocol::{MemberAnswer, MemberBody, MemberRequest};

pub(super) async fn moderate(app: &App, client: &Client, arguments: Vec<Value>, reply: Reply) {
    let request = match MemberRequest::read(arguments) {
        Ok(request) => request,
        Err(refusal) => return reply.refuse(&refusal, (None, None)).await,
    };
    match moderate::moderate(app, client.person(), reply.event, &request).await {
        Ok(member) => {
            let member = MemberBody::from(&member);
            reply.done(MemberAnswer { member }).await;
        }
        Err(refusal) => {
            let about = (Some(request.room.as_str()), None);
            reply.refuse(&refusal, about).await;
        }
    }
}
