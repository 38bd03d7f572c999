//! The words an operator may write for each setting, and what is said about wrong ones.

use std::net::IpAddr;
use std::path::PathBuf;

use super::{Dependency, Format, Level, Origins, Secret, StoreKind, Transports};

pub(super) fn split_list(text: &str) -> Vec<String> {
    text.split(',')
        .map(|part| part.trim().to_owned())
        .filter(|part| !part.is_empty())
        .collect()
}

pub(super) fn parse_host(text: &str) -> Result<IpAddr, String> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    bare.parse().map_err(|_| {
        format!("\"{text}\" is not an IP address; write \"0.0.0.0\", \"127.0.0.1\" or \"::\"")
    })
}

pub(super) fn parse_port(text: &str) -> Result<u16, String> {
    text.parse()
        .map_err(|_| format!("\"{text}\" is not a port; write a number from 0 to 65535"))
}

pub(super) fn parse_instance(text: String) -> Result<String, String> {
    // It travels in a response header.
    if !text.is_empty() && text.len() <= 128 && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(text);
    }
    Err(format!(
        "\"{text}\" cannot name an instance; use 1 to 128 visible ASCII characters"
    ))
}

pub(super) fn parse_origins(list: Vec<String>) -> Result<Origins, String> {
    if list.iter().any(|origin| origin == "*") {
        return Ok(Origins::Any);
    }
    for origin in &list {
        let host = origin
            .split_once("://")
            .map(|(_, host)| host)
            .unwrap_or_default();
        if host.is_empty() || host.contains('/') || !origin.is_ascii() {
            return Err(format!(
                "\"{origin}\" is not an origin; write \"https://chat.example.com\" without a path, or \"*\""
            ));
        }
    }
    Ok(Origins::Only(list))
}

pub(super) fn parse_dependencies(list: Vec<String>) -> Result<Vec<Dependency>, String> {
    list.iter()
        .map(|name| match name.as_str() {
            "store" => Ok(Dependency::Store),
            "redis" => Ok(Dependency::Redis),
            other => Err(format!(
                "\"{other}\" is not a dependency; use \"store\" and \"redis\""
            )),
        })
        .collect()
}

pub(super) fn parse_transports(names: &[String]) -> Result<Transports, String> {
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    if let Some(other) = names
        .iter()
        .find(|name| *name != "websocket" && *name != "polling")
    {
        return Err(format!(
            "\"{other}\" is not a transport; use \"websocket\" and \"polling\""
        ));
    }
    match (has("websocket"), has("polling")) {
        (true, true) => Ok(Transports::Both),
        (true, false) => Ok(Transports::WebSocket),
        (false, true) => Ok(Transports::Polling),
        (false, false) => {
            Err("names no transport; use \"websocket\", \"polling\" or both".to_owned())
        }
    }
}

pub(super) fn parse_store_kind(text: &str) -> Result<StoreKind, String> {
    match text {
        "mongodb" => Ok(StoreKind::MongoDb),
        "sqlite" => Ok(StoreKind::Sqlite),
        "memory" => Ok(StoreKind::Memory),
        other => Err(format!(
            "\"{other}\" is not a store; use \"mongodb\", \"sqlite\" or \"memory\""
        )),
    }
}

pub(super) fn parse_data(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        Err("is empty; name a folder".to_owned())
    } else {
        Ok(PathBuf::from(text))
    }
}

/// The text is not repeated in the message: it may hold a password.
pub(super) fn parse_mongo_uri(text: &str) -> Result<Secret, String> {
    if text.starts_with("mongodb://") || text.starts_with("mongodb+srv://") {
        return Ok(Secret::new(text));
    }
    Err("does not start with mongodb:// or mongodb+srv://".to_owned())
}

/// The text is not repeated in the message: it may hold a password.
pub(super) fn parse_redis_url(text: &str) -> Result<Secret, String> {
    let scheme = text
        .split_once("://")
        .map(|(scheme, _)| scheme)
        .unwrap_or_default();
    if scheme == "redis"
        || scheme == "rediss"
        || scheme.starts_with("redis-")
        || scheme == "redis+unix"
    {
        return Ok(Secret::new(text));
    }
    Err(
        "is not a Redis URL; write redis://host:6379 or rediss://user:password@host:6380"
            .to_owned(),
    )
}

pub(super) fn parse_secrets(list: Vec<String>) -> Result<Vec<Secret>, String> {
    if list.is_empty() || list.iter().any(String::is_empty) {
        return Err("a secret is empty; leave it out, or give a long random text".to_owned());
    }
    Ok(list.into_iter().map(Secret::new).collect())
}

pub(super) fn parse_level(text: &str) -> Result<Level, String> {
    match text.to_ascii_lowercase().as_str() {
        "debug" | "trace" => Ok(Level::Debug),
        "info" => Ok(Level::Info),
        "warn" | "warning" => Ok(Level::Warn),
        "error" => Ok(Level::Error),
        _ => Err(format!(
            "\"{text}\" is not a log level; use \"debug\", \"info\", \"warn\" or \"error\""
        )),
    }
}

pub(super) fn parse_format(text: &str) -> Result<Format, String> {
    match text {
        "text" => Ok(Format::Text),
        "json" => Ok(Format::Json),
        other => Err(format!(
            "\"{other}\" is not a log format; use \"text\" or \"json\""
        )),
    }
}
