//! A stream that remembers what left it: whether the far end can have seen a byte must not be a guess.

use crate::transport::net::Stream;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Instant;

/// What left a connection since the exchange in hand began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Left {
    pub bytes: u64,
    /// The network takes no more at present.
    pub stuck: bool,
    pub last: Instant,
}

/// Shared between the stream and whoever waits for the reply.
#[derive(Debug)]
pub(super) struct Progress {
    left: Mutex<Left>,
    changed: Notify,
}

impl Progress {
    fn new() -> Self {
        let left = Left { bytes: 0, stuck: false, last: Instant::now() };
        Self { left: Mutex::new(left), changed: Notify::new() }
    }

    /// An exchange begins: nothing has left.
    pub(super) fn restart(&self) {
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) =
            Left { bytes: 0, stuck: false, last: Instant::now() };
    }

    pub(super) fn left(&self) -> Left {
        *self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ready when something more has left, or nothing can leave.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn note(&self, written: &Poll<io::Result<usize>>) {
        {
            let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
            match written {
                Poll::Ready(Ok(n)) => {
                    left.bytes += *n as u64;
                    left.stuck = false;
                    left.last = Instant::now();
                }
                Poll::Ready(Err(_)) => {}
                Poll::Pending => left.stuck = true,
            }
        }
        self.changed.notify_one();
    }
}

pub(super) struct Watched {
    stream: Stream,
    progress: Arc<Progress>,
}

impl Watched {
    pub(super) fn new(stream: Stream) -> (Self, Arc<Progress>) {
        let progress = Arc::new(Progress::new());
        (Self { stream, progress: progress.clone() }, progress)
    }
}

impl AsyncRead for Watched {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.progress.note(&written);
        written
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(cx);
        // TLS holds records back until they can leave: a flush that waits is bytes that wait.
        match flushed {
            Poll::Pending => this.progress.note(&Poll::Pending),
            Poll::Ready(Ok(())) if this.progress.left().stuck => this.progress.note(&Poll::Ready(Ok(0))),
            _ => {}
        }
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
