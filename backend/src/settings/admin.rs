//! `[admin]`: who may look at this server from inside.

use std::fmt;

use serde::Deserialize;

use super::file::Key;
use super::judge::Judge;
use super::{Overrides, Secret};

/// Shorter ones can be guessed.
const TOKEN_BYTES_MIN: usize = 16;

/// None: nobody may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admin {
    pub token: Option<Secret>,
}

/// The section as the file has it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    token: Key<String>,
}

impl Judge<'_> {
    pub(super) fn admin(&mut self, file: File, overrides: &Overrides) -> Admin {
        let in_file = self.file("admin.token", file.token, |text: String| parse_token(&text));
        let token = self.over(
            "--admin-token (ADMIN_TOKEN)",
            &overrides.admin_token,
            in_file,
            parse_token,
        );
        Admin { token }
    }
}

impl Admin {
    pub(super) fn print(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n[admin]")?;
        match &self.token {
            Some(token) => writeln!(f, "token = \"{token}\""),
            None => Ok(()),
        }
    }
}

fn parse_token(text: &str) -> Result<Secret, String> {
    if text.len() < TOKEN_BYTES_MIN {
        return Err(format!(
            "the token is too easy to guess; give {TOKEN_BYTES_MIN} or more random characters"
        ));
    }
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_long_and_never_shown() {
        let refusal = parse_token("hunter2").unwrap_err();
        assert!(!refusal.contains("hunter2"), "{refusal}");
        let token = parse_token("0123456789abcdef").ok();
        assert!(!format!("{:?}", Admin { token }).contains("0123456789abcdef"));
    }
}
