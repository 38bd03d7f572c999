//! The reasons in plain words. Decides nothing: it is told what was chosen, and says what that follows from.

use ipnet::IpNet;

use super::NOW;
use super::question::Question;
use crate::affinity::sid::{Bound, Reading};
use crate::affinity::signature::Signer;
use crate::affinity::{Method, cookie};
use crate::choose::{Affinity, Attempt, Choice, NoServer};
use crate::client::{HashBytes, canonical};
use crate::head::Head;
use crate::health;
use crate::pool::{Endpoint, Server};
use crate::request::Request;
use crate::settings::Balance;

/// Whether the settings name it: they say something else than the address.
fn is_name(server: &Server) -> bool {
    matches!(&server.endpoint, Endpoint::Ip(address) if *server.configured != *address.to_string())
}

pub(super) struct Story<'r> {
    asked: &'r Request,
    /// Servers whose marks are not known.
    unknown: Vec<String>,
    why: Vec<String>,
}

pub(super) fn shown(head: &Head<'_, '_>) -> String {
    let host = String::from_utf8_lossy(head.host);
    format!("host {host:?} and path {:?}", head.target)
}

impl<'r> Story<'r> {
    pub(super) fn begin(asked: &'r Request, unknown: Vec<String>) -> Self {
        Self {
            asked,
            unknown,
            why: Vec::new(),
        }
    }

    fn say(&mut self, sentence: impl Into<String>) {
        self.why.push(sentence.into());
    }

    pub(super) fn tell_route(
        &mut self,
        question: &Question<'_>,
        trusted: &[IpNet],
        head: &Head<'_, '_>,
    ) {
        let upstream = &self.asked.upstream;
        self.say(format!(
            "For {} the upstream is {}.",
            shown(head),
            upstream.name
        ));
        let ip = canonical(question.ip);
        if trusted.iter().any(|network| network.contains(&ip)) {
            self.say("Its address is one of trusted_proxies, which speak for others: ask about the client behind it.");
        }
        if question.sid.is_some() && upstream.sid.is_none() {
            self.say("sticky does not list \"sid\", so its session id says nothing.");
        }
        if question.cookie.is_some() && upstream.cookie.is_none() && upstream.hash_key.is_none() {
            self.say("sticky does not list \"cookie\", so its cookies say nothing.");
        }
    }

    /// What the request carries of each sticky method, up to the one that decided.
    pub(super) fn tell_marks(&mut self, chosen: &Result<Choice, NoServer>) {
        for method in self.asked.upstream.sticky.into_iter().flatten() {
            let hit = chosen
                .ok()
                .filter(|choice| choice.affinity == Affinity::Hit && choice.method == Some(method));
            match method {
                Method::Sid => self.tell_session(hit),
                Method::Cookie => self.tell_cookies(hit),
            }
            let is_gone = *chosen == Err(NoServer::SessionGone) && method == Method::Sid;
            if hit.is_some() || is_gone {
                return;
            }
        }
    }

    fn tell_session(&mut self, hit: Option<Choice>) {
        let asked = self.asked;
        match &asked.sid {
            Reading::Plain => self.say("It has no session id that binds it."),
            Reading::Handshake { .. } => {
                self.say("It begins a session, whose id will name the server that it gets.");
            }
            Reading::Forged => self.say(
                "No key signed the server in its session id, so it counts as none; whoever gets it will not know the session.",
            ),
            Reading::Bound(Bound { tag, signer, .. }) => {
                let whose = format!("Its session id names {tag}");
                self.tell_mark(&whose, Method::Sid, hit);
                if *signer == Signer::Old {
                    self.say("An older key signed it: it is good until that key is taken away.");
                }
            }
        }
    }

    fn tell_cookies(&mut self, hit: Option<Choice>) {
        let asked = self.asked;
        let Some(sticky) = &asked.upstream.cookie else {
            return;
        };
        let name = sticky.name();
        match &asked.cookie {
            cookie::Reading::Absent => self.say(format!("It has no cookie {name}.")),
            cookie::Reading::Ambiguous => self.say(format!(
                "It has more than one cookie {name}: nobody knows which is right, so they count as none."
            )),
            cookie::Reading::Forged => self.say(format!(
                "No key signed its cookie {name} for this upstream, so it counts as none."
            )),
            cookie::Reading::Mark { mark, signer } => {
                let whose = format!("Its cookie {name} names {}", mark.escape_ascii());
                self.tell_mark(&whose, Method::Cookie, hit);
                if *signer == Signer::Old {
                    self.say("An older key signed it, so the answer sets it anew.");
                }
            }
        }
    }

    /// Whose mark it is, and what keeps that server from getting the request.
    fn tell_mark(&mut self, whose: &str, method: Method, hit: Option<Choice>) {
        let asked = self.asked;
        let pool = &asked.upstream.pool;
        if let Some(server) = hit.and_then(|choice| pool.get(choice.server)) {
            self.say(format!("{whose}, which is {}.", server.name));
            return;
        }
        let mark = asked.mark(method);
        let names = |server: &&Server| mark.is_some_and(|mark| mark.names(server));
        let named: Vec<String> = pool
            .servers()
            .iter()
            .map(AsRef::as_ref)
            .filter(names)
            .map(|server| format!("{}, which {}", server.name, trouble(server)))
            .collect();
        if !named.is_empty() {
            self.say(format!("{whose}, which is {}.", named.join(", and ")));
        } else if self.unknown.is_empty() {
            self.say(format!(
                "{whose}, which is no server here, so it counts as none."
            ));
        } else {
            self.say(format!(
                "{whose}, which is no server here, unless it is made from an address of {}: names are not looked up. \
                 A server's `route` makes its cookie and session ids known.",
                self.unknown.join(", ")
            ));
        }
    }

