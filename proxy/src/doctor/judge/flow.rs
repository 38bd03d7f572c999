//! How bytes flow: are waiting connections cut, are packets held back, are large ones refused?

use std::time::Duration;

use crate::doctor::finding::Finding;
use crate::doctor::seen::{Body, Fate, Fault, Idle, Seen, fate, said, seconds};

/// A packet that waits longer on its way is held back by something.
const PROMPT_MAX: Duration = Duration::from_secs(2);

pub(super) fn findings(seen: &Seen) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(seen.live_poll.as_ref().map(live_poll));
    findings.extend(seen.body.as_ref().map(body));
    if seen.is_quick && seen.opening.as_ref().is_some_and(Result::is_ok) {
        findings.push(Finding::unknown(
            "idle",
            "not checked with --quick: are waiting connections cut before the server's ping?",
        ));
    }
    let patience = seen
        .open()
        .map(|open| open.ping_interval + open.ping_timeout);
    let websocket = seen.idle_websocket.as_ref();
    findings
        .extend(websocket.map(|idle| idle_finding("idle_websocket", "WebSocket", idle, patience)));
    let poll = seen.idle_poll.as_ref();
    findings.extend(poll.map(|idle| idle_finding("idle_poll", "poll", idle, patience)));
    findings
}

fn live_poll(delay: &Result<Duration, Fault>) -> Finding {
    let id = "live_poll";
    match delay {
        Ok(delay) if *delay <= PROMPT_MAX => {
            Finding::ok(id, format!("a packet reached the poll that waited for it after {}", seconds(*delay)))
        }
        Ok(delay) => Finding::warning(id, format!("a packet reached the poll that waited for it only after {}", seconds(*delay)))
            .means("Something holds answers back, or the server is slow.")
            .change("Switch buffering off for this path (nginx: proxy_buffering off), and look at the server's load."),
        Err(fault) => Finding::unknown(id, format!("a poll that waited while a packet was sent: {fault}"))
            .means("If affinity is well, something holds answers back or forbids two requests at once."),
    }
}

fn body(Body { bytes, reply }: &Body) -> Finding {
    let id = "body";
    match reply {
        Ok(answer) if answer.status == 413 => Finding::problem(id, format!("{answer} to a packet of {bytes} bytes, which the server's handshake allows"))
            .means("A proxy has a smaller limit: large messages of polling clients fail, and their sessions with them.")
            .change("Raise the proxy's limit above the server's maxHttpBufferSize (nginx: client_max_body_size, Berth: body_bytes_max), or lower that."),
        _ if fate(reply) == Fate::Kept => Finding::ok(id, format!("a packet of {bytes} bytes arrived")),
        _ if fate(reply) == Fate::Lost => Finding::unknown(id, format!("a packet of {bytes} bytes met no session")),
        _ => Finding::warning(id, format!("a packet of {bytes} bytes: {}", said(reply)))
            .means("Large messages may not get through.")
            .change("Look at the limits on bodies and on time in every proxy between."),
    }
}

fn idle_finding(id: &'static str, what: &str, idle: &Idle, patience: Option<Duration>) -> Finding {
    match idle {
        Idle::Alive(after) => Finding::ok(id, format!("a silent {what} lived until the ping, {} later", seconds(*after))),
        Idle::Cut(after) => cut(id, format!("a silent {what} was cut after {}", seconds(*after)), *after, patience),
        Idle::Moved(after) => cut(id, format!("a silent {what} was taken from its server after {} and given to another", seconds(*after)), *after, patience),
        Idle::Ended(after, how) if how.starts_with("504") || how.starts_with("408") => {
            cut(id, format!("a silent {what} was answered {how} after {}", seconds(*after)), *after, patience)
        }
        Idle::Ended(after, how) => Finding::warning(id, format!("a silent {what} was ended after {}: {how}", seconds(*after)))
            .means("Somebody closed it in due form before the server's ping: the server itself (connectTimeout), or a proxy that stops or reloads.")
            .change("Examine again; if the time is the same, look for a limit of that length."),
        Idle::Silent(after) => Finding::problem(id, format!("a silent {what} got no ping within {}", seconds(*after)))
            .means("Clients take the connection for dead and reconnect.")
            .change("If WebSockets and polls are well otherwise, something between swallows the server's packets; ask a server directly."),
        Idle::NotStarted(why) => Finding::unknown(id, format!("not checked: {why}")),
        Idle::TooLong(interval) => Finding::unknown(
            id,
            format!("not checked: the server pings only every {}, and closes clients that join nothing sooner", seconds(*interval)),
        ),
    }
}

fn cut(id: &'static str, text: String, after: Duration, patience: Option<Duration>) -> Finding {
    let needed = patience.map_or_else(String::new, |patience| {
        format!(", {} here", seconds(patience))
    });
    Finding::problem(id, text)
        .means(format!(
            "A proxy between cuts idle connections after {}, before the server's ping. Clients reconnect again and again.",
            seconds(after)
        ))
        .change(format!(
            "Every idle timeout on the way must exceed pingInterval + pingTimeout{needed}: nginx proxy_read_timeout and proxy_send_timeout, \
             HAProxy timeout tunnel and timeout server, a cloud balancer's idle timeout, Berth idle_timeout."
        ))
}
