//! The real Redis and MongoDB that a town stands on. A missing one is a failure, never a skip.
//!
//! `tests/services.sh` knows where to find the programs; here is only how a test talks to them.

use std::hash::{BuildHasher, RandomState};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::environment::{repository, variable};
use crate::eventually::{eventually, secs};
use crate::ports::Port;
use crate::process::Program;

/// The first start may download the program.
const START_DEADLINE: Duration = Duration::from_secs(240);

fn service(name: &str, port: &Port, directory: &TempDir) -> Program {
    let mut command = Command::new(repository().join("tests/services.sh"));
    command
        .arg(name)
        .arg(port.number().to_string())
        .arg(directory.path());
    Program::start(name, command).with_grace(secs(30))
}

/// A redis-server of our own, which a test may stop and start again.
pub struct Redis {
    port: Port,
    directory: TempDir,
    program: Option<Program>,
}

impl Redis {
    /// # Panics
    /// When it does not come up.
    pub async fn start() -> Self {
        let mut redis = Self::reserved();
        redis.start_again().await;
        redis
    }

    /// The place of a Redis that is not running yet.
    ///
    /// # Panics
    /// When there is no temporary folder.
    #[must_use]
    pub fn reserved() -> Self {
        Self {
            port: Port::reserve(),
            directory: TempDir::new().expect("a temporary folder"),
            program: None,
        }
    }

    #[must_use]
    pub fn is_running(&self) -> bool {
        self.program.is_some()
    }

    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.port.address())
    }

    /// # Panics
    /// When it does not come up.
    pub async fn start_again(&mut self) {
        assert!(self.program.is_none(), "redis is running already");
        let mut program = service("redis", &self.port, &self.directory);
        eventually("redis answers", START_DEADLINE, async || {
            assert!(program.is_running(), "redis ended: {:?}", program.log());
            (self.try_command(&["PING"]).await.as_deref() == Some("+PONG")).then_some(())
        })
        .await;
        self.program = Some(program);
    }

    /// SIGTERM, as an operator stops it, and wait for its end.
    ///
    /// # Panics
    /// When it does not stop.
    pub async fn stop(&mut self) {
        let mut program = self.program.take().expect("redis is running");
        program.signal(Signal::SIGTERM);
        program.ended(secs(10)).await;
    }

    /// The running process.
    ///
    /// # Panics
    /// When it is not running.
    #[must_use]
    pub fn program(&self) -> &Program {
        self.program.as_ref().expect("redis is running")
    }

    /// Says a command and returns the raw answer, without the last line end.
    ///
    /// # Panics
    /// When Redis does not answer.
    pub async fn command(&self, words: &[&str]) -> String {
        self.try_command(words).await.expect("redis answers")
    }

    async fn try_command(&self, words: &[&str]) -> Option<String> {
        let mut stream = TcpStream::connect(self.port.address()).await.ok()?;
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        // QUIT makes Redis close behind the answer, so reading to the end needs no parser.
        request.push_str("*1\r\n$4\r\nQUIT\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        let answer = answer.strip_suffix("+OK\r\n").unwrap_or(&answer);
        Some(answer.trim_end().to_owned())
    }
}

/// A MongoDB: the one `MONGO_URI` names, or one of our own. Every town gets a database of its own in it.
pub struct Mongo {
    uri: String,
    own: Option<OwnMongo>,
}

struct OwnMongo {
    port: Port,
    directory: TempDir,
    program: Option<Program>,
}

impl Mongo {
    /// # Panics
    /// When there is none and none can be started.
    pub async fn start() -> Self {
        match variable("MONGO_URI") {
            Some(uri) => Self {
                uri: with_own_database(&uri),
                own: None,
            },
            None => Self::start_own().await,
        }
    }

    /// One that a test may stop and start again.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start_own() -> Self {
        let port = Port::reserve();
        let mut mongo = Self {
            uri: format!("mongodb://{}/berth", port.address()),
            own: Some(OwnMongo {
                port,
                directory: TempDir::new().expect("a temporary folder"),
                program: None,
            }),
        };
        mongo.start_again().await;
        mongo
    }

    #[must_use]
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// # Panics
    /// When it is not ours or does not come up.
    pub async fn start_again(&mut self) {
        let own = self.own.as_mut().expect("a MongoDB of our own");
        assert!(own.program.is_none(), "mongod is running already");
        let mut program = service("mongo", &own.port, &own.directory);
        let address = own.port.address();
        eventually("mongod listens", START_DEADLINE, async || {
            assert!(program.is_running(), "mongod ended: {:?}", program.log());
            TcpStream::connect(&address).await.ok()
        })
        .await;
        own.program = Some(program);
    }

    /// The running process.
    ///
    /// # Panics
    /// When it is not ours or not running.
    #[must_use]
    pub fn program(&self) -> &Program {
        let program = self.own.as_ref().and_then(|own| own.program.as_ref());
        program.expect("a MongoDB of our own is running")
    }

    /// # Panics
    /// When it is not ours or does not stop.
    pub async fn stop(&mut self) {
        let own = self.own.as_mut().expect("a MongoDB of our own");
        let mut program = own.program.take().expect("mongod is running");
        program.signal(Signal::SIGTERM);
        program.ended(secs(30)).await;
    }
}

/// `mongodb://host:port/name?options` with another name, so that towns never see each other's rooms.
fn with_own_database(uri: &str) -> String {
    let (base, options) = uri.split_once('?').unwrap_or((uri, ""));
    let hosts_start = base.find("://").map_or(0, |at| at + 3);
    let hosts_end = base[hosts_start..]
        .find('/')
        .map_or(base.len(), |at| hosts_start + at);
    let name = format!("berth_{:016x}", RandomState::new().hash_one(uri));
    format!("{}/{name}?{options}", &base[..hosts_end])
}