    /// The session cannot go on. `false`: that is not certain, because its server may be one that is not known here.
    pub(super) fn tell_gone(&mut self) -> bool {
        let asked = self.asked;
        let mark = asked.mark(Method::Sid);
        let mut servers = asked.upstream.pool.servers().iter();
        let is_known = servers.any(|server| mark.is_some_and(|mark| mark.names(server)));
        let is_certain = is_known || self.unknown.is_empty();
        let otherwise = if is_certain {
            ""
        } else {
            "If it is nobody's: "
        };
        self.say(format!(
            "{otherwise}It is told \"Session ID unknown\" (400), because no other server knows the session. The client \
             begins another one, of which this is true:"
        ));
        is_certain
    }

    /// What made the balance choose; tells whether it would always choose so.
    pub(super) fn tell_choice(&mut self, choice: Choice, attempt: &Attempt) -> bool {
        let upstream = &self.asked.upstream;
        let (pool, policy) = (&upstream.pool, upstream.policy);
        if attempt.has_failed_open() {
            self.say(
                "No server may serve, so by fail_open the least bad one is asked all the same.",
            );
        }
        if choice.affinity == Affinity::Hit {
            return true;
        }
        if choice.server >= pool.primaries() {
            self.say("No server that is no backup may serve, so the backups take turns by weight.");
            return false;
        }
        if pool.primaries() < 2 {
            self.say("There is only one server to balance over.");
            return false;
        }
        let is_settled = attempt.is_computed(policy.balance, &self.asked.hash_key);
        let said = self.method(policy.balance, is_settled);
        self.say(said);
        let by_place = matches!(policy.balance, Balance::IpHash | Balance::Hash);
        if is_settled && by_place && pool.servers().iter().any(|server| is_name(server)) {
            self.say("Names are not looked up here: each counts as one server, as it does while it has one address.");
        }
        is_settled
    }

    fn method(&self, balance: Balance, is_settled: bool) -> String {
        let key = String::from_utf8_lossy(&self.asked.hash_key);
        let client = &self.asked.client;
        match balance {
            Balance::IpHash => {
                let part = match client.hash_bytes() {
                    HashBytes::Three(_) => "the first three numbers",
                    HashBytes::Sixteen(_) => "the whole",
                };
                let end = if is_settled {
                    "and the servers' order and weights."
                } else {
                    "but met only servers that may not serve, so the others take turns."
                };
                format!("ip_hash takes {part} of {}, {end}", client.address_text())
            }
            Balance::Hash | Balance::HashConsistent if key.is_empty() => {
                "The hash key is empty for it, so the servers take turns.".to_owned()
            }
            Balance::Hash | Balance::HashConsistent if !is_settled => format!(
                "hash takes the key {key:?}, but met only servers that may not serve, so the others take turns."
            ),
            Balance::Hash => {
                format!("hash takes the key {key:?}, and the servers' order and weights.")
            }
            Balance::HashConsistent => format!(
                "hash takes the key {key:?} on a ring of the servers' addresses as the file has them."
            ),
            Balance::RoundRobin => "round_robin gives servers their turns by weight.".to_owned(),
            Balance::LeastConn => {
                "least_conn takes whoever has the fewest requests and WebSockets for its weight."
                    .to_owned()
            }
            Balance::RandomTwo => {
                "random_two draws two by weight and takes the less loaded.".to_owned()
            }
        }
    }

    /// What the answer does to the sticky cookie.
    pub(super) fn tell_cookie(&mut self, choice: Choice, is_settled: bool) {
        let upstream = &self.asked.upstream;
        let Some(sticky) = &upstream.cookie else {
            return;
        };
        let server = upstream.pool.get(choice.server);
        let is_bound = server.is_some_and(|server| self.asked.cookie.is_good_for(&server.mark));
        // Who signed an old one was told.
        let is_told = choice.affinity == Affinity::Hit && choice.method == Some(Method::Cookie);
        if !(is_told || is_settled && is_bound) {
            self.say(format!("The answer sets the cookie {}.", sticky.name()));
        }
    }

    pub(super) fn tell_nobody(&mut self) {
        self.say("No server may serve. fail_open = true would ask the least bad one all the same.");
    }

    pub(super) fn end(mut self, is_presumed_well: bool) -> Vec<String> {
        let which = if is_presumed_well { "the" } else { "the other" };
        let limit = match self.asked.upstream.handshakes {
            Some(_) => ", and that no limit of [handshakes] is reached",
            None => "",
        };
        self.say(format!(
            "All this presumes that {which} servers are well and have room{limit}."
        ));
        self.why
    }
}

fn trouble(server: &Server) -> &'static str {
    if server.down {
        "is down"
    } else if health::may_serve(server, NOW) {
        "did not take it"
    } else {
        "is out"
    }
}
