//! A small Socket.IO client for tests that must see every packet. The official one speaks in `tests/js`.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use crate::eventually::within;
pub use crate::wire::Transport;
use crate::wire::{Incoming, Outgoing, Reader, Wire};

const DEADLINE: Duration = Duration::from_secs(15);

/// An event as it arrived.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub name: String,
    pub arguments: Vec<Value>,
}

impl Event {
    /// The first argument, or null.
    #[must_use]
    pub fn body(&self) -> &Value {
        self.arguments.first().unwrap_or(&Value::Null)
    }
}

/// Everything heard so far.
#[derive(Debug, Default)]
struct Heard {
    socket_id: Option<String>,
    /// The answer to a refused connect.
    refusal: Option<Value>,
    events: Vec<Event>,
    acks: HashMap<u64, Value>,
    end: Option<String>,
}

enum Order {
    Send(String),
    Close,
}

/// How to connect.
pub struct Plan {
    address: String,
    transport: Transport,
    headers: Vec<(String, String)>,
    auth: Value,
}

impl Plan {
    #[must_use]
    pub fn by(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// What the client says about itself in the Socket.IO handshake.
    #[must_use]
    pub fn auth(mut self, auth: Value) -> Self {
        self.auth = auth;
        self
    }

    #[must_use]
    pub fn named(self, name: &str) -> Self {
        self.auth(json!({ "displayName": name }))
    }

    /// # Panics
    /// When no connection comes about.
    pub async fn connect(self) -> Client {
        let address = self.address.clone();
        self.try_connect()
            .await
            .unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"))
    }

    /// # Errors
    /// Why there is no connection, such as `HTTP 502`.
    pub async fn try_connect(self) -> Result<Client, String> {
        let what = format!("a connection to {}", self.address);
        within(&what, DEADLINE, self.open()).await
    }

    async fn open(self) -> Result<Client, String> {
        let wire = Wire::open(self.transport, &self.address, &self.headers).await?;
        let (orders, inbox) = mpsc::unbounded_channel();
        let (heard, watched) = watch::channel(Heard::default());
        let task = tokio::spawn(converse(wire.outgoing, wire.incoming, inbox, heard));
        let client = Client {
            orders,
            heard: watched,
            acks_wanted: 0,
            handshake_headers: wire.headers,
            task,
            _reader: wire.reader,
        };
        client.send_raw(&format!("40{}", self.auth));
        let mut heard = client.heard.clone();
        let decided = heard
            .wait_for(|heard| {
                heard.socket_id.is_some() || heard.refusal.is_some() || heard.end.is_some()
            })
            .await
            .map_err(|_closed| "the conversation broke off".to_owned())?;
        if let Some(refusal) = &decided.refusal {
            return Err(format!("refused: {refusal}"));
        }
        if let Some(end) = &decided.end {
            return Err(end.clone());
        }
        drop(decided);
        Ok(client)
    }
}

/// A connected client. Dropping it cuts the connection.
pub struct Client {
    orders: mpsc::UnboundedSender<Order>,
    heard: watch::Receiver<Heard>,
    acks_wanted: u64,
    handshake_headers: Vec<(String, String)>,
    task: tokio::task::JoinHandle<()>,
    _reader: Reader,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Client {
    /// A plan for a client of this address, by WebSocket unless told otherwise.
    #[must_use]
    pub fn to(address: &str) -> Plan {
        Plan {
            address: address.to_owned(),
            transport: Transport::WebSocket,
            headers: Vec::new(),
            auth: json!({}),
        }
    }

    /// Sends an event and waits for its acknowledgement, the first argument of it.
    ///
    /// # Panics
    /// When none comes in time.
    pub async fn ask(&mut self, event: &str, arguments: &[Value]) -> Value {
        let id = self.emit_wanting_ack(event, arguments);
        self.ack(id).await
    }

    /// Sends an event with an acknowledgement wanted, and answers the number to ask for it with.
    pub fn emit_wanting_ack(&mut self, event: &str, arguments: &[Value]) -> u64 {
        let id = self.acks_wanted;
        self.acks_wanted += 1;
        self.send_raw(&format!("42{id}{}", packet(event, arguments)));
        id
    }

    /// Waits for an acknowledgement.
    ///
    /// # Panics
    /// When none comes in time.
    pub async fn ack(&self, id: u64) -> Value {
        let what = format!("acknowledgement {id}");
        self.waits(&what, |heard| heard.acks.get(&id).cloned())
            .await
    }

    /// Sends an event and wants nothing back.
    pub fn emit(&self, event: &str, arguments: &[Value]) {
        self.send_raw(&format!("42{}", packet(event, arguments)));
    }

    /// Sends an Engine.IO packet as it is.
    ///
    /// # Panics
    /// When the conversation is over.
    pub fn send_raw(&self, packet: &str) {
        let order = Order::Send(packet.to_owned());
        assert!(self.orders.send(order).is_ok(), "the conversation is over");
    }

    /// Joins a room and answers the acknowledgement.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn join(&mut self, room: &str) -> Value {
        let answer = self.ask("joinRoom", &[json!(room)]).await;
        assert_eq!(answer["ok"], true, "joinRoom was refused: {answer}");
        answer
    }

