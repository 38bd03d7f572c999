//! `sticky` of an upstream: the methods that keep a client on its server, in order, and each method's table.

use super::cookie;
use super::keys;
use super::sid;
use super::table::{Node, Table};
use crate::settings::Sticky;

const METHODS: [&str; 2] = ["sid", "cookie"];

pub(super) fn read(table: &mut Table<'_>) -> Vec<Sticky> {
    let example = "[\"sid\", \"cookie\"], or leave it out to rely on balance alone";
    let methods = table.get("sticky");
    let tables = METHODS.map(|method| table.get(method));
    // Read even if no method asks for them: their own mistakes are told in the same run.
    let [sid, cookie] = &tables;
    let sid = sid.as_ref().map_or_else(|| Some(sid::default()), sid::read);
    let cookie = cookie
        .as_ref()
        .map_or_else(|| Some(cookie::default()), cookie::read);

    let mut listed = Vec::new();
    let mut sticky = Vec::new();
    for item in methods
        .iter()
        .filter_map(|node| node.list(example))
        .flatten()
    {
        let Some(word) = item.text("\"sid\"") else {
            continue;
        };
        if listed.contains(&word) {
            item.wrong("is listed twice; leave one of the two out");
        }
        match word {
            "sid" => sticky.extend(sid.clone().map(Sticky::Sid)),
            "cookie" => sticky.extend(cookie.clone().map(Sticky::Cookie)),
            _ => item.wrong(keys::unknown_word(word, &METHODS)),
        }
        listed.push(word);
    }
    // If it is of the wrong type, which was told above, what it would have listed is unknown.
    if methods.is_none_or(|node| node.value.is_array()) {
        for (method, node) in METHODS.iter().zip(&tables) {
            if let Some(node) = node.as_ref().filter(|_| !listed.contains(method)) {
                without_effect(method, node);
            }
        }
    }
    sticky
}

fn without_effect(method: &str, node: &Node<'_>) {
    let message = format!(
        "has no effect, because sticky does not list it; \
         write sticky = [\"{method}\"] in the upstream, or leave this table out"
    );
    node.report.wrong(&node.key_place, &node.path, message);
}
