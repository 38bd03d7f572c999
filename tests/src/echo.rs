//! A server that answers with the head of the request it got: what a proxy really sends, seen from behind it.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::ports::Port;

/// Serves until it is dropped.
pub struct Echo {
    port: Port,
    task: JoinHandle<()>,
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
        let task = tokio::spawn(async move {
            while let Ok((stream, _peer)) = listener.accept().await {
                tokio::spawn(serve(stream, name.clone()));
            }
        });
        Self { port, task }
    }

    /// `127.0.0.1:PORT`, which is also what it calls itself in `X-Echo`.
    #[must_use]
    pub fn address(&self) -> String {
        self.port.address()
    }
}

/// Answers requests without bodies, one after the other, until the other side closes.
async fn serve(mut stream: TcpStream, name: String) {
    let mut received = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        while let Some(end) = received.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let head: Vec<u8> = received.drain(..end + 4).collect();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nX-Echo: {name}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
                head.len()
            );
            let written = [answer.as_bytes(), &head].concat();
            if stream.write_all(&written).await.is_err() {
                return;
            }
        }
        match stream.read(&mut chunk).await {
            Ok(count) if count > 0 => received.extend_from_slice(&chunk[..count]),
            Ok(_) | Err(_) => return,
        }
    }
}
