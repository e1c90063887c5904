//! A pool of connections to one endpoint, one request in flight on each.

use super::auth::{Auth, Shown};
use super::base::Base;
use super::exchange::{Terms, exchange};
use super::form::{Credentials, outgoing};
use super::session::Session;
use super::token::{Token, TokenSource};
use super::watched::{Progress, Watched};
use crate::transport::http_message::{HttpMessageError, Request};
use crate::transport::net::{Arrivals, dial};
use crate::transport::tls::{CertificateFacts, CertificateRole, ClientTls, facts};
use crate::transport::{Exchange, Matches, NotSent, Sent, Stray, StrayKind};
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{Connection as Http1, SendRequest};
use hyper_util::rt::TokioIo;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Turns given to a kept connection to notice what the kernel already holds.
const GLANCES_MAX: usize = 100;
/// How long a kept connection may take to say that it can be used.
const READY_WITHIN: Duration = Duration::from_millis(100);

/// Time and randomness, from whoever owns them.
#[derive(Clone)]
pub struct Ambient {
    pub now: Arc<TellTime>,
    pub random: Arc<FillRandom>,
}

/// What time it is.
pub type TellTime = dyn Fn() -> jiff::Timestamp + Send + Sync;
/// Fills bytes by chance.
pub type FillRandom = dyn Fn(&mut [u8]) + Send + Sync;

/// How to reach one endpoint and how long to wait for it.
#[derive(Clone)]
pub struct ClientSettings {
    pub base: Base,
    /// Needed where `base` is https.
    pub tls: Option<Arc<ClientTls>>,
    pub auth: Auth,
    /// In every request, unless the message has the same one.
    pub headers: Vec<(String, String)>,
    /// Most connections at once, and so most requests in flight. At least 1.
    pub max_connections: usize,
    /// For name, connection and TLS handshake together.
    pub connect_timeout: Duration,
    /// For handing the whole request to the network.
    pub send_timeout: Duration,
    /// From the last byte that left to the whole reply.
    pub reply_timeout: Duration,
    /// An unused connection is not used again after this.
    pub idle_timeout: Duration,
    /// Largest body of a request.
    pub max_request_bytes: usize,
    /// Largest body of a reply; of a larger one nobody knows what it says.
    pub max_reply_bytes: usize,
    pub ambient: Ambient,
}

/// The pool; clones share it.
#[derive(Clone)]
pub struct Pool {
    inner: Arc<Inner>,
}

struct Inner {
    settings: ClientSettings,
    shown: Shown,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<(Live, Instant)>>,
    peer: Mutex<Option<CertificateFacts>>,
    dialled: AtomicU64,
}

/// A connection and what runs it.
struct Live {
    way: SendRequest<Full<Bytes>>,
    progress: Arc<Progress>,
    arrivals: Arrivals,
    _driver: Driver,
}

/// Runs one connection; dropping it closes that.
pub(super) struct Driver(JoinHandle<()>);

