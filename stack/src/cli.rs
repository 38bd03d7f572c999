//! The words on the command line, and nothing else: reading them, and naming each default.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Berth: a sticky proxy and several chat backends in one process, on embedded stores.
#[derive(Debug, Parser)]
#[command(name = "berth", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    up: Up,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Start everything and stay in the foreground (the default)
    Up(Up),
}

/// What `berth up` can be told.
#[derive(Clone, Debug, Args)]
pub(crate) struct Up {
    /// Where the proxy listens: the address to open in a browser
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,

    /// How many backends to start (1 to 64), each on its own port after the proxy's
    // More than 64 in one process help nobody: they share its cores and its one store.
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) instances: u16,

    /// The folder that keeps messages and sessions
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub(crate) data: PathBuf,

    /// Opens the operator's page, /admin: at least 16 characters
    #[arg(long, value_name = "TOKEN", env = "ADMIN_TOKEN", hide_env_values = true, value_parser = admin_token)]
    pub(crate) admin_token: Option<String>,

    /// How much to log: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", env = "LOG_LEVEL", default_value = "warn")]
    pub(crate) log_level: tracing::Level,
}

/// As a backend wants it: shorter ones can be guessed.
fn admin_token(text: &str) -> Result<String, String> {
    if text.len() < 16 {
        return Err("shorter than 16 characters".to_owned());
    }
    Ok(text.to_owned())
}

impl Cli {
    /// The one thing to do; a command line without a verb means `up`.
    pub(crate) fn into_up(self) -> Up {
        match self.verb {
            Some(Verb::Up(up)) => up,
            None => self.up,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Result<Up, clap::Error> {
        Cli::try_parse_from(words.split(' ')).map(Cli::into_up)
    }

    #[test]
    fn up_is_what_happens_without_a_verb() {
        assert_eq!(parse("berth --instances 2").unwrap().instances, 2);
        assert_eq!(parse("berth up --instances 2").unwrap().instances, 2);
    }

    #[test]
    fn an_admin_token_is_no_word_that_can_be_guessed() {
        assert!(parse("berth --admin-token secret").is_err());
        let up = parse("berth --admin-token 0123456789abcdef").unwrap();
        assert_eq!(up.admin_token.as_deref(), Some("0123456789abcdef"));
    }

    #[test]
    fn refuses_no_backends_and_too_many() {
        assert!(parse("berth --instances 0").is_err());
        assert!(parse("berth --instances 65").is_err());
    }
}
