//! A Socket.IO server whose rooms span all servers on the same Redis, Node ones included.
//!
//! Start two, or one beside a Node server with `@socket.io/redis-adapter`:
//! `cargo run -p berth-adapter --example rooms -- 127.0.0.1:3001 redis://127.0.0.1:6379`

use std::convert::Infallible;

use berth_adapter::{Cluster, ClusterAdapter, RedisOptions};
use hyper_util::rt::TokioIo;
use socketioxide::SocketIo;
use socketioxide::adapter::Emitter;
use socketioxide::extract::{AckSender, Data, Event, SocketRef};
use socketioxide::handler::ConnectHandler;
use tokio::net::TcpListener;

type Adapter = ClusterAdapter<Emitter>;
type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(redis_url)) = (arguments.next(), arguments.next()) else {
        return Err("usage: rooms ADDRESS REDIS_URL".into());
    };
    let cluster = Cluster::redis(RedisOptions::new(redis_url))?;
    let (service, io) = SocketIo::builder()
        .with_adapter::<Adapter>(cluster)
        .build_svc();
    io.ns("/", (async || {}).with(on_connect));
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _peer) = listener.accept().await?;
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service.clone())
            .with_upgrades();
        tokio::spawn(connection);
    }
}

/// Runs before the client hears that it is connected, so that no event of it comes too early.
async fn on_connect(socket: SocketRef<Adapter>) -> Result<(), Infallible> {
    // As Node does: servers address a client by the room that has its id.
    socket.join(socket.id);
    socket.on(
        "join",
        async |socket: SocketRef<Adapter>, Data(room): Data<String>, ack: AckSender<Adapter>| {
            socket.join(room);
            report(ack.send("joined"));
        },
    );
    // Everything else goes to everybody else in the room that the argument names.
    socket.on_fallback(
        async |socket: SocketRef<Adapter>,
               Event(event): Event,
               Data(argument): Data<serde_json::Value>| {
            let room = argument["room"].as_str().unwrap_or("lobby").to_owned();
            report(socket.to(room).emit(event, &argument).await);
        },
    );
    Ok(())
}

#[allow(clippy::print_stderr, reason = "an example has no log")]
fn report<E: std::fmt::Display>(outcome: Result<(), E>) {
    if let Err(error) = outcome {
        eprintln!("{error}");
    }
}
