//! Which server a request would get, and why, from the settings alone: what `berth-proxy explain` says.
//!
//! Has `edge` read the request and `choose` decide, as for a real one, on servers of which nothing is known yet. Looks
//! up no name and asks no running proxy: what it presumes instead (`presume`) it says, with its reasons (`story`).

use std::fmt;

use serde::Serialize;

use crate::choose::{Asking, Attempt, Choice, NoServer, choose};
use crate::edge;
use crate::head;
use crate::health;
use crate::pool::{Group, Pool, Seconds};
use crate::refusal::Refusal;
use crate::request::Request;
use crate::settings::Settings;

mod presume;
mod question;
mod story;

pub use question::Question;
use story::Story;

/// Nothing has happened yet.
const NOW: Seconds = 0;

/// What becomes of the request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// `None`: no route is for it.
    pub upstream: Option<String>,
    /// `None`: nobody, or it depends on the moment: see `candidates`.
    pub server: Option<String>,
    /// Who may get it, in the order of the file. Only `server` if that is settled. With the refusal `session_gone` this
    /// is who may get the handshake that follows.
    pub candidates: Vec<Candidate>,
    /// In plain words, one sentence each. The words may change, unlike everything else here.
    pub why: Vec<String>,
    /// What `berth_sticky_requests_total` would count. `None`: the request is none of a sticky method.
    pub sticky: Option<Sticky>,
    /// What `berth_refusals_total` would count. `None`: a server gets the request.
    pub refusal: Option<&'static str>,
    /// Of the refusal.
    pub status: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Candidate {
    pub server: String,
    pub weight: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Sticky {
    pub method: &'static str,
    pub result: &'static str,
}

/// The question cannot be answered; says why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoAnswer(String);

impl fmt::Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let upstream = self.upstream.as_deref().unwrap_or_default();
        match (self.status, &self.server) {
            (Some(status), _) if upstream.is_empty() => write!(formatter, "nobody ({status})")?,
            (Some(status), _) => write!(formatter, "nobody of {upstream} ({status})")?,
            (None, Some(server)) => write!(formatter, "{server} of {upstream}")?,
            (None, None) => write!(formatter, "one of {upstream}, by the moment:")?,
        }
        if self.status.is_some() && !self.candidates.is_empty() {
            write!(formatter, "; then, for its next handshake:")?;
        }
        writeln!(formatter)?;
        if self.status.is_some() || self.server.is_none() {
            for Candidate { server, weight } in &self.candidates {
                writeln!(formatter, "  {server} (weight {weight})")?;
            }
        }
        self.why
            .iter()
            .try_for_each(|why| writeln!(formatter, "- {why}"))
    }
}

/// # Errors
/// When the question's words could not stand in a request, or name a server that is none.
pub fn explain(settings: &Settings, question: &Question<'_>) -> Result<Answer, NoAnswer> {
    let text = question.request()?;
    let mut room = head::room();
    let head = head::parse(text.as_bytes(), &mut room)
        .map_err(|refusal| NoAnswer::no_request(refusal.why()))?;
    let snapshot = presume::snapshot(settings, question.out)?;
    let asked = match edge::request(&snapshot, Some(question.ip), &head) {
        Ok(asked) => asked,
        Err(refusal) => {
            let shown = story::shown(&head);
            return Ok(Answer {
                why: vec![format!("No [[route]] covers {shown}.")],
                ..Answer::default().refused(refusal)
            });
        }
    };
    let mut story = Story::begin(&asked, presume::unknown_marks(settings, &asked.upstream));
    story.tell_route(question, &snapshot.trusted_proxies, &head);
    Ok(decide(&asked, story, question.out.is_empty()))
}

/// What the core decides about the request, and the rest of its story.
fn decide(asked: &Request, mut story: Story<'_>, is_presumed_well: bool) -> Answer {
    let upstream = &*asked.upstream;
    let mut answer = Answer {
        upstream: Some(upstream.name.to_string()),
        ..Answer::default()
    };
    let mut attempt = Attempt::default();
    // Sessions may begin: tokens for handshakes are among what is presumed.
    let asking = asked.asking(0, None);
    let mut chosen = choose(&upstream.pool, upstream.policy, asking, &mut attempt, NOW);
    story.tell_marks(&chosen);
    answer.sticky = sticky(asked, chosen);
    if chosen == Err(NoServer::SessionGone) {
        if story.tell_gone() {
            answer = answer.refused(Refusal::SessionGone);
        }
        attempt = Attempt::default();
        let next = without_only_marks(asking);
        chosen = choose(&upstream.pool, upstream.policy, next, &mut attempt, NOW);
    }
    match chosen {
        Ok(choice) => {
            let is_settled = story.tell_choice(choice, &attempt);
            answer.candidates = candidates(&upstream.pool, choice, &attempt, is_settled);
            if answer.refusal.is_none() {
                story.tell_cookie(choice, answer.candidates.len() == 1);
            }
        }
        Err(_) => {
            story.tell_nobody();
            answer = answer.refused(Refusal::NoServer);
        }
    }
    if let [only] = answer.candidates.as_slice()
        && answer.refusal.is_none()
    {
        answer.server = Some(only.server.clone());
    }
    answer.why = story.end(is_presumed_well);
    answer
}

/// As `Tries` counts it.
fn sticky(asked: &Request, chosen: Result<Choice, NoServer>) -> Option<Sticky> {
    let (method, result) = match chosen {
        Ok(choice) => {
            let method = choice.method.or_else(|| asked.method())?;
            (method, choice.affinity.label())
        }
        Err(NoServer::SessionGone) => (crate::affinity::Method::Sid, "gone"),
        Err(_) => return None,
    };
    Some(Sticky {
        method: method.label(),
        result,
    })
}

/// A handshake has no session that could be lost.
fn without_only_marks(asking: Asking<'_>) -> Asking<'_> {
    Asking {
        marks: asking.marks.map(|mark| mark.filter(|mark| !mark.is_only)),
        ..asking
    }
}

/// The chosen server if that is settled, else those who could have been chosen instead.
fn candidates(pool: &Pool, choice: Choice, attempt: &Attempt, is_settled: bool) -> Vec<Candidate> {
    let group = if choice.server < pool.primaries() {
        Group::Primary
    } else {
        Group::Backup
    };
    let chosen = pool.get(choice.server);
    let worst = chosen.and_then(|server| health::badness(server, NOW));
    let could_be = |index: usize, server: &crate::pool::Server| {
        if is_settled {
            index == choice.server
        } else if attempt.has_failed_open() {
            health::badness(server, NOW) == worst
        } else {
            health::may_serve(server, NOW)
        }
    };
    pool.group(group)
        .filter(|(index, server)| could_be(*index, server))
        .map(|(_, server)| Candidate {
            server: server.name.to_string(),
            weight: server.weight,
        })
        .collect()
}

impl Answer {
    fn refused(self, refusal: Refusal) -> Self {
        Self {
            refusal: Some(refusal.label()),
            status: Some(refusal.status()),
            ..self
        }
    }
}

impl NoAnswer {
    fn no_request(why: &str) -> Self {
        Self(format!("no request looks like this: {why}"))
    }
}

#[cfg(test)]
mod tests;
