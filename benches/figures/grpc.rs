//! Accepting: notes a second that are on disk when the caller hears OK.

use super::report::{Figure, Report};
use super::{CALLERS, CHANNELS, bridge, limits};
use ips_bridge::wire::v1::progress_note_service_client::ProgressNoteServiceClient;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Patients the notes are spread over.
const PATIENTS: u32 = 500;
const SECONDS: f64 = 6.0;

pub async fn accept(report: &mut Report, store: &str, url: &str) {
    let own = bridge::fresh(url, "accept").await;
    // Nobody listens there: the endpoint is away, and accepting goes on.
    let running = bridge::bridge(&own, "127.0.0.1:9".parse().expect("an address")).await;
    let channels = bridge::channels(running.grpc, 1).await;
    let referrals = Arc::new(bridge::referrals(channels[0].clone(), PATIENTS).await);
    // Limit, figure, limit again, so that a disk that changes its mind shows.
    let limit_address = limits::one_row(&bridge::fresh(url, "limit").await, false).await;
    let before = rate(limit_address, &referrals).await;
    let value = rate(running.grpc, &referrals).await;
    let after = rate(limit_address, &referrals).await;
    let echo = rate(limits::one_row("", true).await, &referrals).await;
    running.stop().await;
    let name = format!("accept_{store}");
    report.add(&Figure {
        name: &name,
        value,
        unit: "notes/s",
        better: "higher",
        limit: (before + after) / 2.0,
        limit_name: "tonic + one 1 KB row by group commit",
        mark: ">= 0.4",
    });
    println!("{:<24} {echo:>12.1} calls/s    (a bare tonic echo of the same requests, for comparison)", "");
}

/// Calls a second at 64 callers over 8 connections.
async fn rate(address: SocketAddr, referrals: &Arc<Vec<(String, String)>>) -> f64 {
    let channels = bridge::channels(address, CHANNELS).await;
    let end = Instant::now() + Duration::from_secs_f64(SECONDS);
    let start = Instant::now();
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (channel, referrals) = (channels[caller % CHANNELS].clone(), referrals.clone());
            tokio::spawn(async move {
                let mut client = ProgressNoteServiceClient::new(channel);
                let mut count = 0u64;
                let mut at = caller;
                while Instant::now() < end {
                    client.write_progress_note(bridge::note(&referrals[at % referrals.len()])).await.expect("accepted");
                    at += CALLERS;
                    count += 1;
                }
                count
            })
        })
        .collect();
    let mut total = 0;
    for caller in callers {
        total += caller.await.expect("a caller");
    }
    total as f64 / start.elapsed().as_secs_f64()
}
