//! TLS and mutual TLS under MLLP, and what certificates say.

use std::sync::Arc;
use std::time::Duration;

use ips_bridge::transport::mllp::{Answer, ClientSettings, ListenerSettings, Received};
use ips_bridge::transport::tls::{
    CertificateRole, ClientCertificates, ClientTls, ClientTlsSettings, Identity, PemSource, ServerTls,
    ServerTlsSettings, TlsError, TlsMin, install_crypto_provider, peer_names,
};
use ips_bridge::transport::{Exchange, NotSent, Sent};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType, date_time_ymd};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::transport_support::*;

/// An authority of a test's own.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub fn new() -> Self {
        install_crypto_provider();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    pub fn root(&self) -> PemSource {
        PemSource::Bytes(self.pem.clone().into_bytes())
    }

    /// A certificate for these names, as PEM chain and key.
    pub fn issue(&self, dns: &str, uri: Option<&str>) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![dns.to_owned()]).unwrap();
        params.subject_alt_names.extend(uri.map(|u| SanType::URI(u.try_into().unwrap())));
        params.not_after = date_time_ymd(2040, 2, 29);
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    pub fn identity(&self, dns: &str) -> Identity {
        let (chain, key) = self.issue(dns, Some("spiffe://trust.example/ips"));
        Identity { chain: PemSource::Bytes(chain.into_bytes()), key: PemSource::Bytes(key.into_bytes()) }
    }

    pub fn server(&self, clients: ClientCertificates) -> Arc<ServerTls> {
        let identity = self.identity("epr.example");
        let settings = ServerTlsSettings { identity, clients, min: TlsMin::V1_3, alpn: Vec::new() };
        Arc::new(ServerTls::load(settings).unwrap())
    }

    pub fn client(&self, identity: Option<Identity>) -> ClientTlsSettings {
        let server_name = Some("epr.example".to_owned());
        ClientTlsSettings { roots: self.root(), identity, server_name, min: TlsMin::V1_3 }
    }
}

fn over_tls(address: String, tls: ClientTlsSettings) -> ClientSettings {
    ClientSettings { tls: Some(Arc::new(ClientTls::load(tls).unwrap())), ..ClientSettings::new(address) }
}

async fn listen_tls(tls: Arc<ServerTls>) -> String {
    let settings = ListenerSettings { tls: Some(tls), ..ListenerSettings::default() };
    listen(settings, |r: Received| async move { acknowledge(&r) }).await.0
}

fn is_reply(exchange: &Exchange) -> bool {
    matches!(exchange.sent, Sent::Reply(_))
}

fn is_tls_refusal(exchange: &Exchange) -> bool {
    matches!(exchange.sent, Sent::NotSent(NotSent::Tls { .. }))
}

#[tokio::test]
async fn messages_go_over_tls_and_connections_are_kept() {
    let ca = Authority::new();
    let address = listen_tls(ca.server(ClientCertificates::NotAsked)).await;
    let (pool, _strays) = pool(over_tls(address, ca.client(None)));
    for i in 0..10 {
        let exchange = send(&pool, &format!("MSH|{i}")).await;
        assert!(is_reply(&exchange), "{exchange:?}");
    }
    assert!(is_reply(&send(&pool, &"x".repeat(1 << 20)).await));
    assert_eq!(pool.connections_made(), 1);
    let peer = pool.peer_certificate().unwrap();
    assert_eq!(peer.role, CertificateRole::Peer);
    assert_eq!(peer.not_after.to_string(), "2040-02-29T00:00:00Z");
}

#[tokio::test]
async fn under_mutual_tls_the_listener_knows_the_callers_names() {
    let ca = Authority::new();
    let settings =
        ListenerSettings { tls: Some(ca.server(ClientCertificates::Required(ca.root()))), ..Default::default() };
    let (address, _stop, _) = listen(settings, |r| async move {
        let names = peer_names(&r.peer_certificate.unwrap()).unwrap();
        assert_eq!(names.uri, ["spiffe://trust.example/ips"]);
        Answer::frame(names.dns.join(",").into_bytes())
    })
    .await;
    let (pool, _strays) = pool(over_tls(address, ca.client(Some(ca.identity("bridge.example")))));
    let exchange = pool.send(b"MSH|1", &|_| true).await;
    assert!(matches!(&exchange.sent, Sent::Reply(bytes) if bytes == b"bridge.example"), "{exchange:?}");
}

