//! A server that keeps every byte of every connection, and answers each request with what it was asked for.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::eventually::{eventually, secs};
use crate::ports::Port;
use crate::reading::Reader;

/// The field that only its answers have.
const MARK: &str = "X-Recorded";

/// Serves until it is dropped.
pub struct Recorder {
    port: Port,
    connections: Arc<Mutex<Vec<Connection>>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Connection {
    bytes: Vec<u8>,
    is_ended: bool,
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Recorder {
    /// # Panics
    /// When it cannot listen.
    pub async fn start() -> Self {
        let port = Port::reserve();
        let listener = TcpListener::bind(port.address())
            .await
            .expect("a free port");
        let connections = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let index = {
                    let mut all = all.lock().expect("the record");
                    all.push(Connection::default());
                    all.len() - 1
                };
                tokio::spawn(serve(stream, index, Arc::clone(&all)));
            }
        });
        Self {
            port,
            connections,
            task,
        }
    }

    /// `127.0.0.1:PORT`
    #[must_use]
    pub fn address(&self) -> String {
        self.port.address()
    }

    /// What came on each connection, once all of them have ended.
    ///
    /// # Panics
    /// When one does not end.
    pub async fn connections(&self) -> Vec<Vec<u8>> {
        eventually("all recorded connections end", secs(10), async || {
            let all = self.connections.lock().expect("the record");
            let is_over = all.iter().all(|connection| connection.is_ended);
            is_over.then(|| {
                all.iter()
                    .map(|connection| connection.bytes.clone())
                    .collect()
            })
        })
        .await
    }
}

async fn serve(mut stream: TcpStream, index: usize, all: Arc<Mutex<Vec<Connection>>>) {
    let (mut buffer, mut answered) = ([0; 16 * 1024], 0);
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        let answers = {
            let mut all = all.lock().expect("the record");
            let bytes = &mut all[index].bytes;
            bytes.extend_from_slice(&buffer[..count]);
            let mut answers = String::new();
            while let Some((read, used)) = Reader::Strict.next(&bytes[answered..])
                && read.is_whole
            {
                answered += used;
                answers.push_str(&answer(&read.asked));
            }
            answers
        };
        if stream.write_all(answers.as_bytes()).await.is_err() {
            break;
        }
    }
    all.lock().expect("the record")[index].is_ended = true;
}

/// The request is told in a field, so that the answer to a HEAD tells it too.
fn answer(asked: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{MARK}: {asked}\r\n\r\n")
}

/// The requests that were answered here, in what a client got.
#[must_use]
pub fn answered(got: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(got);
    let is_mark = |line: &&str| {
        line.get(..MARK.len())
            .is_some_and(|name| name.eq_ignore_ascii_case(MARK))
    };
    let values = text.lines().filter(is_mark);
    values
        .filter_map(|line| Some(line.split_once(": ")?.1.to_owned()))
        .collect()
}
