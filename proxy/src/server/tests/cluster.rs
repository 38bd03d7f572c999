//! The words of the tests: a proxy, servers behind it and clients before it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::time::timeout;

pub(super) use crate::registry::tests::{server, settings};
use crate::server::{Control, Handle, Listening, Source, run};
use crate::settings::Settings;

/// Nothing in a test takes longer, unless it failed.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) handle: Handle,
    thread: Option<std::thread::JoinHandle<anyhow::Result<()>>>,
}

impl Proxy {
    pub(super) async fn start(settings: Settings) -> Self {
        Self::start_from(settings, Source::Fixed).await
    }

    pub(super) async fn start_from(settings: Settings, source: Source) -> Self {
        let (control, handle) = Control::embedded();
        let (sender, ready) = tokio::sync::oneshot::channel::<Listening>();
        let control = control.on_ready(move |listening| sender.send(listening.clone()).unwrap());
        let thread = std::thread::spawn(move || run(settings, source, control));
        let listening = timeout(PATIENCE, ready).await.unwrap().unwrap();
        Self {
            address: listening.addresses[0],
            admin: listening.admin.unwrap(),
            handle,
            thread: Some(thread),
        }
    }

    pub(super) async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.address).await.unwrap())
    }

    /// One request on a connection of its own.
    pub(super) async fn get(&self, fields: &str) -> Answer {
        let mut client = self.connect().await;
        client
            .send(&format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"))
            .await;
        client.answer().await
    }

    pub(super) async fn handshake(&self, fields: &str) -> (Client, Answer) {
        let mut client = self.connect().await;
        client.send(&handshake(fields)).await;
        let answer = client.answer().await;
        (client, answer)
    }

    pub(super) async fn admin(&self, path: &str) -> Answer {
        let mut client = Client(TcpStream::connect(self.admin).await.unwrap());
        client
            .send(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"))
            .await;
        client.answer().await
    }

    /// Waits until a line of the metrics page is there.
    pub(super) async fn wait_for_metric(&self, line: &str) {
        let wait = async {
            while !self
                .admin("/metrics")
                .await
                .body
                .lines()
                .any(|found| found == line)
            {
                tokio::task::yield_now().await;
            }
        };
        if timeout(PATIENCE, wait).await.is_err() {
            panic!("no {line} in\n{}", self.admin("/metrics").await.body);
        }
    }

    /// Waits until the proxy has ended by itself.
    pub(super) async fn ended(mut self) {
        let thread = self.thread.take().unwrap();
        let join = tokio::task::spawn_blocking(move || thread.join());
        timeout(PATIENCE, join)
            .await
            .unwrap()
            .unwrap()
            .unwrap()
            .unwrap();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.handle.stop();
    }
}

pub(super) fn handshake(fields: &str) -> String {
    format!(
        "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{fields}\r\n"
    )
}

pub(super) struct Client<S = TcpStream>(pub(super) S);

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// `name=value` of the first cookie that is set under this name.
    pub(super) fn cookie(&self, name: &str) -> Option<String> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .filter(|(field, _)| field.eq_ignore_ascii_case("set-cookie"))
            .map(|(_, value)| value.split(';').next().unwrap().to_owned())
            .find(|pair| pair.starts_with(&format!("{name}=")))
    }
}

impl Client {
    /// A server's part after its 101.
    async fn after_switch(mut self, does: Does) {
        match does {
            Does::SwitchAndSleep => std::future::pending().await,
            Does::SwitchAndSay(words) => self.0.write_all(words).await.unwrap(),
            _ => {
                let (mut read, mut write) = self.0.into_split();
                // The client closing is how an echo ends.
                let _echoed = tokio::io::copy(&mut read, &mut write).await;
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(super) async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    pub(super) async fn read(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        timeout(PATIENCE, self.0.read_exact(&mut bytes))
            .await
            .unwrap()
            .unwrap();
        bytes
    }

    /// Everything until the proxy closes.
    pub(super) async fn read_to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        timeout(PATIENCE, self.0.read_to_end(&mut bytes))
            .await
            .unwrap()
            .unwrap();
        bytes
    }

    pub(super) async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.extend(self.read(1).await);
        }
        String::from_utf8(head).unwrap()
    }

    /// `None`: the other side closed.
    async fn request_head(&mut self) -> Option<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.ok()?);
        }
        Some(String::from_utf8(head).unwrap())
    }

    pub(super) async fn answer(&mut self) -> Answer {
        let head = self.head().await;
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer {
            status,
            head,
            body: String::new(),
        };
        let body = match (
            answer.field("Content-Length"),
            answer.field("Transfer-Encoding"),
        ) {
            (Some(length), _) => self.read(length.parse().unwrap()).await,
            (None, Some(_)) => self.chunks().await,
            (None, None) => Vec::new(),
        };
        answer.body = String::from_utf8(body).unwrap();
        answer
    }

    /// The body behind a request's head, which is in lower case.
    async fn body(&mut self, head: &str) -> Vec<u8> {
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        match length {
            Some(length) => self.read(length.parse().unwrap()).await,
            None if head.contains("transfer-encoding") => self.chunks().await,
            None => Vec::new(),
        }
    }

    async fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let mut line = Vec::new();
            while !line.ends_with(b"\r\n") {
                line.extend(self.read(1).await);
            }
            let size =
                usize::from_str_radix(std::str::from_utf8(&line).unwrap().trim(), 16).unwrap();
            body.extend(self.read(size).await);
            self.read(2).await;
            if size == 0 {
                return body;
            }
        }
    }
}

