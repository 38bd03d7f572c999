//! The head of an HTTP/2 request in the shape of any other, so that everything that is decided by heads is decided alike.
//!
//! Owns the rules that the codec does not have. Names, values and the fields about connections were judged by it
//! (RFC 9113 §8.2), and so was that `:authority` and `Host` name the same host.

use http::Method;
use http::request::Parts;
use httparse::Header;

use super::{Body, FIELDS_MAX, Head, body, host, split_target};
use crate::refusal::Refusal;

/// The fields, with the `Host` that `:authority` stands for.
#[must_use]
pub fn fields(request: &Parts) -> Vec<Header<'_>> {
    let mut fields: Vec<Header<'_>> = request
        .headers
        .iter()
        .map(|(name, value)| Header {
            name: name.as_str(),
            value: value.as_bytes(),
        })
        .collect();
    if let Some(authority) = request.uri.authority()
        && !request.headers.contains_key(http::header::HOST)
    {
        fields.push(Header {
            name: "host",
            value: authority.as_str().as_bytes(),
        });
    }
    fields
}

/// Reads a head. `is_whole`: nothing follows it.
///
/// # Errors
/// As `head::parse`. CONNECT is never served, with or without a protocol (RFC 8441).
pub fn view<'r, 'b>(
    request: &'b Parts,
    fields: &'r [Header<'b>],
    is_whole: bool,
) -> Result<Head<'r, 'b>, Refusal> {
    if fields.len() > FIELDS_MAX {
        return Err(Refusal::TooManyFields);
    }
    if request.method == Method::CONNECT {
        return Err(Refusal::BadRequest("CONNECT is not served"));
    }
    let method = request.method.as_str();
    let target = request.uri.path_and_query();
    let target = target.map_or("", http::uri::PathAndQuery::as_str);
    let (None, path) = split_target(method, target)? else {
        return Err(Refusal::BadRequest("malformed target"));
    };
    let host = host(fields, true)?.unwrap_or_default();
    let body = match body(fields, true)? {
        Body::None if !is_whole && !has_length(fields) => Body::Chunked,
        body => body,
    };
    Ok(Head {
        method,
        target,
        path,
        host,
        is_http11: true,
        fields,
        body,
    })
}

fn has_length(fields: &[Header<'_>]) -> bool {
    let mut names = fields.iter().map(|field| field.name);
    names.any(|name| name.eq_ignore_ascii_case("Content-Length"))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::headers::Fields;

    fn parts(method: &str, uri: &str, fields: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[track_caller]
    fn refused(method: &str, uri: &str, fields: &[(&str, &str)]) -> Refusal {
        let parts = parts(method, uri, fields);
        let fields = super::fields(&parts);
        view(&parts, &fields, true).unwrap_err()
    }

    #[test]
    fn the_authority_is_the_host() {
        let parts = parts("GET", "https://a.example:8443/b?c=d", &[("x", "y")]);
        let fields = fields(&parts);
        let head = view(&parts, &fields, true).unwrap();
        assert_eq!(head.host, b"a.example:8443");
        assert_eq!((head.target, head.path), ("/b?c=d", &b"/b"[..]));
        assert_eq!(head.fields.first_of("Host"), Some(&b"a.example:8443"[..]));
        assert_eq!(head.body, Body::None);
    }

    #[test]
    fn a_body_without_a_length_is_known_to_follow() {
        let of = |fields: &[(&str, &str)], is_whole| {
            let parts = parts("POST", "https://a/", fields);
            let fields = super::fields(&parts);
            view(&parts, &fields, is_whole).unwrap().body
        };
        assert_eq!(of(&[], true), Body::None);
        assert_eq!(of(&[], false), Body::Chunked);
        assert_eq!(of(&[("content-length", "7")], false), Body::Length(7));
        assert_eq!(of(&[("content-length", "0")], false), Body::None);
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for (method, uri, fields) in [
            ("CONNECT", "a:80", &[][..]),
            ("GET", "https://user@a/", &[]),
            ("GET", "/", &[]),
            ("GET", "/", &[("host", "a"), ("host", "b")]),
            (
                "POST",
                "https://a/",
                &[("content-length", "1"), ("content-length", "1")],
            ),
            ("POST", "https://a/", &[("content-length", "+1")]),
        ] {
            let refusal = refused(method, uri, fields);
            assert_eq!(refusal.status(), 400, "{method} {uri} {fields:?}");
        }
        let many = vec![("x", "y"); FIELDS_MAX + 1];
        assert_eq!(refused("GET", "https://a/", &many), Refusal::TooManyFields);
    }
}
