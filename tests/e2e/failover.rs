//! A backend dies while clients chat: they recover on another, and nothing that was acknowledged is lost.

use berth_tests::{Proxy, Script, Town, TownPlan, secs};
use serde_json::{Value, json};

/// What the books of a chat must say, whatever happened.
pub(crate) fn nothing_lost_or_doubled(books: &Value) {
    assert!(
        books["acked"].as_u64() > Some(20),
        "hardly anybody chatted: {books}"
    );
    for (what, nothing) in [
        ("lost", json!([])),
        ("gaps", json!([])),
        ("storedTwice", json!(0)),
    ] {
        assert_eq!(books[what], nothing, "{what}: {books}");
    }
    for what in ["outOfOrder", "differing"] {
        assert_eq!(books[what], json!([]), "{what}: {books}");
    }
    let zero = |counts: &Value| {
        counts
            .as_array()
            .expect("counts")
            .iter()
            .all(|count| *count == 0)
    };
    assert!(zero(&books["twice"]), "messages came twice: {books}");
    assert!(
        zero(&books["backwards"]),
        "messages of one sender came out of order: {books}"
    );
}

async fn a_backend_is_killed(plan: TownPlan, clients: Value) {
    let mut town = plan.start().await;
    let mut options = clients;
    options["urls"] = json!([town.proxy().url("")]);
    options["clients"] = json!(6);
    let mut chat = Script::start("chatter.mjs", &options);
    let chatting = chat.says("chatting", 1, secs(60)).await;
    let on_two = chatting["instances"].as_array().expect("instances").iter();
    let on_two = on_two.filter(|instance| **instance == "backend-2").count();
    assert!(on_two > 0, "nobody is on backend-2: {chatting}");

    town.kill(2);
    chat.says("disconnected", on_two, secs(30)).await;
    chat.tell("mark");
    let marked = chat.says("marked", 1, secs(60)).await;
    let instances = marked["instances"].as_array().expect("instances");
    assert!(
        !instances.contains(&json!("backend-2")),
        "still on the dead one: {marked}"
    );
    chat.tell("meet");
    chat.says("met", 1, secs(60)).await;

    chat.tell("stop");
    let books = chat.finish(secs(90)).await;
    nothing_lost_or_doubled(&books);
    let kept = books["disconnects"].as_array().expect("clients").iter();
    let kept = kept.filter(|reasons| **reasons == json!([])).count();
    assert_eq!(
        kept,
        6 - on_two,
        "clients of the living were disturbed: {books}"
    );
}

#[tokio::test]
async fn websocket_clients_move_with_round_robin() {
    let plan = Town::with_backends(3).redis().proxy(Proxy::round_robin());
    a_backend_is_killed(plan, json!({ "transports": ["websocket"] })).await;
}

#[tokio::test]
async fn clients_with_a_cookie_move_and_stay_there() {
    let plan = Town::with_backends(3)
        .redis()
        .mongo()
        .proxy(Proxy::sticky_cookie());
    a_backend_is_killed(plan, json!({ "cookies": true })).await;
}

#[tokio::test]
async fn polling_clients_move_with_a_cookie() {
    let plan = Town::with_backends(3).redis().proxy(Proxy::sticky_cookie());
    a_backend_is_killed(plan, json!({ "cookies": true, "transports": ["polling"] })).await;
}

#[tokio::test]
async fn clients_of_an_ip_hash_move() {
    let plan = Town::with_backends(3)
        .redis()
        .proxy(Proxy::ip_hash().behind_localhost());
    a_backend_is_killed(plan, json!({ "addresses": true })).await;
}

#[tokio::test]
async fn a_backend_that_returns_serves_again() {
    let plan = Town::with_backends(2)
        .redis()
        .proxy(Proxy::round_robin().upstream_line("connect_timeout = \"1s\""));
    let mut town = plan.start().await;
    town.kill(1);
    for _ in 0..6 {
        assert_eq!(town.visitor().await.instance().await, "backend-2");
    }
    town.restart(1).await;
    town.is_clustered().await;
    // Three failures keep it out for fail_timeout; a reload forgives, as in nginx.
    let servers = town.servers(&[1, 2]);
    town.proxy().write(&servers);
    town.proxy().reload("success").await;
    berth_tests::eventually("backend-1 gets clients again", secs(45), async || {
        (town.visitor().await.instance().await == "backend-1").then_some(())
    })
    .await;
}