/// A server behind the proxy; it lives as long as the test.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) address: String,
    seen: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
    is_unwell: Arc<AtomicBool>,
    may_close: Arc<Notify>,
}

/// What a server does with a request head.
#[derive(Clone, Copy)]
pub(super) enum Does {
    /// Answers 200 with the head (and the body) it got; a handshake with 101, and echoes.
    Echo,
    /// The same, and sets a cookie of its own.
    EchoWithCookie,
    /// The same, and begins an Engine.IO session named after its address for a polling request without one.
    Open,
    /// Answers these bytes and closes.
    Say(&'static str),
    /// Answers these bytes and closes when `close` says so.
    SayAndWait(&'static str),
    /// Closes without an answer.
    Hangs,
    /// Never answers.
    Sleeps,
    /// Switches protocols, and then neither reads nor closes.
    SwitchAndSleep,
    /// Switches protocols, says these bytes and closes.
    SwitchAndSay(&'static [u8]),
}

impl Server {
    pub(super) async fn start(does: Does) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap().to_string(),
            seen: Arc::default(),
            connections: Arc::default(),
            is_unwell: Arc::default(),
            may_close: Arc::default(),
        };
        let told = server.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                told.connections.fetch_add(1, Ordering::Relaxed);
                let told = told.clone();
                tokio::spawn(async move { told.serve(Client(stream), does).await });
            }
        });
        server
    }

    /// An address where nobody listens, and nobody will: it is bound to the end of the tests.
    pub(super) async fn dead() -> String {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Box::leak(Box::new(socket))
            .local_addr()
            .unwrap()
            .to_string()
    }

    /// Lets a server that waits close its connection.
    pub(super) fn close(&self) {
        self.may_close.notify_one();
    }

    /// Requests it got.
    pub(super) fn seen(&self) -> usize {
        self.seen.load(Ordering::Relaxed)
    }

    /// What it answers to `GET /health` from now on: 503 or 200.
    pub(super) fn set_unwell(&self, is_unwell: bool) {
        self.is_unwell.store(is_unwell, Ordering::Relaxed);
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    async fn tell_health(&self, mut client: Client) {
        let status = match self.is_unwell.load(Ordering::Relaxed) {
            true => "503 Service Unavailable",
            false => "200 OK",
        };
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        // A proxy that stops has no ear for the answer.
        let _sent = client.0.write_all(answer.as_bytes()).await;
    }

    fn open_packet(&self) -> String {
        let sid = self.address.replace(':', "-");
        format!("0{{\"sid\":\"{sid}\",\"pingInterval\":200,\"pingTimeout\":100}}")
    }

    async fn serve(&self, mut client: Client, does: Does) {
        loop {
            let Some(head) = client.request_head().await else {
                return;
            };
            if head.starts_with("GET /health ") {
                self.tell_health(client).await;
                return;
            }
            self.seen.fetch_add(1, Ordering::Relaxed);
            let lower = head.to_lowercase();
            let cookie = if matches!(does, Does::EchoWithCookie) {
                "Set-Cookie: app=1\r\n"
            } else {
                ""
            };
            match does {
                Does::Echo
                | Does::EchoWithCookie
                | Does::Open
                | Does::SwitchAndSleep
                | Does::SwitchAndSay(_) => {}
                Does::Say(answer) => {
                    client.send(answer).await;
                    return;
                }
                Does::SayAndWait(answer) => {
                    client.send(answer).await;
                    self.may_close.notified().await;
                    return;
                }
                Does::Hangs => return,
                Does::Sleeps => std::future::pending().await,
            }
            if lower.contains("upgrade: websocket") {
                let answer = format!(
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{cookie}X-Server: {}\r\n\r\n",
                    self.address
                );
                client.send(&answer).await;
                client.after_switch(does).await;
                return;
            }
            let body = client.body(&lower).await;
            let echo = if matches!(does, Does::Open) && !lower.contains("sid=") {
                self.open_packet()
            } else {
                format!("{head}{}", String::from_utf8(body).unwrap())
            };
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{cookie}X-Server: {}\r\n\r\n",
                echo.len(),
                self.address
            );
            client.send(&answer).await;
            if !lower.starts_with("head ") {
                client.send(&echo).await;
            }
        }
    }
}
