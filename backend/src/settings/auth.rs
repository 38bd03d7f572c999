//! `[auth]` and `[jwt]`: who is let in, and by whose word.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;

use super::api_keys::ApiKeyFile;
use super::file::Key;
use super::judge::Judge;
use super::print::{list, optional, quote};
use super::units::{parse_duration, show_duration};
use super::words::parse_secrets;
use super::{Overrides, Secret, Settings};
use crate::bots::Bot;

/// `[auth]`: names, passwords and sockets' identities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// Whether anybody may register.
    pub registration: bool,
    /// Attempts on one user name.
    pub user_logins_per_minute_max: u32,
    /// Attempts from one address.
    pub client_logins_per_minute_max: u32,
    /// Passwords hashed at once.
    pub password_hashes_max: usize,
    /// Life of a token from `POST /api/auth/token`.
    pub token_ttl: Duration,
    /// How often a socket's session is looked at.
    pub recheck_interval: Duration,
    /// Peers whose `X-Real-IP` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Programs that come with a key.
    pub api_keys: Vec<Bot>,
}

/// `[jwt]`: tokens of other issuers. Without any key none is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jwt {
    /// `None`: those that the keys are for.
    pub algorithms: Option<Vec<JwtAlgorithm>>,
    /// Shared with the issuer, for HS256.
    pub secrets: Vec<Secret>,
    /// PEM files of RSA and Ed25519 public keys.
    pub public_keys: Vec<PathBuf>,
    pub jwks_url: Option<String>,
    pub jwks_file: Option<PathBuf>,
    pub issuer: Option<String>,
    pub audience: Option<String>,
    /// How far the issuer's clock may be from ours.
    pub leeway: Duration,
}

/// What tokens may be signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JwtAlgorithm {
    Hs256,
    Rs256,
    EdDsa,
}

