//! The request that is asked about, put together from words.

use std::net::IpAddr;

use super::NoAnswer;

/// A request, as far as it decides anything, and what is to be supposed of the servers.
#[derive(Clone, Copy, Debug)]
pub struct Question<'q> {
    /// The client, as the proxy sees it behind its trusted proxies.
    pub ip: IpAddr,
    pub host: &'q str,
    /// With the query, if it has one.
    pub path: &'q str,
    /// The value of the `Cookie` header.
    pub cookie: Option<&'q str>,
    /// The Engine.IO session id, which is put into the path's query.
    pub sid: Option<&'q str>,
    /// Servers that fail, as the settings call them.
    pub out: &'q [String],
}

impl Question<'_> {
    /// The head of the request.
    pub(super) fn request(&self) -> Result<String, NoAnswer> {
        let cookie = self.cookie.unwrap_or_default();
        let words = [self.host, self.path, cookie];
        if words.iter().any(|text| text.contains(char::is_control)) {
            return Err(NoAnswer::no_request("a control character"));
        }
        let (target, host) = (self.target()?, self.host);
        Ok(format!(
            "GET {target} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n\r\n"
        ))
    }

    /// The path with the session id, as a client sends it.
    fn target(&self) -> Result<String, NoAnswer> {
        let Some(sid) = self.sid else {
            return Ok(self.path.to_owned());
        };
        let (path, query) = self.path.split_once('?').unwrap_or((self.path, ""));
        let has = |name: &str| {
            let mut names = query.split('&').map(|pair| pair.split('=').next());
            names.any(|found| found == Some(name))
        };
        if has("sid") {
            let why = "the path has a session id of its own; leave out one of the two";
            return Err(NoAnswer(why.to_owned()));
        }
        let mut pairs: Vec<String> = Vec::new();
        if !query.is_empty() {
            pairs.push(query.to_owned());
        }
        for (name, value) in [("EIO", "4"), ("transport", "polling")] {
            if !has(name) {
                pairs.push(format!("{name}={value}"));
            }
        }
        pairs.push(format!("sid={}", encoded(sid)));
        Ok(format!("{path}?{}", pairs.join("&")))
    }
}

/// As `encodeURIComponent`, but what was copied out of a URL stays as it is.
fn encoded(sid: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~!*'()%".contains(&byte);
    sid.bytes()
        .map(|byte| {
            if is_plain(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}
