//! A pool of connections to one address, one message in flight on each.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::FRAME_BYTES_MAX;
use super::exchange::{Matches, Terms, exchange, is_ready};
use super::frame::encode;
use super::idle::{Idle, Live};
use super::link::Link;
use super::strays::StrayBag;
use crate::transport::net::dial;
use crate::transport::tls::{CertificateFacts, CertificateRole, ClientTls, facts};
use crate::transport::{Exchange, NotSent, Sent, Stray};

/// How to reach one far end and how long to wait for it.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// `host:port`; a name is resolved at every new connection.
    pub address: String,
    pub tls: Option<Arc<ClientTls>>,
    /// Most connections at once, and so most messages in flight. At least 1.
    pub max_connections: usize,
    /// For name, connection and TLS handshake together.
    pub connect_timeout: Duration,
    /// For handing the whole message to the network.
    pub send_timeout: Duration,
    /// From the last byte written to the whole reply.
    pub reply_timeout: Duration,
    /// An unused connection is closed after this; keep it below the firewalls' own limit.
    pub idle_timeout: Duration,
    /// Most payload bytes of a frame, either way.
    pub max_frame_bytes: usize,
    /// The far end sends late application acknowledgements on the connection that brought the message: frames on an idle
    /// connection, and foreign frames while waiting for a reply, are kept as strays and the connection stays open.
    /// Otherwise such a frame closes it.
    pub late_replies_on_connection: bool,
}

impl ClientSettings {
    /// The defaults: one connection, plain, 10 s to connect, 30 s to send, 30 s for the reply, 5 min idle, 4 MiB frames.
    pub fn new(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            tls: None,
            max_connections: 1,
            connect_timeout: Duration::from_secs(10),
            send_timeout: Duration::from_secs(30),
            reply_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(300),
            max_frame_bytes: FRAME_BYTES_MAX,
            late_replies_on_connection: false,
        }
    }
}

/// The pool; clones share it. When the last clone and the last [`Connection`] go, every connection closes.
#[derive(Clone)]
pub struct Pool {
    inner: Arc<Inner>,
}

struct Inner {
    settings: ClientSettings,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
    keeper: mpsc::Sender<Stray>,
    peer: Mutex<Option<CertificateFacts>>,
    dialled: AtomicU64,
}

