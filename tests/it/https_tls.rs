//! TLS and mutual TLS under HTTPS.

use crate::support::web_end::{WebEnd, replied, say, send, settings};
use crate::transport_tls::Authority;
use ips_bridge::transport::https::{Base, ClientSettings, Pool};
use ips_bridge::transport::tls::{ClientCertificates, ClientTls, ClientTlsSettings, TlsMin};
use ips_bridge::transport::{NotSent, Sent};
use std::sync::Arc;

fn over_tls(far: &WebEnd, tls: ClientTlsSettings) -> ClientSettings {
    ClientSettings {
        base: Base::parse(&format!("https://{}/fhir", far.addr())).expect("an address"),
        tls: Some(Arc::new(ClientTls::load(tls).expect("good TLS material"))),
        ..settings(far.addr())
    }
}

#[tokio::test]
async fn only_a_certificate_of_the_named_authority_is_believed() {
    let authority = Authority::new();
    let far = WebEnd::start_with(Some(authority.server(ClientCertificates::NotAsked)), |_, _| say(201, "{}")).await;
    let pool = Pool::new(over_tls(&far, authority.client(None)));
    assert_eq!(replied(&send(&pool).await).status, 201);
    assert!(pool.peer_certificate().is_some());

    let stranger = Authority::new();
    let exchange = send(&Pool::new(over_tls(&far, stranger.client(None)))).await;
    assert!(matches!(exchange.sent, Sent::NotSent(NotSent::Tls { .. })), "{exchange:?}");
    let other_name = ClientTlsSettings { server_name: Some("other.example".into()), ..authority.client(None) };
    let exchange = send(&Pool::new(over_tls(&far, other_name))).await;
    assert!(matches!(exchange.sent, Sent::NotSent(NotSent::Tls { .. })), "{exchange:?}");
    assert_eq!(far.got().len(), 1);
}

#[tokio::test]
async fn a_far_end_that_refuses_our_certificate_was_sent_nothing() {
    let authority = Authority::new();
    let clients = ClientCertificates::Required(authority.root());
    let far = WebEnd::start_with(Some(authority.server(clients)), |_, _| say(201, "{}")).await;
    for min in [TlsMin::V1_2, TlsMin::V1_3] {
        let exchange = send(&Pool::new(over_tls(&far, ClientTlsSettings { min, ..authority.client(None) }))).await;
        assert!(matches!(exchange.sent, Sent::NotSent(NotSent::Tls { .. })), "{exchange:?}");
    }
    let identity = Some(authority.identity("ips.example"));
    assert_eq!(replied(&send(&Pool::new(over_tls(&far, authority.client(identity)))).await).status, 201);
    assert_eq!(far.got().len(), 1);
}
