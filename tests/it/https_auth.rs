//! Access tokens: had once, kept until they end, signed for as the gateway wants it, and nothing sent without one.

use crate::support::web_end::{Act, Got, REQUEST, WebEnd, ambient, replied, reply, say, send, settings};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ips_bridge::transport::https::{AssertionKey, Auth, Base, ClientProof, ClientSettings, Pool, TokenSettings};
use ips_bridge::transport::tls::{PemSource, install_crypto_provider};
use ips_bridge::transport::{NotSent, Sent, StrayKind};
use rustls::SignatureScheme;
use rustls::crypto::CryptoProvider;
use rustls_pki_types::pem::PemObject;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Made for these tests, and known to everybody who reads them.
const KEY: &[u8] = include_bytes!("support/keys/rs512-test-only.key");
const PUBLIC: &[u8] = include_bytes!("support/keys/rs512-test-only.pub");
const AUDIENCE: &str = "https://gateway.example/oauth2/token";

fn with_token(to: SocketAddr, from: SocketAddr, proof: ClientProof) -> ClientSettings {
    let token = TokenSettings {
        url: Base::parse(&format!("http://{from}/oauth2/token")).expect("an address"),
        tls: None,
        client_id: "api key/1".into(),
        proof,
        scope: None,
        timeout: Duration::from_secs(5),
    };
    ClientSettings { auth: Auth::Token(Box::new(token)), ..settings(to) }
}

fn secret() -> ClientProof {
    ClientProof::Secret("s3cret+&".into())
}

fn signed() -> ClientProof {
    install_crypto_provider();
    let key = AssertionKey::load(&PemSource::Bytes(KEY.to_vec()), "ips-1".into()).expect("an RSA key");
    ClientProof::SignedJwt { key, audience: AUDIENCE.into() }
}

fn token(n: usize, expires_in: &str) -> Act {
    say(200, &format!("{{\"access_token\":\"T{n}\",\"token_type\":\"Bearer\",\"expires_in\":{expires_in}}}"))
}

fn field(got: &Got, name: &str) -> String {
    let body = String::from_utf8(got.body.clone()).expect("a form is ASCII");
    let value = body.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}="))).unwrap_or_default().to_owned();
    percent_encoding::percent_decode_str(&value).decode_utf8().expect("UTF-8").into_owned()
}

#[tokio::test]
async fn a_token_is_had_once_and_again_shortly_before_it_ends() {
    let gateway = WebEnd::start(|n, _| token(n, "\"600\"")).await;
    let far = WebEnd::start(|_, _| say(201, "{}")).await;
    let seconds = Arc::new(AtomicI64::new(0));
    let mut settings = with_token(far.addr(), gateway.addr(), secret());
    settings.ambient = ambient(seconds.clone());
    let pool = Pool::new(settings);
    for (at, token) in [(0, "Bearer T0"), (539, "Bearer T0"), (541, "Bearer T1")] {
        seconds.store(at, Ordering::SeqCst);
        assert_eq!(replied(&send(&pool).await).status, 201);
        assert_eq!(far.got().last().expect("one").header("authorization"), token, "after {at} s");
    }
    let asked = &gateway.got()[0];
    assert_eq!((field(asked, "grant_type").as_str(), gateway.got().len()), ("client_credentials", 2));
    let basic = asked.header("authorization").strip_prefix("Basic ").expect("basic").to_owned();
    let basic = base64::engine::general_purpose::STANDARD.decode(basic).expect("base64");
    assert_eq!(basic, b"api%20key%2F1:s3cret%2B%26");
}

