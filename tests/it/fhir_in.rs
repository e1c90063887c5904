//! FHIR in: kept before it is answered, a repeat answered the same, what cannot be taken said in an OperationOutcome.

use crate::support::bridge::{Bridge, Tweaks, endpoint_id, trust};
use crate::support::{TestStore, stores};
use crate::transport_tls::Authority;
use ips_bridge::adapter::{Fitted, InUse, Pack};
use ips_bridge::domain::accept::{Accept, AcceptRule};
use ips_bridge::domain::nhs_number::NhsNumber;
use ips_bridge::domain::organisation::TeamId;
use ips_bridge::domain::person::PatientDetails;
use ips_bridge::inbound::{Source, receive_fhir, unheard};
use ips_bridge::store::Scope;
use ips_bridge::store::read::{Page, PatientBy};
use ips_bridge::store::record::{Inbound, InboundState};
use ips_bridge::transport::http_message::Reply;
use ips_bridge::transport::https::{Arrived, Auth, Base, ClientSettings, Listener, ListenerSettings, Pool};
use ips_bridge::transport::tls::{ClientCertificates, ClientTls};
use ips_bridge::transport::{NotSent, Sent};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::{CancellationToken, DropGuard};

fn number(nhs: &str) -> Value {
    json!([{ "system": "https://fhir.nhs.uk/Id/nhs-number", "value": nhs }])
}

pub fn service_request(value: &str) -> Value {
    json!({
        "resourceType": "ServiceRequest", "status": "active", "intent": "order", "authoredOn": "2026-03-01T09:00:00Z",
        "identifier": [{ "system": "https://epr.example/Id/referral", "value": value }],
        "contained": [
            {
                "resourceType": "Patient", "id": "p", "identifier": number("9990000026"), "gender": "unknown",
                "name": [{ "family": "Othertest", "given": ["Robin"] }], "birthDate": "1990-01-31"
            },
            {
                "resourceType": "PractitionerRole", "id": "r", "practitioner": { "display": "Dr Test" },
                "organization": { "identifier": { "value": "RXX" } }
            }
        ],
        "subject": { "reference": "#p" }, "requester": { "reference": "#r" },
        "performer": [{ "identifier": { "value": "IPS-NORTH" } }], "reasonCode": [{ "text": "Wants paid work" }]
    })
}

/// The patient of [`service_request`], with more members.
pub fn patient(more: Value) -> Value {
    let mut whole = json!({
        "resourceType": "Patient", "meta": { "lastUpdated": "2026-03-01T09:00:00Z" }, "identifier": number("9990000026"),
        "name": [{ "family": "Othertest", "given": ["Robin"] }], "birthDate": "1990-01-31"
    });
    let more = more.as_object().expect("members").clone();
    whole.as_object_mut().expect("a resource").extend(more);
    whole
}

fn message(event: &str, header: Value, resource: &Value) -> Value {
    let mut head = json!({
        "resourceType": "MessageHeader", "source": { "endpoint": "https://epr.example" }, "focus": [{ "reference": "urn:uuid:1" }],
        "eventCoding": { "system": "https://fhir.nhs.uk/CodeSystem/message-events-bars", "code": event }
    });
    head.as_object_mut().expect("a resource").extend(header.as_object().expect("members").clone());
    let entries =
        json!([{ "fullUrl": "urn:uuid:0", "resource": head }, { "fullUrl": "urn:uuid:1", "resource": resource }]);
    json!({ "resourceType": "Bundle", "type": "message", "entry": entries })
}

pub struct In {
    pub bridge: Bridge,
    pool: Pool,
    addr: SocketAddr,
    _stop: DropGuard,
}

