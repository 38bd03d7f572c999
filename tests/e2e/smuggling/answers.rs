//! Answers that can be read in two ways, or that say more than was asked: the next client must not get the rest.

use std::sync::{Arc, Mutex};

use berth_tests::{Port, Proxy, RunningProxy, secs, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// An answer to nobody's question.
const POISON: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
const NEXT: &str = "GET /next HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

/// What a server says, and the status that its client gets.
struct Said {
    method: &'static str,
    answer: String,
    status: u16,
}

fn said(method: &'static str, status: u16, answer: impl Into<String>) -> Said {
    Said {
        method,
        answer: answer.into(),
        status,
    }
}

/// Answers that are refused whole.
fn ambiguous() -> Vec<Said> {
    let fields = [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 0\r\nContent-Length: 55",
        "Content-Length: 0, 0",
        "Content-Length: +0",
        "Content-Length: -1",
        "Content-Length: 0x0",
        "Content-Length:",
        "Content-Length: 99999999999999999999",
        "Content-Length : 0",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "X: a\r\n Content-Length: 0",
        "X: a\rContent-Length: 0",
        "X: \0",
        "X\0: a",
        "no colon",
    ];
    let mut all = Vec::new();
    for fields in fields {
        all.push(said(
            "GET",
            502,
            format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n{POISON}"),
        ));
    }
    let lines = [
        "HTTP/2.0 200 OK",
        "HTTP/0.9 200 OK",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 abc OK",
        "HTTP/1.1",
        "http/1.1 200 OK",
        "200 OK",
        "HTTP/1.1 101 Switching Protocols",
        "HTTP/1.1  200 OK",
    ];
    for line in lines {
        all.push(said(
            "GET",
            502,
            format!("{line}\r\nContent-Length: 0\r\n\r\n{POISON}"),
        ));
    }
    all.push(said(
        "GET",
        502,
        format!("HTTP/1.1 103 Early\r\nContent-Length: 5\r\n\r\nhello{POISON}"),
    ));
    all
}

/// Answers that pass, with something behind them.
fn overlong() -> Vec<Said> {
    let length = POISON.len();
    let early = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".repeat(300);
    vec![
        said(
            "GET",
            200,
            format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok{POISON}"),
        ),
        said(
            "GET",
            204,
            format!("HTTP/1.1 204 No Content\r\nContent-Length: {length}\r\n\r\n{POISON}"),
        ),
        said(
            "GET",
            204,
            format!(
                "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{POISON}"
            ),
        ),
        said(
            "GET",
            304,
            format!("HTTP/1.1 304 Not Modified\r\nContent-Length: {length}\r\n\r\n{POISON}"),
        ),
        said(
            "HEAD",
            200,
            format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{POISON}"),
        ),
        said(
            "HEAD",
            200,
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{POISON}"),
        ),
        said(
            "GET",
            200,
            format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nok\r\n0\r\n\r\n{POISON}"
            ),
        ),
        said(
            "GET",
            200,
            format!("{early}HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n{POISON}"),
        ),
        said(
            "GET",
            200,
            format!(
                "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n{POISON}"
            ),
        ),
        said(
            "GET",
            200,
            format!("HTTP/1.1 200 OK\nContent-Length: 0\n\n{POISON}"),
        ),
    ]
}

/// A connection that is asked to say poison, and to tell when it has.
type Poison = mpsc::Sender<oneshot::Sender<()>>;

/// Answers by number, `next` to everything else.
struct Server {
    answers: Vec<Said>,
    /// The connection that answered last.
    last: Mutex<Option<Poison>>,
}

impl Server {
    async fn serve(self: Arc<Self>, mut stream: TcpStream) {
        let (poison, mut told) = mpsc::channel::<oneshot::Sender<()>>(1);
        let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
        loop {
            let count = tokio::select! {
                read = stream.read(&mut buffer) => read.unwrap_or(0),
                Some(done) = told.recv() => {
                    let _gone = stream.write_all(POISON.as_bytes()).await;
                    done.send(()).unwrap();
                    continue;
                }
            };
            if count == 0 {
                return;
            }
            bytes.extend_from_slice(&buffer[..count]);
            if bytes.ends_with(b"\r\n\r\n") {
                *self.last.lock().unwrap() = Some(poison.clone());
                let head = String::from_utf8(std::mem::take(&mut bytes)).unwrap();
                let _gone = stream.write_all(self.answer(&head).as_bytes()).await;
            }
        }
    }

