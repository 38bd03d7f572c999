//! The file that is being written: what will stand in it, and where each line comes from.
//!
//! Owns the layout of the result and the paths by which `config` names its keys. Does not judge values: `settle`
//! has `config` itself do that.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use super::note::Origin;

/// A value in TOML, or a list of such with an origin each.
#[derive(Clone, Debug)]
pub(super) enum Value {
    One(String),
    List(Vec<(String, Origin)>),
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: &'static str,
    pub(super) value: Value,
    pub(super) origin: Origin,
}

impl Entry {
    pub(super) fn new(
        key: &'static str,
        value: impl Into<String>,
        origin: impl Into<Origin>,
    ) -> Self {
        Self {
            key,
            value: Value::One(value.into()),
            origin: origin.into(),
        }
    }

    fn origins(&self) -> Vec<Origin> {
        let mut origins = vec![self.origin.clone()];
        if let Value::List(items) = &self.value {
            origins.extend(items.iter().map(|(_, origin)| origin.clone()));
        }
        origins
    }

    fn write(&self, text: &mut String) {
        let value = match &self.value {
            Value::One(value) => value.clone(),
            Value::List(items) => {
                let items: Vec<&str> = items.iter().map(|(item, _)| item.as_str()).collect();
                format!("[{}]", items.join(", "))
            }
        };
        line(text, format_args!("{} = {value}", self.key));
    }
}

/// One server: its address and nginx's words for it.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) address: String,
    pub(super) entries: Vec<Entry>,
    pub(super) origin: Origin,
}

#[derive(Clone, Debug)]
pub(super) struct Upstream {
    pub(super) name: String,
    pub(super) origin: Origin,
    /// What stands above the servers: how one is chosen.
    pub(super) choosing: Vec<Entry>,
    pub(super) servers: Vec<Server>,
    /// What stands below: how they are spoken to.
    pub(super) speaking: Vec<Entry>,
    pub(super) cookie: Vec<Entry>,
    pub(super) websocket: Vec<Entry>,
}

impl Upstream {
    pub(super) fn new(name: String, origin: Origin) -> Self {
        Self {
            name,
            origin,
            choosing: Vec::new(),
            servers: Vec::new(),
            speaking: Vec::new(),
            cookie: Vec::new(),
            websocket: Vec::new(),
        }
    }

    fn write(&self, text: &mut String) {
        let name = &self.name;
        line(text, format_args!("\n[upstream.{name}]"));
        self.choosing.iter().for_each(|entry| entry.write(text));
        line(text, format_args!("servers = ["));
        for server in &self.servers {
            let address = quoted(&server.address);
            let mut words = Vec::new();
            for entry in &server.entries {
                if let Value::One(value) = &entry.value {
                    words.push(format!(", {} = {value}", entry.key));
                }
            }
            if words.is_empty() {
                line(text, format_args!("  {address},"));
            } else {
                line(
                    text,
                    format_args!("  {{ address = {address}{} }},", words.concat()),
                );
            }
        }
        line(text, format_args!("]"));
        self.speaking.iter().for_each(|entry| entry.write(text));
        table(text, &format!("upstream.{name}.cookie"), &self.cookie);
        table(text, &format!("upstream.{name}.websocket"), &self.websocket);
    }

    /// Takes away what `config` calls `key`, which is a path below this upstream.
    fn remove(&mut self, key: &str) -> Option<Origin> {
        if let Some(rest) = key.strip_prefix("servers[") {
            let (index, word) = rest.split_once(']')?;
            let index: usize = index.parse().ok()?;
            let server = self.servers.get_mut(index)?;
            let word = word.trim_start_matches('.');
            return match take(&mut server.entries, word) {
                None => Some(self.servers.remove(index).origin),
                taken => taken,
            };
        }
        if let Some(word) = key.strip_prefix("cookie.") {
            return take(&mut self.cookie, word);
        }
        if let Some(word) = key.strip_prefix("websocket.") {
            return take(&mut self.websocket, word);
        }
        take(&mut self.choosing, key).or_else(|| take(&mut self.speaking, key))
    }
}

/// A certificate and its key.
#[derive(Clone, Debug)]
pub(super) struct Certificate {
    pub(super) entries: Vec<Entry>,
    pub(super) origin: Origin,
}

#[derive(Clone, Debug)]
pub(super) struct Route {
    pub(super) host: Option<String>,
    pub(super) path: String,
    pub(super) upstream: String,
    pub(super) origin: Origin,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    /// Where nginx looks for files that are named without a folder.
    pub(super) folder: PathBuf,
    pub(super) server: Vec<Entry>,
    pub(super) certificates: Vec<Certificate>,
    pub(super) upstreams: Vec<Upstream>,
    pub(super) routes: Vec<Route>,
}

