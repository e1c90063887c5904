//! TCP with or without TLS: dialling, and one stream type for both.

use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::AlertDescription as Alert;
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::{TlsConnector, TlsStream, client};

use super::NotSent;
use super::tls::ClientTls;

/// Idle time before the first keep-alive probe, and between probes.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// In TLS 1.3 a server judges our certificate, or its absence, after our side of the handshake is done. This long we wait
/// for its word (a session ticket or an alert) so that a refusal shows as "not sent" and not as a message lost. A server
/// that gives no tickets costs this much for each new connection.
const CLIENT_CERTIFICATE_VERDICT: Duration = Duration::from_millis(250);

pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    pub(super) fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Whether the kernel holds bytes or an end that were not read yet. Asks the socket itself: the runtime learns of
    /// arrivals only when it next polls, which is too late for "was it dead before we wrote".
    pub(super) fn has_arrivals(&self) -> bool {
        let tcp = match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => tls.get_ref().0,
        };
        is_readable(&socket2::SockRef::from(tcp))
    }

    /// A second handle on the same socket, to look whether something has arrived while somebody else reads.
    pub(super) fn arrivals(&self) -> io::Result<Arrivals> {
        let tcp = match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => tls.get_ref().0,
        };
        tcp.as_fd().try_clone_to_owned().map(|fd| Arrivals(fd.into()))
    }

    /// The far end's own certificate, DER.
    pub(super) fn peer_certificate(&self) -> Option<Vec<u8>> {
        let Self::Tls(tls) = self else { return None };
        Some(tls.get_ref().1.peer_certificates()?.first()?.to_vec())
    }
}

/// Says whether the kernel holds bytes, or an end, that nobody has read yet.
#[derive(Debug)]
pub(super) struct Arrivals(socket2::Socket);

impl Arrivals {
    pub(super) fn any(&self) -> bool {
        is_readable(&self.0)
    }
}

fn is_readable(socket: &socket2::Socket) -> bool {
    let mut one = [MaybeUninit::uninit()];
    !matches!(socket.peek(&mut one), Err(e) if e.kind() == io::ErrorKind::WouldBlock)
}

/// Sets what every connection wants: no waiting for full packets, and probes that notice a silent far end.
pub(super) fn tune(tcp: &TcpStream) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let keepalive = socket2::TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE);
    socket2::SockRef::from(tcp).set_tcp_keepalive(&keepalive)
}

/// Connects, TLS included, within `limit`. The address is `host:port`.
pub(super) async fn dial(address: &str, tls: Option<&ClientTls>, limit: Duration) -> Result<Stream, NotSent> {
    match tokio::time::timeout(limit, dial_each(address, tls, Instant::now() + limit)).await {
        Ok(result) => result,
        Err(_) => Err(NotSent::ConnectTimeout { address: address.to_owned(), after: limit }),
    }
}

/// One address of the name after another, each with its share of the time that is left: one that swallows everything takes none of another's. Nothing of
/// a message has left before one of them is connected, so the next may be tried after whatever went wrong.
async fn dial_each(address: &str, tls: Option<&ClientTls>, end: Instant) -> Result<Stream, NotSent> {
    let host = host_of(address);
    let dns = |kind| NotSent::Dns { host: host.to_owned(), kind };
    let places: Vec<SocketAddr> = tokio::net::lookup_host(address).await.map_err(|e| dns(e.kind()))?.collect();
    match places[..] {
        [] => Err(dns(io::ErrorKind::NotFound)),
        [only] => dial_one(only, address, host, tls).await,
        _ => dial_in_turn(&places, address, host, tls, end).await,
    }
}

async fn dial_in_turn(
    places: &[SocketAddr],
    address: &str,
    host: &str,
    tls: Option<&ClientTls>,
    end: Instant,
) -> Result<Stream, NotSent> {
    let mut last = NotSent::Unreachable { address: address.to_owned(), kind: io::ErrorKind::NotFound };
    for (n, place) in places.iter().enumerate() {
        let left = u32::try_from(places.len() - n).unwrap_or(u32::MAX);
        let share = end.saturating_duration_since(Instant::now()) / left;
        let error = match tokio::time::timeout(share, dial_one(*place, address, host, tls)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => error,
            Err(_) => NotSent::ConnectTimeout { address: address.to_owned(), after: share },
        };
        // That one of them answers, and we do not trust it or it does not trust us, says more than that another is away.
        if !matches!(last, NotSent::Tls { .. }) {
            last = error;
        }
    }
    Err(last)
}

