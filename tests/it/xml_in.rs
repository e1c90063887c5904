//! XML in: kept before it is answered, a repeat answered the same, in the pack's words; what cannot be taken is kept, shown and can be run again.

use crate::support::bridge::{Bridge, Tweaks, endpoint_id, trust};
use crate::support::{TestStore, stores};
use ips_bridge::adapter::{Fitted, InUse, Pack};
use ips_bridge::domain::accept::{Accept, AcceptRule};
use ips_bridge::domain::nhs_number::NhsNumber;
use ips_bridge::inbound::receive::WayIn;
use ips_bridge::inbound::{Source, receive_xml, unheard_xml};
use ips_bridge::store::Scope;
use ips_bridge::store::read::{Page, PatientBy};
use ips_bridge::store::record::{Inbound, InboundState};
use ips_bridge::transport::https::{Arrived, Listener, ListenerSettings};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, DropGuard};

fn envelope(inner: &str) -> String {
    format!("<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body>{inner}</s:Body></s:Envelope>")
}

fn referral(message_id: &str, referral: &str) -> String {
    envelope(&format!(
        "<ReferralSent xmlns=\"urn:example:notes:1\"{message_id}><Client><Id type=\"NHS\" verified=\"true\">9990000026</Id>\
         <Name><Family>Othertest</Family><Given>Robin</Given></Name><Born>1990-01-31</Born></Client><Referral status=\"new\">\
         <Id system=\"https://epr.example/referral\">{referral}</Id><Sent>2026-03-01T09:00:00Z</Sent><From ods=\"RXX\"><Name>Dr Test</Name></From>\
         <To team=\"IPS-NORTH\"/><Reason>Wants paid work</Reason></Referral></ReferralSent>"
    ))
}

/// One that names itself so.
fn sent(id: &str) -> String {
    referral(&format!(" messageId=\"{id}\""), "R-1")
}

struct In {
    bridge: Bridge,
    source: Arc<Source>,
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

/// The bridge's endpoint with this pack for its own.
fn source(bridge: &Bridge, pack: Pack, accept: Accept) -> Source {
    let source = bridge.source();
    let now = source.in_use.now();
    let settings = pack.manifest.settings.examples();
    let reply_rules = pack.reply_rules(&toml::Table::new()).expect("the pack's own rules");
    let (site, policy) = (now.site.clone(), now.policy.clone());
    let in_use = InUse::new(Fitted { activation: 0, pack: Arc::new(pack), settings, reply_rules, site, policy });
    Source { in_use, accept, ..source }
}

fn pack() -> Pack {
    Pack::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters/soap-notes")).expect("loads")
}

async fn start(test: &TestStore, settings: ListenerSettings, accept: Accept) -> In {
    let tweaks = Tweaks { without_outbox: true, ..Tweaks::default() };
    let bridge = Bridge::start(&test.url, "127.0.0.1:1".parse().expect("an address"), tweaks).await;
    let source = Arc::new(source(&bridge, pack(), accept));
    let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let listener = Listener::new(tcp, settings);
    let addr = listener.local_addr().expect("an address");
    let (stop, taken_in) = (CancellationToken::new(), source.clone());
    tokio::spawn(listener.run(stop.clone(), unheard_xml, move |arrived: Arrived| {
        let source = taken_in.clone();
        async move { receive_xml(&source, arrived).await }
    }));
    In { bridge, source, addr, _stop: stop.drop_guard() }
}

/// Status, head in small letters, and body.
type Answer = (u16, String, String);

fn answer_in(bytes: &[u8]) -> Answer {
    let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {text:?}"));
    let status = head.get(9..12).and_then(|s| s.parse().ok()).expect("a status");
    (status, head.to_ascii_lowercase(), body.to_owned())
}

fn head(more: &str, length: usize) -> String {
    format!("POST /any/path HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n{more}\r\n")
}

const XML: &str = "Content-Type: text/xml; charset=utf-8\r\n";

impl In {
    async fn raw(&self, request: &[u8]) -> Answer {
        let mut socket = TcpStream::connect(self.addr).await.expect("it listens");
        socket.write_all(request).await.expect("sent");
        answer_in(&crate::transport_support::read_to_end(&mut socket).await)
    }

