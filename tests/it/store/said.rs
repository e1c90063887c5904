//! What the far end says of a document by a call of its own.

use super::*;
use ips_bridge::domain::delivery::{EvidenceKind, ParkReason};
use ips_bridge::domain::ids::DeliveryId;
use ips_bridge::domain::organisation::EndpointId;
use ips_bridge::domain::verdict::{Level, Meaning, Verdict};
use ips_bridge::store::record::Answered;
use ips_bridge::store::write::{Call, Operation, Said};
use ips_bridge::store::{Refusal, WriteError};

fn filed(record_id: &str) -> Verdict {
    Verdict { record_id: Some(record_id.into()), ..verdict(Meaning::Positive, Level::Application, "filed") }
}

fn refused() -> Verdict {
    verdict(Meaning::Refused, Level::Application, "W-204")
}

fn said(bridge: &Bridge, delivery: DeliveryId, control_id: Option<String>, verdict: Verdict) -> Said {
    Said {
        call: call(&rx9()),
        endpoint: epr(),
        delivery,
        control_id,
        evidence: EvidenceKind::VendorReport,
        action: "delivery.report",
        reply: bridge.reply(&epr(), verdict),
    }
}

async fn say(bridge: &Bridge, said: Said) -> Result<Answered, WriteError> {
    bridge.store.said(said).await
}

#[tokio::test]
async fn what_is_said_counts_once_and_is_answered_the_same() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let delivery = bridge.write(&of, "First.").await.delivery();
        bridge.send(delivery, Sent::Accepted).await;
        let control_id = Some(bridge.control_id(delivery).await);
        let first = said(&bridge, delivery, control_id.clone(), filed("R-1"));
        let call = first.call.clone();
        let fresh = say(&bridge, first).await.unwrap();
        assert_eq!(bridge.state(delivery).await, "FILED");
        let repeated =
            say(&bridge, Said { call: call.clone(), ..said(&bridge, delivery, control_id.clone(), filed("R-1")) });
        let Answered::Repeated(repeated) = repeated.await.unwrap() else { panic!("it was answered before") };
        assert_eq!(&repeated, fresh.answer());
        // Another request that says the same changes nothing.
        let version = bridge.delivery(delivery).await.version;
        say(&bridge, said(&bridge, delivery, control_id.clone(), filed("R-1"))).await.unwrap();
        let now = bridge.delivery(delivery).await;
        assert_eq!((now.version, now.record_id.as_deref()), (version, Some("R-1")));
        // A refusal contradicts what was filed.
        say(&bridge, said(&bridge, delivery, control_id, refused())).await.unwrap();
        assert_eq!(bridge.parked(delivery).await, Some(ParkReason::FilingContradicted));
        bridge.check_columns().await;
        bridge.close().await;
    }
}

/// Two ids of the record's for one document are perhaps two copies of it.
#[tokio::test]
async fn a_second_record_id_is_kept_and_a_person_looks() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let delivery = bridge.write(&of, "First.").await.delivery();
        bridge.send(delivery, Sent::Accepted).await;
        say(&bridge, said(&bridge, delivery, None, filed("R-1"))).await.unwrap();
        let second = said(&bridge, delivery, None, filed("R-2"));
        let kept = second.reply.id;
        say(&bridge, second).await.unwrap();
        assert_eq!(bridge.parked(delivery).await, Some(ParkReason::FilingContradicted));
        assert_eq!(bridge.delivery(delivery).await.record_id.as_deref(), Some("R-1"));
        assert!(bridge.store.has_reply(kept).await.unwrap(), "the statement is kept");
        bridge.close().await;
    }
}