pub fn listening() -> ListenerSettings {
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

pub async fn start(test: &TestStore, settings: ListenerSettings) -> In {
    start_with(test, settings, Accept::default()).await
}

/// The bridge's endpoint with the FHIR pack for its own.
pub fn source(bridge: &Bridge, accept: Accept) -> Source {
    let source = bridge.source();
    let now = source.in_use.now();
    let pack = Pack::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters/fhir-uk-core")).expect("loads");
    let settings = pack.manifest.settings.examples();
    let reply_rules = pack.reply_rules(&toml::Table::new()).expect("the pack's own rules");
    let (site, policy) = (now.site.clone(), now.policy.clone());
    let in_use = InUse::new(Fitted { activation: 0, pack: Arc::new(pack), settings, reply_rules, site, policy });
    Source { in_use, accept, ..source }
}

async fn start_with(test: &TestStore, settings: ListenerSettings, accept: Accept) -> In {
    let tweaks = Tweaks { without_outbox: true, ..Tweaks::default() };
    let bridge = Bridge::start(&test.url, "127.0.0.1:1".parse().expect("an address"), tweaks).await;
    let fhir = Arc::new(source(&bridge, accept));
    let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let listener = Listener::new(tcp, settings);
    let addr = listener.local_addr().expect("an address");
    let stop = CancellationToken::new();
    tokio::spawn(listener.run(stop.clone(), unheard, move |arrived: Arrived| {
        let fhir = fhir.clone();
        async move { receive_fhir(&fhir, arrived).await }
    }));
    In { bridge, pool: Pool::new(client(addr)), addr, _stop: stop.drop_guard() }
}

impl In {
    pub async fn post(&self, path: &str, headers: &str, body: &[u8]) -> Reply {
        let head = format!("POST {path}\nContent-Type: application/fhir+json\n{headers}\n");
        send(&self.pool, &[head.as_bytes(), body].concat()).await
    }

    async fn kept(&self) -> Vec<Inbound> {
        let page = Page { size: 100, after: None };
        self.bridge.store.inbound_messages(&Scope::system(), Some(&endpoint_id()), page).await.expect("read")
    }

    /// The state, the rule and the reason of what came under this id.
    pub async fn became(&self, id: &str) -> (InboundState, Option<String>, String) {
        let kept = self.kept().await.into_iter().find(|i| i.control_id == id).expect("kept");
        (kept.state, kept.rule, kept.reason)
    }

    /// What is known of the patient of [`service_request`].
    pub async fn known(&self) -> Vec<PatientDetails> {
        let by = PatientBy::NhsNumber(NhsNumber::parse("9990000026").expect("a number"));
        let page = Page { size: 10, after: None };
        let found = self.bridge.store.find_patients(&Scope::system(), &trust(), &by, page).await.expect("read");
        found.into_iter().map(|p| p.details).collect()
    }

    pub async fn end(self) {
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
        // But for the header that says when it was said.
        assert_eq!(
            (again.status, &again.body, again.headers.get("location")),
            (first.status, &first.body, first.headers.get("location"))
        );
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
    let unknown_team = service_request("R-2").to_string().replace("IPS-NORTH", "no team: a space");
    let bad_number = service_request("R-2").to_string().replace("9990000026", "9990000027");
    let answered = message("servicerequest-response", json!({ "response": { "code": "ok" } }), &service_request("R-3"))
        .to_string();
    for (n, (path, body, status, code)) in [
        ("ServiceRequest", "{\"resourceType\":", 400, "structure"),
        ("ServiceRequest", "{\"resourceType\":\"Patient\"}", 400, "invalid"),
        ("ServiceRequest", "{\"resourceType\":\"ServiceRequest\"}", 422, "invalid"),
        ("ServiceRequest", unknown_team.as_str(), 422, "invalid"),
        ("ServiceRequest", bad_number.as_str(), 422, "invalid"),
        ("Bundle", "{\"resourceType\":\"Bundle\"}", 422, "not-supported"),
        ("$process-message", "{\"resourceType\":\"Bundle\"}", 400, "invalid"),
        ("$process-message", "{\"resourceType\":\"Patient\"}", 400, "invalid"),
        ("$process-message", answered.as_str(), 422, "not-supported"),
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
    let large = vec![b' '; 64 * 1024 + 1];
    for (reply, status, code) in [
        (fhir.post("Observation", "", b"{}").await, 404, "not-found"),
        (send(&fhir.pool, b"GET ServiceRequest\n\n").await, 405, "not-supported"),
        (fhir.post("ServiceRequest", "", &large).await, 413, "too-long"),
    ] {
        assert_eq!((reply.status, issue(&reply).0.as_str()), (status, code));
    }
    assert_eq!(fhir.kept().await.len(), before);
    fhir.end().await;
}

/// One request as it stands, and the whole of what is answered.
async fn raw(fhir: &In, request: &str) -> String {
    let mut socket = tokio::net::TcpStream::connect(fhir.addr).await.expect("it listens");
    tokio::io::AsyncWriteExt::write_all(&mut socket, request.as_bytes()).await.expect("sent");
    String::from_utf8(crate::transport_support::read_to_end(&mut socket).await).expect("UTF-8")
}

#[tokio::test]
async fn every_error_answer_carries_an_operation_outcome() {
    let test = stores().next().expect("SQLite");
    let settings = ListenerSettings {
        bearer: Some("a long enough secret".into()),
        request_timeout: Duration::from_millis(300),
        ..listening()
    };
    let fhir = start(&test, settings).await;
    let head = "HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/xml\r\n";
    let secret = "Authorization: Bearer a long enough secret\r\n";
    for (request, status, headers, code) in [
        (format!("POST /Patient {head}Content-Length: 2\r\n\r\n{{}}"), 401, "www-authenticate: bearer", "login"),
        (format!("POST /Patient {head}{secret}Content-Length: 65537\r\n\r\n"), 413, "", "too-long"),
        // It never says the rest.
        (format!("POST /Patient {head}{secret}Content-Length: 20\r\n\r\n{{"), 503, "", "timeout"),
        (format!("POST /Patient {head}{secret}Content-Length: 2\r\n\r\n{{}}"), 415, "", "not-supported"),
        (format!("GET /Patient {head}{secret}\r\n"), 405, "allow: post", "not-supported"),
        (format!("POST /Observation {head}{secret}Content-Length: 2\r\n\r\n{{}}"), 404, "", "not-found"),
    ] {
        let answer = raw(&fhir, &request).await;
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let said = head.to_ascii_lowercase();
        assert!(said.starts_with(&format!("http/1.1 {status}")), "{answer}");
        assert!(said.contains(headers) && said.contains("content-type: application/fhir+json"), "{answer}");
        assert_eq!(issue(&Reply::new(status, [], body.as_bytes().to_vec())).0, code, "{answer}");
    }
    fhir.end().await;
}

#[tokio::test]
async fn a_packed_body_is_told_to_come_as_it_is_and_nothing_is_kept_of_it() {
    let test = stores().next().expect("SQLite");
    let fhir = start(&test, listening()).await;
    let body = service_request("R-1").to_string();
    let request = |encoding: &str| {
        format!(
            "POST /ServiceRequest HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/fhir+json\r\n\
             Content-Encoding: {encoding}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    for encoding in ["gzip", "br", "identity, gzip"] {
        let answer = raw(&fhir, &request(encoding)).await;
        let (head, told) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 415") && head.contains("accept-encoding: identity"), "{answer}");
        let (code, why) = issue(&Reply::new(415, [], told.as_bytes().to_vec()));
        assert!(code == "not-supported" && why.contains("Content-Encoding"), "{answer}");
    }
    assert!(fhir.kept().await.is_empty());
    assert!(raw(&fhir, &request("identity")).await.starts_with("HTTP/1.1 201"));
    fhir.end().await;
}

/// A simple caller sends everything before it listens; were its connection cut meanwhile, it would never learn why.
#[tokio::test]
async fn who_sends_too_much_and_listens_only_then_is_told_so() {
    let test = stores().next().expect("SQLite");
    let fhir = start(&test, listening()).await;
    let body = "x".repeat(2 * 1024 * 1024);
    let head = "POST /ServiceRequest HTTP/1.1\r\nHost: x\r\nContent-Type: application/fhir+json\r\n";
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    for request in [format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()), chunked] {
        let answer = raw(&fhir, &request).await;
        assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("too-long"), "{answer}");
        assert!(answer.to_ascii_lowercase().contains("connection: close"), "{answer}");
    }
    fhir.end().await;
}

#[tokio::test]
async fn a_byte_order_mark_before_a_resource_is_passed_over_and_kept() {
    let test = stores().next().expect("SQLite");
    let fhir = start(&test, listening()).await;
    let body = format!("\u{feff}{}", service_request("R-1"));
    assert_eq!(fhir.post("ServiceRequest", "X-Request-Id: bom\n", body.as_bytes()).await.status, 201);
    let kept = fhir.kept().await;
    assert_eq!((kept[0].state, kept[0].bytes.0.as_slice()), (InboundState::Applied, body.as_bytes()));
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
        let answer = raw(&fhir, &bearer(token)).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
    // The scheme in any case (RFC 9110, 11.1), and no other scheme.
    for (scheme, status) in [("bearer", "201"), ("BEARER ", "201"), ("Basic", "401"), ("Bearera", "401")] {
        let answer = raw(&fhir, &bearer("a long enough secret").replace("Bearer", scheme)).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{scheme}: {answer}");
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

#[tokio::test]
async fn a_message_bundle_makes_the_referral_it_points_at() {
    for test in stores() {
        let fhir = start(&test, listening()).await;
        let body = message("servicerequest-request", json!({}), &service_request("R-1")).to_string();
        let reply = fhir.post("$process-message", "X-Request-Id: m1\n", body.as_bytes()).await;
        assert_eq!(reply.status, 201, "{}", String::from_utf8_lossy(&reply.body));
        assert_eq!(fhir.became("m1").await.0, InboundState::Applied);
        assert_eq!(fhir.known().await.len(), 1);
        fhir.end().await;
    }
}

#[tokio::test]
async fn a_patient_of_ours_is_changed_and_an_older_resource_never_overwrites_a_newer() {
    for test in stores() {
        let fhir = start(&test, listening()).await;
        let post = async |kind, id: &str, body: &Value| {
            let reply = fhir.post(kind, &format!("X-Request-Id: {id}\n"), body.to_string().as_bytes()).await;
            (reply.status, issue(&reply).0)
        };
        assert_eq!(post("ServiceRequest", "r", &service_request("R-1")).await.0, 201);

        let phone = |number: &str, at: &str| {
            patient(json!({ "meta": { "lastUpdated": at }, "telecom": [{ "system": "phone", "value": number }] }))
        };
        assert_eq!(
            post("Patient", "new", &phone("07700 900200", "2026-03-02T09:00:00Z")).await,
            (200, "informational".into())
        );
        assert_eq!(post("Patient", "old", &phone("07700 900100", "2026-03-01T09:00:00Z")).await.0, 200);
        let phones: Vec<_> = fhir.known().await.into_iter().map(|d| d.phone.map(|p| p.0)).collect();
        assert_eq!(phones, [Some("07700 900200".to_owned())]);

        // Another date of birth and another name: somebody else, whatever the number says. A person looks.
        let other = patient(
            json!({ "birthDate": "1971-05-05", "name": [{ "family": "Stranger" }], "meta": { "lastUpdated": "2026-03-03T09:00:00Z" } }),
        );
        assert_eq!(post("Patient", "other", &other).await, (422, "business-rule".into()));
        assert_eq!(fhir.became("other").await.0, InboundState::Parked);
        // Two records that became one are for a person too; so is what does not say when it was changed.
        let replaced = patient(json!({ "link": [{ "other": { "reference": "Patient/2" }, "type": "replaced-by" }] }));
        assert_eq!(post("Patient", "replaced", &replaced).await, (422, "invalid".into()));
        assert_eq!(post("Patient", "undated", &patient(json!({ "meta": {} }))).await, (422, "invalid".into()));

        // A record that is taken out of use for a death tells it.
        let ended = patient(
            json!({ "active": false, "deceasedBoolean": true, "meta": { "lastUpdated": "2026-03-05T09:00:00Z" } }),
        );
        assert_eq!(post("Patient", "ended", &ended).await, (422, "invalid".into()));
        assert!(fhir.became("ended").await.2.contains("that the patient has died was taken"));

        let died =
            patient(json!({ "deceasedDateTime": "2026-03-05", "meta": { "lastUpdated": "2026-03-06T09:00:00Z" } }));
        assert_eq!(post("Patient", "died", &died).await.0, 200);
        assert_eq!(fhir.became("died").await.0, InboundState::Applied);
        fhir.end().await;
    }
}

#[tokio::test]
async fn test_data_reaches_nobodys_record_where_the_endpoint_is_live() {
    for test in stores() {
        let fhir = start(&test, listening()).await;
        for (is_live, label, status) in [(true, "HTEST", 422), (false, "HTEST", 201), (true, "N", 201)] {
            let source = Source { is_live, ..source(&fhir.bridge, Accept::default()) };
            let mut sent = service_request(&format!("REF-{is_live}-{label}"));
            sent["contained"][0]["meta"] = json!({ "security": [{ "code": label }] });
            let arrived = Arrived {
                method: "POST".into(),
                path: "ServiceRequest".into(),
                content_type: "application/fhir+json".into(),
                request_id: None,
                body: sent.to_string().into_bytes(),
            };
            let reply = receive_fhir(&source, arrived).await;
            assert_eq!(reply.status, status, "{is_live} {label}");
            if status == 422 {
                assert!(issue(&reply).1.contains("test data"), "{:?}", issue(&reply));
            }
        }
        fhir.end().await;
    }
}

#[tokio::test]
async fn of_a_patient_whom_nobody_here_knows_nothing_is_kept() {
    let test = stores().next().expect("SQLite");
    let fhir = start(&test, listening()).await;
    for (id, body) in [("whole", patient(json!({}))), ("broken", patient(json!({ "meta": {}, "birthDate": "1990" })))] {
        let reply = fhir.post("Patient", &format!("X-Request-Id: {id}\n"), body.to_string().as_bytes()).await;
        assert_eq!(reply.status, 200, "{id}: {}", String::from_utf8_lossy(&reply.body));
        let kept = fhir.kept().await.into_iter().find(|i| i.control_id == id).expect("counted");
        assert_eq!((kept.state, kept.bytes.0.len()), (InboundState::Ignored, 0), "{id}");
    }
    assert!(fhir.known().await.is_empty());
    fhir.end().await;
}

#[tokio::test]
async fn the_accept_rules_judge_resources_as_they_judge_messages() {
    let test = stores().next().expect("SQLite");
    let rule = |name: &str, kind: &str, known_patients_only| AcceptRule {
        name: name.into(),
        messages: vec![kind.into()],
        known_patients_only,
        teams: vec![TeamId::parse("IPS-NORTH").expect("a team")],
    };
    let accept = Accept { rules: vec![rule("referrals", "ServiceRequest", false)] };
    let fhir = start_with(&test, listening(), accept).await;
    let mut elsewhere = service_request("R-2");
    elsewhere["performer"][0]["identifier"]["value"] = json!("IPS-SOUTH");
    let wrapped = message("servicerequest-request", json!({}), &patient(json!({})));
    for (id, path, body, state, by) in [
        ("taken", "ServiceRequest", service_request("R-1"), InboundState::Applied, None),
        ("elsewhere", "ServiceRequest", elsewhere, InboundState::Ignored, Some("referrals")),
        ("unlisted", "Patient", patient(json!({})), InboundState::Ignored, Some(Accept::UNLISTED)),
        ("unlisted in a bundle", "Bundle", wrapped, InboundState::Ignored, Some(Accept::UNLISTED)),
    ] {
        let reply = fhir.post(path, &format!("X-Request-Id: {id}\n"), body.to_string().as_bytes()).await;
        assert!(matches!(reply.status, 200 | 201), "{id}: {}", String::from_utf8_lossy(&reply.body));
        let (was, rule, _) = fhir.became(id).await;
        assert_eq!((was, rule.as_deref()), (state, by), "{id}");
    }
    fhir.end().await;

    let test = stores().next().expect("SQLite");
    let accept = Accept { rules: vec![rule("known", "ServiceRequest", true)] };
    let fhir = start_with(&test, listening(), accept).await;
    let reply = fhir.post("ServiceRequest", "X-Request-Id: new\n", service_request("R-1").to_string().as_bytes()).await;
    assert_eq!((reply.status, fhir.became("new").await.0), (200, InboundState::Ignored));
    fhir.end().await;
}

/// A few messages of moderate size must not cost the bridge its time: what they hold is counted before anything is looked for in it.
#[test]
fn a_message_of_more_values_than_anybody_needs_is_refused_before_it_is_searched() {
    let pack = Pack::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters/fhir-uk-core")).expect("loads");
    let mut body = service_request("R-1");
    let many = vec![json!({ "system": "https://epr.example/Id/mrn", "value": "1" }); 15_000];
    body["contained"][0]["identifier"] = json!(many);
    let begun = std::time::Instant::now();
    let refused = pack.parse(body.to_string().as_bytes(), &pack.manifest.settings.examples(), "Europe/London");
    assert!(refused.is_err_and(|e| e.to_string().contains("20000 values")));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}
