use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::ClientOptions;
use mongodb::{Client, Database};
use tokio::time::timeout;
use uuid::Uuid;

use super::MongoStore;
use crate::chat::message::{Draft, Entry};
use crate::contract::{Data, Fixture};
use crate::store::contract::{append, draft, drafts, room, seqs, walk_forth};
use crate::store::{Page, Store, StoreError};
use relay::{Relay, Trouble};

mod relay;

#[allow(
    clippy::disallowed_methods,
    reason = "where the tests' MongoDB is, only the environment knows"
)]
fn uri() -> String {
    std::env::var("MONGO_URI").expect(
        "MONGO_URI is not set: `./ci.sh` starts a MongoDB and sets it, or run `mongod` and \
         `MONGO_URI=mongodb://127.0.0.1:27017 cargo test`; `--skip needs_mongo_` leaves these tests out",
    )
}

/// The tests' server with another database.
async fn uri_of(database: &str) -> String {
    let options = ClientOptions::parse(uri()).await.unwrap();
    match options.repl_set_name {
        Some(name) => format!("mongodb://{}/{database}?replicaSet={name}", server().await),
        None => format!("mongodb://{}/{database}", server().await),
    }
}

/// The same through a relay, which a replica set must not tell to go elsewhere.
fn uri_through(relay: &Relay, database: &str) -> String {
    format!(
        "mongodb://{}/{database}?directConnection=true",
        relay.address
    )
}

async fn server() -> String {
    ClientOptions::parse(uri()).await.unwrap().hosts[0].to_string()
}

/// A database of its own in the tests' MongoDB.
pub(crate) struct OwnDatabase(String);

impl OwnDatabase {
    fn named() -> Self {
        Self(format!("test-{}", Uuid::new_v4().simple()))
    }

    async fn store(&self) -> MongoStore {
        MongoStore::connect(&uri_of(&self.0).await).await.unwrap()
    }

    pub(crate) async fn uri(&self) -> String {
        uri_of(&self.0).await
    }

    /// The driver's own view of the data.
    pub(crate) async fn database(&self) -> Database {
        Client::with_uri_str(uri_of(&self.0).await)
            .await
            .unwrap()
            .database(&self.0)
    }
}

#[async_trait]
impl Data for OwnDatabase {
    async fn fresh() -> Self {
        Self::named()
    }

    async fn clear(self) {
        self.database().await.drop().await.unwrap();
    }
}

#[async_trait]
impl Fixture<dyn Store> for OwnDatabase {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.store().await)
    }
}

mod needs_mongo_contract {
    use super::OwnDatabase;
    use crate::store::contract::store_contract;

    store_contract!(OwnDatabase);
}

#[tokio::test]
async fn needs_mongo_documents_have_the_documented_shape() {
    let own = OwnDatabase::named();
    let sent = draft("ann", "a", "hello");
    append(&own.store().await, &room("lobby"), vec![sent.clone()]).await;
    let database = own.database().await;
    let stored = database
        .collection::<Document>("messages")
        .find_one(doc! {})
        .await
        .unwrap()
        .unwrap();
    let keys: Vec<&str> = stored.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "_id",
            "roomId",
            "seq",
            "n",
            "kind",
            "senderId",
            "senderName",
            "clientMsgId",
            "type",
            "content",
            "ts",
            "words"
        ]
    );
    assert!(matches!(&stored["_id"], Bson::Binary(id) if id.bytes == sent.id.as_bytes()));
    assert_eq!(stored["seq"], Bson::Int64(1));
    assert_eq!(stored["kind"], Bson::String("message".to_owned()));
    assert!(
        matches!(stored["ts"], Bson::DateTime(at) if at.timestamp_millis() == sent.timestamp_ms)
    );
    let names = database
        .collection::<Document>("messages")
        .list_index_names()
        .await
        .unwrap();
    assert_eq!(
        names,
        [
            "_id_",
            "roomId_1_seq_1",
            "roomId_1_senderId_1_clientMsgId_1",
            "roomId_1_refSeq_1_seq_1",
            "roomId_1_pending_1_refSeq_1",
            "words_1__id_-1_roomId_1"
        ]
    );
    own.clear().await;
}