/// A live connection and the right to use it. Goes back to the pool when dropped healthy, else closes.
pub struct Connection {
    pool: Arc<Inner>,
    live: Option<Live>,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    /// Connects to nothing yet. `strays` gets whatever comes back outside an exchange; its receiver must be drained
    /// independently of [`Pool::connect`].
    pub fn new(settings: ClientSettings, strays: mpsc::Sender<Stray>) -> Self {
        let permits = Arc::new(Semaphore::new(settings.max_connections.max(1)));
        let inner = Inner {
            settings,
            permits,
            idle: Mutex::default(),
            keeper: strays,
            peer: Mutex::default(),
            dialled: AtomicU64::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    /// A live connection: one from the pool that is still open, or a new one. Waits as long as all are in use.
    ///
    /// # Errors
    /// No connection could be made, or the pool is closed.
    pub async fn connect(&self) -> Result<Connection, NotSent> {
        let permit = self.inner.permits.clone().acquire_owned().await.map_err(|_| NotSent::PoolClosed)?;
        let mut strays = StrayBag::new(self.inner.keeper.clone());
        let late = self.inner.settings.late_replies_on_connection;
        let mut live = loop {
            // Its own statement: the lock must not be held while the connection is taken back.
            let idle = self.inner.idle().pop();
            let Some(idle) = idle else { break self.inner.dial().await? };
            let Some(mut live) = idle.reclaim().await else { continue };
            if is_ready(&mut live.link, late, &mut live.strays).await {
                break live;
            }
            strays.append(&mut live.strays);
        };
        live.strays.append(&mut strays);
        Ok(Connection { pool: self.inner.clone(), live: Some(live), _permit: permit })
    }

    /// Connects and sends in one step, for callers that have nothing to do in between.
    pub async fn send(&self, payload: &[u8], matches: Matches<'_>) -> Exchange {
        match self.connect().await {
            Ok(mut connection) => connection.send(payload, matches).await,
            Err(why) => Exchange::not_sent(why, Vec::new()),
        }
    }

    /// Closes every idle connection, so that the next ones are made with what was reloaded.
    pub fn close_idle(&self) {
        self.inner.idle().clear();
    }

    /// Gives out no connection any more and closes the idle ones; exchanges under way go on.
    pub fn close(&self) {
        self.inner.permits.close();
        self.close_idle();
    }

    /// Open connections that wait in the pool.
    pub fn idle_connections(&self) -> usize {
        self.inner.idle().iter().filter(|i| !i.is_gone()).count()
    }

    /// Connections made since the pool was.
    pub fn connections_made(&self) -> u64 {
        self.inner.dialled.load(Ordering::Relaxed)
    }

    /// The certificate the far end showed on the newest connection.
    pub fn peer_certificate(&self) -> Option<CertificateFacts> {
        self.inner.peer.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn settings(&self) -> &ClientSettings {
        &self.inner.settings
    }
}

impl Inner {
    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn dial(&self) -> Result<Live, NotSent> {
        let s = &self.settings;
        let stream = dial(&s.address, s.tls.as_deref(), s.connect_timeout).await?;
        self.dialled.fetch_add(1, Ordering::Relaxed);
        if let Some(der) = stream.peer_certificate() {
            *self.peer.lock().unwrap_or_else(PoisonError::into_inner) = facts(CertificateRole::Peer, &der).ok();
        }
        let strays = StrayBag::new(self.keeper.clone());
        Ok(Live { link: Link::new(stream, s.max_frame_bytes), strays, reused: false })
    }

    fn terms(&self) -> Terms<'_> {
        Terms {
            address: &self.settings.address,
            send_timeout: self.settings.send_timeout,
            reply_timeout: self.settings.reply_timeout,
            frame_bytes_max: self.settings.max_frame_bytes,
            late_replies: self.settings.late_replies_on_connection,
        }
    }
}

impl Connection {
    /// Sends one message and waits for its reply; `matches` says which frame that is.
    ///
    /// A connection that died before a byte was written is replaced once. When this future is dropped half way the
    /// connection closes, and whether the message was seen is unknown.
    pub async fn send(&mut self, payload: &[u8], matches: Matches<'_>) -> Exchange {
        let pool = self.pool.clone();
        let frame = match encode(payload, pool.settings.max_frame_bytes) {
            Ok(frame) => frame,
            Err(why) => return Exchange::not_sent(why.into(), Vec::new()),
        };
        let mut strays = StrayBag::new(pool.keeper.clone());
        // The connection is owned here until it has proved healthy: dropping this future closes it.
        let mut live = match self.ready(&mut strays).await {
            Ok(live) => live,
            Err(why) => return Exchange::not_sent(why, strays.take()),
        };
        let (sent, healthy) = exchange(&mut live.link, &frame, matches, &pool.terms(), &mut strays).await;
        if healthy {
            live.reused = true;
            self.live = Some(live);
        } else if matches!(sent, Sent::Reply(_)) {
            tracing::warn!("more than one reply came to one message; the connection was closed");
        }
        Exchange { sent, strays: strays.take() }
    }

    /// The connection in hand if it still lives, else a new one.
    async fn ready(&mut self, strays: &mut StrayBag) -> Result<Live, NotSent> {
        let Some(mut live) = self.live.take() else { return self.pool.dial().await };
        let late = self.pool.settings.late_replies_on_connection;
        let ready = is_ready(&mut live.link, late, &mut live.strays).await;
        strays.append(&mut live.strays);
        match ready {
            true => Ok(live),
            false if live.reused => {
                drop(live);
                self.pool.dial().await
            }
            // A new connection that is closed at once would be closed again.
            false => Err(NotSent::ClosedBeforeSend),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Some(live) = self.live.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let s = &self.pool.settings;
        let mut all = self.pool.idle();
        // Looked at under the lock: a pool being closed must not be left with a connection.
        if self.pool.permits.is_closed() {
            return;
        }
        all.retain(|i| !i.is_gone());
        all.push(Idle::new(&runtime, live, s.late_replies_on_connection, s.idle_timeout));
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("address", &self.inner.settings.address).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("address", &self.pool.settings.address).finish_non_exhaustive()
    }
}
