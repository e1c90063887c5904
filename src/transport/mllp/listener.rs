//! Accepts connections and gives each its own task; what happens on one stands in `serve`.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::FRAME_BYTES_MAX;
use super::link::Link;
use super::room::{Entered, Room, Seat};
use super::serve::{Serving, serve};
use crate::transport::Redacted;
use crate::transport::net::{Stream, tune};
use crate::transport::tls::ServerTls;

/// Rest after a failed accept (such as no file handles left), so that the fault does not spin.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// Limits of a listener.
#[derive(Debug, Clone)]
pub struct ListenerSettings {
    pub tls: Option<Arc<ServerTls>>,
    /// Above this a new one takes the place of the one that has brought no whole message for longest; where all are at work, it is closed at once.
    pub max_connections: usize,
    /// Who has brought no whole message for less than this gives way to nobody.
    pub give_way_after: Duration,
    /// For the TLS handshake.
    pub handshake_timeout: Duration,
    /// A connection that began no frame for this long is closed; stray bytes do not count.
    pub idle_timeout: Duration,
    /// From a frame's first byte to its last.
    pub frame_timeout: Duration,
    /// For writing one answer.
    pub write_timeout: Duration,
    /// At a stop, for the messages in hand; what takes longer is cut off.
    pub stop_timeout: Duration,
    /// Most payload bytes of a frame, either way.
    pub max_frame_bytes: usize,
}

impl Default for ListenerSettings {
    /// Plain, 256 connections, 2 s until one gives way, 10 s handshake, 10 min idle, 60 s a frame, 30 s to write, 10 s to stop, 4 MiB frames.
    fn default() -> Self {
        Self {
            tls: None,
            max_connections: 256,
            give_way_after: Duration::from_secs(2),
            handshake_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(600),
            frame_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(30),
            stop_timeout: Duration::from_secs(10),
            max_frame_bytes: FRAME_BYTES_MAX,
        }
    }
}

/// One frame that came in.
#[derive(Clone)]
pub struct Received {
    /// The payload. May hold 0x0B or 0x1C where the sender put them into a field (see [`super::frame`]).
    pub bytes: Vec<u8>,
    /// The frame was too large, and this is its beginning only: no message, whatever it looks like. After the answer the connection is closed.
    pub cut_off: bool,
    pub peer: SocketAddr,
    /// The caller's own certificate, DER, verified; only under mutual TLS.
    pub peer_certificate: Option<Arc<[u8]>>,
    /// Counts this listener's connections from 1: tells which messages shared one.
    pub connection: u64,
}

/// What to write back.
#[derive(Clone, Default)]
pub struct Answer {
    /// Payloads, each to be framed, in order. May be empty.
    pub frames: Vec<Vec<u8>>,
    /// Bytes written as they are after the frames: for a simulator that cuts a frame short.
    pub raw: Option<Vec<u8>>,
    pub then: Then,
}

/// What becomes of the connection after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Then {
    #[default]
    KeepOpen,
    Close,
}

impl Answer {
    /// One frame, and the connection stays open.
    pub fn frame(payload: Vec<u8>) -> Self {
        Self { frames: vec![payload], ..Self::default() }
    }

    /// Nothing, and the connection stays open.
    pub fn silence() -> Self {
        Self::default()
    }

    /// The same answer, and then the connection closes.
    pub fn and_close(mut self) -> Self {
        self.then = Then::Close;
        self
    }
}

/// Listens on one address.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    settings: ListenerSettings,
}

impl Listener {
    pub fn new(tcp: TcpListener, settings: ListenerSettings) -> Self {
        Self { tcp, settings }
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The socket cannot tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// Serves until `stop`: then accepts no more, lets each connection finish the message in hand and write its answer,
    /// closes, and returns. One connection's messages are answered in order, one at a time.
    pub async fn run<F, A>(self, stop: CancellationToken, answer: F)
    where
        F: Fn(Received) -> A + Send + Sync + 'static,
        A: Future<Output = Answer> + Send + 'static,
    {
        let answer = Arc::new(answer);
        let room = Room::new(self.settings.max_connections, self.settings.give_way_after);
        let settings = Arc::new(self.settings);
        let mut open = JoinSet::new();
        let mut connection = 0;
        loop {
            let (tcp, peer) = tokio::select! {
                () = stop.cancelled() => break,
                Some(ended) = open.join_next() => { note_end(ended); continue }
                accepted = self.tcp.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(e) => {
                        tracing::warn!(error = %e, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_REST).await;
                        continue;
                    }
                },
            };
            connection += 1;
            let limit = settings.max_connections;
            let Some(Entered { seat, instead_of }) = room.enter(connection, Instant::now()) else {
                tracing::warn!(%peer, limit, "a connection above the limit was closed");
                continue;
            };
            if let Some(quiet) = instead_of {
                let quiet_s = quiet.as_secs();
                tracing::warn!(%peer, limit, quiet_s, "a connection above the limit took the place of the one that had brought no whole message for longest");
            }
            let caller = Caller { tcp, peer, connection, seat };
            open.spawn(one(caller, settings.clone(), stop.clone(), answer.clone()));
        }
        drop(self.tcp);
        let rest = async {
            while let Some(ended) = open.join_next().await {
                note_end(ended);
            }
        };
        if tokio::time::timeout(settings.stop_timeout, rest).await.is_err() {
            tracing::warn!("connections still busy at the end of the stop time were cut off");
        }
        // Dropping the set ends what is left.
    }
}

struct Caller {
    tcp: TcpStream,
    peer: SocketAddr,
    connection: u64,
    seat: Seat,
}

async fn one<F, A>(caller: Caller, settings: Arc<ListenerSettings>, stop: CancellationToken, answer: Arc<F>)
where
    F: Fn(Received) -> A + Send + Sync,
    A: Future<Output = Answer> + Send,
{
    let Caller { tcp, peer, connection, seat } = caller;
    let stream = tokio::select! {
        () = stop.cancelled() => return,
        () = seat.given_up() => return,
        opened = open_stream(tcp, &settings) => match opened {
            Ok(stream) => stream,
            Err(e) => {
                tracing::warn!(%peer, error = %e, "a connection could not be opened");
                return;
            }
        },
    };
    let peer_certificate = stream.peer_certificate().map(Arc::from);
    let serving = Serving { settings: &settings, stop: &stop, seat: &seat, peer, peer_certificate, connection };
    serve(Link::new(stream, settings.max_frame_bytes), serving, &*answer).await;
}

async fn open_stream(tcp: TcpStream, settings: &ListenerSettings) -> io::Result<Stream> {
    tune(&tcp)?;
    let Some(tls) = &settings.tls else { return Ok(Stream::Plain(tcp)) };
    let handshake = TlsAcceptor::from(tls.config()).accept(tcp);
    match tokio::time::timeout(settings.handshake_timeout, handshake).await {
        Ok(stream) => Ok(Stream::Tls(Box::new(stream?.into()))),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

fn note_end(ended: Result<(), tokio::task::JoinError>) {
    // The panic's text stays out: it may quote a message.
    if ended.is_err_and(|e| e.is_panic()) {
        tracing::error!("answering a message panicked; its connection was closed without an answer");
    }
}

impl std::fmt::Debug for Received {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Received")
            .field("bytes", &Redacted(self.bytes.len()))
            .field("peer", &self.peer)
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let frames: Vec<Redacted> = self.frames.iter().map(|b| Redacted(b.len())).collect();
        f.debug_struct("Answer")
            .field("frames", &frames)
            .field("raw", &self.raw.as_ref().map(|b| Redacted(b.len())))
            .field("then", &self.then)
            .finish()
    }
}
