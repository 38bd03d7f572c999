//! Who is compared, and how each is told to do the same.

mod fill;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Wish;

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
    pub(super) const ALL: [Self; 4] = [Self::Berth, Self::Nginx, Self::Haproxy, Self::Envoy];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Berth => "berth",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Envoy => "envoy",
        }
    }

    /// Where it is on this machine. Debian keeps some of them where only root looks.
    fn program(self, wish: &Wish) -> PathBuf {
        if self == Self::Berth {
            return wish.berth.clone();
        }
        let system = Path::new("/usr/sbin").join(self.name());
        if system.exists() {
            system
        } else {
            PathBuf::from(self.name())
        }
    }

    pub(super) fn version(self, wish: &Wish) -> (PathBuf, &'static [&'static str]) {
        let arguments: &[&str] = match self {
            Self::Nginx | Self::Haproxy => &["-v"],
            Self::Berth | Self::Envoy => &["--version"],
        };
        (self.program(wish), arguments)
    }

    pub(super) fn is_present(self, wish: &Wish) -> bool {
        let (program, arguments) = self.version(wish);
        let mut command = Command::new(program);
        let said = command
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        said.is_ok_and(|status| status.success())
    }

    /// Writes its configuration and says how to run it in the foreground.
    ///
    /// # Errors
    /// When the file cannot be written, or this version does not know what it says.
    pub(super) fn command(self, wish: &Wish, wiring: &Wiring<'_>) -> anyhow::Result<Command> {
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
        }
        Ok(command)
    }

    fn file(self) -> &'static str {
        match self {
            Self::Berth => "proxy.toml",
            Self::Nginx => "nginx.conf",
            Self::Haproxy => "haproxy.cfg",
            Self::Envoy => "envoy.yaml",
        }
    }
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
