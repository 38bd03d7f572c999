use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures_util::future::join_all;
use proptest::prelude::{ProptestConfig, any, proptest};

use super::*;
use crate::chat::message::Draft;
use crate::protocol;
use crate::store::contract::{append, at, draft};
use crate::store::memory::MemoryStore;
use crate::store::{Appended, Ends, Found, Grown, Mark, Search, Store, Tails};

/// The memory store; it counts reads and can be down.
#[derive(Default)]
struct Log {
    inner: MemoryStore,
    reads: AtomicUsize,
    is_down: AtomicBool,
}

impl Log {
    fn answer(&self) -> Result<(), StoreError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        match self.is_down.load(Ordering::SeqCst) {
            true => Err(StoreError::Unavailable("down".to_owned())),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Store for Log {
    async fn append(&self, room: &RoomId, drafts: Vec<Draft>) -> Vec<Result<Appended, StoreError>> {
        self.inner.append(room, drafts).await
    }

    async fn page(&self, room: &RoomId, page: Page) -> Result<History, StoreError> {
        self.answer()?;
        self.inner.page(room, page).await
    }

    async fn tails(&self, rooms: &[RoomId]) -> Result<Tails, StoreError> {
        self.answer()?;
        self.inner.tails(rooms).await
    }

    async fn ends(&self, after: Option<&RoomId>, limit: u32) -> Result<Ends, StoreError> {
        self.inner.ends(after, limit).await
    }

    async fn grown(&self, since: Option<Mark>) -> Result<Grown, StoreError> {
        self.inner.grown(since).await
    }

    async fn search(&self, search: Search) -> Result<Found, StoreError> {
        self.inner.search(search).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn name(&self) -> &'static str {
        "log"
    }
}

/// The sockets of one instance: in which rooms, and what they were shown.
#[derive(Default)]
struct Sockets {
    rooms: Mutex<HashSet<RoomId>>,
    shown: Mutex<Vec<String>>,
}

impl Outlet for Sockets {
    fn has_members(&self, room: &RoomId) -> bool {
        self.rooms.lock().unwrap().contains(room)
    }

    fn show(&self, _: &RoomId, events: &[Str]) {
        let events = events.iter().map(Str::to_string);
        self.shown.lock().unwrap().extend(events);
    }
}

struct Instance {
    log: Arc<Log>,
    sockets: Arc<Sockets>,
    delivery: Delivery,
}

fn room() -> RoomId {
    RoomId::parse("r").unwrap()
}

impl Instance {
    fn new(log: &Arc<Log>) -> Self {
        let sockets: Arc<Sockets> = Arc::default();
        let reader = Reader::new(Arc::clone(log) as Arc<dyn Store>, Duration::from_secs(5));
        let outlet = Arc::clone(&sockets) as Arc<dyn Outlet>;
        let metrics = Metrics::new().unwrap();
        Self {
            log: Arc::clone(log),
            sockets,
            delivery: Delivery::new(outlet, reader, metrics, CancellationToken::new()),
        }
    }

    async fn joined(log: &Arc<Log>) -> Self {
        let instance = Self::new(log);
        instance.enter();
        instance.delivery.begin(&room()).await.unwrap();
        instance
    }

    fn enter(&self) {
        self.delivery.enter(&room(), || {
            self.sockets.rooms.lock().unwrap().insert(room());
        });
    }

    fn leave(&self) {
        self.sockets.rooms.lock().unwrap().remove(&room());
    }

    /// Stores a text, without telling anybody.
    async fn store(&self, text: &str) -> Message {
        let drafts = vec![draft("ann", text, text)];
        append(&*self.log, &room(), drafts).await.remove(0).message
    }

    /// Stores a text and shows it here.
    async fn say(&self, text: &str) -> Message {
        let message = self.store(text).await;
        let event = protocol::told(&message).unwrap();
        self.delivery.appended(&room(), &[(&message, event)]);
        message
    }

    fn hear(&self, message: &Message) -> bool {
        self.hear_event(&protocol::told(message).unwrap())
    }

    fn hear_event(&self, event: &Str) -> bool {
        self.hear_from("another", event, &[])
    }

    /// A beacon.
    fn hear_end(&self, sender: &str, seq: u64, epoch: &str) {
        let end = Str::from(frame::end(&room(), seq, Some(epoch)));
        assert!(self.hear_from(sender, &end, &["r".to_owned()]));
    }

    fn hear_from(&self, sender: &str, event: &Str, except: &[String]) -> bool {
        self.delivery.takes(&Arrived {
            sender,
            namespace: "/",
            rooms: &["r".to_owned()],
            except,
            volatile: false,
            event,
        })
    }

    fn seqs(&self) -> Vec<u64> {
        let shown = self.sockets.shown.lock().unwrap();
        let seq = |event: &String| frame::read(event, "r").unwrap().seq;
        shown.iter().map(seq).collect()
    }

    /// What has been shown, when that many have; with the clock paused, at once or never.
    async fn shows(&self, count: usize) -> Vec<u64> {
        let all = async {
            while self.seqs().len() < count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let outcome = tokio::time::timeout(Duration::from_secs(60), all).await;
        assert!(outcome.is_ok(), "only {:?}", self.seqs());
        self.seqs()
    }

    async fn page(&self, page: Page) -> Arc<History> {
        self.delivery.page(&room(), page).await.unwrap()
    }

    fn reads(&self) -> usize {
        self.log.reads.load(Ordering::SeqCst)
    }

    fn repairs(&self) -> u64 {
        self.delivery.0.metrics.delivery.gaps_repaired_total.get()
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_frame_is_fetched_before_the_next_one_is_shown() {
    let log = Arc::default();
    let (far, here) = (Instance::joined(&log).await, Instance::joined(&log).await);
    let messages = [far.say("1").await, far.say("2").await, far.say("3").await];
    assert!(here.hear(&messages[0]));
    assert!(here.hear(&messages[2]));
    assert_eq!(here.seqs(), [1]);
    assert_eq!(here.shows(3).await, [1, 2, 3]);
    assert!(here.hear(&messages[1]), "late, and not shown again");
    assert_eq!(here.shows(3).await, [1, 2, 3]);
    assert_eq!((here.repairs(), far.repairs()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn an_own_message_waits_for_a_frame_that_is_under_way_and_the_store_is_not_asked() {
    let log = Arc::default();
    let (far, here) = (Instance::joined(&log).await, Instance::joined(&log).await);
    let reads = here.reads();
    let theirs = far.say("theirs").await;
    here.say("ours").await;
    assert_eq!(here.seqs(), [0; 0]);
    tokio::time::sleep(GAP_PATIENCE / 2).await;
    here.hear(&theirs);
    assert_eq!(here.seqs(), [1, 2]);
    tokio::time::sleep(GAP_PATIENCE * 3).await;
    assert_eq!((here.reads(), here.repairs()), (reads, 0));
}

#[tokio::test(start_paused = true)]
async fn a_gap_is_mended_when_the_store_is_back() {
    let log = Arc::default();
    let (far, here) = (Instance::joined(&log).await, Instance::joined(&log).await);
    let _lost = far.say("1").await;
    log.is_down.store(true, Ordering::SeqCst);
    here.hear(&far.say("2").await);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(here.seqs(), [0; 0]);
    log.is_down.store(false, Ordering::SeqCst);
    assert_eq!(here.shows(2).await, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn the_loss_of_a_last_frame_is_found_at_the_end_of_the_log() {
    let log = Arc::default();
    let (far, here) = (Instance::joined(&log).await, Instance::joined(&log).await);
    for text in 0..450 {
        far.say(&text.to_string()).await;
    }
    here.delivery.check(&[room()]).await.unwrap();
    assert_eq!(here.shows(450).await, (1..=450).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn an_append_of_unknown_outcome_is_looked_for() {
    let log = Arc::default();
    let here = Instance::joined(&log).await;
    let _stored = here.store("answered too late").await;
    log.is_down.store(true, Ordering::SeqCst);
    here.delivery.doubt(&room());
    tokio::time::sleep(Duration::from_secs(5)).await;
    log.is_down.store(false, Ordering::SeqCst);
    assert_eq!(here.shows(1).await, [1]);
}

#[tokio::test(start_paused = true)]
async fn nothing_falls_between_a_history_and_what_follows_it() {
    let log = Arc::default();
    let far = Instance::joined(&log).await;
    for text in ["1", "2", "3"] {
        far.say(text).await;
    }
    let here = Instance::new(&log);
    here.enter();
    // Before the log has answered.
    here.hear(&far.say("4").await);
    here.delivery.begin(&room()).await.unwrap();
    let seen = here.page(Page::Latest { limit: 50 }).await.last_seq;
    here.hear(&far.say("5").await);
    let first = here.shows(1).await[0];
    assert!(first <= seen + 1, "history to {seen}, then {first}");
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_into_an_empty_room_is_not_shown_its_past() {
    let log = Arc::default();
    let (far, here) = (Instance::joined(&log).await, Instance::joined(&log).await);
    here.hear(&far.say("1").await);
    here.leave();
    for text in ["2", "3", "4"] {
        far.say(text).await;
    }
    here.enter();
    here.delivery.begin(&room()).await.unwrap();
    here.hear(&far.say("5").await);
    assert_eq!(here.seqs(), [1, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_room_that_others_moved_sockets_into_begins_with_its_first_entry() {
    let log = Arc::default();
    let (far, here) = (Instance::joined(&log).await, Instance::new(&log));
    far.say("1").await;
    here.sockets.rooms.lock().unwrap().insert(room());
    here.hear(&far.say("2").await);
    here.hear(&far.say("3").await);
    assert_eq!((here.seqs(), here.reads()), (vec![2, 3], 1));
}

#[tokio::test(start_paused = true)]
async fn a_room_without_the_store_still_shows_what_comes() {
    let log = Arc::default();
    let (far, here) = (Instance::joined(&log).await, Instance::new(&log));
    log.is_down.store(true, Ordering::SeqCst);
    here.enter();
    here.hear(&far.say("1").await);
    assert!(here.delivery.begin(&room()).await.is_err());
    here.hear(&far.say("2").await);
    assert_eq!(here.seqs(), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_joins_asks_the_store_a_few_times() {
    let log = Arc::default();
    let far = Instance::joined(&log).await;
    for text in 0..100 {
        far.say(&text.to_string()).await;
    }
    let here = Instance::new(&log);
    let before = here.reads();
    let joins = (0..500_u64).map(|n| {
        let here = &here;
        async move {
            here.enter();
            here.delivery.begin(&room()).await.unwrap();
            let limit = 1 + u32::try_from(n % 50).unwrap();
            let page = match n % 2 {
                0 => Page::Latest { limit },
                _ => Page::After {
                    after: 100 - n % 60,
                    limit,
                },
            };
            here.page(page).await
        }
    });
    let histories = join_all(joins).await;
    assert!(histories.iter().all(|history| history.last_seq == 100));
    let reads = here.reads() - before;
    assert!(reads <= 3, "{reads} reads");
    // The next message is known here without a read.
    here.say("after the storm").await;
    assert_eq!(
        here.page(Page::Latest { limit: 1 }).await.messages[0].seq,
        101
    );
    assert_eq!(here.reads() - before, reads);
}

#[tokio::test(start_paused = true)]
async fn a_page_from_memory_is_never_older_than_what_was_shown() {
    let log = Arc::default();
    let (far, here) = (Instance::joined(&log).await, Instance::joined(&log).await);
    for text in 0..20 {
        here.hear(&far.say(&text.to_string()).await);
        let shown = *here.seqs().last().unwrap();
        assert!(here.page(Page::Latest { limit: 5 }).await.last_seq >= shown);
    }
}

#[tokio::test(start_paused = true)]
async fn frames_of_another_log_are_shown_and_hold_nothing_up() {
    let log = Arc::default();
    let here = Instance::joined(&log).await;
    let stranger = protocol::told(&draft("bob", "x", "hi").placed(&room(), at(900))).unwrap();
    assert!(here.hear_event(&stranger));
    here.say("1").await;
    assert_eq!(here.shows(2).await, [1, 900]);
    here.say("2").await;
    assert_eq!(here.seqs(), [1, 900, 2]);
}

#[tokio::test(start_paused = true)]
async fn events_that_are_not_of_a_log_are_left_to_the_adapter() {
    let here = Instance::joined(&Arc::default()).await;
    assert!(!here.hear_event(&Str::from(r#"["message",{"text":"from Node"}]"#)));
    assert!(!here.hear_event(&Str::from("]")));
}

#[tokio::test(start_paused = true)]
async fn a_log_that_took_the_place_of_another_is_shown_from_its_beginning() {
    let first: Arc<Log> = Arc::default();
    let here = Instance::joined(&first).await;
    here.say("1").await;
    here.say("2").await;
    let room_here = here.delivery.0.room(&room()).unwrap();
    room_here.expect(1, "another epoch");
    assert_eq!(room_here.missing().map(|missing| missing.after), Some(0));
    assert_eq!(here.shows(2).await, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn the_loss_of_a_last_frame_is_found_by_a_beacon() {
    let log = Arc::default();
    let (far, here) = (Instance::joined(&log).await, Instance::joined(&log).await);
    far.say("1").await;
    let start = clock::monotonic();
    let due = far.delivery.0.beacons().due(start + Duration::from_secs(2));
    assert_eq!(due, [(room(), 1)]);
    let epoch = far.delivery.0.room(&room()).unwrap().epoch().unwrap();
    here.hear_end("far", 1, &epoch);
    assert_eq!(here.shows(1).await, [1]);
}

#[tokio::test]
async fn a_server_alone_forgets_the_ends_that_it_tells_nobody() {
    let here = Instance::joined(&Arc::default()).await;
    let long_ago = clock::monotonic() - Duration::from_secs(60);
    here.delivery.0.beacons().note(&room(), 1, long_ago);
    let (cluster, stop) = (berth_adapter::Cluster::alone(), CancellationToken::new());
    let watching = watch::watch(here.delivery.clone(), cluster, stop.clone());
    let forgotten = async {
        while !here.delivery.0.beacons().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let outcome = tokio::time::timeout(Duration::from_secs(20), forgotten).await;
    assert!(outcome.is_ok(), "it remembers");
    stop.cancel();
    watching.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn messages_of_a_server_with_another_log_are_shown_as_they_come() {
    let here = Instance::joined(&Arc::default()).await;
    here.say("ours").await;
    here.hear_end("stranger", 900, "another log");
    let theirs = protocol::told(&draft("bob", "x", "hi").placed(&room(), at(1))).unwrap();
    assert!(here.hear_from("stranger", &theirs, &[]));
    assert!(here.hear_from("stranger", &theirs, &[]));
    assert!(here.hear_from("another", &theirs, &[]));
    assert_eq!(here.shows(3).await, [1, 1, 1]);
    assert_eq!(here.delivery.0.room(&room()).unwrap().missing(), None);
}

#[tokio::test(start_paused = true)]
async fn rooms_without_members_are_forgotten() {
    let here = Instance::joined(&Arc::default()).await;
    here.say("something to remember").await;
    assert!(here.delivery.0.recent_bytes.load(Ordering::SeqCst) > 0);
    here.leave();
    assert_eq!(here.delivery.0.prune(), []);
    assert_eq!(here.delivery.0.recent_bytes.load(Ordering::SeqCst), 0);
}

/// Frames between instances, any of which may be lost, late, or come twice.
#[derive(Default)]
struct LossyBus {
    on_the_way: Vec<(usize, Message)>,
}

impl LossyBus {
    fn carry(&mut self, from: usize, message: &Message, instances: usize, mut dice: u64) {
        for to in (0..instances).filter(|to| *to != from) {
            dice = dice.rotate_left(11).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let copies = [0, 1, 1, 1, 1, 2][usize::try_from(dice % 6).unwrap()];
            for copy in 0..copies {
                let places = self.on_the_way.len() + 1;
                let at = usize::try_from((dice >> (8 + copy)) % 5).unwrap();
                let at = places.saturating_sub(1 + at);
                self.on_the_way.insert(at, (to, message.clone()));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn on_a_lossy_bus_every_instance_shows_everything_once_and_in_order(
        seed in any::<u64>(),
        appends in proptest::collection::vec((0..3_usize, any::<u64>(), 0..40_u64), 1..80),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let log = Arc::default();
            let instances = join_all((0..3).map(|_| Instance::joined(&log))).await;
            let mut bus = LossyBus::default();
            for (number, (who, dice, pause_ms)) in appends.iter().enumerate() {
                let message = instances[*who].say(&number.to_string()).await;
                bus.carry(*who, &message, 3, dice ^ seed);
                if dice % 3 > 0 && !bus.on_the_way.is_empty() {
                    let (to, message) = bus.on_the_way.remove(0);
                    instances[to].hear(&message);
                }
                tokio::time::sleep(Duration::from_millis(*pause_ms)).await;
            }
            for (to, message) in bus.on_the_way {
                instances[to].hear(&message);
            }
            let wanted: Vec<u64> = (1..=appends.len() as u64).collect();
            for instance in &instances {
                instance.delivery.check(&[room()]).await.unwrap();
                assert_eq!(instance.shows(wanted.len()).await, wanted);
            }
        });
    }
}

/// Shows slowly: an entry is on its way until somebody has left, or for a while.
struct Slow {
    begins: std::sync::mpsc::Sender<()>,
    left: Mutex<std::sync::mpsc::Receiver<()>>,
    story: Mutex<Vec<&'static str>>,
}

impl Outlet for Slow {
    fn has_members(&self, _: &RoomId) -> bool {
        true
    }

    fn show(&self, _: &RoomId, _: &[Str]) {
        self.begins.send(()).unwrap();
        let patience = Duration::from_millis(200);
        let _nobody_left = self.left.lock().unwrap().recv_timeout(patience);
        self.story.lock().unwrap().push("shown");
    }
}

#[tokio::test]
async fn nobody_leaves_while_an_entry_is_on_its_way() {
    let log: Arc<Log> = Arc::default();
    let (begins, begun) = std::sync::mpsc::channel();
    let (leaves, left) = std::sync::mpsc::channel();
    let outlet = Arc::new(Slow {
        begins,
        left: Mutex::new(left),
        story: Mutex::default(),
    });
    let reader = Reader::new(Arc::clone(&log) as Arc<dyn Store>, Duration::from_secs(5));
    let (metrics, stop) = (Metrics::new().unwrap(), CancellationToken::new());
    let delivery = Delivery::new(
        Arc::clone(&outlet) as Arc<dyn Outlet>,
        reader,
        metrics,
        stop,
    );
    delivery.enter(&room(), || {});
    delivery.begin(&room()).await.unwrap();
    let message = draft("ann", "1", "hi").placed(&room(), at(1));
    let event = protocol::told(&message).unwrap();
    let showing = {
        let delivery = delivery.clone();
        std::thread::spawn(move || delivery.appended(&room(), &[(&message, event)]))
    };
    begun.recv().unwrap();
    delivery.exit(&room(), || {
        outlet.story.lock().unwrap().push("left");
        leaves.send(()).unwrap();
    });
    showing.join().unwrap();
    assert_eq!(*outlet.story.lock().unwrap(), ["shown", "left"]);
}
