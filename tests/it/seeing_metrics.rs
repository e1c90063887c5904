//! What Prometheus is told, held against what the store and the outbox did.

use super::support::bridge::{Bridge, ENDPOINT, Tweaks, endpoint_id};
use super::support::far_end::{FarEnd, ack};
use super::support::{SetClock, free_addr, stores, wait_until};
use ips_bridge::app::metrics::{Metrics, Watched, WatchedCertificate, WatchedEndpoint, keep_fresh, serve};
use ips_bridge::domain::ambient::Clock;
use ips_bridge::domain::delivery::State;
use ips_bridge::domain::organisation::EndpointId;
use ips_bridge::inbound::receive;
use ips_bridge::store::Full;
use ips_bridge::transport::tls::{CertificateFacts, CertificateRole};
use jiff::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(20);

fn watched() -> Watched {
    watched_and(|| false)
}

fn watched_and(is_alone: impl Fn() -> bool + Send + Sync + 'static) -> Watched {
    let endpoint = WatchedEndpoint {
        id: endpoint_id(),
        evidence_overdue_after: Duration::from_secs(3600),
        listens: true,
        is_alone: Box::new(is_alone),
    };
    Watched {
        endpoints: vec![endpoint],
        retired: vec![EndpointId::parse("rz9-former").unwrap()],
        certificates: Vec::new(),
    }
}

/// The value of one series; `None` where it is not there.
fn value(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find_map(|l| l.strip_prefix(series)?.strip_prefix(' '));
    line.map(|v| v.parse().unwrap())
}

/// The same for a series of the one endpoint: `name`, more labels before and after `endpoint` in their alphabetic order.
fn of(text: &str, name: &str, more: &str) -> Option<f64> {
    value(text, &format!("ips_bridge_{name}{{endpoint=\"{ENDPOINT}\"{more}}}"))
}

#[tokio::test]
async fn the_age_of_the_oldest_unfiled_delivery_grows_even_while_the_store_is_not_read() {
    for store in stores() {
        let clock = Arc::new(SetClock::at("2026-03-02T09:30:00Z"));
        let tweaks = Tweaks { clock: clock.clone(), without_outbox: true, ..Tweaks::default() };
        let bridge = Bridge::start(&store.url, free_addr(), tweaks).await;
        let metrics = Metrics::new(watched(), clock.clone());
        assert_eq!(of(&metrics.text(), "oldest_unfiled_age_seconds", ""), None, "what is not known is not shown");
        metrics.read(&bridge.store).await.unwrap();
        assert_eq!(of(&metrics.text(), "oldest_unfiled_age_seconds", ""), Some(0.0));

        bridge.write_note("Met at the library.").await;
        clock.advance(Duration::from_secs(90));
        bridge.write_note("Met again.").await;
        metrics.read(&bridge.store).await.unwrap();
        let text = metrics.text();
        assert_eq!(of(&text, "oldest_unfiled_age_seconds", ""), Some(90.0));
        assert_eq!(of(&text, "deliveries", ",state=\"queued\""), Some(2.0));
        assert_eq!(value(&text, "ips_bridge_open_deliveries"), Some(2.0));
        assert_eq!(value(&text, "ips_bridge_store_stale"), Some(0.0));

        clock.advance(Duration::from_secs(61));
        let text = metrics.text();
        assert_eq!(of(&text, "oldest_unfiled_age_seconds", ""), Some(151.0));
        assert_eq!(value(&text, "ips_bridge_store_read_age_seconds"), Some(61.0));
        assert_eq!(value(&text, "ips_bridge_store_stale"), Some(1.0));
        bridge.stop().await;
    }
}

