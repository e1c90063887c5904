//! A database that was put back from a backup: found out, and nothing of it goes again before a person has looked.

use super::*;
use crate::support::{Seeded, SetClock, TestStore, temp_dir, wait_until};
use ips_bridge::domain::delivery::{ParkReason, State};
use ips_bridge::store::record::{Actor, Raw};
use ips_bridge::store::write::{Call, InList, Operation, Reconcile};
use ips_bridge::store::{OpenError, Refusal, Scope, Settings, Store, WriteError, WriterEnd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// SQLite's files, as a backup takes them while no bridge runs: the file beside them is none of them.
const FILES: [&str; 3] = ["record.db", "record.db-wal", "record.db-shm"];

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: temp_dir() }
    }

    fn url(&self) -> String {
        format!("sqlite://{}", self.folder.path().join("record.db").display())
    }

    fn beside(&self) -> PathBuf {
        self.folder.path().join("record.db.reached")
    }

    fn copy(&self, from: &Path, to: &Path) {
        for name in FILES {
            let _ = std::fs::remove_file(to.join(name));
            if from.join(name).exists() {
                std::fs::copy(from.join(name), to.join(name)).unwrap();
            }
        }
    }

    fn back_up(&self) -> tempfile::TempDir {
        let backup = temp_dir();
        self.copy(self.folder.path(), backup.path());
        backup
    }

    fn restore(&self, backup: &tempfile::TempDir) {
        self.copy(backup.path(), self.folder.path());
    }

    /// What the file beside it says.
    fn reached(&self) -> i64 {
        let text = std::fs::read_to_string(self.beside()).unwrap();
        let line = text.lines().find_map(|l| l.strip_prefix("commits ")).expect("it says so");
        line.parse().unwrap()
    }

    async fn commits(&self) -> i64 {
        raw::number(&self.url(), "SELECT commits FROM feed").await
    }
}

fn restored(url: &str) -> Settings {
    Settings { restored: true, ..bridge::settings(url) }
}

async fn opened(url: &str, at: &str) -> Result<(Store, WriterEnd), OpenError> {
    let entropy = Arc::new(Seeded::new(unique()));
    Store::open(&bridge::settings(url), Arc::new(rulebook()), Arc::new(SetClock::at(at)), entropy).await
}

async fn refused(url: &str) -> OpenError {
    match opened(url, START).await {
        Ok(_) => panic!("it was opened"),
        Err(e) => e,
    }
}

async fn writes_some(place: &Place, notes: usize) {
    let bridge = Bridge::on(&place.url()).await;
    let of = bridge.episode().await;
    for n in 0..notes {
        bridge.write(&of, &format!("Note {n}.")).await;
    }
    bridge.close().await;
}

#[tokio::test]
async fn an_older_database_in_the_place_of_a_newer_one_is_refused_with_what_to_do() {
    let place = Place::new();
    writes_some(&place, 2).await;
    let backup = place.back_up();
    writes_some(&place, 2).await;
    place.restore(&backup);
    let refused = refused(&place.url()).await;
    assert!(!refused.may_pass(), "a supervisor that tries again changes nothing");
    let said = refused.to_string();
    for part in ["is older than what was done", "serve --restored", "-wal", "record.db.reached"] {
        assert!(said.contains(part), "{part} is not in: {said}");
    }
    assert!(matches!(refused, OpenError::Older { is_another: false, commits, reached, .. } if commits < reached));
    // An empty one in its place is as old as can be.
    for name in FILES {
        let _ = std::fs::remove_file(place.folder.path().join(name));
    }
    assert!(matches!(self::refused(&place.url()).await, OpenError::Older { commits: 0, .. }));
}

#[tokio::test]
async fn another_database_is_refused_however_much_was_done_in_it() {
    let (place, other) = (Place::new(), Place::new());
    writes_some(&place, 1).await;
    let (store, end) = opened(&other.url(), "2026-01-01T00:00:00Z").await.unwrap();
    drop(store);
    end.await.unwrap();
    writes_some(&other, 5).await;
    place.restore(&other.back_up());
    let refused = refused(&place.url()).await;
    assert!(matches!(refused, OpenError::Older { is_another: true, .. }), "{refused}");
}

