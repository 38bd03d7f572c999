//! The rounds: starts the servers, sends them the swarm, and writes down what it reports.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::super::measure::tracked;
use super::super::profile::{self, Profile};
use super::super::program::{Ports, Program, Ready};
use super::super::{Samples, say};
use super::ChatWish;
use super::cases::{Case, Load, Number, Scenario};
use super::peers::{Peer, Store, Wiring, log_in};
use crate::descriptors;
use crate::swarm::{self, IdlePlan, Kind, Plan, RoomPlan, RoomReport, Target};
use crate::watch::Watch;

const SOCKETIO_PATH: &str = "/socket.io/?EIO=4&transport=websocket";
const MESSAGE_BYTES: usize = 100;
/// Descriptors that a server needs besides one for each connection.
const DESCRIPTORS_SPARE: u64 = 1500;
/// Long beside the joining of a thousand members, which is counted with it.
const PROFILE_DURATION: Duration = Duration::from_secs(5);
/// The share of a processor above which more clients would have got more done.
const CLIENTS_BUSY_MAX: f64 = 0.95;

/// How much of everything.
struct Size {
    rounds: usize,
    warm_up: Duration,
    duration: Duration,
    idle_connections: usize,
}

impl Size {
    fn new(wish: &ChatWish, possible: usize) -> Self {
        let ms = Duration::from_millis;
        if wish.is_quick {
            return Self {
                rounds: wish.rounds.unwrap_or(2),
                warm_up: ms(500),
                duration: ms(1000),
                idle_connections: possible.min(1000),
            };
        }
        Self {
            rounds: wish.rounds.unwrap_or(5),
            warm_up: ms(1000),
            duration: ms(3000),
            idle_connections: possible.min(9000),
        }
    }
}

pub(super) struct Bench<'a> {
    wish: &'a ChatWish,
    size: Size,
    pub(super) peers: Vec<Peer>,
    pub(super) notes: Vec<String>,
    ports: Ports,
    /// Rooms have names of their own in each run.
    runs: usize,
    /// Once somebody needs it.
    mongo: Option<(String, Option<Program>)>,
    folder: TempDir,
}

struct Running {
    case: Case,
    targets: Vec<Target>,
    watch: Watch,
    /// Before the Redis that they use.
    _servers: Vec<Program>,
    _redis: Option<Program>,
}

