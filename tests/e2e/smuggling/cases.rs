//! What is sent: by topic, with what shall come of it.

mod connections;
mod framing;
mod heads;

/// What shall come of a case: so many requests pass and are answered by the server, and then
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// nothing more is said.
    Passed(usize),
    /// the next one is refused with a status.
    Refused(usize),
    /// the connection ends, with or without a refusal.
    Ends(usize),
}

#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) want: Want,
    /// Characters stand for single bytes, `~` for the number of the case.
    text: String,
    /// Why it passes although nginx and HAProxy both refuse it.
    pub(super) why: &'static str,
}

impl Case {
    pub(super) fn bytes(&self, number: usize) -> Vec<u8> {
        let text = self.text.replace('~', &number.to_string());
        text.chars()
            .map(|byte| u8::try_from(byte).expect("a byte"))
            .collect()
    }
}

pub(super) fn all() -> Vec<Case> {
    let mut all = framing::all();
    all.extend(heads::all());
    all.extend(connections::all());
    all
}

/// The request that must never reach anybody: it stands where no request begins.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";
/// A request like any other.
const NEXT: &str = "GET /~/b HTTP/1.1\r\nHost: h\r\n\r\n";

fn case(name: impl Into<String>, want: Want, text: impl Into<String>) -> Case {
    Case {
        name: name.into(),
        want,
        text: text.into(),
        why: "",
    }
}

/// Control bytes in the name of a case would be invisible.
fn shown(what: &str) -> String {
    let shown = what.escape_debug().to_string().replace("\\u", "");
    if shown.len() > 40 {
        format!("{}...", shown.chars().take(37).collect::<String>())
    } else {
        shown
    }
}

fn post(fields: &str, body: &str) -> String {
    format!("POST /~/a HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n{body}")
}
