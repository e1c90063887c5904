//! The EPR's side of HTTP, on a real socket: takes every request and does exactly what a test says, right or wrong.

use ips_bridge::transport::http_message::Reply;
use ips_bridge::transport::https::{Ambient, Auth, Base, ClientSettings, Pool};
use ips_bridge::transport::tls::ServerTls;
use ips_bridge::transport::{Exchange, Sent};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A request as it arrived.
#[derive(Clone)]
pub struct Got {
    /// `POST /fhir/Patient HTTP/1.1`.
    pub line: String,
    /// Names in small letters.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Which connection brought it, from 0.
    pub connection: usize,
}

impl Got {
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
    }
}

/// What the far end does with a request.
pub enum Act {
    /// Writes these bytes and keeps the connection.
    Say(Vec<u8>),
    /// Writes them and closes.
    SayAndClose(Vec<u8>),
    /// Says nothing, ever.
    Hang,
}

/// A whole HTTP reply with a body of this type.
pub fn reply(status: u16, headers: &str, body: &str) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status} x\r\nContent-Type: application/fhir+json\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    [head.as_bytes(), body.as_bytes()].concat()
}

pub fn say(status: u16, body: &str) -> Act {
    Act::Say(reply(status, "", body))
}

/// A far end that keeps all it was sent. It ends when dropped.
pub struct WebEnd {
    addr: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
    stop: CancellationToken,
    _stop: DropGuard,
}

impl WebEnd {
    /// `act` gets each request and its place in the order of arrival, from 0.
    pub async fn start(act: impl Fn(usize, &Got) -> Act + Send + Sync + 'static) -> Self {
        Self::start_with(None, act).await
    }

    pub async fn start_with(
        tls: Option<Arc<ServerTls>>,
        act: impl Fn(usize, &Got) -> Act + Send + Sync + 'static,
    ) -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").await.expect("loopback gives a port");
        let addr = tcp.local_addr().expect("a bound socket has an address");
        let (got, stop, act): (Arc<Mutex<Vec<Got>>>, _, _) = (Arc::default(), CancellationToken::new(), Arc::new(act));
        let (kept, stopped) = (got.clone(), stop.clone());
        tokio::spawn(async move {
            for connection in 0.. {
                let stream = tokio::select! {
                    () = stopped.cancelled() => return,
                    accepted = tcp.accept() => accepted.expect("a connection").0,
                };
                let (kept, act, tls, stopped) = (kept.clone(), act.clone(), tls.clone(), stopped.clone());
                tokio::spawn(async move {
                    let serve = async {
                        match tls {
                            None => serve(stream, connection, &kept, &*act).await,
                            Some(tls) => {
                                // A caller that is refused has its own test.
                                let Ok(stream) = TlsAcceptor::from(tls.config()).accept(stream).await else { return };
                                serve(stream, connection, &kept, &*act).await;
                            }
                        }
                    };
                    tokio::select! {
                        () = stopped.cancelled() => {}
                        () = serve => {}
                    }
                });
            }
        });
        Self { addr, got, stop: stop.clone(), _stop: stop.drop_guard() }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Closes every connection and listens no more.
    pub fn go_away(&self) {
        self.stop.cancel();
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    connection: usize,
    kept: &Mutex<Vec<Got>>,
    act: &(impl Fn(usize, &Got) -> Act + Sync),
) {
    while let Some(request) = read(&mut stream, connection).await {
        let acted = {
            let mut got = kept.lock().unwrap_or_else(PoisonError::into_inner);
            got.push(request.clone());
            act(got.len() - 1, &request)
        };
        match acted {
            Act::Say(bytes) => {
                // The caller may have gone.
                let _ = stream.write_all(&bytes).await;
                let _ = stream.flush().await;
            }
            Act::SayAndClose(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                return;
            }
            Act::Hang => std::future::pending().await,
        }
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin), connection: usize) -> Option<Got> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).expect("heads are ASCII");
    let mut lines = head.trim_end().split("\r\n");
    let line = lines.next().unwrap_or_default().to_owned();
    let headers: Vec<(String, String)> =
        lines.filter_map(|l| l.split_once(": ")).map(|(n, v)| (n.to_ascii_lowercase(), v.to_owned())).collect();
    let length = headers.iter().find(|(n, _)| n == "content-length").and_then(|(_, v)| v.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Got { line, headers, body, connection })
}

/// A clock that stands at 2026-03-02T09:30:00Z plus these seconds, and randomness that counts.
pub fn ambient(seconds: Arc<std::sync::atomic::AtomicI64>) -> Ambient {
    let count = std::sync::atomic::AtomicU64::new(1);
    Ambient {
        now: Arc::new(move || {
            jiff::Timestamp::from_second(1_772_443_800 + seconds.load(std::sync::atomic::Ordering::SeqCst))
                .expect("a time")
        }),
        random: Arc::new(move |bytes| {
            let n = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst).to_le_bytes();
            bytes.iter_mut().enumerate().for_each(|(i, b)| *b = n[i % 8]);
        }),
    }
}

/// Settings for one connection to this address, with short waits.
pub fn settings(addr: SocketAddr) -> ClientSettings {
    ClientSettings {
        base: Base::parse(&format!("http://{addr}/fhir")).expect("an address"),
        tls: None,
        auth: Auth::Nothing,
        headers: Vec::new(),
        max_connections: 1,
        connect_timeout: Duration::from_secs(5),
        send_timeout: Duration::from_secs(5),
        reply_timeout: Duration::from_secs(5),
        idle_timeout: Duration::from_secs(60),
        max_request_bytes: 4 * 1024 * 1024,
        max_reply_bytes: 64 * 1024,
        ambient: ambient(Arc::default()),
    }
}

pub const REQUEST: &[u8] =
    b"POST DocumentReference\nContent-Type: application/fhir+json\nIf-None-Exist: identifier=s|v\n\n{\"resourceType\":\"DocumentReference\"}";

/// Opens the way and sends the one request.
pub async fn send(pool: &Pool) -> Exchange {
    let patience = Duration::from_secs(20);
    let all = async {
        match pool.connect().await {
            Ok(mut connection) => connection.send(REQUEST, "RZ9CONTROL").await,
            Err(why) => Exchange { sent: Sent::NotSent(why), strays: Vec::new() },
        }
    };
    tokio::time::timeout(patience, all).await.expect("a send ends")
}

/// The reply, where there is one.
pub fn replied(exchange: &Exchange) -> Reply {
    match &exchange.sent {
        Sent::Reply(bytes) => Reply::parse(bytes).expect("a kept reply can be read"),
        other => panic!("no reply: {other:?}"),
    }
}
