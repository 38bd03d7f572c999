//! A Socket.IO server in a cluster, on a port of its own.

use std::convert::Infallible;
use std::net::SocketAddr;

use berth_adapter::{Cluster, ClusterAdapter};
use hyper_util::rt::TokioIo;
use socketioxide::SocketIo;
use socketioxide::adapter::Emitter;
use socketioxide::extract::{AckSender, Data, SocketRef};
use socketioxide::handler::ConnectHandler;
use socketioxide::operators::BroadcastOperators;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::client::Client;
use crate::soon;

pub(crate) type Adapter = ClusterAdapter<Emitter>;

pub(crate) struct Server {
    pub(crate) io: SocketIo<Adapter>,
    pub(crate) cluster: Cluster,
    address: SocketAddr,
    namespace: String,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Serves one namespace; clients join rooms by asking.
    pub(crate) async fn start(cluster: Cluster, namespace: &str) -> Self {
        let (service, io) = SocketIo::builder()
            .with_adapter::<Adapter>(cluster.clone())
            .build_svc();
        io.ns(namespace.to_owned(), (async || {}).with(on_connect));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _peer)) = listener.accept().await {
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service.clone())
                    .with_upgrades();
                tokio::spawn(connection);
            }
        });
        Self {
            io,
            cluster,
            address,
            namespace: namespace.to_owned(),
            accepting,
        }
    }

    /// As `start`, and hears and is heard by the others.
    pub(crate) async fn start_clustered(cluster: Cluster, namespace: &str) -> Self {
        let server = Self::start(cluster, namespace).await;
        server.clustered().await;
        server
    }

    pub(crate) async fn clustered(&self) {
        let mut link = self.cluster.link();
        soon(
            "joining the cluster",
            link.wait_for(|link| link.is_clustered()),
        )
        .await
        .unwrap();
    }

    pub(crate) async fn alone(&self) {
        let mut link = self.cluster.link();
        soon(
            "leaving the cluster",
            link.wait_for(|link| !link.is_clustered()),
        )
        .await
        .unwrap();
    }

    pub(crate) fn namespace(&self) -> BroadcastOperators<Adapter> {
        self.io.of(&self.namespace).unwrap()
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.address, &self.namespace).await
    }

    pub(crate) async fn client_in(&self, room: &str) -> Client {
        let mut client = self.client().await;
        client.join(room).await;
        client
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A middleware and not a handler: it is done before the client hears that it is connected.
async fn on_connect(socket: SocketRef<Adapter>) -> Result<(), Infallible> {
    // As Node does, so that a client can be reached and excluded by its id on any server.
    socket.join(socket.id);
    socket.on(
        "join",
        |socket: SocketRef<Adapter>, Data(room): Data<String>, ack: AckSender<Adapter>| {
            socket.join(room);
            ack.send(&"joined").unwrap();
            std::future::ready(())
        },
    );
    // To everybody else in the room.
    socket.on(
        "tell",
        async |socket: SocketRef<Adapter>, Data(room): Data<String>, ack: AckSender<Adapter>| {
            let sender = socket.id.to_string();
            socket.to(room).emit("told", &sender).await.unwrap();
            ack.send(&"told").unwrap();
        },
    );
    Ok(())
}
