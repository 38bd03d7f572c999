//! Where and with what the numbers were made.

use std::fs;
use std::process::Command;

use super::results::Machine;

/// The programs are asked for their versions.
pub(super) fn facts(
    programs: impl Iterator<Item = (&'static str, Command)>,
) -> anyhow::Result<Machine> {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo")?;
    let meminfo = fs::read_to_string("/proc/meminfo")?;
    let loadavg = fs::read_to_string("/proc/loadavg")?;
    let versions = programs.filter_map(|(name, mut question)| {
        let output = question.output().ok()?;
        // nginx says it on stderr.
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said)
            .trim()
            .lines()
            .next()?
            .to_owned();
        Some((name, said))
    });
    Ok(Machine {
        processor: after(&cpuinfo, "model name")
            .unwrap_or("unknown")
            .to_owned(),
        processors: std::thread::available_parallelism()?.get(),
        memory_gib: memory_gib(&meminfo).unwrap_or_default(),
        kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?
            .trim()
            .to_owned(),
        load_before: loadavg
            .split(' ')
            .next()
            .unwrap_or_default()
            .parse()
            .unwrap_or_default(),
        revision: revision().unwrap_or_default(),
        versions: versions.collect(),
    })
}

/// The value of a `name : value` line.
fn after<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_once(':').map(|(_, value)| value.trim())
}

fn memory_gib(meminfo: &str) -> Option<f64> {
    let kib: f64 = after(meminfo, "MemTotal")?
        .strip_suffix(" kB")?
        .parse()
        .ok()?;
    Some((kib / 1024.0 / 1024.0 * 10.0).round() / 10.0)
}

/// With a mark if the sources were changed since.
fn revision() -> Option<String> {
    let output = Command::new("git")
        .args(["describe", "--always", "--dirty"])
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lines_are_understood() {
        assert_eq!(
            after("vendor : A\nmodel name\t: EPYC 9000\n", "model name"),
            Some("EPYC 9000")
        );
        assert_eq!(memory_gib("MemTotal:       16777216 kB\n"), Some(16.0));
    }
}
