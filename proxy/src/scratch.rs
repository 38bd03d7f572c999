//! One read buffer per thread, shared by every connection on it.
//!
//! This is what makes an idle connection cost nothing: bytes are read here, inside one poll, and have left again
//! when the poll returns.

use std::cell::RefCell;

/// Large enough for a 64 KiB message in one read; one per worker thread.
pub(crate) const BYTES: usize = 64 * 1024;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; BYTES].into_boxed_slice());
}

/// Lends the thread's buffer. Must not be nested; what was in it before is unspecified.
pub(crate) fn lend<T>(borrow: impl FnOnce(&mut [u8]) -> T) -> T {
    SCRATCH.with_borrow_mut(|scratch| borrow(scratch))
}