async fn dial_one(place: SocketAddr, address: &str, host: &str, tls: Option<&ClientTls>) -> Result<Stream, NotSent> {
    let unreachable = |e: io::Error| match e.kind() {
        io::ErrorKind::ConnectionRefused => NotSent::Refused { address: address.to_owned() },
        kind => NotSent::Unreachable { address: address.to_owned(), kind },
    };
    let tcp = TcpStream::connect(place).await.map_err(unreachable)?;
    tune(&tcp).map_err(unreachable)?;
    match tls {
        None => Ok(Stream::Plain(tcp)),
        Some(tls) => handshake(tcp, address, host, tls).await,
    }
}

async fn handshake(tcp: TcpStream, address: &str, host: &str, tls: &ClientTls) -> Result<Stream, NotSent> {
    let refused = |reason: String| NotSent::Tls { address: address.to_owned(), reason };
    let name = tls.server_name(host).map_err(|e| refused(e.to_string()))?;
    let mut stream = TlsConnector::from(tls.config()).connect(name, tcp).await.map_err(|e| refused(e.to_string()))?;
    let is_tls13 = stream.get_ref().1.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3);
    if is_tls13 {
        let verdict = std::future::poll_fn(|cx| poll_verdict(&mut stream, cx));
        match tokio::time::timeout(CLIENT_CERTIFICATE_VERDICT, verdict).await {
            Ok(Ok(())) | Err(_) => {}
            Ok(Err(e)) => return Err(refused(e.to_string())),
        }
    }
    Ok(Stream::Tls(Box::new(stream.into())))
}

/// Ready once the server has accepted our certificate (it sent a session ticket or data) or refused it.
fn poll_verdict(stream: &mut client::TlsStream<TcpStream>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    let quiet = match Pin::new(&mut *stream).poll_fill_buf(cx) {
        Poll::Ready(Ok([])) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
        Poll::Ready(Ok(_)) => return Poll::Ready(Ok(())),
        Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
        Poll::Pending => stream.get_ref().1.tls13_tickets_received() == 0,
    };
    if quiet { Poll::Pending } else { Poll::Ready(Ok(())) }
}

/// Whether a read error is the far end refusing our certificate. TLS gives an application no data before the certificate
/// was accepted, so nothing sent on that connection was seen.
pub(super) fn is_certificate_refusal(error: &io::Error) -> bool {
    let Some(rustls::Error::AlertReceived(alert)) = error.get_ref().and_then(|e| e.downcast_ref()) else {
        return false;
    };
    matches!(
        alert,
        Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::CertificateRequired
    )
}

/// The host part of `host:port`; `[::1]:2575` gives `::1`.
fn host_of(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_read(cx, buf),
            Self::Tls(s) => Pin::new(s).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_write(cx, buf),
            Self::Tls(s) => Pin::new(s).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_flush(cx),
            Self::Tls(s) => Pin::new(s).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_shutdown(cx),
            Self::Tls(s) => Pin::new(s).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::{Domain, Socket, Type};

    /// Listens, is full, and so answers nobody any more: as a machine that is switched off.
    fn swallows() -> (Socket, Vec<Socket>, SocketAddr) {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        listener.bind(&any.into()).expect("bound");
        listener.listen(0).expect("listens");
        let address = listener.local_addr().expect("an address").as_socket().expect("of IP");
        let waiting = (0..8).map(|_| {
            let one = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
            one.set_nonblocking(true).expect("set");
            // Under way, or in the queue.
            let _ = one.connect(&address.into());
            one
        });
        let waiting = waiting.collect();
        (listener, waiting, address)
    }

    #[tokio::test]
    async fn an_address_that_swallows_everything_leaves_the_next_one_its_share_of_the_time() {
        let (_full, _waiting, dead) = swallows();
        let alive = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let there = alive.local_addr().expect("an address");
        let places = [dead, there];
        let end = Instant::now() + Duration::from_secs(4);
        let stream = dial_in_turn(&places, "epr.example:1", "epr.example", None, end).await;
        assert!(matches!(stream, Ok(Stream::Plain(_))), "{:?}", stream.err());
        assert!(Instant::now() < end, "the first took its share and no more");
        let end = Instant::now() + Duration::from_millis(100);
        let nobody = dial_in_turn(&[dead, dead], "epr.example:1", "epr.example", None, end).await;
        assert!(matches!(nobody, Err(NotSent::ConnectTimeout { .. })), "{:?}", nobody.err());
    }
}
