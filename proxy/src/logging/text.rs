//! Log lines as text for programs and files: what `tracing_subscriber` writes, for a tenth of its work.
//!
//! An access line costs as much as the rest of a request when every field goes through the formatter of the standard
//! library. Here texts, numbers and times are written directly; what is neither still takes that way. Seconds have six
//! digits. Terminals and JSON have the library's own formats.

use std::cell::RefCell;
use std::fmt::{self, Debug, Write as _};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{FmtContext, time};
use tracing_subscriber::registry::LookupSpan;

use crate::clock;

/// `2026-11-28T19:32:13`
const SECOND_CHARS: usize = 19;
/// The field that stands without its name.
const MESSAGE: &str = "message";

/// One line per event: time, level, message, fields. There are no spans in this program.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text;

impl<S, N> FormatEvent<S, N> for Text
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut line: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        WORK.with_borrow_mut(|Work { second, text }| {
            text.clear();
            second.write(text, clock::wall())?;
            text.push_str(match *event.metadata().level() {
                Level::ERROR => " ERROR",
                Level::WARN => "  WARN",
                Level::INFO => "  INFO",
                Level::DEBUG => " DEBUG",
                Level::TRACE => " TRACE",
            });
            let mut fields = Fields {
                line: text,
                result: Ok(()),
            };
            event.record(&mut fields);
            fields.result?;
            text.push('\n');
            line.write_str(text)
        })
    }
}

/// What a thread keeps from one line to the next.
#[derive(Default)]
struct Work {
    second: Second,
    /// The line; gathered here, because the library's writer is asked through a table for every piece.
    text: String,
}

thread_local! {
    static WORK: RefCell<Work> = RefCell::default();
}

/// The second that was written last, and its text.
#[derive(Default)]
struct Second {
    since_epoch: Option<u64>,
    text: String,
}

impl Second {
    fn write(&mut self, line: &mut String, now: SystemTime) -> fmt::Result {
        let since_epoch = seconds(now);
        if self.since_epoch != Some(since_epoch.as_secs()) {
            self.text.clear();
            time::SystemTime.format_time(&mut Writer::new(&mut self.text))?;
            self.text.truncate(SECOND_CHARS);
            // The library looks at the clock by itself: if the second ended meanwhile, the next line asks again.
            self.since_epoch = Some(since_epoch.as_secs())
                .filter(|second| *second == seconds(clock::wall()).as_secs());
        }
        line.push_str(&self.text);
        line.push('.');
        push_millionths(line, since_epoch.subsec_micros());
        line.push('Z');
        Ok(())
    }
}

fn seconds(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn push_millionths(line: &mut String, millionths: u32) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(millionths);
    line.push_str("000000".get(digits.len()..).unwrap_or_default());
    line.push_str(digits);
}

/// Writes fields behind each other; the first failure ends it.
struct Fields<'l> {
    line: &'l mut String,
    result: fmt::Result,
}

impl Fields<'_> {
    /// The line, behind the field's name.
    fn begin(&mut self, field: &Field) -> &mut String {
        self.line.push(' ');
        if field.name() != MESSAGE {
            self.line.push_str(field.name());
            self.line.push('=');
        }
        self.line
    }

    fn formatted(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let line = self.begin(field);
        let written = Escaping(line).write_fmt(value);
        self.result = self.result.and(written);
    }
}

/// Whether quotes around it are all it takes. Looks at every byte without stopping, which processors do many at a time.
fn is_plain(text: &str) -> bool {
    let is_special = |byte: u8| !(b' '..=b'~').contains(&byte) || byte == b'"' || byte == b'\\';
    !text
        .bytes()
        .fold(false, |found, byte| found | is_special(byte))
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == MESSAGE {
            self.begin(field).push_str(value);
        } else if is_plain(value) {
            let line = self.begin(field);
            line.push('"');
            line.push_str(value);
            line.push('"');
        } else {
            self.formatted(field, format_args!("{value:?}"));
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.begin(field)
            .push_str(itoa::Buffer::new().format(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.begin(field)
            .push_str(itoa::Buffer::new().format(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.begin(field)
            .push_str(if value { "true" } else { "false" });
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        let Ok(seconds) = Duration::try_from_secs_f64(value) else {
            return self.formatted(field, format_args!("{value:?}"));
        };
        let line = self.begin(field);
        line.push_str(itoa::Buffer::new().format(seconds.as_secs()));
        line.push('.');
        push_millionths(line, seconds.subsec_micros());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.formatted(field, format_args!("{value:?}"));
    }
}

/// What others wrote must not begin a line of its own or colour a terminal.
struct Escaping<'l>(&'l mut String);

impl fmt::Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for piece in text.split_inclusive(char::is_control) {
            match piece
                .char_indices()
                .next_back()
                .filter(|(_, last)| last.is_control())
            {
                Some((at, last)) => {
                    self.0.push_str(piece.get(..at).unwrap_or_default());
                    write!(self.0, "\\x{:02x}", u32::from(last))?;
                }
                None => self.0.push_str(piece),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn some_events() {
        let nothing: Option<&str> = None;
        let error = io::Error::other("no room");
        tracing::info!(
            client = "127.0.0.2",
            host = %"example.com",
            quoted = "a \"b\" \\ c",
            control = "x\ty\u{1b}",
            status = 200_u16,
            less = -3,
            is_so = true,
            why = nothing,
            "request"
        );
        tracing::warn!(%error, list = ?[1, 2], "cannot {}", "format");
        tracing::error!("alone");
        tracing::debug!(big = u64::MAX, "small");
    }

    /// What the events are as text, without the time.
    fn written(is_ours: bool) -> Vec<String> {
        let lines = Lines::default();
        let out = lines.clone();
        let builder = tracing_subscriber::fmt()
            .with_max_level(Level::TRACE)
            .with_target(false)
            .with_ansi(false)
            .with_writer(move || out.clone());
        if is_ours {
            tracing::subscriber::with_default(builder.event_format(Text).finish(), some_events);
        } else {
            tracing::subscriber::with_default(builder.finish(), some_events);
        }
        let bytes = lines.0.lock().unwrap();
        let text = String::from_utf8(bytes.clone()).unwrap();
        text.lines()
            .map(|line| {
                let (time, rest) = line.split_once('Z').unwrap();
                assert_eq!(time.len(), "2026-11-28T19:32:13.123456".len(), "{line}");
                rest.to_owned()
            })
            .collect()
    }

    #[test]
    fn lines_are_those_of_the_library() {
        let (ours, theirs) = (written(true), written(false));
        assert_eq!(ours.len(), 4);
        assert_eq!(ours, theirs);
    }

    #[test]
    fn no_text_of_others_begins_a_line() {
        let mut line = String::new();
        write!(Escaping(&mut line), "a\r\nb\n").unwrap();
        assert_eq!(line, "a\\x0d\\x0ab\\x0a");
    }

    #[test]
    fn seconds_have_six_digits() {
        let lines = Lines::default();
        let out = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .event_format(Text)
            .with_writer(move || out.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            for seconds in [0.0, 0.000_123_456, 12.5, f64::INFINITY] {
                tracing::info!(seconds, "took");
            }
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let seconds: Vec<_> = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(_, value)| value)
            .collect();
        assert_eq!(seconds, ["0.000000", "0.000123", "12.500000", "inf"]);
    }
}