#[tokio::test]
async fn the_signed_statement_is_what_the_gateway_wants_and_never_the_same_twice() {
    let gateway = WebEnd::start(|n, _| token(n, "1")).await;
    let far = WebEnd::start(|_, _| say(201, "{}")).await;
    let pool = Pool::new(with_token(far.addr(), gateway.addr(), signed()));
    send(&pool).await;
    send(&pool).await;
    let mut ids = Vec::new();
    for got in gateway.got() {
        assert_eq!(field(&got, "client_assertion_type"), "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
        let jwt = field(&got, "client_assertion");
        let parts: Vec<&str> = jwt.split('.').collect();
        let json = |part: &str| -> Value {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
        };
        let (head, claims) = (json(parts[0]), json(parts[1]));
        assert_eq!(head, serde_json::json!({ "alg": "RS512", "typ": "JWT", "kid": "ips-1" }));
        assert_eq!(
            (&claims["iss"], &claims["sub"], &claims["aud"]),
            (&"api key/1".into(), &"api key/1".into(), &AUDIENCE.into())
        );
        let lasts = claims["exp"].as_i64().expect("a number") - 1_772_443_800;
        assert!((1..=300).contains(&lasts), "{lasts} s");
        ids.push(claims["jti"].as_str().expect("text").to_owned());
        verify(format!("{}.{}", parts[0], parts[1]).as_bytes(), &URL_SAFE_NO_PAD.decode(parts[2]).expect("base64url"));
    }
    assert_eq!(ids.len(), 2);
    assert_ne!(ids[0], ids[1]);
    assert!(ids.iter().all(|id| uuid::Uuid::parse_str(id).is_ok()), "{ids:?}");
}

/// RS512 by the public key alone.
fn verify(message: &[u8], signature: &[u8]) {
    let provider = CryptoProvider::get_default().expect("installed");
    let schemes = provider.signature_verification_algorithms.mapping;
    let (_, algorithms) = schemes.iter().find(|(s, _)| *s == SignatureScheme::RSA_PKCS1_SHA512).expect("RS512");
    let spki = rustls_pki_types::SubjectPublicKeyInfoDer::from_pem_slice(PUBLIC).expect("a public key");
    // SubjectPublicKeyInfo of an RSA key of 2048 bits: 24 bytes stand before the key itself.
    let key = &spki.as_ref()[24..];
    assert!(
        algorithms.iter().any(|a| a.verify_signature(key, message, signature).is_ok()),
        "the signature is not good"
    );
    let mut other = message.to_vec();
    other[0] ^= 1;
    assert!(algorithms.iter().all(|a| a.verify_signature(key, &other, signature).is_err()), "any text would do");
}

#[tokio::test]
async fn without_a_token_nothing_is_sent_and_no_secret_is_told() {
    for answer in [
        say(401, "{\"error\":\"invalid_client\"}"),
        say(200, "{\"access_token\":\"\"}"),
        say(200, "not JSON"),
        say(302, ""),
        Act::SayAndClose(Vec::new()),
    ] {
        let answer = std::sync::Mutex::new(Some(answer));
        let gateway = WebEnd::start(move |_, _| answer.lock().unwrap().take().unwrap_or(Act::Hang)).await;
        let far = WebEnd::start(|_, _| say(201, "{}")).await;
        let exchange = send(&Pool::new(with_token(far.addr(), gateway.addr(), secret()))).await;
        let Sent::NotSent(why @ NotSent::Token { .. }) = &exchange.sent else { panic!("{exchange:?}") };
        assert!(!why.is_message_fault() && !format!("{why} {why:?}").contains("s3cret"), "{why}");
        assert!(far.got().is_empty());
    }
}

#[tokio::test]
async fn a_token_that_is_refused_is_replaced_once_within_the_same_attempt() {
    let gateway = WebEnd::start(|n, _| token(n, "600")).await;
    let far = WebEnd::start(|n, _| if n == 0 { Act::Say(reply(401, "", "{}")) } else { say(201, "{}") }).await;
    let exchange = send(&Pool::new(with_token(far.addr(), gateway.addr(), secret()))).await;
    assert_eq!(replied(&exchange).status, 201);
    assert_eq!(exchange.strays.len(), 1, "the refusal is kept");
    let got = far.got();
    assert_eq!((got[0].header("authorization"), got[1].header("authorization")), ("Bearer T0", "Bearer T1"));
    assert_eq!((&got[0].body, got[0].header("x-request-id")), (&got[1].body, got[1].header("x-request-id")));

    // Refused again, it stays refused.
    let far = WebEnd::start(|_, _| say(401, "{}")).await;
    let exchange = send(&Pool::new(with_token(far.addr(), gateway.addr(), secret()))).await;
    assert_eq!((replied(&exchange).status, far.got().len()), (401, 2));
}

#[tokio::test]
async fn where_no_fresh_token_is_had_nothing_was_sent_and_the_refused_one_is_never_shown_again() {
    let gateway = WebEnd::start(|n, _| if n == 0 { token(0, "600") } else { say(500, "{}") }).await;
    let far = WebEnd::start(|_, _| say(401, "{}")).await;
    let mut settings = with_token(far.addr(), gateway.addr(), secret());
    settings.max_connections = 4;
    let pool = Pool::new(settings);
    for exchange in futures::future::join_all((0..4).map(|_| send(&pool))).await {
        let Sent::NotSent(NotSent::Token { .. }) = &exchange.sent else { panic!("{exchange:?}") };
        assert!(exchange.strays.iter().all(|s| s.kind == StrayKind::Refusal), "{exchange:?}");
    }
    let shown = far.got().len();
    assert!((1..=4).contains(&shown));
    for _ in 0..3 {
        let exchange = send(&pool).await;
        assert!(matches!(exchange.sent, Sent::NotSent(NotSent::Token { .. })), "{exchange:?}");
    }
    assert_eq!(far.got().len(), shown, "a token that was refused is gone");
}

#[tokio::test]
async fn who_is_refused_asks_again_ever_more_seldom_and_says_when() {
    let gateway =
        WebEnd::start(|n, _| if n < 9 { say(401, "{\"error\":\"invalid_client\"}") } else { token(n, "600") }).await;
    let far = WebEnd::start(|_, _| say(201, "{}")).await;
    let seconds = Arc::new(AtomicI64::new(0));
    let mut settings = with_token(far.addr(), gateway.addr(), secret());
    settings.ambient = ambient(seconds.clone());
    let pool = Pool::new(settings);
    let mut asked = Vec::new();
    // A look every ten seconds for six hours, as a closed gate's probes would be.
    for at in (0..6 * 3600).step_by(10) {
        seconds.store(at, Ordering::SeqCst);
        let before = gateway.got().len();
        let sent = match pool.connect().await {
            Ok(_) => break,
            Err(why) => why.to_string(),
        };
        assert!(sent.contains("invalid_client") && sent.contains("not asked again before 2026-03-02T"), "{sent}");
        if gateway.got().len() > before {
            asked.push(at);
        }
    }
    assert_eq!(asked, [0, 60, 180, 420, 900, 1860, 3780, 7380, 10980], "doubled up to an hour");
    assert_eq!(gateway.got().len(), 10, "and then there is one");
    assert_eq!(replied(&send(&pool).await).status, 201);
}

#[tokio::test]
async fn a_reply_that_shows_that_the_message_was_acted_upon_is_never_answered_with_a_second_one() {
    let gateway = WebEnd::start(|n, _| token(n, "600")).await;
    let far = WebEnd::start(|_, _| say(401, "{\"id\":\"17\"}")).await;
    let pool = Pool::new(with_token(far.addr(), gateway.addr(), secret()));
    let mut way = pool.connect().await.expect("a way");
    let exchange = way.send_unless(REQUEST, "C1", &|reply| reply.ends_with(b"\"17\"}")).await;
    assert_eq!((replied(&exchange).status, exchange.strays.len(), far.got().len()), (401, 0, 1));
    drop(way);
    send(&pool).await;
    assert_ne!(far.got()[1].header("authorization"), "Bearer T0", "that token is gone all the same");
}

#[tokio::test]
async fn many_requests_at_once_ask_for_one_token() {
    let gateway = WebEnd::start(|n, _| token(n, "600")).await;
    let far = WebEnd::start(|_, _| say(201, "{}")).await;
    let mut settings = with_token(far.addr(), gateway.addr(), secret());
    settings.max_connections = 8;
    let pool = Pool::new(settings);
    let sends = (0..8).map(|_| send(&pool));
    for exchange in futures::future::join_all(sends).await {
        assert_eq!(replied(&exchange).status, 201);
    }
    assert_eq!(gateway.got().len(), 1);
}
