//! The verb `doctor`: its words, its progress, and what it prints.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use anyhow::Context as _;
use berth_proxy::config;
use berth_proxy::doctor::target::{Origin, Target};
use berth_proxy::doctor::{self, Examination};
use clap::Args;

use super::{Failure, say};

#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Doctor {
    /// Where clients connect to: https://chat.example.com
    url: String,

    /// Where Socket.IO lives there [default: the URL's own path, else /socket.io/]
    #[arg(long)]
    path: Option<String>,

    /// Where the page comes from that connects, to examine cross-origin rules and cookies
    #[arg(long)]
    origin: Option<String>,

    /// How many sessions are opened without cookies, and as many with them
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u16).range(2..=200))]
    sessions: u16,

    /// How long to wait for a connection, and for an answer
    #[arg(long, default_value = "10s", value_parser = timeout)]
    timeout: Duration,

    /// Do not judge the certificate
    #[arg(long)]
    insecure: bool,

    /// Leave out what takes as long as the server's ping, usually half a minute
    #[arg(long)]
    quick: bool,

    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

fn timeout(text: &str) -> Result<Duration, String> {
    let time = config::time(text)?;
    let allowed = Duration::from_millis(100)..=Duration::from_mins(10);
    if allowed.contains(&time) {
        Ok(time)
    } else {
        Err("write 100ms to 10m".to_owned())
    }
}

impl Doctor {
    pub(crate) fn obey(self) -> Result<(), Failure> {
        let misnamed = |error| Failure::usage(format!("berth-proxy: {error}"));
        let examination = Examination {
            target: Target::parse(&self.url, self.path.as_deref()).map_err(misnamed)?,
            origin: self
                .origin
                .as_deref()
                .map(Origin::parse)
                .transpose()
                .map_err(misnamed)?,
            sessions: self.sessions.into(),
            patience: self.timeout,
            is_insecure: self.insecure,
            is_quick: self.quick,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("no runtime")?;
        let is_watched = io::stderr().is_terminal();
        let report = runtime.block_on(doctor::diagnose(&examination, &|what| {
            if is_watched {
                progress(what);
            }
        }));
        if is_watched {
            progress("");
        }
        if self.json {
            let text = serde_json::to_string_pretty(&report);
            say(&text.context("the report cannot be written")?)?;
        } else {
            say(report.to_string().trim_end())?;
        }
        match report.problems {
            0 => Ok(()),
            1 => Err(Failure::failed("berth-proxy: a problem was found")),
            _ => Err(Failure::failed("berth-proxy: problems were found")),
        }
    }
}

/// One line that overwrites itself.
fn progress(what: &str) {
    // With stderr closed nobody watches.
    write!(io::stderr(), "\r\x1b[K{what}").unwrap_or_default();
    io::stderr().flush().unwrap_or_default();
}
