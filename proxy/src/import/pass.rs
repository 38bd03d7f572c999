//! `proxy_pass`: whom it means, and whether it means the path as it came.

/// Where a `proxy_pass` goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target<'t> {
    /// The name of an `upstream` block, or `host:port`, `host`, `unix:/path`.
    pub(super) address: &'t str,
    /// What takes the place of the location's path; `None`: the path stays.
    pub(super) uri: Option<&'t str>,
}

pub(super) fn target(url: &str) -> Result<Target<'_>, &'static str> {
    let rest = match url.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => {
            return Err(
                "TLS to servers is not supported in this version; speak plain HTTP to them over a private network",
            );
        }
        _ => return Err("is not an http:// address; Berth speaks HTTP only"),
    };
    // The same as nothing behind the address.
    let rest = rest.strip_suffix("$request_uri").unwrap_or(rest);
    if rest.contains('$') {
        return Err(
            "goes where a variable says; write an [upstream.NAME] with the servers and a [[route]] for each host or path",
        );
    }
    // A socket's path ends at a colon: http://unix:/run/app.sock:/uri.
    let (address, uri) = match rest
        .strip_prefix("unix:")
        .and_then(|path| path.split_once(':'))
    {
        Some((path, uri)) => (
            rest.get(.."unix:".len() + path.len()).unwrap_or(rest),
            Some(uri),
        ),
        None if rest.starts_with("unix:") => (rest, None),
        None => match rest.find('/') {
            Some(slash) => {
                let (address, uri) = rest.split_at(slash);
                (address, Some(uri))
            }
            None => (rest, None),
        },
    };
    if address.is_empty() {
        return Err("names nobody; write http://NAME or http://HOST:PORT");
    }
    Ok(Target { address, uri })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_an_address_and_perhaps_a_path() {
        let of = |url| target(url).map(|target| (target.address, target.uri));
        assert_eq!(of("http://app"), Ok(("app", None)));
        assert_eq!(of("http://app/"), Ok(("app", Some("/"))));
        assert_eq!(of("http://app$request_uri"), Ok(("app", None)));
        assert_eq!(
            of("http://10.0.0.1:3000/x"),
            Ok(("10.0.0.1:3000", Some("/x")))
        );
        assert_eq!(of("http://[::1]:3000"), Ok(("[::1]:3000", None)));
        assert_eq!(
            of("http://unix:/run/a.sock"),
            Ok(("unix:/run/a.sock", None))
        );
        assert_eq!(
            of("http://unix:/run/a.sock:/x"),
            Ok(("unix:/run/a.sock", Some("/x")))
        );
        for url in ["https://app", "http://$app", "http://", "app", "http:///x"] {
            assert!(of(url).is_err(), "{url}");
        }
    }
}