type Numbers = Vec<(&'static str, f64)>;

impl<'a> Bench<'a> {
    pub(super) fn start(wish: &'a ChatWish) -> anyhow::Result<Self> {
        let descriptors = descriptors::raise()?;
        let is_present = |peer: &Peer| {
            let mut command = peer.version(wish);
            let said = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
            said.is_ok_and(|status| status.success())
        };
        let (peers, missing): (Vec<_>, Vec<_>) = Peer::ALL.into_iter().partition(is_present);
        let backend = wish.backend.display();
        anyhow::ensure!(peers.contains(&Peer::Berth), "{backend} does not run");
        let missing = missing.iter();
        let missing =
            missing.map(|peer| format!("{} is not installed: see bench/README.md", peer.name()));
        let possible = usize::try_from(descriptors.saturating_sub(DESCRIPTORS_SPARE))?;
        Ok(Self {
            wish,
            size: Size::new(wish, possible),
            peers,
            notes: missing.collect(),
            ports: Ports::new(),
            runs: 0,
            mongo: None,
            folder: TempDir::new()?,
        })
    }

    pub(super) fn note(&mut self, note: String) {
        say(&note);
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// All rounds of one scenario. Who cannot take part is noted and left out.
    ///
    /// # Errors
    /// When somebody who took part fails.
    pub(super) fn run(&mut self, scenario: Scenario, samples: &mut Samples) -> anyhow::Result<()> {
        let mut running = self.line_up(scenario)?;
        let rounds = if self.wish.is_quick && scenario == Scenario::Idle {
            1
        } else {
            self.size.rounds
        };
        for round in 0..rounds {
            // Each is first in its turn, so that nobody always runs on a machine that just did something else.
            running.rotate_left(usize::from(round > 0));
            for server in &mut running {
                // Memory is what was added since the start, so each round has a start.
                if scenario == Scenario::Idle && round > 0 {
                    *server = self.launch(server.case)?;
                }
                let numbers = self.measure(scenario, server)?;
                say(&line(scenario, round, &server.case, &numbers));
                for (id, number) in numbers {
                    let key = (server.case.peer.name(), id);
                    samples.entry(key).or_default().push(number);
                }
            }
        }
        Ok(())
    }

    /// Each that takes part once under each load of a scenario, with perf beside it. Joining is counted, too.
    ///
    /// # Errors
    /// When nobody can take part, or perf is not there.
    pub(super) fn profile(&mut self, scenario: Scenario) -> anyhow::Result<Vec<Profile>> {
        // Everything from the first message on is counted, as perf does.
        self.size.warm_up = Duration::ZERO;
        self.size.duration = PROFILE_DURATION;
        let file = self.folder.path().join("perf.data");
        let mut seen = Vec::new();
        for server in &self.line_up(scenario)? {
            for run in server.case.runs {
                let name = (run.load.words(), server.case.peer.name());
                let (profile, notes) = profile::look(name, &server.watch, &file, || {
                    let report = self.talk(server, run.load)?;
                    Ok(profile::Load {
                        exchanges: report.deliveries,
                        per_second: report.deliveries_per_second,
                        cpu_us_per_exchange: Number::CpuPerDelivery.of(&report),
                    })
                })?;
                notes.into_iter().for_each(|note| self.note(note));
                say(&profile.line());
                seen.push(profile);
            }
        }
        Ok(seen)
    }

    fn line_up(&mut self, scenario: Scenario) -> anyhow::Result<Vec<Running>> {
        let mut running = Vec::new();
        for case in scenario.cases() {
            if !self.peers.contains(&case.peer) {
                continue;
            }
            match self.launch(case) {
                Ok(server) => running.push(server),
                Err(reason) => {
                    let (name, who) = (scenario.name(), case.words());
                    self.note(format!("{name}: {who} is left out: {reason:#}"));
                }
            }
        }
        anyhow::ensure!(!running.is_empty(), "nobody can take part");
        Ok(running)
    }

    fn launch(&mut self, case: Case) -> anyhow::Result<Running> {
        let folder = self.fresh_folder()?;
        let mut redis = None;
        if case.setup.instances > 1 {
            redis = Some(self.service("redis")?);
        }
        if case.setup.store == Store::MongoDb {
            self.ensure_mongo()?;
        }
        let mut servers = Vec::new();
        let mut targets = Vec::new();
        for _ in 0..case.setup.instances {
            let listen = self.ports.next()?;
            let wiring = Wiring {
                listen,
                store: case.setup.store,
                folder: &folder,
                redis: redis.as_ref().map(|(address, _)| *address),
                mongo_uri: self.mongo.as_ref().map(|(uri, _)| uri.as_str()),
            };
            let log = folder.join(format!("{}.log", listen.port()));
            let command = case.peer.command(self.wish, &wiring)?;
            let mut server = Program::start(case.peer.name(), command, &log)?;
            server.ready(listen, Ready::Answers)?;
            servers.push(server);
            targets.push(Target::new(listen, SOCKETIO_PATH));
        }
        Ok(Running {
            case,
            targets,
            watch: Watch::new(servers.iter().map(Program::pid).collect()),
            _servers: servers,
            _redis: redis.map(|(_, program)| program),
        })
    }

    fn fresh_folder(&mut self) -> anyhow::Result<PathBuf> {
        self.runs += 1;
        let folder = self.folder.path().join(self.runs.to_string());
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    fn service(&mut self, name: &'static str) -> anyhow::Result<(SocketAddr, Program)> {
        let (address, folder) = (self.ports.next()?, self.fresh_folder()?);
        let mut command = Command::new(&self.wish.services);
        command
            .arg(name)
            .arg(address.port().to_string())
            .arg(&folder);
        let mut program = Program::start(name, command, &folder.join("output.log"))?;
        program.ready(address, Ready::Accepts)?;
        Ok((address, program))
    }

    fn ensure_mongo(&mut self) -> anyhow::Result<()> {
        if self.mongo.is_some() {
            return Ok(());
        }
        self.mongo = Some(match &self.wish.mongo_uri {
            Some(uri) => (uri.clone(), None),
            None => {
                let (address, program) = self.service("mongo")?;
                (format!("mongodb://{address}/bench"), Some(program))
            }
        });
        Ok(())
    }

    fn measure(&mut self, scenario: Scenario, server: &Running) -> anyhow::Result<Numbers> {
        if scenario == Scenario::Idle {
            return self.idle(server);
        }
        let mut numbers = Numbers::new();
        for run in server.case.runs {
            let report = self.talk(server, run.load)?;
            self.judge(scenario, server, &report);
            numbers.extend(
                run.rows
                    .iter()
                    .map(|(id, number)| (*id, number.of(&report))),
            );
        }
        Ok(numbers)
    }

    fn talk(&mut self, server: &Running, load: Load) -> anyhow::Result<RoomReport> {
        self.runs += 1;
        let plan = RoomPlan {
            name: format!("room-{}-{}", std::process::id(), self.runs),
            rooms: load.rooms,
            members: load.members,
            in_flight: load.in_flight,
            has_acks: true,
            is_for_others: false,
            timing: Plan {
                rate: load.rate,
                warm_up: self.size.warm_up,
                duration: self.size.duration,
                message_bytes: MESSAGE_BYTES,
                ..Plan::default()
            },
        };
        swarm::rooms(&server.targets, &plan, &server.watch)
    }

    /// A run in which something was lost or doubled is no measurement; the reader is told.
    fn judge(&mut self, scenario: Scenario, server: &Running, report: &RoomReport) {
        let (name, who) = (scenario.name(), server.case.words());
        if !report.is_exact() {
            self.note(format!(
                "{name}: {who}: {} missing, {} twice, {} disordered, refused {:?}, {} not acknowledged, failures {:?}",
                report.missing,
                report.twice,
                report.disordered,
                report.refusals,
                report.unacked,
                report.failures
            ));
        }
        if report.clients_busy > CLIENTS_BUSY_MAX {
            self.note(format!(
                "{name}: the clients took a whole processor; how much was delivered is their doing"
            ));
        }
    }

    fn idle(&mut self, server: &Running) -> anyhow::Result<Numbers> {
        let connections = self.size.idle_connections;
        if let Err(problem) = tracked::wait_for(connections as u64) {
            self.note(problem.to_owned());
        }
        let target = server.targets.first();
        let target = target.ok_or_else(|| anyhow::anyhow!("no server runs"))?;
        let target = target.clone().with_cookie(&log_in(target.address)?);
        let plan = IdlePlan {
            kind: Kind::Socketio,
            connections,
            messages: 0,
            message_bytes: 0,
            hold: Duration::ZERO,
        };
        let report = swarm::idle(&target, &plan, &server.watch)?;
        let who = server.case.peer.name();
        self.note(format!(
            "idle rows hold {connections} sockets of one session"
        ));
        if !report.failures.is_empty() {
            self.note(format!("idle: {who}: failed: {:?}", report.failures));
        }
        let (memory, setup) = (report.memory, report.cpu_opening);
        let memory = memory.ok_or_else(|| anyhow::anyhow!("nothing was watched"))?;
        Ok(vec![
            ("idle-memory", memory.per_connection_kib),
            ("idle-kept", memory.kept_mib),
            (
                "idle-setup-cpu",
                setup.map_or(f64::NAN, |cpu| cpu.us_per_exchange),
            ),
        ])
    }
}

impl Number {
    fn of(self, report: &RoomReport) -> f64 {
        let cpu_us = report.cpu.map_or(f64::NAN, |cpu| cpu.total_ms * 1000.0);
        match self {
            Self::CpuPerDelivery => cpu_us / report.deliveries as f64,
            Self::DeliveriesPerCpuSecond => report.deliveries as f64 / (cpu_us / 1e6),
            Self::CpuPerMessage => cpu_us / report.acked as f64,
            Self::P50 => report.latency.p50_us / 1000.0,
            Self::P99 => report.latency.p99_us / 1000.0,
            Self::AckP50 => report.ack_latency.p50_us / 1000.0,
            Self::AckP99 => report.ack_latency.p99_us / 1000.0,
        }
    }
}

fn line(scenario: Scenario, round: usize, case: &Case, numbers: &Numbers) -> String {
    let numbers = numbers.iter();
    let numbers: Vec<String> = numbers
        .map(|(id, number)| format!("{id} {number:.1}"))
        .collect();
    let (name, who) = (scenario.name(), case.words());
    format!(
        "{name:<9} round {} {who:<16} {}",
        round + 1,
        numbers.join("  ")
    )
}