    fn answer(&self, head: &str) -> &str {
        let number = head.split(['/', ' ']).nth(2);
        number
            .and_then(|number| number.parse::<usize>().ok())
            .map_or(
                "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext",
                |number| &self.answers[number].answer,
            )
    }

    /// The connection that answered last says something while nobody asks.
    async fn poison(&self) {
        let last = self.last.lock().unwrap().take().unwrap();
        let (done, said) = oneshot::channel();
        last.send(done).await.unwrap();
        said.await.unwrap();
    }
}

async fn all_of(address: &str, request: &str) -> String {
    let ask = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut got = Vec::new();
        // A reset ends it as well.
        let _end = stream.read_to_end(&mut got).await;
        String::from_utf8_lossy(&got).into_owned()
    };
    within("the end of the answers", secs(10), ask).await
}

fn final_statuses(got: &str) -> Vec<u16> {
    let codes = got
        .split("HTTP/1.1 ")
        .skip(1)
        .filter_map(|rest| rest.get(..3)?.parse().ok());
    codes.filter(|code| *code >= 200).collect()
}

async fn start() -> (Arc<Server>, JoinHandle<()>, Port) {
    let mut answers = ambiguous();
    answers.extend(overlong());
    let server = Arc::new(Server {
        answers,
        last: Mutex::new(None),
    });
    let port = Port::reserve();
    let listener = TcpListener::bind(port.address()).await.unwrap();
    let accepting = Arc::clone(&server);
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Or a second answer would wait for the next request, as Nagle has it.
            stream.set_nodelay(true).unwrap();
            tokio::spawn(Arc::clone(&accepting).serve(stream));
        }
    });
    (server, task, port)
}

#[tokio::test]
async fn what_a_server_says_too_much_reaches_nobody() {
    let (server, task, port) = start().await;
    let folder = tempfile::tempdir().unwrap();
    // One thread, so that the next client has the connection of the one before to get.
    let plan = Proxy::round_robin().server_line("threads = 1");
    let address = format!("{{ address = \"{}\", max_fails = 0 }}", port.address());
    let proxy = RunningProxy::before(plan, folder.path(), &[address]).await;
    let address = proxy.address();
    for (number, said) in server.answers.iter().enumerate() {
        let first = format!("{} /{number} HTTP/1.1\r\nHost: h\r\n\r\n", said.method);
        let got = all_of(&address, &format!("{first}{NEXT}")).await;
        let is_next = got.ends_with("\r\n\r\nnext");
        let next = if is_next { Some(200) } else { None };
        let expected: Vec<u16> = [said.status].into_iter().chain(next).collect();
        assert_eq!(
            final_statuses(&got),
            expected,
            "{:?} became {got:?}",
            said.answer
        );
        assert!(is_next || said.status == 502, "{got:?}");
        assert!(!got.contains("poison"), "{:?} became {got:?}", said.answer);
        let got = all_of(&address, NEXT).await;
        assert!(
            got.ends_with("\r\n\r\nnext"),
            "behind {:?} came {got:?}",
            said.answer
        );
    }
    for _ in 0..20 {
        assert!(all_of(&address, NEXT).await.ends_with("\r\n\r\nnext"));
        within("the poison is said", secs(5), server.poison()).await;
        let got = all_of(&address, NEXT).await;
        assert!(got.ends_with("\r\n\r\nnext"), "{got:?}");
    }
    task.abort();
}

#[tokio::test]
async fn a_client_that_says_too_much_gets_its_whole_answer() {
    const BODY_BYTES: usize = 2 << 20;
    let port = Port::reserve();
    let listener = TcpListener::bind(port.address()).await.unwrap();
    let server = tokio::spawn(async move {
        let head =
            format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {BODY_BYTES}\r\n\r\n");
        let answer = [head.as_bytes(), &vec![b'x'; BODY_BYTES]].concat();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_u8().await.unwrap();
            stream.write_all(&answer).await.unwrap();
            stream.shutdown().await.unwrap();
            let _end = stream.read_to_end(&mut Vec::new()).await;
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let address = format!("{{ address = \"{}\" }}", port.address());
    let proxy = RunningProxy::before(Proxy::round_robin(), folder.path(), &[address]).await;
    for _ in 0..30 {
        let said = format!("{NEXT}{}", POISON.repeat(2500));
        assert!(said.len() > 100_000);
        let got = all_of(&proxy.address(), &said).await;
        assert!(got.len() > BODY_BYTES, "only {} bytes", got.len());
        assert_eq!(final_statuses(&got), [200]);
    }
    server.abort();
}
