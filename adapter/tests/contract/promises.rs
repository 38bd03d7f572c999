//! The promises themselves; each is a test over the hub and one over Redis.

use berth_adapter::{Cluster, Hub, RedisOptions};
use futures_util::StreamExt;
use futures_util::future::join;
use serde_json::json;
use socketioxide::extract::SocketRef;
use socketioxide_core::Uid;

use crate::client::Event;
use crate::server::{Adapter, Server};
use crate::soon;

/// Makes clusters that are connected to each other, in a namespace that nobody else uses.
pub(crate) struct Buses {
    cluster: Box<dyn Fn() -> Cluster + Send + Sync>,
    pub(crate) namespace: String,
}

impl Buses {
    fn hub() -> Self {
        let hub = Hub::new();
        Self::new(move || Cluster::hub(&hub))
    }

    #[allow(clippy::disallowed_methods, reason = "where the test's Redis is")]
    fn redis() -> Self {
        let url = std::env::var("REDIS_URL").expect(
            "this test needs a Redis: start `redis-server --port 6379` and set REDIS_URL=redis://127.0.0.1:6379",
        );
        Self::new(move || Cluster::redis(RedisOptions::new(&url)).unwrap())
    }

    fn new(cluster: impl Fn() -> Cluster + Send + Sync + 'static) -> Self {
        Self {
            cluster: Box::new(cluster),
            namespace: format!("/{}", Uid::new()),
        }
    }

    async fn servers<const COUNT: usize>(&self) -> [Server; COUNT] {
        let mut servers = Vec::new();
        for _ in 0..COUNT {
            servers.push(Server::start_clustered((self.cluster)(), &self.namespace).await);
        }
        servers.try_into().unwrap_or_else(|_| unreachable!())
    }
}

