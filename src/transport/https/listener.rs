//! Where an EPR posts to us: one reply for each request, credentials looked at before a body is read.

use crate::transport::Redacted;
use crate::transport::http_message::Reply;
use crate::transport::net::{Stream, tune};
use crate::transport::tls::ServerTls;
use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, ALLOW, AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT,
    WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use sha2::{Digest, Sha256};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// After "stop", how long requests in hand may take.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// For the TLS handshake, and for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// How long a connection above the limit waits for a place: one that is kept open for nothing gives its own up within [`HEAD_TIMEOUT`].
const PLACE_TIMEOUT: Duration = Duration::from_secs(12);
/// Of a body that is too large so much more is read and thrown away, in bytes, and for so long: a simple caller hears the answer only when it has sent
/// all of it.
const THROWN_AWAY_BYTES_MAX: usize = 16 * 1024 * 1024;
const THROWN_AWAY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait after `accept` failed, e.g. for want of file descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Who may post, and how much.
#[derive(Clone)]
pub struct ListenerSettings {
    /// With its client roots where callers must show a certificate.
    pub tls: Option<Arc<ServerTls>>,
    /// What callers must show as `Authorization: Bearer …`; never shown.
    pub bearer: Option<String>,
    /// As many again wait for a place for a little while; further ones are closed at once.
    pub max_connections: usize,
    /// For a whole request, answering included.
    pub request_timeout: Duration,
    pub max_body_bytes: usize,
}

/// A request that came in.
pub struct Arrived {
    pub method: String,
    /// Without the slash it begins with, and without a query.
    pub path: String,
    pub content_type: String,
    /// `X-Request-Id`, as sent.
    pub request_id: Option<String>,
    pub body: Vec<u8>,
}

/// A request of which nothing was heard. In which form its caller is told so is for whoever knows what is posted here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unheard {
    /// It does not show the credentials.
    NotAllowed,
    TooLarge {
        bytes_max: usize,
    },
    /// The body is packed (`Content-Encoding`), and is taken only as it is.
    Packed,
    /// The body ended before its end.
    BrokenOff,
    /// There was no answer within the time a request has. Its caller does not know, and asks or sends again.
    TooSlow,
}

impl Unheard {
    pub fn status(self) -> u16 {
        match self {
            Self::NotAllowed => 401,
            Self::TooLarge { .. } => 413,
            Self::Packed => 415,
            Self::BrokenOff => 400,
            Self::TooSlow => 503,
        }
    }
}

impl std::fmt::Debug for Arrived {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Arrived")
            .field("method", &self.method)
            .field("body", &Redacted(self.body.len()))
            .finish_non_exhaustive()
    }
}

/// A bound listener.
pub struct Listener {
    tcp: TcpListener,
    settings: Arc<ListenerSettings>,
}

impl Listener {
    pub fn new(tcp: TcpListener, settings: ListenerSettings) -> Self {
        Self { tcp, settings: Arc::new(settings) }
    }

    /// # Errors
    /// The socket has no address any more.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// Serves until `stop`, then finishes what is in hand. `unheard` says what a caller is told whose request never came to `answer`.
    pub async fn run<F, A>(self, stop: CancellationToken, unheard: fn(Unheard) -> Reply, answer: F)
    where
        F: Fn(Arrived) -> A + Send + Sync + 'static,
        A: Future<Output = Reply> + Send + 'static,
    {
        let (settings, answer) = (self.settings, Arc::new(answer));
        let permits = Arc::new(Semaphore::new(settings.max_connections.max(1)));
        let waiting = Arc::new(Semaphore::new(settings.max_connections.max(1)));
        let mut open = JoinSet::new();
        loop {
            let tcp = tokio::select! {
                () = stop.cancelled() => break,
                Some(_) = open.join_next(), if !open.is_empty() => continue,
                accepted = self.tcp.accept() => match accepted {
                    Ok((tcp, _)) => tcp,
                    Err(e) => {
                        tracing::warn!(reason = %e, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_AGAIN).await;
                        continue;
                    }
                },
            };
            // Nothing is read of one that waits.
            let permit = permits.clone().try_acquire_owned().ok();
            let wait = if permit.is_none() { waiting.clone().try_acquire_owned().ok() } else { None };
            if permit.is_none() && wait.is_none() {
                tracing::warn!(limit = settings.max_connections, "a connection above the limit was closed");
                continue;
            }
            let (settings, answer, stop) = (settings.clone(), answer.clone(), stop.clone());
            let permits = permits.clone();
            open.spawn(async move {
                let permit = match permit {
                    Some(permit) => permit,
                    None => {
                        let place = tokio::select! {
                            () = stop.cancelled() => return,
                            place = tokio::time::timeout(PLACE_TIMEOUT, permits.acquire_owned()) => place,
                        };
                        let Ok(Ok(place)) = place else {
                            tracing::warn!(
                                limit = settings.max_connections,
                                "a connection above the limit found no place in time and was closed"
                            );
                            return;
                        };
                        place
                    }
                };
                drop(wait);
                connection(tcp, &settings, &stop, unheard, answer).await;
                drop(permit);
            });
        }
        drop(self.tcp);
        let rest = async { while open.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_TIMEOUT, rest).await.is_err() {
            tracing::warn!("requests still in hand at the end of the stop time were cut off");
        }
    }
}