#[tokio::test]
async fn a_refused_client_certificate_is_not_sent_and_never_unsure() {
    let (ca, stranger) = (Authority::new(), Authority::new());
    let address = listen_tls(ca.server(ClientCertificates::Required(ca.root()))).await;
    for _ in 0..5 {
        let (pool, _strays) = pool(over_tls(address.clone(), ca.client(Some(stranger.identity("bridge.example")))));
        let exchange = send(&pool, "MSH|1").await;
        assert!(is_tls_refusal(&exchange), "{exchange:?}");
    }
}

#[tokio::test]
async fn a_missing_client_certificate_is_never_taken_for_a_delivery() {
    let ca = Authority::new();
    let address = listen_tls(ca.server(ClientCertificates::Required(ca.root()))).await;
    let (pool, _strays) = pool(over_tls(address, ca.client(None)));
    for _ in 0..5 {
        let exchange = send(&pool, "MSH|1").await;
        assert!(is_tls_refusal(&exchange), "{exchange:?}");
    }
}

#[tokio::test]
async fn a_client_certificate_may_be_optional() {
    let ca = Authority::new();
    let address = listen_tls(ca.server(ClientCertificates::Optional(ca.root()))).await;
    for identity in [None, Some(ca.identity("bridge.example"))] {
        let (pool, _strays) = pool(over_tls(address.clone(), ca.client(identity)));
        assert!(is_reply(&send(&pool, "MSH|1").await));
    }
}

#[tokio::test]
async fn a_server_that_gives_no_tickets_is_used_all_the_same() {
    let ca = Authority::new();
    let mut config = (*ca.server(ClientCertificates::Required(ca.root())).config()).clone();
    config.send_tls13_tickets = 0;
    let (settings, _far) = far_end(|tcp| serve_with(tcp, config)).await;
    let client = ca.client(Some(ca.identity("bridge.example")));
    let (pool, _strays) = pool(over_tls(settings.address, client));
    assert!(is_reply(&send(&pool, "MSH|1").await));
}

#[tokio::test]
async fn a_server_of_an_unknown_authority_is_not_sent_to() {
    let (ca, stranger) = (Authority::new(), Authority::new());
    let address = listen_tls(stranger.server(ClientCertificates::NotAsked)).await;
    let (pool, _strays) = pool(over_tls(address, ca.client(None)));
    assert!(is_tls_refusal(&send(&pool, "MSH|1").await));
}

#[tokio::test]
async fn a_server_of_another_name_is_not_sent_to() {
    let ca = Authority::new();
    let address = listen_tls(ca.server(ClientCertificates::NotAsked)).await;
    let other = ClientTlsSettings { server_name: Some("other.example".to_owned()), ..ca.client(None) };
    let (pool, _strays) = pool(over_tls(address.clone(), other));
    assert!(is_tls_refusal(&send(&pool, "MSH|1").await));
    // Unset, it is the address's host, which the certificate does not name.
    let unset = ClientTlsSettings { server_name: None, ..ca.client(None) };
    let (pool, _strays) = self::pool(over_tls(address, unset));
    assert!(is_tls_refusal(&send(&pool, "MSH|1").await));
}

#[tokio::test]
async fn tls_1_2_needs_to_be_allowed() {
    let ca = Authority::new();
    let provider = rustls::crypto::CryptoProvider::get_default().unwrap().clone();
    let (chain, key) = ca.issue("epr.example", None);
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![pem(&chain)], rustls::pki_types::pem::PemObject::from_pem_slice(key.as_bytes()).unwrap())
        .unwrap();
    let (settings, _far) = far_end(|tcp| serve_with(tcp, config)).await;
    let (pool, _strays) = pool(over_tls(settings.address.clone(), ca.client(None)));
    assert!(is_tls_refusal(&send(&pool, "MSH|1").await));
    let allowed = ClientTlsSettings { min: TlsMin::V1_2, ..ca.client(None) };
    let (pool, _strays) = self::pool(over_tls(settings.address, allowed));
    assert!(is_reply(&send(&pool, "MSH|1").await));
}

