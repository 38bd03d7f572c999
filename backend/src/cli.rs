//! The command line: which verb, and what it says over the file and the environment.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::settings::{Overrides, Server};

/// Chat backend on Socket.IO with durable, ordered rooms.
#[derive(Debug, Parser)]
#[command(
    name = "berth-backend",
    version,
    args_conflicts_with_subcommands = true
)]
pub struct Cli {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    run: Run,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Serve until SIGTERM or SIGINT (the default)
    Run(Run),
    /// Say what is wrong with the settings, and start nothing
    Check(Run),
    /// Ask a running server; exits 0 when it is well
    Health(Health),
}

#[derive(Clone, Debug, Args)]
pub struct Run {
    /// The settings file
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print the effective settings, secrets masked, and stop
    #[arg(long)]
    pub print_config: bool,
    /// Address to listen on
    #[arg(long, env = "HOST", hide_env_values = true)]
    host: Option<String>,
    /// Port to listen on
    #[arg(long, env = "PORT")]
    port: Option<String>,
    /// Redis for several servers; without one this server is alone
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    redis_url: Option<String>,
    /// MongoDB; makes it the default store
    #[arg(long, env = "MONGO_URI", hide_env_values = true)]
    mongo_uri: Option<String>,
    /// mongodb, sqlite or memory
    #[arg(long, env = "BERTH_STORE")]
    store: Option<String>,
    /// Folder of the embedded stores
    #[arg(long, env = "BERTH_DATA")]
    data: Option<String>,
    /// Signs session cookies; a comma-separated list rotates: the first signs, all verify
    #[arg(long, env = "SESSION_SECRET", hide_env_values = true)]
    session_secret: Option<String>,
    /// Opens the operator's page, /admin; 16 or more random characters
    #[arg(long, env = "ADMIN_TOKEN", hide_env_values = true)]
    admin_token: Option<String>,
    /// Believes tokens that an issuer signs with it by HS256; a comma-separated list rotates
    #[arg(long, env = "JWT_SECRET", hide_env_values = true)]
    jwt_secret: Option<String>,
    /// Bots that may come with a key: comma-separated, each a name, a colon, and the SHA-256 of its key
    #[arg(long, env = "API_KEYS", hide_env_values = true)]
    api_keys: Option<String>,
    /// debug, info, warn or error
    #[arg(long, env = "LOG_LEVEL")]
    log_level: Option<String>,
    /// text or json
    #[arg(long, env = "LOG_FORMAT")]
    log_format: Option<String>,
    /// Name of this server
    #[arg(long, env = "BERTH_INSTANCE")]
    instance: Option<String>,
    /// Origins that may call from a browser, comma-separated; * is any
    #[arg(long, env = "BERTH_CORS_ORIGIN")]
    cors_origin: Option<String>,
    /// Is told of everything that is said; more of them are for the file
    #[arg(long, env = "WEBHOOK_URL", hide_env_values = true)]
    webhook_url: Option<String>,
    /// Signs what it is told; whsec_… by Standard Webhooks, a comma-separated list rotates: each signs
    #[arg(long, env = "WEBHOOK_SECRET", hide_env_values = true)]
    webhook_secret: Option<String>,
}

#[derive(Clone, Debug, Args)]
pub struct Health {
    /// What to ask; the default follows PORT
    #[arg(long)]
    url: Option<String>,
    #[arg(long, env = "PORT", hide = true)]
    port: Option<u16>,
}

impl Health {
    /// What to ask.
    #[must_use]
    pub fn target(&self) -> String {
        let port = self.port.unwrap_or(Server::default().port);
        self.url
            .clone()
            .unwrap_or_else(|| format!("http://127.0.0.1:{port}/health/liveness"))
    }
}

impl Cli {
    /// The verb; `run` when none is given.
    #[must_use]
    pub fn verb(self) -> Verb {
        self.verb.unwrap_or(Verb::Run(self.run))
    }
}

impl Run {
    /// What flags and environment say over the file.
    #[must_use]
    pub fn overrides(self) -> Overrides {
        Overrides {
            host: self.host,
            port: self.port,
            redis_url: self.redis_url,
            mongo_uri: self.mongo_uri,
            store: self.store,
            data: self.data,
            session_secret: self.session_secret,
            admin_token: self.admin_token,
            jwt_secret: self.jwt_secret,
            api_keys: self.api_keys,
            log_level: self.log_level,
            log_format: self.log_format,
            instance: self.instance,
            cors_origin: self.cors_origin,
            webhook_url: self.webhook_url,
            webhook_secret: self.webhook_secret,
        }
    }
}
