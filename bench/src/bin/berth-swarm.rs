//! The program `berth-swarm`: arguments in, a run, JSON out. The runs are in `berth_bench::swarm`.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use berth_bench::descriptors;
use berth_bench::swarm::{self, Echo, Fresh, H2, Http, IdlePlan, Kind, Plan, RoomPlan, Target};
use berth_bench::watch::Watch;
use clap::{Args, Parser, Subcommand};
use serde::Serialize;

/// Where Socket.IO clients connect that do not poll first.
const SOCKETIO_PATH: &str = "/socket.io/?EIO=4&transport=websocket";

/// Load for proxies, from many loopback addresses and on one thread. Prints a JSON report; a failed exchange makes the exit code 1.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Subcommand)]
enum Mode {
    /// Small requests, on connections that are kept or on fresh ones.
    Http(HttpMode),
    /// Small requests over HTTP/2, one at a time on each connection; without --tls by prior knowledge.
    H2(H2Mode),
    /// Messages and their echoes on WebSockets that stay.
    WsEcho(WsEchoMode),
    /// WebSockets that are opened and closed. One without its first message counts as failed: lost.
    WsOpen(WsOpenMode),
    /// WebSockets that are opened and held.
    WsIdle(WsIdleMode),
    /// Keep-alive connections that are held after one request each.
    HttpIdle(HttpIdleMode),
    /// Rooms of Socket.IO members in which every delivery is counted.
    Socketio(SocketioMode),
    /// Socket.IO members of rooms, 20 in each, that are held and say nothing. Longer than the server waits for an answer to its ping,
    /// they lose their connections.
    SocketioIdle(SocketioIdleMode),
}

#[derive(Args)]
struct HttpMode {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    timing: Timing,
    /// A new connection for each request.
    #[arg(long)]
    fresh: bool,
    /// Send back the first cookie that each connection gets.
    #[arg(long)]
    cookies: bool,
}

#[derive(Args)]
struct H2Mode {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    timing: Timing,
}

#[derive(Args)]
struct WsEchoMode {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    timing: Timing,
    /// Of each message.
    #[arg(long, default_value_t = 100)]
    message_bytes: usize,
}

#[derive(Args)]
struct WsOpenMode {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    timing: Timing,
    /// Open so many instead of for a time.
    #[arg(long, conflicts_with = "rate")]
    total: Option<u64>,
    /// Wait for a message of the server's (berth-bench-backend: path /greet) instead of an echo.
    #[arg(long)]
    greeted: bool,
}

#[derive(Args)]
struct WsIdleMode {
    #[command(flatten)]
    common: Common,
    /// Seconds to hold them for.
    #[arg(long, default_value_t = 0.0)]
    hold: f64,
    /// Messages to echo on each, one after another, to see what they leave behind.
    #[arg(long, default_value_t = 0)]
    messages: usize,
    #[arg(long, default_value_t = 65_536)]
    message_bytes: usize,
}

#[derive(Args)]
struct HttpIdleMode {
    #[command(flatten)]
    common: Common,
    /// Seconds to hold them for.
    #[arg(long, default_value_t = 0.0)]
    hold: f64,
}

/// The path is /socket.io/?EIO=4&transport=websocket unless given.
#[derive(Args)]
struct SocketioIdleMode {
    #[command(flatten)]
    common: Common,
    /// The session that all of them have.
    #[arg(long)]
    cookie: Option<String>,
    /// Seconds to hold them for.
    #[arg(long, default_value_t = 0.0)]
    hold: f64,
}

/// The path is /socket.io/?EIO=4&transport=websocket unless given. --rate counts messages over all rooms.
#[derive(Args)]
struct SocketioMode {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    timing: Timing,
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    rooms: u16,
    /// Of each room; the first one sends.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
    members: u16,
    /// Of the content.
    #[arg(long, default_value_t = 100)]
    message_bytes: usize,
    /// Messages of a room that may be under way, without a rate.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    in_flight: u16,
    /// The server does not acknowledge joinRoom and sendMessage.
    #[arg(long)]
    no_acks: bool,
    /// The server does not send a message back to its sender.
    #[arg(long)]
    others_only: bool,
}

#[derive(Args)]
struct Common {
    /// The proxy, or a server without one.
    #[arg(long, value_name = "IP:PORT")]
    target: SocketAddr,
    #[arg(long, default_value = "/")]
    path: String,
    #[arg(long, short = 'n', default_value_t = 64)]
    connections: usize,
    /// Loopback addresses to come from (127.0.0.2, 127.0.1.2, …); 0 lets the system choose.
    #[arg(long, default_value_t = 20)]
    sources: u8,
    /// Use TLS and trust the certificates in this PEM file; the name is localhost. Every handshake is a full one.
    #[arg(long, value_name = "FILE")]
    tls: Option<PathBuf>,
    /// A process whose CPU time and memory are reported, with its children's; may be repeated.
    #[arg(long, value_name = "PID")]
    watch: Vec<u32>,
}

#[derive(Args)]
struct Timing {
    /// Exchanges a second in all; latency counts from the time each was meant to begin. Default: as fast as it goes.
    #[arg(long, value_name = "PER_SECOND")]
    rate: Option<f64>,
    /// Seconds that are not counted.
    #[arg(long, default_value_t = 0.5)]
    warm_up: f64,
    /// Seconds that are counted.
    #[arg(long, default_value_t = 5.0)]
    duration: f64,
}

impl Common {
    fn target(&self) -> anyhow::Result<Target> {
        self.target_speaking("http/1.1")
    }

