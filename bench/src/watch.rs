//! What processes cost, read from `/proc`: CPU time in nanoseconds and memory that is theirs. Each with all its descendants, because
//! nginx works in children.

use std::fs;
use std::io;
use std::path::PathBuf;

/// Processes to be watched, with their children.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    roots: Vec<u32>,
}

impl Watch {
    #[must_use]
    pub fn new(roots: Vec<u32>) -> Self {
        Self { roots }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.roots.is_empty()
    }

    /// The run time of all threads so far. A thread that ended is no longer counted, so let none end in between.
    ///
    /// # Errors
    /// When a process is gone.
    pub fn cpu_ns(&self) -> io::Result<u64> {
        let mut sum = 0;
        for pid in self.processes()? {
            for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
                let path = thread?.path().join("schedstat");
                sum += read(path, run_time_ns)?;
            }
        }
        Ok(sum)
    }

    /// Proportional set size: pages that processes share are counted once.
    ///
    /// # Errors
    /// When a process is gone, or belongs to somebody else.
    pub fn pss_bytes(&self) -> io::Result<u64> {
        let mut sum = 0;
        for pid in self.processes()? {
            sum += read(format!("/proc/{pid}/smaps_rollup").into(), pss_bytes)?;
        }
        Ok(sum)
    }

    /// Ticks in the programs themselves and in the kernel for them, so far. Coarse, but these two come apart nowhere else.
    ///
    /// # Errors
    /// When a process is gone.
    pub fn ticks(&self) -> io::Result<(u64, u64)> {
        let mut sum = (0, 0);
        for pid in self.processes()? {
            let (user, kernel) = read(format!("/proc/{pid}/stat").into(), ticks)?;
            sum = (sum.0 + user, sum.1 + kernel);
        }
        Ok(sum)
    }

    /// Those that are watched, with all their descendants.
    ///
    /// # Errors
    /// When a process is gone.
    pub fn processes(&self) -> io::Result<Vec<u32>> {
        let mut all = self.roots.clone();
        let mut next = 0;
        while let Some(pid) = all.get(next).copied() {
            next += 1;
            for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
                let children = fs::read_to_string(thread?.path().join("children"))?;
                all.extend(
                    children
                        .split_whitespace()
                        .filter_map(|word| word.parse::<u32>().ok()),
                );
            }
        }
        Ok(all)
    }
}

fn read<T>(path: PathBuf, parse: fn(&str) -> Option<T>) -> io::Result<T> {
    let text = fs::read_to_string(&path)?;
    let unknown = || io::Error::other(format!("{} has another format", path.display()));
    parse(&text).ok_or_else(unknown)
}

/// The run time of this thread so far.
///
/// # Errors
/// When the kernel does not keep it.
pub fn this_thread_cpu_ns() -> io::Result<u64> {
    read("/proc/thread-self/schedstat".into(), run_time_ns)
}

/// Of a `schedstat`: time on a processor, time waiting for one, times run.
fn run_time_ns(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

/// Of a `stat`, whose second field is a name in which anything may stand: `utime` and `stime`, the 14th and 15th.
fn ticks(text: &str) -> Option<(u64, u64)> {
    let (_, fields) = text.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

fn pss_bytes(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lines_are_understood() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 10 0 0 0 123 456 0 0 20 0";
        assert_eq!(ticks(stat), Some((123, 456)));
        assert_eq!(run_time_ns("1234567 89 10\n"), Some(1_234_567));
        let rollup = "00400000-7ffc [rollup]\nRss:     900 kB\nPss:     512 kB\nPss_Dirty: 1 kB\n";
        assert_eq!(pss_bytes(rollup), Some(512 * 1024));
        assert_eq!(pss_bytes("Rss: 1 kB\n"), None);
    }

    #[test]
    fn this_process_uses_time_and_memory() {
        let watch = Watch::new(vec![std::process::id()]);
        assert!(watch.cpu_ns().unwrap() > 0);
        assert!(watch.pss_bytes().unwrap() > 0);
    }
}
