//! A `redis-server` of the test's own, to be killed and started again.

use std::net::TcpListener;
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};

use crate::soon;

pub(crate) struct RedisServer {
    port: u16,
    running: Option<Running>,
}

struct Running {
    process: Child,
    /// Kept open: Redis writes its log there.
    _log: BufReader<ChildStdout>,
}

impl RedisServer {
    /// A port, and nothing that listens on it yet.
    pub(crate) fn not_started() -> Self {
        Self {
            port: free_port(),
            running: None,
        }
    }

    pub(crate) async fn started() -> Self {
        let mut server = Self::not_started();
        server.start().await;
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) async fn start(&mut self) {
        let mut process = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect(
                "this test needs the program redis-server (Debian: apt-get install redis-server)",
            );
        let mut log = BufReader::new(process.stdout.take().unwrap());
        soon("the start of redis-server", async {
            let mut line = String::new();
            while !line.contains("Ready to accept connections") {
                line.clear();
                assert_ne!(
                    log.read_line(&mut line).await.unwrap(),
                    0,
                    "redis-server ended"
                );
            }
        })
        .await;
        self.running = Some(Running { process, _log: log });
    }

    pub(crate) async fn kill(&mut self) {
        self.running.take().unwrap().process.kill().await.unwrap();
    }

    /// Stops it without closing its connections, as a machine that lost power does.
    pub(crate) async fn freeze(&self) {
        self.signal("-STOP").await;
    }

    pub(crate) async fn thaw(&self) {
        self.signal("-CONT").await;
    }

    async fn signal(&self, signal: &str) {
        let process = self
            .running
            .as_ref()
            .unwrap()
            .process
            .id()
            .unwrap()
            .to_string();
        let sent = Command::new("kill")
            .args([signal, &process])
            .status()
            .await
            .unwrap();
        assert!(sent.success());
    }

    /// The first line of what Redis says to a command.
    pub(crate) async fn command(&self, command: &str) -> String {
        let mut connection = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        connection
            .write_all(format!("{command}\r\nQUIT\r\n").as_bytes())
            .await
            .unwrap();
        let mut answer = String::new();
        soon("Redis's answer", connection.read_to_string(&mut answer))
            .await
            .unwrap();
        answer.strip_suffix("+OK\r\n").unwrap().to_owned()
    }
}

/// Below the range that outgoing connections use, so that it is still free after a restart.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + u16::try_from(std::process::id() % 100).unwrap() * 100;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed) % 100;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
