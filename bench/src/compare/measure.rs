//! The rounds: starts the proxies, sends them the swarm, and writes down what it reports.

mod scenarios;
pub(super) mod tracked;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use tempfile::TempDir;

use super::profile::{self, Load, Profile};
use super::program::{Ports, Program, Ready};
use super::proxies::{Certificate, Contender, Flavour, Wiring};
use super::rows::Scenario;
use super::{Samples, Wish, say};
use crate::descriptors;
use crate::watch::Watch;

/// So that balancing has something to decide.
const SERVERS: usize = 2;
/// Descriptors that a proxy needs besides two for each connection.
const DESCRIPTORS_SPARE: u64 = 1500;

/// How much of everything.
struct Size {
    rounds: usize,
    /// Of those runs whose result hardly varies.
    idle_rounds: usize,
    warm_up: Duration,
    duration: Duration,
    latency_duration: Duration,
    idle_connections: usize,
    fresh_per_round: u64,
}

impl Size {
    fn new(wish: &Wish) -> Self {
        let ms = Duration::from_millis;
        let rounds = wish.rounds.unwrap_or(if wish.is_quick { 3 } else { 5 });
        if wish.is_quick {
            return Self {
                rounds,
                idle_rounds: 1,
                warm_up: ms(150),
                duration: ms(500),
                latency_duration: ms(1000),
                idle_connections: 2000,
                fresh_per_round: 2000,
            };
        }
        Self {
            rounds,
            idle_rounds: rounds,
            warm_up: ms(500),
            duration: ms(2000),
            latency_duration: ms(5000),
            idle_connections: 9000,
            fresh_per_round: 100_000_u64.div_ceil(rounds as u64),
        }
    }
}

pub(super) struct Bench<'a> {
    wish: &'a Wish,
    size: Size,
    pub(super) contenders: Vec<Contender>,
    pub(super) notes: Vec<String>,
    ports: Ports,
    servers: Vec<SocketAddr>,
    certificate: Certificate,
    /// Stopped before the folder goes.
    _backend: Program,
    folder: TempDir,
}

struct Running {
    contender: Contender,
    address: SocketAddr,
    watch: Watch,
    _program: Program,
}

