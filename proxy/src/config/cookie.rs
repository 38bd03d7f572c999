//! `[upstream.NAME.cookie]`: the cookie that keeps a client on its server, in nginx's words.

use std::time::Duration;

use super::address::is_host_name;
use super::keys;
use super::quantity::quote;
use super::signature;
use super::table::{Node, Table};
use crate::settings::{Cookie, SameSite};

/// What `sticky = ["cookie"]` means without a table.
pub(super) fn default() -> Cookie {
    Cookie {
        name: keys::COOKIE_NAME.to_owned(),
        keys: Vec::new(),
        expires: None,
        domain: None,
        path: Some(keys::COOKIE_PATH.to_owned()),
        secure: false,
        httponly: false,
        samesite: None,
        partitioned: false,
    }
}

pub(super) fn read(node: &Node<'_>) -> Option<Cookie> {
    let mut table = node.table("upstream.NAME.cookie")?;
    let secure = table.flag("secure");
    let cookie = Cookie {
        secure,
        expires: expires(&mut table),
        domain: domain(&mut table),
        path: path(&mut table),
        httponly: table.flag("httponly"),
        samesite: samesite(&mut table, secure),
        partitioned: partitioned(&mut table, secure),
        name: name(&mut table),
        keys: signature::keys(&mut table),
    };
    report_prefix(&mut table, &cookie);
    table.finish();
    Some(cookie)
}

/// RFC 6265 §4.1.1 `cookie-octet`: what a cookie's value may hold without quotes.
pub(super) fn is_cookie_value(text: &str) -> bool {
    text.bytes()
        .all(|b| matches!(b, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e))
}

/// RFC 9110 §5.6.2 `token`: what a cookie's name is made of.
fn is_token(text: &str) -> bool {
    let is_mark = |b: u8| b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || is_mark(b))
}

fn name(table: &mut Table<'_>) -> String {
    let example = "a name such as \"srv_id\"";
    let Some(node) = table.get("name") else {
        return keys::COOKIE_NAME.to_owned();
    };
    let name = node.text(example).unwrap_or(keys::COOKIE_NAME);
    if !is_token(name) {
        node.wrong(format!(
            "{} cannot name a cookie; write {example}",
            quote(name)
        ));
    }
    name.to_owned()
}

fn expires(table: &mut Table<'_>) -> Option<Duration> {
    let node = table.get(keys::COOKIE_EXPIRES.name)?;
    if node.value.as_str() == Some("max") {
        node.wrong("\"max\" is longer than browsers keep a cookie; write \"400d\"");
        return None;
    }
    let expires = node.quantity(&keys::COOKIE_EXPIRES.bounds)?;
    if expires.subsec_nanos() != 0 {
        node.wrong(format!(
            "is not a number of whole seconds; write \"{}s\"",
            expires.as_secs() + 1
        ));
    }
    Some(expires)
}

fn domain(table: &mut Table<'_>) -> Option<String> {
    let node = table.get("domain")?;
    let domain = node.text("\".example.com\"")?;
    if !is_host_name(domain.strip_prefix('.').unwrap_or(domain)) {
        node.wrong(format!(
            "{} is not a domain; write \".example.com\", without scheme, port and path",
            quote(domain)
        ));
    }
    Some(domain.to_owned())
}

fn path(table: &mut Table<'_>) -> Option<String> {
    let Some(node) = table.get("path") else {
        return Some(keys::COOKIE_PATH.to_owned());
    };
    let path = node.text("\"/\"")?;
    if !path.starts_with('/') || !path.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b';') {
        node.wrong(format!(
            "{} is not a cookie's path; write \"/\"",
            quote(path)
        ));
    }
    Some(path.to_owned())
}

fn samesite(table: &mut Table<'_>, secure: bool) -> Option<SameSite> {
    let node = table.get("samesite")?;
    match node.text("\"lax\"")? {
        "strict" => Some(SameSite::Strict),
        "lax" => Some(SameSite::Lax),
        "none" => {
            if !secure {
                node.wrong("\"none\" without secure = true is a cookie that browsers drop; write secure = true beside it");
            }
            Some(SameSite::None)
        }
        word => {
            node.wrong(keys::unknown_word(word, &["strict", "lax", "none"]));
            None
        }
    }
}

fn partitioned(table: &mut Table<'_>, secure: bool) -> bool {
    let Some(node) = table.get("partitioned") else {
        return false;
    };
    let partitioned = node.flag().unwrap_or(false);
    if partitioned && !secure {
        node.wrong(
            "without secure = true is a cookie that browsers drop; write secure = true beside it",
        );
    }
    partitioned
}

/// RFC 6265bis §4.1.3: browsers drop a cookie whose name promises what its attributes do not keep.
fn report_prefix(table: &mut Table<'_>, cookie: &Cookie) {
    let Some(node) = table.get("name") else {
        return;
    };
    let name = cookie.name.to_ascii_lowercase();
    if name.starts_with("__host-") {
        if !cookie.secure || cookie.domain.is_some() || cookie.path.as_deref() != Some("/") {
            node.wrong("begins with __Host-, so browsers want secure = true, path = \"/\" and no domain; write these");
        }
    } else if name.starts_with("__secure-") && !cookie.secure {
        node.wrong(
            "begins with __Secure-, so browsers want secure = true; write it beside the name",
        );
    }
}
