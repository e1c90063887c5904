//! FHIR in: kept before it is answered, a repeat answered the same, what cannot be taken said in an OperationOutcome.

use crate::support::bridge::{Bridge, Tweaks, endpoint_id};
use crate::support::{TestStore, stores};
use crate::transport_tls::Authority;
use ips_bridge::adapter::{ParseError, Parsed};
use ips_bridge::inbound::{FhirSource, receive_fhir};
use ips_bridge::store::Scope;
use ips_bridge::store::read::Page;
use ips_bridge::store::record::{Inbound, InboundState};
use ips_bridge::transport::http_message::Reply;
use ips_bridge::transport::https::{Arrived, Auth, Base, ClientSettings, Listener, ListenerSettings, Pool};
use ips_bridge::transport::tls::{ClientCertificates, ClientTls};
use ips_bridge::transport::{NotSent, Sent};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A map made by hand: the body's `ours` is what it says.
fn by_hand(body: &[u8]) -> Result<Parsed, ParseError> {
    let body: Value = serde_json::from_slice(body).map_err(|_| ParseError::Unreadable("no JSON".into()))?;
    let makes = if body["resourceType"] == "Patient" { "UpdatePatientRequest" } else { "CreateReferralRequest" };
    if body["ours"].is_null() {
        return Err(ParseError::NoMap("this resource".into()));
    }
    Ok(Parsed {
        message_type: "ServiceRequest".into(),
        control_id: String::new(),
        makes: makes.into(),
        value: body["ours"].clone(),
        nulls: Vec::new(),
    })
}

fn service_request(value: &str) -> Value {
    json!({ "resourceType": "ServiceRequest", "ours": {
        "patient_details": {
            "nhs_number": "9990000026", "nhs_number_status": "NHS_NUMBER_STATUS_VERIFIED",
            "name": { "family": "Othertest", "given": "Robin" }, "date_of_birth": "1990-01-31", "gender": "GENDER_NOT_KNOWN"
        },
        "details": {
            "external_ids": [{ "system": "epr", "value": value }], "source_code": "P1", "priority": "REFERRAL_PRIORITY_ROUTINE",
            "referrer_name": "Dr Test", "team": "IPS-NORTH"
        }
    } })
}

struct In {
    bridge: Bridge,
    pool: Pool,
    addr: SocketAddr,
    _stop: DropGuard,
}

fn listening() -> ListenerSettings {
    ListenerSettings {
        tls: None,
        bearer: None,
        max_connections: 4,
        request_timeout: Duration::from_secs(10),
        max_body_bytes: 64 * 1024,
    }
}

fn client(addr: SocketAddr) -> ClientSettings {
    ClientSettings {
        base: Base::parse(&format!("http://{addr}")).expect("an address"),
        ..crate::support::web_end::settings(addr)
    }
}

async fn start(test: &TestStore, settings: ListenerSettings) -> In {
    let tweaks = Tweaks { without_outbox: true, ..Tweaks::default() };
    let bridge = Bridge::start(&test.url, "127.0.0.1:1".parse().expect("an address"), tweaks).await;
    let fhir = Arc::new(FhirSource { source: bridge.source(), parse: Box::new(by_hand) });
    let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let listener = Listener::new(tcp, settings);
    let addr = listener.local_addr().expect("an address");
    let stop = CancellationToken::new();
    tokio::spawn(listener.run(stop.clone(), move |arrived: Arrived| {
        let fhir = fhir.clone();
        async move { receive_fhir(&fhir, arrived).await }
    }));
    In { bridge, pool: Pool::new(client(addr)), addr, _stop: stop.drop_guard() }
}

impl In {
    async fn post(&self, path: &str, headers: &str, body: &[u8]) -> Reply {
        let head = format!("POST {path}\nContent-Type: application/fhir+json\n{headers}\n");
        send(&self.pool, &[head.as_bytes(), body].concat()).await
    }

    async fn kept(&self) -> Vec<Inbound> {
        let page = Page { size: 100, after: None };
        self.bridge.store.inbound_messages(&Scope::system(), Some(&endpoint_id()), page).await.expect("read")
    }

