//! Clients that speak HTTP/2, on the wire.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::client::{ResponseFuture, SendRequest, handshake};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::rustls::ClientConfig;

use super::cluster::{Does, PATIENCE, Proxy, Server, settings};
use super::exchange::sticky;
use super::tls::{encrypted, trusting, try_connect};
use crate::certificate::tests::Made;
use crate::settings::{Handshakes, Key, Rate, Settings, Sid, Sticky};

const OPEN: &str = "/socket.io/?EIO=4&transport=polling";

/// A client and its connection.
struct Client {
    requests: SendRequest<Bytes>,
    /// Ends with the connection, and tells how.
    connection: tokio::task::JoinHandle<Result<(), h2::Error>>,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn field(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

impl Client {
    async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let (requests, connection) = handshake(stream).await.unwrap();
        Self {
            requests,
            connection: tokio::spawn(connection),
        }
    }

    async fn connect(proxy: &Proxy) -> Self {
        Self::over(TcpStream::connect(proxy.address).await.unwrap()).await
    }

    async fn begin(
        &self,
        request: http::request::Builder,
        is_whole: bool,
    ) -> (ResponseFuture, SendStream<Bytes>) {
        let mut requests = timeout(PATIENCE, self.requests.clone().ready())
            .await
            .unwrap()
            .unwrap();
        let request = request.body(()).unwrap();
        requests.send_request(request, is_whole).unwrap()
    }

    async fn get(&self, target: &str, fields: &[(&str, &str)]) -> Answer {
        let (answer, _) = self.begin(with(get(target), fields), true).await;
        read(answer).await
    }

    async fn post(&self, fields: &[(&str, &str)], body: &str) -> Answer {
        let request = with(get("/post").method("POST"), fields);
        let (answer, mut stream) = self.begin(request, false).await;
        // A proxy that has answered already takes no more.
        let _sent = stream.send_data(Bytes::copy_from_slice(body.as_bytes()), true);
        read(answer).await
    }

    /// How the connection ended.
    async fn ended(self) -> Result<(), h2::Error> {
        timeout(PATIENCE, self.connection).await.unwrap().unwrap()
    }
}

fn get(target: &str) -> http::request::Builder {
    Request::get(format!("http://a.example{target}"))
}

fn with(mut request: http::request::Builder, fields: &[(&str, &str)]) -> http::request::Builder {
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request
}

async fn head(answer: ResponseFuture) -> Response<RecvStream> {
    timeout(PATIENCE, answer).await.unwrap().unwrap()
}

/// The next piece of a body; `None` is its end.
async fn piece(body: &mut RecvStream) -> Option<Result<Bytes, h2::Error>> {
    loop {
        let piece = timeout(PATIENCE, body.data()).await.unwrap()?;
        if let Ok(bytes) = &piece {
            body.flow_control().release_capacity(bytes.len()).unwrap();
        }
        // The end may have a frame of its own.
        if piece.as_ref().map_or(1, Bytes::len) > 0 {
            return Some(piece);
        }
    }
}

async fn read(answer: ResponseFuture) -> Answer {
    let (head, mut body) = head(answer).await.into_parts();
    let mut bytes = BytesMut::new();
    while let Some(piece) = piece(&mut body).await {
        bytes.extend_from_slice(&piece.unwrap());
    }
    Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        body: String::from_utf8(bytes.to_vec()).unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_hears_of_a_request_what_it_hears_of_any_other() {
    let server = Server::start(Does::Echo).await;
    let proxy = Proxy::start(settings(&[&server.address])).await;
    let client = Client::connect(&proxy).await;
    let fields = [
        ("x-real-ip", "6.6.6.6"),
        ("x-forwarded-for", "1.1.1.1"),
        ("cookie", "a=1"),
        ("te", "trailers"),
        ("cookie", "b=2"),
    ];
    let answer = client.get("/x?y=z", &fields).await;
    assert_eq!(answer.status, 200);
    let told = answer.body.to_lowercase();
    let mut lines: Vec<&str> = told.lines().filter(|line| !line.is_empty()).collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "cookie: a=1; b=2",
            "get /x?y=z http/1.1",
            "host: a.example",
            "x-forwarded-for: 1.1.1.1, 127.0.0.1",
            "x-forwarded-proto: http",
            "x-real-ip: 127.0.0.1",
        ]
    );
    proxy
        .wait_for_metric("berth_requests_total{code=\"200\",method=\"GET\",transport=\"http\",upstream=\"app\"} 1")
        .await;
    proxy.wait_for_metric("berth_connections 1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_pass_with_and_without_a_length_and_their_trailers_end_here() {
    let server = Server::start(Does::Echo).await;
    let proxy = Proxy::start(settings(&[&server.address])).await;
    let client = Client::connect(&proxy).await;
    let answer = client.post(&[("content-length", "5")], "hello").await;
    assert!(answer.body.ends_with("\r\n\r\nhello"), "{}", answer.body);
    let answer = client.post(&[], "hello").await;
    assert!(answer.body.ends_with("\r\n\r\nhello"), "{}", answer.body);
    let (answer, mut stream) = client.begin(get("/").method("POST"), false).await;
    stream.send_data(Bytes::from("hello"), false).unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "1".parse().unwrap());
    stream.send_trailers(trailers).unwrap();
    let answer = read(answer).await;
    assert!(answer.body.ends_with("\r\n\r\nhello"), "{}", answer.body);
    assert_eq!(
        server.connections(),
        1,
        "the connection to the server is kept"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_passes_piece_by_piece() {
    let server = Server::start(Does::SayAndWait(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n",
    ))
    .await;
    let proxy = Proxy::start(settings(&[&server.address])).await;
    let client = Client::connect(&proxy).await;
    let (answer, _) = client.begin(get("/"), true).await;
    let mut body = head(answer).await.into_body();
    assert_eq!(piece(&mut body).await.unwrap().unwrap(), "first");
    // The server closes in the middle: no end that looks like one.
    server.close();
    let error = piece(&mut body).await.unwrap().unwrap_err();
    assert!(error.is_reset(), "{error}");
    let (answer, _) = client.begin(get("/"), true).await;
    assert_eq!(head(answer).await.status(), 200, "others go on");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_at_once_on_one_connection_stick_each_for_itself() {
    let mut servers = Vec::new();
    for _ in 0..3 {
        servers.push(Server::start(Does::Echo).await);
    }
    let addresses: Vec<&str> = servers.iter().map(|server| &*server.address).collect();
    let proxy = Proxy::start(sticky(&addresses)).await;
    let client = Arc::new(Client::connect(&proxy).await);
    // Each a user of their own, behind one hop that speaks HTTP/2.
    let users = (0..30).map(|_| {
        let client = Arc::clone(&client);
        tokio::spawn(async move {
            let first = client.get("/", &[]).await;
            let home = first.field("x-server").to_owned();
            let cookie = first
                .field("set-cookie")
                .split(';')
                .next()
                .unwrap()
                .to_owned();
            for _ in 0..5 {
                let next = client
                    .get("/", &[("cookie", "x=y"), ("cookie", &cookie)])
                    .await;
                assert_eq!(next.field("x-server"), home);
                assert_eq!(next.field("set-cookie"), "", "it is bound already");
            }
            home
        })
    });
    let mut homes = Vec::new();
    for user in users.collect::<Vec<_>>() {
        homes.push(user.await.unwrap());
    }
    homes.sort_unstable();
    homes.dedup();
    assert_eq!(homes.len(), 3, "everybody has work");
    proxy.wait_for_metric("berth_connections 1").await;
}

fn by_sid(servers: &[&str]) -> Settings {
    let mut settings = settings(servers);
    settings.upstreams[0].sticky = vec![Sticky::Sid(Sid {
        keys: vec![Key::new("0123456789abcdef0123456789abcdef")],
        answer_gone: true,
    })];
    settings
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_stays_on_its_server_and_is_told_when_that_is_gone() {
    let (first, second) = (
        Server::start(Does::Open).await,
        Server::start(Does::Open).await,
    );
    let proxy = Proxy::start(by_sid(&[&first.address, &second.address])).await;
    let client = Client::connect(&proxy).await;
    for _ in 0..4 {
        let opened = client.get(OPEN, &[("accept-encoding", "gzip")]).await;
        let (_, rest) = opened.body.split_once("\"sid\":\"").unwrap();
        let sid = rest.split('"').next().unwrap();
        let home = sid.split('~').next().unwrap().replace('-', ":");
        let next = client.get(&format!("{OPEN}&sid={sid}"), &[]).await;
        assert_eq!(next.field("x-server"), home);
        assert!(!next.body.contains('~'), "the tag ends here: {}", next.body);
    }
    proxy
        .wait_for_metric(
            "berth_socketio_handshakes_total{eio=\"4\",transport=\"polling\",upstream=\"app\"} 4",
        )
        .await;
    let opened = client.get(OPEN, &[]).await;
    let (_, rest) = opened.body.split_once("\"sid\":\"").unwrap();
    let sid = rest.split('"').next().unwrap();
    let lost = Proxy::start(by_sid(&[&Server::dead().await])).await;
    let client = Client::connect(&lost).await;
    let origin = ("origin", "https://o.example");
    let answer = client.get(&format!("{OPEN}&sid={sid}"), &[origin]).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.body, r#"{"code":1,"message":"Session ID unknown"}"#);
    assert_eq!(
        answer.field("access-control-allow-origin"),
        "https://o.example"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_know_a_session_is_counted() {
    let unknown = "HTTP/1.1 400 Bad Request\r\nContent-Length: 41\r\n\r\n\
                   {\"code\":1,\"message\":\"Session ID unknown\"}";
    let server = Server::start(Does::Say(unknown)).await;
    let proxy = Proxy::start(settings(&[&server.address])).await;
    let client = Client::connect(&proxy).await;
    assert_eq!(client.get(&format!("{OPEN}&sid=x"), &[]).await.status, 400);
    proxy
        .wait_for_metric(&format!(
            "berth_socketio_unknown_sid_total{{server=\"{}\",upstream=\"app\"}} 1",
            server.address
        ))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_handshakes_are_told_when_to_come_back() {
    let server = Server::start(Does::Open).await;
    let mut settings = settings(&[&server.address]);
    settings.upstreams[0].handshakes = Handshakes {
        overall: Some(Rate {
            per_minute: 1,
            burst: 1,
        }),
        per_server: None,
    };
    let proxy = Proxy::start(settings).await;
    let client = Client::connect(&proxy).await;
    assert_eq!(client.get(OPEN, &[]).await.status, 200);
    let answer = client.get(OPEN, &[]).await;
    assert_eq!(answer.status, 503);
    assert!(answer.field("retry-after").parse::<u64>().unwrap() >= 1);
    assert_eq!(
        client.get("/", &[]).await.status,
        200,
        "the connection goes on"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_a_rule_is_refused_and_the_connection_goes_on() {
    let server = Server::start(Does::Echo).await;
    let mut settings = settings(&[&server.address]);
    settings.limits.body_bytes_max = 10;
    settings.limits.head_bytes_max = 2048;
    let proxy = Proxy::start(settings).await;
    let client = Client::connect(&proxy).await;
    let answer = client
        .post(&[("content-length", "11")], "hello world")
        .await;
    assert_eq!(answer.status, 413);
    let answer = client.post(&[], "hello world").await;
    assert_eq!(answer.status, 413, "{}", answer.body);
    assert_eq!(client.post(&[], "just so ok").await.status, 200);
    let long = "x".repeat(4096);
    assert_eq!(client.get("/", &[("x-long", &long)]).await.status, 431);
    let connect = Request::builder().method("CONNECT").uri("a.example:80");
    let (answer, _stream) = client.begin(connect, true).await;
    assert_eq!(read(answer).await.status, 400);
    let tunnel = Request::builder()
        .method("CONNECT")
        .uri("http://a.example/")
        .extension(h2::ext::Protocol::from("websocket"));
    let (answer, _stream) = client.begin(tunnel, false).await;
    let error = timeout(PATIENCE, answer).await.unwrap().unwrap_err();
    assert_eq!(error.reason(), Some(Reason::PROTOCOL_ERROR));
    assert_eq!(client.get("/", &[]).await.status, 200);
    for (reason, count) in [("body_too_large", 2), ("bad_request", 1)] {
        let line = format!("berth_refusals_total{{reason=\"{reason}\"}} {count}");
        proxy.wait_for_metric(&line).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_server_is_skipped_and_a_silent_one_times_out() {
    let (dead, server) = (Server::dead().await, Server::start(Does::Echo).await);
    let proxy = Proxy::start(settings(&[&dead, &server.address])).await;
    let client = Client::connect(&proxy).await;
    for _ in 0..4 {
        assert_eq!(client.post(&[], "hi").await.status, 200);
    }
    proxy
        .wait_for_metric(&format!(
            "berth_upstream_server_fails_total{{reason=\"connect_refused\",server=\"{dead}\",upstream=\"app\"}} 1"
        ))
        .await;
    let silent = Server::start(Does::Sleeps).await;
    let mut settings = settings(&[&silent.address]);
    settings.upstreams[0].read_timeout = Duration::from_millis(50);
    let proxy = Proxy::start(settings).await;
    let client = Client::connect(&proxy).await;
    assert_eq!(client.get("/", &[]).await.status, 504);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_up_is_skipped_only_if_repeating_is_safe() {
    let (hangs, server) = (
        Server::start(Does::Hangs).await,
        Server::start(Does::Echo).await,
    );
    let mut settings = settings(&[&hangs.address, &server.address]);
    settings.upstreams[0].servers[0].max_fails = 0;
    let proxy = Proxy::start(settings).await;
    let client = Client::connect(&proxy).await;
    assert_eq!(client.post(&[], "hi").await.status, 502);
    assert_eq!(server.seen(), 0, "a POST that was sent is not sent again");
    for _ in 0..4 {
        assert_eq!(client.get("/", &[]).await.status, 200);
    }
    assert!(hangs.seen() > 1, "GETs met the server that hangs up, too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_resets_frees_its_server() {
    let server = Server::start(Does::Sleeps).await;
    let mut settings = settings(&[&server.address]);
    settings.upstreams[0].servers[0].max_conns = 1;
    let proxy = Proxy::start(settings).await;
    let client = Client::connect(&proxy).await;
    for seen in 1..=3 {
        let (_answer, mut stream) = client.begin(get("/"), true).await;
        while server.seen() < seen {
            tokio::task::yield_now().await;
        }
        assert_eq!(client.get("/", &[]).await.status, 502, "it is taken");
        stream.send_reset(Reason::CANCEL);
        let line = format!(
            "berth_requests_total{{code=\"499\",method=\"GET\",transport=\"http\",upstream=\"app\"}} {seen}"
        );
        proxy.wait_for_metric(&line).await;
    }
    proxy
        .wait_for_metric(&format!(
            "berth_upstream_server_up{{server=\"{}\",upstream=\"app\"}} 1",
            server.address
        ))
        .await;
}

/// A server that can be dialled for ever: its queue is full. With what fills it.
async fn never_connecting() -> (String, tokio::net::TcpListener, Vec<TcpStream>) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(stream) = timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
        queue.push(stream.unwrap());
    }
    (address.to_string(), listener, queue)
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_cancelled_at_once_do_not_pile_up() {
    let (address, _listener, _queue) = never_connecting().await;
    let mut settings = settings(&[&address]);
    settings.limits.http2_streams_max = 2;
    settings.upstreams[0].connect_timeout = PATIENCE;
    let proxy = Proxy::start(settings).await;
    let client = Client::connect(&proxy).await;
    for served in 1..=4 {
        let (_answer, mut stream) = client.begin(get("/"), true).await;
        let line =
            format!("berth_upstream_connections{{server=\"{address}\",upstream=\"app\"}} {served}");
        proxy.wait_for_metric(&line).await;
        stream.send_reset(Reason::CANCEL);
    }
    let answer = client.get("/", &[]).await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.field("retry-after"), "1");
    proxy
        .wait_for_metric("berth_refusals_total{reason=\"too_many_streams\"} 1")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_says_goodbye_and_lets_open_requests_finish() {
    let slow = Server::start(Does::SayAndWait("HTTP/1.1 200 OK\r\n\r\nfirst")).await;
    let mut settings = settings(&[&slow.address]);
    settings.drain_timeout = Duration::from_secs(600);
    let proxy = Proxy::start(settings).await;
    let client = Client::connect(&proxy).await;
    let (answer, _) = client.begin(get("/"), true).await;
    let mut body = head(answer).await.into_body();
    assert_eq!(piece(&mut body).await.unwrap().unwrap(), "first");
    proxy.handle.drain();
    // GOAWAY: this client's library takes no further requests.
    let goodbye = async {
        loop {
            match client.requests.clone().ready().await {
                Ok(_) => tokio::task::yield_now().await,
                Err(error) => break error,
            }
        }
    };
    let error = timeout(PATIENCE, goodbye).await.unwrap();
    assert_eq!(error.reason(), Some(Reason::NO_ERROR), "{error}");
    slow.close();
    assert!(piece(&mut body).await.is_none(), "whole");
    assert!(client.ended().await.is_ok());
    proxy.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_what_is_open() {
    let server = Server::start(Does::Sleeps).await;
    let proxy = Proxy::start(settings(&[&server.address])).await;
    let client = Client::connect(&proxy).await;
    let (answer, _) = client.begin(get("/"), true).await;
    while server.seen() == 0 {
        tokio::task::yield_now().await;
    }
    proxy.handle.stop();
    assert!(timeout(PATIENCE, answer).await.unwrap().is_err());
    proxy.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_ends_with_a_goodbye() {
    let server = Server::start(Does::Echo).await;
    let mut settings = settings(&[&server.address]);
    settings.limits.client_keepalive_timeout = Duration::from_millis(50);
    let proxy = Proxy::start(settings).await;
    let client = Client::connect(&proxy).await;
    assert_eq!(client.get("/", &[]).await.status, 200);
    assert!(client.ended().await.is_ok());
    proxy.wait_for_metric("berth_connections 0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_begin_in_time_is_cut() {
    let mut settings = settings(&[&Server::dead().await]);
    settings.limits.head_timeout = Duration::from_millis(50);
    let proxy = Proxy::start(settings).await;
    let mut client = proxy.connect().await;
    // The first half of the preface.
    client.send("PRI * HTTP/2.0\r\n\r\n").await;
    client.read_to_end().await;
    proxy.wait_for_metric("berth_connections 0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_can_be_switched_off() {
    let mut settings = settings(&[&Server::dead().await]);
    settings.limits.http2 = false;
    let proxy = Proxy::start(settings).await;
    let mut client = proxy.connect().await;
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 400);
}

/// A client that would rather speak HTTP/2.
fn preferring(made: &Made) -> Arc<ClientConfig> {
    let mut config = (*trusting(&[made])).clone();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tls_client_that_prefers_http2_gets_it_unless_it_is_off() {
    let server = Server::start(Does::Echo).await;
    let made = Made::new(&["a.example"]);
    let mut settings = encrypted(&[&server.address], &[&made]);
    let proxy = Proxy::start(settings.clone()).await;
    let stream = try_connect(&proxy, "a.example", &preferring(&made)).await;
    let stream = stream.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let client = Client::over(stream).await;
    let answer = client.get("/", &[]).await;
    assert!(
        answer
            .body
            .to_lowercase()
            .contains("x-forwarded-proto: https\r\n"),
        "{}",
        answer.body
    );
    settings.limits.http2 = false;
    let proxy = Proxy::start(settings).await;
    let stream = try_connect(&proxy, "a.example", &preferring(&made)).await;
    let stream = stream.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn big_bodies_pass_both_ways_at_once() {
    let server = Server::start(Does::Echo).await;
    let proxy = Proxy::start(settings(&[&server.address])).await;
    let client = Arc::new(Client::connect(&proxy).await);
    let body = "0123456789abcdef".repeat(60_000);
    let all = (0..4).map(|_| {
        let (client, body) = (Arc::clone(&client), body.clone());
        tokio::spawn(async move {
            let answer = client.post(&[], &body).await;
            assert!(answer.body.ends_with(&body), "{}", answer.status);
        })
    });
    for one in all.collect::<Vec<_>>() {
        one.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stops_sending_or_sends_too_slowly_loses_its_stream_and_no_other() {
    let server = Server::start(Does::Echo).await;
    let mut settings = settings(&[&server.address]);
    settings.upstreams[0].write_timeout = Duration::from_millis(100);
    settings.limits.body_timeout = Duration::from_millis(300);
    for (is_slow, reason) in [(false, "body_timeout"), (true, "body_too_slow")] {
        if is_slow {
            settings.limits.body_timeout = PATIENCE;
            settings.limits.rate_window = Duration::from_secs(1);
            settings.limits.body_rate_min = 1 << 20;
        }
        let proxy = Proxy::start(settings.clone()).await;
        let client = Client::connect(&proxy).await;
        let (answer, mut stream) = client.begin(get("/").method("POST"), false).await;
        stream.send_data(Bytes::from("half"), false).unwrap();
        let error = timeout(PATIENCE, answer).await.unwrap().unwrap_err();
        assert!(error.is_reset(), "{error}");
        let line = format!("berth_refusals_total{{reason=\"{reason}\"}} 1");
        proxy.wait_for_metric(&line).await;
        assert_eq!(client.get("/", &[]).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_nobody_takes_is_cut_and_others_are_not() {
    let server = Server::start(Does::Echo).await;
    let mut settings = settings(&[&server.address]);
    settings.limits.send_timeout = Duration::from_millis(300);
    settings.limits.send_rate_min = 0;
    let proxy = Proxy::start(settings).await;
    let client = Client::connect(&proxy).await;
    let (answer, mut stream) = client.begin(get("/").method("POST"), false).await;
    let body = "x".repeat(900_000);
    stream.send_data(Bytes::from(body), true).unwrap();
    let mut body = head(answer).await.into_body();
    // What is taken without making room for more.
    let taken = async {
        loop {
            match body.data().await.unwrap() {
                Ok(_) => {}
                Err(error) => break error,
            }
        }
    };
    let error = timeout(PATIENCE, taken).await.unwrap();
    assert!(error.is_reset(), "{error}");
    proxy
        .wait_for_metric("berth_answers_cut_total{reason=\"send_timeout\"} 1")
        .await;
    assert_eq!(
        Client::connect(&proxy).await.get("/", &[]).await.status,
        200
    );
}
