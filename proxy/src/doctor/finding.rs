//! What an examination says: findings, and how they are written for people and for programs.

use std::fmt;

use serde::Serialize;

/// The width of what people read.
const COLUMNS: usize = 100;

/// Good news first, so that sorting puts what must be read last on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Ok,
    Unknown,
    Warning,
    Problem,
}

/// One check and what it came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Names the check; programs may rely on it.
    pub id: &'static str,
    pub verdict: Verdict,
    /// The observation.
    pub seen: String,
    /// What follows for users. Absent where all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub means: Option<String>,
    /// The remedy, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<String>,
}

impl Finding {
    fn new(id: &'static str, verdict: Verdict, seen: impl Into<String>) -> Self {
        Self {
            id,
            verdict,
            seen: seen.into(),
            means: None,
            change: None,
        }
    }

    #[must_use]
    pub fn ok(id: &'static str, seen: impl Into<String>) -> Self {
        Self::new(id, Verdict::Ok, seen)
    }

    #[must_use]
    pub fn unknown(id: &'static str, seen: impl Into<String>) -> Self {
        Self::new(id, Verdict::Unknown, seen)
    }

    #[must_use]
    pub fn warning(id: &'static str, seen: impl Into<String>) -> Self {
        Self::new(id, Verdict::Warning, seen)
    }

    #[must_use]
    pub fn problem(id: &'static str, seen: impl Into<String>) -> Self {
        Self::new(id, Verdict::Problem, seen)
    }

    #[must_use]
    pub fn means(mut self, text: impl Into<String>) -> Self {
        self.means = Some(text.into());
        self
    }

    #[must_use]
    pub fn change(mut self, text: impl Into<String>) -> Self {
        self.change = Some(text.into());
        self
    }
}

/// All of it. As JSON this is the answer to `--json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    pub url: String,
    pub problems: usize,
    pub warnings: usize,
    /// Problems last.
    pub findings: Vec<Finding>,
}

impl Report {
    #[must_use]
    pub fn new(url: String, mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| finding.verdict);
        let count = |verdict| {
            let of_it = findings.iter().filter(|finding| finding.verdict == verdict);
            of_it.count()
        };
        Self {
            url,
            problems: count(Verdict::Problem),
            warnings: count(Verdict::Warning),
            findings,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Warning => "WARNING",
            Self::Problem => "PROBLEM",
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", self.url)?;
        let widest = self.findings.iter().map(|finding| finding.id.len()).max();
        let width = widest.unwrap_or_default();
        let margin = 7 + 2 + width + 2;
        let mut is_first = true;
        for finding in &self.findings {
            if is_first || finding.verdict >= Verdict::Warning {
                writeln!(formatter)?;
            }
            is_first = false;
            write!(
                formatter,
                "{:<7}  {:<width$}  ",
                finding.verdict, finding.id
            )?;
            paragraph(formatter, margin, &finding.seen)?;
            for text in [
                finding.means.clone(),
                finding.change.as_ref().map(|text| format!("→ {text}")),
            ]
            .iter()
            .flatten()
            {
                write!(formatter, "{:margin$}", "")?;
                paragraph(formatter, margin, text)?;
            }
        }
        let of = |count: usize, what: &str| match count {
            1 => format!("1 {what}"),
            count => format!("{count} {what}s"),
        };
        writeln!(
            formatter,
            "\n{}, {}",
            of(self.problems, "problem"),
            of(self.warnings, "warning")
        )
    }
}

/// Words in lines that a terminal shows whole. The cursor stands at the margin.
fn paragraph(formatter: &mut fmt::Formatter<'_>, margin: usize, text: &str) -> fmt::Result {
    let room = COLUMNS.saturating_sub(margin);
    let mut used = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > room {
            write!(formatter, "\n{:margin$}", "")?;
            used = 0;
        } else if used > 0 {
            formatter.write_str(" ")?;
            used += 1;
        }
        formatter.write_str(word)?;
        used += length;
    }
    writeln!(formatter)
}

#[cfg(test)]
mod tests {
    use super::{Finding, Report};

    fn report() -> Report {
        let findings = vec![
            Finding::problem("upgrade", "400")
                .means("Users stay on polling.")
                .change("Pass Upgrade on."),
            Finding::ok("address", "127.0.0.1:80 accepts"),
        ];
        Report::new("http://a.b/socket.io/".to_owned(), findings)
    }

    #[test]
    fn people_read_problems_last() {
        let expected = "http://a.b/socket.io/

ok       address  127.0.0.1:80 accepts

PROBLEM  upgrade  400
                  Users stay on polling.
                  → Pass Upgrade on.

1 problem, 0 warnings
";
        assert_eq!(report().to_string(), expected);
    }

    #[test]
    fn programs_read_stable_names() {
        let expected = serde_json::json!({
            "url": "http://a.b/socket.io/", "problems": 1, "warnings": 0,
            "findings": [
                { "id": "address", "verdict": "ok", "seen": "127.0.0.1:80 accepts" },
                { "id": "upgrade", "verdict": "problem", "seen": "400",
                  "means": "Users stay on polling.", "change": "Pass Upgrade on." },
            ],
        });
        assert_eq!(serde_json::to_value(report()).unwrap(), expected);
    }
}
