//! The command line: verbs, the file they work on, and what each tells its caller.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage or a bad file (trying again cannot help).

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use berth_proxy::config;
use berth_proxy::descriptors;
use berth_proxy::import;
use berth_proxy::logging;
use berth_proxy::server::{self, Control, Source};
use berth_proxy::settings::Settings;
use berth_proxy::tls;
use clap::{Parser, Subcommand, ValueEnum};
use nix::sys::signal::{Signal, kill};
use tracing_subscriber::EnvFilter;

use crate::pid_file::{self, PidFile};
use crate::probe;

mod doctor;
mod explain;
mod status;

use doctor::Doctor;
use explain::Explain;

/// Where a file is looked for when none is named, in this order.
const CONFIG_PATHS: [&str; 2] = ["config/proxy.toml", "/etc/berth/proxy.toml"];

/// Sticky-session load balancer for Socket.IO and WebSocket fleets.
#[derive(Debug, Parser)]
#[command(name = "berth-proxy", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    verb: Option<Verb>,

    /// The configuration file [default: config/proxy.toml, then /etc/berth/proxy.toml]
    #[arg(short, long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    /// The same as check
    #[arg(short = 't')]
    test: bool,

    /// What run logs: error, warn, info, debug, trace, or such a level per module
    #[arg(
        long,
        global = true,
        env = "LOG_LEVEL",
        value_name = "LEVEL",
        default_value = "info"
    )]
    log_level: String,

    /// How run logs: lines for people, or JSON for machines
    #[arg(
        long,
        global = true,
        env = "LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text"
    )]
    log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
enum Verb {
    /// Serve until a signal says otherwise: HUP reloads, TERM, INT and QUIT drain and stop (the default)
    Run,
    /// Say everything that is wrong with the file; start nothing
    Check,
    /// Have the running proxy read its file again, if the file is good
    Reload,
    /// Ask the running proxy's admin listener whether it lives
    Health,
    /// Say how the running proxy's servers are, by asking its admin listener
    Status {
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Write what an nginx configuration says as a file for this proxy, to standard output
    ///
    /// What has no counterpart is listed with file and line, here and at the head of the result.
    ImportNginx {
        /// nginx's main file
        #[arg(value_name = "NGINX.CONF")]
        file: PathBuf,

        /// End with 1 if anything would behave differently than in nginx
        #[arg(long)]
        strict: bool,
    },
    /// Examine any Socket.IO address from outside, and say what is wrong between clients and servers
    ///
    /// Makes real handshakes, polls, posts and WebSockets. Ends with 1 if it finds problems.
    Doctor(Doctor),
    /// Say which server a request would get and why, from the file alone
    Explain(Explain),
}

/// Why the program ends without having done what it was told.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    pub(crate) message: String,
}

impl Failure {
    const FAILED: u8 = 1;
    const USAGE: u8 = 2;

    fn failed(message: &str) -> Self {
        Self {
            code: Self::FAILED,
            message: message.to_owned(),
        }
    }