macro_rules! promises {
    ($($promise:ident, $with_redis:ident;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                on::$promise(Buses::hub()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $with_redis() {
                on::$promise(Buses::redis()).await;
            }
        )*
    };
}

promises! {
    a_room_spans_servers, needs_redis_a_room_spans_servers;
    a_broadcast_reaches_each_client_once, needs_redis_a_broadcast_reaches_each_client_once;
    the_sender_is_left_out, needs_redis_the_sender_is_left_out;
    excluded_clients_are_left_out_everywhere, needs_redis_excluded_clients_are_left_out_everywhere;
    clients_are_moved_between_rooms_everywhere, needs_redis_clients_are_moved_between_rooms_everywhere;
    clients_are_disconnected_everywhere, needs_redis_clients_are_disconnected_everywhere;
    broadcasts_keep_their_order, needs_redis_broadcasts_keep_their_order;
    any_payload_survives, needs_redis_any_payload_survives;
    namespaces_are_separate, needs_redis_namespaces_are_separate;
    a_local_broadcast_stays, needs_redis_a_local_broadcast_stays;
    sockets_and_rooms_are_found_everywhere, needs_redis_sockets_and_rooms_are_found_everywhere;
    a_found_socket_is_reached_wherever_it_is, needs_redis_a_found_socket_is_reached_wherever_it_is;
    acknowledgements_come_from_everywhere, needs_redis_acknowledgements_come_from_everywhere;
    a_namespace_can_be_deleted_and_made_again, needs_redis_a_namespace_can_be_deleted_and_made_again;
    servers_hear_each_other_and_not_themselves, needs_redis_servers_hear_each_other_and_not_themselves;
    glob_characters_in_a_namespace_are_only_characters, needs_redis_glob_characters_in_a_namespace_are_only_characters;
}

mod on {
    use super::*;

    pub(crate) async fn a_room_spans_servers(buses: Buses) {
        let [first, second, third] = buses.servers().await;
        let mut near = first.client_in("lobby").await;
        let mut far = second.client_in("lobby").await;
        let mut elsewhere = third.client_in("garage").await;

        first
            .namespace()
            .to("lobby")
            .emit("message", &("hi", 1))
            .await
            .unwrap();
        for client in [&mut near, &mut far] {
            assert_eq!(
                client.next().await,
                Event::text(json!(["message", "hi", 1]))
            );
        }
        // Nothing came before the next broadcast.
        third
            .namespace()
            .broadcast()
            .emit("end", &())
            .await
            .unwrap();
        assert_eq!(elsewhere.next().await.data[0], "end");
    }

    pub(crate) async fn servers_hear_each_other_and_not_themselves(buses: Buses) {
        let [first, second] = buses.servers().await;
        let [mut at_first, mut at_second] =
            [&first, &second].map(|one| one.cluster.server_events());
        for (server, word) in [(&first, "one"), (&first, "two"), (&second, "three")] {
            let argument = json!({ "word": word });
            server
                .cluster
                .server_side_emit(&buses.namespace, "said", &argument)
                .unwrap();
        }
        for word in ["one", "two"] {
            let event = soon("an event", at_second.recv()).await.unwrap();
            let heard = (event.namespace, event.name, event.arguments);
            let expected = (
                buses.namespace.clone(),
                "said".to_owned(),
                vec![json!({ "word": word })],
            );
            assert_eq!(heard, expected);
        }
        // Its own came before this one, had it come.
        let event = soon("an event", at_first.recv()).await.unwrap();
        assert_eq!(event.arguments, [json!({"word": "three"})]);
    }

    pub(crate) async fn a_broadcast_reaches_each_client_once(buses: Buses) {
        let [first, second] = buses.servers().await;
        let mut clients = [first.client_in("a").await, second.client_in("a").await];
        for client in &mut clients {
            client.join("b").await;
        }
        second
            .namespace()
            .to(["a", "b"])
            .emit("once", &())
            .await
            .unwrap();
        second
            .namespace()
            .broadcast()
            .emit("end", &())
            .await
            .unwrap();
        for client in &mut clients {
            assert_eq!(client.next().await.data[0], "once");
            assert_eq!(client.next().await.data[0], "end");
        }
    }

    pub(crate) async fn the_sender_is_left_out(buses: Buses) {
        let [first, second] = buses.servers().await;
        let mut sender = first.client_in("lobby").await;
        let mut near = first.client_in("lobby").await;
        let mut far = second.client_in("lobby").await;

        sender.call("tell", "lobby").await;
        for client in [&mut near, &mut far] {
            assert_eq!(client.next().await, Event::text(json!(["told", sender.id])));
        }
        first
            .namespace()
            .to("lobby")
            .emit("end", &())
            .await
            .unwrap();
        assert_eq!(sender.next().await.data[0], "end");
    }

    pub(crate) async fn excluded_clients_are_left_out_everywhere(buses: Buses) {
        let [first, second] = buses.servers().await;
        let mut far = second.client_in("lobby").await;
        let mut excluded = second.client_in("lobby").await;
        let mut muted = first.client_in("lobby").await;
        muted.join("muted").await;

        let to_some = first.namespace().to("lobby");
        let to_some = to_some.except("muted").except(excluded.id.clone());
        to_some.emit("some", &()).await.unwrap();
        first
            .namespace()
            .to("lobby")
            .emit("end", &())
            .await
            .unwrap();
        assert_eq!(far.next().await.data[0], "some");
        assert_eq!(far.next().await.data[0], "end");
        assert_eq!(excluded.next().await.data[0], "end");
        assert_eq!(muted.next().await.data[0], "end");
    }

    pub(crate) async fn clients_are_moved_between_rooms_everywhere(buses: Buses) {
        let [first, second] = buses.servers().await;
        let mut near = first.client_in("old").await;
        let mut far = second.client_in("old").await;

        first.namespace().within("old").join("new").await.unwrap();
        first.namespace().within("new").leave("old").await.unwrap();
        first
            .namespace()
            .to("old")
            .emit("to old", &())
            .await
            .unwrap();
        first
            .namespace()
            .to("new")
            .emit("to new", &())
            .await
            .unwrap();
        for client in [&mut near, &mut far] {
            assert_eq!(client.next().await.data[0], "to new");
        }
    }

    pub(crate) async fn clients_are_disconnected_everywhere(buses: Buses) {
        let [first, second] = buses.servers().await;
        let mut near = first.client_in("banned").await;
        let mut far = second.client_in("banned").await;
        first
            .namespace()
            .within("banned")
            .disconnect()
            .await
            .unwrap();
        near.disconnected().await;
        far.disconnected().await;
    }

    pub(crate) async fn broadcasts_keep_their_order(buses: Buses) {
        const COUNT: u64 = 5000;
        let [first, second] = buses.servers().await;
        let mut near = first.client_in("lobby").await;
        let mut far = second.client_in("lobby").await;
        for number in 0..COUNT {
            first
                .namespace()
                .to("lobby")
                .emit("n", &number)
                .await
                .unwrap();
        }
        for client in [&mut near, &mut far] {
            for number in 0..COUNT {
                assert_eq!(client.next().await.data[1], number);
            }
        }
        assert_eq!(first.cluster.counts().dropped, 0);
        assert_eq!(second.cluster.counts().lagged, 0);
    }

    pub(crate) async fn any_payload_survives(buses: Buses) {
        let [first, second] = buses.servers().await;
        let mut far = second.client_in("lobby").await;
        let text = json!({ "é\n\"": [null, true, -1, 1.5, 5_000_000_000_u64, {}], "": [[]] });
        first
            .namespace()
            .to("lobby")
            .emit("text", &text)
            .await
            .unwrap();
        assert_eq!(far.next().await, Event::text(json!(["text", text])));

        let binary = (
            bytes::Bytes::from_static(&[1, 2, 3]),
            "between",
            bytes::Bytes::new(),
        );
        first
            .namespace()
            .to("lobby")
            .emit("binary", &binary)
            .await
            .unwrap();
        let event = far.next().await;
        let placeholder = |num: u8| json!({ "_placeholder": true, "num": num });
        assert_eq!(
            event.data,
            json!(["binary", placeholder(0), "between", placeholder(1)])
        );
        assert_eq!(event.attachments, [vec![1, 2, 3], vec![]]);
    }

    pub(crate) async fn namespaces_are_separate(buses: Buses) {
        let [first, second] = buses.servers().await;
        let longer = format!("{}-more", buses.namespace);
        first.io.ns(longer.clone(), async || {});
        second.io.ns(longer.clone(), async || {});
        first.clustered().await;
        second.clustered().await;
        let mut far = second.client_in("lobby").await;
        first
            .io
            .of(&longer)
            .unwrap()
            .to("lobby")
            .emit("other", &())
            .await
            .unwrap();
        first
            .io
            .of(&longer)
            .unwrap()
            .broadcast()
            .emit("other", &())
            .await
            .unwrap();
        first
            .namespace()
            .to("lobby")
            .emit("end", &())
            .await
            .unwrap();
        assert_eq!(far.next().await.data[0], "end");
    }

    pub(crate) async fn a_local_broadcast_stays(buses: Buses) {
        let [first, second] = buses.servers().await;
        let mut near = first.client_in("lobby").await;
        let mut far = second.client_in("lobby").await;
        first
            .namespace()
            .local()
            .to("lobby")
            .emit("local", &())
            .await
            .unwrap();
        first
            .namespace()
            .to("lobby")
            .emit("end", &())
            .await
            .unwrap();
        assert_eq!(near.next().await.data[0], "local");
        assert_eq!(far.next().await.data[0], "end");
    }

    pub(crate) async fn sockets_and_rooms_are_found_everywhere(buses: Buses) {
        let [first, second, third] = buses.servers().await;
        let near = first.client_in("lobby").await;
        let mut far = second.client_in("lobby").await;
        far.join("attic").await;
        let other = second.client_in("garage").await;

        let sorted = |ids: &[&str]| {
            let mut ids: Vec<_> = ids.iter().map(|&id| id.to_owned()).collect();
            ids.sort();
            ids
        };
        for server in [&first, &second, &third] {
            let found = server
                .namespace()
                .to("lobby")
                .fetch_sockets()
                .await
                .unwrap();
            let found: Vec<_> = found
                .iter()
                .map(|socket| socket.data().id.to_string())
                .collect();
            let found: Vec<_> = found.iter().map(String::as_str).collect();
            assert_eq!(sorted(&found), sorted(&[&near.id, &far.id]));

            let rooms = server.namespace().broadcast().rooms().await.unwrap();
            let rooms: Vec<_> = rooms.iter().map(|room| &**room).collect();
            let all = ["attic", "garage", "lobby", &near.id, &far.id, &other.id];
            assert_eq!(sorted(&rooms), sorted(&all));

            let rooms = server.namespace().within("attic").rooms().await.unwrap();
            let rooms: Vec<_> = rooms.iter().map(|room| &**room).collect();
            assert_eq!(sorted(&rooms), sorted(&["attic", "lobby", &far.id]));
        }
    }

    pub(crate) async fn a_found_socket_is_reached_wherever_it_is(buses: Buses) {
        let [first, second] = buses.servers().await;
        let mut far = second.client_in("lobby").await;
        let found = first
            .namespace()
            .within("lobby")
            .fetch_sockets()
            .await
            .unwrap();
        let [socket] = &found[..] else {
            panic!("{} sockets instead of one", found.len());
        };
        socket.join("attic").await.unwrap();
        socket.emit("hello", &()).await.unwrap();
        assert_eq!(far.next().await.data[0], "hello");
        first
            .namespace()
            .to("attic")
            .emit("in the attic", &())
            .await
            .unwrap();
        assert_eq!(far.next().await.data[0], "in the attic");
        // Nothing of the remote socket stays on the first server.
        assert_eq!(
            first
                .namespace()
                .local()
                .within("attic")
                .rooms()
                .await
                .unwrap()
                .len(),
            0
        );
    }

    pub(crate) async fn acknowledgements_come_from_everywhere(buses: Buses) {
        let [first, second, third] = buses.servers().await;
        let mut clients = [
            first.client_in("lobby").await,
            second.client_in("lobby").await,
            second.client_in("lobby").await,
        ];
        let room = third.namespace().to("lobby");
        let acks = room.emit_with_ack::<_, u8>("ask", "?").await.unwrap();
        let answering = async {
            for (client, answer) in clients.iter_mut().zip(1..) {
                client.acknowledge(&json!([answer])).await;
            }
        };
        let collecting = acks.map(|(_id, ack)| ack.unwrap()).collect::<Vec<_>>();
        let (mut acks, ()) = soon("all acknowledgements", join(collecting, answering)).await;
        acks.sort();
        assert_eq!(acks, [1, 2, 3]);

        let nobody = third.namespace().to("nowhere");
        let acks = nobody.emit_with_ack::<_, ()>("ask", "?").await.unwrap();
        assert_eq!(
            soon("the end of no acknowledgements", acks.count()).await,
            0
        );
    }

    pub(crate) async fn a_namespace_can_be_deleted_and_made_again(buses: Buses) {
        let [first, second] = buses.servers().await;
        second.io.delete_ns(&buses.namespace);
        second.io.ns(
            buses.namespace.clone(),
            async |socket: SocketRef<Adapter>| {
                socket.join("lobby");
                socket.emit("joined", &()).unwrap();
            },
        );
        second.clustered().await;
        let mut far = second.client().await;
        assert_eq!(far.next().await.data[0], "joined");
        first
            .namespace()
            .to("lobby")
            .emit("message", &())
            .await
            .unwrap();
        assert_eq!(far.next().await.data[0], "message");
    }

    pub(crate) async fn glob_characters_in_a_namespace_are_only_characters(mut buses: Buses) {
        buses.namespace += "*[a-z]?";
        let [first, second] = buses.servers().await;
        let mut far = second.client_in("l*").await;
        first
            .namespace()
            .to("l*")
            .emit("message", &())
            .await
            .unwrap();
        assert_eq!(far.next().await.data[0], "message");
    }
}
