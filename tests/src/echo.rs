//! A server that answers with the head of the request it got: what a proxy really sends, seen from behind it.
//!
//! It can be told to fail, never answers a request for `/hold`, and closes after a request with `X-Close`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::ports::Port;

/// Serves until it is dropped.
pub struct Echo {
    port: Port,
    script: Arc<Script>,
    task: JoinHandle<()>,
}

/// What it does, and what it saw.
#[derive(Default)]
struct Script {
    fails: AtomicBool,
    requests: AtomicUsize,
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Echo {
    /// # Panics
    /// When its port is taken.
    pub async fn start() -> Self {
        let port = Port::reserve();
        let listener = TcpListener::bind(port.address())
            .await
            .expect("a reserved port");
        let name = port.address();
        let script = Arc::new(Script::default());
        let told = Arc::clone(&script);
        let task = tokio::spawn(async move {
            while let Ok((stream, _peer)) = listener.accept().await {
                tokio::spawn(serve(stream, name.clone(), Arc::clone(&told)));
            }
        });
        Self { port, script, task }
    }

    /// `127.0.0.1:PORT`, which is also what it calls itself in `X-Echo`.
    #[must_use]
    pub fn address(&self) -> String {
        self.port.address()
    }

    /// Whether it reads requests and closes instead of answering.
    pub fn fail(&self, fails: bool) {
        self.script.fails.store(fails, Ordering::SeqCst);
    }

    /// Requests that it got so far.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.script.requests.load(Ordering::SeqCst)
    }
}

/// Answers requests without bodies, one after the other, until the other side closes.
async fn serve(mut stream: TcpStream, name: String, script: Arc<Script>) {
    let mut received = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        while let Some(end) = received.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let head: Vec<u8> = received.drain(..end + 4).collect();
            script.requests.fetch_add(1, Ordering::SeqCst);
            if script.fails.load(Ordering::SeqCst) {
                return;
            }
            if head.starts_with(b"GET /hold") {
                continue;
            }
            let closes = head
                .windows(9)
                .any(|bytes| bytes.eq_ignore_ascii_case(b"\nx-close:"));
            let connection = if closes { "close" } else { "keep-alive" };
            let answer = format!(
                "HTTP/1.1 200 OK\r\nX-Echo: {name}\r\nConnection: {connection}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
                head.len()
            );
            let written = [answer.as_bytes(), &head].concat();
            if stream.write_all(&written).await.is_err() || closes {
                return;
            }
        }
        match stream.read(&mut chunk).await {
            Ok(count) if count > 0 => received.extend_from_slice(&chunk[..count]),
            Ok(_) | Err(_) => return,
        }
    }
}
