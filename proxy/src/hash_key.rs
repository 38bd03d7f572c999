//! What `balance = "hash"` reads of a request: text with nginx's variables in it.
//!
//! Owns which variables there are and what each yields, as nginx's variables of the same names. Does not hash
//! (`balance/hash`, `balance/hash_consistent`). Nothing a client sends is refused here: what is not there is empty.

use std::net::IpAddr;

use percent_encoding::percent_decode;

use crate::client::Client;
use crate::head::Head;
use crate::headers::Fields;
use crate::route::host_name;

/// A well-formed key with at least one variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashKey(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    RemoteAddr,
    BinaryRemoteAddr,
    RequestUri,
    Uri,
    Host,
    /// A query argument.
    Arg(String),
    /// A request header field; `_` stands for `-`.
    Http(String),
    Cookie(String),
}

/// Why a text is no key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoKey {
    /// Every request would be hashed alike.
    NoVariable,
    /// A `$` without a name behind it, or a `{` without its `}`.
    Malformed,
    /// As it was written, without the `$`.
    UnknownVariable(String),
}

impl HashKey {
    /// The variables with a fixed name.
    pub const VARIABLES: [&str; 5] = [
        "remote_addr",
        "binary_remote_addr",
        "request_uri",
        "uri",
        "host",
    ];
    /// The variables whose name ends in the name of something in the request.
    pub const PREFIXES: [&str; 3] = ["arg_", "http_", "cookie_"];

    /// Reads text in which `$name` or `${name}` is a variable.
    ///
    /// # Errors
    /// When a variable is malformed or unknown, or when there is none.
    pub fn parse(text: &str) -> Result<Self, NoKey> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('$') {
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let (name, after) = match behind.strip_prefix('{') {
                Some(inner) => inner.split_once('}').ok_or(NoKey::Malformed)?,
                None => {
                    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
                    behind.split_at(behind.find(|c| !is_name(c)).unwrap_or(behind.len()))
                }
            };
            parts.push(Part::variable(name)?);
            rest = after;
        }
        if parts.iter().all(|part| matches!(part, Part::Text(_))) {
            return Err(NoKey::NoVariable);
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self(parts))
    }

    /// The key of one request.
    #[must_use]
    pub fn of(&self, client: &Client, head: &Head<'_, '_>) -> Vec<u8> {
        let mut key = Vec::new();
        for part in &self.0 {
            part.append(&mut key, client, head);
        }
        key
    }
}

impl Part {
    fn variable(name: &str) -> Result<Self, NoKey> {
        let lower = name.to_ascii_lowercase();
        let after = |prefix: &str| {
            lower
                .strip_prefix(prefix)
                .filter(|rest| !rest.is_empty())
                .map(str::to_owned)
        };
        match lower.as_str() {
            "" => Err(NoKey::Malformed),
            "remote_addr" => Ok(Self::RemoteAddr),
            "binary_remote_addr" => Ok(Self::BinaryRemoteAddr),
            "request_uri" => Ok(Self::RequestUri),
            "uri" => Ok(Self::Uri),
            "host" => Ok(Self::Host),
            _ => after("arg_")
                .map(Self::Arg)
                .or_else(|| after("http_").map(Self::Http))
                .or_else(|| after("cookie_").map(Self::Cookie))
                .ok_or_else(|| NoKey::UnknownVariable(name.to_owned())),
        }
    }

    fn append(&self, key: &mut Vec<u8>, client: &Client, head: &Head<'_, '_>) {
        match self {
            Self::Text(text) => key.extend_from_slice(text.as_bytes()),
            Self::RemoteAddr => key.extend_from_slice(client.address_text().as_bytes()),
            Self::BinaryRemoteAddr => match client.ip {
                Some(IpAddr::V4(ip)) => key.extend_from_slice(&ip.octets()),
                Some(IpAddr::V6(ip)) => key.extend_from_slice(&ip.octets()),
                None => key.extend_from_slice(b"unix:"),
            },
            Self::RequestUri => {
                key.extend_from_slice(head.path);
                if let Some((_, query)) = head.target.split_once('?') {
                    key.push(b'?');
                    key.extend_from_slice(query.as_bytes());
                }
            }
            Self::Uri => normalize(key, head.path),
            Self::Host => key.extend(host_name(head.host).iter().map(u8::to_ascii_lowercase)),
            Self::Arg(name) => {
                let query = head.target.split_once('?').map_or("", |(_, query)| query);
                let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
                let found = pairs.find(|(found, _)| found.eq_ignore_ascii_case(name));
                key.extend_from_slice(found.map_or("", |(_, value)| value).as_bytes());
            }
            Self::Http(name) => {
                let separator = if name == "cookie" { "; " } else { ", " };
                let fields = head
                    .fields
                    .iter()
                    .filter(|field| is_named(field.name, name));
                for (index, field) in fields.enumerate() {
                    if index > 0 {
                        key.extend_from_slice(separator.as_bytes());
                    }
                    key.extend_from_slice(field.value);
                }
            }
            Self::Cookie(name) => {
                let mut fields = head.fields.all("Cookie");
                key.extend_from_slice(fields.find_map(|field| cookie(field, name)).unwrap_or(b""));
            }
        }
    }
}

/// Whether a field is the one of `$http_name`, whose name is in lower case.
fn is_named(field: &str, name: &str) -> bool {
    let spelled = field.bytes().map(|byte| match byte {
        b'-' => b'_',
        _ => byte.to_ascii_lowercase(),
    });
    spelled.eq(name.bytes())
}

/// The first cookie of this name, its case ignored. Like nginx, takes a comma before a pair for a semicolon.
fn cookie<'a>(field: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut rest = field;
    loop {
        rest = rest.trim_ascii_start();
        let value = rest
            .split_at_checked(name.len())
            .filter(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes()))
            .and_then(|(_, behind)| behind.trim_ascii_start().strip_prefix(b"="));
        if let Some(value) = value {
            return value.trim_ascii_start().split(|byte| *byte == b';').next();
        }
        let end = rest.iter().position(|byte| matches!(byte, b';' | b','))?;
        rest = rest.get(end + 1..)?;
    }
}

/// `$uri`: escapes are decoded, `.` and `..` resolved, and slashes that stand together are one.
fn normalize(key: &mut Vec<u8>, path: &[u8]) {
    let decoded: Vec<u8> = percent_decode(path).collect();
    let start = key.len();
    let mut segments = decoded.split(|byte| *byte == b'/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            b"" | b"." => {}
            b".." => {
                let parent = key.iter().skip(start).rposition(|byte| *byte == b'/');
                key.truncate(start + parent.unwrap_or(0));
            }
            _ => {
                if key.len() > start || path.starts_with(b"/") {
                    key.push(b'/');
                }
                key.extend_from_slice(segment);
                continue;
            }
        }
        if is_last {
            key.push(b'/');
        }
    }
}

#[cfg(test)]
mod tests;
