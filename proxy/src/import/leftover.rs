//! The last look over a configuration: a directive that neither became part of the result nor was spoken of is told.
//!
//! Owns the promise that nothing is dropped silently, whatever the translation forgot.

use std::collections::BTreeSet;

use super::draft::Draft;
use super::note::{Notes, Origin};
use super::tree::Directive;
use super::words;

const IDLE: &str = "says what Berth does anyway, or concerns nothing that Berth takes over";
const UNREACHED: &str =
    "no plain host name leads to it in nginx, so it got no [[route]]; write one if it is needed";
const MISPLACED: &str =
    "does not stand where nginx would heed it, so it is left out; nginx -t says more";

/// Tells of every directive in `tree` that nobody has told of.
pub(super) fn tell(tree: &[Directive], draft: &Draft, notes: &mut Notes) {
    let mut known = draft.origins();
    known.extend(notes.told());
    for directive in tree {
        sweep(directive, draft, &known, notes);
    }
}

fn sweep(directive: &Directive, draft: &Draft, known: &BTreeSet<Origin>, notes: &mut Notes) {
    let origin = Origin::from(directive);
    let is_known = known.contains(&origin);
    match directive.name.as_str() {
        "http" | "server" | "events" if directive.block.is_some() => {
            for inner in directive.inner() {
                sweep(inner, draft, known, notes);
            }
        }
        // What stands in a location or an upstream that is not taken over is gone with it.
        "location" => {
            let holds_others = has_known_location(directive, known);
            let is_taken = holds_others
                || notes.is_same(&origin)
                || draft.routes.iter().any(|route| route.origin == origin);
            for inner in directive.inner() {
                if is_taken || inner.name == "location" {
                    sweep(inner, draft, known, notes);
                }
            }
            let is_explained = |inner: &Directive| {
                inner.name == "proxy_pass" && known.contains(&inner.into()) && !notes.is_same(inner)
            };
            let is_told = is_known || directive.inner().iter().any(is_explained);
            if !is_told && !holds_others {
                notes.changes(directive, UNREACHED);
            }
        }
        "upstream" if is_known => {
            let mut upstreams = draft.upstreams.iter();
            let is_taken = upstreams.any(|upstream| upstream.origin == origin);
            for inner in directive.inner().iter().filter(|_| is_taken) {
                if !known.contains(&inner.into()) {
                    notes.harmless(inner, "is overruled by another line of the same block");
                }
            }
        }
        "upstream" | "proxy_pass" if !is_known => notes.changes(directive, MISPLACED),
        name if is_known || words::is_judged(name) => {}
        _ => notes.harmless(directive, IDLE),
    }
}

fn has_known_location(directive: &Directive, known: &BTreeSet<Origin>) -> bool {
    let mut inner = directive.inner().iter();
    inner.any(|inner| {
        inner.name == "location"
            && (known.contains(&inner.into()) || has_known_location(inner, known))
    })
}
