//! HTTP by hand, and what the server says over it.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::Client;
use crate::place::Place;

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
    /// What a browser would send back.
    pub(crate) cookie: Option<String>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

pub(crate) async fn get(url: &str, cookie: Option<&str>) -> Answer {
    ask(url, "GET", cookie, "", "").await
}

pub(crate) async fn post(url: &str, body: &Value, cookie: Option<&str>) -> Answer {
    ask(
        url,
        "POST",
        cookie,
        "Content-Type: application/json\r\n",
        &body.to_string(),
    )
    .await
}

pub(crate) async fn ask(
    url: &str,
    method: &str,
    cookie: Option<&str>,
    more: &str,
    body: &str,
) -> Answer {
    let rest = url.strip_prefix("http://").unwrap();
    let (authority, path) = rest.split_once('/').unwrap();
    let cookie = cookie
        .map(|cookie| format!("Cookie: {cookie}\r\n"))
        .unwrap_or_default();
    let length = body.len();
    let mut stream = TcpStream::connect(authority).await.unwrap();
    let request = format!(
        "{method} /{path} HTTP/1.1\r\nHost: {authority}\r\n{cookie}{more}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let cookie = head
        .lines()
        .find_map(|line| line.strip_prefix("set-cookie: "))
        .map(|line| line.split(';').next().unwrap().to_owned());
    Answer {
        status,
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
        cookie,
    }
}

#[tokio::test]
async fn every_answer_names_the_instance() {
    let mut place = Place::new();
    let backend = place.backend().await;
    for (path, status) in [
        ("/", 200),
        ("/metrics", 200),
        ("/health/liveness", 200),
        ("/health/readiness", 200),
        ("/api/instance", 200),
        ("/api/auth/me", 401),
        ("/api/rooms/r/messages", 200),
        ("/socket.io/?EIO=4&transport=polling", 200),
        ("/socket.io/?EIO=4&transport=pigeon", 400),
        ("/nowhere", 404),
    ] {
        let answer = get(&backend.url(path), None).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        assert!(
            answer.head.contains("x-berth-instance: backend-1"),
            "{path}: {}",
            answer.head
        );
    }
}

#[tokio::test]
async fn rooms_can_be_read_over_http() {
    let mut place = Place::new();
    let backend = place.backend().await;
    let mut client = Client::guest(backend.address).await;
    client.call(&json!(["joinRoom", "a room"])).await;
    for number in 1..=5 {
        client
            .call(&json!(["sendMessage", "a room", number.to_string()]))
            .await;
    }
    let page = get(
        &backend.url("/api/rooms/a%20room/messages?after=2&limit=2"),
        None,
    )
    .await
    .json();
    let seqs: Vec<_> = page["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| &message["seq"])
        .collect();
    assert_eq!(
        (seqs, &page["hasMore"]),
        (vec![&json!(3), &json!(4)], &json!(true))
    );
    for query in [
        "limit=x",
        "limit=0",
        "limit=100000",
        "before=-1",
        "after=1.5",
    ] {
        let answer = get(
            &backend.url(&format!("/api/rooms/r/messages?{query}")),
            None,
        )
        .await;
        assert_eq!(
            (answer.status, &answer.json()["error"]["code"]),
            (400, &json!("BAD_REQUEST")),
            "{query}"
        );
    }
    assert_eq!(
        get(&backend.url("/api/rooms/%00/messages"), None)
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn the_guides_metrics_are_there() {
    let mut place = Place::new();
    let backend = place.backend().await;
    let _client = Client::guest(backend.address).await;
    let page = get(&backend.url("/metrics"), None).await.body;
    for line in [
        "redis_connection_status 0",
        "http_active_connections 2",
        "http_requests_total 2",
        "chat_connections{transport=\"websocket\"} 1",
        "chat_mode{mode=\"cluster\"} 1",
    ] {
        assert!(
            page.lines().any(|found| found == line),
            "{line} is not in\n{page}"
        );
    }
}

#[tokio::test]
async fn other_origins_are_answered_as_configured() {
    let mut place = Place::new();
    let open = place.backend().await;
    let origin = "Origin: https://app.example\r\n";
    let handshake = "/socket.io/?EIO=4&transport=polling";
    let answer = ask(&open.url(handshake), "GET", None, origin, "").await;
    assert!(
        answer
            .head
            .contains("access-control-allow-origin: https://app.example"),
        "{}",
        answer.head
    );
    assert!(
        answer
            .head
            .contains("access-control-allow-credentials: true"),
        "{}",
        answer.head
    );
    let own = vec!["https://chat.example".to_owned()];
    place.settings.server.cors_origins = berth_backend::settings::Origins::Only(own);
    let strict = place.backend().await;
    assert_eq!(
        ask(&strict.url(handshake), "GET", None, origin, "")
            .await
            .status,
        403
    );
    for fine in [
        "",
        "Origin: https://chat.example\r\n",
        &format!("Origin: http://{}\r\n", strict.address),
    ] {
        assert_eq!(
            ask(&strict.url(handshake), "GET", None, fine, "")
                .await
                .status,
            200,
            "{fine}"
        );
    }
}

#[tokio::test]
async fn bodies_have_a_limit() {
    let mut place = Place::new();
    let backend = place.backend().await;
    let large = json!({"displayName": "x".repeat(70_000)});
    assert_eq!(
        post(&backend.url("/api/auth/guest"), &large, None)
            .await
            .status,
        413
    );
    let name = json!({"displayName": 7});
    assert_eq!(
        post(&backend.url("/api/auth/guest"), &name, None)
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn polling_works_from_handshake_to_message() {
    let mut place = Place::new();
    let backend = place.backend().await;
    let base = backend.url("/socket.io/?EIO=4&transport=polling");
    let open = get(&base, None).await;
    let open: Value = serde_json::from_str(open.body.strip_prefix('0').unwrap()).unwrap();
    let expected = json!({"pingInterval": 25_000, "pingTimeout": 60_000, "maxPayload": 1_000_000, "upgrades": ["websocket"]});
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(open[key], *value, "{key}");
    }
    let url = format!("{base}&sid={}", open["sid"].as_str().unwrap());
    let packets = "40\u{1e}42[\"joinRoom\",\"r\"]\u{1e}42[\"sendMessage\",\"r\",\"hi\"]";
    // The namespace is joined first: what comes before its answer is not for it.
    for packet in packets.split('\u{1e}') {
        let answer = ask(&url, "POST", None, "Content-Type: text/plain\r\n", packet).await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (200, "ok"),
            "{packet}"
        );
        let mut heard = String::new();
        while packet == "40" && !heard.contains("welcome") {
            heard = get(&url, None).await.body;
        }
    }
    let mut heard = String::new();
    while !heard.contains("42[\"message\",") {
        heard = get(&url, None).await.body;
        if heard == "2" {
            ask(&url, "POST", None, "Content-Type: text/plain\r\n", "3").await;
        }
    }
    assert!(heard.contains("\"content\":\"hi\""), "{heard}");
}

#[tokio::test]
async fn connections_are_counted_down() {
    let mut place = Place::new();
    let backend = place.backend().await;
    let clients = [
        Client::guest(backend.address).await,
        Client::guest(backend.address).await,
    ];
    let metrics = backend.url("/metrics");
    let counts = async || {
        let page = get(&metrics, None).await.body;
        let value = |name: &str| {
            let line = page.lines().find(|line| line.starts_with(name)).unwrap();
            line.rsplit(' ').next().unwrap().parse::<u32>().unwrap()
        };
        (
            value("http_active_connections"),
            value("chat_connections{transport=\"websocket\"}"),
        )
    };
    assert_eq!(counts().await, (3, 2));
    drop(clients);
    let gone = async {
        while counts().await != (1, 0) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(5), gone)
        .await
        .expect("they stay");
}

/// Whether the server hangs up in time.
async fn is_hung_up(mut stream: TcpStream) -> bool {
    let mut rest = Vec::new();
    let end = tokio::time::timeout(
        std::time::Duration::from_secs(5),
        stream.read_to_end(&mut rest),
    );
    end.await.is_ok()
}

#[tokio::test]
async fn who_never_finishes_a_head_is_hung_up_on() {
    let mut place = Place::new();
    place.settings.server.head_timeout = std::time::Duration::from_millis(200);
    let backend = place.backend().await;
    let mut slow = TcpStream::connect(backend.address).await.unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n")
        .await
        .unwrap();
    assert!(is_hung_up(slow).await);
    // Who did finish one may stay far longer.
    let mut client = Client::guest(backend.address).await;
    let silent = TcpStream::connect(backend.address).await.unwrap();
    assert!(is_hung_up(silent).await);
    assert_eq!(client.call(&json!(["joinRoom", "r"])).await["ok"], true);
}

#[tokio::test]
async fn one_connection_too_many_is_turned_away() {
    let mut place = Place::new();
    place.settings.server.connections_max = 2;
    let backend = place.backend().await;
    let mut clients = [
        Client::guest(backend.address).await,
        Client::guest(backend.address).await,
    ];
    let third = TcpStream::connect(backend.address).await.unwrap();
    assert!(is_hung_up(third).await);
    for client in &mut clients {
        assert_eq!(client.call(&json!(["joinRoom", "r"])).await["ok"], true);
    }
}
