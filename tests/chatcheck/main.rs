//! `chatcheck`: proves that acked means kept.
//!
//! It starts the real programs, lets many clients talk through the proxy while something goes wrong, writes down everything that goes
//! over the wire, and afterwards judges the history: see `judge`. A row is one fault on one pair of store and bus: see `rows`.
//! Ends with 1 when a promise was broken, with 2 when a row could not be run.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a program for the terminal of whoever tests; what goes wrong in its harness ends the row"
)]

mod cli;
mod client;
mod fault;
mod history;
mod judge;
mod ledger;
mod record;
mod rooms;
mod rows;
mod run;
mod settle;
mod site;
mod table;

use std::fs;
use std::process::ExitCode;

use clap::Parser;
use tokio::task::JoinError;

use cli::{Cli, Task};
use rows::{ROWS, Row};
use run::{Options, Outcome};
use site::Pair;

const BROKEN: u8 = 1;
const NOT_RUN: u8 = 2;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime");
    match Cli::parse().into_task() {
        Task::Judge(path) => judge_again(&path),
        Task::Run {
            plan,
            options,
            json,
        } => {
            fs::create_dir_all(&options.folder).expect("a folder for the histories");
            // What starts and breaks programs stays on this thread; the clients are on all.
            let local = tokio::task::LocalSet::new();
            let (outcomes, failed) = local.block_on(&runtime, run_all(&plan, &options));
            if let Some(path) = json {
                let report = table::json(&outcomes, options.seed, options.is_long);
                fs::write(&path, format!("{report:#}\n")).expect("the JSON report");
            }
            println!("{}", table::table(&outcomes));
            conclude(&outcomes, failed, options.seed)
        }
    }
}

fn judge_again(path: &std::path::Path) -> ExitCode {
    match run::judge_again(path) {
        Ok((history, verdict)) => {
            println!("{:#?}", verdict.figures);
            print!("{}", table::breaches(&history, &verdict.breaches));
            ExitCode::from(if verdict.breaches.is_empty() {
                0
            } else {
                BROKEN
            })
        }
        Err(error) => {
            eprintln!("{}: {error}", path.display());
            ExitCode::from(NOT_RUN)
        }
    }
}

/// Each pair goes through its rows by itself, so that one waits while the other works.
async fn run_all(plan: &[(Pair, Vec<Row>)], options: &Options) -> (Vec<Outcome>, usize) {
    let pairs = plan.iter().map(|(pair, rows)| {
        let (pair, rows, options) = (*pair, rows.clone(), options.clone());
        tokio::task::spawn_local(async move {
            let mut outcomes = Vec::new();
            for row in rows {
                outcomes.push(run_one(row, pair, &options).await);
            }
            outcomes
        })
    });
    let pairs = futures_util::future::join_all(pairs).await;
    let all: Vec<Option<Outcome>> = pairs
        .into_iter()
        .flat_map(Result::unwrap_or_default)
        .collect();
    let failed = all.iter().filter(|outcome| outcome.is_none()).count();
    let mut outcomes: Vec<Outcome> = all.into_iter().flatten().collect();
    outcomes.sort_by_key(|outcome| ROWS.iter().position(|row| row.name == outcome.row));
    (outcomes, failed)
}

/// Nothing when the row could not be run.
async fn run_one(row: Row, pair: Pair, options: &Options) -> Option<Outcome> {
    let size = row.size(options.is_long)?;
    let theirs = options.clone();
    let task = tokio::task::spawn_local(async move { run::run(&row, pair, size, &theirs).await });
    let outcome: Result<Outcome, JoinError> = task.await;
    match outcome {
        Ok(outcome) => {
            let is_kept = !outcome.verdict.breaches.is_empty();
            let word = if is_kept { "BROKEN" } else { "ok" };
            eprintln!(
                "{:<14} {:<13} {word} in {:.1} s",
                row.name,
                pair.as_str(),
                outcome.seconds
            );
            if !is_kept && let Err(error) = fs::remove_file(&outcome.path) {
                eprintln!("{}: {error}", outcome.path.display());
            }
            Some(outcome)
        }
        Err(error) => {
            eprintln!(
                "{:<14} {:<13} could not be run: {error}",
                row.name,
                pair.as_str()
            );
            None
        }
    }
}

fn conclude(outcomes: &[Outcome], failed: usize, seed: u64) -> ExitCode {
    let broken: Vec<&Outcome> = outcomes
        .iter()
        .filter(|outcome| !outcome.verdict.breaches.is_empty())
        .collect();
    for outcome in &broken {
        println!(
            "{} on {}: history in {}",
            outcome.row,
            outcome.pair.as_str(),
            outcome.path.display()
        );
        println!(
            "{}",
            table::breaches(&outcome.history, &outcome.verdict.breaches)
        );
    }
    let kept = outcomes.len() - broken.len();
    println!(
        "chatcheck: {kept} rows passed, {} broken, {failed} not run; seed {seed}",
        broken.len()
    );
    match (broken.len(), failed) {
        (0, 0) => ExitCode::SUCCESS,
        (0, _) => ExitCode::from(NOT_RUN),
        _ => ExitCode::from(BROKEN),
    }
}