/// An acknowledgement, a list and the vendor may each write the record's id in their own way.
#[tokio::test]
async fn an_id_that_others_gave_is_contradicted_by_nobody() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let delivery = bridge.write(&of, "First.").await.delivery();
        bridge.send(delivery, Sent::Accepted).await;
        let of_list = Said { evidence: EvidenceKind::Reconciled, ..said(&bridge, delivery, None, filed("DOC/7")) };
        say(&bridge, of_list).await.unwrap();
        for _ in 0..2 {
            say(&bridge, said(&bridge, delivery, None, filed("7"))).await.unwrap();
        }
        let of_list = Said { evidence: EvidenceKind::Reconciled, ..said(&bridge, delivery, None, filed("DOC/7")) };
        say(&bridge, of_list).await.unwrap();
        assert_eq!(bridge.state(delivery).await, "FILED");
        bridge.close().await;
    }
}

/// Received, and not filed yet.
async fn two_patients_documents(bridge: &Bridge) -> [DeliveryId; 2] {
    let (of, other) = (bridge.episode().await, bridge.refer(&rx9(), numbered("9990000026"), "east").await);
    let documents = [bridge.write(&of, "First.").await.delivery(), bridge.write(&other, "Second.").await.delivery()];
    for delivery in documents {
        bridge.send(delivery, Sent::Accepted).await;
    }
    documents
}

#[tokio::test]
async fn the_record_id_of_another_patients_document_is_refused_and_changes_nothing() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let [first, second] = two_patients_documents(&bridge).await;
        say(&bridge, said(&bridge, first, None, filed("R-1"))).await.unwrap();
        let before = bridge.delivery(second).await;
        for control_id in [None, Some(bridge.control_id(second).await)] {
            let refused = say(&bridge, said(&bridge, second, control_id, filed("R-1"))).await;
            let Err(WriteError::Refused(Refusal::WrongState(why))) = refused else { panic!("{refused:?}") };
            assert!(why.contains("another patient"), "{why}");
        }
        assert_eq!((bridge.delivery(second).await, bridge.state(first).await), (before, "FILED"));
        say(&bridge, said(&bridge, second, None, filed("R-2"))).await.unwrap();
        assert_eq!(bridge.state(second).await, "FILED");
        bridge.close().await;
    }
}

/// Whoever looks at the one in doubt is shown the id as its own.
#[tokio::test]
async fn the_record_id_of_another_patients_document_is_refused_also_while_that_one_is_in_doubt() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let [first, second] = two_patients_documents(&bridge).await;
        for id in ["R-1", "R-2"] {
            say(&bridge, said(&bridge, first, None, filed(id))).await.unwrap();
        }
        assert_eq!(bridge.parked(first).await, Some(ParkReason::FilingContradicted));
        let refused = say(&bridge, said(&bridge, second, None, filed("R-1"))).await;
        assert!(matches!(refused, Err(WriteError::Refused(Refusal::WrongState(_)))), "{refused:?}");
        assert_eq!(bridge.state(second).await, "ACCEPTED");
        bridge.close().await;
    }
}

/// T11 bears the id of the document it takes back.
#[tokio::test]
async fn the_id_of_a_withdrawn_document_names_nothing_for_certain() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let note = bridge.write(&of, "First.").await;
        let delivery = note.delivery();
        bridge.send(delivery, Sent::Silence).await;
        let withdrawal = bridge.withdraw(&of, note.note).await.unwrap()[0];
        bridge.send(withdrawal, Sent::Accepted).await;
        let by_document = say(&bridge, said(&bridge, delivery, None, filed("R-1"))).await;
        assert!(matches!(by_document, Err(WriteError::Refused(Refusal::WrongState(_)))), "{by_document:?}");
        let control_id = Some(bridge.control_id(withdrawal).await);
        say(&bridge, said(&bridge, withdrawal, control_id, filed("R-1"))).await.unwrap();
        assert_eq!(bridge.state(withdrawal).await, "FILED");
        assert_ne!(bridge.state(delivery).await, "FILED");
        bridge.close().await;
    }
}

