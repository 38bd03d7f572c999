//! Backends in this process, on free ports, on one store: where the tests take place.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use berth_adapter::{Cluster, Hub};
use berth_backend::chat::membership::{Member, MemberChange, Room};
use berth_backend::chat::message::Draft;
use berth_backend::chat::room::RoomId;
use berth_backend::directory::memory::MemoryDirectory;
use berth_backend::directory::{Directory, ReadMark};
use berth_backend::presence::Presence;
use berth_backend::presence::memory::MemoryPresence;
use berth_backend::server::{Parts, serve};
use berth_backend::session::memory::MemorySessions;
use berth_backend::session::{Session, SessionError, Sessions};
use berth_backend::settings::{Secret, Settings};
use berth_backend::store::memory::MemoryStore;
use berth_backend::store::{
    Appended, Ends, Found, Grown, History, Mark, Page, Search, Store, StoreError, Tails,
};
use berth_backend::users::memory::MemoryUsers;
use berth_backend::users::{User, Username, Users, UsersError};
use berth_backend::webhooks::Webhooks;
use berth_backend::webhooks::memory::MemoryWebhooks;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const SECRET: &str = "a secret for tests";

/// The memory store, and a switch that takes it away.
pub(crate) struct Switched {
    store: MemoryStore,
    pub(crate) is_down: AtomicBool,
}

impl Switched {
    fn check(&self) -> Result<(), StoreError> {
        if self.is_down.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("switched off".to_owned()));
        }
        Ok(())
    }
}

#[async_trait]
impl Store for Switched {
    async fn append(&self, room: &RoomId, drafts: Vec<Draft>) -> Vec<Result<Appended, StoreError>> {
        match self.check() {
            Ok(()) => self.store.append(room, drafts).await,
            Err(error) => vec![Err(error); drafts.len()],
        }
    }

    async fn page(&self, room: &RoomId, page: Page) -> Result<History, StoreError> {
        self.check()?;
        self.store.page(room, page).await
    }

    async fn tails(&self, rooms: &[RoomId]) -> Result<Tails, StoreError> {
        self.check()?;
        self.store.tails(rooms).await
    }

    async fn ends(&self, after: Option<&RoomId>, limit: u32) -> Result<Ends, StoreError> {
        self.check()?;
        self.store.ends(after, limit).await
    }

    async fn grown(&self, since: Option<Mark>) -> Result<Grown, StoreError> {
        self.check()?;
        self.store.grown(since).await
    }

    async fn search(&self, search: Search) -> Result<Found, StoreError> {
        self.check()?;
        self.store.search(search).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.check()
    }

    fn name(&self) -> &'static str {
        "memory"
    }
}

/// Sessions that cannot be asked.
pub(crate) struct NoSessions;

#[async_trait]
impl Sessions for NoSessions {
    async fn load(&self, _: &str) -> Result<Option<Session>, SessionError> {
        Err(SessionError::Unavailable("switched off".to_owned()))
    }

    async fn save(&self, _: &str, _: &Session) -> Result<(), SessionError> {
        Err(SessionError::Unavailable("switched off".to_owned()))
    }

    async fn touch(&self, _: &str, _: &Session) -> Result<(), SessionError> {
        Err(SessionError::Unavailable("switched off".to_owned()))
    }

    async fn destroy(&self, _: &str) -> Result<(), SessionError> {
        Err(SessionError::Unavailable("switched off".to_owned()))
    }
}

/// Users that never say who is shut out.
#[derive(Default)]
pub(crate) struct SilentAboutBans(MemoryUsers);

#[async_trait]
impl Users for SilentAboutBans {
    async fn create(&self, user: &User) -> Result<(), UsersError> {
        self.0.create(user).await
    }

    async fn by_name(&self, name: &Username) -> Result<Option<User>, UsersError> {
        self.0.by_name(name).await
    }

    async fn by_id(&self, id: &str) -> Result<Option<User>, UsersError> {
        self.0.by_id(id).await
    }

    async fn set_banned(&self, user_id: &str, is_banned: bool) -> Result<(), UsersError> {
        self.0.set_banned(user_id, is_banned).await
    }

    async fn banned(&self) -> Result<Vec<String>, UsersError> {
        std::future::pending().await
    }
}

/// Sessions that are read when the gate lets them be.
pub(crate) struct LateSessions {
    sessions: Arc<dyn Sessions>,
    pub(crate) gate: Semaphore,
}

impl LateSessions {
    pub(crate) fn over(sessions: Arc<dyn Sessions>) -> Self {
        let gate = Semaphore::new(0);
        Self { sessions, gate }
    }
}

#[async_trait]
impl Sessions for LateSessions {
    async fn load(&self, sid: &str) -> Result<Option<Session>, SessionError> {
        self.gate.acquire().await.unwrap().forget();
        self.sessions.load(sid).await
    }

