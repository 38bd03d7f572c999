//! A way to end a connection from anywhere, also when its client reads nothing and its writer hangs.
//!
//! The transport is closed, not the namespace: Socket.IO clients come back by themselves from the one, and stay away after the other.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Context;

use futures_util::task::AtomicWaker;

/// Shared by a connection and by whoever may have to end it.
#[derive(Debug, Default)]
pub struct Cut {
    is_cut: AtomicBool,
    reader: AtomicWaker,
    writer: AtomicWaker,
}

impl Cut {
    /// Ends the connection: from now on, nothing can be read from it or written to it.
    pub fn cut(&self) {
        self.is_cut.store(true, Ordering::Release);
        self.reader.wake();
        self.writer.wake();
    }

    /// Has whoever waits to read look again.
    pub(crate) fn wake_reader(&self) {
        self.reader.wake();
    }

    /// Has whoever waits to write try again.
    pub(crate) fn wake_writer(&self) {
        self.writer.wake();
    }

    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::Acquire)
    }

    /// Refuses to read when cut; else the reader hears of it when it is.
    pub(crate) fn check_read(&self, cx: &Context<'_>) -> io::Result<()> {
        self.check(&self.reader, cx)
    }

    /// Refuses to write when cut; else the writer hears of it when it is.
    pub(crate) fn check_write(&self, cx: &Context<'_>) -> io::Result<()> {
        self.check(&self.writer, cx)
    }

    fn check(&self, waker: &AtomicWaker, cx: &Context<'_>) -> io::Result<()> {
        // Registered before it is looked at, so that a cut in between wakes us.
        waker.register(cx.waker());
        if self.is_cut() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn a_cut_that_comes_first_is_seen_by_who_comes_after() {
        let cut = Cut::default();
        let context = Context::from_waker(Waker::noop());
        assert!(cut.check_read(&context).is_ok() && cut.check_write(&context).is_ok());
        cut.cut();
        assert!(cut.check_read(&context).is_err() && cut.check_write(&context).is_err());
    }
}