    fn usage(message: String) -> Self {
        Self {
            code: Self::USAGE,
            message,
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self {
            code: Self::FAILED,
            message: format!("berth-proxy: {error:#}"),
        }
    }
}

impl Cli {
    pub(crate) fn obey(self) -> Result<(), Failure> {
        let verb = match (self.verb, self.test) {
            (None | Some(Verb::Check), true) => Verb::Check,
            (Some(_), true) => {
                return Err(Failure::usage(
                    "berth-proxy: -t is a verb itself; leave out one of the two".to_owned(),
                ));
            }
            (verb, false) => verb.unwrap_or(Verb::Run),
        };
        let file = || self.config.map_or_else(default_config, Ok);
        match verb {
            Verb::Run => {
                let file = file()?;
                let settings = load(&file, "nothing was started")?;
                let _gathering = start_logging(&self.log_level, self.log_format)?;
                run(&file, settings)
            }
            Verb::Check => check(&file()?),
            Verb::Reload => reload(&file()?),
            Verb::Health => health(&file()?),
            Verb::Status { json } => status::status(&file()?, json),
            Verb::ImportNginx { file, strict } => import_nginx(&file, strict),
            Verb::Doctor(doctor) => doctor.obey(),
            Verb::Explain(explain) => explain.obey(&file()?),
        }
    }
}

fn default_config() -> Result<PathBuf, Failure> {
    let found = CONFIG_PATHS
        .iter()
        .map(Path::new)
        .find(|path| path.exists());
    found.map(Path::to_path_buf).ok_or_else(|| {
        Failure::usage(format!(
            "berth-proxy: there is neither {} here nor {}; name a file with -c FILE",
            CONFIG_PATHS[0], CONFIG_PATHS[1]
        ))
    })
}

fn load(file: &Path, consequence: &str) -> Result<Settings, Failure> {
    config::load(file).map_err(|problems| Failure::usage(problems.explain(consequence)))
}

fn run(file: &Path, settings: Settings) -> Result<(), Failure> {
    let mut control = Control::signals();
    // Held until the proxy has ended: dropping it removes the file.
    let pid_file = settings
        .pid_file
        .as_deref()
        .map(PidFile::claim)
        .transpose()?
        .map(Arc::new);
    if let Some(pid_file) = pid_file.clone() {
        control = control.on_ready(move |_| {
            if let Err(error) = pid_file.announce() {
                tracing::error!(%error, "pid file not written; reload will not find this process");
            }
        });
    }
    tracing::info!(version = env!("CARGO_PKG_VERSION"), config = %file.display(), "starting");
    raise_descriptors(settings.limits.connections_max);
    Ok(server::run(
        settings,
        Source::File(file.to_path_buf()),
        control,
    )?)
}

fn raise_descriptors(connections_max: usize) {
    match descriptors::raise().map(|limit| (limit, descriptors::connections(limit))) {
        Ok((limit, enough_for)) if enough_for < connections_max as u64 => tracing::warn!(
            limit,
            enough_for,
            connections_max,
            "fewer file descriptors than connections_max needs; raise ulimit -n or lower it"
        ),
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "limit of file descriptors not raised"),
    }
}

fn check(file: &Path) -> Result<(), Failure> {
    let settings = load(file, "nothing was started")?;
    for concern in tls::concerns(&settings) {
        // With stderr closed the log of a start says it, too.
        writeln!(io::stderr(), "{}: warning: {concern}", file.display()).unwrap_or_default();
    }
    say(&format!(
        "configuration file {} test is successful",
        file.display()
    ))
}

fn reload(file: &Path) -> Result<(), Failure> {
    let settings = load(file, "nothing was reloaded")?;
    let path = settings.pid_file.ok_or_else(|| {
        Failure::usage(format!(
            "berth-proxy: {} has no server.pid_file, so the running proxy cannot be found; \
             add one and restart, or send it HUP yourself",
            file.display()
        ))
    })?;
    let pid = pid_file::running(&path)?;
    kill(pid, Signal::SIGHUP).with_context(|| format!("process {pid} was not signalled"))?;
    say(&format!(
        "configuration file {} test is successful; process {pid} reloads it",
        file.display()
    ))
}

fn health(file: &Path) -> Result<(), Failure> {
    Ok(probe::liveness(admin_of(file)?)?)
}

/// Where the running proxy is asked.
fn admin_of(file: &Path) -> Result<SocketAddr, Failure> {
    let admin = config::load_admin(file)
        .map_err(|problems| Failure::usage(problems.explain("nothing was asked")))?;
    admin.ok_or_else(|| {
        Failure::usage(format!(
            "berth-proxy: {} has no [admin], so there is nobody to ask",
            file.display()
        ))
    })
}

fn import_nginx(file: &Path, strict: bool) -> Result<(), Failure> {
    let import = import::import(file, &import::Disk).map_err(|refused| {
        tell(refused.notes());
        Failure::usage(refused.to_string())
    })?;
    tell(&import.notes);
    say(import.toml.trim_end())?;
    match import.changes().count() {
        0 => Ok(()),
        1 if strict => Err(Failure::failed("(1 thing is not as in nginx)")),
        changes if strict => Err(Failure::failed(&format!(
            "({changes} things are not as in nginx)"
        ))),
        _ => Ok(()),
    }
}

/// On standard error, so that standard output can be redirected into a file.
fn tell(notes: &[import::Note]) {
    for note in notes {
        // With stderr closed the heading of the result still says it.
        writeln!(io::stderr(), "{note}").unwrap_or_default();
    }
}

fn start_logging(level: &str, format: LogFormat) -> Result<Option<logging::Gathering>, Failure> {
    let filter = EnvFilter::try_new(level).map_err(|error| {
        Failure::usage(format!(
            "berth-proxy: --log-level {level:?}: {error}; write info"
        ))
    })?;
    Ok(logging::start(filter, format == LogFormat::Json)?)
}

fn say(text: &str) -> Result<(), Failure> {
    Ok(writeln!(io::stdout(), "{text}").context("standard output cannot be written")?)
}

#[cfg(test)]
mod tests;
