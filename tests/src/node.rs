//! Scenarios in `tests/js`, which speak with the official clients. Each prints JSON lines and obeys words on its input.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::environment::repository;
use crate::eventually::eventually;
use crate::process::Program;

/// A running scenario.
pub struct Script {
    name: String,
    program: Program,
}

impl Script {
    /// # Panics
    /// When Node or the packages of `tests/js` are missing.
    #[must_use]
    pub fn start(name: &str, options: &Value) -> Self {
        let folder = repository().join("tests/js");
        assert!(
            folder.join("node_modules/socket.io-client").is_dir(),
            "the official clients are missing; run `npm ci` in tests/js (./ci.sh does)"
        );
        let mut command = Command::new("node");
        command.arg(folder.join(name)).arg(options.to_string());
        Self {
            name: name.to_owned(),
            program: Program::start(name, command),
        }
    }

    /// Runs a scenario to its end; answers the last thing it said.
    ///
    /// # Panics
    /// When it fails or does not end in time.
    pub async fn run(name: &str, options: &Value, deadline: Duration) -> Value {
        Self::start(name, options).finish(deadline).await
    }

    pub fn tell(&mut self, word: &str) {
        self.program.tell(word);
    }

    /// All it has said so far under this name (`{"event": NAME, …}`).
    #[must_use]
    pub fn said(&self, event: &str) -> Vec<Value> {
        let mut said = spoken(&self.program);
        said.retain(|line| line["event"] == event);
        said
    }

    /// Waits until it says something under this name for the `count`th time.
    ///
    /// # Panics
    /// When it does not in time, or ends.
    pub async fn says(&mut self, event: &str, count: usize, deadline: Duration) -> Value {
        let what = format!("{} says {event:?} {count} times", self.name);
        eventually(&what, deadline, async || {
            let said = self.said(event);
            assert!(
                said.len() >= count || self.program.is_running(),
                "{what}: it ended"
            );
            said.get(count - 1).cloned()
        })
        .await
    }

    /// Waits for its end, which must be a success; answers the last thing it said.
    ///
    /// # Panics
    /// When it fails or does not end in time.
    pub async fn finish(&mut self, deadline: Duration) -> Value {
        let status = self.program.ended(deadline).await;
        assert!(status.success(), "{} failed: {status}", self.name);
        let last = spoken(&self.program).pop();
        last.unwrap_or(Value::Null)
    }
}

fn spoken(program: &Program) -> Vec<Value> {
    let log = program.log();
    let lines = log.iter().filter(|line| line.starts_with('{'));
    lines
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}