impl Driver {
    pub(super) fn spawn(connection: Http1<TokioIo<Watched>, Full<Bytes>>) -> Self {
        Self(tokio::spawn(async move {
            // What went wrong is told to whoever waits for the reply.
            drop(connection.await);
        }))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A live connection and the right to use it. Goes back to the pool when dropped healthy, else closes.
pub struct Connection {
    pool: Arc<Inner>,
    live: Option<Live>,
    token: Option<Token>,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    /// Connects to nothing yet.
    pub fn new(settings: ClientSettings) -> Self {
        let shown = match &settings.auth {
            Auth::Nothing => Shown::Fixed(None),
            Auth::Basic { user, password } => Shown::Fixed(Credentials::new(&Auth::basic(user, password))),
            Auth::EachTime(sign) => Shown::EachTime(sign.clone()),
            Auth::Token(token) => Shown::Token(TokenSource::new((**token).clone(), settings.ambient.clone())),
            Auth::Session(session) => {
                let session = Session {
                    settings: session.clone(),
                    base: settings.base.clone(),
                    tls: settings.tls.clone(),
                    headers: settings.headers.clone(),
                };
                Shown::Token(TokenSource::of_session(session, settings.ambient.clone()))
            }
        };
        let permits = Arc::new(Semaphore::new(settings.max_connections.max(1)));
        let (idle, peer, dialled) = (Mutex::default(), Mutex::default(), AtomicU64::new(0));
        Self { inner: Arc::new(Inner { settings, shown, permits, idle, peer, dialled }) }
    }

    /// A live connection, and an access token where one is needed. Waits as long as all connections are in use.
    ///
    /// # Errors
    /// No connection could be made or no token had, or the pool is closed. No request was sent.
    pub async fn connect(&self) -> Result<Connection, NotSent> {
        let permit = self.inner.permits.clone().acquire_owned().await.map_err(|_| NotSent::PoolClosed)?;
        let live = self.inner.ready(None).await?;
        let mut connection = Connection { pool: self.inner.clone(), live: Some(live), token: None, _permit: permit };
        connection.token = self.inner.token(None).await?;
        Ok(connection)
    }

    /// Gives out no connection any more and closes the idle ones; exchanges under way go on.
    pub fn close(&self) {
        self.inner.permits.close();
        self.inner.idle().clear();
    }

    /// Connections made since the pool was.
    pub fn connections_made(&self) -> u64 {
        self.inner.dialled.load(Ordering::Relaxed)
    }

    /// The certificate the far end showed on the newest connection.
    pub fn peer_certificate(&self) -> Option<CertificateFacts> {
        self.inner.peer.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Inner {
    fn idle(&self) -> MutexGuard<'_, Vec<(Live, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn token(&self, refused: Option<u64>) -> Result<Option<Token>, NotSent> {
        match &self.shown {
            Shown::Fixed(_) | Shown::EachTime(_) => Ok(None),
            Shown::Token(source) => source.token(refused).await.map(Some),
        }
    }

    fn is_refused(&self, sent: &Sent) -> bool {
        match (&self.shown, sent) {
            (Shown::Token(source), Sent::Reply(bytes)) => source.is_refused(bytes),
            _ => false,
        }
    }

    async fn forget(&self, refused: u64) {
        if let Shown::Token(source) = &self.shown {
            source.forget(refused).await;
        }
    }

    /// The connection in hand, one from the pool or a new one: whichever lives.
    async fn ready(&self, in_hand: Option<Live>) -> Result<Live, NotSent> {
        if let Some(mut live) = in_hand
            && live.is_usable().await
        {
            return Ok(live);
        }
        loop {
            // Its own statement: the lock must not be held while the connection is looked at.
            let idle = self.idle().pop();
            let Some((mut live, since)) = idle else { return self.dial().await };
            if since.elapsed() < self.settings.idle_timeout && live.is_usable().await {
                return Ok(live);
            }
        }
    }

    async fn dial(&self) -> Result<Live, NotSent> {
        let s = &self.settings;
        let stream = dial(&s.base.address(), s.tls.as_deref(), s.connect_timeout).await?;
        self.dialled.fetch_add(1, Ordering::Relaxed);
        if let Some(der) = stream.peer_certificate() {
            *self.peer.lock().unwrap_or_else(PoisonError::into_inner) = facts(CertificateRole::Peer, &der).ok();
        }
        let unreachable = |kind| NotSent::Unreachable { address: s.base.address(), kind };
        let arrivals = stream.arrivals().map_err(|e| unreachable(e.kind()))?;
        let (stream, progress) = Watched::new(stream);
        let (way, driver) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|_| NotSent::ClosedBeforeSend)?;
        Ok(Live { way, progress, arrivals, _driver: Driver::spawn(driver) })
    }
}

impl Live {
    /// Whether the far end has left it open. A kept connection that was closed meanwhile must show before a byte is written, for afterwards
    /// nobody could say whether the request was seen.
    async fn is_usable(&mut self) -> bool {
        for _ in 0..GLANCES_MAX {
            if self.way.is_closed() || !self.arrivals.any() {
                break;
            }
            // The kernel has something the connection's driver has not noticed yet.
            tokio::task::yield_now().await;
        }
        if self.arrivals.any() {
            return false;
        }
        matches!(tokio::time::timeout(READY_WITHIN, self.way.ready()).await, Ok(Ok(())))
    }
}

impl Connection {
    /// Sends one request and reads its whole reply. `id` names the message on our side. When this future is dropped half way the connection
    /// closes, and whether the request was seen is unknown.
    pub async fn send(&mut self, bytes: &[u8], id: &str) -> Exchange {
        self.send_unless(bytes, id, &|_| false).await
    }

    /// The same. `acted`: whether a reply that does not take our token shows for all that that the message was acted upon. Then it is the reply,
    /// and nothing goes a second time.
    pub async fn send_unless(&mut self, bytes: &[u8], id: &str, acted: Matches<'_>) -> Exchange {
        let request = match self.read(bytes) {
            Ok(request) => request,
            Err(why) => return Exchange::not_sent(NotSent::Request(why), Vec::new()),
        };
        let sent = self.once(&request, id).await;
        let refused = self.token.as_ref().map(|t| t.number).filter(|_| self.pool.is_refused(&sent));
        let (Some(refused), Sent::Reply(first)) = (refused, &sent) else {
            return Exchange { sent, strays: Vec::new() };
        };
        if acted(first) {
            self.pool.forget(refused).await;
            return Exchange { sent, strays: Vec::new() };
        }
        // The token was not taken, so the request was not looked at: once more with a fresh one, and without one nothing was sent.
        let kept = vec![Stray { bytes: first.clone(), kind: StrayKind::Refusal }];
        match self.pool.token(Some(refused)).await {
            Ok(token) => self.token = token,
            Err(why) => return Exchange::not_sent(why, kept),
        }
        Exchange { sent: self.once(&request, id).await, strays: kept }
    }

    fn read(&self, bytes: &[u8]) -> Result<Request, HttpMessageError> {
        let request = Request::parse(bytes)?;
        if request.body.len() > self.pool.settings.max_request_bytes {
            return Err(HttpMessageError::TooLong { what: "the body" });
        }
        Ok(request)
    }

    /// One request, once, whatever is answered.
    pub(in crate::transport) async fn request(&mut self, request: &Request, id: &str) -> Sent {
        self.once(request, id).await
    }

    async fn once(&mut self, request: &Request, id: &str) -> Sent {
        let pool = self.pool.clone();
        let s = &pool.settings;
        let made;
        let credentials = match (&pool.shown, &self.token) {
            (Shown::Fixed(fixed), _) => fixed.as_ref(),
            (Shown::Token(_), token) => token.as_ref().map(|t| &t.credentials),
            (Shown::EachTime(sign), _) => {
                made = Credentials::new(&sign());
                made.as_ref()
            }
        };
        let Some(out) = outgoing(request, &s.base, &s.headers, id, credentials) else {
            return Sent::NotSent(NotSent::Request(HttpMessageError::Target));
        };
        // Owned here until it has proved healthy: dropping this future closes it.
        let mut live = match pool.ready(self.live.take()).await {
            Ok(live) => live,
            Err(why) => return Sent::NotSent(why),
        };
        let address = s.base.address();
        let terms = Terms {
            address: &address,
            send_timeout: s.send_timeout,
            reply_timeout: s.reply_timeout,
            reply_bytes_max: s.max_reply_bytes,
        };
        let (mut sent, healthy) = exchange(&mut live.way, &live.progress, out, &terms).await;
        if let (Sent::Reply(bytes), Some(credentials)) = (&mut sent, credentials) {
            credentials.blank(bytes);
        }
        if healthy {
            self.live = Some(live);
        }
        sent
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Some(live) = self.live.take() else { return };
        let mut idle = self.pool.idle();
        // Looked at under the lock: a pool being closed must not be left with a connection.
        if !self.pool.permits.is_closed() && !live.way.is_closed() {
            idle.push((live, Instant::now()));
        }
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("base", &self.inner.settings.base).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("base", &self.pool.settings.base).finish_non_exhaustive()
    }
}