    async fn end(self) {
        drop(self._stop);
        // What is in hand holds the store.
        drop(self.pool);
        self.bridge.stop().await;
    }
}

async fn send(pool: &Pool, request: &[u8]) -> Reply {
    let mut way = pool.connect().await.expect("a way");
    let exchange = tokio::time::timeout(Duration::from_secs(20), way.send(request, "C1")).await.expect("it ends");
    crate::support::web_end::replied(&exchange)
}

fn issue(reply: &Reply) -> (String, String) {
    let body: Value = serde_json::from_slice(&reply.body).expect("JSON");
    assert_eq!(body["resourceType"], "OperationOutcome", "{body}");
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    (text(&body["issue"][0]["code"]), text(&body["issue"][0]["details"]["text"]))
}

#[tokio::test]
async fn a_referral_is_kept_made_and_answered_and_a_repeat_is_answered_the_same() {
    for test in stores() {
        let fhir = start(&test, listening()).await;
        let body = service_request("R-1").to_string();
        let id = "X-Request-Id: 7f1f6c3e-0000-4000-8000-000000000001\n";
        let first = fhir.post("ServiceRequest", id, body.as_bytes()).await;
        assert_eq!(first.status, 201, "{}", String::from_utf8_lossy(&first.body));
        let location = first
            .headers
            .get("location")
            .and_then(|l| l.strip_prefix("ServiceRequest/"))
            .expect("a location")
            .to_owned();
        let again = fhir.post("ServiceRequest", id, body.as_bytes()).await;
        assert_eq!(again, first);
        let kept = fhir.kept().await;
        assert_eq!(kept.len(), 1, "a repeat is processed once");
        assert_eq!((kept[0].state, kept[0].bytes.0.as_slice()), (InboundState::Applied, body.as_bytes()));
        assert_eq!(
            (kept[0].control_id.as_str(), kept[0].message_type.as_str()),
            ("7f1f6c3e-0000-4000-8000-000000000001", "ServiceRequest")
        );
        assert_eq!(kept[0].referral_id.map(|r| r.to_string()), Some(location));
        // The same id with other bytes is another message; the same referral stays one.
        let other = format!("{body} ");
        let answered = fhir.post("ServiceRequest", id, other.as_bytes()).await;
        assert_eq!((answered.status, answered.headers.get("location")), (201, first.headers.get("location")));
        let flags: Vec<bool> = fhir.kept().await.iter().map(|i| i.reused_control_id).collect();
        assert_eq!(flags.iter().filter(|f| **f).count(), 1);
        fhir.end().await;
    }
}