#[tokio::test]
async fn what_the_outbox_did_is_counted_as_it_happens() {
    for store in stores() {
        let tweaks = Tweaks::default();
        let metrics = Arc::new(Metrics::new(watched(), tweaks.clock.clone()));
        let far_end = FarEnd::start(|n, message| match n {
            0 => ack(message, "AE", "ERR|||207^busy|E\r"),
            1 => ack(message, "AA", ""),
            _ => ack(message, "AR", ""),
        })
        .await;
        let bridge = Bridge::start(&store.url, far_end.addr(), Tweaks { watch: metrics.clone(), ..tweaks }).await;
        let first = bridge.write_note("Met at the library.").await;
        bridge.wait_filed(first.delivery).await;
        let second = bridge.write_note("Met again.").await;
        bridge.wait_state(second.delivery, State::Parked).await;
        metrics.read(&bridge.store).await.unwrap();
        // The counts follow the commit.
        wait_until(PATIENCE, "three attempts", async || {
            of(&metrics.text(), "attempts_total", ",verdict=\"refused\"") == Some(1.0)
        })
        .await;
        let text = metrics.text();
        for (verdict, count) in
            [("retry", 1.0), ("positive", 1.0), ("refused", 1.0), ("unknown", 0.0), ("not_sent", 0.0), ("held", 0.0)]
        {
            assert_eq!(of(&text, "attempts_total", &format!(",verdict=\"{verdict}\"")), Some(count), "{verdict}");
        }
        assert_eq!(of(&text, "attempt_seconds_count", ""), Some(3.0));
        assert_eq!(of(&text, "accepted_to_filed_seconds_count", ""), Some(1.0));
        assert_eq!(of(&text, "deliveries", ",state=\"parked\""), Some(1.0));
        assert!(of(&text, "oldest_unfiled_age_seconds", "").unwrap() > 0.0, "a parked delivery is not filed");
        assert_eq!(of(&text, "endpoint_gate", ",gate=\"open\""), Some(1.0));
        bridge.stop().await;
    }
}

#[tokio::test]
async fn a_feed_that_nobody_pulls_shows_as_closed_until_somebody_does() {
    let store = stores().next().expect("SQLite");
    let tweaks = Tweaks::default();
    let alone = Arc::new(AtomicBool::new(true));
    let now = alone.clone();
    let metrics = Metrics::new(watched_and(move || now.load(Ordering::SeqCst)), tweaks.clock.clone());
    let bridge = Bridge::start(&store.url, free_addr(), tweaks).await;
    metrics.read(&bridge.store).await.unwrap();
    for (is_alone, gate, other) in [(true, "closed", "open"), (false, "open", "closed")] {
        alone.store(is_alone, Ordering::SeqCst);
        let text = metrics.text();
        assert_eq!(of(&text, "endpoint_gate", &format!(",gate=\"{gate}\"")), Some(1.0));
        assert_eq!(of(&text, "endpoint_gate", &format!(",gate=\"{other}\"")), Some(0.0));
    }
    bridge.stop().await;
}

#[tokio::test]
async fn an_endpoint_that_is_away_shows_as_closed_and_one_that_is_paused_as_paused() {
    for store in stores() {
        let tweaks = Tweaks::default();
        let metrics = Metrics::new(watched(), tweaks.clock.clone());
        let mut client = tweaks.client.clone();
        client.connect_timeout = Duration::from_millis(500);
        let probe =
            ips_bridge::domain::policy::BackOff { first: Duration::from_secs(60), cap: Duration::from_secs(60) };
        let bridge = Bridge::start(&store.url, free_addr(), Tweaks { client, probe, ..tweaks }).await;
        bridge.write_note("Met at the library.").await;
        wait_until(PATIENCE, "the gate to close", async || {
            metrics.read(&bridge.store).await.unwrap();
            of(&metrics.text(), "endpoint_gate", ",gate=\"closed\"") == Some(1.0)
        })
        .await;
        assert_eq!(of(&metrics.text(), "endpoint_gate", ",gate=\"open\""), Some(0.0));
        assert_eq!(of(&metrics.text(), "endpoint_paused", ""), Some(0.0));
        let pause = ips_bridge::store::write::SetPaused {
            call: bridge.call(),
            endpoint: endpoint_id(),
            trust: super::support::bridge::trust(),
            paused: true,
            reason: "upgrade".into(),
        };
        bridge.store.set_paused(pause).await.unwrap();
        metrics.read(&bridge.store).await.unwrap();
        assert_eq!(of(&metrics.text(), "endpoint_paused", ""), Some(1.0));
        bridge.stop().await;
    }
}