#[tokio::test]
async fn an_ordinary_start_is_never_refused_and_the_file_beside_is_exact_after_a_clean_stop() {
    let place = Place::new();
    for notes in [0, 3, 0, 1] {
        writes_some(&place, notes).await;
        assert_eq!(place.reached(), place.commits().await);
    }
    // The newest backup is no older than what was done.
    let backup = place.back_up();
    place.restore(&backup);
    writes_some(&place, 1).await;
    // Where the file was lost, or says nothing, it is as at a first start.
    std::fs::remove_file(place.beside()).unwrap();
    writes_some(&place, 1).await;
    std::fs::write(place.beside(), "commits 99999999").unwrap();
    writes_some(&place, 1).await;
    assert_eq!(place.reached(), place.commits().await);
    // A copy on another machine comes without it.
    let elsewhere = Place::new();
    elsewhere.restore(&place.back_up());
    writes_some(&elsewhere, 1).await;
}

#[tokio::test]
async fn while_a_bridge_runs_the_file_beside_follows_and_is_never_ahead_of_what_is_on_disk() {
    let place = Place::new();
    let bridge = Bridge::on(&place.url()).await;
    let of = bridge.episode().await;
    let first = place.reached();
    wait_until(Duration::from_secs(20), "the file to follow", async || {
        bridge.write(&of, "One more.").await;
        let (reached, commits) = (place.reached(), place.commits().await);
        assert!(reached <= commits, "{reached} of {commits}");
        reached > first
    })
    .await;
    // Killed at this moment it starts again: the file beside it is taken as it is, and what is in the log with the database.
    let left = Place::new();
    left.restore(&place.back_up());
    std::fs::copy(place.beside(), left.beside()).unwrap();
    let started = Bridge::on(&left.url()).await;
    started.close().await;
    bridge.close().await;
}

/// One delivery in each state in which something is open, and one that is filed.
async fn one_of_each(bridge: &Bridge) -> Vec<(&'static str, ips_bridge::domain::ids::DeliveryId)> {
    let mut all = Vec::new();
    for (word, sent) in [
        ("FILED", Some(Sent::Filed)),
        ("ACCEPTED", Some(Sent::Accepted)),
        ("PARKED", Some(Sent::Refused)),
        ("BACKING_OFF", Some(Sent::TryLater)),
        ("SENDING", None),
        ("QUEUED", None),
    ] {
        let of = bridge.episode().await;
        let delivery = bridge.write(&of, word).await.delivery();
        if let Some(sent) = sent {
            bridge.send(delivery, sent).await;
        } else if word == "SENDING" {
            let claimed = bridge.claim_only(&epr(), delivery).await;
            bridge.begin(&claimed).await;
        }
        assert_eq!(bridge.state(delivery).await, word);
        all.push((word, delivery));
    }
    all
}

async fn is_parked_for_a_person(test: &TestStore) {
    let bridge = Bridge::on(&test.url).await;
    let all = one_of_each(&bridge).await;
    bridge.close().await;
    let bridge = Bridge::with(&restored(&test.url), rulebook()).await;
    assert_eq!(bridge.store.park_restored().await.unwrap(), 4);
    for (word, delivery) in &all {
        let now = bridge.delivery(*delivery).await;
        let open = matches!(*word, "QUEUED" | "BACKING_OFF" | "SENDING");
        if !open {
            assert_eq!(now.state.word(), *word, "it is as it was");
            // It may have been put right and sent since: nobody says that it is not there.
            assert!(now.may_have_been_received(), "{word}");
            continue;
        }
        assert_eq!((now.state, now.park.as_ref().map(|p| p.reason)), (State::Parked, Some(ParkReason::OutcomeUnknown)));
        assert!(now.may_have_been_received(), "{word}");
        let looked = |acknowledged| Operation::Retry { may_be_in_record_acknowledged: acknowledged };
        if *word == "QUEUED" {
            let unlooked = bridge.operate(*delivery, looked(false)).await;
            assert_eq!(unlooked.unwrap_err(), WriteError::Refused(Refusal::MayBeInRecord));
        }
    }
    let audited = "SELECT COUNT(*) FROM audit WHERE action = 'delivery.park_restored' AND principal = 'bridge'";
    assert_eq!(raw::number(&test.url, audited).await, 4);
    // Nor when the lease of the time before has ended.
    raw::execute(&test.url, "UPDATE lane SET lease_until = 0, next_at = 0 WHERE lease_token IS NOT NULL").await;
    assert!(bridge.claim(&epr(), 100).await.is_empty(), "nothing goes by itself");
    assert_eq!(bridge.store.park_restored().await.unwrap(), 0);
    let (_, queued) = all[5];
    bridge.operate(queued, Operation::Retry { may_be_in_record_acknowledged: true }).await.unwrap();
    bridge.claim_only(&epr(), queued).await;
    bridge.check_columns().await;
    bridge.close().await;
    // From then on it is a record like any other.
    Bridge::on(&test.url).await.close().await;
}

