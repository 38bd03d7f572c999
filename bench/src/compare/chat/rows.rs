//! What is measured of chat servers, and the goals.

use super::super::judge::{Goal, Row, cost, gain};

/// 2.5 times the deliveries per CPU-second.
const GOAL_CPU: &[Goal] = &[Goal::Share("node", 0.40)];
const GOAL_P99: &[Goal] = &[Goal::Share("node", 0.50)];

pub(super) static ROWS: [Row; 32] = [
    cost(
        "one",
        "hall-cpu",
        "CPU per delivery, 1 × 200, saturated",
        "µs",
        GOAL_CPU,
    ),
    gain("one", "hall-rate", "… deliveries per CPU-second"),
    cost(
        "one",
        "groups-cpu",
        "CPU per delivery, 50 × 20, saturated",
        "µs",
        GOAL_CPU,
    ),
    gain("one", "groups-rate", "… deliveries per CPU-second"),
    cost(
        "stored",
        "stored-hall-cpu",
        "CPU per delivery, 1 × 200, kept in SQLite",
        "µs",
        &[],
    ),
    cost(
        "stored",
        "stored-groups-cpu",
        "CPU per delivery, 50 × 20, kept in SQLite",
        "µs",
        &[],
    ),
    cost(
        "two",
        "two-hall-cpu",
        "CPU per delivery, 1 × 200, two servers",
        "µs",
        GOAL_CPU,
    ),
    gain("two", "two-hall-rate", "… deliveries per CPU-second"),
    cost(
        "two",
        "two-groups-cpu",
        "CPU per delivery, 50 × 20, two servers",
        "µs",
        GOAL_CPU,
    ),
    gain("two", "two-groups-rate", "… deliveries per CPU-second"),
    cost(
        "paced",
        "paced-hall-cpu",
        "CPU per delivery, 1 × 200, 20 messages/s",
        "µs",
        &[],
    ),
    cost("paced", "paced-hall-p50", "… p50", "ms", &[]),
    cost("paced", "paced-hall-p99", "… p99", "ms", GOAL_P99),
    cost(
        "paced",
        "paced-groups-cpu",
        "CPU per delivery, 50 × 20, 200 messages/s",
        "µs",
        &[],
    ),
    cost("paced", "paced-groups-p50", "… p50", "ms", &[]),
    cost("paced", "paced-groups-p99", "… p99", "ms", GOAL_P99),
    cost(
        "paced-two",
        "paced-two-hall-cpu",
        "CPU per delivery, 1 × 200, 20/s, two servers",
        "µs",
        &[],
    ),
    cost("paced-two", "paced-two-hall-p99", "… p99", "ms", GOAL_P99),
    cost(
        "paced-two",
        "paced-two-groups-cpu",
        "CPU per delivery, 50 × 20, 200/s, two servers",
        "µs",
        &[],
    ),
    cost("paced-two", "paced-two-groups-p99", "… p99", "ms", GOAL_P99),
    cost(
        "acks",
        "acks-cpu",
        "CPU per message, 2000/s, no store",
        "µs",
        &[],
    ),
    cost("acks", "acks-p50", "… ack p50", "ms", &[]),
    cost("acks", "acks-p99", "… ack p99", "ms", &[]),
    cost(
        "acks",
        "acks-sqlite-cpu",
        "CPU per message, 2000/s, SQLite",
        "µs",
        &[],
    ),
    cost("acks", "acks-sqlite-p50", "… ack p50", "ms", &[]),
    cost(
        "acks",
        "acks-sqlite-p99",
        "… ack p99",
        "ms",
        &[Goal::AtMost(25.0)],
    ),
    cost(
        "acks",
        "acks-mongodb-cpu",
        "CPU per message, 2000/s, MongoDB",
        "µs",
        &[],
    ),
    cost("acks", "acks-mongodb-p50", "… ack p50", "ms", &[]),
    cost("acks", "acks-mongodb-p99", "… ack p99", "ms", &[]),
    cost(
        "idle",
        "idle-memory",
        "memory per idle joined socket",
        "KiB",
        &[Goal::AtMost(17.0)],
    ),
    cost(
        "idle",
        "idle-kept",
        "… kept by the process after all closed",
        "MiB",
        &[],
    ),
    cost(
        "idle",
        "idle-setup-cpu",
        "CPU per socket connected and joined",
        "µs",
        &[],
    ),
];

#[cfg(test)]
mod tests {
    use super::super::cases::Scenario;
    use super::*;

    #[test]
    fn every_row_but_the_idle_ones_is_measured_by_somebody() {
        for scenario in Scenario::ALL {
            let cases = scenario.cases();
            let runs = cases.iter().flat_map(|case| case.runs);
            let measured: Vec<&str> = runs.flat_map(|run| run.rows).map(|row| row.0).collect();
            let rows = ROWS.iter().filter(|row| row.group == scenario.name());
            let rows: Vec<&str> = rows.map(|row| row.id).collect();
            assert!(!rows.is_empty(), "{} has no rows", scenario.name());
            for id in &measured {
                assert!(rows.contains(id), "{id} is not in the table");
            }
            if scenario != Scenario::Idle {
                for id in rows {
                    assert!(measured.contains(&id), "nobody measures {id}");
                }
            }
        }
    }

    #[test]
    fn names_are_said_once() {
        let mut names: Vec<&str> = ROWS.iter().map(|row| row.id).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ROWS.len());
    }
}
