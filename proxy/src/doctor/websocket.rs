//! WebSockets as clients have them, by upgrade and from the start, in which no word ever reaches the app.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::clock::Stopwatch;
use crate::doctor::ask::{Asker, Opened, WebSocket};
use crate::doctor::packet::{self, Revision};
use crate::doctor::polling::{Cookies, Polling, Silence};
use crate::doctor::seen::{Fault, Idle, Upgrade};

/// Time for a server to answer a close.
const CLOSING: Duration = Duration::from_millis(300);

/// Upgrades a polling session, as clients do by default.
pub(super) async fn upgrade(asker: &Asker, revision: Revision) -> Upgrade {
    let (polling, handshake) = Polling::begin(asker, revision, Cookies::Kept).await;
    let Some(polling) = polling else {
        return Upgrade::NoSession(handshake);
    };
    let opened = asker
        .open(&polling.query("websocket"), polling.jar.header())
        .await;
    let mut websocket = match opened {
        Ok(Opened::WebSocket(websocket)) => websocket,
        Ok(Opened::Refused(answer)) => {
            polling.end().await;
            return Upgrade::Refused(answer);
        }
        Err(fault) => {
            polling.end().await;
            return Upgrade::Broken(fault);
        }
    };
    let patience = polling.patience();
    let probed = exchange(&mut websocket, patience, "2probe", |text| text == "3probe").await;
    if let Err(fault) = probed {
        polling.end().await;
        return Upgrade::Mute("answer to the probe", fault);
    }
    if let Err(fault) = say(&mut websocket, "5").await {
        return Upgrade::Mute("end of the upgrade", fault);
    }
    answered(*websocket, patience).await
}

/// Begins as a WebSocket.
pub(super) async fn begin(asker: &Asker, revision: Revision) -> Upgrade {
    let query = format!("{}&transport=websocket", revision.query());
    match asker.open(&query, None).await {
        Err(fault) => Upgrade::Broken(fault),
        Ok(Opened::Refused(answer)) => Upgrade::Refused(answer),
        Ok(Opened::WebSocket(mut websocket)) => {
            let patience = asker.dialer.patience;
            let is_open = |text: &str| packet::open_frame(text, revision).is_some();
            match hear(&mut websocket, patience, is_open).await {
                Err(fault) => Upgrade::Mute("handshake", fault),
                Ok(()) => answered(*websocket, patience).await,
            }
        }
    }
}

/// Asks the question over the WebSocket; then it has carried packets in both directions.
async fn answered(mut websocket: WebSocket, patience: Duration) -> Upgrade {
    let question = packet::question();
    let answer = exchange(&mut websocket, patience, &question, packet::is_answer).await;
    leave(websocket).await;
    match answer {
        Ok(()) => Upgrade::Works,
        Err(fault) => Upgrade::Mute("answer to a packet", fault),
    }
}

async fn say(websocket: &mut WebSocket, text: &str) -> Result<(), Fault> {
    let sent = websocket.send(Message::text(text)).await;
    sent.map_err(|_| Fault::Broken("the connection was cut".to_owned()))
}

async fn exchange(
    websocket: &mut WebSocket,
    patience: Duration,
    text: &str,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<(), Fault> {
    say(websocket, text).await?;
    hear(websocket, patience, is_wanted).await
}

/// Waits for one packet and lets others pass.
async fn hear(
    websocket: &mut WebSocket,
    patience: Duration,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<(), Fault> {
    let heard = async {
        loop {
            match websocket.next().await {
                Some(Ok(Message::Text(text))) if is_wanted(&text) => return Ok(()),
                Some(Ok(Message::Text(text))) if text.as_str() == "2" => {
                    say(websocket, "3").await?
                }
                Some(Ok(Message::Close(_))) => {
                    return Err(Fault::Broken("the WebSocket was closed".to_owned()));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => {
                    return Err(Fault::Broken("the connection was cut".to_owned()));
                }
            }
        }
    };
    let heard = timeout(patience, heard).await;
    heard.unwrap_or(Err(Fault::Silent(patience)))
}

/// In due form. Whether the server still hears it does not matter.
async fn leave(mut websocket: WebSocket) {
    if say(&mut websocket, "1").await.is_ok() {
        drop(timeout(CLOSING, websocket.close(None)).await);
    }
}

/// A WebSocket on which nothing is said until it is time for a ping, which comes from the server or, before revision 4,
/// from the client.
pub(super) async fn idle_websocket(asker: &Asker, revision: Revision, silence: Silence) -> Idle {
    let query = format!("{}&transport=websocket", revision.query());
    let mut websocket = match asker.open(&query, None).await {
        Ok(Opened::WebSocket(websocket)) => websocket,
        Ok(Opened::Refused(answer)) => return Idle::NotStarted(answer.to_string()),
        Err(fault) => return Idle::NotStarted(fault.to_string()),
    };
    let stopwatch = Stopwatch::start();
    let ended = match revision {
        Revision::Four => listen(&mut websocket, silence.most(), "2").await,
        Revision::Three => match listen(&mut websocket, silence.interval, "2").await {
            None => ping(&mut websocket, silence.late_max).await,
            ended => ended,
        },
    };
    let after = stopwatch.elapsed();
    match ended {
        Some(End::Heard) => {
            leave(*websocket).await;
            Idle::Alive(after)
        }
        Some(End::Closed(code)) => {
            Idle::Ended(after, format!("the WebSocket was closed with {code}"))
        }
        Some(End::Cut) => Idle::Cut(after),
        None => {
            leave(*websocket).await;
            Idle::Silent(after)
        }
    }
}

/// What ended a silence.
enum End {
    Heard,
    Closed(u16),
    Cut,
}

async fn ping(websocket: &mut WebSocket, patience: Duration) -> Option<End> {
    if say(websocket, "2").await.is_err() {
        return Some(End::Cut);
    }
    listen(websocket, patience, "3").await
}

/// Says nothing until this is heard, or the WebSocket ends. `None`: neither.
async fn listen(websocket: &mut WebSocket, patience: Duration, wanted: &str) -> Option<End> {
    let heard = async {
        loop {
            match websocket.next().await {
                Some(Ok(Message::Text(text))) if text.as_str() == wanted => return End::Heard,
                Some(Ok(Message::Close(frame))) => {
                    return End::Closed(frame.map_or(1005, |frame| u16::from(frame.code)));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return End::Cut,
            }
        }
    };
    timeout(patience, heard).await.ok()
}
