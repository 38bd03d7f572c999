//! Free ports that two tests never share, also when each runs in its own process.
//!
//! Below 32768, where Linux hands out no ephemeral ports, so that nothing grabs one between choosing and listening.

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};

const FIRST: u16 = 10_000;
const COUNT: u16 = 22_000;

/// A port that is ours until this is dropped, whether or not somebody listens on it.
pub struct Port {
    number: u16,
    /// The lock goes with the file, also when the process is killed.
    _lock: File,
}

impl Port {
    /// # Panics
    /// When no port is free.
    #[must_use]
    pub fn reserve() -> Self {
        let directory =
            std::env::temp_dir().join(format!("berth-test-ports-{}", nix::unistd::getuid()));
        fs::create_dir_all(&directory).expect("a folder for port locks");
        let start = RandomState::new().hash_one(std::process::id());
        for step in 0..u64::from(COUNT) {
            let offset = start.wrapping_add(step) % u64::from(COUNT);
            let number = FIRST + u16::try_from(offset).expect("below COUNT");
            let lock = File::create(directory.join(number.to_string())).expect("a port lock");
            if lock.try_lock().is_ok() && is_free(number) {
                return Self {
                    number,
                    _lock: lock,
                };
            }
        }
        panic!("no free port between {FIRST} and {}", FIRST + COUNT);
    }

    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }

    /// `127.0.0.1:PORT`
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.number)
    }
}

fn is_free(number: u16) -> bool {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, number)).is_ok()
}
