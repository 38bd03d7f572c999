//! Opens what the settings name: the message store, the sessions, the cluster and the session secret.
//!
//! The only place that knows the implementations behind the ports. Reaching a server that is down is not an error here: it is tried again.

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use berth_adapter::{Cluster, RedisOptions};
use jsonwebtoken::Algorithm;

use crate::directory::Directory;
use crate::directory::memory::MemoryDirectory;
use crate::directory::mongodb::MongoDirectory;
use crate::directory::sqlite::SqliteDirectory;
use crate::presence::Presence;
use crate::presence::memory::MemoryPresence;
use crate::presence::redis::RedisPresence;
use crate::session::cookie;
use crate::session::memory::MemorySessions;
use crate::session::recent::RecentSessions;
use crate::session::redis::RedisSessions;
use crate::session::sqlite::SqliteSessions;
use crate::session::{SessionTtl, Sessions};
use crate::settings::{JwtAlgorithm, Secret, Settings, StoreKind};
use crate::store::Store;
use crate::store::memory::MemoryStore;
use crate::store::mongodb::MongoStore;
use crate::store::sqlite::SqliteStore;
use crate::token::{self, Jwks, Key, Rules, Tokens};
use crate::users::Users;
use crate::users::memory::MemoryUsers;
use crate::users::mongodb::MongoUsers;
use crate::users::sqlite::SqliteUsers;
use crate::webhooks::Webhooks;
use crate::webhooks::memory::MemoryWebhooks;
use crate::webhooks::mongodb::MongoWebhooks;
use crate::webhooks::sqlite::SqliteWebhooks;

/// The file in the data folder that keeps a made session secret.
const SECRET_FILE: &str = "session-secret";

/// # Errors
/// When the data folder or the file in it cannot be used, or the URI makes no sense.
pub async fn open_store(settings: &Settings) -> anyhow::Result<Arc<dyn Store>> {
    match settings.store.kind {
        StoreKind::MongoDb => {
            let uri = settings
                .store
                .mongo_uri
                .as_ref()
                .context("store.mongo_uri is missing")?;
            let store = MongoStore::connect(uri.reveal())
                .await
                .context("store.mongo_uri")?;
            Ok(Arc::new(store))
        }
        StoreKind::Sqlite => {
            let path = data_folder(settings)?.join("chat.db");
            let store = SqliteStore::open(&path)
                .with_context(|| format!("cannot open {}", path.display()))?;
            Ok(Arc::new(store))
        }
        StoreKind::Memory => {
            tracing::warn!(
                "messages are kept in memory only; they are lost when this program ends"
            );
            Ok(Arc::new(MemoryStore::new()))
        }
    }
}

/// Rooms and members, beside the messages.
///
/// # Errors
/// When the data folder or the file in it cannot be used, or the URI makes no sense.
pub fn open_directory(settings: &Settings) -> anyhow::Result<Arc<dyn Directory>> {
    Ok(match settings.store.kind {
        StoreKind::MongoDb => {
            let uri = settings.store.mongo_uri.as_ref();
            let uri = uri.context("store.mongo_uri is missing")?;
            Arc::new(MongoDirectory::connect(uri.reveal()).context("store.mongo_uri")?)
        }
        StoreKind::Sqlite => {
            let path = data_folder(settings)?.join("rooms.db");
            let directory = SqliteDirectory::open(&path)
                .with_context(|| format!("cannot open {}", path.display()))?;
            Arc::new(directory)
        }
        StoreKind::Memory => Arc::new(MemoryDirectory::new()),
    })
}

/// Redis, where Node keeps them too, when there is one; else beside the messages.
///
/// # Errors
/// When the URL makes no sense, or the data folder or the file in it cannot be used.
pub fn open_sessions(settings: &Settings) -> anyhow::Result<Arc<dyn Sessions>> {
    let ttl = SessionTtl {
        default_seconds: u32::try_from(settings.session.ttl.as_secs()).unwrap_or(u32::MAX),
    };
    if let Some(url) = &settings.redis.url {
        let sessions = RedisSessions::connect(url.reveal(), ttl).context("redis.url")?;
        return Ok(Arc::new(RecentSessions::new(sessions)));
    }
    if settings.store.kind == StoreKind::Memory {
        return Ok(Arc::new(MemorySessions::new().with_ttl(ttl)));
    }
    let path = data_folder(settings)?.join("sessions.db");
    let sessions =
        SqliteSessions::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
    Ok(Arc::new(sessions.with_ttl(ttl)))
}

/// Beside the messages.
///
/// # Errors
/// When the data folder or the file in it cannot be used, or the URI makes no sense.
pub fn open_users(settings: &Settings) -> anyhow::Result<Arc<dyn Users>> {
    Ok(match settings.store.kind {
        StoreKind::MongoDb => {
            let uri = settings.store.mongo_uri.as_ref();
            let uri = uri.context("store.mongo_uri is missing")?;
            Arc::new(MongoUsers::connect(uri.reveal()).context("store.mongo_uri")?)
        }
        StoreKind::Sqlite => {
            let path = data_folder(settings)?.join("users.db");
            let users = SqliteUsers::open(&path)
                .with_context(|| format!("cannot open {}", path.display()))?;
            Arc::new(users)
        }
        StoreKind::Memory => Arc::new(MemoryUsers::new()),
    })
}

