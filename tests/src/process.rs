//! Programs: found, started, listened to, signalled, and never left behind.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::environment::now;
use crate::eventually::eventually;

/// How much of a log a failing test prints.
const LOG_LINES_SHOWN: usize = 150;

/// One of the workspace's programs, beside the running one in `target/<profile>/`.
///
/// # Panics
/// When it was not built: cargo builds no binaries of other packages for a test.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let running = std::env::current_exe().expect("the running program");
    let beside = running.parent().expect("target/<profile>/program");
    // Tests run one folder deeper.
    let profile = match beside.file_name() {
        Some(folder) if folder == "deps" => beside.parent().expect("target/<profile>/deps/test"),
        _ => beside,
    };
    let path = profile.join(name);
    assert!(
        path.is_file(),
        "{} is missing; build the programs first: cargo build --workspace --bins",
        path.display()
    );
    path
}

/// The program, after these shell words.
pub(crate) fn launched_by(script: &str, program: &Path) -> Command {
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(format!("{script}; exec \"$0\" \"$@\""))
        .arg(program);
    shell
}

/// A running program. Dropping it kills it; if the test is failing, its log is printed.
pub struct Program {
    name: String,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    readers: Vec<JoinHandle<()>>,
    /// How long it may take to end after SIGTERM, when it is dropped.
    grace: Duration,
}

impl Program {
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(name: &str, mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name} ({command:?}): {error}"));
        let log = Arc::new(Mutex::new(Vec::new()));
        let readers = vec![
            follow(child.stdout.take().expect("piped"), Arc::clone(&log)),
            follow(child.stderr.take().expect("piped"), Arc::clone(&log)),
        ];
        Self {
            name: name.to_owned(),
            child,
            log,
            readers,
            grace: Duration::from_secs(1),
        }
    }

    /// Lets it take longer to end, such as a client of a container, which SIGKILL would leave running.
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has printed so far.
    ///
    /// # Panics
    /// When a reader of the log panicked.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.log.lock().expect("the log").clone()
    }

    #[must_use]
    pub fn logged(&self, text: &str) -> bool {
        self.times_logged(text) > 0
    }

    #[must_use]
    pub fn times_logged(&self, text: &str) -> usize {
        self.log().iter().filter(|line| line.contains(text)).count()
    }

    /// Waits until it has printed a line with this text.
    ///
    /// # Panics
    /// When it does not in time.
    pub async fn says(&self, text: &str, deadline: Duration) {
        let what = format!("{} says {text:?}", self.name);
        eventually(&what, deadline, async || self.logged(text).then_some(())).await;
    }

    /// Writes a line to its standard input.
    ///
    /// # Panics
    /// When it does not listen.
    pub fn tell(&mut self, line: &str) {
        let input = self.child.stdin.as_mut().expect("piped");
        writeln!(input, "{line}")
            .unwrap_or_else(|error| panic!("cannot tell {}: {error}", self.name));
    }

    /// # Panics
    /// When it is gone already.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a process id");
        kill(Pid::from_raw(pid), signal)
            .unwrap_or_else(|error| panic!("cannot send {signal} to {}: {error}", self.name));
    }

    /// SIGKILL, and wait until it is gone.
    ///
    /// # Panics
    /// When it cannot be killed.
    pub fn kill(&mut self) {
        self.child.kill().expect("our own child can be killed");
        self.child.wait().expect("our own child can be waited for");
    }

    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end in time.
    pub async fn ended(&mut self, deadline: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        let child = &mut self.child;
        let status = eventually(&what, deadline, async || {
            child.try_wait().expect("our child")
        })
        .await;
        for reader in self.readers.drain(..) {
            reader.join().expect("a reader of the log");
        }
        status
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let running = self.is_running();
        if std::thread::panicking() {
            self.print_log(running);
        }
        if running {
            self.signal(Signal::SIGTERM);
            let end = now() + self.grace;
            while self.is_running() && now() < end {
                std::thread::sleep(Duration::from_millis(5));
            }
            if self.is_running() {
                self.kill();
            }
        }
    }
}

impl Program {
    fn print_log(&self, running: bool) {
        let log = self.log();
        let shown = log.len().min(LOG_LINES_SHOWN);
        let state = if running { "running" } else { "ended" };
        eprintln!(
            "--- {} ({state}), last {shown} of {} lines",
            self.name,
            log.len()
        );
        for line in &log[log.len() - shown..] {
            eprintln!("    {line}");
        }
    }
}

fn follow(stream: impl Read + Send + 'static, log: Arc<Mutex<Vec<String>>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut lines = BufReader::new(stream);
        let mut line = Vec::new();
        while matches!(lines.read_until(b'\n', &mut line), Ok(count) if count > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            log.lock().expect("the log").push(text);
            line.clear();
        }
    })
}
