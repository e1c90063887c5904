//! What of an endpoint waits, as whoever watches it is told.

use super::bridge::{Episode, Written};
use super::*;
use ips_bridge::domain::delivery::Delivery;
use ips_bridge::domain::ids::DeliveryId;
use ips_bridge::store::write::{Operation, WriteNote};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// A note to somebody new, a second after the last.
async fn written(bridge: &Bridge) -> (Episode, Written) {
    bridge.clock.advance(Duration::from_secs(1));
    let of = bridge.episode().await;
    let written = bridge.write(&of, "Note.").await;
    (of, written)
}

/// The same, and what came of sending it.
async fn sent(bridge: &Bridge, sent: Sent) -> (Episode, Written) {
    let (of, written) = written(bridge).await;
    bridge.send(written.delivery(), sent).await;
    (of, written)
}

/// One that is held back for an hour.
async fn held_back(bridge: &Bridge) -> DeliveryId {
    bridge.clock.advance(Duration::from_secs(1));
    let of = bridge.episode().await;
    let write = WriteNote { release_after: Some(HOUR), ..bridge.note(&of, note("Held back.")) };
    bridge.store.write_note(write).await.unwrap().answer().deliveries[0]
}

async fn begun(bridge: &Bridge, delivery: DeliveryId) -> Delivery {
    let claimed = bridge.claim_only(&epr(), delivery).await;
    bridge.begin(&claimed).await;
    bridge.delivery(delivery).await
}

#[tokio::test]
async fn only_what_nothing_holds_is_unexplained() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        // In a chain whose first version nobody knows of yet; behind another of the same patient that backs off.
        let (of, received) = sent(&bridge, Sent::Accepted).await;
        bridge.replace(&of, received.note, "Newer.").await.unwrap();
        let (_, stuck) = written(&bridge).await;
        let stuck = begun(&bridge, stuck.delivery()).await;
        let (_, sending) = written(&bridge).await;
        begun(&bridge, sending.delivery()).await;
        let (of, _) = sent(&bridge, Sent::TryLater).await;
        bridge.write(&of, "Behind it.").await;
        held_back(&bridge).await;
        let (_, free) = written(&bridge).await;
        let unexplained =
            async |waits: Duration| bridge.store.unexplained(&epr(), bridge.now() - waits, bridge.now()).await.unwrap();
        bridge.clock.advance(4 * MINUTE);
        assert!(unexplained(5 * MINUTE).await.is_empty(), "it may still be its turn");
        written(&bridge).await;
        bridge.clock.advance(2 * MINUTE);
        assert_eq!(unexplained(5 * MINUTE).await, [free.delivery()]);
        // Whoever sent it is gone long since, and nobody has looked.
        let id = stuck.id.0.simple();
        let id = if bridge.is_sqlite() { format!("x'{id}'") } else { format!("'{id}'") };
        raw::execute(&test.url, &format!("UPDATE lane SET lease_until = 0, next_at = 0 WHERE delivery_id = {id}"))
            .await;
        assert_eq!(unexplained(5 * MINUTE).await, [stuck.id, free.delivery()], "the oldest first");
        bridge.close().await;
    }
}

#[tokio::test]
async fn what_does_not_get_through_for_a_day_is_told_unless_a_person_or_the_one_before_it_is_why() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let (of, received) = sent(&bridge, Sent::Accepted).await;
        bridge.replace(&of, received.note, "Waits for what is not settled.").await.unwrap();
        let (_, refused) = sent(&bridge, Sent::Refused).await;
        let (of, received) = sent(&bridge, Sent::Accepted).await;
        let withdrawal = bridge.withdraw(&of, received.note).await.unwrap()[0];
        let (_, backs_off) = sent(&bridge, Sent::TryLater).await;
        let held = held_back(&bridge).await;
        let (_, waits) = written(&bridge).await;
        let slow = async || bridge.store.unsettled_since(&epr(), bridge.now() - 24 * HOUR).await.unwrap();
        bridge.clock.advance(23 * HOUR);
        assert!(slow().await.is_empty());
        bridge.clock.advance(HOUR + HOUR / 2);
        bridge.operate(refused.delivery(), Operation::Retry { may_be_in_record_acknowledged: true }).await.unwrap();
        // Taken up and put back by the bridge itself it is no younger.
        for claimed in bridge.claim(&epr(), 100).await {
            bridge.put_back(&claimed).await;
        }
        assert_eq!(slow().await, [withdrawal, backs_off.delivery(), waits.delivery()], "the oldest first");
        bridge.clock.advance(HOUR);
        assert!(slow().await.contains(&held), "released a day ago");
        bridge.clock.advance(24 * HOUR);
        assert!(slow().await.contains(&refused.delivery()), "a day after a person looked");
        bridge.close().await;
    }
}

#[tokio::test]
async fn of_many_the_oldest_twenty_are_named_and_all_that_are_parked_are_counted() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let mut made = Vec::new();
        for _ in 0..25 {
            made.push(written(&bridge).await.1.delivery());
        }
        bridge.clock.advance(25 * HOUR);
        let now = bridge.now();
        assert_eq!(bridge.store.unexplained(&epr(), now, now).await.unwrap(), made[..20]);
        assert_eq!(bridge.store.unsettled_since(&epr(), now - 24 * HOUR).await.unwrap(), made[..20]);
        assert!(bridge.store.parked_by_reason(&epr()).await.unwrap().is_empty());
        bridge.send(made[0], Sent::Refused).await;
        for stopped in &made[1..] {
            bridge.operate(*stopped, Operation::Park).await.unwrap();
        }
        let parked = bridge.store.parked_by_reason(&epr()).await.unwrap();
        assert_eq!(parked, [("BY_PERSON".to_owned(), 24), ("REFUSED".to_owned(), 1)]);
        assert!(bridge.store.parked_by_reason(&anew()).await.unwrap().is_empty());
        bridge.close().await;
    }
}
