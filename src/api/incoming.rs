//! Connections as they come in. A listener that cannot accept is asked again after a rest, and says so: asked at once, it would say the same at once, and
//! take a whole processor to do it.

use futures::Stream;
use futures::stream;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::transport::server::{Connected, TcpConnectInfo};

/// Open at once. A caller needs one, whatever it asks; those above it find themselves closed, and try again.
pub const CONNECTIONS_MAX: usize = 4096;
/// After a connection could not be accepted: mostly too many files are open, and one has to be closed first.
const ACCEPT_REST: Duration = Duration::from_millis(100);
/// Between two warnings of the same kind.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// One connection; its place is free again when it is dropped.
pub struct Connection {
    tcp: TcpStream,
    _place: OwnedSemaphorePermit,
}

/// All that come in over `listener`, `most` at once.
pub fn connections(listener: TcpListener, most: usize) -> impl Stream<Item = io::Result<Connection>> {
    let door =
        Door { listener, places: Arc::new(Semaphore::new(most)), most, failing: Seldom(None), full: Seldom(None) };
    stream::unfold(door, |mut door| async move {
        let connection = door.next().await;
        Some((Ok(connection), door))
    })
}

struct Door {
    listener: TcpListener,
    places: Arc<Semaphore>,
    most: usize,
    failing: Seldom,
    full: Seldom,
}

impl Door {
    async fn next(&mut self) -> Connection {
        loop {
            let tcp = match self.listener.accept().await {
                Ok((tcp, _)) => tcp,
                Err(e) => {
                    if self.failing.is_due(Instant::now()) {
                        tracing::warn!(reason = %e, "a connection of a caller could not be accepted; trying again, and saying so once a minute");
                    }
                    tokio::time::sleep(ACCEPT_REST).await;
                    continue;
                }
            };
            let Ok(place) = self.places.clone().try_acquire_owned() else {
                if self.full.is_due(Instant::now()) {
                    tracing::warn!(
                        limit = self.most,
                        "a caller's connection above the limit was closed; said once a minute"
                    );
                }
                continue;
            };
            // Where the system does not do it small answers come a little later.
            let _ = tcp.set_nodelay(true);
            return Connection { tcp, _place: place };
        }
    }
}

/// When something was said last.
struct Seldom(Option<Instant>);

impl Seldom {
    /// It may be said again, and is.
    fn is_due(&mut self, now: Instant) -> bool {
        let due = self.0.is_none_or(|last| now.duration_since(last) >= WARN_EVERY);
        if due {
            self.0 = Some(now);
        }
        due
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.tcp.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, into)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn a_connection_above_the_limit_is_closed_and_one_that_ends_makes_room() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let mut incoming = Box::pin(connections(listener, 1));
        let _first = TcpStream::connect(address).await.expect("connected");
        let held = incoming.next().await.expect("it never ends").expect("accepted");
        let mut second = TcpStream::connect(address).await.expect("connected");
        let mut nothing = [0; 1];
        let closed = tokio::select! {
            _ = incoming.next() => false,
            end = second.read(&mut nothing) => matches!(end, Ok(0) | Err(_)),
        };
        assert!(closed, "there was no place for it");
        drop(held);
        let _third = TcpStream::connect(address).await.expect("connected");
        assert!(incoming.next().await.expect("it never ends").is_ok());
    }

    #[test]
    fn the_same_is_said_once_a_minute() {
        let mut said = Seldom(None);
        let now = Instant::now();
        assert!(said.is_due(now) && !said.is_due(now + Duration::from_secs(59)));
        assert!(said.is_due(now + Duration::from_secs(60)));
    }
}
