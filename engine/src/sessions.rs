//! The sessions that are open.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use engineioxide_core::{OpenPacket, Packet, Sid, TransportType};
use http::request::Parts;

use crate::clock;
use crate::config::EngineIoConfig;
use crate::handler::EngineIoHandler;
use crate::outbox::Outbox;
use crate::socket::{DisconnectReason, Ends, Socket};
use crate::stream::Stream;

/// All sessions of one engine.
pub(crate) struct Sessions<H: EngineIoHandler> {
    pub(crate) config: EngineIoConfig,
    pub(crate) handler: Arc<H>,
    open: RwLock<HashMap<Sid, Arc<Socket<H::Data>>>>,
}

impl<H: EngineIoHandler> std::fmt::Debug for Sessions<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all = self.open.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("Sessions")
            .field("open", &all.len())
            .finish_non_exhaustive()
    }
}

impl<H: EngineIoHandler> Sessions<H> {
    pub(crate) fn new(handler: Arc<H>, config: EngineIoConfig) -> Arc<Self> {
        Arc::new(Self {
            config,
            handler,
            open: RwLock::default(),
        })
    }

    /// Begins a session, and says so to its client before anything else. `None`: on the polling transport.
    pub(crate) fn begin(
        self: &Arc<Self>,
        request: Parts,
        stream: Option<Arc<Stream>>,
    ) -> Arc<Socket<H::Data>> {
        let outbox = Outbox::new(stream, self.config.max_buffer_size);
        let sessions = Arc::clone(self) as Arc<dyn Ends>;
        let socket = Socket::new(outbox, &self.config, request, sessions, clock::now());
        let socket = Arc::new(socket);
        let open = crate::frame::text(&[&self.open_packet(&socket)]);
        socket.outbox().say(&open);
        let mut all = self.open.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(socket.id, Arc::clone(&socket));
        drop(all);
        Arc::clone(&self.handler).on_connect(Arc::clone(&socket));
        socket
    }

    fn open_packet(&self, socket: &Socket<H::Data>) -> String {
        let may_upgrade = socket.transport_type() == TransportType::Polling
            && self.config.allowed_transport(TransportType::Websocket);
        let upgrades = may_upgrade.then_some(TransportType::Websocket);
        Packet::Open(OpenPacket {
            sid: socket.id,
            upgrades: upgrades.into_iter().collect(),
            ping_interval: self.config.ping_interval,
            ping_timeout: self.config.ping_timeout,
            max_payload: self.config.max_payload,
        })
        .into()
    }

    pub(crate) fn get(&self, id: Sid) -> Option<Arc<Socket<H::Data>>> {
        let all = self.open.read().unwrap_or_else(PoisonError::into_inner);
        all.get(&id).cloned()
    }

    /// Ends a session. Its handler hears of it, the first time, from a task of its own: whoever ends a session may hold what that needs.
    pub(crate) fn close(&self, id: Sid, reason: DisconnectReason) {
        let mut all = self.open.write().unwrap_or_else(PoisonError::into_inner);
        let Some(socket) = all.remove(&id) else {
            return;
        };
        drop(all);
        socket.outbox().close();
        let handler = Arc::clone(&self.handler);
        tokio::spawn(async move { handler.on_disconnect(socket, reason) });
    }
}

impl<H: EngineIoHandler> Ends for Sessions<H> {
    fn end(&self, id: Sid, reason: DisconnectReason) {
        self.close(id, reason);
    }
}
