//! A `berth-proxy` process of a town, and the file it reads.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::eventually::{eventually, secs};
use crate::http;
use crate::ports::Port;
use crate::process::{Program, binary, launched_by};

/// What the file says, before the ports are known.
#[derive(Clone, Debug)]
pub struct Proxy {
    balance: &'static str,
    sticky_cookie: bool,
    sticky_sid: bool,
    trusted: Vec<String>,
    listen: Vec<String>,
    /// Certificate and key, if clients are to speak TLS.
    tls: Option<(PathBuf, PathBuf)>,
    server_lines: String,
    upstream_lines: String,
    cookie_lines: String,
    routes: String,
    launcher: Option<String>,
}

impl Proxy {
    fn balanced(balance: &'static str) -> Self {
        Self {
            balance,
            sticky_cookie: false,
            sticky_sid: false,
            trusted: Vec::new(),
            listen: Vec::new(),
            tls: None,
            server_lines: String::new(),
            upstream_lines: String::new(),
            cookie_lines: String::new(),
            routes: String::new(),
            launcher: None,
        }
    }

    #[must_use]
    pub fn round_robin() -> Self {
        Self::balanced("round_robin")
    }

    #[must_use]
    pub fn least_conn() -> Self {
        Self::balanced("least_conn")
    }

    #[must_use]
    pub fn random_two() -> Self {
        Self::balanced("random_two")
    }

    #[must_use]
    pub fn ip_hash() -> Self {
        Self::balanced("ip_hash")
    }

    /// By an nginx key, on the ring or not.
    #[must_use]
    pub fn hash(key: &str, is_consistent: bool) -> Self {
        Self::balanced("hash")
            .upstream_line(&format!("hash_key = \"{key}\""))
            .upstream_line(&format!("consistent = {is_consistent}"))
    }

    /// Keeps clients by the cookie `srv_id`; new ones are spread round robin.
    #[must_use]
    pub fn sticky_cookie() -> Self {
        Self {
            sticky_cookie: true,
            ..Self::round_robin()
        }
    }

    /// Keeps clients by their session id, with signed tags; new ones are spread round robin.
    #[must_use]
    pub fn sticky_sid() -> Self {
        Self {
            sticky_sid: true,
            ..Self::round_robin()
        }
    }

    /// Believes `X-Forwarded-For` of this machine, so that one machine can play many clients.
    #[must_use]
    pub fn behind_localhost(self) -> Self {
        self.trusting(&["127.0.0.1/32"])
    }

    /// Believes `X-Forwarded-For` of these networks.
    #[must_use]
    pub fn trusting(mut self, networks: &[&str]) -> Self {
        self.trusted
            .extend(networks.iter().map(|network| (*network).to_owned()));
        self
    }

    /// Listens there besides.
    #[must_use]
    pub fn listening(mut self, address: &str) -> Self {
        self.listen.push(address.to_owned());
        self
    }

    /// Serves clients over TLS with this certificate and key.
    #[must_use]
    pub fn encrypted(mut self, certificate: &Path, key: &Path) -> Self {
        self.tls = Some((certificate.to_owned(), key.to_owned()));
        self
    }

    /// Adds a line to `[server]`.
    #[must_use]
    pub fn server_line(mut self, line: &str) -> Self {
        self.server_lines.push_str(line);
        self.server_lines.push('\n');
        self
    }

    /// Adds a line to the upstream.
    #[must_use]
    pub fn upstream_line(mut self, line: &str) -> Self {
        self.upstream_lines.push_str(line);
        self.upstream_lines.push('\n');
        self
    }

    /// Adds a line to the sticky cookie's table.
    #[must_use]
    pub fn cookie_line(mut self, line: &str) -> Self {
        self.cookie_lines.push_str(line);
        self.cookie_lines.push('\n');
        self
    }

    /// Shell words to run before the program, such as a limit it shall live with.
    #[must_use]
    pub fn launched_by(mut self, script: &str) -> Self {
        self.launcher = Some(script.to_owned());
        self
    }

    /// Adds a route to the only upstream.
    #[must_use]
    pub fn route(mut self, host: &str, path: &str) -> Self {
        write!(
            self.routes,
            "[[route]]\nhost = \"{host}\"\npath = \"{path}\"\nupstream = \"town\"\n"
        )
        .expect("writing to a string");
        self
    }

    fn file(&self, listen: &str, admin: &str, servers: &[String]) -> String {
        let trusted = &self.trusted;
        let (sticky, method) = if self.sticky_cookie {
            let table =
                "[upstream.town.cookie]\nname = \"srv_id\"\nexpires = \"1h\"\npath = \"/\"\n";
            ("\"cookie\"", format!("{table}{}", self.cookie_lines))
        } else if self.sticky_sid {
            (
                "\"sid\"",
                "[upstream.town.sid]\nkeys = [\"0123456789abcdef0123456789abcdef\"]\n".to_owned(),
            )
        } else {
            ("", String::new())
        };
        let listen = match &self.tls {
            Some(_) => format!("{{ address = \"{listen}\", tls = true }}"),
            None => format!("\"{listen}\""),
        };
        let mut listens = vec![listen];
        listens.extend(self.listen.iter().map(|listen| format!("\"{listen}\"")));
        let tls = self.tls.iter().map(|(certificate, key)| {
            format!("[[server.tls]]\ncertificate = {certificate:?}\nkey = {key:?}\n")
        });
        let tls: String = tls.collect();
        let servers: String = servers
            .iter()
            .map(|server| format!("  {server},\n"))
            .collect();
        format!(
            "[server]\nlisten = [{}]\ntrusted_proxies = {trusted:?}\n{}\n{tls}\n\
             [admin]\nlisten = \"{admin}\"\n\n\
             [upstream.town]\nbalance = \"{}\"\nsticky = [{sticky}]\n{}servers = [\n{servers}]\n{method}\n{}",
            listens.join(", "),
            self.server_lines,
            self.balance,
            self.upstream_lines,
            self.routes
        )
    }
}

