//! One message that comes several times at once.

use crate::inbound_patients::{PID, adt, message, quiet};
use crate::store::raw;
use crate::support::bridge;
use crate::support::stores;
use ips_bridge::inbound::receive;
use std::collections::BTreeSet;

/// A sender that gives up waiting sends again, by another connection: both may be in hand at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_message_that_comes_several_times_at_once_is_taken_once_and_answered_alike() {
    for store in stores() {
        let bridge = quiet(&store.url).await;
        let source = bridge.source();
        let referral = format!("RF1||R||||X1^EPR\nPRD|RP|ADEYEMI^TUNDE\nPRD|RT||||||{}\n{PID}", bridge::TEAM);
        let referral = message("REF^I12", 1, &referral);
        let remembered = raw::number(&store.url, "SELECT COUNT(*) FROM request").await;
        let referrals = raw::number(&store.url, "SELECT COUNT(*) FROM referral").await;
        for bytes in [adt("A31", 20, &format!("{PID}|F")), b"no message at all".to_vec(), referral] {
            let before = raw::number(&store.url, "SELECT COUNT(*) FROM inbound").await;
            let mut calls = tokio::task::JoinSet::new();
            for _ in 0..8 {
                let (source, bytes) = (source.clone(), bytes.clone());
                calls.spawn(async move { receive(&source, bytes).await });
            }
            let answers: BTreeSet<Vec<Vec<u8>>> = calls.join_all().await.into_iter().collect();
            assert_eq!(answers.len(), 1, "the same answer, to the byte");
            assert_eq!(raw::number(&store.url, "SELECT COUNT(*) FROM inbound").await, before + 1);
            assert_eq!(receive(&source, bytes).await, *answers.first().expect("one"), "and later");
            assert_eq!(raw::number(&store.url, "SELECT COUNT(*) FROM inbound").await, before + 1);
        }
        assert_eq!(raw::number(&store.url, "SELECT COUNT(*) FROM referral").await, referrals + 1);
        let now = raw::number(&store.url, "SELECT COUNT(*) FROM request").await;
        assert_eq!(now, remembered, "the message is kept, and its id with it: no request id beside it");
        drop(source);
        bridge.stop().await;
    }
}
