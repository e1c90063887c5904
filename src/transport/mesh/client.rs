//! One mailbox of ours: the way to it, kept open by the connections of [`https`], every request signed anew.

use super::send;
use super::{ANSWER_BYTES_MAX, V2, signature};
use crate::transport::http_message::{Headers, HttpMessageError, Method, Reply, Request};
use crate::transport::https::{self, Ambient, Auth, Base};
use crate::transport::tls::{CertificateFacts, ClientTls};
use crate::transport::{Exchange, NotSent, Sent, Unsure};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// What signs our requests. Never shown.
#[derive(Clone)]
pub struct Keys {
    pub password: String,
    pub shared_key: String,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(..)")
    }
}

/// How to reach MESH, as whom, and how much of it at once.
#[derive(Clone)]
pub struct MeshSettings {
    /// Up to the mailbox: `https://host/messageexchange/X26ABC1`.
    pub base: Base,
    pub tls: Option<Arc<ClientTls>>,
    /// Our own mailbox.
    pub mailbox: String,
    pub keys: Keys,
    /// Where messages go, and under which workflow.
    pub to_mailbox: String,
    pub workflow: String,
    pub max_connections: usize,
    /// For name, connection and TLS together; and again for the handshake.
    pub connect_timeout: Duration,
    /// Of one request: a chunk is one.
    pub send_timeout: Duration,
    pub reply_timeout: Duration,
    /// Of one message with all its chunks. No request is begun that might end later.
    pub message_timeout: Duration,
    /// Largest chunk, in bytes.
    pub chunk_bytes: usize,
    /// Tries of each chunk but the first, in one attempt.
    pub chunk_tries: u32,
    /// Largest message, out and in, in bytes.
    pub max_message_bytes: usize,
    /// Messages listed at once.
    pub inbox_page: u32,
    /// Messages listed in one round.
    pub inbox_max: usize,
    /// MESH wants to hear from a mailbox now and then.
    pub handshake_every: Duration,
    pub ambient: Ambient,
}

impl MeshSettings {
    /// The longest one request can take.
    pub(super) fn one_request(&self) -> Duration {
        self.connect_timeout + self.send_timeout + self.reply_timeout
    }
}

/// One endpoint's mailbox; clones share it.
#[derive(Clone)]
pub struct Client {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub settings: MeshSettings,
    pool: https::Pool,
    /// When MESH last said that it knows us.
    greeted: Mutex<Option<Instant>>,
}

/// A way to the mailbox, ours alone until it is dropped.
pub struct Connection {
    pub(super) shared: Arc<Shared>,
    pub(super) way: https::Connection,
}

impl Client {
    /// Connects to nothing yet.
    pub fn new(settings: MeshSettings) -> Self {
        let s = &settings;
        let (mailbox, keys, ambient) = (s.mailbox.clone(), s.keys.clone(), s.ambient.clone());
        let sign = move || {
            let mut random = [0u8; 16];
            (ambient.random)(&mut random);
            let nonce = uuid::Builder::from_random_bytes(random).into_uuid().to_string();
            let key = keys.shared_key.as_bytes();
            signature::authorization(&mailbox, &keys.password, key, &nonce, 0, (ambient.now)())
        };
        let pool = https::Pool::new(https::ClientSettings {
            base: s.base.clone(),
            tls: s.tls.clone(),
            auth: Auth::EachTime(Arc::new(sign)),
            headers: vec![("Accept".into(), V2.into())],
            max_connections: s.max_connections,
            connect_timeout: s.connect_timeout,
            send_timeout: s.send_timeout,
            reply_timeout: s.reply_timeout,
            idle_timeout: IDLE,
            max_request_bytes: s.chunk_bytes,
            // The far end chooses its chunks; packed, a message is smaller than it counts.
            max_reply_bytes: s.max_message_bytes.max(ANSWER_BYTES_MAX),
            ambient: s.ambient.clone(),
        });
        Self { shared: Arc::new(Shared { settings, pool, greeted: Mutex::default() }) }
    }

    /// A way to a mailbox that has been greeted lately.
    ///
    /// # Errors
    /// There is no way, or MESH does not let us in. No message was tried.
    pub async fn open(&self) -> Result<Connection, NotSent> {
        let way = self.shared.pool.connect().await?;
        let mut connection = Connection { shared: self.shared.clone(), way };
        if self.shared.is_stranger() {
            let within = self.shared.settings.connect_timeout;
            let late = || self.shared.refused(format!("the handshake has no answer within {} ms", within.as_millis()));
            tokio::time::timeout(within, connection.greet()).await.unwrap_or_else(|_| Err(late()))?;
        }
        Ok(connection)
    }

