//! Lines on their way to standard output, gathered for a moment.
//!
//! A write costs the thread that serves a client more than everything else that the proxy does for a request by itself.
//! So a thread of its own writes, some times a second, all that has come meanwhile. Invariants: **a line is whole**;
//! **no line is dropped**: when the reader is slow, whoever logs waits, as it would for the write itself; **what was
//! logged is written before the program ends** (`Gathering`).

use std::io::{self, IsTerminal as _, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Long enough to gather hundreds of lines under load, too short for a person to notice.
const GATHER_TIME: Duration = Duration::from_millis(20);
/// More than this waits for the reader: some seconds of lines under load.
const WAITING_BYTES_MAX: usize = 1024 * 1024;

/// Where lines go.
#[derive(Clone, Debug)]
pub(super) enum Lines {
    /// To a person, who wants to see each when it comes.
    Direct,
    Gathered(Arc<Waiting>),
}

/// What waits to be written.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    state: Mutex<State>,
    /// There is something to write, or the end has come.
    came: Condvar,
    /// There is room again.
    went: Condvar,
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    is_ending: bool,
}

/// Held while anything may be logged; to drop it writes what is left.
#[derive(Debug)]
pub struct Gathering {
    waiting: Arc<Waiting>,
    thread: Option<JoinHandle<()>>,
}

/// To standard output. The thread that writes lives as long as the `Gathering`, of which there is none for a terminal.
///
/// # Errors
/// When the system has no thread left.
pub(super) fn to_stdout() -> io::Result<(Lines, Option<Gathering>)> {
    if io::stdout().is_terminal() {
        return Ok((Lines::Direct, None));
    }
    let (waiting, gathering) = gather(io::stdout())?;
    Ok((Lines::Gathered(waiting), Some(gathering)))
}

fn gather(out: impl Write + Send + 'static) -> io::Result<(Arc<Waiting>, Gathering)> {
    let waiting = Arc::new(Waiting::default());
    let shared = Arc::clone(&waiting);
    let thread = std::thread::Builder::new()
        .name("berth-log".to_owned())
        .spawn(move || shared.write_to(out))?;
    let gathering = Gathering {
        waiting: Arc::clone(&waiting),
        thread: Some(thread),
    };
    Ok((waiting, gathering))
}

impl Waiting {
    fn state(&self) -> MutexGuard<'_, State> {
        // Whole lines at any moment; a panic elsewhere cannot leave one half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, line: &[u8]) {
        let mut state = self.state();
        while state.bytes.len() >= WAITING_BYTES_MAX && !state.is_ending {
            state = self
                .went
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let was_empty = state.bytes.is_empty();
        state.bytes.extend_from_slice(line);
        drop(state);
        if was_empty {
            self.came.notify_one();
        }
    }

    fn write_to(&self, mut out: impl Write) {
        loop {
            let is_empty = |state: &mut State| state.bytes.is_empty() && !state.is_ending;
            let state = self.came.wait_while(self.state(), is_empty);
            let state = state.unwrap_or_else(PoisonError::into_inner);
            let gathered = self
                .came
                .wait_timeout_while(state, GATHER_TIME, |state| !state.is_ending);
            let (mut state, _) = gathered.unwrap_or_else(PoisonError::into_inner);
            let (bytes, is_ending) = (std::mem::take(&mut state.bytes), state.is_ending);
            drop(state);
            self.went.notify_all();
            // Nobody reads any more: there is no other place to say it.
            out.write_all(&bytes)
                .and_then(|()| out.flush())
                .unwrap_or_default();
            if is_ending && bytes.is_empty() {
                return;
            }
        }
    }
}

impl Drop for Gathering {
    fn drop(&mut self) {
        self.waiting.state().is_ending = true;
        self.waiting.came.notify_all();
        self.waiting.went.notify_all();
        if let Some(thread) = self.thread.take() {
            // It ends by itself; a panic in it has said what there is to say.
            let _ended = thread.join();
        }
    }
}

impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self {
            Lines::Direct => return io::stdout().write(line),
            Lines::Gathered(waiting) => waiting.add(line),
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Lines::Direct => io::stdout().flush(),
            Lines::Gathered(_) => Ok(()),
        }
    }
}

impl<'l> MakeWriter<'l> for Lines {
    type Writer = &'l Self;

    fn make_writer(&'l self) -> &'l Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// A reader that takes one write at a time, when it is told.
    struct Slow {
        may_take: mpsc::Receiver<()>,
        taken: mpsc::Sender<Vec<u8>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.may_take.recv().is_ok() {
                self.taken.send(bytes.to_vec()).unwrap();
            }
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn slow() -> (
        mpsc::Sender<()>,
        mpsc::Receiver<Vec<u8>>,
        Arc<Waiting>,
        Gathering,
    ) {
        let (take, may_take) = mpsc::channel();
        let (taken, got) = mpsc::channel();
        let (waiting, gathering) = gather(Slow { may_take, taken }).unwrap();
        (take, got, waiting, gathering)
    }

    #[test]
    fn lines_come_in_order_and_several_at_once() {
        let (take, got, waiting, gathering) = slow();
        waiting.add(b"one\n");
        waiting.add(b"two\n");
        for _ in 0..9 {
            take.send(()).unwrap();
        }
        waiting.add(b"three\n");
        drop(gathering);
        let all: Vec<u8> = got.try_iter().flatten().collect();
        assert_eq!(all, b"one\ntwo\nthree\n");
    }

    #[test]
    fn whoever_logs_waits_for_a_slow_reader_and_loses_nothing() {
        let (take, got, waiting, gathering) = slow();
        let line = vec![b'x'; WAITING_BYTES_MAX];
        let logging = std::thread::spawn(move || {
            for _ in 0..4 {
                waiting.add(&line);
            }
        });
        let mut bytes = 0;
        while bytes < 4 * WAITING_BYTES_MAX {
            take.send(()).unwrap();
            let piece = got.recv().unwrap();
            assert!(
                piece.len() <= 2 * WAITING_BYTES_MAX,
                "{} waited",
                piece.len()
            );
            bytes += piece.len();
        }
        logging.join().unwrap();
        assert_eq!(bytes, 4 * WAITING_BYTES_MAX);
        drop(take);
        drop(gathering);
    }
}
