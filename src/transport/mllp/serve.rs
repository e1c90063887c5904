//! One accepted connection: hear a frame, have it answered, write the answer, again.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::frame::encode;
use super::link::{Heard, Link};
use super::listener::{Answer, ListenerSettings, Received, Then};
use super::room::Seat;

/// What a connection is served under.
pub(super) struct Serving<'a> {
    pub(super) settings: &'a ListenerSettings,
    pub(super) stop: &'a CancellationToken,
    pub(super) seat: &'a Seat,
    pub(super) peer: SocketAddr,
    pub(super) peer_certificate: Option<Arc<[u8]>>,
    pub(super) connection: u64,
}

/// Why a connection ended.
enum End {
    /// In good order: what was written last shall arrive.
    Goodbye,
    /// The far end is gone or not worth waiting for.
    Cut,
}

/// Serves the connection until it ends.
pub(super) async fn serve<F, A>(mut link: Link, serving: Serving<'_>, answer: &F)
where
    F: Fn(Received) -> A + Send + Sync,
    A: Future<Output = Answer> + Send,
{
    loop {
        let end = match next(&mut link, &serving).await {
            // It gave way while this came: not taken, so that its sender sends it again.
            Ok(_) if !serving.seat.begins() => Err(End::Cut),
            Ok(Next { bytes, cut_off }) => {
                let received = Received {
                    bytes,
                    cut_off,
                    peer: serving.peer,
                    peer_certificate: serving.peer_certificate.clone(),
                    connection: serving.connection,
                };
                // Not raced against `stop`: a message in hand is finished.
                let replied = reply(&mut link, &serving, answer(received).await).await;
                serving.seat.answered(Instant::now());
                // Where the frame goes on nobody reads: the next one could not be told from it.
                if cut_off { replied.and(Err(End::Goodbye)) } else { replied }
            }
            Err(end) => Err(end),
        };
        match end {
            Ok(()) if serving.stop.is_cancelled() => return link.close().await,
            Ok(()) => {}
            Err(End::Goodbye) => return link.close().await,
            Err(End::Cut) => return,
        }
    }
}

/// A frame, or the beginning of one that is too large.
struct Next {
    bytes: Vec<u8>,
    cut_off: bool,
}

/// The next frame, within the limits of time and size.
async fn next(link: &mut Link, serving: &Serving<'_>) -> Result<Next, End> {
    let peer = serving.peer;
    let idle_until = Instant::now() + serving.settings.idle_timeout;
    let mut frame_until = None;
    // The last read may have brought more than one frame, or the beginning of the next.
    let mut heard = link.decoded();
    loop {
        match heard {
            Some(Heard::Frame(bytes)) => return Ok(Next { bytes, cut_off: false }),
            Some(Heard::Closed { mid_frame }) => {
                if mid_frame {
                    tracing::warn!(%peer, "the far end closed in the middle of a frame; it was not taken");
                }
                return Err(End::Cut);
            }
            Some(Heard::TooLarge { limit }) => {
                tracing::warn!(%peer, limit, "a frame above the size limit was refused; its connection is closed");
                return Ok(Next { bytes: link.take_cut_off(), cut_off: true });
            }
            Some(Heard::NotFramed) => {
                tracing::warn!(%peer, "a connection that brought no MLLP was closed");
                return Err(End::Cut);
            }
            Some(Heard::Failed(e)) => {
                tracing::debug!(%peer, error = %e.kind(), "a connection failed");
                return Err(End::Cut);
            }
            None => {}
        }
        if let Some(protocol) = link.foreign_protocol() {
            tracing::warn!(%peer, protocol, "another protocol came to an MLLP port; the connection was closed");
            return Err(End::Cut);
        }
        // A frame has its own time from its first byte on, however slowly more of it comes.
        frame_until =
            link.mid_frame().then(|| frame_until.unwrap_or_else(|| Instant::now() + serving.settings.frame_timeout));
        heard = tokio::select! {
            biased;
            () = serving.stop.cancelled() => return Err(End::Goodbye),
            () = serving.seat.given_up() => return Err(End::Cut),
            heard = link.hear_some() => heard,
            () = sleep_until(frame_until.unwrap_or(idle_until)) => {
                tracing::debug!(%peer, mid_frame = link.mid_frame(), "a connection was closed for silence");
                return Err(End::Goodbye);
            }
        };
    }
}

async fn reply(link: &mut Link, serving: &Serving<'_>, answer: Answer) -> Result<(), End> {
    let peer = serving.peer;
    let mut bytes = Vec::new();
    for payload in &answer.frames {
        match encode(payload, serving.settings.max_frame_bytes) {
            Ok(frame) => bytes.extend_from_slice(&frame),
            Err(e) => {
                tracing::error!(%peer, error = %e, "an answer could not be framed; the connection was closed without it");
                return Err(End::Cut);
            }
        }
    }
    bytes.extend_from_slice(answer.raw.as_deref().unwrap_or_default());
    let write = async {
        link.stream.write_all(&bytes).await?;
        link.stream.flush().await
    };
    let written = match tokio::time::timeout(serving.settings.write_timeout, write).await {
        Ok(written) => written,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    };
    match (written, answer.then) {
        (Ok(()), Then::KeepOpen) => Ok(()),
        (Ok(()), Then::Close) => Err(End::Goodbye),
        (Err(e), _) => {
            tracing::warn!(%peer, error = %e.kind(), "an answer could not be written");
            Err(End::Cut)
        }
    }
}