    /// Sends a text and answers the acknowledgement, whatever it is.
    ///
    /// # Panics
    /// When no acknowledgement comes.
    pub async fn try_say(&mut self, room: &str, content: &str) -> Value {
        let draft = json!({ "content": content, "type": "text" });
        self.ask("sendMessage", &[json!(room), draft]).await
    }

    /// Sends a text that must be acknowledged.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn say(&mut self, room: &str, content: &str) -> Value {
        let answer = self.try_say(room, content).await;
        assert_eq!(answer["ok"], true, "sendMessage was refused: {answer}");
        answer
    }

    /// Waits for the message with this content.
    ///
    /// # Panics
    /// When it does not come in time.
    pub async fn hears(&self, content: &str) -> Value {
        let what = format!("message {content:?}");
        self.waits(&what, |heard| {
            let is_it =
                |event: &&Event| event.name == "message" && event.body()["content"] == content;
            heard
                .events
                .iter()
                .find(is_it)
                .map(|event| event.body().clone())
        })
        .await
    }

    /// Waits until this many messages have come, and answers all.
    ///
    /// # Panics
    /// When they do not come in time.
    pub async fn hears_messages(&self, count: usize) -> Vec<Value> {
        let what = format!("{count} messages");
        self.waits(&what, |heard| {
            let messages = messages(heard);
            (messages.len() >= count).then_some(messages)
        })
        .await
    }

    /// All messages that have come so far.
    #[must_use]
    pub fn messages(&self) -> Vec<Value> {
        messages(&self.heard.borrow())
    }

    /// Waits for the first event of this name.
    ///
    /// # Panics
    /// When none comes in time.
    pub async fn event(&self, name: &str) -> Event {
        let what = format!("event {name:?}");
        self.waits(&what, |heard| {
            let mut events = heard.events.iter();
            events.find(|event| event.name == name).cloned()
        })
        .await
    }

    /// All events of this name that have come so far.
    #[must_use]
    pub fn events(&self, name: &str) -> Vec<Event> {
        let heard = self.heard.borrow();
        let events = heard.events.iter().filter(|event| event.name == name);
        events.cloned().collect()
    }

    /// The instance that serves this client, by its `welcome`.
    ///
    /// # Panics
    /// When there was no `welcome`.
    pub async fn instance(&self) -> String {
        let welcome = self.event("welcome").await;
        let instance = welcome.body()["instanceId"].as_str();
        instance.expect("welcome names the instance").to_owned()
    }

    /// Why the connection ended, or nothing while it stands.
    #[must_use]
    pub fn end(&self) -> Option<String> {
        self.heard.borrow().end.clone()
    }