#[tokio::test]
async fn what_would_be_sent_of_a_restored_record_is_parked_and_goes_only_when_a_person_has_looked() {
    for test in both() {
        is_parked_for_a_person(&test).await;
    }
}

#[tokio::test]
async fn a_withdrawal_and_what_it_withdraws_come_back_together() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let written = bridge.write(&of, "First.").await;
        let claimed = bridge.claim_only(&epr(), written.delivery()).await;
        bridge.begin(&claimed).await;
        let withdrawal = bridge.withdraw(&of, written.note).await.unwrap()[0];
        bridge.close().await;
        let bridge = Bridge::with(&restored(&test.url), rulebook()).await;
        bridge.store.park_restored().await.unwrap();
        // Nothing more is sent of what is withdrawn, and the withdrawal waits for a person.
        assert_eq!(bridge.state(written.delivery()).await, "CANCELLED");
        assert_eq!(bridge.parked(withdrawal).await, Some(ParkReason::OutcomeUnknown));
        bridge.check_columns().await;
        bridge.close().await;
    }
}

/// Its own record never tried it, and the far end has it: the one that was lost had sent it.
#[tokio::test]
async fn what_a_restored_record_never_sent_is_filed_by_a_list_that_has_it() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let written = bridge.write(&of, "First.").await.delivery();
        bridge.close().await;
        let bridge = Bridge::with(&restored(&test.url), rulebook()).await;
        bridge.store.park_restored().await.unwrap();
        let write = Reconcile {
            call: Call { actor: Actor::bridge(), scope: Scope::system(), request: None, trace: None },
            trust: rx9(),
            endpoint: epr(),
            documents: vec![InList { delivery: written, record_id: None, row: Raw(b"x".to_vec()) }],
            source: "list.csv".into(),
        };
        bridge.store.reconcile(write).await.unwrap();
        let now = bridge.delivery(written).await;
        assert_eq!((now.state.word(), now.attempts), ("FILED", 0));
        bridge.close().await;
    }
}

#[tokio::test]
async fn a_version_that_is_asked_about_and_the_one_that_replaces_it_both_wait_for_a_person() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let written = bridge.write(&of, "First.").await;
        bridge.send(written.delivery(), Sent::Silence).await;
        let newer = bridge.replace(&of, written.note, "Second.").await.unwrap()[0];
        let before = bridge.state(written.delivery()).await;
        bridge.close().await;
        let bridge = Bridge::with(&restored(&test.url), rulebook()).await;
        bridge.store.park_restored().await.unwrap();
        for delivery in [written.delivery(), newer] {
            assert_eq!(bridge.parked(delivery).await, Some(ParkReason::OutcomeUnknown), "{before}");
        }
        bridge.close().await;
    }
}

#[tokio::test]
async fn a_restore_that_broke_off_half_way_is_not_taken_for_one_that_is_through() {
    for had_a_file in [true, false] {
        let place = Place::new();
        writes_some(&place, 2).await;
        if !had_a_file {
            std::fs::remove_file(place.beside()).unwrap();
        }
        // Started, and stopped before anything was parked.
        let broken_off = Bridge::with(&restored(&place.url()), rulebook()).await;
        let of = broken_off.episode().await;
        broken_off.write(&of, "Meanwhile.").await;
        broken_off.close().await;
        assert!(matches!(refused(&place.url()).await, OpenError::Older { is_another: true, .. }));
        let bridge = Bridge::with(&restored(&place.url()), rulebook()).await;
        assert_eq!(bridge.store.park_restored().await.unwrap(), 3);
        bridge.close().await;
        writes_some(&place, 1).await;
    }
}
