//! A server that answers with the head of the request it got: what a proxy really sends, seen from behind it.
//!
//! It can be told to fail in several ways, never answers a request for `/hold`, answers `/status/NNN` with that status,
//! and closes after a request with `X-Close`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinHandle;

use crate::eventually::{eventually, secs};
use crate::ports::Port;

/// How it treats requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mood {
    Answers,
    /// Reads a request and closes.
    Closes,
    /// Reads a request and stays silent.
    IsSilent,
    /// Answers with a head that is none.
    Babbles,
    /// Closes in the middle of a body.
    CutsBodies,
}

impl Mood {
    pub const ALL: [Self; 5] = [
        Self::Answers,
        Self::Closes,
        Self::IsSilent,
        Self::Babbles,
        Self::CutsBodies,
    ];

    fn of(number: u8) -> Self {
        let mut all = Self::ALL.into_iter();
        all.find(|mood| *mood as u8 == number)
            .expect("the number of a mood")
    }
}

/// Serves until it is dropped.
pub struct Echo {
    address: String,
    _port: Option<Port>,
    script: Arc<Script>,
    task: JoinHandle<()>,
}

/// What it does, and what it saw.
#[derive(Default)]
struct Script {
    mood: AtomicU8,
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
        let address = port.address();
        let script = Arc::new(Script::default());
        let (told, name) = (Arc::clone(&script), address.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _peer)) = listener.accept().await {
                tokio::spawn(serve(stream, name.clone(), Arc::clone(&told)));
            }
        });
        Self {
            address,
            _port: Some(port),
            script,
            task,
        }
    }

    /// On a Unix socket.
    ///
    /// # Panics
    /// When something stands at the path.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        let listener = UnixListener::bind(path).expect("a free path");
        let address = format!("unix:{}", path.display());
        let script = Arc::new(Script::default());
        let (told, name) = (Arc::clone(&script), address.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _peer)) = listener.accept().await {
                tokio::spawn(serve(stream, name.clone(), Arc::clone(&told)));
            }
        });
        Self {
            address,
            _port: None,
            script,
            task,
        }
    }

    /// `127.0.0.1:PORT` or `unix:PATH`, which is also what it calls itself in `X-Echo`.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.clone()
    }

    /// Refuses connections from now on.
    ///
    /// # Panics
    /// When connections are still taken after ten seconds.
    pub async fn stop_listening(&self) {
        self.task.abort();
        eventually("connections are refused", secs(10), async || {
            let connected = tokio::net::TcpStream::connect(&self.address).await;
            connected.is_err().then_some(())
        })
        .await;
    }

    /// Whether it reads requests and closes instead of answering.
    pub fn fail(&self, fails: bool) {
        self.be(if fails { Mood::Closes } else { Mood::Answers });
    }

    /// From the next request on.
    pub fn be(&self, mood: Mood) {
        self.script.mood.store(mood as u8, Ordering::SeqCst);
    }

    /// Requests that it got so far.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.script.requests.load(Ordering::SeqCst)
    }
}

/// Answers requests without bodies, one after the other, until the other side closes.
async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, name: String, script: Arc<Script>) {
    let mut received = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        while let Some(end) = received.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let head: Vec<u8> = received.drain(..end + 4).collect();
            script.requests.fetch_add(1, Ordering::SeqCst);
            let mood = Mood::of(script.mood.load(Ordering::SeqCst));
            if mood == Mood::Closes {
                return;
            }
            if mood == Mood::IsSilent || head.starts_with(b"GET /hold") {
                continue;
            }
            let (answer, closes) = answer(&head, &name, mood);
            if stream.write_all(&answer).await.is_err() || closes {
                return;
            }
        }
        match stream.read(&mut chunk).await {
            Ok(count) if count > 0 => received.extend_from_slice(&chunk[..count]),
            Ok(_) | Err(_) => return,
        }
    }
}

/// The answer, and whether the connection ends with it.
fn answer(head: &[u8], name: &str, mood: Mood) -> (Vec<u8>, bool) {
    if mood == Mood::Babbles {
        return (
            b"HTTP/1.1 200 OK\r\nno field this is\r\n\r\n".to_vec(),
            true,
        );
    }
    let closes = head
        .windows(9)
        .any(|bytes| bytes.eq_ignore_ascii_case(b"\nx-close:"));
    let is_cut = mood == Mood::CutsBodies;
    let connection = if closes || is_cut {
        "close"
    } else {
        "keep-alive"
    };
    let text = String::from_utf8_lossy(head);
    let path = text.split(' ').nth(1).unwrap_or_default();
    let status = path.strip_prefix("/status/").unwrap_or("200");
    let length = head.len() + if is_cut { 1000 } else { 0 };
    let lines = format!(
        "HTTP/1.1 {status} Said\r\nX-Echo: {name}\r\nConnection: {connection}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n"
    );
    ([lines.as_bytes(), head].concat(), closes || is_cut)
}