#[tokio::test]
async fn without_a_request_id_the_same_bytes_are_the_same_message() {
    let test = stores().next().expect("SQLite");
    let fhir = start(&test, listening()).await;
    // The client makes an X-Request-Id of its own: another caller, which does not.
    for _ in 0..2 {
        let body = service_request("R-1").to_string();
        let request = format!(
            "POST /ServiceRequest HTTP/1.1\r\nHost: x\r\nContent-Type: application/fhir+json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        let mut socket = tokio::net::TcpStream::connect(fhir.addr).await.expect("it listens");
        tokio::io::AsyncWriteExt::write_all(&mut socket, request.as_bytes()).await.expect("sent");
        let answer = crate::transport_support::read_to_end(&mut socket).await;
        assert!(answer.starts_with(b"HTTP/1.1 201"), "{}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(fhir.kept().await.len(), 1);
    fhir.end().await;
}

#[tokio::test]
async fn what_cannot_be_taken_is_kept_and_answered_with_what_is_wrong() {
    let test = stores().next().expect("SQLite");
    let fhir = start(&test, listening()).await;
    let unknown_team = service_request("R-2").to_string().replace("IPS-NORTH", "");
    for (n, (path, body, status, code)) in [
        ("ServiceRequest", "{\"resourceType\":", 400, "structure"),
        ("ServiceRequest", "{\"resourceType\":\"Patient\"}", 400, "invalid"),
        ("ServiceRequest", "{\"resourceType\":\"ServiceRequest\"}", 422, "not-supported"),
        ("ServiceRequest", unknown_team.as_str(), 422, "invalid"),
        ("Patient", "{\"resourceType\":\"Patient\",\"ours\":{}}", 422, "not-supported"),
        ("$process-message", "{\"resourceType\":\"Bundle\"}", 501, "not-supported"),
    ]
    .into_iter()
    .enumerate()
    {
        let reply = fhir.post(path, &format!("X-Request-Id: r{n}\n"), body.as_bytes()).await;
        let (said, text) = issue(&reply);
        assert_eq!((reply.status, said.as_str()), (status, code), "{path} {body}: {text}");
        assert!(!text.is_empty() && !text.contains("Othertest"), "{text}");
        let kept = fhir.kept().await;
        let kept = kept.iter().find(|i| i.control_id == format!("r{n}")).expect("kept");
        assert_eq!(
            (kept.state, kept.bytes.0.as_slice(), kept.reason.is_empty()),
            (InboundState::Parked, body.as_bytes(), false)
        );
    }
    // Not a message at all: nothing is kept of it.
    let before = fhir.kept().await.len();
    assert_eq!(fhir.post("Observation", "", b"{}").await.status, 404);
    assert_eq!(send(&fhir.pool, b"GET ServiceRequest\n\n").await.status, 405);
    let large = vec![b' '; 64 * 1024 + 1];
    assert_eq!(fhir.post("ServiceRequest", "", &large).await.status, 413);
    assert_eq!(fhir.kept().await.len(), before);
    fhir.end().await;
}

#[tokio::test]
async fn who_does_not_show_the_secret_is_not_heard() {
    let test = stores().next().expect("SQLite");
    let fhir = start(&test, ListenerSettings { bearer: Some("a long enough secret".into()), ..listening() }).await;
    let body = service_request("R-1").to_string();
    assert_eq!(fhir.post("ServiceRequest", "", body.as_bytes()).await.status, 401);
    assert!(fhir.kept().await.is_empty());
    let bearer = |token: &str| {
        format!(
            "POST /ServiceRequest HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/fhir+json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    };
    for (token, status) in [("a long enough secre", "401"), ("a long enough secret", "201")] {
        let mut socket = tokio::net::TcpStream::connect(fhir.addr).await.expect("it listens");
        tokio::io::AsyncWriteExt::write_all(&mut socket, bearer(token).as_bytes()).await.expect("sent");
        let answer = crate::transport_support::read_to_end(&mut socket).await;
        assert!(answer.starts_with(format!("HTTP/1.1 {status}").as_bytes()), "{}", String::from_utf8_lossy(&answer));
    }
    fhir.end().await;
}

#[tokio::test]
async fn where_a_certificate_is_asked_for_nobody_comes_in_without_one() {
    let test = stores().next().expect("SQLite");
    let authority = Authority::new();
    let tls = authority.server(ClientCertificates::Required(authority.root()));
    let fhir = start(&test, ListenerSettings { tls: Some(tls), ..listening() }).await;
    let over_tls = |identity| ClientSettings {
        base: Base::parse(&format!("https://{}", fhir.addr)).expect("an address"),
        tls: Some(Arc::new(ClientTls::load(authority.client(identity)).expect("good TLS material"))),
        auth: Auth::Nothing,
        ..client(fhir.addr)
    };
    let request = format!("POST ServiceRequest\nContent-Type: application/fhir+json\n\n{}", service_request("R-1"));
    let stranger = Pool::new(over_tls(None));
    let sent = match stranger.connect().await {
        Ok(mut way) => way.send(request.as_bytes(), "C1").await.sent,
        Err(why) => Sent::NotSent(why),
    };
    assert!(matches!(sent, Sent::NotSent(NotSent::Tls { .. })), "{sent:?}");
    let known = Pool::new(over_tls(Some(authority.identity("epr.example"))));
    assert_eq!(send(&known, request.as_bytes()).await.status, 201);
    drop(known);
    fhir.end().await;
}
