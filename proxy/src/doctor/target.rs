//! Whom to examine, for whom, and whether browsers count the two as one site.

use http::Uri;

/// Where Socket.IO is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub is_secure: bool,
    /// Without brackets if it is an IPv6 address.
    pub host: String,
    pub port: u16,
    /// Begins and ends with a slash.
    pub path: String,
}

/// Where the page comes from that opens the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// As a browser writes it.
    pub text: String,
    is_secure: bool,
    host: String,
}

/// The words on the command line name no target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Misnamed(String);

const DEFAULT_PATH: &str = "/socket.io/";

impl Target {
    /// # Errors
    /// When the address is no http, https, ws or wss URL, or the path is none.
    pub fn parse(url: &str, path: Option<&str>) -> Result<Self, Misnamed> {
        let (is_secure, uri) = parts(url)?;
        let own = Some(uri.path()).filter(|path| !matches!(*path, "" | "/"));
        let path = path.or(own).unwrap_or(DEFAULT_PATH);
        let is_path = path.starts_with('/')
            && path
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte));
        if !is_path {
            return Err(Misnamed(format!(
                "{path:?} is no path; write {DEFAULT_PATH}"
            )));
        }
        let end = if path.ends_with('/') { "" } else { "/" };
        Ok(Self {
            is_secure,
            host: host(&uri),
            port: uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 }),
            path: format!("{path}{end}"),
        })
    }

    /// `host:port` as it stands in `Host`: without the port that the scheme implies.
    #[must_use]
    pub fn authority(&self) -> String {
        authority(self.is_secure, &self.host, self.port)
    }

    /// Without the path.
    #[must_use]
    pub fn base(&self) -> String {
        let scheme = if self.is_secure { "https" } else { "http" };
        format!("{scheme}://{}", self.authority())
    }

    /// Browsers take this machine's own names for secure, also without TLS.
    #[must_use]
    pub fn is_local(&self) -> bool {
        let is_name = self.host == "localhost" || self.host.ends_with(".localhost");
        is_name
            || self
                .host
                .parse()
                .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
    }

    /// Whether a browser sends `SameSite=Lax` cookies from a page of that origin.
    #[must_use]
    pub fn is_same_site(&self, origin: &Origin) -> bool {
        self.is_secure == origin.is_secure && site(&self.host) == site(&origin.host)
    }
}

impl Origin {
    /// # Errors
    /// When it is no http or https URL.
    pub fn parse(text: &str) -> Result<Self, Misnamed> {
        let (is_secure, uri) = parts(text)?;
        let host = host(&uri);
        let scheme = if is_secure { "https" } else { "http" };
        let port = uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        Ok(Self {
            text: format!("{scheme}://{}", authority(is_secure, &host, port)),
            is_secure,
            host,
        })
    }
}

fn parts(url: &str) -> Result<(bool, Uri), Misnamed> {
    let refuse = |why: &str| Misnamed(format!("{url:?} {why}; write https://chat.example.com"));
    let uri: Uri = url.parse().map_err(|_| refuse("is no URL"))?;
    let scheme = uri.scheme().ok_or_else(|| refuse("has no scheme"))?;
    let is_secure = match scheme.as_str() {
        "https" | "wss" => true,
        "http" | "ws" => false,
        _ => return Err(refuse("is neither http nor https")),
    };
    let authority = uri.authority().map(http::uri::Authority::as_str);
    if authority.is_some_and(|authority| authority.contains('@')) {
        return Err(refuse("carries a user, which is not sent"));
    }
    if uri.host().is_none_or(str::is_empty) {
        return Err(refuse("names no host"));
    }
    Ok((is_secure, uri))
}

fn host(uri: &Uri) -> String {
    let host = uri.host().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.to_ascii_lowercase()
}

fn authority(is_secure: bool, host: &str, port: u16) -> String {
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    match (is_secure, port) {
        (true, 443) | (false, 80) => host,
        _ => format!("{host}:{port}"),
    }
}

/// What browsers call a site, without their list of public suffixes: under a country's two letters a short label
/// before it (`co.uk`, `com.au`) counts as part of the suffix.
fn site(host: &str) -> &str {
    if host.parse::<std::net::IpAddr>().is_ok() {
        return host;
    }
    let dots: Vec<usize> = host.rmatch_indices('.').map(|(at, _)| at).collect();
    let suffix_labels = match dots.as_slice() {
        [last, before, ..] if host.len() - last == 3 && last - before <= 4 => 2,
        _ => 1,
    };
    match dots.get(suffix_labels) {
        Some(at) => &host[at + 1..],
        None => host,
    }
}

#[cfg(test)]
mod tests {
    use super::{Origin, Target};

    #[test]
    fn urls_become_targets() {
        let check = |url: &str, path: Option<&str>| {
            Target::parse(url, path)
                .map(|target| format!("{} {}", target.base(), target.path))
                .map_err(|error| error.to_string())
        };
        let good = |text: &str| Ok(text.to_owned());
        assert_eq!(
            check("https://Chat.example.com", None),
            good("https://chat.example.com /socket.io/")
        );
        assert_eq!(
            check("wss://a.b:443/", None),
            good("https://a.b /socket.io/")
        );
        assert_eq!(
            check("http://a.b:3000/ws", None),
            good("http://a.b:3000 /ws/")
        );
        assert_eq!(check("http://a.b/ws/", Some("/x")), good("http://a.b /x/"));
        assert_eq!(
            check("http://[::1]:80", None),
            good("http://[::1] /socket.io/")
        );
        for (bad, path) in [
            ("chat.example.com", None),
            ("ftp://a.b", None),
            ("https://u:p@a.b", None),
            ("", None),
            ("http://a.b", Some("x")),
            ("http://a.b", Some("/a?b")),
        ] {
            assert!(check(bad, path).is_err(), "{bad}");
        }
    }

    #[test]
    fn sites_are_what_browsers_mean() {
        let check = |url: &str, origin: &str| {
            let target = Target::parse(url, None).unwrap();
            target.is_same_site(&Origin::parse(origin).unwrap())
        };
        assert!(check("https://io.example.com", "https://www.example.com"));
        assert!(check("https://example.com:8443", "https://example.com"));
        assert!(check("http://127.0.0.1:1", "http://127.0.0.1:2"));
        assert!(!check("http://127.0.0.1:1", "http://127.0.0.2:1"));
        assert!(!check("https://io.example.com", "http://www.example.com"));
        assert!(!check("https://io.example.com", "https://example.org"));
        assert!(!check("https://a.co.uk", "https://b.co.uk"));
        assert!(check("https://x.a.co.uk", "https://a.co.uk"));
        assert!(check("https://example.de", "https://www.example.de"));
    }

    #[test]
    fn loopback_is_local() {
        let is_local = |url: &str| Target::parse(url, None).unwrap().is_local();
        assert!(is_local("http://localhost:1"));
        assert!(is_local("http://[::1]:1"));
        assert!(!is_local("http://example.com"));
    }
}