    pub fn close(&self) {
        self.shared.pool.close();
    }

    pub fn peer_certificate(&self) -> Option<CertificateFacts> {
        self.shared.pool.peer_certificate()
    }
}

/// Gateways keep unused connections for less time than engines do.
const IDLE: Duration = Duration::from_secs(45);

impl Shared {
    fn is_stranger(&self) -> bool {
        let greeted = *self.greeted.lock().unwrap_or_else(PoisonError::into_inner);
        greeted.is_none_or(|at| at.elapsed() >= self.settings.handshake_every)
    }

    fn set_greeted(&self, at: Option<Instant>) {
        *self.greeted.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }

    fn refused(&self, reason: String) -> NotSent {
        NotSent::Mailbox { at: self.settings.base.to_string(), reason }
    }
}

impl Connection {
    /// The handshake: MESH checks the mailbox, its password, the shared key and our clock.
    async fn greet(&mut self) -> Result<(), NotSent> {
        let mut headers = Headers::default();
        for (name, value) in [
            ("Mex-ClientVersion", concat!("ips-bridge==", env!("CARGO_PKG_VERSION"))),
            ("Mex-OSName", std::env::consts::OS),
            ("Mex-OSVersion", "unknown"),
            ("Mex-OSArchitecture", std::env::consts::ARCH),
            ("Mex-JavaVersion", "none"),
        ] {
            headers.add(name, value).map_err(NotSent::Request)?;
        }
        let request = Request { method: Method::Post, target: String::new(), headers, body: Vec::new() };
        match self.request(&request).await {
            Sent::Reply(bytes) => match Reply::parse(&bytes).map(|r| r.status) {
                Ok(200) => {
                    self.shared.set_greeted(Some(Instant::now()));
                    Ok(())
                }
                Ok(status) => Err(self.shared.refused(format!("the handshake is answered {status}; {CHECK}"))),
                Err(e) => Err(self.shared.refused(e.to_string())),
            },
            Sent::NotSent(why) => Err(why),
            // A handshake carries no message: that nobody answered it says nothing about one.
            Sent::Unsure(why) => Err(self.shared.refused(format!("the handshake has no answer: {why}"))),
        }
    }

    /// MESH did not let us in, although it knew us before: the next way begins with a handshake.
    pub(super) fn shut_out(&self, status: u16) -> NotSent {
        self.shared.set_greeted(None);
        self.shared.refused(format!("it answers {status}; {CHECK}"))
    }

    /// One request, signed, and its reply. Named anew each time: MESH holds two of the same name against us.
    pub(super) async fn request(&mut self, request: &Request) -> Sent {
        let mut random = [0u8; 16];
        (self.shared.settings.ambient.random)(&mut random);
        let name = uuid::Builder::from_random_bytes(random).into_uuid().to_string();
        self.way.request(request, &name).await
    }

    /// The same, where no answer is simply none: for what changes nothing.
    pub(super) async fn ask(&mut self, method: Method, target: String) -> Result<Reply, String> {
        let request = Request::new(method, target, Headers::default(), Vec::new()).map_err(|e| e.to_string())?;
        match self.request(&request).await {
            Sent::Reply(bytes) => {
                let reply = Reply::parse(&bytes).map_err(|e| e.to_string())?;
                if matches!(reply.status, 401 | 403) {
                    return Err(self.shut_out(reply.status).to_string());
                }
                Ok(reply)
            }
            Sent::NotSent(e) => Err(e.to_string()),
            Sent::Unsure(e) => Err(e.to_string()),
        }
    }

    /// Carries a rendered request: a message into the other mailbox, or a question about one. `id` names the message on our side, and MESH
    /// is told it (`Mex-LocalID`).
    pub async fn send(&mut self, bytes: &[u8], id: &str) -> Exchange {
        let sent = match Request::parse(bytes) {
            Ok(request) if request.method == Method::Post && request.target == super::MESSAGE => {
                send::message(self, &request, id).await
            }
            Ok(request) if request.method == Method::Get && request.target.starts_with(super::TRACKING) => {
                match self.request(&request).await {
                    // Asked in vain, whatever left.
                    Sent::NotSent(NotSent::ClosedBeforeSend) => Sent::Unsure(Unsure::ClosedBeforeReply),
                    sent => sent,
                }
            }
            Ok(_) => Sent::NotSent(NotSent::Request(HttpMessageError::Target)),
            Err(e) => Sent::NotSent(NotSent::Request(e)),
        };
        Exchange { sent, strays: Vec::new() }
    }
}

const CHECK: &str = "check mailbox, password, shared key, certificate and our clock";

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("base", &self.shared.settings.base).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("base", &self.shared.settings.base).finish_non_exhaustive()
    }
}
