//! What an engine may be told. Names and builder are those that socketioxide uses.

use std::borrow::Cow;
use std::time::Duration;

use engineioxide_core::TransportType;

/// The settings of an engine.
#[derive(Clone, Debug)]
pub struct EngineIoConfig {
    /// The path under which sessions are asked for.
    pub req_path: Cow<'static, str>,
    pub ping_interval: Duration,
    /// How long after a ping its answer may take.
    pub ping_timeout: Duration,
    /// From the WebSocket of a session that was polled to the end of its upgrade.
    pub upgrade_timeout: Duration,
    /// **Bytes** that may wait for one client, with the last message beyond.
    pub max_buffer_size: usize,
    /// Bytes of one payload of the polling transport, each way.
    pub max_payload: u64,
    /// Not used: a connection has no read buffer of its own.
    pub ws_read_buffer_size: usize,
    /// Bytes of one message from a WebSocket.
    pub ws_max_message_size: usize,
    /// Not used: no frame may be larger than a message.
    pub ws_max_frame_size: usize,
    /// The bits of the transports that clients may use.
    pub transports: u8,
}

impl Default for EngineIoConfig {
    fn default() -> Self {
        Self {
            req_path: "/engine.io".into(),
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            upgrade_timeout: Duration::from_secs(10),
            max_buffer_size: 4 * 1024 * 1024,
            max_payload: 100_000,
            ws_read_buffer_size: 0,
            ws_max_message_size: 1_000_000,
            ws_max_frame_size: 1_000_000,
            transports: TransportType::Polling as u8 | TransportType::Websocket as u8,
        }
    }
}

impl EngineIoConfig {
    /// Whether clients may use this transport.
    #[must_use]
    pub fn allowed_transport(&self, transport: TransportType) -> bool {
        self.transports & transport as u8 != 0
    }
}

/// Makes an [`EngineIoConfig`].
#[derive(Debug, Default)]
pub struct EngineIoConfigBuilder(EngineIoConfig);

/// One setter for each setting.
macro_rules! setters {
    ($($name:ident: $type:ty),* $(,)?) => {
        $(
            #[must_use]
            pub fn $name(mut self, $name: $type) -> Self {
                self.0.$name = $name;
                self
            }
        )*
    };
}

impl EngineIoConfigBuilder {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        ping_interval: Duration,
        ping_timeout: Duration,
        upgrade_timeout: Duration,
        max_buffer_size: usize,
        max_payload: u64,
        ws_read_buffer_size: usize,
        ws_max_message_size: usize,
        ws_max_frame_size: usize,
    }

    #[must_use]
    pub fn req_path(mut self, req_path: impl Into<Cow<'static, str>>) -> Self {
        self.0.req_path = req_path.into();
        self
    }

    #[must_use]
    pub fn transports<const N: usize>(mut self, transports: [TransportType; N]) -> Self {
        self.0.transports = transports.iter().fold(0, |bits, one| bits | *one as u8);
        self
    }

    #[must_use]
    pub fn build(self) -> EngineIoConfig {
        self.0
    }
}
