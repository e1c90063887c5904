//! Watches: every change in commit order, resumed without a gap, ended cleanly.

use crate::api_samples::*;
use crate::api_support::{Bridge, RIO, SPARE, told};
use crate::support::stores;
use ips_bridge::wire::v1::{
    self, delivery_service_client::DeliveryServiceClient, referral_service_client::ReferralServiceClient,
};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::timeout;
use tonic::Streaming;

const PATIENCE: Duration = Duration::from_secs(20);

async fn next<T>(stream: &mut Streaming<T>) -> Option<T> {
    let message = timeout(PATIENCE, stream.message()).await.expect("a message in time");
    message.unwrap_or_else(|s| panic!("{}", told(&s)))
}

impl Bridge {
    async fn watch(&self, who: &str, endpoint_id: &str, resume_token: &str) -> Streaming<v1::WatchDeliveriesResponse> {
        let mut client = DeliveryServiceClient::new(self.channel(who).await);
        let request = v1::WatchDeliveriesRequest { endpoint_id: endpoint_id.into(), resume_token: resume_token.into() };
        client.watch_deliveries(request).await.expect("a watch").into_inner()
    }
}

#[tokio::test]
async fn a_watch_shows_each_delivery_and_every_later_change() {
    for store in stores() {
        let bridge = Bridge::start_on(&store.url).await;
        let referral = bridge.referral().await;
        let before = bridge.note(&referral.id, "Before the watch.").await;
        bridge.send_all(Outcome::Positive).await;
        let mut watch = bridge.watch("worker", "", "").await;
        let after = bridge.note(&referral.id, "After.").await;
        let seen = next(&mut watch).await.unwrap();
        let seen = seen.delivery.unwrap();
        assert_eq!((&seen.id, seen.state()), (&after.deliveries[0].id, v1::DeliveryState::Queued));
        assert_ne!(seen.id, before.deliveries[0].id, "a watch without a token begins now");
        bridge.send_all(Outcome::Positive).await;
        // Changes in quick succession may come as one, never none.
        loop {
            let change = next(&mut watch).await.unwrap().delivery.unwrap();
            assert_eq!(change.id, after.deliveries[0].id);
            if change.state() == v1::DeliveryState::Filed {
                break;
            }
        }
        drop(watch);
        bridge.end().await;
    }
}

/// Writers race; the watch is cut off again and again; still nothing is missed and nothing comes out of order.
#[tokio::test]
async fn a_resumed_watch_misses_nothing_while_others_write() {
    const NOTES: usize = 60;
    for store in stores() {
        let bridge = Bridge::start_on(&store.url).await;
        let referral = bridge.referral().await;
        let mut watch = bridge.watch("worker", RIO, "").await;
        let writers = async {
            let one = async |w: usize| {
                for i in 0..NOTES / 3 {
                    bridge.note(&referral.id, &format!("Note {i} of writer {w}.")).await;
                }
            };
            tokio::join!(one(0), one(1), one(2));
        };
        let watching = async {
            let mut seen: BTreeMap<String, i64> = BTreeMap::new();
            let mut token = String::new();
            let mut since_cut = 0;
            while seen.len() < NOTES {
                let change = next(&mut watch).await.expect("the stream stays open");
                let delivery = change.delivery.unwrap();
                let newest = seen.insert(delivery.id.clone(), delivery.version);
                assert!(newest.is_none_or(|v| v < delivery.version), "{} came twice", delivery.id);
                token = change.resume_token;
                since_cut += 1;
                if since_cut == 7 {
                    since_cut = 0;
                    watch = bridge.watch("worker", RIO, &token).await;
                }
            }
            (seen, token)
        };
        let ((seen, token), ()) = tokio::join!(watching, writers);
        assert_eq!(seen.len(), NOTES);
        // Nothing is left behind the last token.
        let mut rest = bridge.watch("worker", RIO, &token).await;
        assert!(timeout(Duration::from_millis(300), rest.message()).await.is_err(), "nothing more to tell");
        drop((rest, watch));
        bridge.end().await;
    }
}

#[tokio::test]
async fn a_token_from_long_ago_brings_everything_since() {
    let bridge = Bridge::start().await;
    let referral = bridge.referral().await;
    let mut watch = bridge.watch("worker", "", "").await;
    bridge.note(&referral.id, "The first.").await;
    let token = next(&mut watch).await.unwrap().resume_token;
    drop(watch);
    // More than one batch.
    let mut written = Vec::new();
    for i in 0..130 {
        written.push(bridge.note(&referral.id, &format!("Note {i}.")).await.deliveries.remove(0).id);
    }
    let mut watch = bridge.watch("worker", "", &token).await;
    for id in written {
        assert_eq!(next(&mut watch).await.unwrap().delivery.unwrap().id, id);
    }
}

