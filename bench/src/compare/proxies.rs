//! Who is compared, and how each is told to do the same.

mod fill;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Wish;
use super::rows::Scenario;
use super::table::FLOOR;

/// Of every proxy: this machine has two processors, and the numbers are per request.
const THREADS: usize = 2;
/// Fits into the 20 000 file descriptors that a process often gets at most.
const CONNECTIONS_MAX: usize = 9_500;
/// Idle connections to servers, for each proxy more than it can use: what is measured is forwarding, not dialling.
const KEEPALIVE: usize = 128;
const KEEPALIVE_REQUESTS: usize = 100_000_000;

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Contender {
    Berth,
    Nginx,
    Haproxy,
    Envoy,
    /// No proxy: what the kernel alone takes for forwarding.
    Floor,
}

/// How all of them are set up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Flavour {
    /// By the client's address, without access log.
    Plain,
    /// As in production: cookie stickiness and metrics where there are any, and an access log into a file.
    Full,
    /// Plain, behind TLS.
    Tls,
    /// Behind TLS, for clients that choose HTTP/2.
    H2,
}

impl Flavour {
    pub(super) fn is_tls(self) -> bool {
        matches!(self, Self::Tls | Self::H2)
    }
}

/// Where everything is.
pub(super) struct Wiring<'a> {
    pub(super) flavour: Flavour,
    pub(super) listen: SocketAddr,
    /// For metrics.
    pub(super) admin: SocketAddr,
    pub(super) servers: &'a [SocketAddr],
    /// This proxy's own, for what it writes.
    pub(super) folder: &'a Path,
    pub(super) certificate: &'a Certificate,
}

/// A P-256 certificate for localhost that signs itself.
pub(super) struct Certificate {
    pub(super) chain: PathBuf,
    pub(super) key: PathBuf,
    /// Both in one file, for HAProxy.
    pub(super) both: PathBuf,
}

impl Contender {
    pub(super) const ALL: [Self; 5] = [
        Self::Berth,
        Self::Nginx,
        Self::Haproxy,
        Self::Envoy,
        Self::Floor,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Berth => "berth",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Envoy => "envoy",
            Self::Floor => FLOOR,
        }
    }

    /// Whether there is anything to compare: a floor that parses nothing knows neither cookies nor TLS.
    pub(super) fn takes_part(self, scenario: Scenario) -> bool {
        match scenario {
            Scenario::Http
            | Scenario::WsSmall
            | Scenario::WsLarge
            | Scenario::WsIdle
            | Scenario::WsOpen => true,
            Scenario::HttpFull
            | Scenario::HttpIdle
            | Scenario::Latency
            | Scenario::Tls
            | Scenario::H2 => self != Self::Floor,
        }
    }

    /// Where it is on this machine. Debian keeps some of them where only root looks.
    fn program(self, wish: &Wish) -> PathBuf {
        match (self, &wish.envoy) {
            (Self::Berth, _) => return wish.berth.clone(),
            (Self::Floor, _) => return wish.floor.clone(),
            (Self::Envoy, Some(envoy)) => return envoy.clone(),
            (Self::Nginx | Self::Haproxy | Self::Envoy, _) => {}
        }
        let system = Path::new("/usr/sbin").join(self.name());
        if system.exists() {
            system
        } else {
            PathBuf::from(self.name())
        }
    }

    pub(super) fn asked_for_version(self, wish: &Wish) -> Command {
        let mut command = Command::new(self.program(wish));
        command.arg(match self {
            Self::Nginx | Self::Haproxy => "-v",
            Self::Berth | Self::Envoy | Self::Floor => "--version",
        });
        command
    }

    pub(super) fn is_present(self, wish: &Wish) -> bool {
        let mut command = self.asked_for_version(wish);
        let said = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        said.is_ok_and(|status| status.success())
    }

    /// Writes its configuration and says how to run it in the foreground.
    ///
    /// # Errors
    /// When the file cannot be written, or this version does not know what it says.
    pub(super) fn command(self, wish: &Wish, wiring: &Wiring<'_>) -> anyhow::Result<Command> {
        if self == Self::Floor {
            return Ok(floor(&wish.floor, wiring));
        }
        let file = wiring.folder.join(self.file());
        super::write(&file, &fill::configuration(self, wiring))?;
        let mut command = Command::new(self.program(wish));
        match self {
            Self::Berth => {
                check(&wish.berth, &file)?;
                // Access lines are logged at info.
                let is_full = wiring.flavour == Flavour::Full;
                let level = if is_full { "info" } else { "warn" };
                command.arg("run").arg("-c").arg(file);
                command.arg("--log-level").arg(level);
            }
            Self::Nginx => {
                command.arg("-p").arg(wiring.folder).arg("-c").arg(file);
            }
            Self::Haproxy => {
                command.arg("-db").arg("-f").arg(file);
            }
            Self::Envoy => {
                let threads = THREADS.to_string();
                command
                    .arg("-c")
                    .arg(file)
                    .args(["--concurrency", &threads]);
                command.args(["--disable-hot-restart", "--log-level", "error"]);
            }
            Self::Floor => {}
        }
        Ok(command)
    }

    fn file(self) -> &'static str {
        match self {
            Self::Berth => "proxy.toml",
            Self::Nginx => "nginx.conf",
            Self::Haproxy => "haproxy.cfg",
            Self::Envoy => "envoy.yaml",
            Self::Floor => "none",
        }
    }
}

/// It has arguments instead of a file.
fn floor(program: &Path, wiring: &Wiring<'_>) -> Command {
    let mut command = Command::new(program);
    command.arg("--listen").arg(wiring.listen.to_string());
    command.arg("--threads").arg(THREADS.to_string());
    for server in wiring.servers {
        command.arg("--server").arg(server.to_string());
    }
    command
}

/// A berth-proxy that is older than a key of the file says so here.
fn check(program: &Path, file: &Path) -> anyhow::Result<()> {
    let checked = Command::new(program)
        .arg("check")
        .arg("-c")
        .arg(file)
        .output()?;
    let said = String::from_utf8_lossy(&checked.stderr);
    let said = said.lines().next().unwrap_or("no reason given");
    // Without the folder, which is gone when somebody reads this.
    let problem = said
        .rsplit_once("proxy.toml:")
        .map_or(said, |(_, problem)| problem);
    anyhow::ensure!(checked.status.success(), "berth-proxy check: {problem}");
    Ok(())
}
