//! The words on the command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::rows::{ROWS, Row};
use crate::run::Options;
use crate::site::Pair;

/// Drives clients through the real programs while something goes wrong, and checks that acked means kept.
#[derive(Debug, Parser)]
#[command(name = "chatcheck")]
pub(crate) struct Cli {
    /// The short rows, a few minutes (the default)
    #[arg(long, conflicts_with = "long")]
    short: bool,

    /// All rows at full length
    #[arg(long)]
    long: bool,

    /// Only this row; may be given several times
    #[arg(long, value_name = "ROW", value_parser = row_names())]
    only: Vec<String>,

    /// Only this pair of store and bus; may be given several times
    #[arg(long, value_name = "PAIR")]
    pair: Vec<PairName>,

    /// Where all dice start
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Instead of the row's own number of clients
    #[arg(long, value_name = "COUNT")]
    clients: Option<usize>,

    /// Where histories are written; those of broken rows stay
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Write the figures there as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Run nothing: judge this history
    #[arg(long, value_name = "FILE")]
    judge: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PairName {
    #[value(name = "mongodb+redis")]
    MongoRedis,
    #[value(name = "sqlite+hub")]
    SqliteHub,
    #[value(name = "sqlite+redis")]
    SqliteRedis,
    #[value(name = "sqlite")]
    SqliteAlone,
}

impl From<PairName> for Pair {
    fn from(name: PairName) -> Self {
        match name {
            PairName::MongoRedis => Self::MongoRedis,
            PairName::SqliteHub => Self::SqliteHub,
            PairName::SqliteRedis => Self::SqliteRedis,
            PairName::SqliteAlone => Self::SqliteAlone,
        }
    }
}

/// What to do.
pub(crate) enum Task {
    Judge(PathBuf),
    Run {
        plan: Vec<(Pair, Vec<Row>)>,
        options: Options,
        json: Option<PathBuf>,
    },
}

fn row_names() -> Vec<&'static str> {
    ROWS.iter().map(|row| row.name).collect()
}

impl Cli {
    pub(crate) fn into_task(self) -> Task {
        if let Some(path) = self.judge {
            return Task::Judge(path);
        }
        let pairs: Vec<Pair> = match (self.pair.is_empty(), self.long) {
            (false, _) => self.pair.iter().map(|pair| Pair::from(*pair)).collect(),
            (true, true) => Pair::ALL.to_vec(),
            (true, false) => vec![Pair::MongoRedis, Pair::SqliteHub],
        };
        let is_wanted = |row: &&Row, pair: Pair| {
            let is_named = self.only.is_empty() || self.only.iter().any(|name| name == row.name);
            is_named && row.size(self.long).is_some() && row.suits(pair)
        };
        let plan = pairs.into_iter().map(|pair| {
            let rows = ROWS.iter().filter(|row| is_wanted(row, pair)).copied();
            (pair, rows.collect())
        });
        Task::Run {
            plan: plan.collect(),
            options: Options {
                seed: self.seed,
                is_long: self.long,
                clients: self.clients,
                folder: self
                    .out
                    .unwrap_or_else(|| std::env::temp_dir().join("chatcheck")),
            },
            json: self.json,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(words: &str) -> Vec<(Pair, Vec<Row>)> {
        match Cli::try_parse_from(words.split(' ')).unwrap().into_task() {
            Task::Run { plan, .. } => plan,
            Task::Judge(_) => panic!("a run was asked for"),
        }
    }

    #[test]
    fn the_short_run_has_both_pairs_and_only_short_rows() {
        let plan = plan("chatcheck --short");
        let pairs: Vec<Pair> = plan.iter().map(|(pair, _)| *pair).collect();
        assert_eq!(pairs, [Pair::MongoRedis, Pair::SqliteHub]);
        for (pair, rows) in plan {
            assert!(rows.len() >= 5, "{pair:?} has {} rows", rows.len());
            assert!(rows.iter().all(|row| row.name != "flaky-10k"));
        }
    }

    #[test]
    fn a_row_of_one_pair_is_found_by_name() {
        let plan = plan("chatcheck --long --only flaky-10k --pair sqlite+hub");
        assert_eq!(plan.len(), 1);
        assert_eq!(plan[0].1.len(), 1);
        assert_eq!(plan[0].1[0].name, "flaky-10k");
        assert!(Cli::try_parse_from(["chatcheck", "--only", "nothing"]).is_err());
    }
}
