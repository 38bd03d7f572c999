//! `berth-proxy explain`: its words, and how its answer is shown.

use std::net::IpAddr;
use std::path::Path;

use anyhow::Context as _;
use berth_proxy::explain::{Question, explain};
use clap::Args;

use super::{Failure, load, say};

#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub(super) struct Explain {
    /// The client's address
    #[arg(long, value_name = "ADDRESS")]
    ip: IpAddr,

    /// The Host that it asks for
    #[arg(long, default_value = "localhost")]
    host: String,

    /// The path that it asks for, with its query
    #[arg(long, default_value = "/socket.io/")]
    path: String,

    /// The Cookie that it carries: 'srv_id=a; other=b'
    #[arg(long)]
    cookie: Option<String>,

    /// The Engine.IO session id that it carries: 'X~TAG', as the client holds it
    #[arg(long)]
    sid: Option<String>,

    /// Suppose that this server fails, as the file calls it; may be given several times
    #[arg(long, value_name = "SERVER")]
    out: Vec<String>,

    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

impl Explain {
    pub(super) fn obey(&self, file: &Path) -> Result<(), Failure> {
        let settings = load(file, "nothing was explained")?;
        let question = Question {
            ip: self.ip,
            host: &self.host,
            path: &self.path,
            cookie: self.cookie.as_deref(),
            sid: self.sid.as_deref(),
            out: &self.out,
        };
        let answer = explain(&settings, &question)
            .map_err(|error| Failure::usage(format!("berth-proxy: {error}")))?;
        if self.json {
            say(&serde_json::to_string(&answer).context("the answer cannot be written")?)?;
        } else {
            say(answer.to_string().trim_end())?;
        }
        if answer.refusal.is_some() {
            return Err(Failure::failed("berth-proxy: nobody gets this request"));
        }
        Ok(())
    }
}
