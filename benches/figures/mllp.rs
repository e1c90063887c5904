//! From the call to the record, and from the EPR to us.

use super::report::{Figure, Report, percentile};
use super::{bridge, limits};
use ips_bridge::transport::mllp::{Answer, Listener, ListenerSettings, Received};
use ips_bridge::wire::v1;
use ips_bridge::wire::v1::delivery_service_client::DeliveryServiceClient;
use ips_bridge::wire::v1::progress_note_service_client::ProgressNoteServiceClient;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// A record that takes everything at once, and counts.
struct Sink {
    address: SocketAddr,
    taken: Arc<AtomicU64>,
    sample: Arc<Mutex<Vec<u8>>>,
    stop: CancellationToken,
}

async fn sink() -> Sink {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let listener = Listener::new(listener, ListenerSettings::default());
    let address = listener.local_addr().expect("an address");
    let (taken, sample, stop) =
        (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(Vec::new())), CancellationToken::new());
    let (count, keep) = (taken.clone(), sample.clone());
    let answer = move |received: Received| {
        if count.fetch_add(1, Ordering::Relaxed) == 0 {
            keep.lock().expect("kept").clone_from(&received.bytes);
        }
        let control_id = received.bytes.split(|b| *b == b'|').nth(9).map(<[u8]>::to_vec).unwrap_or_default();
        let mut ack = b"MSH|^~\\&|EPR|RZ9|IPSBRIDGE|RZ9|20260302101531||ACK^T02^ACK|A1|T|2.4\rMSA|AA|".to_vec();
        ack.extend_from_slice(&control_id);
        ack.push(b'\r');
        async move { Answer::frame(ack) }
    };
    tokio::spawn(listener.run(stop.clone(), answer));
    Sink { address, taken, sample, stop }
}

