//! Which server a request would get, and why, from the settings alone: what `berth-proxy explain` says.
//!
//! Asks the same core as a request does, on servers of which nothing is known yet. Looks up no name and asks no
//! running proxy: that all servers are well and idle is presumed, and said.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::Serialize;

use crate::affinity::cookie::Reading;
use crate::affinity::signature::Signer;
use crate::affinity::{Method, sid};
use crate::balance::{hash, hash_consistent, ip_hash};
use crate::client::{Client, HashBytes, canonical};
use crate::head::{self, Head};
use crate::headers::Fields as _;
use crate::pool::{Group, Pool, Tried};
use crate::registry::{Addresses, Registry, Upstream, names};
use crate::settings::{Balance, ServerAddress, Settings};

/// A request, as far as it decides anything.
#[derive(Clone, Debug)]
pub struct Question<'q> {
    /// The client, as the proxy sees it behind its trusted proxies.
    pub ip: IpAddr,
    pub host: &'q str,
    /// With the query, if it has one.
    pub path: &'q str,
    /// The value of the `Cookie` header.
    pub cookie: Option<&'q str>,
}

/// What becomes of the request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// `None`: no route is for it, and it is answered 404.
    pub upstream: Option<String>,
    /// `None`: nobody, or it depends on the moment: see `candidates`.
    pub server: Option<String>,
    /// Who may get it, in the order of the file. Only `server` if that is settled.
    pub candidates: Vec<Candidate>,
    /// In plain words, one sentence each.
    pub why: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Candidate {
    pub server: String,
    pub weight: u32,
}

/// The question is no request that the proxy would look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no request looks like this: {0}")]
pub struct NoRequest(&'static str);

impl fmt::Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.upstream, &self.server) {
            (None, _) => writeln!(formatter, "nobody (404)")?,
            (Some(upstream), Some(server)) => writeln!(formatter, "{server} of {upstream}")?,
            (Some(upstream), None) if self.candidates.is_empty() => {
                writeln!(formatter, "nobody of {upstream} (502)")?;
            }
            (Some(upstream), None) => {
                writeln!(formatter, "one of {upstream}, by the moment:")?;
                for Candidate { server, weight } in &self.candidates {
                    writeln!(formatter, "  {server} (weight {weight})")?;
                }
            }
        }
        self.why
            .iter()
            .try_for_each(|why| writeln!(formatter, "- {why}"))
    }
}

/// # Errors
/// When host, path or cookie could not stand in a request.
pub fn explain(settings: &Settings, question: &Question<'_>) -> Result<Answer, NoRequest> {
    let text = request_text(question)?;
    let mut room = head::room();
    let head =
        head::parse(text.as_bytes(), &mut room).map_err(|refusal| NoRequest(refusal.why()))?;
    let snapshot = Registry::new(presumed_well(settings), one_address_per_name(settings)).current();
    let shown = format!("host {:?} and path {:?}", question.host, question.path);
    let found = snapshot.routes.find(head.host, head.path);
    let Some((index, upstream)) =
        found.and_then(|index| Some((index, snapshot.upstreams.get(index)?)))
    else {
        return Ok(Answer {
            why: vec![format!("No [[route]] covers {shown}.")],
            ..Answer::default()
        });
    };
    let ip = canonical(question.ip);
    let mut asked = Asked {
        upstream,
        names: unknown_marks(settings, index),
        client: Client::behind(Some(ip), &[], std::iter::empty(), None),
        why: vec![format!("For {shown} the upstream is {}.", upstream.name)],
    };
    let server = asked
        .bound(&head)
        .or_else(|| asked.balanced(settings, index, &head));
    Ok(asked.answer(server))
}

fn request_text(question: &Question<'_>) -> Result<String, NoRequest> {
    let (host, path) = (question.host, question.path);
    let cookie = question.cookie.unwrap_or_default();
    if [host, path, cookie]
        .iter()
        .any(|text| text.contains(char::is_control))
    {
        return Err(NoRequest("a control character"));
    }
    Ok(format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n\r\n"
    ))
}

/// Without active checks, which keep a server out until its first one passed.
fn presumed_well(settings: &Settings) -> Settings {
    let mut settings = settings.clone();
    for upstream in &mut settings.upstreams {
        upstream.health_check = None;
    }
    settings
}

