//! A database put back from a backup, under a whole bridge and an EPR that is there all the time.

use crate::e2e_support::{Bridge, Stage, endpoint, epr, request_id};
use ips_bridge::wire::v1;
use std::path::{Path, PathBuf};
use v1::DeliveryState as State;

/// SQLite's file and what belongs to it.
fn files(stage: &Stage) -> [PathBuf; 3] {
    let file = stage.store_url().strip_prefix("sqlite://").expect("SQLite").to_owned();
    [file.clone(), format!("{file}-wal"), format!("{file}-shm")].map(PathBuf::from)
}

fn copied(from: &Path, to: &Path) {
    let _ = std::fs::remove_file(to);
    if from.exists() {
        std::fs::copy(from, to).expect("copied");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_filed_since_a_backup_is_not_sent_again_when_the_backup_is_put_back() {
    let epr = epr(|s| s.record.recognises_repeats = false).await;
    let stage = Stage::sqlite([endpoint("epr", epr.addr(), "")]);
    let bridge = Bridge::start(&stage).await;
    let person = bridge.client.person(0, "epr").await;
    bridge.client.pause("epr").await;
    let written = bridge.client.write(&person, "Met at the job centre.").await;
    bridge.stop().await;
    let backup = |file: &PathBuf| stage.folder().join(file.file_name().expect("a name"));
    files(&stage).iter().for_each(|f| copied(f, &backup(f)));

    let bridge = Bridge::start(&stage).await;
    bridge.client.resume("epr").await;
    bridge.client.filed(written.id()).await;
    bridge.stop().await;
    assert_eq!(epr.ask(|r| r.copies(&written.document())), 1);

    files(&stage).iter().for_each(|f| copied(&backup(f), f));
    let refused = stage.does_not_start().await;
    assert!(refused.contains("older than what was done") && refused.contains("serve --restored"), "{refused}");

    let bridge = Bridge::start_restored(&stage).await;
    let client = &bridge.client;
    let parked = client.parked(written.id(), v1::ParkReason::OutcomeUnknown).await;
    assert!(parked.may_have_been_received && parked.author_sentence.starts_with("Perhaps in EPR epr"), "{parked:?}");
    // What is written from now on goes, and nothing before it in its lane did.
    client.resume("epr").await;
    let next = client.write(&person, "Rang two garden centres.").await;
    client.filed(next.id()).await;
    assert_eq!(epr.ask(|r| (r.copies(&written.document()), r.arrivals().len())), (1, 2));
    let retry = |acknowledge_may_be_in_record| v1::RetryDeliveriesRequest {
        request_id: request_id(),
        selection: Some(v1::DeliverySelection { delivery_ids: vec![written.id().to_owned()], ..Default::default() }),
        reason: "looked in the record".into(),
        acknowledge_may_be_in_record,
        ..Default::default()
    };
    let unlooked = client.deliveries().retry_deliveries(retry(false)).await.expect("answered").into_inner();
    let why: Vec<_> = unlooked.not_retried.iter().map(v1::NotRetried::reason).collect();
    assert_eq!((unlooked.retried, why), (0, vec![v1::ErrorReason::MayBeInRecord]));
    assert_eq!(client.delivery(written.id()).await.state(), State::Parked);
    bridge.stop().await;
    // From then on it starts as ever.
    let bridge = Bridge::start(&stage).await;
    assert_eq!(bridge.client.delivery(written.id()).await.state(), State::Parked);
    bridge.stop().await;
    epr.shutdown().await;
}
