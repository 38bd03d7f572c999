//! Who is compared, and how each is started.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use super::ChatWish;
use crate::head;

const LOG_IN_TIMEOUT: Duration = Duration::from_secs(5);
/// All servers of a case verify each other's sessions.
const SESSION_SECRET: &str = "bench";
/// A caller's environment is not what is measured.
const FOREIGN: [&str; 6] = [
    "REDIS_URL",
    "MONGO_URI",
    "PORT",
    "HOST",
    "BERTH_STORE",
    "BERTH_DATA",
];
/// Node's server limits no rates.
const UNLIMITED: &str = "[chat]
messages_per_second_max = 1000000
user_messages_per_second_max = 1000000
";

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Peer {
    Berth,
    Node,
    /// No chat server: what the kernel alone takes for delivering.
    Floor,
}

/// Where messages are kept before they are acknowledged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Store {
    /// Berth: in the process, as long as it lives. Node: not at all.
    Nothing,
    Sqlite,
    MongoDb,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Setup {
    /// More than one are joined by a Redis of their own.
    pub(super) instances: usize,
    pub(super) store: Store,
}

/// Where everything is.
pub(super) struct Wiring<'a> {
    pub(super) listen: SocketAddr,
    pub(super) store: Store,
    pub(super) folder: &'a Path,
    pub(super) redis: Option<SocketAddr>,
    pub(super) mongo_uri: Option<&'a str>,
}

impl Peer {
    pub(super) fn version(self, wish: &ChatWish) -> Command {
        match self {
            Self::Berth => {
                let mut command = Command::new(&wish.backend);
                command.arg("--version");
                command
            }
            Self::Floor => {
                let mut command = Command::new(&wish.floor);
                command.arg("--version");
                command
            }
            Self::Node => {
                // Also says whether what it needs is installed.
                let script = "`node ${process.version}, socket.io ${require('socket.io/package.json').version}`";
                let mut command = Command::new("node");
                command.arg("-p").arg(script).current_dir(&wish.node);
                command
            }
        }
    }

    /// How to run it in the foreground.
    ///
    /// # Errors
    /// When its settings cannot be written.
    pub(super) fn command(self, wish: &ChatWish, wiring: &Wiring<'_>) -> anyhow::Result<Command> {
        let redis = wiring.redis.map(|address| format!("redis://{address}"));
        let (host, port) = (wiring.listen.ip(), wiring.listen.port().to_string());
        let mut command = match self {
            Self::Berth => {
                let mut command = Command::new(&wish.backend);
                command.args(["run", "--log-level", "warn", "--port", &port]);
                let settings = wiring.folder.join("backend.toml");
                std::fs::write(&settings, UNLIMITED).context("no settings could be written")?;
                command.arg("--config").arg(settings);
                command.arg("--data").arg(wiring.folder);
                command.args(["--store", wiring.store.word()]);
                if let Some(redis) = &redis {
                    command.args(["--redis-url", redis]);
                }
                if let (Store::MongoDb, Some(uri)) = (wiring.store, wiring.mongo_uri) {
                    command.args(["--mongo-uri", uri]);
                }
                command
            }
            Self::Floor => {
                let mut command = Command::new(&wish.floor);
                command
                    .arg("--rooms")
                    .arg("--listen")
                    .arg(wiring.listen.to_string());
                command
            }
            Self::Node => {
                let mut command = Command::new("node");
                command.arg("server.mjs").current_dir(&wish.node);
                command
            }
        };
        for name in FOREIGN {
            command.env_remove(name);
        }
        command.env("HOST", host.to_string());
        command.env("SESSION_SECRET", SESSION_SECRET);
        if self == Self::Node {
            command.env("NODE_ENV", "production").env("PORT", port);
            command.envs(redis.map(|redis| ("REDIS_URL", redis)));
        }
        Ok(command)
    }
}

impl Store {
    fn word(self) -> &'static str {
        match self {
            Self::Nothing => "memory",
            Self::Sqlite => "sqlite",
            Self::MongoDb => "mongodb",
        }
    }
}

/// Opens a session, as a browser does before its socket, and gives its cookie.
pub(super) fn log_in(server: SocketAddr) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect_timeout(&server, LOG_IN_TIMEOUT)?;
    stream.set_read_timeout(Some(LOG_IN_TIMEOUT))?;
    stream.write_all(
        b"POST /api/auth/guest HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
          Content-Length: 2\r\n\r\n{}",
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let set = head::field(&answer, "set-cookie").context("there is no session to be had")?;
    let set = std::str::from_utf8(set)?;
    Ok(set.split(';').next().unwrap_or_default().to_owned())
}
