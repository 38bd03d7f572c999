//! The sticky cookie: finds the server's mark in a request and writes it into a response.
//!
//! Owns the cookie's name, value and attributes (nginx's `sticky cookie`, wire order included). Never reads or
//! writes any other cookie. Invariant: **a value is only ever compared with the marks of servers that exist**, so a
//! forged, stale or ambiguous one is the same as none.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use md5::{Digest as _, Md5};

use crate::settings;

/// The mark of a client in one request, if it has exactly one.
///
/// `cookies` are the values of all `Cookie` headers. Two cookies of our name are no mark: nobody knows which is ours.
pub fn find<'a>(cookies: impl Iterator<Item = &'a [u8]>, name: &str) -> Option<&'a [u8]> {
    let mut marks = cookies
        .flat_map(|header| header.split(|byte| *byte == b';'))
        .filter_map(|pair| {
            pair.trim_ascii_start()
                .strip_prefix(name.as_bytes())?
                .strip_prefix(b"=")
        })
        .map(<[u8]>::trim_ascii_end);
    let mark = marks.next()?;
    marks.next().is_none().then_some(mark)
}

/// The mark of a server that was given no `route`: the hex MD5 of its address text, as nginx.
#[must_use]
pub fn mark_of(address: &str) -> String {
    let mut text = String::with_capacity(32);
    for byte in Md5::digest(address) {
        // Writing to a String cannot fail.
        let _written = write!(text, "{byte:02x}");
    }
    text
}

/// A cookie ready to be set.
#[derive(Clone, Debug)]
pub struct StickyCookie {
    name: String,
    expires: Option<Duration>,
    /// Everything after `max-age`.
    attributes: String,
}

impl StickyCookie {
    #[must_use]
    pub fn new(cookie: &settings::Cookie) -> Self {
        let mut attributes = String::new();
        let mut add = |name: &str, value: Option<&str>| {
            attributes.push_str("; ");
            attributes.push_str(name);
            if let Some(value) = value {
                attributes.push('=');
                attributes.push_str(value);
            }
        };
        if let Some(domain) = &cookie.domain {
            add("domain", Some(domain));
        }
        if cookie.httponly {
            add("httponly", None);
        }
        if cookie.secure {
            add("secure", None);
        }
        if let Some(samesite) = cookie.samesite {
            add("samesite", Some(samesite_text(samesite)));
        }
        if let Some(path) = &cookie.path {
            add("path", Some(path));
        }
        if cookie.partitioned {
            add("partitioned", None);
        }
        Self {
            name: cookie.name.clone(),
            expires: cookie.expires,
            attributes,
        }
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value of a `Set-Cookie` that binds the client to `mark`'s server.
    #[must_use]
    pub fn set(&self, mark: &str, now: SystemTime) -> String {
        let mut value = format!("{}={mark}", self.name);
        if let Some(expires) = self.expires {
            let until = httpdate::fmt_http_date(now + expires);
            // Writing to a String cannot fail.
            let _written = write!(value, "; expires={until}; max-age={}", expires.as_secs());
        }
        value.push_str(&self.attributes);
        value
    }
}

fn samesite_text(samesite: settings::SameSite) -> &'static str {
    match samesite {
        settings::SameSite::Strict => "strict",
        settings::SameSite::Lax => "lax",
        settings::SameSite::None => "none",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(headers: &[&str], found: Option<&str>) {
        let mark = find(headers.iter().map(|header| header.as_bytes()), "srv_id");
        assert_eq!(mark, found.map(str::as_bytes));
    }

    #[test]
    fn the_name_is_matched_exactly() {
        check(&["srv_id=a"], Some("a"));
        check(&["x=1; srv_id=a; y=2"], Some("a"));
        check(&["x=1;srv_id=a"], Some("a"));
        check(&["xsrv_id=a"], None);
        check(&["srv_id2=a"], None);
        check(&["SRV_ID=a"], None);
        check(&["srv_id"], None);
        check(&["x=srv_id=a"], None);
        check(&["srv_id=a=b "], Some("a=b"));
    }

    #[test]
    fn all_cookie_headers_are_read() {
        check(&["x=1", "srv_id=a"], Some("a"));
        check(&[], None);
    }

    #[test]
    fn two_marks_are_none() {
        check(&["srv_id=a; srv_id=b"], None);
        check(&["srv_id=a", "srv_id=a"], None);
    }

    #[test]
    fn marks_are_nginx_md5() {
        assert_eq!(
            mark_of("127.0.0.1:3000"),
            "01c2a3a6a99837796bad2f82f71dfc33"
        );
        assert_eq!(mark_of("10.0.0.1:3000"), "a8d53865b0c64347ad8a694d6fccaa68");
    }

    #[test]
    fn attributes_come_in_nginx_order() {
        let cookie = StickyCookie::new(&settings::Cookie {
            name: "srv_id".to_owned(),
            expires: Some(Duration::from_secs(3600)),
            domain: Some(".example.com".to_owned()),
            path: Some("/".to_owned()),
            secure: true,
            httponly: true,
            samesite: Some(settings::SameSite::None),
            partitioned: true,
        });
        assert_eq!(
            cookie.set("a", SystemTime::UNIX_EPOCH),
            "srv_id=a; expires=Thu, 01 Jan 1970 01:00:00 GMT; max-age=3600; domain=.example.com; \
             httponly; secure; samesite=none; path=/; partitioned"
        );
    }

    #[test]
    fn a_session_cookie_has_no_age() {
        let cookie = StickyCookie::new(&settings::Cookie {
            name: "s".to_owned(),
            expires: None,
            domain: None,
            path: None,
            secure: false,
            httponly: false,
            samesite: None,
            partitioned: false,
        });
        assert_eq!(cookie.set("a", SystemTime::UNIX_EPOCH), "s=a");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_fault(headers in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..4)) {
            let mark = find(headers.iter().map(Vec::as_slice), "srv_id");
            prop_assert!(mark.is_none_or(|mark| !mark.contains(&b';')));
        }

        #[test]
        fn what_is_set_is_found_among_other_cookies(value in "[a-z0-9]{1,32}", before in "[a-z]{1,5}=[a-z]{0,5}") {
            let header = format!("{before}; srv_id={value}");
            prop_assert_eq!(find(std::iter::once(header.as_bytes()), "srv_id"), Some(value.as_bytes()));
        }
    }
}