fn one_address_per_name(settings: &Settings) -> Addresses {
    let pretend = |port| vec![SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))];
    let names = names(settings).into_iter();
    names
        .map(|(host, port)| ((host.clone(), port), pretend(port)))
        .collect()
}

/// Servers whose cookie value comes from an address that only DNS knows.
fn unknown_marks(settings: &Settings, upstream: usize) -> Vec<String> {
    let servers = settings
        .upstreams
        .get(upstream)
        .map(|upstream| &upstream.servers);
    let unknown = servers
        .into_iter()
        .flatten()
        .filter(|server| server.route.is_none());
    unknown
        .filter_map(|server| match &server.address {
            ServerAddress::Name { host, port } => Some(format!("{host}:{port}")),
            ServerAddress::Ip(_) | ServerAddress::Unix(_) => None,
        })
        .collect()
}

struct Asked<'u> {
    upstream: &'u Upstream,
    /// Servers whose marks are not known.
    names: Vec<String>,
    client: Client,
    why: Vec<String>,
}

impl Asked<'_> {
    fn pool(&self) -> &Pool {
        &self.upstream.pool
    }

    /// The server that the request is bound to, if that may serve.
    fn bound(&mut self, head: &Head<'_, '_>) -> Option<usize> {
        let methods = self.upstream.sticky;
        let mut methods = methods.into_iter().flatten();
        methods.find_map(|method| match method {
            Method::Sid => self.bound_by_session(head),
            Method::Cookie => self.bound_by_cookie(head),
        })
    }

    fn bound_by_session(&mut self, head: &Head<'_, '_>) -> Option<usize> {
        let bound = match self.upstream.sid.as_ref()?.read(head.method, head.target) {
            sid::Reading::Bound(bound) => bound,
            sid::Reading::Plain | sid::Reading::Handshake { .. } => {
                self.why
                    .push("It has no session id that binds it.".to_owned());
                return None;
            }
            sid::Reading::Forged => {
                let said = "Its session id is signed by none of the keys, so it counts as none.";
                self.why.push(said.to_owned());
                return None;
            }
        };
        let mut servers = self.pool().servers().iter().enumerate();
        let tagged = servers.find(|(_, server)| {
            *server.tag == *bound.tag && !self.names.contains(&server.name.to_string())
        });
        let (server, mut said) = match tagged {
            Some((index, server)) if !server.down => {
                let said = format!("Its session id is that of {}.", server.name);
                (Some(index), said)
            }
            Some((_, server)) => {
                let said = format!("Its session id is that of {}, which is down.", server.name);
                (None, said)
            }
            None if self.names.is_empty() => {
                (None, "Its session id is that of no server.".to_owned())
            }
            None => (
                None,
                format!(
                    "Its session id is that of no server, unless it is made from an address of {}: \
                     names are not looked up here.",
                    self.names.join(", ")
                ),
            ),
        };
        if server.is_none() && bound.is_only {
            said.push_str(
                " It is told \"Session ID unknown\"; its next handshake goes on as follows.",
            );
        }
        self.why.push(said);
        server
    }

    fn bound_by_cookie(&mut self, head: &Head<'_, '_>) -> Option<usize> {
        let sticky = self.upstream.cookie.as_ref()?;
        let name = sticky.name();
        let (mark, signer) = match sticky.read(head.fields.all("Cookie")) {
            Reading::Mark { mark, signer } => (mark, signer),
            Reading::Forged => return self.unbound(format!("No key signed its cookie {name}")),
            _ => return self.unbound(format!("It has no one cookie {name}")),
        };
        if signer == Signer::Old {
            let said = format!("An older key signed its cookie {name}, so it is set anew.");
            self.why.push(said);
        }
        let shown = format!("The cookie {name}={}", String::from_utf8_lossy(&mark));
        let mut servers = self.pool().servers().iter().enumerate();
        let marked = servers.find(|(_, server)| {
            *server.mark.as_bytes() == *mark && !self.names.contains(&server.name.to_string())
        });
        let (server, said) = match marked {
            Some((_, server)) if server.down => (
                None,
                format!(
                    "{shown} is that of {}, which is down, so it moves once.",
                    server.name
                ),
            ),
            Some((index, server)) => (Some(index), format!("{shown} is that of {}.", server.name)),
            None if self.names.is_empty() => {
                (None, format!("{shown} is nobody's, so it counts as none."))
            }
            None => (
                None,
                format!(
                    "{shown} is nobody's, unless it is the MD5 of an address of {}: names are not looked up here. \
                     A server's `route` makes its cookie known.",
                    self.names.join(", ")
                ),
            ),
        };
        self.why.push(said);
        server
    }

    fn unbound(&mut self, why: String) -> Option<usize> {
        let said = ", so it is bound to no server yet; the answer binds it.";
        self.why.push(why + said);
        None
    }

    /// The server that the method computes, if it computes one at all.
    fn balanced(
        &mut self,
        settings: &Settings,
        index: usize,
        head: &Head<'_, '_>,
    ) -> Option<usize> {
        let method = settings.upstreams.get(index)?.balance;
        let key = self.upstream.hash_key.as_ref();
        let key = key
            .map(|key| key.of(&self.client, head))
            .unwrap_or_default();
        let tried = Tried::default();
        let (pool, address) = (self.pool(), self.client.hash_bytes());
        let is_settled = pool.primaries() >= 2;
        let shown = String::from_utf8_lossy(&key).into_owned();
        let (server, said) = match method {
            _ if !is_settled => (None, "There is only one server to balance over.".to_owned()),
            Balance::IpHash => (
                ip_hash::pick(pool, address, &mut ip_hash::Chain::default(), &tried, 0),
                format!(
                    "ip_hash takes {} of {}, and the servers' order and weights.",
                    part(address),
                    self.client.address_text()
                ),
            ),
            Balance::Hash | Balance::HashConsistent if key.is_empty() => (
                None,
                "The hash key is empty for it, so the servers take turns.".to_owned(),
            ),
            Balance::Hash => (
                hash::pick(pool, &key, &mut hash::Chain::default(), &tried, 0),
                format!("hash takes the key {shown:?}, and the servers' order and weights."),
            ),
            Balance::HashConsistent => (
                hash_consistent::pick(pool, &key, &mut hash_consistent::Walk::default(), &tried, 0),
                format!(
                    "hash takes the key {shown:?} on a ring of the servers' addresses as the file has them."
                ),
            ),
            Balance::RoundRobin => (
                None,
                "round_robin gives servers their turns by weight.".to_owned(),
            ),
            Balance::LeastConn => (
                None,
                "least_conn takes whoever has the fewest requests and WebSockets for its weight."
                    .to_owned(),
            ),
            Balance::RandomTwo => (
                None,
                "random_two draws two by weight and takes the less loaded.".to_owned(),
            ),
        };
        self.why.push(said);
        let by_place = matches!(method, Balance::IpHash | Balance::Hash);
        if server.is_some() && by_place && has_names(settings, index) {
            self.why.push(
                "Names are not looked up here: each counts as one server, as it does while it has one address.".to_owned(),
            );
        }
        server
    }

    fn answer(mut self, server: Option<usize>) -> Answer {
        let in_service = |group| {
            let all = self.pool().group(group);
            all.filter(|(_, server)| !server.down).collect::<Vec<_>>()
        };
        let mut candidates = match server {
            Some(index) => {
                let all = self.pool().servers().iter().enumerate();
                all.filter(|(at, _)| *at == index)
                    .map(|(at, server)| (at, server.as_ref()))
                    .collect()
            }
            None => in_service(Group::Primary),
        };
        let mut said = Vec::new();
        if candidates.is_empty() {
            candidates = in_service(Group::Backup);
            said.push("Every server that is no backup is down.".to_owned());
        }
        let candidates: Vec<Candidate> = candidates
            .into_iter()
            .map(|(_, server)| Candidate {
                server: server.name.to_string(),
                weight: server.weight,
            })
            .collect();
        said.push("All this presumes that the servers are well and have room.".to_owned());
        self.why.extend(said);
        let server = match candidates.as_slice() {
            [only] => Some(only.server.clone()),
            _ => None,
        };
        Answer {
            upstream: Some(self.upstream.name.to_string()),
            server,
            candidates,
            why: self.why,
        }
    }
}

fn has_names(settings: &Settings, upstream: usize) -> bool {
    let servers = settings
        .upstreams
        .get(upstream)
        .map(|upstream| &upstream.servers);
    let mut servers = servers.into_iter().flatten();
    servers.any(|server| matches!(server.address, ServerAddress::Name { .. }))
}

fn part(address: HashBytes) -> &'static str {
    match address {
        HashBytes::Three(_) => "the first three numbers",
        HashBytes::Sixteen(_) => "the whole",
    }
}

#[cfg(test)]
mod tests;
