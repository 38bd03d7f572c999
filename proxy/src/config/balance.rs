//! `balance` and what belongs to it: how a server is chosen for a client that is bound to none.

use super::keys;
use super::quantity::quote;
use super::table::{Node, Table};
use crate::hash_key::{HashKey, NoKey};
use crate::settings::Balance;

/// The method, and the key if it hashes one.
pub(super) fn read(table: &mut Table<'_>) -> (Balance, Option<HashKey>) {
    let method = method(table);
    let (key, consistent) = (table.get("hash_key"), table.get("consistent"));
    let hash_key = key.as_ref().and_then(hash_key);
    let is_consistent = consistent.as_ref().and_then(Node::flag).unwrap_or(false);
    match method {
        Some(Balance::Hash) if key.is_none() => {
            table.missing(
                "hash_key",
                "is missing, and balance = \"hash\" needs it; write hash_key = \"$remote_addr\"",
            );
        }
        Some(Balance::Hash) | None => {}
        Some(_) => {
            for node in [key, consistent].iter().flatten() {
                let message = "has no effect, because balance is not \"hash\"; \
                               write balance = \"hash\", or leave it out";
                node.report.wrong(&node.key_place, &node.path, message);
            }
        }
    }
    match method {
        Some(Balance::Hash) if is_consistent => (Balance::HashConsistent, hash_key),
        Some(method) => (method, hash_key),
        None => (Balance::RoundRobin, hash_key),
    }
}

/// `None`: it cannot be read, and that was told.
fn method(table: &mut Table<'_>) -> Option<Balance> {
    let known = ["round_robin", "least_conn", "ip_hash", "hash", "random_two"];
    let Some(node) = table.get("balance") else {
        return Some(Balance::RoundRobin);
    };
    match node.text("\"ip_hash\"")? {
        "round_robin" => return Some(Balance::RoundRobin),
        "least_conn" => return Some(Balance::LeastConn),
        "ip_hash" => return Some(Balance::IpHash),
        "hash" => return Some(Balance::Hash),
        "random_two" => return Some(Balance::RandomTwo),
        "random" => node.wrong(
            "\"random\" would not look at the load; write \"random_two\", \
             nginx's random two least_conn",
        ),
        word => node.wrong(keys::unknown_word(word, &known)),
    }
    None
}

fn hash_key(node: &Node<'_>) -> Option<HashKey> {
    let text = node.text("\"$remote_addr\"")?;
    let shown = quote(text);
    let message = match HashKey::parse(text) {
        Ok(key) => return Some(key),
        Err(NoKey::NoVariable) => format!(
            "{shown} is the same for every request; write a variable, such as \"$remote_addr\""
        ),
        Err(NoKey::Malformed) => {
            format!("{shown} has a $ without a name; write a variable as \"$remote_addr\"")
        }
        Err(NoKey::UnknownVariable(name)) => unknown_variable(&name),
    };
    node.wrong(message);
    None
}

fn unknown_variable(name: &str) -> String {
    match keys::nearest(name, HashKey::VARIABLES.into_iter()) {
        Some(meant) => format!("${name} is an unknown variable; did you mean ${meant}?"),
        None => format!(
            "${name} is an unknown variable; the variables are ${}, ${}NAME",
            HashKey::VARIABLES.join(", $"),
            HashKey::PREFIXES.join("NAME, $")
        ),
    }
}

/// What the file calls the method, if it is one that aims at a certain server: nginx's know no `backup` and no
/// `slow_start`.
pub(super) fn aiming(balance: Balance) -> Option<&'static str> {
    match balance {
        Balance::RoundRobin | Balance::LeastConn => None,
        Balance::IpHash => Some("ip_hash"),
        Balance::Hash | Balance::HashConsistent => Some("hash"),
        Balance::RandomTwo => Some("random_two"),
    }
}
