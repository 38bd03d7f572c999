//! Programs that are told what is said: everything, in order, though receivers fail and servers are killed.

use std::sync::{Arc, Mutex};

use berth_tests::{Client, Town, TownPlan, eventually, http, now, secs};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

const ADMIN: &str = "0123456789abcdef";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A receiver: what it has taken, and the status that it answers.
struct Ear {
    address: String,
    status: Mutex<u16>,
    taken: Mutex<Vec<Value>>,
}

impl Ear {
    async fn open() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let ear = Arc::new(Self {
            address: listener.local_addr().expect("an address").to_string(),
            status: Mutex::new(204),
            taken: Mutex::default(),
        });
        let all = Arc::clone(&ear);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let ear = Arc::clone(&all);
                tokio::spawn(async move { ear.hear(stream).await });
            }
        });
        ear
    }

    /// One request of a connection. A client that hangs up in the middle was killed.
    async fn hear(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        let (mut line, mut length) = (String::new(), 0);
        while stream.read_line(&mut line).await? > 2 {
            let field = line.to_ascii_lowercase();
            if let Some(value) = field.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            line.clear();
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let status = *self.status.lock().expect("the status");
        if status == 204 {
            let body = serde_json::from_slice(&body).expect("JSON");
            self.taken.lock().expect("the record").push(body);
        }
        let answer =
            format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        stream.write_all(answer.as_bytes()).await
    }

    fn answers(&self, status: u16) {
        *self.status.lock().expect("the status") = status;
    }

    /// The contents taken so far, each seq where it came first.
    fn heard(&self) -> Vec<String> {
        let taken = self.taken.lock().expect("the record");
        let entries = taken
            .iter()
            .flat_map(|body| body["entries"].as_array().expect("entries").clone());
        let mut seqs = Vec::new();
        let mut heard = Vec::new();
        for entry in entries {
            if !seqs.contains(&entry["seq"]) {
                heard.push(entry["content"].as_str().expect("content").to_owned());
            }
            seqs.push(entry["seq"].clone());
        }
        heard
    }

    async fn hears(&self, wanted: &[String]) {
        eventually("everything is told", secs(40), async || {
            let heard = self.heard();
            assert!(wanted.starts_with(&heard), "{heard:?}");
            (heard == wanted).then_some(())
        })
        .await;
    }
}

fn telling(plan: TownPlan, ear: &Ear) -> TownPlan {
    plan.setting("WEBHOOK_URL", &format!("http://{}/hook", ear.address))
        .setting("WEBHOOK_SECRET", SECRET)
        .setting("ADMIN_TOKEN", ADMIN)
}

/// The number of the backend that tells.
async fn teller(town: &Town, asked: usize) -> Option<usize> {
    let url = town.backend(asked).url("/api/webhooks");
    let answer = http::client().get(url).bearer_auth(ADMIN).send().await;
    let body: Value = answer.expect("an answer").json().await.expect("JSON");
    let instance = body["webhooks"][0]["instanceId"].as_str()?;
    instance.strip_prefix("backend-")?.parse().ok()
}

async fn say(client: &mut Client, said: &mut Vec<String>, count: usize) {
    for _ in 0..count {
        let content = format!("message {}", said.len());
        client.say("lobby", &content).await;
        said.push(content);
    }
}

/// Whoever tells is killed, twice: while the receiver is well, and while it fails.
async fn is_taken_over(mut town: Town, ear: &Ear) {
    let mut said = Vec::new();
    for status in [204, 503] {
        ear.answers(status);
        let told = eventually("somebody tells", secs(20), async || teller(&town, 1).await).await;
        let other = 3 - told;
        let (mut here, mut there) = (town.client(told).await, town.client(other).await);
        here.join("lobby").await;
        there.join("lobby").await;
        say(&mut here, &mut said, 20).await;
        town.kill(told);
        let killed = now();
        say(&mut there, &mut said, 20).await;
        let next = async || (teller(&town, other).await == Some(other)).then_some(());
        eventually("the other one tells", secs(20), next).await;
        assert!(now() - killed < secs(15), "{:?}", now() - killed);
        ear.answers(204);
        ear.hears(&said).await;
        town.restart(told).await;
    }
}

#[tokio::test]
async fn a_killed_servers_webhooks_are_told_by_another_on_mongodb() {
    let ear = Ear::open().await;
    let plan = telling(Town::with_backends(2).redis().mongo(), &ear);
    is_taken_over(plan.start().await, &ear).await;
}

#[tokio::test]
async fn a_killed_servers_webhooks_are_told_by_another_on_sqlite() {
    let ear = Ear::open().await;
    let plan = telling(Town::with_backends(2), &ear);
    is_taken_over(plan.start().await, &ear).await;
}

#[tokio::test]
async fn what_was_said_while_everybody_was_dead_to_the_receiver_is_told_after_a_restart() {
    let ear = Ear::open().await;
    let mut town = telling(Town::with_backends(1), &ear).start().await;
    let mut said = Vec::new();
    let mut ann = town.client(1).await;
    ann.join("lobby").await;
    say(&mut ann, &mut said, 5).await;
    ear.hears(&said).await;
    ear.answers(500);
    say(&mut ann, &mut said, 250).await;
    town.kill(1);
    ear.answers(204);
    town.restart(1).await;
    ear.hears(&said).await;
    let page = town.backend(1).metrics().await;
    let taken = http::metric(&page, "chat_webhook_entries_total", &[]);
    assert!(taken >= Some(250.0), "{taken:?}");
}
