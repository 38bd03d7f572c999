//! A socket, and what it did not take yet.

use std::io::{ErrorKind, Read as _, Write as _};
use std::mem;

use mio::net::TcpStream;

pub(super) struct Outlet {
    pub(super) stream: TcpStream,
    unsent: Vec<u8>,
}

/// This connection is at its end.
pub(super) struct Over;

impl Outlet {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            unsent: Vec::new(),
        }
    }

    pub(super) fn is_clear(&self) -> bool {
        self.unsent.is_empty()
    }

    /// Sends it, or keeps what is left for when the socket is writable again.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Over> {
        let mut taken = 0;
        while self.unsent.is_empty() && taken < bytes.len() {
            match self.stream.write(&bytes[taken..]) {
                Ok(count) => taken += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Not connected: this one is on its way to a server, and will be writable when it is there.
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::NotConnected
                    ) =>
                {
                    break;
                }
                Err(_) => return Err(Over),
            }
        }
        self.unsent.extend_from_slice(&bytes[taken..]);
        Ok(())
    }

    /// Whether what had to wait has gone now.
    pub(super) fn flush(&mut self) -> Result<bool, Over> {
        let waiting = mem::take(&mut self.unsent);
        self.write(&waiting)?;
        Ok(!waiting.is_empty() && self.unsent.is_empty())
    }

    /// `None`: nothing has come.
    pub(super) fn read(&mut self, scratch: &mut [u8]) -> Result<Option<usize>, Over> {
        loop {
            match self.stream.read(scratch) {
                Ok(0) => return Err(Over),
                Ok(count) => return Ok(Some(count)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(_) => return Err(Over),
            }
        }
    }
}
