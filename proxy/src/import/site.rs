//! `server` and `location` blocks: which paths are passed to somebody, and what holds there.

use std::collections::HashMap;

use super::listen::{self, Listen};
use super::note::Notes;
use super::scope::Scope;
use super::tree::Directive;

/// One `server` block.
#[derive(Debug)]
pub(super) struct Site<'d> {
    pub(super) directive: &'d Directive,
    pub(super) listens: Vec<Listen<'d>>,
    pub(super) hosts: Vec<String>,
    /// It answers requests for hosts that are nobody's.
    pub(super) is_default: bool,
    /// What holds in the block itself.
    pub(super) scope: Scope<'d>,
    pub(super) proxied: Vec<Proxied<'d>>,
}

/// One `location` that passes its requests on.
#[derive(Debug)]
pub(super) struct Proxied<'d> {
    pub(super) path: &'d str,
    pub(super) location: &'d Directive,
    pub(super) pass: &'d Directive,
    pub(super) scope: Scope<'d>,
}

pub(super) fn all<'d>(http: &'d Directive, notes: &mut Notes) -> Vec<Site<'d>> {
    let outside = Scope::default().within(http.inner());
    let servers = http.inner().iter().filter(|inner| inner.name == "server");
    let mut sites: Vec<Site<'d>> = servers
        .map(|server| {
            let scope = outside.within(server.inner());
            Site {
                directive: server,
                listens: listen::addresses(server),
                hosts: Vec::new(),
                is_default: false,
                proxied: locations(server, &scope, notes),
                scope,
            }
        })
        .collect();
    mark_defaults(&mut sites);
    spread_tls(&mut sites);
    for site in &mut sites {
        for listen in &site.listens {
            listen::tell(listen, notes);
        }
        // Whoever gets every host needs no names, so patterns lose nothing.
        let is_told = !site.is_default && !site.proxied.is_empty();
        let mut unheard = Notes::default();
        site.hosts = listen::hosts(site.directive, if is_told { notes } else { &mut unheard });
        let names = site.directive.inner().iter();
        names
            .filter(|inner| inner.name == "server_name")
            .for_each(|inner| notes.same(inner));
    }
    sites
}

/// For each address the block that says so, else the first one, answers for unknown hosts.
fn mark_defaults(sites: &mut [Site<'_>]) {
    let mut defaults: HashMap<String, (usize, bool)> = HashMap::new();
    for (index, site) in sites.iter().enumerate() {
        for listen in &site.listens {
            let known = defaults.entry(listen.address.clone());
            let (default, is_said) = known.or_insert((index, listen.is_default));
            if listen.is_default && !*is_said {
                (*default, *is_said) = (index, true);
            }
        }
    }
    for (index, _) in defaults.into_values() {
        if let Some(site) = sites.get_mut(index) {
            site.is_default = true;
        }
    }
}

/// An address speaks TLS for all blocks as soon as one says so.
fn spread_tls(sites: &mut [Site<'_>]) {
    let listens = sites.iter().flat_map(|site| &site.listens);
    let tls: Vec<String> = listens
        .filter(|listen| listen.is_tls)
        .map(|listen| listen.address.clone())
        .collect();
    for listen in sites.iter_mut().flat_map(|site| &mut site.listens) {
        listen.is_tls = tls.contains(&listen.address);
    }
}

fn locations<'d>(block: &'d Directive, outside: &Scope<'d>, notes: &mut Notes) -> Vec<Proxied<'d>> {
    let mut proxied = Vec::new();
    for location in block
        .inner()
        .iter()
        .filter(|inner| inner.name == "location")
    {
        let scope = outside.within(location.inner());
        let before = proxied.len();
        proxied.extend(locations(location, &scope, notes));
        let pass = location
            .inner()
            .iter()
            .find(|inner| inner.name == "proxy_pass");
        match (path(location), pass) {
            (Ok(path), Some(pass)) => proxied.push(Proxied {
                path,
                location,
                pass,
                scope,
            }),
            (Err(why), _) => notes.changes(location, why),
            (Ok(_), None) if proxied.len() == before => notes.changes(
                location,
                "passes nothing on; its path goes to the [[route]] that covers it, else it is answered 404",
            ),
            (Ok(_), None) => {}
        }
    }
    proxied
}

/// The prefix that a location matches, or why it has none.
fn path(location: &Directive) -> Result<&str, &'static str> {
    const EXACT: &str = "matches one path exactly, and a [[route]] matches everything that begins with its path; write one if that will do";
    const PATTERN: &str = "is a regular expression, and a [[route]] matches by the beginning of the path; write the beginning that its requests share";
    let words: Vec<&str> = location.words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["^~", path] => Ok(path),
        ["=", _] => Err(EXACT),
        ["~" | "~*", _] => Err(PATTERN),
        [word] if word.starts_with('@') => {
            Err("is reached by redirection within nginx only, which Berth does not have")
        }
        [word] if word.starts_with('=') => Err(EXACT),
        [word] if word.starts_with('~') => Err(PATTERN),
        [word] => Ok(word.strip_prefix("^~").unwrap_or(word)),
        _ => Err("has not exactly one path; write one"),
    }
}