/// Notes a second from the first call to the last filing.
pub async fn filed(report: &mut Report, store: &str, url: &str) {
    const NOTES: usize = 6000;
    let sink = sink().await;
    let running = bridge::bridge(&bridge::fresh(url, "filed").await, sink.address).await;
    let channels = bridge::channels(running.grpc, 8).await;
    let referrals = Arc::new(bridge::referrals(channels[0].clone(), 500).await);
    let start = Instant::now();
    let writers: Vec<_> = (0..32)
        .map(|w| {
            let (channel, referrals) = (channels[w % 8].clone(), referrals.clone());
            tokio::spawn(async move {
                let mut client = ProgressNoteServiceClient::new(channel);
                for n in (w..NOTES).step_by(32) {
                    client.write_progress_note(bridge::note(&referrals[n % referrals.len()])).await.expect("accepted");
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.expect("a writer");
    }
    let written = start.elapsed();
    while running.store.open_deliveries() > 0 {
        assert!(start.elapsed() < Duration::from_secs(120), "not everything was filed in two minutes");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let value = NOTES as f64 / start.elapsed().as_secs_f64();
    assert_eq!(sink.taken.load(Ordering::Relaxed), NOTES as u64, "each note once");
    let message = sink.sample.lock().expect("kept").clone();
    running.stop().await;
    sink.stop.cancel();
    let limit = limits::ping_pong(&message, 8, 3.0).await;
    let name = format!("filed_mllp8_{store}");
    report.add(&Figure {
        name: &name,
        value,
        unit: "notes/s",
        better: "higher",
        limit,
        limit_name: "raw ping-pong of the same bytes over 8",
        mark: ">= 0.02",
    });
    println!("{:<24} {:>12.1} notes/s    (accepted meanwhile)", "", NOTES as f64 / written.as_secs_f64());
}

/// How long from OK to FILED, at 100 notes a second.
pub async fn latency(report: &mut Report, url: &str) {
    const NOTES: usize = 1000;
    let sink = sink().await;
    let running = bridge::bridge(&bridge::fresh(url, "latency").await, sink.address).await;
    let channels = bridge::channels(running.grpc, 2).await;
    let referrals = Arc::new(bridge::referrals(channels[0].clone(), 300).await);
    let mut watch = DeliveryServiceClient::new(channels[1].clone())
        .watch_deliveries(v1::WatchDeliveriesRequest::default())
        .await
        .expect("watching")
        .into_inner();
    let filed: Arc<Mutex<HashMap<String, Instant>>> = Arc::default();
    let seen = filed.clone();
    let watcher = tokio::spawn(async move {
        while let Ok(Some(change)) = watch.message().await {
            let delivery = change.delivery.expect("a delivery");
            if delivery.state() == v1::DeliveryState::Filed {
                seen.lock().expect("seen").insert(delivery.id, Instant::now());
            }
        }
    });
    let before = limits::fdatasync_median_s();
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    let mut calls = Vec::new();
    for n in 0..NOTES {
        tick.tick().await;
        let (channel, request) = (channels[0].clone(), bridge::note(&referrals[n % referrals.len()]));
        calls.push(tokio::spawn(async move {
            let response = ProgressNoteServiceClient::new(channel)
                .write_progress_note(request)
                .await
                .expect("accepted")
                .into_inner();
            (response.deliveries[0].id.clone(), Instant::now())
        }));
    }
    let mut accepted = Vec::new();
    for call in calls {
        accepted.push(call.await.expect("a call"));
    }
    let end = Instant::now() + Duration::from_secs(20);
    while filed.lock().expect("seen").len() < NOTES && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let after = limits::fdatasync_median_s();
    watcher.abort();
    running.stop().await;
    sink.stop.cancel();
    let filed = filed.lock().expect("seen");
    // The watch may tell before the caller has heard OK: then it took no time.
    let mut ms: Vec<f64> = accepted
        .iter()
        .map(|(id, ok)| filed.get(id).expect("filed").saturating_duration_since(*ok).as_secs_f64() * 1000.0)
        .collect();
    let sync_ms = (before + after) / 2.0 * 1000.0;
    let p50 = percentile(&mut ms, 0.5);
    let mark = format!("p50 <= 5 fdatasyncs + 2 ms = {:.2} ms", 5.0 * sync_ms + 2.0);
    let of = |name, value, mark| Figure {
        name,
        value,
        unit: "ms",
        better: "lower",
        limit: sync_ms,
        limit_name: "median fdatasync of 4 KiB",
        mark,
    };
    report.add(&of("accepted_to_filed_p50", p50, mark.as_str()));
    report.add(&of("accepted_to_filed_p99", percentile(&mut ms, 0.99), "none"));
}

/// Referrals a second that are on disk when the EPR hears AA.
pub async fn inbound(report: &mut Report, url: &str) {
    for connections in [1usize, 8] {
        let running = bridge::bridge(
            &bridge::fresh(url, &format!("inbound{connections}")).await,
            "127.0.0.1:9".parse().expect("an address"),
        )
        .await;
        let address = running.listeners.first().expect("a listener").address;
        let before = limits::fdatasync_per_s();
        let value = referrals_per_s(address, connections).await;
        let after = limits::fdatasync_per_s();
        running.stop().await;
        let (name, mark) = if connections == 1 { ("inbound_mllp1", ">= 0.4") } else { ("inbound_mllp8", ">= 1.5") };
        report.add(&Figure {
            name,
            value,
            unit: "msgs/s",
            better: "higher",
            limit: (before + after) / 2.0,
            limit_name: "fdatasync/s of 4 KiB",
            mark,
        });
        let floor = limits::one_row_mllp(&bridge::fresh(url, &format!("floor{connections}")).await).await;
        let floor = referrals_per_s(floor, connections).await;
        println!(
            "{:<24} {floor:>12.1} msgs/s    (an MLLP end that only commits one row of the same bytes, for comparison)",
            ""
        );
    }
}

async fn referrals_per_s(address: SocketAddr, connections: usize) -> f64 {
    let (end, start) = (Instant::now() + Duration::from_secs(5), Instant::now());
    let senders = numbers(connections).into_iter().enumerate();
    let senders: Vec<_> = senders.map(|(c, own)| tokio::spawn(send_referrals(address, c, own, end))).collect();
    let mut total = 0;
    for sender in senders {
        total += sender.await.expect("a sender");
    }
    f64::from(total) / start.elapsed().as_secs_f64()
}

/// The patients of each connection: found beforehand, as an EPR knows its patients.
fn numbers(connections: usize) -> Vec<Vec<String>> {
    let of = |c: usize| (0..40).map(|n| bridge::nhs_number(u32::try_from(c).expect("few") * 40 + n)).collect();
    (0..connections).map(of).collect()
}

pub fn referral_message(connection: usize, n: u32, number: &str) -> Vec<u8> {
    format!(
        "MSH|^~\\&|EPR|RZ9|IPSBRIDGE|RZ9|20260301090000||REF^I12^REF_I12|E{connection}X{n:010}|T|2.4|||||GBR|UNICODE UTF-8|EN\r\
         RF1|P^Pending^HL70283|R^Routine^HL70280|Psy^Psychiatric^HL70281||O^Outpatient^HL70284|REF-{connection}-{n}^EPR|20260301090000\r\
         PRD|RP^Referring Provider^HL70286|ADEYEMI^TUNDE^^^MR||^^^RZ9|||CC4410^^RZ9\r\
         PRD|RT^Referred to Provider^HL70286|||^^^RZ9|||IPS-NORTH^^RZ9\r\
         PID|1||{number}^^^NHS^NH||TESTPATIENT^SAM^^^MX^^L||19850412|9|||||||||||||||||||||||NSTS01\r\
         NTE|1|L|Wants part-time retail work. Prefers contact by text.\r"
    )
    .into_bytes()
}

async fn send_referrals(address: SocketAddr, connection: usize, numbers: Vec<String>, end: Instant) -> u32 {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream.set_nodelay(true).expect("nodelay");
    let mut buffer = vec![0u8; 8192];
    let mut n = 0;
    while Instant::now() < end {
        let mut frame = vec![0x0b];
        frame.extend_from_slice(&referral_message(connection, n, &numbers[n as usize % numbers.len()]));
        frame.extend_from_slice(&[0x1c, 0x0d]);
        stream.write_all(&frame).await.expect("sent");
        let mut held = 0;
        while !buffer[..held].ends_with(&[0x1c, 0x0d]) {
            held += stream.read(&mut buffer[held..]).await.expect("answered");
        }
        let answer = String::from_utf8_lossy(&buffer[..held]).into_owned();
        assert!(answer.contains("MSA|AA|"), "refused: {answer}");
        n += 1;
    }
    n
}
