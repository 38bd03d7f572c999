//! The sticky cookie, signed and plain, on the wire.

use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

use super::cluster::{Answer, Does, PATIENCE, Proxy, Server, handshake};
use super::exchange::sticky;
use crate::affinity::cookie::mark_of;
use crate::config;
use crate::server::Source;
use crate::settings::{Cookie, Key, SameSite, Settings, Sticky};

const NEW: &str = "0123456789abcdef0123456789abcdef";
const OLD: &str = "fedcba9876543210fedcba9876543210";

fn signed(servers: &[&str], keys: &[&str]) -> Settings {
    let mut settings = sticky(servers);
    for method in &mut settings.upstreams[0].sticky {
        if let Sticky::Cookie(cookie) = method {
            cookie.keys = keys.iter().copied().map(Key::new).collect();
        }
    }
    settings
}

/// The answers to a request and to a WebSocket's handshake that carry these fields.
async fn both(proxy: &Proxy, fields: &str) -> [Answer; 2] {
    [proxy.get(fields).await, proxy.handshake(fields).await.1]
}

fn count(result: &str, count: usize) -> String {
    format!(
        "berth_sticky_requests_total{{method=\"cookie\",result=\"{result}\",upstream=\"app\"}} {count}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn proxies_with_the_same_keys_share_their_clients() {
    let (first, second) = (
        Server::start(Does::EchoWithCookie).await,
        Server::start(Does::EchoWithCookie).await,
    );
    let servers = [&*first.address, &*second.address];
    let proxies = [
        Proxy::start(signed(&servers, &[NEW])).await,
        Proxy::start(signed(&servers, &[NEW, OLD])).await,
    ];
    for told in both(&proxies[0], "").await {
        let home = told.field("X-Server").unwrap();
        let cookie = told.cookie("srv_id").unwrap();
        assert!(
            cookie.starts_with(&format!("srv_id={}.", mark_of(home))),
            "{cookie}"
        );
        for proxy in &proxies {
            for again in both(proxy, &format!("Cookie: app=1; {cookie}\r\n")).await {
                assert_eq!(again.field("X-Server"), Some(home));
                assert_eq!(
                    again.cookie("srv_id"),
                    None,
                    "it is set only when it changes"
                );
                assert_eq!(again.cookie("app").as_deref(), Some("app=1"));
            }
        }
    }
    proxies[1].wait_for_metric(&count("hit", 4)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_cookie_of_ours_is_replaced() {
    let server = Server::start(Does::Echo).await;
    let signer = Proxy::start(signed(&[&server.address], &[NEW])).await;
    let cookie = signer.get("").await.cookie("srv_id").unwrap();
    let mark = mark_of(&server.address);
    let mut other = signed(&[&server.address], &[NEW]);
    other.upstreams[0].name = "other".to_owned();
    let elsewhere = Proxy::start(other)
        .await
        .get("")
        .await
        .cookie("srv_id")
        .unwrap();
    let stranger = Proxy::start(signed(&[&server.address], &[OLD]))
        .await
        .get("")
        .await
        .cookie("srv_id")
        .unwrap();
    let refused = [
        format!("Cookie: srv_id={mark}\r\n"),
        format!("Cookie: {}\r\n", &cookie[..cookie.len() - 1]),
        format!("Cookie: {cookie}A\r\n"),
        format!("Cookie: {}\r\n", cookie.replace("srv_id=", "srv_id=0")),
        format!("Cookie: {elsewhere}\r\n"),
        format!("Cookie: {stranger}\r\n"),
        format!("Cookie: {cookie}; {cookie}\r\n"),
        format!("Cookie: {cookie}\r\nCookie: {cookie}\r\n"),
        "Cookie: srv_id=\r\n".to_owned(),
    ];
    for fields in &refused {
        for answer in both(&signer, fields).await {
            assert_eq!(answer.cookie("srv_id").as_ref(), Some(&cookie), "{fields}");
        }
    }
    signer
        .wait_for_metric(&count("invalid", 2 * refused.len()))
        .await;
    signer.wait_for_metric(&count("new", 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_cookie_of_a_server_that_is_gone_is_stale() {
    let (gone, server) = (Server::dead().await, Server::start(Does::Echo).await);
    let before = Proxy::start(signed(&[&server.address, &gone], &[NEW])).await;
    let own = before.get("").await.cookie("srv_id").unwrap();
    drop(before);
    let keys =
        crate::affinity::signature::Keys::new(&[Key::new(NEW)], &["cookie", "app", "srv_id"]);
    let mark = mark_of(&gone);
    let stale = keys.sign(&[mark.as_bytes()]).unwrap();
    let proxy = Proxy::start(signed(&[&server.address], &[NEW])).await;
    for answer in both(
        &proxy,
        &format!("Cookie: srv_id={mark}.{}\r\n", stale.as_str()),
    )
    .await
    {
        assert_eq!(answer.cookie("srv_id").as_ref(), Some(&own));
    }
    proxy.wait_for_metric(&count("invalid", 2)).await;
}

fn write(file: &Path, servers: &[&Server], keys: &[&str]) {
    let servers: Vec<_> = servers.iter().map(|server| &server.address).collect();
    let text = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n[admin]\nlisten = \"127.0.0.1:0\"\n[upstream.app]\n\
         sticky = [\"cookie\"]\nservers = {servers:?}\n[upstream.app.cookie]\nkeys = {keys:?}\n"
    );
    std::fs::write(file, text).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_moves_nobody_and_ends_by_itself() {
    let (first, second) = (
        Server::start(Does::Echo).await,
        Server::start(Does::Echo).await,
    );
    let servers = [&first, &second];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("proxy.toml");
    write(&file, &servers, &[OLD]);
    let proxy = Proxy::start_from(config::load(&file).unwrap(), Source::File(file.clone())).await;
    let reload = async |round: usize, keys: &[&str]| {
        write(&file, &servers, keys);
        proxy.handle.reload();
        let line = format!("berth_config_reloads_total{{result=\"success\"}} {round}");
        proxy.wait_for_metric(&line).await;
    };
    let clients = both(&proxy, "").await;
    reload(1, &[NEW, OLD]).await;
    let mut renewed = Vec::new();
    for client in &clients {
        let (home, old) = (
            client.field("X-Server").unwrap(),
            client.cookie("srv_id").unwrap(),
        );
        for answer in both(&proxy, &format!("Cookie: {old}\r\n")).await {
            assert_eq!(answer.field("X-Server"), Some(home));
            let new = answer.cookie("srv_id").unwrap();
            assert_ne!(new, old);
            renewed.push((home, new));
        }
    }
    reload(2, &[NEW]).await;
    for (home, new) in &renewed {
        for answer in both(&proxy, &format!("Cookie: {new}\r\n")).await {
            assert_eq!(
                (answer.field("X-Server"), answer.cookie("srv_id")),
                (Some(*home), None)
            );
        }
    }
    proxy.wait_for_metric(&count("hit", 12)).await;
    // The last moment of the old key: it is worth nothing from now on.
    let old = clients[0].cookie("srv_id").unwrap();
    assert!(
        proxy
            .get(&format!("Cookie: {old}\r\n"))
            .await
            .cookie("srv_id")
            .is_some()
    );
    proxy.wait_for_metric(&count("invalid", 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_cookie_that_is_nobodys_or_doubtful_is_replaced() {
    let server = Server::start(Does::Echo).await;
    let proxy = Proxy::start(sticky(&[&server.address])).await;
    let own = format!("srv_id={}", mark_of(&server.address));
    let stale = mark_of("127.0.0.1:1");
    let refused = [
        "Cookie: srv_id=forged\r\n".to_owned(),
        "Cookie: srv_id=\r\n".to_owned(),
        format!("Cookie: srv_id={stale}\r\n"),
        format!(
            "Cookie: {}\r\n",
            own.to_uppercase().replace("SRV_ID", "srv_id")
        ),
        format!("Cookie: srv_id=\"{}\"\r\n", mark_of(&server.address)),
        format!("Cookie: {own}; {own}\r\n"),
        format!("Cookie: {own}\r\nX: 1\r\nCookie: a=1; srv_id={stale}\r\n"),
    ];
    for fields in &refused {
        for answer in both(&proxy, fields).await {
            assert_eq!(answer.cookie("srv_id").as_ref(), Some(&own), "{fields}");
        }
    }
    proxy
        .wait_for_metric(&count("invalid", 2 * refused.len()))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attribute_is_set_on_answers_and_on_the_101() {
    let server = Server::start(Does::Echo).await;
    let mut settings = sticky(&[&server.address]);
    settings.upstreams[0].sticky = vec![Sticky::Cookie(Cookie {
        name: "__Secure-at".to_owned(),
        keys: Vec::new(),
        expires: Some(Duration::from_secs(3600)),
        domain: Some(".example.com".to_owned()),
        path: Some("/socket.io/".to_owned()),
        secure: true,
        httponly: true,
        samesite: Some(SameSite::None),
        partitioned: true,
    })];
    let proxy = Proxy::start(settings).await;
    for answer in both(&proxy, "").await {
        let set = answer.field("Set-Cookie").unwrap();
        let (before, rest) = set.split_once("expires=").unwrap();
        assert_eq!(
            before,
            format!("__Secure-at={}; ", mark_of(&server.address))
        );
        let (until, rest) = rest.split_once("; ").unwrap();
        let until = httpdate::parse_http_date(until).unwrap();
        let hour = until.duration_since(crate::clock::wall()).unwrap();
        assert!((3000..=3600).contains(&hour.as_secs()), "{hour:?}");
        assert_eq!(
            rest,
            "max-age=3600; domain=.example.com; httponly; secure; samesite=none; path=/socket.io/; partitioned"
        );
    }
}

/// Answers each connection with these bytes, and shows the head that it got.
async fn raw_server(answer: Vec<u8>) -> (String, UnboundedReceiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, heads) = unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            sender.send(raw_head(&mut stream).await).unwrap();
            stream.write_all(&answer).await.unwrap();
        }
    });
    (address, heads)
}

async fn raw_head(stream: &mut TcpStream) -> Vec<u8> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = timeout(PATIENCE, stream.read_u8()).await.unwrap();
        head.push(byte.unwrap());
    }
    head
}

/// The values of all fields of this name, in their order.
fn values(head: &[u8], name: &str) -> Vec<String> {
    head.split(|byte| *byte == b'\n')
        .filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let (found, value) = line.split_at(colon);
            let is_it = found.eq_ignore_ascii_case(name.as_bytes());
            is_it.then(|| value[1..].trim_ascii().escape_ascii().to_string())
        })
        .collect()
}

fn escaped(values: &[&[u8]]) -> Vec<String> {
    let values = values.iter();
    values
        .map(|value| value.escape_ascii().to_string())
        .collect()
}

/// Sends and answers these cookies over a request of this kind; nothing of them may change.
async fn pass_byte_for_byte(request: &str, status: &str) {
    const SENT: [&[u8]; 3] = [
        b"a=1;b = 2 ;; c=\"x, y\";\td; =e; f==; \xff\xe9=\x80; srv_id2=no",
        b"",
        b"connect.sid=s%3Aabc.d%2Fe; A=1; a=1;;",
    ];
    const SET: [&[u8]; 6] = [
        b"a=1; Path=/; EXPIRES=Wed, 21 Oct 2015 07:28:00 GMT;  x ; HttpOnly",
        b"b=\"q; r\"; samesite=None;secure",
        b"\xff=\x80\xc3\xa9; Max-Age=-1",
        b"",
        b"a=1; Path=/",
        b"SRV_ID=the app's own; Path=/x",
    ];
    let mut answer = status.as_bytes().to_vec();
    for value in SET {
        answer.extend([b"Set-Cookie: ", value, b"\r\nX-Between: 1\r\n"].concat());
    }
    answer.extend(b"\r\n");
    let (address, mut heads) = raw_server(answer).await;
    let proxy = Proxy::start(sticky(&[&address])).await;
    let mut client = proxy.connect().await;
    let mut bytes = request.as_bytes().to_vec();
    for value in SENT {
        bytes.extend([b"Cookie: ", value, b"\r\nX-Between: 1\r\n"].concat());
    }
    bytes.extend(b"\r\n");
    client.0.write_all(&bytes).await.unwrap();
    let told = raw_head(&mut client.0).await;
    let got = timeout(PATIENCE, heads.recv()).await.unwrap().unwrap();
    assert_eq!(values(&got, "Cookie"), escaped(&SENT));
    let mut set = values(&told, "Set-Cookie");
    let own = set.pop().unwrap();
    assert!(own.starts_with("srv_id="), "{own}");
    assert_eq!(set, escaped(&SET));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_apps_cookies_pass_byte_for_byte() {
    pass_byte_for_byte(
        "GET / HTTP/1.1\r\nHost: a\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_apps_cookies_pass_byte_for_byte_beside_a_websocket() {
    // Without the end of the head.
    let open = handshake("").replace("\r\n\r\n", "\r\n");
    pass_byte_for_byte(
        &open,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
    )
    .await;
    pass_byte_for_byte(&open, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n").await;
}
