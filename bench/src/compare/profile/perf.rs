//! perf, told when to look. It takes seconds to start, and to say nothing about when it has would make every count a guess.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::Context as _;
use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use tempfile::TempDir;

use super::first_line;
use crate::clock;
use crate::compare::say;
use crate::watch::Watch;

/// All of them, whatever their names.
pub(super) const ANY_CALL: &str = "raw_syscalls:sys_enter";
/// Before a system call's name.
pub(super) const CALL: &str = "syscalls:sys_enter_";
/// Those that servers make. To count each of the kernel's by its name takes perf a quarter of a minute to prepare.
const CALLS: [&str; 36] = [
    "read",
    "write",
    "readv",
    "writev",
    "recvfrom",
    "sendto",
    "recvmsg",
    "sendmsg",
    "splice",
    "sendfile64",
    "epoll_wait",
    "epoll_pwait",
    "epoll_ctl",
    "poll",
    "ppoll",
    "accept",
    "accept4",
    "connect",
    "socket",
    "bind",
    "close",
    "shutdown",
    "getsockopt",
    "setsockopt",
    "getpeername",
    "getsockname",
    "ioctl",
    "fcntl",
    "futex",
    "sched_yield",
    "clock_gettime",
    "getrandom",
    "mmap",
    "munmap",
    "madvise",
    "fdatasync",
];
/// Of each second. Not a divisor of anything that happens regularly.
const SAMPLES_PER_SECOND: &str = "1999";
const START_MAX: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// It looks at processes and all their threads until it is stopped.
pub(super) struct Perf {
    child: Child,
    /// With the pipes through which it is told.
    _folder: TempDir,
}

impl Perf {
    pub(super) fn counting(watch: &Watch) -> anyhow::Result<Self> {
        // Not commas, which some locales have in numbers.
        let mut arguments = vec!["stat", "-x", ";", "-e", ANY_CALL];
        let named = CALLS.map(|name| format!("{CALL}{name}"));
        for name in &named {
            arguments.extend(["-e", name]);
        }
        Self::start(&arguments, watch)
    }

    pub(super) fn sampling(watch: &Watch, file: &Path) -> anyhow::Result<Self> {
        let path = file.display().to_string();
        let rate = SAMPLES_PER_SECOND;
        let arguments = ["record", "-q", "-e", "cpu-clock", "-F", rate, "-o", &path];
        Self::start(&arguments, watch)
    }

    fn start(arguments: &[&str], watch: &Watch) -> anyhow::Result<Self> {
        let folder = TempDir::new()?;
        let (orders, answers) = (folder.path().join("orders"), folder.path().join("answers"));
        for pipe in [&orders, &answers] {
            mkfifo(pipe, Mode::S_IRUSR | Mode::S_IWUSR)?;
        }
        let control = format!("--control=fifo:{},{}", orders.display(), answers.display());
        let processes = watch.processes()?;
        let processes: Vec<String> = processes.iter().map(u32::to_string).collect();
        let child = Command::new("perf")
            .args(arguments)
            // Nothing is looked at before it is told to.
            .args(["-D", "-1", &control, "-p", &processes.join(",")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("perf is needed (Debian: linux-perf)")?;
        let mut perf = Self {
            child,
            _folder: folder,
        };
        // Open until it is read: what is in a pipe goes with its last end.
        let mut orders = open(&orders)?;
        orders.write_all(b"enable\n")?;
        perf.wait_for(&mut open(&answers)?)?;
        Ok(perf)
    }

    fn wait_for(&mut self, answers: &mut File) -> anyhow::Result<()> {
        let since = clock::now();
        loop {
            match answers.read(&mut [0; 16]) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
            if self.child.try_wait()?.is_some() {
                let mut said = String::new();
                if let Some(errors) = &mut self.child.stderr {
                    errors.read_to_string(&mut said)?;
                }
                anyhow::bail!("perf: {}", first_line(&said));
            }
            anyhow::ensure!(since.elapsed() < START_MAX, "perf does not start");
            sleep(POLL);
        }
    }

    /// What it said until it was stopped.
    pub(super) fn stop(mut self) -> anyhow::Result<String> {
        let pid = Pid::from_raw(i32::try_from(self.child.id())?);
        kill(pid, Signal::SIGINT)?;
        let mut said = String::new();
        if let Some(errors) = &mut self.child.stderr {
            errors.read_to_string(&mut said)?;
        }
        self.child.wait()?;
        Ok(said)
    }
}

impl Drop for Perf {
    /// Whatever happened to the load, it does not stay.
    fn drop(&mut self) {
        if self.child.kill().and_then(|()| self.child.wait()).is_err() {
            say("perf may still be running");
        }
    }
}

/// Without waiting for the other end.
fn open(pipe: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(pipe)
}