impl Draft {
    /// The file without its heading.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        table(&mut text, "server", &self.server);
        for certificate in &self.certificates {
            line(&mut text, format_args!("\n[[server.tls]]"));
            certificate
                .entries
                .iter()
                .for_each(|entry| entry.write(&mut text));
        }
        for upstream in &self.upstreams {
            upstream.write(&mut text);
        }
        for route in self.routes.iter().filter(|_| !self.goes_without_routes()) {
            line(&mut text, format_args!("\n[[route]]"));
            if let Some(host) = &route.host {
                line(&mut text, format_args!("host = {}", quoted(host)));
            }
            if route.path != "/" {
                line(&mut text, format_args!("path = {}", quoted(&route.path)));
            }
            line(
                &mut text,
                format_args!("upstream = {}", quoted(&route.upstream)),
            );
        }
        text
    }

    /// Everything goes to the only upstream, which is what the absence of routes means.
    fn goes_without_routes(&self) -> bool {
        matches!(self.routes.as_slice(), [route] if route.host.is_none() && route.path == "/")
            && self.upstreams.len() == 1
    }

    /// Every directive that something in the file comes from.
    pub(super) fn origins(&self) -> BTreeSet<Origin> {
        let mut origins: BTreeSet<Origin> = self.server.iter().flat_map(Entry::origins).collect();
        let pairs = self.certificates.iter();
        origins.extend(
            pairs
                .flat_map(|pair| &pair.entries)
                .flat_map(Entry::origins),
        );
        for upstream in &self.upstreams {
            origins.insert(upstream.origin.clone());
            let entries = [
                &upstream.choosing,
                &upstream.speaking,
                &upstream.cookie,
                &upstream.websocket,
            ];
            origins.extend(entries.into_iter().flatten().flat_map(Entry::origins));
            origins.extend(upstream.servers.iter().map(|server| server.origin.clone()));
        }
        origins.extend(self.routes.iter().map(|route| route.origin.clone()));
        origins
    }

    /// Takes away what `config` calls `key` and says where it came from; `None` if there is nothing by that name.
    pub(super) fn remove(&mut self, key: &str) -> Option<Origin> {
        if let Some(rest) = key.strip_prefix("server.tls[") {
            let index = rest.split_once(']')?.0.parse::<usize>().ok()?;
            let is_there = index < self.certificates.len();
            return is_there.then(|| self.certificates.remove(index).origin);
        }
        if let Some(word) = key.strip_prefix("server.") {
            return take(&mut self.server, word);
        }
        if let Some(rest) = key.strip_prefix("route[") {
            let index = rest.split_once(']')?.0.parse::<usize>().ok()?;
            let origin = (index < self.routes.len()).then(|| self.routes.remove(index).origin);
            self.forget_unused();
            return origin;
        }
        let path = key.strip_prefix("upstream.")?;
        let index = self.upstreams.iter().position(|upstream| {
            let below = path.strip_prefix(upstream.name.as_str());
            below.is_some_and(|below| below.is_empty() || below.starts_with('.'))
        })?;
        let upstream = self.upstreams.get_mut(index)?;
        let below = path.get(upstream.name.len() + 1..).unwrap_or_default();
        if let Some(origin) = upstream.remove(below) {
            return Some(origin);
        }
        let upstream = self.upstreams.remove(index);
        self.routes.retain(|route| route.upstream != upstream.name);
        Some(upstream.origin)
    }

    /// An upstream that no route names would be a mistake to `config` as soon as there are two.
    fn forget_unused(&mut self) {
        let routes = &self.routes;
        self.upstreams
            .retain(|upstream| routes.iter().any(|route| route.upstream == upstream.name));
    }
}

/// A text as TOML writes it.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                // Writing to a String cannot fail.
                let _written = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _written = writeln!(text, "{line}");
}

fn table(text: &mut String, name: &str, entries: &[Entry]) {
    if !entries.is_empty() {
        line(text, format_args!("\n[{name}]"));
        entries.iter().for_each(|entry| entry.write(text));
    }
}

/// Takes the entry away, or one item of its list: `listen[1]`.
fn take(entries: &mut Vec<Entry>, word: &str) -> Option<Origin> {
    let (key, index) = match word.split_once('[') {
        Some((key, rest)) => (key, rest.trim_end_matches(']').parse::<usize>().ok()),
        None => (word.split('.').next().unwrap_or(word), None),
    };
    let place = entries.iter().position(|entry| entry.key == key)?;
    if let (Some(Value::List(items)), Some(index)) =
        (entries.get_mut(place).map(|entry| &mut entry.value), index)
        && index < items.len()
        && items.len() > 1
    {
        return Some(items.remove(index).1);
    }
    Some(entries.remove(place).origin)
}
