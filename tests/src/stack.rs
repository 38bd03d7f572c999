//! `berth up`: proxy, backends and embedded stores in one process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::eventually::secs;
use crate::http;
use crate::ports::Port;
use crate::process::{Program, binary};

/// A stack with a place of its own: it keeps its port and its data over restarts.
pub struct Stack {
    listen: Port,
    data: TempDir,
    instances: usize,
    admin_token: Option<String>,
    program: Option<Program>,
}

impl Stack {
    /// # Panics
    /// When it does not come up.
    pub async fn start(instances: usize) -> Self {
        Self::start_for(instances, None).await
    }

    /// One whose operator has this token.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn with_operator(instances: usize, token: &str) -> Self {
        Self::start_for(instances, Some(token.to_owned())).await
    }

    async fn start_for(instances: usize, admin_token: Option<String>) -> Self {
        let mut stack = Self {
            listen: Port::reserve(),
            data: TempDir::new().expect("a temporary folder"),
            instances,
            admin_token,
            program: None,
        };
        stack.start_again().await;
        stack
    }

    /// On the same port and data.
    ///
    /// # Panics
    /// When it runs already or does not come up.
    pub async fn start_again(&mut self) {
        assert!(self.program.is_none(), "the stack runs already");
        let mut command = Command::new(binary("berth"));
        command
            .args(["up", "--listen", &self.address()])
            .args(["--instances", &self.instances.to_string()])
            .arg("--data")
            .arg(self.data.path())
            .env_clear()
            .envs(self.admin_token.iter().map(|token| ("ADMIN_TOKEN", token)));
        self.program = Some(Program::start("berth", command));
        http::answers(&self.url("/health/readiness"), 200, secs(30)).await;
    }

    /// Where the proxy listens, `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> String {
        self.listen.address()
    }

    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// Where its backends listen, as its screen says and a proxy's file wants it: `"127.0.0.1:PORT"` each.
    ///
    /// # Panics
    /// When it is not running, or the screen does not name all of them.
    #[must_use]
    pub fn servers(&self) -> Vec<String> {
        let log = self.program().log();
        let named = log.iter().filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().rev().take(2).collect();
            let [address, name] = words[..] else {
                return None;
            };
            let is_address = address.parse::<SocketAddr>().is_ok();
            (is_address && name.starts_with("berth-")).then(|| format!("\"{address}\""))
        });
        let servers: Vec<String> = named.collect();
        assert_eq!(servers.len(), self.instances, "{log:#?}");
        servers
    }

    /// The folder with the embedded stores.
    #[must_use]
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// The file with the messages.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.data.path().join("chat.db")
    }

    /// The running process.
    ///
    /// # Panics
    /// When it is not running.
    #[must_use]
    pub fn program(&self) -> &Program {
        self.program.as_ref().expect("the stack is running")
    }

    /// SIGKILL.
    ///
    /// # Panics
    /// When it is not running.
    pub fn kill(&mut self) {
        self.program.take().expect("the stack is running").kill();
    }

    /// SIGTERM, and wait for its end.
    ///
    /// # Panics
    /// When it does not stop.
    pub async fn stop(&mut self, deadline: Duration) {
        let mut program = self.program.take().expect("the stack is running");
        program.signal(Signal::SIGTERM);
        program.ended(deadline).await;
    }
}
