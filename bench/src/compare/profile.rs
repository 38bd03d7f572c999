//! Where the CPU of an exchange goes: which system calls, how much of it in the kernel, and in which functions.
//!
//! perf looks from outside: it counts system calls where the kernel begins them, which slows a proxy far less than stopping it
//! at each, and samples by the clock, as virtual machines often have no other counter.

mod perf;

use std::path::Path;
use std::process::Command;

use serde::Serialize;

use super::rows::Scenario;
use crate::watch::Watch;
use perf::{ANY_CALL, CALL, Perf};

/// What is looked at when nobody says what.
pub(super) const UNASKED: [Scenario; 3] = [Scenario::Http, Scenario::WsSmall, Scenario::WsLarge];
const PLACES_SHOWN: usize = 12;
/// Fewer than this of an exchange are of something else.
const CALLS_MIN: f64 = 0.005;

#[derive(Debug, Serialize)]
pub struct Profiles {
    pub(super) command: String,
    pub(super) notes: Vec<String>,
    pub(super) seen: Vec<Profile>,
}

/// One program under one load.
#[derive(Debug, Serialize)]
pub(super) struct Profile {
    scenario: &'static str,
    who: &'static str,
    exchanges_per_second: f64,
    cpu_us_per_exchange: f64,
    kernel_share: f64,
    /// Per exchange, the most frequent first.
    calls: Vec<Call>,
    /// The greatest first.
    places: Vec<Place>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Call {
    name: String,
    per_exchange: f64,
}

/// A function, and its part of all samples.
#[derive(Debug, PartialEq, Serialize)]
struct Place {
    percent: f64,
    program: String,
    function: String,
}

/// How often each system call was made for one exchange, from what a counting perf said.
fn calls(said: &str, exchanges: u64) -> anyhow::Result<Vec<Call>> {
    let calls = said.lines().filter_map(count);
    let calls = calls.map(|(name, count)| Call {
        name,
        per_exchange: count / exchanges.max(1) as f64,
    });
    let mut calls: Vec<Call> = calls
        .filter(|call| call.per_exchange >= CALLS_MIN)
        .collect();
    anyhow::ensure!(!calls.is_empty(), "perf: {}", first_line(said));
    calls.sort_by(|one, other| other.per_exchange.total_cmp(&one.per_exchange));
    let any = said.lines().filter_map(any_count).sum::<f64>() / exchanges.max(1) as f64;
    let others = any - calls.iter().map(|call| call.per_exchange).sum::<f64>();
    if others >= CALLS_MIN {
        calls.push(Call {
            name: "others".to_owned(),
            per_exchange: others,
        });
    }
    Ok(calls)
}

/// The functions in which samples fell, from the file of a sampling perf.
fn places(file: &Path) -> anyhow::Result<Vec<Place>> {
    let report = Command::new("perf")
        .args(["report", "--stdio", "-t", ";", "-s", "dso,symbol", "-i"])
        .arg(file)
        .output()?;
    let said = String::from_utf8_lossy(&report.stdout);
    let mut places: Vec<Place> = said.lines().filter_map(place).collect();
    let why = String::from_utf8_lossy(&report.stderr);
    anyhow::ensure!(!places.is_empty(), "perf report: {}", first_line(&why));
    places.sort_by(|one, other| other.percent.total_cmp(&one.percent));
    Ok(places)
}

fn first_line(text: &str) -> &str {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.next().unwrap_or("it said nothing")
}

/// Of `perf stat -x ;`: count, unit, event, … Those that never came say `<not counted>`.
fn count(line: &str) -> Option<(String, f64)> {
    let (event, count) = event(line)?;
    Some((event.strip_prefix(CALL)?.to_owned(), count))
}

fn any_count(line: &str) -> Option<f64> {
    let (event, count) = event(line)?;
    (event == ANY_CALL).then_some(count)
}

fn event(line: &str) -> Option<(&str, f64)> {
    let mut fields = line.split(';');
    let count = fields.next()?.parse().ok()?;
    Some((fields.nth(1)?, count))
}

/// Of `perf report -t ;`: share, program, function with a mark of whose it is.
fn place(line: &str) -> Option<Place> {
    let mut fields = line.split(';').map(str::trim);
    let percent = fields.next()?.trim_end_matches('%').parse().ok()?;
    let program = fields.next()?.trim_matches(['[', ']']);
    let program = program.strip_suffix(".kallsyms").unwrap_or(program);
    let function = fields.next()?.split_once(' ')?.1.trim();
    Some(Place {
        percent,
        program: program.to_owned(),
        function: function.to_owned(),
    })
}

/// What a load was.
pub(super) struct Load {
    pub(super) exchanges: u64,
    pub(super) per_second: f64,
    pub(super) cpu_us_per_exchange: f64,
}

/// Runs the load once for each way of looking. The notes say what could not be seen.
pub(super) fn look(
    (scenario, who): (&'static str, &'static str),
    watch: &Watch,
    file: &Path,
    mut load: impl FnMut() -> anyhow::Result<Load>,
) -> anyhow::Result<(Profile, Vec<String>)> {
    let before = watch.ticks()?;
    let perf = Perf::counting(watch)?;
    let loaded = load()?;
    let said = perf.stop()?;
    let after = watch.ticks()?;
    let perf = Perf::sampling(watch, file)?;
    load()?;
    perf.stop()?;
    let user = after.0.saturating_sub(before.0);
    let kernel = after.1.saturating_sub(before.1);
    let mut notes = Vec::new();
    let calls = calls(&said, loaded.exchanges).unwrap_or_else(|reason| {
        notes.push(format!("system calls were not counted: {reason:#}"));
        Vec::new()
    });
    let places = places(file).unwrap_or_else(|reason| {
        notes.push(format!("nothing was sampled: {reason:#}"));
        Vec::new()
    });
    let profile = Profile {
        scenario,
        who,
        exchanges_per_second: loaded.per_second,
        cpu_us_per_exchange: loaded.cpu_us_per_exchange,
        kernel_share: kernel as f64 / (user + kernel).max(1) as f64,
        calls,
        places,
    };
    Ok((profile, notes))
}

impl Profile {
    /// All but the functions.
    pub(super) fn line(&self) -> String {
        let kernel = self.cpu_us_per_exchange * self.kernel_share;
        let calls: f64 = self.calls.iter().map(|call| call.per_exchange).sum();
        let named = self.calls.iter();
        let named = named.map(|call| format!("{} {:.2}", call.name, call.per_exchange));
        format!(
            "{:<9} {:<8} {:>6.1} µs, of these {:>6.1} in the kernel ({:.0} %); {calls:.2} system calls: {}",
            self.scenario,
            self.who,
            self.cpu_us_per_exchange,
            kernel,
            self.kernel_share * 100.0,
            named.collect::<Vec<_>>().join(", ")
        )
    }

