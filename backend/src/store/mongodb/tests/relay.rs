//! A TCP relay before MongoDB that spoils one insert on command.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// `insert: "messages"`, as BSON spells it.
const INSERT: &[u8] = b"insert\0\x09\0\0\0messages";

/// What happens to the next insert into `messages`.
#[derive(Clone, Copy)]
pub(super) enum Trouble {
    /// MongoDB gets it; the connection breaks before the answer.
    LoseAnswer = 1,
    /// The connection breaks before MongoDB gets it.
    LoseQuestion = 2,
    /// MongoDB gets it; no answer ever comes.
    Hang = 3,
}

pub(super) struct Relay {
    pub(super) address: SocketAddr,
    next: Arc<AtomicU8>,
    socket: std::sync::Mutex<Option<TcpSocket>>,
}

impl Relay {
    pub(super) async fn start(server: &str) -> Self {
        let relay = Self::reserve().await;
        relay.open(server).await;
        relay
    }

    /// Has an address where nothing listens yet.
    pub(super) async fn reserve() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        Self {
            address,
            next: Arc::default(),
            socket: std::sync::Mutex::new(Some(socket)),
        }
    }

    pub(super) async fn open(&self, server: &str) {
        let listener: TcpListener = self
            .socket
            .lock()
            .unwrap()
            .take()
            .unwrap()
            .listen(64)
            .unwrap();
        let (server, next) = (server.to_owned(), Arc::clone(&self.next));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                tokio::spawn(relay(client, server, Arc::clone(&next)));
            }
        });
    }

    pub(super) fn next_insert(&self, trouble: Trouble) {
        self.next.store(trouble as u8, Ordering::SeqCst);
    }

    pub(super) fn had_its_trouble(&self) -> bool {
        self.next.load(Ordering::SeqCst) == 0
    }
}

async fn relay(mut client: TcpStream, mut server: TcpStream, next: Arc<AtomicU8>) {
    let (mut question, mut answer) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = client.read(&mut question) => {
                let Ok(len @ 1..) = read else { return };
                let bytes = &question[..len];
                let is_insert = bytes.windows(INSERT.len()).any(|part| part == INSERT);
                let trouble = if is_insert { next.swap(0, Ordering::SeqCst) } else { 0 };
                if trouble == Trouble::LoseQuestion as u8 || server.write_all(bytes).await.is_err() {
                    return;
                }
                if trouble == Trouble::LoseAnswer as u8 {
                    // It answers when it has stored; the answer ends here.
                    drop(server.read(&mut answer).await);
                    return;
                }
                if trouble == Trouble::Hang as u8 {
                    drop(server.read(&mut answer).await);
                    return drop(client.read(&mut question).await);
                }
            }
            read = server.read(&mut answer) => {
                let Ok(len @ 1..) = read else { return };
                if client.write_all(&answer[..len]).await.is_err() {
                    return;
                }
            }
        }
    }
}