#[tokio::test]
async fn a_watch_shows_only_what_its_caller_and_filter_allow() {
    let bridge = Bridge::start().await;
    let referral = bridge.referral().await;
    let east = v1::CreateReferralRequest {
        details: Some(v1::ReferralDetails { team: "ips-east".into(), ..referral_details("") }),
        ..create("RXX", "")
    };
    let east: v1::CreateReferralResponse = bridge.done("worker", "ReferralService/CreateReferral", &east).await;
    let mut spare = bridge.watch("worker", SPARE, "").await;
    let mut epr = bridge.watch("epr-spare", "", "").await;
    let mut other = bridge.watch("other", "", "").await;
    bridge.note(&referral.id, "For RiO.").await;
    let there = bridge.note(&east.referral.unwrap().id, "For the spare.").await.deliveries.remove(0);
    for watch in [&mut spare, &mut epr] {
        assert_eq!(next(watch).await.unwrap().delivery.unwrap().id, there.id);
    }
    let foreign: v1::CreateReferralResponse =
        bridge.done("other", "ReferralService/CreateReferral", &create("RYY", "")).await;
    let written: v1::WriteProgressNoteResponse =
        bridge.done("other", "ProgressNoteService/WriteProgressNote", &write(&foreign.referral.unwrap().id, "x")).await;
    assert_eq!(next(&mut other).await.unwrap().delivery.unwrap().id, written.deliveries[0].id);
}

#[tokio::test]
async fn referrals_are_watched_with_their_changes() {
    for store in stores() {
        let bridge = Bridge::start_on(&store.url).await;
        let mut client = ReferralServiceClient::new(bridge.channel("worker").await);
        let mut masked = ReferralServiceClient::new(bridge.channel("integrator").await);
        let request = || v1::WatchReferralsRequest { trust_ods: "RXX".into(), resume_token: String::new() };
        let mut watch = client.watch_referrals(request()).await.unwrap().into_inner();
        let mut without_text = masked.watch_referrals(request()).await.unwrap().into_inner();
        let referral = bridge.referral().await;
        let seen = next(&mut watch).await.unwrap();
        assert_eq!(seen.referral.as_ref(), Some(&referral));
        assert_eq!(next(&mut without_text).await.unwrap().referral.unwrap().details.unwrap().reason, None);
        drop(watch);
        let accept = v1::AcceptReferralRequest {
            request_id: request_id(),
            referral_id: referral.id.clone(),
            assigned_to: author(),
            author: author(),
        };
        let _: v1::AcceptReferralResponse = bridge.done("worker", "ReferralService/AcceptReferral", &accept).await;
        let resumed = v1::WatchReferralsRequest { resume_token: seen.resume_token, ..request() };
        let mut watch = client.watch_referrals(resumed).await.unwrap().into_inner();
        let seen = next(&mut watch).await.unwrap().referral.unwrap();
        assert_eq!((seen.id, seen.version, seen.state), (referral.id, 2, i32::from(v1::ReferralState::Accepted)));
        drop((watch, without_text));
        bridge.end().await;
    }
}

#[tokio::test]
async fn a_watch_ends_cleanly_when_the_bridge_stops() {
    let bridge = Bridge::start().await;
    let referral = bridge.referral().await;
    let mut watch = bridge.watch("worker", "", "").await;
    bridge.note(&referral.id, "One.").await;
    assert!(next(&mut watch).await.is_some());
    bridge.stop.cancel();
    assert!(next(&mut watch).await.is_none(), "no error: the caller resumes with its last token");
    drop(watch);
    timeout(PATIENCE, bridge.end()).await.expect("it ends, too");
}

#[tokio::test]
async fn only_so_many_streams_are_open_at_once_and_a_closed_one_makes_room() {
    let store = stores().next().unwrap();
    let bridge = Bridge::start_with(&store.url, Default::default(), |parts| parts.settings.max_streams = 1).await;
    let watch = bridge.watch("worker", "", "").await;
    let refused =
        bridge.reason("auditor", "DeliveryService/WatchDeliveries", &v1::WatchDeliveriesRequest::default()).await;
    assert_eq!(refused, "QUEUE_FULL");
    drop(watch);
    let mut client = DeliveryServiceClient::new(bridge.channel("auditor").await);
    crate::support::wait_until(PATIENCE, "room for a stream", async || {
        client.watch_deliveries(v1::WatchDeliveriesRequest::default()).await.is_ok()
    })
    .await;
    bridge.end().await;
}
