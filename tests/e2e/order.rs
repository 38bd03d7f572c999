//! Messages of one sender keep their order, and everybody sees one order.

use berth_tests::{Client, Proxy, Town, Transport};
use serde_json::{Value, json};

const COUNT: usize = 500;

fn numbers(messages: &[Value]) -> Vec<usize> {
    let number = |message: &Value| {
        message["content"]
            .as_str()
            .and_then(|text| text.parse().ok())
    };
    messages.iter().filter_map(number).collect()
}

async fn one_sender_keeps_order(transport: Transport) {
    let town = Town::with_backends(2).redis().start().await;
    let mut near = town.client(1).await;
    let mut far = town.client(2).await;
    let mut sender = Client::to(&town.backend(1).address())
        .by(transport)
        .connect()
        .await;
    for client in [&mut near, &mut far, &mut sender] {
        client.join("queue").await;
    }
    // All at once: nothing but the order of arrival orders them.
    let mut acks = Vec::new();
    for number in 0..COUNT {
        let draft = json!({ "content": number.to_string(), "type": "text" });
        acks.push(sender.emit_wanting_ack("sendMessage", &[json!("queue"), draft]));
    }
    let mut sequence = Vec::new();
    for ack in acks {
        let answer = sender.ack(ack).await;
        assert_eq!(answer["ok"], true, "{answer}");
        sequence.push(answer["seq"].as_u64().expect("a seq"));
    }
    let wanted: Vec<u64> = (1..=COUNT as u64).collect();
    assert_eq!(sequence, wanted);
    let wanted: Vec<usize> = (0..COUNT).collect();
    for client in [&near, &far, &sender] {
        assert_eq!(numbers(&client.hears_messages(COUNT).await), wanted);
    }
}

#[tokio::test]
async fn of_one_sender_by_websocket() {
    one_sender_keeps_order(Transport::WebSocket).await;
}

#[tokio::test]
async fn of_one_sender_by_polling() {
    one_sender_keeps_order(Transport::Polling).await;
}

fn seqs(messages: &[Value]) -> Vec<u64> {
    let seq = |message: &Value| message["seq"].as_u64().expect("a seq");
    let mut seqs: Vec<u64> = messages.iter().map(seq).collect();
    seqs.sort_unstable();
    seqs
}

/// Everybody sends 30 messages at once; answers the acknowledgements.
async fn shout(clients: &mut [Client]) -> Vec<Value> {
    let mut wanted = Vec::new();
    for number in 0..30 {
        for (who, client) in clients.iter_mut().enumerate() {
            let draft = json!({ "content": format!("{who}:{number}"), "type": "text" });
            let ack = client.emit_wanting_ack("sendMessage", &[json!("crowd"), draft]);
            wanted.push((who, ack));
        }
    }
    let mut answers = Vec::new();
    for (who, ack) in wanted {
        let answer = clients[who].ack(ack).await;
        assert_eq!(answer["ok"], true, "{answer}");
        answers.push(answer);
    }
    answers
}

#[tokio::test]
async fn many_senders_on_three_backends_make_one_gapless_log() {
    let plan = Town::with_backends(3)
        .redis()
        .mongo()
        .proxy(Proxy::round_robin());
    let town = plan.start().await;
    let mut clients = Vec::new();
    for _ in 0..6 {
        let mut client = town.visitor().await;
        client.join("crowd").await;
        clients.push(client);
    }
    let answers = shout(&mut clients).await;
    let wanted: Vec<u64> = (1..=180).collect();
    assert_eq!(seqs(&answers), wanted);
    for client in &clients {
        assert_eq!(seqs(&client.hears_messages(180).await), wanted);
    }

    let whole = json!({ "roomId": "crowd", "after": 0, "limit": 200 });
    let history = clients[0].ask("getHistory", &[whole]).await;
    let stored = history["messages"].as_array().expect("messages");
    assert_eq!(stored.len(), 180);
    for who in 0..6 {
        let contents = stored
            .iter()
            .filter_map(|message| message["content"].as_str());
        let own: Vec<&str> = contents
            .filter_map(|text| text.strip_prefix(&format!("{who}:")))
            .collect();
        let wanted: Vec<String> = (0..30).map(|number| number.to_string()).collect();
        assert_eq!(own, wanted);
    }
}
