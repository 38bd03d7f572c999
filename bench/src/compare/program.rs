//! Programs under test: started with their output in a file, and never left behind.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::clock;

const START_MAX: Duration = Duration::from_secs(10);
/// After SIGTERM.
const STOP_MAX: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(10);

/// Below the ports that the kernel gives to outgoing connections, of which there are many here.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// Gives out ports that nobody listens on.
pub(super) struct Ports(u16);

impl Ports {
    /// Two benches at the same time begin at different places.
    pub(super) fn new() -> Self {
        let places = u32::from(PORTS.end - PORTS.start);
        let place = std::process::id() % places;
        Self(PORTS.start + u16::try_from(place).unwrap_or(0))
    }

    pub(super) fn next(&mut self) -> anyhow::Result<SocketAddr> {
        for _ in PORTS {
            self.0 = if self.0 + 1 < PORTS.end {
                self.0 + 1
            } else {
                PORTS.start
            };
            let address = SocketAddr::from(([127, 0, 0, 1], self.0));
            if TcpListener::bind(address).is_ok() {
                return Ok(address);
            }
        }
        anyhow::bail!("all ports from {} to {} are taken", PORTS.start, PORTS.end)
    }
}

/// When a program is ready.
#[derive(Clone, Copy)]
pub(super) enum Ready {
    /// It answers an HTTP request, through to the backend if it is a proxy.
    Answers,
    /// It accepts connections: it speaks TLS, or something else than HTTP.
    Accepts,
}

/// A running program. Dropping it stops it.
pub(super) struct Program {
    name: &'static str,
    child: Child,
}

impl Program {
    /// `log` takes what it prints.
    pub(super) fn start(
        name: &'static str,
        mut command: Command,
        log: &Path,
    ) -> anyhow::Result<Self> {
        let log = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name, child })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it is.
    pub(super) fn ready(&mut self, address: SocketAddr, ready: Ready) -> anyhow::Result<()> {
        let since = clock::now();
        let is_ready = || match ready {
            Ready::Answers => answers(address),
            Ready::Accepts => accepts(address),
        };
        while !is_ready() {
            if let Some(status) = self.child.try_wait()? {
                anyhow::bail!("{} ended at its start: {status}", self.name);
            }
            anyhow::ensure!(since.elapsed() < START_MAX, "{} does not answer", self.name);
            sleep(POLL);
        }
        Ok(())
    }

    fn stop(&mut self) -> anyhow::Result<()> {
        let pid = i32::try_from(self.child.id())?;
        kill(Pid::from_raw(pid), Signal::SIGTERM)?;
        let since = clock::now();
        while self.child.try_wait()?.is_none() {
            if since.elapsed() > STOP_MAX {
                self.child.kill()?;
                self.child.wait()?;
            }
            sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            super::say(&format!("{} may still be running: {error:#}", self.name));
        }
    }
}

fn accepts(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, START_MAX).is_ok()
}

fn answers(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, START_MAX)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(status.ends_with(b" 200"))
    };
    ask().unwrap_or(false)
}
