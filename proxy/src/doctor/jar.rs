//! Cookies as a browser treats them: which it takes, which it sends back, and what each says about itself.

use crate::doctor::seen::Answer;
use crate::doctor::target::Target;

/// One `Set-Cookie`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetCookie {
    pub name: String,
    pub value: String,
    pub path: Option<String>,
    pub domain: Option<String>,
    /// In lower case.
    pub same_site: Option<String>,
    pub is_secure: bool,
    pub is_http_only: bool,
    pub is_partitioned: bool,
}

impl SetCookie {
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (name, value) = parts.next()?.split_once('=')?;
        let mut cookie = Self {
            name: name.trim().to_owned(),
            value: value.trim().to_owned(),
            ..Self::default()
        };
        for part in parts {
            let (word, value) = part.split_once('=').unwrap_or((part, ""));
            let value = value.trim();
            match word.trim().to_ascii_lowercase().as_str() {
                "path" if value.starts_with('/') => cookie.path = Some(value.to_owned()),
                "domain" if !value.is_empty() => {
                    let bare = value.trim_start_matches('.').to_ascii_lowercase();
                    cookie.domain = Some(bare);
                }
                "samesite" => cookie.same_site = Some(value.to_ascii_lowercase()),
                "secure" => cookie.is_secure = true,
                "httponly" => cookie.is_http_only = true,
                "partitioned" => cookie.is_partitioned = true,
                _ => {}
            }
        }
        (!cookie.name.is_empty()).then_some(cookie)
    }

    /// Why a browser on the same site never sends it back to where it came from.
    #[must_use]
    pub fn is_useless(&self, target: &Target) -> Option<String> {
        if self.is_secure && !target.is_secure && !target.is_local() {
            return Some("it is Secure, and the address is not https".to_owned());
        }
        if self.same_site.as_deref() == Some("none") && !self.is_secure {
            return Some("SameSite=None without Secure is refused by browsers".to_owned());
        }
        if let Some(domain) = &self.domain
            && !is_in_domain(&target.host, domain)
        {
            return Some(format!("its Domain={domain} is not that of the address"));
        }
        match &self.path {
            Some(path) if !covers(path, &target.path) => {
                Some(format!("its Path={path} does not cover {}", target.path))
            }
            _ => None,
        }
    }
}

fn is_in_domain(host: &str, domain: &str) -> bool {
    host == domain
        || host
            .strip_suffix(domain)
            .is_some_and(|rest| rest.ends_with('.'))
}

fn covers(cookie: &str, path: &str) -> bool {
    path.strip_prefix(cookie)
        .is_some_and(|rest| cookie.ends_with('/') || rest.is_empty() || rest.starts_with('/'))
}

/// What a browser would hold while one session lasts.
#[derive(Clone, Debug, Default)]
pub struct Jar {
    cookies: Vec<SetCookie>,
}

impl Jar {
    /// Takes what the answer sets, if a browser would send it back.
    pub fn take(&mut self, answer: &Answer, target: &Target) {
        let kept = answer.cookies();
        for cookie in kept.filter(|cookie| cookie.is_useless(target).is_none()) {
            self.cookies.retain(|old| old.name != cookie.name);
            self.cookies.push(cookie);
        }
    }

    /// The value of `Cookie`, if there is anything to send.
    #[must_use]
    pub fn header(&self) -> Option<String> {
        let pairs = self.cookies.iter();
        let pairs: Vec<String> = pairs
            .map(|cookie| format!("{}={}", cookie.name, cookie.value))
            .collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::{Jar, SetCookie};
    use crate::doctor::seen::Answer;
    use crate::doctor::target::Target;

    #[test]
    fn attributes_are_read_in_any_case() {
        let text = "srv_id=a; expires=Thu, 01 Jan 2037 00:00:00 GMT; PATH=/; secure; HttpOnly; samesite=None; Partitioned";
        let cookie = SetCookie::parse(text).unwrap();
        assert_eq!(
            (cookie.name.as_str(), cookie.value.as_str()),
            ("srv_id", "a")
        );
        assert!(cookie.is_secure && cookie.is_http_only && cookie.is_partitioned);
        assert_eq!(cookie.same_site.as_deref(), Some("none"));
        assert_eq!(cookie.path.as_deref(), Some("/"));
        assert_eq!(SetCookie::parse("nothing"), None);
    }

    #[test]
    fn a_browser_takes_only_what_it_would_send_back() {
        let check = |url: &str, cookie: &str| {
            let target = Target::parse(url, None).unwrap();
            let mut jar = Jar::default();
            jar.take(
                &Answer::example(200, &[("set-cookie", cookie)], ""),
                &target,
            );
            jar.header()
        };
        let kept = Some("a=1".to_owned());
        assert_eq!(check("http://a.b", "a=1"), kept);
        assert_eq!(check("http://a.b", "a=1; Path=/socket.io"), kept);
        assert_eq!(check("http://a.b", "a=1; Path=/socket"), None);
        assert_eq!(check("http://a.b", "a=1; Path=/app"), None);
        assert_eq!(check("http://a.b", "a=1; Secure"), None);
        assert_eq!(check("http://localhost", "a=1; Secure"), kept);
        assert_eq!(check("https://a.b", "a=1; Secure; SameSite=None"), kept);
        assert_eq!(check("https://a.b", "a=1; SameSite=None"), None);
        assert_eq!(check("https://x.a.b", "a=1; Domain=.a.b"), kept);
        assert_eq!(check("https://xa.b", "a=1; Domain=a.b"), None);
    }

    #[test]
    fn the_last_value_counts() {
        let target = Target::parse("http://a.b", None).unwrap();
        let mut jar = Jar::default();
        for value in ["a=1", "b=2", "a=3"] {
            jar.take(&Answer::example(200, &[("set-cookie", value)], ""), &target);
        }
        assert_eq!(jar.header().as_deref(), Some("b=2; a=3"));
    }
}
