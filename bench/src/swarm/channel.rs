//! A connection with the bytes that came and were not used yet.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::target::Stream;

pub(crate) struct Channel {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Channel {
    pub(crate) fn new(stream: Box<dyn Stream>, buffer_bytes: usize) -> Self {
        Self {
            stream,
            buffer: vec![0; buffer_bytes],
            start: 0,
            end: 0,
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        // Only TLS has anything left to do here.
        self.stream.flush().await
    }

    /// Waits for more bytes behind those that are there.
    pub(crate) async fn more(&mut self) -> io::Result<()> {
        if self.end == self.buffer.len() && self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            self.buffer.resize(self.end * 2, 0);
        }
        let count = self.stream.read(&mut self.buffer[self.end..]).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.end += count;
        Ok(())
    }

    /// Takes bytes that are there.
    pub(crate) fn take(&mut self, count: usize) {
        self.start += count.min(self.end - self.start);
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Takes so many bytes, waiting for those that are not there yet, and keeps none of them.
    pub(crate) async fn discard(&mut self, mut count: usize) -> io::Result<()> {
        loop {
            let here = count.min(self.end - self.start);
            self.take(here);
            count -= here;
            if count == 0 {
                return Ok(());
            }
            self.more().await?;
        }
    }
}