impl JwtAlgorithm {
    pub const ALL: [Self; 3] = [Self::Hs256, Self::Rs256, Self::EdDsa];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// Shortest and longest life of a socket token: longer than a handshake takes, shorter than a stolen one should serve.
const TOKEN_TTL_MIN: Duration = Duration::from_secs(5 * 60);
const TOKEN_TTL_MAX: Duration = Duration::from_secs(15 * 60);

/// Networks that clients do not come from: this machine and private ones.
const PRIVATE_NETWORKS: [&str; 6] = [
    "127.0.0.0/8",
    "::1/128",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "fc00::/7",
];

impl Default for Auth {
    fn default() -> Self {
        Self {
            registration: true,
            user_logins_per_minute_max: 10,
            client_logins_per_minute_max: 30,
            password_hashes_max: 2,
            token_ttl: Duration::from_secs(10 * 60),
            recheck_interval: Duration::from_secs(60),
            trusted_proxies: PRIVATE_NETWORKS
                .iter()
                .filter_map(|network| network.parse().ok())
                .collect(),
            api_keys: Vec::new(),
        }
    }
}

impl Default for Jwt {
    fn default() -> Self {
        Self {
            algorithms: None,
            secrets: Vec::new(),
            public_keys: Vec::new(),
            jwks_url: None,
            jwks_file: None,
            issuer: None,
            audience: None,
            leeway: Duration::from_secs(30),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AuthFile {
    registration: Key<bool>,
    user_logins_per_minute_max: Key<u32>,
    client_logins_per_minute_max: Key<u32>,
    password_hashes_max: Key<u32>,
    token_ttl: Key<String>,
    recheck_interval: Key<String>,
    trusted_proxies: Key<Vec<String>>,
    api_keys: Vec<ApiKeyFile>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct JwtFile {
    algorithms: Key<Vec<String>>,
    secrets: Key<Vec<String>>,
    public_keys: Key<Vec<String>>,
    jwks_url: Key<String>,
    jwks_file: Key<String>,
    issuer: Key<String>,
    audience: Key<String>,
    leeway: Key<String>,
}

impl Judge<'_> {
    pub(super) fn auth(&mut self, file: AuthFile, overrides: &Overrides) -> Auth {
        let default = Auth::default();
        Auth {
            registration: self
                .file("auth.registration", file.registration, Ok)
                .unwrap_or(default.registration),
            user_logins_per_minute_max: self.count32(
                "auth.user_logins_per_minute_max",
                file.user_logins_per_minute_max,
                default.user_logins_per_minute_max,
            ),
            client_logins_per_minute_max: self.count32(
                "auth.client_logins_per_minute_max",
                file.client_logins_per_minute_max,
                default.client_logins_per_minute_max,
            ),
            password_hashes_max: self.count(
                "auth.password_hashes_max",
                file.password_hashes_max,
                default.password_hashes_max,
            ),
            token_ttl: self
                .file("auth.token_ttl", file.token_ttl, |text| parse_ttl(&text))
                .unwrap_or(default.token_ttl),
            recheck_interval: self.time(
                "auth.recheck_interval",
                file.recheck_interval,
                default.recheck_interval,
            ),
            trusted_proxies: self
                .file("auth.trusted_proxies", file.trusted_proxies, |list| {
                    list.iter().map(|text| parse_network(text)).collect()
                })
                .unwrap_or(default.trusted_proxies),
            api_keys: self.api_keys(file.api_keys, overrides),
        }
    }

    pub(super) fn jwt(&mut self, file: JwtFile, overrides: &Overrides) -> Jwt {
        let secrets = self.file("jwt.secrets", file.secrets, parse_secrets);
        let secrets = self.over("JWT_SECRET", &overrides.jwt_secret, secrets, |text| {
            parse_secrets(super::words::split_list(text))
        });
        let path = |text: String| match text.is_empty() {
            true => Err("is empty; name a file".to_owned()),
            false => Ok(PathBuf::from(text)),
        };
        Jwt {
            algorithms: self.file("jwt.algorithms", file.algorithms, parse_algorithms),
            secrets: secrets.unwrap_or_default(),
            public_keys: self
                .file("jwt.public_keys", file.public_keys, |list| {
                    list.into_iter().map(path).collect()
                })
                .unwrap_or_default(),
            jwks_url: self.file("jwt.jwks_url", file.jwks_url, parse_web_address),
            jwks_file: self.file("jwt.jwks_file", file.jwks_file, path),
            issuer: self.file("jwt.issuer", file.issuer, Ok),
            audience: self.file("jwt.audience", file.audience, Ok),
            leeway: self
                .file("jwt.leeway", file.leeway, |text| parse_duration(&text))
                .unwrap_or(Jwt::default().leeway),
        }
    }
}

fn parse_ttl(text: &str) -> Result<Duration, String> {
    let ttl = parse_duration(text)?;
    if (TOKEN_TTL_MIN..=TOKEN_TTL_MAX).contains(&ttl) {
        return Ok(ttl);
    }
    Err(format!(
        "\"{text}\" is not from {} to {}: a token that is stolen serves until it ends",
        show_duration(TOKEN_TTL_MIN),
        show_duration(TOKEN_TTL_MAX)
    ))
}

fn parse_network(text: &str) -> Result<IpNet, String> {
    let address = || {
        text.parse()
            .ok()
            .map(|address: std::net::IpAddr| address.into())
    };
    text.parse().ok().or_else(address).ok_or_else(|| {
        format!("\"{text}\" is not an address or network; write \"10.0.0.7\" or \"10.0.0.0/8\"")
    })
}

fn parse_algorithms(list: Vec<String>) -> Result<Vec<JwtAlgorithm>, String> {
    if list.is_empty() {
        return Err("names no algorithm; use \"HS256\", \"RS256\" and \"EdDSA\"".to_owned());
    }
    list.iter()
        .map(|name| {
            JwtAlgorithm::ALL
                .into_iter()
                .find(|algorithm| algorithm.as_str() == name)
                .ok_or_else(|| {
                    format!("\"{name}\" is not an algorithm for tokens; use \"HS256\", \"RS256\" and \"EdDSA\"")
                })
        })
        .collect()
}

fn parse_web_address(text: String) -> Result<String, String> {
    if text.starts_with("https://") || text.starts_with("http://") {
        return Ok(text);
    }
    Err(format!(
        "\"{text}\" is not a web address; write \"https://id.example.com/.well-known/jwks.json\""
    ))
}

impl Settings {
    pub(super) fn print_auth(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let auth = &self.auth;
        let networks: Vec<_> = auth.trusted_proxies.iter().map(IpNet::to_string).collect();
        writeln!(f, "\n[auth]")?;
        writeln!(f, "registration = {}", auth.registration)?;
        let logins = auth.user_logins_per_minute_max;
        writeln!(f, "user_logins_per_minute_max = {logins}")?;
        let logins = auth.client_logins_per_minute_max;
        writeln!(f, "client_logins_per_minute_max = {logins}")?;
        writeln!(f, "password_hashes_max = {}", auth.password_hashes_max)?;
        writeln!(f, "token_ttl = \"{}\"", show_duration(auth.token_ttl))?;
        let interval = show_duration(auth.recheck_interval);
        writeln!(f, "recheck_interval = \"{interval}\"")?;
        writeln!(f, "trusted_proxies = {}", list(&networks))?;
        let in_words = |bot: &Bot| {
            let name = quote(bot.name.as_str());
            format!("{{ name = {name}, key_sha256 = \"***\" }}")
        };
        let keys: Vec<_> = auth.api_keys.iter().map(in_words).collect();
        match keys.is_empty() {
            true => Ok(()),
            false => writeln!(f, "api_keys = [{}]", keys.join(", ")),
        }
    }

    pub(super) fn print_jwt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let jwt = &self.jwt;
        writeln!(f, "\n[jwt]")?;
        match &jwt.algorithms {
            Some(algorithms) => {
                let names: Vec<_> = algorithms.iter().map(|one| one.as_str()).collect();
                writeln!(f, "algorithms = {}", list(&names))?;
            }
            None => optional(f, "algorithms", None)?,
        }
        if !jwt.secrets.is_empty() {
            let masked: Vec<_> = jwt.secrets.iter().map(Secret::to_string).collect();
            writeln!(f, "secrets = {}", list(&masked))?;
        }
        let shown = |path: &PathBuf| path.display().to_string();
        let keys: Vec<_> = jwt.public_keys.iter().map(shown).collect();
        writeln!(f, "public_keys = {}", list(&keys))?;
        optional(f, "jwks_url", jwt.jwks_url.as_deref())?;
        optional(f, "jwks_file", jwt.jwks_file.as_ref().map(shown).as_deref())?;
        optional(f, "issuer", jwt.issuer.as_deref())?;
        optional(f, "audience", jwt.audience.as_deref())?;
        writeln!(f, "leeway = {}", quote(&show_duration(jwt.leeway)))
    }
}