/// Numbers of one run, by the row that they belong to.
type Numbers = Vec<(&'static str, f64)>;

impl<'a> Bench<'a> {
    pub(super) fn start(wish: &'a Wish) -> anyhow::Result<Self> {
        let descriptors = descriptors::raise()?;
        let folder = TempDir::new()?;
        let mut ports = Ports::new();
        let mut servers = Vec::new();
        let mut command = Command::new(&wish.backend);
        for _ in 0..SERVERS {
            let address = ports.next()?;
            command.arg("--listen").arg(address.to_string());
            servers.push(address);
        }
        let mut backend = Program::start("backend", command, &folder.path().join("backend.log"))?;
        for server in &servers {
            backend.ready(*server, Ready::Answers)?;
        }
        let is_present = |contender: &Contender| contender.is_present(wish);
        let (contenders, missing): (Vec<_>, Vec<_>) =
            Contender::ALL.into_iter().partition(is_present);
        anyhow::ensure!(
            contenders.contains(&Contender::Berth),
            "{} does not run",
            wish.berth.display()
        );
        let mut size = Size::new(wish);
        let notes: Vec<String> = missing
            .iter()
            .map(|who| format!("{} is not installed", who.name()))
            .collect();
        let possible = usize::try_from(descriptors.saturating_sub(DESCRIPTORS_SPARE) / 2)?;
        size.idle_connections = size.idle_connections.min(possible);
        Ok(Self {
            wish,
            size,
            contenders,
            notes,
            ports,
            servers,
            certificate: Certificate {
                chain: folder.path().join("certificate.pem"),
                key: folder.path().join("key.pem"),
                both: folder.path().join("both.pem"),
            },
            _backend: backend,
            folder,
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
    /// When nobody can, or what all need is missing.
    pub(super) fn run(&mut self, scenario: Scenario, samples: &mut Samples) -> anyhow::Result<()> {
        let flavour = scenarios::flavour(scenario);
        if flavour.is_tls() {
            self.make_certificate()?;
        }
        let mut running = self.line_up(scenario, flavour)?;
        let rate = match scenario {
            Scenario::Latency => Some(self.half_saturation(&running, samples)?),
            _ => None,
        };
        let is_idle = matches!(scenario, Scenario::WsIdle | Scenario::HttpIdle);
        if is_idle {
            let held = self.size.idle_connections;
            self.note(format!("idle rows hold {held} connections"));
        }
        let rounds = if is_idle {
            self.size.idle_rounds
        } else {
            self.size.rounds
        };
        for round in 0..rounds {
            // Each is first in its turn, so that nobody always runs on a machine that just did something else.
            running.rotate_left(usize::from(round > 0));
            for proxy in &mut running {
                // Memory is what was added since the start, so each round has a start.
                if is_idle && round > 0 {
                    *proxy = self.launch(proxy.contender, flavour)?;
                }
                if let Err(problem) = tracked::wait_for(self.connections(scenario, proxy)) {
                    self.note(problem.to_owned());
                }
                let numbers = self.measure(scenario, proxy, rate)?;
                say(&line(scenario, round, proxy.contender, &numbers));
                for (id, number) in numbers {
                    let samples = samples.entry((proxy.contender.name(), id)).or_default();
                    samples.push(number);
                }
            }
        }
        Ok(())
    }

    /// All that can take part, running.
    fn line_up(&mut self, scenario: Scenario, flavour: Flavour) -> anyhow::Result<Vec<Running>> {
        let mut running = Vec::new();
        let contenders = self.contenders.clone();
        let takes_part = |contender: &Contender| contender.takes_part(scenario);
        for contender in contenders.into_iter().filter(takes_part) {
            match self.launch(contender, flavour) {
                Ok(program) => running.push(program),
                Err(reason) => {
                    let who = contender.name();
                    anyhow::ensure!(contender != Contender::Berth, "{who}: {reason:#}");
                    self.note(format!(
                        "{}: {who} is left out: {reason:#}",
                        scenario.name()
                    ));
                }
            }
        }
        Ok(running)
    }

    /// Each proxy once under the load of a scenario, with perf beside it.
    ///
    /// # Errors
    /// When nobody can take part, or the scenario has no exchanges.
    pub(super) fn profile(&mut self, scenario: Scenario) -> anyhow::Result<Vec<Profile>> {
        let flavour = scenarios::flavour(scenario);
        if flavour.is_tls() {
            self.make_certificate()?;
        }
        // Everything from the first exchange on is counted, as perf does.
        self.size.warm_up = Duration::ZERO;
        let file = self.folder.path().join("perf.data");
        let mut seen = Vec::new();
        for proxy in &self.line_up(scenario, flavour)? {
            let name = (scenario.name(), proxy.contender.name());
            let (profile, notes) = profile::look(name, &proxy.watch, &file, || {
                let report = self.load(scenario, proxy, None)?;
                Ok(Load {
                    exchanges: report.done,
                    per_second: report.done_per_second,
                    cpu_us_per_exchange: scenarios::cpu(&report),
                })
            })?;
            notes.into_iter().for_each(|note| self.note(note));
            say(&profile.line());
            seen.push(profile);
        }
        Ok(seen)
    }

    fn launch(&mut self, contender: Contender, flavour: Flavour) -> anyhow::Result<Running> {
        let folder: PathBuf = self.folder.path().join(contender.name());
        std::fs::create_dir_all(&folder)?;
        let wiring = Wiring {
            flavour,
            listen: self.ports.next()?,
            admin: self.ports.next()?,
            servers: &self.servers,
            folder: &folder,
            certificate: &self.certificate,
        };
        let command = contender.command(self.wish, &wiring)?;
        let log = folder.join("output.log");
        let mut program = Program::start(contender.name(), command, &log)?;
        let ready = if flavour.is_tls() {
            Ready::Accepts
        } else {
            Ready::Answers
        };
        program
            .ready(wiring.listen, ready)
            .with_context(|| last_line(&log))?;
        Ok(Running {
            contender,
            address: wiring.listen,
            watch: Watch::new(vec![program.pid()]),
            _program: program,
        })
    }

    fn make_certificate(&self) -> anyhow::Result<()> {
        let mut command = Command::new("openssl");
        command.args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "30",
        ]);
        command.args([
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
        ]);
        command.args(["-addext", "basicConstraints=critical,CA:FALSE", "-out"]);
        command
            .arg(&self.certificate.chain)
            .arg("-keyout")
            .arg(&self.certificate.key);
        let output = command
            .output()
            .context("openssl is needed for a certificate")?;
        anyhow::ensure!(
            output.status.success(),
            "openssl: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let both = [&self.certificate.chain, &self.certificate.key].map(std::fs::read);
        let [chain, key] = both;
        Ok(std::fs::write(
            &self.certificate.both,
            [chain?, key?].concat(),
        )?)
    }
}

fn line(scenario: Scenario, round: usize, contender: Contender, numbers: &Numbers) -> String {
    let numbers: Vec<String> = numbers
        .iter()
        .map(|(id, number)| format!("{id} {number:.1}"))
        .collect();
    format!(
        "{:<9} round {} {:<8} {}",
        scenario.name(),
        round + 1,
        contender.name(),
        numbers.join("  ")
    )
}

/// Of what a program said before it ended.
fn last_line(log: &std::path::Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().last().unwrap_or("it said nothing").to_owned()
}
