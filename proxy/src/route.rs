//! Which upstream a request is for, by host and path.
//!
//! Owns the order of preference: an exact host beats any host, then the longest path prefix wins (bytes, as nginx's
//! `location /prefix`, so `/socket.io` also covers `/socket.io.js`). Does not know upstreams beyond their index.

use crate::settings;

/// All routes, ready to be asked.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    /// Best first, so the first match is the answer.
    ranked: Vec<settings::Route>,
}

impl Routes {
    /// No routes at all send everything to upstream 0.
    #[must_use]
    pub fn new(routes: &[settings::Route]) -> Self {
        let mut ranked = routes.to_vec();
        if ranked.is_empty() {
            ranked.push(settings::Route {
                host: None,
                path: "/".to_owned(),
                upstream: 0,
            });
        }
        // Stable: among equals the first in the file wins.
        ranked.sort_by_key(|route| (route.host.is_none(), usize::MAX - route.path.len()));
        Self { ranked }
    }

    /// The upstream for a `Host` value (port and case do not matter) and a path.
    #[must_use]
    pub fn find(&self, host: &[u8], path: &[u8]) -> Option<usize> {
        self.ranked
            .iter()
            .find(|route| {
                let host_matches = route
                    .host
                    .as_deref()
                    .is_none_or(|wanted| host_name(host).eq_ignore_ascii_case(wanted.as_bytes()));
                host_matches && path.starts_with(route.path.as_bytes())
            })
            .map(|route| route.upstream)
    }
}

/// `Host` without the port and without the root's dot.
#[must_use]
pub fn host_name(host: &[u8]) -> &[u8] {
    let end_of_address = host
        .iter()
        .rposition(|byte| *byte == b']')
        .map_or(0, |bracket| bracket + 1);
    let port = host
        .iter()
        .skip(end_of_address)
        .position(|byte| *byte == b':');
    let name = port.map_or(host, |colon| host.split_at(end_of_address + colon).0);
    name.strip_suffix(b".").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Routes are written `host/path`, `*` is any host; the answer is the route's place in the list.
    #[track_caller]
    fn check(routes: &[&str], host: &str, path: &str, found: Option<usize>) {
        let routes: Vec<_> = routes
            .iter()
            .enumerate()
            .map(|(upstream, route)| {
                let (host, path) = route.split_at(route.find('/').unwrap());
                settings::Route {
                    host: (host != "*").then(|| host.to_owned()),
                    path: path.to_owned(),
                    upstream,
                }
            })
            .collect();
        assert_eq!(
            Routes::new(&routes).find(host.as_bytes(), path.as_bytes()),
            found
        );
    }

    #[test]
    fn without_routes_everything_goes_to_the_first_upstream() {
        check(&[], "anything", "/x", Some(0));
    }

    #[test]
    fn the_longest_prefix_wins() {
        check(
            &["*/", "*/socket.io/", "*/socket"],
            "a",
            "/socket.io/?EIO=4",
            Some(1),
        );
        check(
            &["*/", "*/socket.io/", "*/socket"],
            "a",
            "/socketx",
            Some(2),
        );
        check(&["*/socket"], "a", "/other", None);
    }

    #[test]
    fn an_exact_host_beats_any_host() {
        check(
            &["*/socket.io/", "chat.example.com/"],
            "chat.example.com",
            "/socket.io/",
            Some(1),
        );
        check(
            &["*/socket.io/", "chat.example.com/"],
            "example.com",
            "/socket.io/",
            Some(0),
        );
        check(&["chat.example.com/"], "example.com", "/", None);
    }

    #[test]
    fn port_case_and_the_root_dot_do_not_matter() {
        check(
            &["chat.example.com/"],
            "Chat.Example.COM.:8080",
            "/",
            Some(0),
        );
        check(&["[::1]/"], "[::1]:8080", "/", Some(0));
    }
}