#[tokio::test]
async fn the_silence_of_a_feed_is_counted_and_its_messages_by_what_became_of_them() {
    for store in stores() {
        let clock = Arc::new(SetClock::at("2026-03-02T09:30:00Z"));
        let tweaks = Tweaks { clock: clock.clone(), without_outbox: true, ..Tweaks::default() };
        let bridge = Bridge::start(&store.url, free_addr(), tweaks).await;
        let metrics = Metrics::new(watched(), clock.clone());
        clock.advance(Duration::from_secs(30));
        metrics.read(&bridge.store).await.unwrap();
        assert_eq!(of(&metrics.text(), "inbound_silence_seconds", ""), Some(30.0), "nothing came since the start");
        assert_eq!(of(&metrics.text(), "inbound_messages_total", ",state=\"applied\""), Some(0.0));

        let source = bridge.source();
        for (control_id, team) in [("C1", ""), ("C2", ""), ("C3", "no team may be called this")] {
            receive(&source, referral_message(control_id, team)).await;
            clock.advance(Duration::from_secs(40));
            metrics.read(&bridge.store).await.unwrap();
        }
        let text = metrics.text();
        assert_eq!(of(&text, "inbound_silence_seconds", ""), Some(40.0));
        assert_eq!(of(&text, "inbound_messages_total", ",state=\"applied\""), Some(2.0));
        assert_eq!(of(&text, "inbound_messages_total", ",state=\"parked\""), Some(1.0));
        // Rounds do not count a message twice.
        metrics.read(&bridge.store).await.unwrap();
        assert_eq!(of(&metrics.text(), "inbound_messages_total", ",state=\"applied\""), Some(2.0));
        drop(source);
        bridge.stop().await;
    }
}

#[tokio::test]
async fn that_new_notes_are_refused_for_want_of_room_shows_by_where() {
    let store = stores().next().expect("SQLite");
    let tweaks = Tweaks { without_outbox: true, ..Tweaks::default() };
    let metrics = Metrics::new(watched(), tweaks.clock.clone());
    let bridge = Bridge::start(&store.url, free_addr(), tweaks).await;
    let shown = async || {
        metrics.read(&bridge.store).await.unwrap();
        let text = metrics.text();
        ["disk", "endpoint", "queue"].map(|why| value(&text, &format!("ips_bridge_refusing{{why=\"{why}\"}}")).unwrap())
    };
    assert_eq!(shown().await, [0.0, 0.0, 0.0]);
    bridge.store.set_full(Full { disk: true, ..Full::default() });
    assert_eq!(shown().await, [1.0, 0.0, 0.0]);
    bridge.store.set_full(Full { endpoints: [(endpoint_id(), 7)].into(), ..Full::default() });
    assert_eq!(shown().await, [0.0, 1.0, 0.0]);
    bridge.stop().await;
}

#[tokio::test]
async fn a_bridge_that_cannot_write_is_not_ready_and_its_failures_are_counted() {
    let store = stores().next().expect("SQLite");
    let clock = Arc::new(SetClock::at("2026-03-02T09:30:00Z"));
    let tweaks = Tweaks { clock: clock.clone(), without_outbox: true, ..Tweaks::default() };
    let bridge = Bridge::start(&store.url, free_addr(), tweaks).await;
    bridge.write_note("Met at the library.").await;
    let metrics = Metrics::new(watched(), clock.clone());
    metrics.read(&bridge.store).await.unwrap();
    assert_eq!(metrics.trouble(), None);
    assert_eq!(value(&metrics.text(), "ips_bridge_store_write_age_seconds"), Some(0.0));

    let (fill, empty) = super::store::raw::no_room_in("audit", &store.url);
    for statement in fill {
        super::store::raw::execute(&store.url, &statement).await;
    }
    let pause = |paused| ips_bridge::store::write::SetPaused {
        call: bridge.call(),
        endpoint: endpoint_id(),
        trust: super::support::bridge::trust(),
        paused,
        reason: "upgrade".into(),
    };
    assert!(bridge.store.set_paused(pause(true)).await.is_err());
    assert!(metrics.trouble().is_some_and(|t| t.contains("could not be written")), "{:?}", metrics.trouble());
    assert_eq!(value(&metrics.text(), "ips_bridge_store_write_failures_total"), Some(1.0));
    super::store::raw::execute(&store.url, &empty).await;
    bridge.store.set_paused(pause(true)).await.unwrap();
    assert_eq!(metrics.trouble(), None, "something was written since");
    assert_eq!(value(&metrics.text(), "ips_bridge_store_write_failures_total"), Some(1.0));
    bridge.stop().await;
}

fn referral_message(control_id: &str, team: &str) -> Vec<u8> {
    format!(
        "MSH|^~\\&|EPR|RZ9|IPSBRIDGE|RZ9|20260302093000||REF^I12|{control_id}|T|2.4\rRF1||R||||{control_id}^EPR\rPRD|RP|Test^Ann^^^Dr\r\
         PRD|RT||||||{team}\rPID|1||9990000026^^^NHS^NH||Otherpatient^Bo||19900101|2\r"
    )
    .into_bytes()
}