fn pem(text: &str) -> rustls::pki_types::CertificateDer<'static> {
    rustls::pki_types::pem::PemObject::from_pem_slice(text.as_bytes()).unwrap()
}

/// Acknowledges everything under a configuration made by hand.
async fn serve_with(tcp: TcpListener, config: rustls::ServerConfig) {
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    loop {
        let Ok(mut stream) = acceptor.accept(tcp.accept().await.unwrap().0).await else { continue };
        while let Some(payload) = read_frame(&mut stream).await {
            stream.write_all(&framed(&format!("ACK {payload}"))).await.unwrap();
        }
    }
}

#[tokio::test]
async fn tls_to_a_plain_listener_is_not_sent() {
    let ca = Authority::new();
    let (address, _stop, _) = listen(ListenerSettings::default(), |r| async move { acknowledge(&r) }).await;
    let (pool, _strays) = pool(over_tls(address, ca.client(None)));
    assert!(is_tls_refusal(&send(&pool, "MSH|1").await));
}

#[tokio::test]
async fn plain_bytes_to_a_tls_listener_are_no_message() {
    let ca = Authority::new();
    let address = listen_tls(ca.server(ClientCertificates::NotAsked)).await;
    let mut s = TcpStream::connect(&address).await.unwrap();
    s.write_all(&framed("MSH|1")).await.unwrap();
    let answer = read_to_end(&mut s).await;
    assert!(!answer.windows(3).any(|w| w == b"ACK"));
    let (pool, _strays) = pool(over_tls(address, ca.client(None)));
    assert!(is_reply(&send(&pool, "MSH|1").await));
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_closed() {
    let ca = Authority::new();
    let settings = ListenerSettings {
        tls: Some(ca.server(ClientCertificates::NotAsked)),
        handshake_timeout: Duration::from_millis(100),
        ..Default::default()
    };
    let (address, _stop, _) = listen(settings, |r| async move { acknowledge(&r) }).await;
    let mut s = TcpStream::connect(&address).await.unwrap();
    let mut nothing = [0];
    let closed = tokio::time::timeout(PATIENCE, s.read(&mut nothing)).await.expect("it is closed");
    assert!(matches!(closed, Ok(0) | Err(_)));
}

#[tokio::test]
async fn a_dead_idle_tls_connection_is_replaced_and_never_unsure() {
    let ca = Authority::new();
    let config = (*ca.server(ClientCertificates::NotAsked).config()).clone();
    let (closed, mut is_closed) = tokio::sync::mpsc::channel(1);
    let (settings, _far) = far_end(|tcp| async move {
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        loop {
            let mut stream = acceptor.accept(tcp.accept().await.unwrap().0).await.unwrap();
            let payload = read_frame(&mut stream).await.unwrap();
            stream.write_all(&framed(&format!("ACK {payload}"))).await.unwrap();
            // No goodbye: only the socket closes.
            drop(stream);
            closed.send(()).await.unwrap();
        }
    })
    .await;
    let (pool, _strays) = pool(over_tls(settings.address, ca.client(None)));
    for i in 0..10 {
        let exchange = send(&pool, &format!("MSH|{i}")).await;
        assert!(is_reply(&exchange), "{exchange:?}");
        is_closed.recv().await.unwrap();
    }
    assert_eq!(pool.connections_made(), 10);
}

#[tokio::test]
async fn certificates_are_read_again_without_a_restart() {
    let (old, new) = (Authority::new(), Authority::new());
    let dir = tempfile::tempdir().unwrap();
    let identity = Identity {
        chain: PemSource::File(dir.path().join("chain.pem")),
        key: PemSource::File(dir.path().join("key.pem")),
    };
    let write = |(chain, key): (String, String)| {
        std::fs::write(dir.path().join("chain.pem"), chain).unwrap();
        std::fs::write(dir.path().join("key.pem"), key).unwrap();
    };
    write(old.issue("epr.example", None));
    let clients = ClientCertificates::NotAsked;
    let settings = ServerTlsSettings { identity, clients, min: TlsMin::V1_3, alpn: Vec::new() };
    let server = Arc::new(ServerTls::load(settings).unwrap());
    let address = listen_tls(server.clone()).await;
    let (trusts_old, _s1) = pool(over_tls(address.clone(), old.client(None)));
    let (trusts_new, _s2) = pool(over_tls(address, new.client(None)));
    assert!(is_reply(&send(&trusts_old, "MSH|1").await));
    assert!(is_tls_refusal(&send(&trusts_new, "MSH|1").await));

    write(new.issue("epr.example", None));
    server.reload().unwrap();
    assert!(is_reply(&send(&trusts_new, "MSH|2").await));
    // A connection that is open lives on; the next one meets the new certificate.
    assert!(is_reply(&send(&trusts_old, "MSH|2").await));
    trusts_old.close_idle();
    assert!(is_tls_refusal(&send(&trusts_old, "MSH|3").await));

    // A certificate and a key that do not belong together change nothing.
    std::fs::write(dir.path().join("key.pem"), old.issue("epr.example", None).1).unwrap();
    assert!(matches!(server.reload(), Err(TlsError::Refused { .. })));
    trusts_new.close_idle();
    assert!(is_reply(&send(&trusts_new, "MSH|4").await));
}

#[tokio::test]
async fn every_certificate_tells_its_last_day() {
    let ca = Authority::new();
    let client = ClientTls::load(ca.client(Some(ca.identity("bridge.example")))).unwrap();
    let facts = client.certificates();
    assert_eq!(facts.iter().map(|f| f.role).collect::<Vec<_>>(), [CertificateRole::Root, CertificateRole::Own]);
    assert_eq!(facts[1].not_after.to_string(), "2040-02-29T00:00:00Z");
    assert_eq!(ca.server(ClientCertificates::Required(ca.root())).certificates().len(), 2);
}

#[test]
fn bad_material_is_named_and_never_shown() {
    let ca = Authority::new();
    let (chain, key) = ca.issue("bridge.example", None);
    let secret = key.lines().nth(1).unwrap();
    let damaged = key.replace("-----END", "----END");
    let not_a_key = key.replace(secret, &secret.chars().rev().collect::<String>());
    for bad in ["", "no pem at all", damaged.as_str(), not_a_key.as_str(), ca.issue("x.example", None).1.as_str()] {
        let identity = Identity {
            chain: PemSource::Bytes(chain.clone().into_bytes()),
            key: PemSource::Bytes(bad.as_bytes().to_vec()),
        };
        let settings = ca.client(Some(identity));
        let mut shown = format!("{settings:?}");
        let error = ClientTls::load(settings).unwrap_err();
        shown += &format!("{error} {error:?}");
        shown += &format!("{:?}", anyhow::Error::from(error));
        assert!(shown.contains("key"), "{shown}");
        assert!(bad.lines().filter(|l| l.len() > 20 && !l.starts_with('-')).all(|l| !shown.contains(l)), "{shown}");
    }
    let missing = PemSource::File("/nonexistent/roots.pem".into());
    let error = ClientTls::load(ClientTlsSettings { roots: missing, ..ca.client(None) }).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/roots.pem"));
    let name = ClientTlsSettings { server_name: Some("not a name".to_owned()), ..ca.client(None) };
    assert!(matches!(ClientTls::load(name), Err(TlsError::ServerName(_))));
}

#[test]
fn bytes_that_are_no_certificate_have_no_names() {
    assert!(matches!(peer_names(b"nonsense"), Err(TlsError::NotX509 { .. })));
}

#[test]
fn installing_the_crypto_provider_twice_is_harmless() {
    install_crypto_provider();
    install_crypto_provider();
    assert!(rustls::crypto::CryptoProvider::get_default().is_some());
}