    fn functions(&self) -> String {
        let mut programs: Vec<(&str, f64)> = Vec::new();
        for place in &self.places {
            match programs.iter_mut().find(|(name, _)| *name == place.program) {
                Some((_, percent)) => *percent += place.percent,
                None => programs.push((&place.program, place.percent)),
            }
        }
        programs.sort_by(|one, other| other.1.total_cmp(&one.1));
        let programs = programs.into_iter().filter(|(_, percent)| *percent >= 0.5);
        let programs: Vec<String> = programs
            .map(|(name, percent)| format!("{name} {percent:.0} %"))
            .collect();
        let mut text = format!("  {}\n", programs.join(", "));
        for place in self.places.iter().take(PLACES_SHOWN) {
            let Place {
                percent,
                program,
                function,
            } = place;
            text += &format!("  {percent:>6.2} %  {program:<18} {function}\n");
        }
        text
    }
}

impl Profiles {
    #[must_use]
    pub fn to_json(&self) -> String {
        // Numbers and texts always have a form in JSON.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::from("Per exchange, saturated:\n");
        for profile in &self.seen {
            text += &profile.line();
            text.push('\n');
        }
        for profile in self
            .seen
            .iter()
            .filter(|profile| !profile.places.is_empty())
        {
            text += &format!("\n{} {}\n", profile.scenario, profile.who);
            text += &profile.functions();
        }
        for note in &self.notes {
            text += &format!("note: {note}\n");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn perfs_lines_are_understood() {
        let line = "30012;;syscalls:sys_enter_recvfrom;1500000;100.00;;";
        assert_eq!(count(line), Some(("recvfrom".to_owned(), 30_012.0)));
        assert_eq!(
            count("<not counted>;;syscalls:sys_enter_iopl;0;100.00;;"),
            None
        );
        let line = "7;;raw_syscalls:sys_enter;1500000;100.00;;";
        assert_eq!((count(line), any_count(line)), (None, Some(7.0)));
        let line = "    12.34%;[kernel.kallsyms]  ;[k] tcp_sendmsg";
        assert_eq!(
            place(line),
            Some(Place {
                percent: 12.34,
                program: "kernel".to_owned(),
                function: "tcp_sendmsg".to_owned(),
            })
        );
        assert_eq!(place("# Overhead;Shared Object;Symbol"), None);
    }
}
