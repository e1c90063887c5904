//! Feeds: a reader that follows positions sees every change, whoever commits it and however late.

use super::*;
use ips_bridge::domain::ids::{DeliveryId, ReferralId};
use ips_bridge::store::Scope;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[tokio::test]
async fn a_reader_that_follows_positions_misses_nothing_that_is_committed_meanwhile() {
    for test in both() {
        let bridge = Arc::new(Bridge::on(&test.url).await);
        let other = if bridge.is_sqlite() { bridge.clone() } else { Arc::new(Bridge::on(&test.url).await) };
        let done = Arc::new(AtomicBool::new(false));
        let reader = tokio::spawn({
            let (bridge, done) = (bridge.clone(), done.clone());
            async move {
                let scope = Scope::trusts([rx9()]);
                let (mut at, mut referrals_at) = (0, 0);
                let (mut seen, mut referrals) = (BTreeSet::new(), BTreeSet::new());
                loop {
                    let last = done.load(Ordering::SeqCst);
                    let page = bridge.store.deliveries_since(&scope, None, at, 7).await.unwrap();
                    assert!(page.windows(2).all(|w| w[0].0 < w[1].0));
                    at = page.last().map_or(at, |d| d.0);
                    seen.extend(page.iter().map(|(_, d)| d.id));
                    let page_of_referrals = bridge.store.referrals_since(&scope, None, referrals_at, 7).await.unwrap();
                    referrals_at = page_of_referrals.last().map_or(referrals_at, |r| r.0);
                    referrals.extend(page_of_referrals.iter().map(|(_, r)| r.id));
                    if last && page.is_empty() && page_of_referrals.is_empty() {
                        return (seen, referrals);
                    }
                }
            }
        });
        let writers: Vec<_> = (0..12)
            .map(|n| {
                let bridge = if n % 2 == 0 { bridge.clone() } else { other.clone() };
                tokio::spawn(async move {
                    let mut made: (Vec<DeliveryId>, Vec<ReferralId>) = Default::default();
                    let of = bridge.episode().await;
                    made.1.push(of.referral);
                    for k in 0..15 {
                        made.0.extend(bridge.write(&of, &format!("Note {k}")).await.deliveries);
                    }
                    made
                })
            })
            .collect();
        let (mut deliveries, mut referrals) = (BTreeSet::new(), BTreeSet::new());
        for writer in writers {
            let made = writer.await.unwrap();
            deliveries.extend(made.0);
            referrals.extend(made.1);
        }
        done.store(true, Ordering::SeqCst);
        let (seen, seen_referrals) = reader.await.unwrap();
        assert_eq!(seen, deliveries);
        assert_eq!(seen_referrals, referrals);
    }
}

#[tokio::test]
async fn a_delivery_that_changes_comes_again_as_it_is_now() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let scope = Scope::trusts([rx9()]);
        let of = bridge.episode().await;
        let first = bridge.write(&of, "First.").await.delivery();
        let second = bridge.write(&of, "Second.").await.delivery();
        let all = bridge.store.deliveries_since(&scope, None, 0, 100).await.unwrap();
        assert_eq!(all.iter().map(|(_, d)| d.id).collect::<Vec<_>>(), [first, second]);
        let watched = *bridge.store.position().borrow();
        assert_eq!(all[1].0, watched);
        bridge.send(first, Sent::Filed).await;
        let news = bridge.store.deliveries_since(&scope, Some(&epr()), watched, 100).await.unwrap();
        assert_eq!(news.iter().map(|(_, d)| (d.id, d.state.word())).collect::<Vec<_>>(), [(first, "FILED")]);
        assert!(bridge.store.deliveries_since(&scope, Some(&anew()), 0, 100).await.unwrap().is_empty());
        bridge.close().await;
        // Positions go on where they were.
        let bridge = Bridge::on(&test.url).await;
        assert_eq!(*bridge.store.position().borrow(), news[0].0);
        bridge.close().await;
    }
}

#[tokio::test]
async fn watchers_are_woken_by_the_commit() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let mut position = bridge.store.position();
        let before = *position.borrow_and_update();
        bridge.write(&of, "Wake up.").await;
        assert!(position.has_changed().unwrap());
        assert!(*position.borrow() > before);
        bridge.close().await;
    }
}