/// Beside the messages.
///
/// # Errors
/// When the data folder or the file in it cannot be used, or the URI makes no sense.
pub fn open_webhooks(settings: &Settings) -> anyhow::Result<Arc<dyn Webhooks>> {
    Ok(match settings.store.kind {
        StoreKind::MongoDb => {
            let uri = settings.store.mongo_uri.as_ref();
            let uri = uri.context("store.mongo_uri is missing")?;
            Arc::new(MongoWebhooks::connect(uri.reveal()).context("store.mongo_uri")?)
        }
        StoreKind::Sqlite => {
            let path = data_folder(settings)?.join("webhooks.db");
            let webhooks = SqliteWebhooks::open(&path)
                .with_context(|| format!("cannot open {}", path.display()))?;
            Arc::new(webhooks)
        }
        StoreKind::Memory => Arc::new(MemoryWebhooks::new()),
    })
}

/// Redis, where the servers meet, when there is one; else this process.
///
/// # Errors
/// When the URL makes no sense.
pub fn open_presence(settings: &Settings) -> anyhow::Result<Arc<dyn Presence>> {
    Ok(match &settings.redis.url {
        Some(url) => Arc::new(RedisPresence::connect(url.reveal()).context("redis.url")?),
        None => Arc::new(MemoryPresence::new()),
    })
}

/// What judges tokens: by the session secrets, and by the keys that the settings name.
///
/// # Errors
/// When a file cannot be read, or holds no key.
pub fn tokens(settings: &Settings) -> anyhow::Result<Tokens> {
    let jwt = &settings.jwt;
    let mut keys = Vec::new();
    for secret in &jwt.secrets {
        keys.push(token::keys_of_secret(secret.reveal()).context("jwt.secrets")?);
    }
    for path in &jwt.public_keys {
        let shown = || format!("jwt.public_keys: {}", path.display());
        let pem = std::fs::read(path).with_context(shown)?;
        keys.push(token::keys_of_pem(&pem).with_context(shown)?);
    }
    if let Some(path) = &jwt.jwks_file {
        let shown = || format!("jwt.jwks_file: {}", path.display());
        let text = std::fs::read(path).with_context(shown)?;
        keys.extend(token::keys_of_jwks(&text).with_context(shown)?);
    }
    let jwks = jwt.jwks_url.as_deref().map(Jwks::at).transpose();
    let jwks = jwks.context("jwt.jwks_url")?;
    let mut algorithms: Vec<Algorithm> = match &jwt.algorithms {
        Some(named) => named.iter().map(|one| algorithm(*one)).collect(),
        None => keys.iter().map(Key::algorithm).collect(),
    };
    if jwt.algorithms.is_none() && jwks.is_some() {
        algorithms.extend([Algorithm::RS256, Algorithm::EdDSA]);
    }
    let rules = Rules {
        algorithms,
        issuer: jwt.issuer.clone(),
        audience: jwt.audience.clone(),
        leeway: jwt.leeway,
    };
    let secrets = settings.session.secrets.iter().map(Secret::reveal);
    Tokens::new(secrets, keys, jwks, rules).context("session.secrets")
}

fn algorithm(named: JwtAlgorithm) -> Algorithm {
    match named {
        JwtAlgorithm::Hs256 => Algorithm::HS256,
        JwtAlgorithm::Rs256 => Algorithm::RS256,
        JwtAlgorithm::EdDsa => Algorithm::EdDSA,
    }
}

/// # Errors
/// When the URL makes no sense.
pub fn join_cluster(settings: &Settings) -> anyhow::Result<Cluster> {
    match &settings.redis.url {
        Some(url) => Ok(Cluster::redis(RedisOptions::new(url.reveal())).context("redis.url")?),
        None => Ok(Cluster::alone()),
    }
}

/// Makes sure that cookies are signed by a secret that outlives this process, where one can be kept.
///
/// # Errors
/// When the data folder or the file in it cannot be used.
pub fn ensure_secret(settings: &mut Settings) -> anyhow::Result<()> {
    if !settings.session.secrets.is_empty() {
        return Ok(());
    }
    if settings.redis.url.is_some() || settings.store.kind != StoreKind::Sqlite {
        tracing::warn!(
            "SESSION_SECRET is not set: a random one is used until this program ends; other servers do not accept its cookies"
        );
        settings.session.secrets = vec![Secret::new(cookie::new_sid())];
        return Ok(());
    }
    let path = data_folder(settings)?.join(SECRET_FILE);
    let secret = kept_secret(&path).with_context(|| format!("cannot use {}", path.display()))?;
    settings.session.secrets = vec![secret];
    Ok(())
}

/// The secret in the file; made, for the owner's eyes only, when there is none.
fn kept_secret(path: &Path) -> anyhow::Result<Secret> {
    let made = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Ok(mut file) => {
            let secret = cookie::new_sid();
            file.write_all(secret.as_bytes())?;
            file.sync_all()?;
            Ok(Secret::new(secret))
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let secret = std::fs::read_to_string(path)?;
            anyhow::ensure!(!secret.trim().is_empty(), "it is empty; remove it");
            Ok(Secret::new(secret.trim()))
        }
        Err(error) => Err(error.into()),
    }
}

fn data_folder(settings: &Settings) -> anyhow::Result<&Path> {
    let folder = settings.store.data.as_path();
    // Other users of this machine have no business in it.
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("cannot make the data folder {}", folder.display()))?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_secret_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        settings.store.data = folder.path().join("data");
        ensure_secret(&mut settings).unwrap();
        let first = settings.session.secrets.clone();
        settings.session.secrets.clear();
        ensure_secret(&mut settings).unwrap();
        assert_eq!(settings.session.secrets, first);
        settings.session.secrets = vec![Secret::new("given")];
        ensure_secret(&mut settings).unwrap();
        assert_eq!(settings.session.secrets, [Secret::new("given")]);
    }
}
