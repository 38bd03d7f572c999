//! One `berth-backend` process of a town.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::client::Client;
use crate::eventually::{eventually, secs};
use crate::http;
use crate::ports::Port;
use crate::process::{Program, binary, launched_by};

/// A backend with a place of its own: it keeps its port and name over restarts.
pub struct Backend {
    name: String,
    port: Port,
    environment: Vec<(String, String)>,
    launcher: Option<String>,
    program: Option<Program>,
}

impl Backend {
    pub(crate) fn planned(name: String, environment: Vec<(String, String)>) -> Self {
        Self {
            name,
            port: Port::reserve(),
            environment,
            launcher: None,
            program: None,
        }
    }

    /// Shell words to run before the program, such as a limit it shall live with.
    pub(crate) fn launched_by(&mut self, script: &str) {
        self.launcher = Some(script.to_owned());
    }

    /// An environment variable, from the next start on.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// What it calls itself in `X-Berth-Instance` and `welcome`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `127.0.0.1:PORT`
    #[must_use]
    pub fn address(&self) -> String {
        self.port.address()
    }

    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// Starts it; does not wait until it serves.
    ///
    /// # Panics
    /// When it runs already.
    pub fn launch(&mut self, directory: &Path) {
        assert!(self.program.is_none(), "{} runs already", self.name);
        let program = binary("berth-backend");
        let mut command = match &self.launcher {
            None => Command::new(&program),
            Some(script) => launched_by(script, &program),
        };
        command
            .arg("run")
            .current_dir(directory)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOST", "127.0.0.1")
            .env("PORT", self.port.number().to_string())
            .env("BERTH_INSTANCE", &self.name)
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        self.program = Some(Program::start(&self.name, command));
    }

    /// Waits until it is alive.
    ///
    /// # Panics
    /// When it ends or stays silent.
    pub async fn is_up(&mut self) {
        let url = self.url("/health/liveness");
        let what = format!("{} is alive", self.name);
        let program = self.program.as_mut().expect("it was launched");
        eventually(&what, secs(30), async || {
            assert!(program.is_running(), "{what}: it ended");
            (http::status(&url).await == Some(200)).then_some(())
        })
        .await;
    }

    /// The running process.
    ///
    /// # Panics
    /// When it is not running.
    #[must_use]
    pub fn program(&self) -> &Program {
        self.program.as_ref().expect("the backend is running")
    }

    /// SIGKILL.
    ///
    /// # Panics
    /// When it is not running.
    pub fn kill(&mut self) {
        self.program.take().expect("the backend is running").kill();
    }

    /// SIGTERM; answers its exit code and what it logged.
    ///
    /// # Panics
    /// When it does not end in time.
    pub async fn stop(&mut self, deadline: Duration) -> (Option<i32>, Vec<String>) {
        let mut program = self.program.take().expect("the backend is running");
        program.signal(Signal::SIGTERM);
        let status = program.ended(deadline).await;
        (status.code(), program.log())
    }

    /// A client straight to this backend, by WebSocket.
    pub async fn client(&self) -> Client {
        Client::to(&self.address()).connect().await
    }

    /// What `/metrics` says.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn metrics(&self) -> String {
        let answer = http::get(&self.url("/metrics")).await;
        answer.text().await.expect("a metrics page")
    }

    pub async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        http::metric(&self.metrics().await, name, labels)
    }
}