/// Perhaps another bridge has it in hand: its stream cannot be told from here.
#[tokio::test]
async fn what_is_on_its_way_is_answered_by_whoever_speaks_of_it() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let delivery = bridge.write(&of, "First.").await.delivery();
        let claimed = bridge.claim_only(&epr(), delivery).await;
        let attempt = bridge.begin(&claimed).await;
        say(&bridge, said(&bridge, delivery, None, filed("R-1"))).await.unwrap();
        assert_eq!(bridge.state(delivery).await, "FILED");
        // Its own attempt ends without an answer: that takes nothing back, and sends nothing again.
        bridge.settle(&claimed, attempt, Sent::Silence).await;
        assert_eq!(bridge.state(delivery).await, "FILED");

        let refused_one = bridge.write(&of, "Second.").await.delivery();
        let claimed = bridge.claim_only(&epr(), refused_one).await;
        let attempt = bridge.begin(&claimed).await;
        let control_id = Some(bridge.control_id(refused_one).await);
        say(&bridge, said(&bridge, refused_one, control_id, refused())).await.unwrap();
        bridge.settle(&claimed, attempt, Sent::Accepted).await;
        assert_eq!(bridge.parked(refused_one).await, Some(ParkReason::Refused));
        bridge.check_columns().await;
        bridge.close().await;
    }
}

#[tokio::test]
async fn a_message_made_for_another_identity_files_nothing_by_its_control_id() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.refer(&rx9(), numbered("9990000018"), "east").await;
        let delivery = bridge.write(&of, "First.").await.delivery();
        bridge.send(delivery, Sent::Silence).await;
        bridge.operate(delivery, Operation::Park).await.unwrap();
        let before = bridge.control_id(delivery).await;
        people::update(&bridge, &of, 1, numbered("9990000026")).await.unwrap();
        bridge.operate(delivery, Operation::Rerender { may_be_in_record_acknowledged: true }).await.unwrap();
        say(&bridge, said(&bridge, delivery, Some(before), filed("R-1"))).await.unwrap();
        assert_eq!(bridge.parked(delivery).await, Some(ParkReason::MayAlreadyBeFiled));
        bridge.operate(delivery, Operation::Rerender { may_be_in_record_acknowledged: true }).await.unwrap();
        bridge.send(delivery, Sent::Accepted).await;
        // By the document's id nobody can tell which of the two is meant; by the message's own they can.
        say(&bridge, said(&bridge, delivery, None, filed("R-1"))).await.unwrap();
        assert_eq!(bridge.parked(delivery).await, Some(ParkReason::MayAlreadyBeFiled));
        let now = bridge.control_id(delivery).await;
        say(&bridge, said(&bridge, delivery, Some(now), filed("R-1"))).await.unwrap();
        assert_eq!(bridge.state(delivery).await, "FILED");
        bridge.close().await;
    }
}

#[tokio::test]
async fn nobody_speaks_of_what_never_left_is_elsewhere_or_is_not_theirs() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let sent = bridge.write(&of, "First.").await.delivery();
        bridge.send(sent, Sent::Accepted).await;
        let control_id = bridge.control_id(sent).await;
        let never = bridge.write(&of, "Second.").await.delivery();
        let ours = |delivery, control_id| said(&bridge, delivery, control_id, filed("R-1"));
        let stranger: Call = call(&ry9());
        let elsewhere: EndpointId = anew();
        for said in [
            ours(never, None),
            ours(never, Some(control_id.clone())),
            ours(sent, Some(format!("{control_id}x"))),
            Said { endpoint: elsewhere, ..ours(sent, None) },
            Said { call: stranger, ..ours(sent, Some(control_id.clone())) },
        ] {
            let refused = say(&bridge, said).await;
            assert!(matches!(refused, Err(WriteError::Refused(Refusal::NotFound("document")))), "{refused:?}");
        }
        assert_eq!(bridge.state(sent).await, "ACCEPTED");
        bridge.close().await;
    }
}
