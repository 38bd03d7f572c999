//! The kernel's table of connections (conntrack, where there is a firewall or Docker). It remembers closed ones for two minutes,
//! and when it is full, packets are dropped: that looks like a proxy that hangs, and is none.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use crate::clock;

const POLL: Duration = Duration::from_secs(1);
/// Longer than a closed connection is remembered.
const WAIT_MAX: Duration = Duration::from_secs(150);
/// What other programs may open meanwhile.
const SPARE: u64 = 10_000;

/// Waits until so many connections fit in. Says if they do not.
pub(in crate::compare) fn wait_for(connections: u64) -> Result<(), &'static str> {
    let (Some(max), Some(_)) = (read("max"), read("count")) else {
        // There is no such table.
        return Ok(());
    };
    let since = clock::now();
    while !fits(read("count").unwrap_or_default(), connections, max) {
        if since.elapsed() > WAIT_MAX {
            return Err("the kernel's connection table (nf_conntrack_max) has no room");
        }
        sleep(POLL);
    }
    Ok(())
}

fn fits(count: u64, connections: u64, max: u64) -> bool {
    count + connections + SPARE <= max
}

fn read(what: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/sys/net/netfilter/nf_conntrack_{what}")).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_fit_while_there_is_room_for_others_too() {
        assert!(fits(200_000, 40_000, 262_144));
        assert!(!fits(220_000, 40_000, 262_144));
    }
}