#[tokio::test]
async fn needs_mongo_an_answer_that_was_lost_is_not_a_second_message() {
    let own = OwnDatabase::named();
    let relay = Relay::start(&server().await).await;
    let store = MongoStore::connect(&uri_through(&relay, &own.0))
        .await
        .unwrap();
    let lobby = room("lobby");
    append(&store, &lobby, drafts("ann", 2)).await;
    // The insert reaches MongoDB; its answer does not reach us.
    relay.next_insert(Trouble::LoseAnswer);
    let outcomes = append(&store, &lobby, drafts("bob", 5)).await;
    assert!(relay.had_its_trouble());
    let places: Vec<_> = outcomes
        .iter()
        .map(|a| (a.message.seq, a.duplicate))
        .collect();
    assert_eq!(
        places,
        [(3, false), (4, false), (5, false), (6, false), (7, false)]
    );
    // The insert does not even reach MongoDB.
    relay.next_insert(Trouble::LoseQuestion);
    let outcomes = append(&store, &lobby, drafts("cat", 2)).await;
    assert!(relay.had_its_trouble());
    let places: Vec<_> = outcomes
        .iter()
        .map(|a| (a.message.seq, a.duplicate))
        .collect();
    assert_eq!(places, [(8, false), (9, false)]);
    assert_eq!(
        seqs(&walk_forth(&store, &lobby, 100).await),
        (1..=9).collect::<Vec<_>>()
    );
    own.clear().await;
}

#[tokio::test]
async fn needs_mongo_a_server_that_hangs_is_unavailable_in_time() {
    let own = OwnDatabase::named();
    let relay = Relay::start(&server().await).await;
    let uri = uri_through(&relay, &own.0);
    let store = MongoStore::answering_within(&uri, Duration::from_secs(1)).unwrap();
    let lobby = room("lobby");
    own.store().await.ping().await.unwrap();
    append(&store, &lobby, drafts("ann", 1)).await;
    relay.next_insert(Trouble::Hang);
    let sent = drafts("bob", 2);
    let outcomes = timeout(Duration::from_secs(10), store.append(&lobby, sent.clone()))
        .await
        .unwrap();
    assert_eq!(outcomes.len(), 2);
    assert!(
        outcomes
            .iter()
            .all(|o| matches!(o, Err(StoreError::Unavailable(_)))),
        "{outcomes:?}"
    );
    // Unknown is what it was: this time MongoDB had stored them, and sending them again finds them.
    let again = append(&store, &lobby, sent).await;
    let places: Vec<_> = again.iter().map(|a| (a.message.seq, a.duplicate)).collect();
    assert_eq!(places, [(2, true), (3, true)]);
    own.clear().await;
}

#[tokio::test]
async fn needs_mongo_a_server_that_comes_up_later_is_used() {
    let own = OwnDatabase::named();
    let relay = Relay::reserve().await;
    let uri = format!(
        "{}&serverSelectionTimeoutMS=200",
        uri_through(&relay, &own.0)
    );
    let store = MongoStore::connect(&uri).await.unwrap();
    let lobby = room("lobby");
    let refused = store.append(&lobby, drafts("ann", 2)).await;
    assert!(
        refused
            .iter()
            .all(|o| matches!(o, Err(StoreError::Unavailable(_)))),
        "{refused:?}"
    );
    let page = store.page(&lobby, Page::Latest { limit: 1 }).await;
    assert!(matches!(page, Err(StoreError::Unavailable(_))), "{page:?}");
    assert!(matches!(
        store.ping().await,
        Err(StoreError::Unavailable(_))
    ));

    relay.open(&server().await).await;
    let up = async { while store.ping().await.is_err() {} };
    timeout(Duration::from_secs(30), up).await.unwrap();
    assert_eq!(
        append(&store, &lobby, drafts("ann", 2)).await[1]
            .message
            .seq,
        2
    );
    own.clear().await;
}

#[tokio::test]
async fn needs_mongo_a_wiped_database_is_a_new_log_at_the_next_ping() {
    let own = OwnDatabase::named();
    let store = own.store().await;
    let lobby = room("lobby");
    append(&store, &lobby, drafts("ann", 3)).await;
    let epoch = store
        .page(&lobby, Page::Latest { limit: 1 })
        .await
        .unwrap()
        .epoch;
    own.database().await.drop().await.unwrap();
    store.ping().await.unwrap();
    let history = store.page(&lobby, Page::Latest { limit: 1 }).await.unwrap();
    assert_ne!(history.epoch, epoch);
    assert_eq!(
        append(&store, &lobby, drafts("ann", 1)).await[0]
            .message
            .seq,
        1
    );
    own.clear().await;
}

#[tokio::test]
async fn needs_mongo_a_foreign_collection_is_refused() {
    let own = OwnDatabase::named();
    let foreign = own.database().await.collection::<Document>("messages");
    foreign
        .insert_many([doc! { "text": "a" }, doc! { "text": "b" }])
        .await
        .unwrap();
    let ping = own.store().await.ping().await;
    assert!(
        matches!(&ping, Err(StoreError::Broken(why)) if why.contains("database of its own")),
        "{ping:?}"
    );
    assert_eq!(foreign.count_documents(doc! {}).await.unwrap(), 2);
    own.clear().await;
}

