//! The head of a request as a server gets it.
//!
//! Everything that is not ours passes unchanged, in its order and spelling; what ends at this hop is left out, and what
//! the server is told about the client is added.

use std::borrow::Cow;

use super::{Body, Head};
use crate::headers::{self, Forwarded, push_field};

/// A usual head and what is added to it.
const CAPACITY: usize = 1024;

/// The head for a server, without the fields about the connection and without the end.
///
/// `target` is what the server is asked for, in any form; `without` is a field that is left out.
#[must_use]
pub fn for_server(
    head: &Head<'_, '_>,
    target: &str,
    forwarded: &Forwarded,
    without: Option<&str>,
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(CAPACITY);
    for part in [head.method, " ", &origin_form(target), " HTTP/1.1\r\n"] {
        bytes.extend_from_slice(part.as_bytes());
    }
    let ending = headers::Ending::of(head.fields);
    let mut has_host = false;
    for field in head.fields {
        let is = |name: &str| field.name.eq_ignore_ascii_case(name);
        if is("Host") {
            // The target's host is the one that counts (RFC 9112 §3.2.2), and the target loses it here.
            push_field(&mut bytes, field.name, head.host);
            has_host = true;
        } else if is("Content-Length") {
            push_length(&mut bytes, field.name, head.body);
        } else if !without.is_some_and(is) && !ending.has(field.name) {
            push_field(&mut bytes, field.name, field.value);
        }
    }
    if !has_host {
        // HTTP/1.0 needs none, HTTP/1.1 does.
        push_field(&mut bytes, "Host", head.host);
    }
    if head.body == Body::Chunked {
        push_field(&mut bytes, "Transfer-Encoding", b"chunked");
    }
    forwarded.push(&mut bytes);
    bytes
}

/// The length as the proxy read it: with leading zeros others could take it for octal.
fn push_length(bytes: &mut Vec<u8>, name: &str, body: Body) {
    let length = match body {
        Body::Length(length) => length,
        Body::None | Body::Chunked => 0,
    };
    push_field(bytes, name, itoa::Buffer::new().format(length).as_bytes());
}

/// Path and query of a target; a server that is no proxy may not know the absolute form (RFC 9112 §3.2.2).
fn origin_form(target: &str) -> Cow<'_, str> {
    if target.starts_with('/') {
        return Cow::Borrowed(target);
    }
    let Some((_, rest)) = target.split_once("://") else {
        return Cow::Borrowed(target);
    };
    match rest.find(['/', '?']).map(|at| rest.split_at(at)) {
        Some((_, path)) if path.starts_with('/') => Cow::Borrowed(path),
        Some((_, query)) => Cow::Owned(format!("/{query}")),
        None => Cow::Borrowed("/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn written(request: &str) -> String {
        let mut room = crate::head::room();
        let head = crate::head::parse(request.as_bytes(), &mut room).unwrap();
        let forwarded = Forwarded {
            real_ip: "192.0.2.1".into(),
            hops: Vec::new(),
            proto: "http",
        };
        String::from_utf8(for_server(&head, head.target, &forwarded, None)).unwrap()
    }

    #[test]
    fn a_server_is_told_the_host_that_was_routed_by() {
        let asked = written("GET http://a/x HTTP/1.1\r\nhost:A\r\n\r\n");
        assert!(asked.starts_with("GET /x HTTP/1.1\r\nhost: a\r\n"));
        let asked = written("GET http://a/x HTTP/1.0\r\n\r\n");
        assert!(asked.starts_with("GET /x HTTP/1.1\r\nHost: a\r\n"));
    }

    #[test]
    fn a_length_is_written_as_it_was_read() {
        for (length, told) in [("0010", "10"), ("10", "10"), ("00", "0")] {
            let asked = written(&format!(
                "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"
            ));
            assert!(
                asked.contains(&format!("Content-Length: {told}\r\n")),
                "{asked}"
            );
        }
    }

    #[test]
    fn servers_are_asked_in_origin_form() {
        for (target, asked) in [
            ("/a?b=http://c", "/a?b=http://c"),
            ("*", "*"),
            ("http://h/a?b", "/a?b"),
            ("HTTP://h:80", "/"),
            ("http://h?x", "/?x"),
        ] {
            assert_eq!(origin_form(target), asked);
        }
    }
}