    async fn post(&self, body: &[u8]) -> Answer {
        self.post_as(XML, body).await
    }

    async fn post_as(&self, headers: &str, body: &[u8]) -> Answer {
        let head = head(&format!("{headers}Connection: close\r\n"), body.len());
        self.raw(&[head.as_bytes(), body].concat()).await
    }

    /// The oldest first.
    async fn kept(&self) -> Vec<Inbound> {
        let page = Page { size: 100, after: None };
        let mut kept =
            self.bridge.store.inbound_messages(&Scope::system(), Some(&endpoint_id()), page).await.expect("read");
        kept.reverse();
        kept
    }

    async fn patients(&self) -> usize {
        let by = PatientBy::NhsNumber(NhsNumber::parse("9990000026").expect("a number"));
        let page = Page { size: 10, after: None };
        self.bridge.store.find_patients(&Scope::system(), &trust(), &by, page).await.expect("read").len()
    }

    async fn end(self) {
        drop((self._stop, self.source));
        self.bridge.stop().await;
    }
}

#[tokio::test]
async fn a_referral_in_xml_is_kept_made_and_answered_and_a_repeat_is_answered_the_same() {
    for test in stores() {
        let xml = start(&test, listening(), Accept::default()).await;
        let body = sent("M-1");
        let (status, head, said) = xml.post(body.as_bytes()).await;
        assert_eq!(status, 200, "{said}");
        assert!(head.contains("content-type: text/xml; charset=utf-8"), "{head}");
        assert!(said.contains("<Result code=\"OK\"/><Message>M-1</Message>"), "in the pack's words: {said}");
        assert_eq!(xml.post(body.as_bytes()).await.2, said);
        let kept = xml.kept().await;
        assert_eq!(kept.len(), 1, "a repeat is processed once");
        assert_eq!((kept[0].state, kept[0].bytes.0.as_slice()), (InboundState::Applied, body.as_bytes()));
        assert_eq!(
            (kept[0].control_id.as_str(), kept[0].message_type.as_str(), kept[0].source.as_str()),
            ("M-1", "ReferralSent", "xml")
        );
        assert!(kept[0].referral_id.is_some());
        assert_eq!(xml.patients().await, 1);
        // The same id with other bytes is another message; the same referral stays one.
        assert_eq!(xml.post(format!("{body}\n").as_bytes()).await.0, 200);
        let kept = xml.kept().await;
        assert_eq!(kept.iter().filter(|i| i.reused_control_id).count(), 1);
        assert_eq!(kept[0].referral_id, kept[1].referral_id);
        xml.end().await;
    }
}

#[tokio::test]
async fn what_cannot_be_taken_is_kept_and_answered_without_a_word_of_it() {
    let test = stores().next().expect("SQLite");
    let xml = start(&test, listening(), Accept::default()).await;
    let deep = format!("{}Othertest{}", "<a>".repeat(300), "</a>".repeat(300));
    let two = envelope("<A>Othertest</A><B/>");
    let cases = [
        (XML, "<s:Envelope>Othertest".to_owned(), ""),
        (XML, "<!DOCTYPE a><a>Othertest</a>".into(), "DTD"),
        (XML, deep, "elements within one another"),
        (XML, two, "several elements"),
        (XML, "<Othermessage>Othertest</Othermessage>".into(), "no [[parse]]"),
        (XML, referral("", "R-1"), "id (from"),
        (XML, referral(" messageId=\" \"", "R-1"), "is required"),
        (XML, sent("M-1").replace("9990000026", "9990000027"), "nhs_number"),
        (XML, sent("M-2").replace("\"new\"", "\"ended\""), "accept"),
        (XML, sent("M-3").replace("IPS-NORTH", "no team: a space"), "team"),
        ("Content-Type: text/xml; charset=iso-8859-1\r\n", sent("M-4"), "UTF-8"),
        ("Content-Type: application/json\r\n", "{\"name\":\"Othertest\"}".into(), "only XML"),
    ];
    for (n, (headers, body, word)) in cases.iter().enumerate() {
        let (status, _, said) = xml.post_as(headers, body.as_bytes()).await;
        // The pack has SOAP's own status for a Fault.
        assert_eq!(status, 500, "{body}: {said}");
        assert!(said.contains("soap:Fault") && said.contains(word), "{body}: {said}");
        assert!(!said.contains("Othertest") && !said.contains("999000002"), "{said}");
        let kept = xml.kept().await;
        assert_eq!(kept.len(), n + 1, "each is kept");
        assert_eq!((kept[n].state, kept[n].bytes.0.as_slice()), (InboundState::Parked, body.as_bytes()));
        assert!(kept[n].reason.contains(word) && !kept[n].reason.contains("Othertest"), "{}", kept[n].reason);
        // Sent again it is the same message.
        xml.post_as(headers, body.as_bytes()).await;
        assert_eq!(xml.kept().await.len(), n + 1, "{body}");
    }
    // Not a message at all: nothing is kept of it.
    for (request, status) in [
        ("GET /any HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(), 405),
        (head("Connection: close\r\n", 64 * 1024 + 1), 413),
    ] {
        let (said, head, body) = xml.raw(request.as_bytes()).await;
        assert_eq!(said, status);
        assert!(head.contains("content-type: text/plain") && body.len() < 200, "{head} {body}");
    }
    assert_eq!(xml.kept().await.len(), cases.len());
    assert_eq!(xml.patients().await, 0);
    xml.end().await;
}

#[tokio::test]
async fn the_accept_rules_judge_messages_of_xml_by_the_name_of_their_element() {
    let test = stores().next().expect("SQLite");
    let rule = AcceptRule {
        name: "referrals".into(),
        messages: vec!["ReferralSent".into()],
        known_patients_only: false,
        teams: vec![ips_bridge::domain::organisation::TeamId::parse("IPS-NORTH").expect("a team")],
    };
    let xml = start(&test, listening(), Accept { rules: vec![rule] }).await;
    for (body, state, by) in [
        (sent("M-1"), InboundState::Applied, None),
        (sent("M-2").replace("IPS-NORTH", "IPS-SOUTH"), InboundState::Ignored, Some("referrals")),
        (envelope("<BedMoved id=\"1\">Othertest</BedMoved>"), InboundState::Ignored, Some(Accept::UNLISTED)),
    ] {
        let (status, _, said) = xml.post(body.as_bytes()).await;
        assert!(status == 200 && said.contains("code=\"OK\""), "{said}");
        let kept = xml.kept().await.pop().expect("counted");
        assert_eq!((kept.state, kept.rule.as_deref()), (state, by), "{body}");
        assert_eq!(kept.bytes.0.is_empty(), state == InboundState::Ignored, "of what is not ours nothing is kept");
    }
    // Of a name that could be anything no rule can say whose it is.
    let odd = format!("<{}/>", "N".repeat(100));
    assert_eq!(xml.post(odd.as_bytes()).await.0, 500);
    assert_eq!(xml.kept().await.pop().expect("kept").state, InboundState::Parked);
    xml.end().await;
}

/// A proxy that brings our own request back must not get an answer that could be the record's.
#[tokio::test]
async fn a_request_of_ours_that_comes_back_is_never_answered_as_taken() {
    let test = stores().next().expect("SQLite");
    let rule = AcceptRule {
        name: "referrals".into(),
        messages: vec!["ReferralSent".into()],
        known_patients_only: false,
        teams: Vec::new(),
    };
    for (n, accept) in [Accept { rules: vec![rule] }, Accept::default()].into_iter().enumerate() {
        let xml = start(&test, listening(), accept).await;
        let pack = pack();
        for name in ["CreateNote", "WithdrawNote", "Othermessage"] {
            let body = envelope(&format!("<{name} xmlns=\"urn:example:notes:1\" n=\"{n}\"/>"));
            let (status, _, said) = xml.post(body.as_bytes()).await;
            let kept = xml.kept().await.pop().expect("kept");
            assert_eq!(kept.reason.contains("circle"), pack.makes_element(name), "{name}: {said}");
            assert_eq!(status == 200, kept.state == InboundState::Ignored);
        }
        assert!(
            pack.makes_element("CreateNote")
                && !pack.makes_element("ReferralSent")
                && !pack.makes_element("Othermessage")
        );
        xml.end().await;
    }
}

#[tokio::test]
async fn a_message_that_the_pack_could_not_read_is_run_again_under_the_name_it_gives_itself() {
    for test in stores() {
        let xml = start(&test, listening(), Accept::default()).await;
        let body = sent("M-1");
        // As an unsuitable caller sends it: kept under the hash of its bytes.
        assert_eq!(xml.post_as("Content-Type: text/plain\r\n", body.as_bytes()).await.0, 500);
        let parked = xml.kept().await.remove(0);
        assert_eq!((parked.state, parked.control_id.len()), (InboundState::Parked, 32));
        let way_in = WayIn::new((*xml.source).clone(), ips_bridge::adapter::Format::Xml);
        way_in.reprocess(xml.bridge.call(), parked, "mended".into()).await.expect("run again");
        let applied = xml.kept().await.remove(0);
        assert_eq!((applied.state, applied.control_id.as_str()), (InboundState::Applied, "M-1"), "{}", applied.reason);
        // Its sender hears what became of it, and it is still one message.
        assert_eq!(xml.post(body.as_bytes()).await.0, 200);
        assert_eq!(xml.kept().await.len(), 1);
        drop(way_in);
        xml.end().await;
    }
}

#[tokio::test]
async fn a_body_that_never_ends_gives_its_connection_up() {
    let test = stores().next().expect("SQLite");
    let settings = ListenerSettings { request_timeout: Duration::from_millis(300), max_connections: 1, ..listening() };
    let xml = start(&test, settings, Accept::default()).await;
    // Nobody says that the connection is to be closed, and the rest never comes, or comes a byte at a time.
    for drip in [false, true] {
        let mut socket = TcpStream::connect(xml.addr).await.expect("it listens");
        socket.write_all(format!("{}<", head(XML, 1000)).as_bytes()).await.expect("sent");
        let (mut read, mut write) = socket.split();
        let mut heard = Vec::new();
        let ends = tokio::time::timeout(Duration::from_secs(5), read.read_to_end(&mut heard));
        let drips = async {
            loop {
                tokio::time::sleep(Duration::from_millis(50)).await;
                if drip && write.write_all(b"a").await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::select! {
            ended = ends => drop(ended.expect("the connection is closed").ok()),
            () = drips => unreachable!("it never ends"),
        }
        assert_eq!(answer_in(&heard).0, 503);
    }
    assert_eq!(xml.post(sent("M-1").as_bytes()).await.0, 200, "the one place is free");
    assert_eq!(xml.kept().await.len(), 1);
    xml.end().await;
}

#[tokio::test]
async fn a_connection_above_the_limit_waits_for_a_place() {
    let test = stores().next().expect("SQLite");
    let settings = ListenerSettings { max_connections: 1, ..listening() };
    let xml = start(&test, settings, Accept::default()).await;
    let begun = Instant::now();
    // It has the one place until its caller goes.
    let mut holds = TcpStream::connect(xml.addr).await.expect("it listens");
    holds.write_all(b"POST /").await.expect("sent");
    let body = sent("M-1");
    let mut waits = Box::pin(xml.post(body.as_bytes()));
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut waits).await.is_err(), "it waits");
    // One more than may wait.
    let mut third = TcpStream::connect(xml.addr).await.expect("the kernel takes it");
    let mut heard = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(5), third.read_to_end(&mut heard)).await;
    assert!(closed.is_ok() && heard.is_empty(), "it is closed at once, unheard");
    drop(holds);
    assert_eq!((&mut waits).await.0, 200);
    drop(waits);
    assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
    xml.end().await;
}
