//! An exchange that is a small HTTP/1.1 request and its answer.

use super::channel::Channel;
use super::drive::{Next, Scene, Session};
use super::tally::Failure;
use crate::head;

const BUFFER_BYTES: usize = 2048;

pub struct Http {
    channel: Channel,
    request: Vec<u8>,
    /// What the request is made of, as long as no cookie is known.
    wants_cookie: Option<String>,
    is_fresh: bool,
}

impl Session for Http {
    const NAME: &'static str = "http";

    async fn open(scene: &Scene, index: usize) -> Result<Self, Failure> {
        let stream = scene.target.connect(index).await;
        let stream = stream.map_err(|_| Failure::Connect)?;
        let last = if scene.plan.is_fresh {
            "Connection: close\r\n"
        } else {
            ""
        };
        let (path, host) = (&scene.target.path, &scene.target.host);
        let start = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{last}");
        Ok(Self {
            channel: Channel::new(stream, BUFFER_BYTES),
            request: format!("{start}\r\n").into_bytes(),
            wants_cookie: scene.plan.has_cookies.then_some(start),
            is_fresh: scene.plan.is_fresh,
        })
    }

    async fn once(&mut self) -> Result<Next, Failure> {
        self.channel.write(&self.request).await?;
        let end = loop {
            if let Some(end) = head::end(self.channel.bytes()) {
                break end;
            }
            self.channel.more().await?;
        };
        let answer = &self.channel.bytes()[..end];
        if head::status(answer) != Some(200) {
            return Err(Failure::Status);
        }
        // The backend gives it, so a proxy that changes it to something else has more to do than the others.
        let body_bytes = head::number(answer, "content-length").ok_or(Failure::Wrong)?;
        let closes = head::field(answer, "connection")
            .is_some_and(|value| value.eq_ignore_ascii_case(b"close"));
        let cookie = self
            .wants_cookie
            .as_ref()
            .and_then(|start| with_cookie(start, answer));
        self.channel.take(end);
        self.channel.discard(body_bytes).await?;
        if let Some(request) = cookie {
            self.request = request;
            self.wants_cookie = None;
        }
        Ok(if closes || self.is_fresh {
            Next::Reopen
        } else {
            Next::Same
        })
    }
}

fn with_cookie(start: &str, answer: &[u8]) -> Option<Vec<u8>> {
    let set = std::str::from_utf8(head::field(answer, "set-cookie")?).ok()?;
    let (pair, _attributes) = set.split_once(';').unwrap_or((set, ""));
    Some(format!("{start}Cookie: {pair}\r\n\r\n").into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_comes_back_without_its_attributes() {
        let answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: srv_id=a1; Path=/\r\n\r\n";
        let request = with_cookie("GET / HTTP/1.1\r\n", answer).unwrap();
        assert_eq!(request, b"GET / HTTP/1.1\r\nCookie: srv_id=a1\r\n\r\n");
        assert_eq!(
            with_cookie("GET / HTTP/1.1\r\n", b"HTTP/1.1 200 OK\r\n\r\n"),
            None
        );
    }
}
