//! Writes a row's history while it happens, one line of JSON a record, and reads it back.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::record::{ClientId, Did, Line};

/// Shared by all clients of a row. The lines stand in the order in which they were written.
pub(crate) struct History {
    start: Instant,
    out: Mutex<Out>,
}

struct Out {
    file: BufWriter<File>,
    failed: Option<io::Error>,
}

impl History {
    /// # Errors
    /// When the file cannot be made.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self {
            start: berth_tests::now(),
            out: Mutex::new(Out {
                file: BufWriter::with_capacity(256 * 1024, File::create(path)?),
                failed: None,
            }),
        })
    }

    /// Microseconds since the row began.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    pub(crate) fn write(&self, client: Option<ClientId>, did: Did) {
        let mut out = self.out();
        // Read under the lock: time never goes back from line to line.
        let line = Line {
            micros: self.now(),
            client,
            did,
        };
        if let Err(error) = line_to(&mut out.file, &line) {
            out.failed.get_or_insert(error);
        }
    }

    pub(crate) fn fault(&self, what: impl Into<String>) {
        let what = what.into().into();
        self.write(None, Did::Fault { what });
    }

    /// # Errors
    /// When a line could not be written: such a history proves nothing.
    pub(crate) fn close(&self) -> io::Result<()> {
        let mut out = self.out();
        out.file.flush()?;
        out.failed.take().map_or(Ok(()), Err)
    }

    fn out(&self) -> MutexGuard<'_, Out> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn line_to(file: &mut impl Write, line: &Line) -> io::Result<()> {
    serde_json::to_writer(&mut *file, line)?;
    file.write_all(b"\n")
}

/// # Errors
/// When the file cannot be read or has a line that is none of ours.
pub(crate) fn read(path: &Path) -> io::Result<Vec<Line>> {
    let mut lines = Vec::new();
    for (number, text) in BufReader::new(File::open(path)?).lines().enumerate() {
        let line = serde_json::from_str(&text?);
        let line =
            line.map_err(|error| io::Error::other(format!("line {}: {error}", number + 1)))?;
        lines.push(line);
    }
    Ok(lines)
}