/// A proxy with a place of its own: its ports, its file, and the process.
pub struct RunningProxy {
    plan: Proxy,
    port: Port,
    admin: Port,
    file: PathBuf,
    program: Option<Program>,
}

impl RunningProxy {
    /// Starts a proxy and waits until it says that it is ready.
    ///
    /// # Panics
    /// When it ends or stays silent.
    pub async fn start(plan: Proxy, file: PathBuf, servers: &[String]) -> Self {
        let mut proxy = Self {
            plan,
            port: Port::reserve(),
            admin: Port::reserve(),
            file,
            program: None,
        };
        proxy.write(servers);
        proxy.launch().await;
        proxy
    }

    /// A proxy before servers that are not backends.
    ///
    /// # Panics
    /// When it ends or stays silent.
    pub async fn before(plan: Proxy, folder: &Path, servers: &[String]) -> Self {
        Self::start(plan, folder.join("proxy.toml"), servers).await
    }

    /// A proxy with a file of the test's own, which gets the addresses to listen on: for clients, and for the operator.
    ///
    /// # Panics
    /// When it ends or stays silent.
    pub async fn reading(folder: &Path, text: impl FnOnce(&str, &str) -> String) -> Self {
        let mut proxy = Self {
            plan: Proxy::round_robin(),
            port: Port::reserve(),
            admin: Port::reserve(),
            file: folder.join("proxy.toml"),
            program: None,
        };
        let text = text(&proxy.address(), &proxy.admin.address());
        std::fs::write(&proxy.file, text).expect("the proxy's file");
        proxy.launch().await;
        proxy
    }

    async fn launch(&mut self) {
        let program = binary("berth-proxy");
        let mut command = match &self.plan.launcher {
            None => Command::new(&program),
            Some(script) => launched_by(script, &program),
        };
        command
            .args(["run", "-c"])
            .arg(&self.file)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin");
        let mut program = Program::start("berth-proxy", command);
        let url = self.admin_url("/health/liveness");
        eventually("the proxy is alive", secs(20), async || {
            assert!(program.is_running(), "the proxy ended: {:?}", program.log());
            (http::status(&url).await == Some(200)).then_some(())
        })
        .await;
        self.program = Some(program);
    }

    /// `127.0.0.1:PORT`
    #[must_use]
    pub fn address(&self) -> String {
        self.port.address()
    }

    #[must_use]
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.plan.tls.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}{path}", self.port.address())
    }

    #[must_use]
    pub fn admin_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.admin.address())
    }

    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Writes the file with these servers (TOML values) and tells nobody.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn write(&self, servers: &[String]) {
        let text = self
            .plan
            .file(&self.address(), &self.admin.address(), servers);
        std::fs::write(&self.file, text).expect("the proxy's file");
    }

    /// SIGHUP, then waits until the metrics count one more reload with this result.
    ///
    /// # Panics
    /// When they do not.
    pub async fn reload(&self, result: &str) {
        let count = async || {
            let page = self.metrics().await;
            http::metric(&page, "berth_config_reloads_total", &[("result", result)]).unwrap_or(0.0)
        };
        let before = count().await;
        self.program().signal(Signal::SIGHUP);
        let what = format!("one more reload with result {result}");
        eventually(&what, secs(10), async || {
            (count().await > before).then_some(())
        })
        .await;
    }

    /// What the admin listener's `/metrics` says.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn metrics(&self) -> String {
        let answer = http::get(&self.admin_url("/metrics")).await;
        answer.text().await.expect("a metrics page")
    }

    pub async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        http::metric(&self.metrics().await, name, labels)
    }

    /// The running process.
    ///
    /// # Panics
    /// When it is not running.
    #[must_use]
    pub fn program(&self) -> &Program {
        self.program.as_ref().expect("the proxy is running")
    }

    /// SIGKILL.
    ///
    /// # Panics
    /// When it is not running.
    pub fn kill(&mut self) {
        self.program.take().expect("the proxy is running").kill();
    }

    /// Starts it again on the same ports, with the same file.
    ///
    /// # Panics
    /// When it runs already, ends or stays silent.
    pub async fn start_again(&mut self) {
        assert!(self.program.is_none(), "the proxy runs already");
        self.launch().await;
    }

    /// Sends a signal and waits for the end; answers the exit code and what it logged.
    ///
    /// # Panics
    /// When it does not end in time.
    pub async fn stop(&mut self, signal: Signal, deadline: Duration) -> (Option<i32>, Vec<String>) {
        let mut program = self.program.take().expect("the proxy is running");
        program.signal(signal);
        let status = program.ended(deadline).await;
        (status.code(), program.log())
    }
}