    fn target_speaking(&self, protocol: &str) -> anyhow::Result<Target> {
        let target = Target::new(self.target, &self.path).with_sources(self.sources);
        match &self.tls {
            None => Ok(target),
            Some(file) => target.with_tls(file, protocol),
        }
    }

    fn default_to_socketio(&mut self) {
        if self.path == "/" {
            SOCKETIO_PATH.clone_into(&mut self.path);
        }
    }

    fn watch(&self) -> Watch {
        Watch::new(self.watch.clone())
    }

    fn plan(&self, timing: &Timing) -> anyhow::Result<Plan> {
        if let Some(rate) = timing.rate {
            let is_possible = (0.001..=1e6).contains(&rate);
            anyhow::ensure!(is_possible, "--rate must be 0.001 to 1000000");
        }
        Ok(Plan {
            connections: self.connections,
            rate: timing.rate,
            warm_up: Duration::try_from_secs_f64(timing.warm_up)?,
            duration: Duration::try_from_secs_f64(timing.duration)?,
            ..Plan::default()
        })
    }
}

fn main() -> anyhow::Result<ExitCode> {
    descriptors::raise()?;
    match Cli::parse().mode {
        Mode::Http(mode) => mode.run(),
        Mode::H2(mode) => mode.run(),
        Mode::WsEcho(mode) => mode.run(),
        Mode::WsOpen(mode) => mode.run(),
        Mode::WsIdle(mode) => mode.run(),
        Mode::HttpIdle(mode) => mode.run(),
        Mode::Socketio(mode) => mode.run(),
        Mode::SocketioIdle(mode) => mode.run(),
    }
}

impl HttpMode {
    fn run(self) -> anyhow::Result<ExitCode> {
        let plan = Plan {
            is_fresh: self.fresh,
            has_cookies: self.cookies,
            ..self.common.plan(&self.timing)?
        };
        exchange::<Http>(&self.common, &plan)
    }
}

impl H2Mode {
    fn run(self) -> anyhow::Result<ExitCode> {
        let plan = self.common.plan(&self.timing)?;
        let target = self.common.target_speaking("h2")?;
        let report = swarm::run::<H2>(&target, &plan, &self.common.watch())?;
        print(&report, report.failed() == 0)
    }
}

impl WsEchoMode {
    fn run(self) -> anyhow::Result<ExitCode> {
        let plan = Plan {
            message_bytes: self.message_bytes,
            ..self.common.plan(&self.timing)?
        };
        exchange::<Echo>(&self.common, &plan)
    }
}

impl WsOpenMode {
    fn run(self) -> anyhow::Result<ExitCode> {
        let plan = Plan {
            total: self.total,
            is_greeted: self.greeted,
            ..self.common.plan(&self.timing)?
        };
        exchange::<Fresh>(&self.common, &plan)
    }
}

impl WsIdleMode {
    fn run(self) -> anyhow::Result<ExitCode> {
        let plan = IdlePlan {
            kind: Kind::WebSocket,
            connections: self.common.connections,
            messages: self.messages,
            message_bytes: self.message_bytes,
            hold: Duration::try_from_secs_f64(self.hold)?,
        };
        held(&self.common.target()?, &self.common, &plan)
    }
}

impl HttpIdleMode {
    fn run(self) -> anyhow::Result<ExitCode> {
        let plan = IdlePlan {
            kind: Kind::Http,
            connections: self.common.connections,
            messages: 0,
            message_bytes: 0,
            hold: Duration::try_from_secs_f64(self.hold)?,
        };
        held(&self.common.target()?, &self.common, &plan)
    }
}

impl SocketioIdleMode {
    fn run(mut self) -> anyhow::Result<ExitCode> {
        self.common.default_to_socketio();
        let plan = IdlePlan {
            kind: Kind::Socketio,
            connections: self.common.connections,
            messages: 0,
            message_bytes: 0,
            hold: Duration::try_from_secs_f64(self.hold)?,
        };
        let target = self.common.target()?;
        let target = match &self.cookie {
            None => target,
            Some(cookie) => target.with_cookie(cookie),
        };
        held(&target, &self.common, &plan)
    }
}

impl SocketioMode {
    fn run(mut self) -> anyhow::Result<ExitCode> {
        self.common.default_to_socketio();
        let plan = RoomPlan {
            name: format!("swarm-{}", std::process::id()),
            rooms: self.rooms.into(),
            members: self.members.into(),
            in_flight: self.in_flight.into(),
            has_acks: !self.no_acks,
            is_for_others: self.others_only,
            timing: Plan {
                message_bytes: self.message_bytes,
                ..self.common.plan(&self.timing)?
            },
        };
        let targets = [self.common.target()?];
        let report = swarm::rooms(&targets, &plan, &self.common.watch())?;
        print(&report, report.is_exact())
    }
}

fn exchange<S: swarm::Session>(common: &Common, plan: &Plan) -> anyhow::Result<ExitCode> {
    let report = swarm::run::<S>(&common.target()?, plan, &common.watch())?;
    print(&report, report.failed() == 0)
}

fn held(target: &Target, common: &Common, plan: &IdlePlan) -> anyhow::Result<ExitCode> {
    let report = swarm::idle(target, plan, &common.watch())?;
    print(&report, report.failures.is_empty())
}

fn print(report: &impl Serialize, is_well: bool) -> anyhow::Result<ExitCode> {
    let text = serde_json::to_string_pretty(report)?;
    writeln!(std::io::stdout(), "{text}")?;
    Ok(ExitCode::from(u8::from(!is_well)))
}
