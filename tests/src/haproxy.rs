//! A real HAProxy, the second oracle for what a request is.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::eventually::{eventually, secs};
use crate::http;
use crate::ports::Port;
use crate::process::Program;

/// Runs until it is dropped.
pub struct Haproxy {
    port: Port,
    _program: Program,
    _directory: TempDir,
}

impl Haproxy {
    /// Starts it before one server.
    ///
    /// # Panics
    /// When HAProxy is missing or does not come up.
    pub async fn start(server: &str) -> Self {
        let directory = TempDir::new().expect("a temporary folder");
        let port = Port::reserve();
        let file = directory.path().join("haproxy.cfg");
        std::fs::write(&file, configuration(&port, server)).expect("haproxy.cfg");
        let known = [
            "/usr/sbin/haproxy",
            "/usr/local/sbin/haproxy",
            "/usr/bin/haproxy",
        ];
        let program = known.iter().find(|path| Path::new(path).exists());
        let program = program.expect("haproxy is missing (Debian: apt-get install haproxy)");
        let mut command = Command::new(program);
        command.arg("-db").arg("-f").arg(&file);
        let mut program = Program::start("haproxy", command);
        let url = format!("http://{}/started", port.address());
        eventually("haproxy answers", secs(10), async || {
            assert!(program.is_running(), "haproxy ended: {:?}", program.log());
            http::status(&url).await
        })
        .await;
        Self {
            port,
            _program: program,
            _directory: directory,
        }
    }

    /// `127.0.0.1:PORT`
    #[must_use]
    pub fn address(&self) -> String {
        self.port.address()
    }
}

fn configuration(port: &Port, server: &str) -> String {
    format!(
        "global
  maxconn 500
defaults
  mode http
  timeout connect 5s
  timeout client 10s
  timeout server 10s
frontend clients
  bind {}
  monitor-uri /started
  default_backend town
backend town
  server only {server}
",
        port.address()
    )
}
