//! How the outside talks to a running proxy: ready, reload, drain, stop. Signals end in the same words.

use std::net::SocketAddr;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Commands that may wait unheard; more are the same commands again.
const COMMANDS_MAX: usize = 8;

/// What somebody wants from a running proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Read the settings again.
    Reload,
    /// Take no new clients, wait for the open ones up to `drain_timeout`, end. Given twice, it means `Stop`.
    Drain,
    /// Close everything that is open and end.
    Stop,
}

/// The addresses that were bound; a configured port 0 shows the real one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listening {
    pub addresses: Vec<SocketAddr>,
    pub admin: Option<SocketAddr>,
}

type Ready = Box<dyn FnOnce(&Listening) + Send>;

/// Given to `run`: who may command it and whom it tells that it listens.
pub struct Control {
    pub(crate) signals: bool,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) ready: Option<Ready>,
    /// Also keeps the channel open when nobody else holds one.
    pub(crate) handle: Handle,
}

/// Commands a running proxy from any thread. Commands to a proxy that has ended do nothing.
#[derive(Clone, Debug)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
}

impl Control {
    /// For a program of its own: HUP reloads; TERM, INT and QUIT drain, given twice they end it.
    #[must_use]
    pub fn signals() -> Self {
        let (mut control, _handle) = Self::embedded();
        control.signals = true;
        control
    }

    /// For a proxy inside another program: no signal is touched, the handle commands it.
    #[must_use]
    pub fn embedded() -> (Self, Handle) {
        let (sender, commands) = mpsc::channel(COMMANDS_MAX);
        let handle = Handle { commands: sender };
        let control = Self {
            signals: false,
            commands,
            ready: None,
            handle: handle.clone(),
        };
        (control, handle)
    }

    /// Calls `ready` once, when all addresses are bound and the upstreams were looked up.
    #[must_use]
    pub fn on_ready(mut self, ready: impl FnOnce(&Listening) + Send + 'static) -> Self {
        self.ready = Some(Box::new(ready));
        self
    }
}

impl Handle {
    /// Reads the settings again, as HUP does.
    pub fn reload(&self) {
        self.send(Command::Reload);
    }

    /// Takes no new clients, waits up to `drain_timeout` for the open ones, then stops.
    pub fn drain(&self) {
        self.send(Command::Drain);
    }

    /// Says goodbye to open WebSockets (1012), ends everything else and stops, within about a second.
    pub fn stop(&self) {
        self.send(Command::Stop);
    }

    fn send(&self, command: Command) {
        // Full means that as many are waiting already, closed means that the proxy has ended.
        if let Err(refused) = self.commands.try_send(command) {
            tracing::debug!(%refused, "command not taken");
        }
    }
}

/// Turns signals into commands until the runtime ends.
///
/// # Errors
/// When the system refuses a handler.
pub(crate) fn forward_signals(handle: Handle) -> std::io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut quit = signal(SignalKind::quit())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = hangup.recv() => handle.reload(),
                _ = terminate.recv() => handle.drain(),
                _ = interrupt.recv() => handle.drain(),
                _ = quit.recv() => handle.drain(),
            }
        }
    });
    Ok(())
}