    async fn save(&self, sid: &str, session: &Session) -> Result<(), SessionError> {
        self.sessions.save(sid, session).await
    }

    async fn touch(&self, sid: &str, session: &Session) -> Result<(), SessionError> {
        self.sessions.touch(sid, session).await
    }

    async fn destroy(&self, sid: &str) -> Result<(), SessionError> {
        self.sessions.destroy(sid).await
    }
}

/// Rooms and members that take read marks and never answer.
#[derive(Default)]
pub(crate) struct SilentAboutMarks {
    directory: MemoryDirectory,
    pub(crate) was_asked: Notify,
}

#[async_trait]
impl Directory for SilentAboutMarks {
    async fn room_or_new(&self, room: &Room) -> Result<(Room, bool), StoreError> {
        self.directory.room_or_new(room).await
    }

    async fn room(&self, id: &RoomId) -> Result<Option<Room>, StoreError> {
        self.directory.room(id).await
    }

    async fn update_room(&self, room: &Room) -> Result<Option<Room>, StoreError> {
        self.directory.update_room(room).await
    }

    async fn archive_room(&self, id: &RoomId) -> Result<bool, StoreError> {
        self.directory.archive_room(id).await
    }

    async fn member(&self, room: &RoomId, user_id: &str) -> Result<Option<Member>, StoreError> {
        self.directory.member(room, user_id).await
    }

    async fn change_member(
        &self,
        room: &RoomId,
        user_id: &str,
        change: &MemberChange,
    ) -> Result<Member, StoreError> {
        self.directory.change_member(room, user_id, change).await
    }

    async fn mark_read(&self, _: Vec<ReadMark>) -> Result<(), StoreError> {
        self.was_asked.notify_one();
        std::future::pending().await
    }

    async fn members(
        &self,
        room: &RoomId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Member>, StoreError> {
        self.directory.members(room, after, limit).await
    }

    async fn member_count(&self, room: &RoomId) -> Result<u64, StoreError> {
        self.directory.member_count(room).await
    }

    async fn rooms_of(
        &self,
        user_id: &str,
        after: Option<&RoomId>,
        limit: u32,
    ) -> Result<Vec<(Room, Member)>, StoreError> {
        self.directory.rooms_of(user_id, after, limit).await
    }

    async fn public_rooms(
        &self,
        named: Option<&str>,
        after: Option<&RoomId>,
        limit: u32,
    ) -> Result<Vec<Room>, StoreError> {
        self.directory.public_rooms(named, after, limit).await
    }
}

/// One running backend.
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Backend {
    /// Stops it as a signal would, and waits for its end.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }

    pub(crate) fn begin_stop(&self) {
        self.stop.cancel();
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

/// Makes backends that share what servers of one cluster share.
pub(crate) struct Place {
    pub(crate) store: Arc<Switched>,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) sessions: Arc<dyn Sessions>,
    pub(crate) users: Arc<dyn Users>,
    pub(crate) presence: Arc<dyn Presence>,
    pub(crate) webhooks: Arc<MemoryWebhooks>,
    pub(crate) settings: Settings,
    hub: Hub,
    count: usize,
}

impl Place {
    pub(crate) fn new() -> Self {
        let mut settings = Settings::default();
        settings.session.secrets = vec![Secret::new(SECRET)];
        Self {
            store: Arc::new(Switched {
                store: MemoryStore::new(),
                is_down: AtomicBool::new(false),
            }),
            directory: Arc::new(MemoryDirectory::new()),
            sessions: Arc::new(MemorySessions::new()),
            users: Arc::new(MemoryUsers::new()),
            presence: Arc::new(MemoryPresence::new()),
            webhooks: Arc::new(MemoryWebhooks::new()),
            settings,
            hub: Hub::new(),
            count: 0,
        }
    }

    pub(crate) async fn backend(&mut self) -> Backend {
        let cluster = Cluster::hub(&self.hub);
        self.backend_in(cluster).await
    }

    /// One that shares the store with the others, and no bus.
    pub(crate) async fn backend_alone(&mut self) -> Backend {
        self.backend_in(Cluster::alone()).await
    }

    async fn backend_in(&mut self, cluster: Cluster) -> Backend {
        self.count += 1;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let parts = Parts {
            settings: self.settings.clone(),
            instance: format!("backend-{}", self.count),
            store: Arc::clone(&self.store) as Arc<dyn Store>,
            directory: Arc::clone(&self.directory),
            sessions: Arc::clone(&self.sessions),
            users: Arc::clone(&self.users),
            presence: Arc::clone(&self.presence),
            webhooks: Arc::clone(&self.webhooks) as Arc<dyn Webhooks>,
            cluster,
            trial: None,
        };
        let task = tokio::spawn(serve(listener, parts, stop.clone()));
        Backend {
            address,
            stop,
            task,
        }
    }
}