async fn connection<F, A>(
    tcp: TcpStream,
    settings: &Arc<ListenerSettings>,
    stop: &CancellationToken,
    unheard: fn(Unheard) -> Reply,
    answer: Arc<F>,
) where
    F: Fn(Arrived) -> A + Send + Sync + 'static,
    A: Future<Output = Reply> + Send + 'static,
{
    let stream = match open_stream(tcp, settings).await {
        Ok(stream) => stream,
        Err(e) => {
            tracing::warn!(reason = %e, "a connection could not be opened");
            return;
        }
    };
    let serve = service_fn(|request| {
        let (settings, answer) = (settings.clone(), answer.clone());
        async move {
            let reply = match one(request, &settings, &*answer).await {
                Ok(reply) => written(reply),
                Err(why) => not_heard(why, unheard(why)),
            };
            Ok::<_, Infallible>(reply)
        }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_BYTES_MAX);
    let connection = http.serve_connection(TokioIo::new(stream), serve);
    tokio::pin!(connection);
    // What a caller did wrong was answered, or is its own affair.
    tokio::select! {
        _ = &mut connection => {}
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            drop(connection.await);
        }
    }
}

async fn open_stream(tcp: TcpStream, settings: &ListenerSettings) -> io::Result<Stream> {
    tune(&tcp)?;
    // Whoever does not take its answers is let go: it would keep a connection from all others.
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(&tcp).set_tcp_user_timeout(Some(HEAD_TIMEOUT))?;
    let Some(tls) = &settings.tls else { return Ok(Stream::Plain(tcp)) };
    match tokio::time::timeout(HEAD_TIMEOUT, TlsAcceptor::from(tls.config()).accept(tcp)).await {
        Ok(stream) => Ok(Stream::Tls(Box::new(stream?.into()))),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

async fn one<F, A>(request: http::Request<Incoming>, settings: &ListenerSettings, answer: &F) -> Result<Reply, Unheard>
where
    F: Fn(Arrived) -> A,
    A: Future<Output = Reply>,
{
    if !is_allowed(request.headers(), settings) {
        return Err(Unheard::NotAllowed);
    }
    let whole = async {
        let (head, body) = request.into_parts();
        let text = |name: &str| head.headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        // Packed bytes are no message, and none is told from them.
        if head.headers.get_all(CONTENT_ENCODING).iter().any(|v| !v.as_bytes().eq_ignore_ascii_case(b"identity")) {
            throw_away(&head.headers, body, settings).await;
            return Err(Unheard::Packed);
        }
        let body = body_of(&head.headers, body, settings).await?;
        let arrived = Arrived {
            method: head.method.as_str().to_owned(),
            path: head.uri.path().trim_start_matches('/').to_owned(),
            content_type: text(CONTENT_TYPE.as_str()).unwrap_or_default(),
            request_id: text("x-request-id"),
            body,
        };
        Ok(answer(arrived).await)
    };
    tokio::time::timeout(settings.request_timeout, whole).await.unwrap_or(Err(Unheard::TooSlow))
}

async fn body_of(headers: &HeaderMap, mut body: Incoming, settings: &ListenerSettings) -> Result<Vec<u8>, Unheard> {
    let bytes_max = settings.max_body_bytes;
    let said = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if said.is_some_and(|n| n > bytes_max) {
        throw_away(headers, body, settings).await;
        return Err(Unheard::TooLarge { bytes_max });
    }
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(|_| Unheard::BrokenOff)?.into_data() {
            if bytes.len() + data.len() > bytes_max {
                drop(bytes);
                throw_away(headers, body, settings).await;
                return Err(Unheard::TooLarge { bytes_max });
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes)
}

/// Reads on within limits, and keeps nothing of it. Whoever asks first (`Expect: 100-continue`) has sent nothing yet and hears the answer at once.
async fn throw_away(headers: &HeaderMap, mut body: Incoming, settings: &ListenerSettings) {
    if headers.contains_key(EXPECT) {
        return;
    }
    let read = async {
        let mut left = THROWN_AWAY_BYTES_MAX;
        while let Some(Ok(frame)) = body.frame().await {
            left = match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                Some(left) => left,
                None => return,
            };
        }
    };
    // Whoever takes longer is told now, if it listens; before the time of the whole request is over.
    let _ = tokio::time::timeout(THROWN_AWAY_TIMEOUT.min(settings.request_timeout / 2), read).await;
}

/// Hashes are compared, so that the time taken tells nothing of the secret.
fn is_allowed(headers: &HeaderMap, settings: &ListenerSettings) -> bool {
    let Some(secret) = &settings.bearer else { return true };
    // The scheme's name is written in any case, and spaces follow it (RFC 9110, 11.1 and 11.4).
    let shown = headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok()).and_then(|v| v.split_once(' '));
    let shown = shown.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim_start());
    shown.is_some_and(|shown| Sha256::digest(shown) == Sha256::digest(secret))
}

fn not_heard(why: Unheard, told: Reply) -> http::Response<Full<Bytes>> {
    let mut response = written(told);
    let headers = response.headers_mut();
    match why {
        Unheard::NotAllowed => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            // Who is not allowed here keeps no connection either.
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        // Of its body there may be more to come.
        Unheard::TooLarge { .. } => drop(headers.insert(CONNECTION, HeaderValue::from_static("close"))),
        Unheard::Packed => {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
            // What would be taken instead (RFC 9110, 12.5.3).
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        Unheard::BrokenOff | Unheard::TooSlow => {}
    }
    response
}

fn written(reply: Reply) -> http::Response<Full<Bytes>> {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut out = http::Response::builder().status(status);
    if status == StatusCode::METHOD_NOT_ALLOWED {
        out = out.header(ALLOW, "POST");
    }
    for (name, value) in reply.headers.iter() {
        out = out.header(name, value);
    }
    out.body(Full::new(Bytes::from(reply.body))).unwrap_or_else(|_| {
        let mut bare = http::Response::new(Full::new(Bytes::new()));
        *bare.status_mut() = status;
        bare
    })
}