#[tokio::test]
async fn needs_mongo_what_the_server_does_not_take_is_refused_alone() {
    let own = OwnDatabase::named();
    let store = own.store().await;
    store.ping().await.unwrap();
    let rule = doc! { "collMod": "messages", "validator": { "content": { "$ne": "forbidden" } } };
    own.database().await.run_command(rule).await.unwrap();
    let batch = vec![
        draft("a", "1", "x"),
        draft("a", "2", "forbidden"),
        draft("a", "3", "y"),
    ];
    let outcomes = store.append(&room("lobby"), batch).await;
    assert!(
        matches!(&outcomes[1], Err(StoreError::Broken(_))),
        "{outcomes:?}"
    );
    let places = [&outcomes[0], &outcomes[2]].map(|o| o.as_ref().unwrap().message.seq);
    assert_eq!(places, [1, 2]);
    own.clear().await;
}

fn delete(client_msg_id: &str) -> Draft {
    Draft {
        entry: Entry::Delete { ref_seq: 1 },
        ..draft("ann", client_msg_id, "")
    }
}

fn edit(client_msg_id: &str, content: &str) -> Draft {
    Draft {
        entry: Entry::Edit {
            ref_seq: 1,
            content: content.to_owned(),
        },
        ..draft("ann", client_msg_id, "")
    }
}

/// Whether any change waits for its message.
async fn is_pending(own: &OwnDatabase) -> bool {
    let messages = own.database().await.collection::<Document>("messages");
    let pending = messages.count_documents(doc! { "pending": true }).await;
    pending.unwrap() > 0
}

#[tokio::test]
async fn needs_mongo_a_change_whose_writer_died_is_shown_to_the_next_reader() {
    let own = OwnDatabase::named();
    let lobby = room("lobby");
    let store = own.store().await;
    append(&store, &lobby, drafts("ann", 1)).await;
    append(&store, &lobby, vec![edit("e1", "first")]).await;
    assert!(!is_pending(&own).await);
    append(&store, &lobby, vec![edit("e2", "second")]).await;
    // As if it had died between the change and its message.
    let messages = own.database().await.collection::<Document>("messages");
    let stale = doc! { "$set": { "content": "first", "folded": 2_i64 } };
    messages.update_one(doc! { "seq": 1 }, stale).await.unwrap();
    let pending = doc! { "$set": { "pending": true } };
    messages
        .update_one(doc! { "seq": 3 }, pending.clone())
        .await
        .unwrap();
    let shown = walk_forth(&own.store().await, &lobby, 10).await;
    assert_eq!(shown[0].entry.text(), "second");
    assert!(!is_pending(&own).await);

    // And between a deletion and what it leaves of the edits.
    append(&store, &lobby, vec![delete("d")]).await;
    let undone = doc! { "$set": { "content": "second" } };
    messages
        .update_one(doc! { "seq": 3 }, undone)
        .await
        .unwrap();
    messages
        .update_one(doc! { "seq": 4 }, pending)
        .await
        .unwrap();
    let shown = walk_forth(&own.store().await, &lobby, 10).await;
    assert!(shown.iter().all(|message| message.entry.text().is_empty()));
    assert!(!is_pending(&own).await);
    own.clear().await;
}

#[tokio::test]
async fn needs_mongo_a_log_of_the_first_version_goes_on() {
    let own = OwnDatabase::named();
    let lobby = room("lobby");
    append(&own.store().await, &lobby, drafts("ann", 3)).await;
    let messages = own.database().await.collection::<Document>("messages");
    let without = doc! { "$unset": { "n": "" } };
    messages.update_many(doc! {}, without).await.unwrap();
    let store = own.store().await;
    let further = vec![edit("e", "edited"), draft("ann", "4", "four")];
    append(&store, &lobby, further).await;
    let ns: Vec<u64> = walk_forth(&store, &lobby, 10)
        .await
        .iter()
        .map(|message| message.n)
        .collect();
    assert_eq!(ns, [1, 2, 3, 3, 4]);
    own.clear().await;
}

#[tokio::test]
async fn a_bad_uri_is_refused_without_its_password() {
    for uri in [
        "",
        "localhost",
        "http://host",
        "mongodb://",
        "mongodb://u:secret@@h/x",
        "mongodb://u:secret/1@h",
    ] {
        let refused = MongoStore::connect(uri).await;
        assert!(
            matches!(&refused, Err(StoreError::Broken(why)) if !why.contains("secret")),
            "{refused:?}"
        );
    }
    let store = MongoStore::connect("mongodb://ann:secret@localhost/chat")
        .await
        .unwrap();
    assert!(!format!("{store:?}").contains("secret"));
}

#[tokio::test]
async fn the_database_is_the_one_in_the_path() {
    for (uri, name) in [
        ("mongodb://h/chat", "chat"),
        ("mongodb://h", "berth"),
        ("mongodb://h/?w=1", "berth"),
    ] {
        assert_eq!(super::database(uri).await.unwrap().name(), name);
    }
}