    /// Waits until the connection ends; answers why.
    ///
    /// # Panics
    /// When it stands until the deadline.
    pub async fn ended(&self) -> String {
        self.waits("the end of the connection", |heard| heard.end.clone())
            .await
    }

    /// A header of the handshake's answer.
    #[must_use]
    pub fn handshake_header(&self, name: &str) -> Option<&str> {
        let mut headers = self.handshake_headers.iter();
        headers
            .find(|(header, _)| header == name)
            .map(|(_, value)| value.as_str())
    }

    /// Closes the connection politely.
    ///
    /// # Panics
    /// When the conversation is over.
    pub fn close(&self) {
        assert!(
            self.orders.send(Order::Close).is_ok(),
            "the conversation is over"
        );
    }

    async fn waits<T>(&self, what: &str, mut find: impl FnMut(&Heard) -> Option<T>) -> T {
        let mut heard = self.heard.clone();
        let mut found = None;
        let search = heard.wait_for(|heard| {
            found = find(heard);
            found.is_some()
        });
        let outcome = tokio::time::timeout(DEADLINE, search).await;
        drop(outcome);
        found.unwrap_or_else(|| {
            panic!(
                "not within {DEADLINE:?}: {what}; heard: {:?}",
                self.heard.borrow()
            );
        })
    }
}

fn messages(heard: &Heard) -> Vec<Value> {
    let events = heard.events.iter().filter(|event| event.name == "message");
    events.map(|event| event.body().clone()).collect()
}

fn packet(event: &str, arguments: &[Value]) -> Value {
    let mut words = vec![json!(event)];
    words.extend_from_slice(arguments);
    Value::Array(words)
}

async fn converse(
    mut outgoing: Outgoing,
    mut incoming: Incoming,
    mut inbox: mpsc::UnboundedReceiver<Order>,
    heard: watch::Sender<Heard>,
) {
    let end = loop {
        tokio::select! {
            packet = incoming.recv() => match packet {
                Some(Ok(packet)) if packet == "2" => {
                    if let Err(error) = outgoing.send("3".to_owned()).await {
                        break error;
                    }
                }
                Some(Ok(packet)) if packet == "1" => break "engine close".to_owned(),
                Some(Ok(packet)) => heard.send_modify(|heard| listen(heard, &packet)),
                Some(Err(end)) => break end,
                None => break "end of stream".to_owned(),
            },
            order = inbox.recv() => {
                let done = match order {
                    Some(Order::Send(packet)) => outgoing.send(packet).await,
                    Some(Order::Close) => outgoing.close().await,
                    None => return,
                };
                if let Err(error) = done {
                    break error;
                }
            }
        }
    };
    heard.send_modify(|heard| heard.end = Some(end));
}

/// Takes one Engine.IO packet in. Binary attachments are not needed here.
fn listen(heard: &mut Heard, packet: &str) {
    let Some(packet) = packet.strip_prefix('4') else {
        return;
    };
    let (kind, rest) = packet.split_at(packet.len().min(1));
    let digits = rest.chars().take_while(char::is_ascii_digit).count();
    let (id, json) = rest.split_at(digits);
    let body: Value = serde_json::from_str(json).unwrap_or(Value::Null);
    match (kind, body) {
        ("0", body) => heard.socket_id = Some(body["sid"].as_str().unwrap_or_default().to_owned()),
        ("1", _) => heard.end = Some("disconnect".to_owned()),
        ("2", Value::Array(mut words)) if !words.is_empty() => {
            let name = words.remove(0).as_str().unwrap_or_default().to_owned();
            heard.events.push(Event {
                name,
                arguments: words,
            });
        }
        ("3", Value::Array(words)) => {
            let id = id.parse().expect("the number of an acknowledgement");
            heard
                .acks
                .insert(id, words.into_iter().next().unwrap_or(Value::Null));
        }
        ("4", body) => heard.refusal = Some(body),
        _ => {}
    }
}
