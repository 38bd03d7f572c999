//! `auth.api_keys`: the bots that may come, each known by the hash of a key.

use serde::Deserialize;
use toml::Spanned;

use super::Overrides;
use super::judge::Judge;
use super::words::split_list;
use crate::bots::{Bot, BotName, KeyHash};

/// An entry as the file has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ApiKeyFile {
    name: Spanned<String>,
    key_sha256: Spanned<String>,
}

impl Judge<'_> {
    pub(super) fn api_keys(&mut self, file: Vec<ApiKeyFile>, overrides: &Overrides) -> Vec<Bot> {
        let mut bots = Vec::new();
        for one in file {
            bots.extend(self.api_key(one, &bots));
        }
        self.over("API_KEYS", &overrides.api_keys, Some(bots), parse_list)
            .unwrap_or_default()
    }

    fn api_key(&mut self, one: ApiKeyFile, others: &[Bot]) -> Option<Bot> {
        let name = self.file("auth.api_keys.name", Some(one.name), |text| {
            BotName::parse(&text)
        });
        let key = self.file("auth.api_keys.key_sha256", Some(one.key_sha256), |text| {
            parse_key(&text, others)
        });
        Some(Bot {
            name: name?,
            key: key?,
        })
    }
}

/// `deploy:HASH,ci:HASH`
fn parse_list(text: &str) -> Result<Vec<Bot>, String> {
    let mut bots = Vec::new();
    for pair in split_list(text) {
        // Not quoted: it may be a key.
        let (name, hash) = pair
            .split_once(':')
            .ok_or("API_KEYS is not a list such as \"deploy:HASH,ci:HASH\"")?;
        let name = BotName::parse(name)?;
        let key = parse_key(hash, &bots);
        let key = key.map_err(|why| format!("the hash of \"{}\" {why}", name.as_str()))?;
        bots.push(Bot { name, key });
    }
    Ok(bots)
}

/// A bot may have several keys, but a key speaks for one bot.
fn parse_key(text: &str, others: &[Bot]) -> Result<KeyHash, String> {
    let key = KeyHash::parse(text)?;
    match others.iter().find(|other| other.key == key) {
        Some(other) => Err(format!(
            "is there already, as \"{}\"'s",
            other.name.as_str()
        )),
        None => Ok(key),
    }
}
