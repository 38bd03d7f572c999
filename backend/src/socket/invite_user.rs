//! `inviteUser`: makes somebody a member, or gives a member another role.

use serde_json::Value;

use super::App;
use super::connect::Client;
use super::reply::Reply;
use crate::deeds::invite_user;
use crate::protocol::{MemberAnswer, MemberBody, MemberRequest};

pub(super) async fn invite(app: &App, client: &Client, arguments: Vec<Value>, reply: Reply) {
    let request = match MemberRequest::read(arguments) {
        Ok(request) => request,
        Err(refusal) => return reply.refuse(&refusal, (None, None)).await,
    };
    match invite_user::invite(app, client.person(), &request).await {
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