#[test]
fn the_first_certificate_to_expire_is_the_one_shown() {
    let clock = Arc::new(SetClock::at("2026-03-02T00:00:00Z"));
    let facts = |role, not_after: &str| CertificateFacts {
        role,
        subject: "CN=somebody".into(),
        not_after: not_after.parse().unwrap(),
    };
    let certificate = WatchedCertificate {
        name: "server.tls".into(),
        facts: Box::new(move || {
            vec![
                facts(CertificateRole::Own, "2026-03-12T12:00:00Z"),
                facts(CertificateRole::Root, "2036-03-02T00:00:00Z"),
                facts(CertificateRole::Root, "2026-03-01T00:00:00Z"),
            ]
        }),
    };
    let metrics =
        Metrics::new(Watched { endpoints: Vec::new(), retired: Vec::new(), certificates: vec![certificate] }, clock);
    let text = metrics.text();
    assert_eq!(value(&text, "ips_bridge_certificate_days_left{name=\"server.tls\",role=\"own\"}"), Some(10.5));
    assert_eq!(value(&text, "ips_bridge_certificate_days_left{name=\"server.tls\",role=\"root\"}"), Some(-1.0));
    assert!(!text.contains("somebody"));
}

#[test]
fn every_measure_is_ours_by_name_and_labelled_by_nothing_that_could_be_a_person() {
    let metrics = Metrics::new(watched(), Arc::new(SetClock::at("2026-03-02T00:00:00Z")));
    let text = metrics.text();
    assert!(text.lines().count() > 50);
    // What still is for a retired endpoint may call for a person.
    let alarm = "ips_bridge_alarms_total{endpoint=\"rz9-former\",kind=\"withdrawal_waits\"}";
    assert_eq!(value(&text, alarm), Some(0.0));
    for line in text.lines().map(|l| l.trim_start_matches("# HELP ").trim_start_matches("# TYPE ")) {
        assert!(line.starts_with("ips_bridge_"), "{line}");
        let labels = line.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map_or("", |(labels, _)| labels);
        for label in labels.split(',').filter(|l| !l.is_empty()) {
            let name = label.split('=').next().unwrap();
            assert!(
                ["endpoint", "verdict", "answer", "state", "gate", "role", "name", "version", "why", "kind", "le"]
                    .contains(&name),
                "{line}"
            );
        }
    }
}

/// The status line and the body.
async fn get(addr: std::net::SocketAddr, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nHost: bridge\r\nConnection: close\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut answer = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

#[tokio::test]
async fn prometheus_and_whoever_starts_the_process_are_answered_over_http() {
    let store = stores().next().unwrap();
    let bridge = Bridge::start(&store.url, free_addr(), Tweaks { without_outbox: true, ..Tweaks::default() }).await;
    bridge.write_note("Met at the library.").await;
    let clock = Arc::new(SetClock::at("2026-03-02T09:30:00Z"));
    let metrics = Arc::new(Metrics::new(watched(), clock.clone()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (set_ready, ready) = tokio::sync::watch::channel(false);
    let stop = CancellationToken::new();
    let served = tokio::spawn(serve(listener, metrics.clone(), ready, stop.clone()));

    assert_eq!(get(addr, "/healthz").await, ("HTTP/1.1 200 OK".into(), "live\n".into()));
    assert!(get(addr, "/readyz").await.0.contains("503"), "not started yet");
    set_ready.send_replace(true);
    assert!(get(addr, "/readyz").await.1.contains("store"), "the store was never read");
    let reading = tokio::spawn(keep_fresh(metrics.clone(), bridge.store.clone(), stop.clone()));
    wait_until(PATIENCE, "the first reading", async || metrics.is_fresh()).await;
    assert_eq!(get(addr, "/readyz").await.0, "HTTP/1.1 200 OK");
    let (status, body) = get(addr, "/metrics").await;
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert_eq!(of(&body, "deliveries", ",state=\"queued\""), Some(1.0));
    assert!(get(addr, "/else").await.0.contains("404"));
    let before = clock.now();
    clock.set(Timestamp::MAX);
    assert!(get(addr, "/readyz").await.0.contains("503"), "what was read is too old");
    clock.set(before);

    stop.cancel();
    tokio::time::timeout(PATIENCE, served).await.unwrap().unwrap().unwrap();
    tokio::time::timeout(PATIENCE, reading).await.unwrap().unwrap();
    bridge.stop().await;
}
