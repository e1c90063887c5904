//! What people do to deliveries and endpoints, and the backlog they can print.

use crate::api_lists::audited;
use crate::api_samples::*;
use crate::api_support::{Bridge, RIO, SPARE, ods, reason_of};
use crate::support::stores;
use ips_bridge::domain::ambient::Clock;
use ips_bridge::domain::delivery::ParkReason;
use ips_bridge::domain::organisation::EndpointId;
use ips_bridge::store::Scope;
use ips_bridge::store::record::Actor;
use ips_bridge::store::write::{Call, Operate, Operation};
use ips_bridge::wire::v1::{self, delivery_service_client::DeliveryServiceClient};
use tonic::Code;

fn retry(ids: &[&str]) -> v1::RetryDeliveriesRequest {
    v1::RetryDeliveriesRequest {
        request_id: request_id(),
        selection: Some(v1::DeliverySelection {
            delivery_ids: ids.iter().map(|i| (*i).to_owned()).collect(),
            ..Default::default()
        }),
        reason: "mended".into(),
        dry_run: false,
        acknowledge_may_be_in_record: true,
    }
}

#[tokio::test]
async fn what_can_be_retried_is_and_what_cannot_is_named() {
    for store in stores() {
        let bridge = Bridge::start_on(&store.url).await;
        let referral = bridge.referral().await;
        let refused = bridge.note(&referral.id, "One.").await.deliveries.remove(0).id;
        bridge.send_all(Outcome::Refused).await;
        let queued = bridge.note(&referral.id, "Two.").await.deliveries.remove(0).id;
        let rpc = "DeliveryService/RetryDeliveries";
        let dry = v1::RetryDeliveriesRequest { dry_run: true, ..retry(&[&refused, &queued, &refused]) };
        let would: v1::RetryDeliveriesResponse = bridge.done("integrator", rpc, &dry).await;
        assert_eq!(
            bridge.delivery("worker", &refused).await.state(),
            v1::DeliveryState::Parked,
            "a dry run changes nothing"
        );
        let done: v1::RetryDeliveriesResponse =
            bridge.done("integrator", rpc, &retry(&[&refused, &queued, &refused])).await;
        assert_eq!(would, done, "and says what would happen");
        assert_eq!((done.matched, done.retried, done.delivery_ids), (2, 1, vec![refused.clone()]));
        let why = "the delivery is QUEUED; a retry needs PARKED".to_owned();
        let reason = v1::ErrorReason::WrongState.into();
        assert_eq!(done.not_retried, [v1::NotRetried { delivery_id: queued.clone(), reason, why }]);
        assert_eq!(bridge.delivery("worker", &refused).await.state(), v1::DeliveryState::Queued);
        // It goes first, and is filed after all.
        let settled = bridge.send_all(Outcome::Positive).await;
        assert_eq!(settled[0].id.to_string(), refused);
        bridge.end().await;
    }
}

#[tokio::test]
async fn of_many_that_are_retried_at_once_the_oldest_go_back_first() {
    for store in stores() {
        let bridge = Bridge::start_on(&store.url).await;
        let referral = bridge.referral().await;
        // More than are put back in one commit, in one lane.
        let mut written = Vec::new();
        for n in 0..205 {
            bridge.clock.advance(std::time::Duration::from_millis(1));
            written.push(bridge.note(&referral.id, &format!("Note {n}.")).await.deliveries.remove(0).id);
        }
        let park = Operate {
            call: Call {
                actor: Actor { principal: "integrator".into(), role: "integrator".into() },
                scope: Scope::trusts([ods("RXX")]),
                request: None,
                trace: None,
            },
            deliveries: written.iter().map(|id| id.parse().unwrap()).collect(),
            operation: Operation::Park,
            reason: "look first".into(),
            single: false,
        };
        bridge.store.operate(park).await.unwrap();
        let rpc = "DeliveryService/RetryDeliveries";
        let all = v1::DeliverySelection {
            endpoint_id: RIO.into(),
            park_reason: v1::ParkReason::ByPerson.into(),
            ..Default::default()
        };
        let newest_first: Vec<&str> = written.iter().rev().map(String::as_str).collect();
        let named = retry(&newest_first).selection;
        for selection in [Some(all.clone()), named] {
            let dry = v1::RetryDeliveriesRequest { selection, dry_run: true, ..retry(&[]) };
            let would: v1::RetryDeliveriesResponse = bridge.done("integrator", rpc, &dry).await;
            assert_eq!(would.delivery_ids, written);
        }
        let bulk = v1::RetryDeliveriesRequest { selection: Some(all), ..retry(&[]) };
        let done: v1::RetryDeliveriesResponse = bridge.done("integrator", rpc, &bulk).await;
        assert_eq!(done.delivery_ids, written, "part by part");
        let again: v1::RetryDeliveriesResponse = bridge.done("integrator", rpc, &bulk).await;
        assert_eq!(again, done);
        bridge.end().await;
    }
}

#[tokio::test]
async fn whoever_watches_an_endpoint_is_told_what_waits_for_whom_and_reads_no_delivery() {
    for store in stores() {
        let bridge = Bridge::start_on(&store.url).await;
        let referral = bridge.referral().await;
        bridge.note(&referral.id, "One.").await;
        bridge.note(&referral.id, "Two.").await;
        bridge.send_all(Outcome::Refused).await;
        bridge.send_all(Outcome::Held(ParkReason::TextTooLong)).await;
        let waits = bridge.note(&referral.id, "Three.").await.deliveries.remove(0).id;
        let audited_before = audited(&store.url).await.len();
        let ask = v1::GetEndpointStatusRequest { endpoint_id: RIO.into() };
        let status = async || -> v1::EndpointStatus {
            let mut told: v1::GetEndpointStatusResponse =
                bridge.done("auditor", "DeliveryService/GetEndpointStatus", &ask).await;
            told.endpoints.remove(0)
        };
        let told = status().await;
        let parked = |reason: v1::ParkReason, who: v1::WaitingFor| v1::ParkedCount {
            park_reason: reason.into(),
            waiting_for: who.into(),
            count: 1,
        };
        let (author, integrator) = (v1::WaitingFor::Author, v1::WaitingFor::Integrator);
        let expected = [parked(v1::ParkReason::Refused, integrator), parked(v1::ParkReason::TextTooLong, author)];
        assert_eq!((told.parked, told.parked_by_reason), (2, expected.to_vec()));
        assert_eq!((told.unexplained_delivery_ids.len(), told.over_a_day_delivery_ids.len()), (0, 0));
        bridge.clock.advance(std::time::Duration::from_secs(6 * 60));
        let told = status().await;
        assert_eq!((told.unexplained_delivery_ids, told.over_a_day_delivery_ids.len()), (vec![waits.clone()], 0));
        bridge.clock.advance(std::time::Duration::from_secs(24 * 3600));
        let told = status().await;
        assert_eq!(
            (told.unexplained_delivery_ids, told.over_a_day_delivery_ids),
            (vec![waits.clone()], vec![waits.clone()])
        );
        assert_eq!(audited(&store.url).await.len(), audited_before);
        let pause =
            v1::PauseEndpointRequest { request_id: request_id(), endpoint_id: RIO.into(), reason: "upgrade".into() };
        let paused: v1::PauseEndpointResponse =
            bridge.done("integrator", "DeliveryService/PauseEndpoint", &pause).await;
        let paused = paused.endpoint.unwrap();
        assert_eq!((paused.unexplained_delivery_ids.len(), paused.over_a_day_delivery_ids), (0, vec![waits]));
        bridge.end().await;
    }
}

#[tokio::test]
async fn what_may_be_in_the_record_is_not_cancelled_or_made_anew_unseen() {
    for store in stores() {
        let bridge = Bridge::start_on(&store.url).await;
        let referral = bridge.referral().await;
        let id = bridge.note(&referral.id, "One.").await.deliveries.remove(0).id;
        bridge.send_all(Outcome::Silence).await;
        let parked = bridge.delivery("integrator", &id).await;
        assert_eq!((parked.park_reason(), parked.may_have_been_received), (v1::ParkReason::OutcomeUnknown, true));
        let cancel = |acknowledge| v1::CancelDeliveryRequest {
            dry_run: false,
            request_id: request_id(),
            delivery_id: id.clone(),
            reason: "the ward asked".into(),
            acknowledge_may_be_in_record: acknowledge,
        };
        let rerender = v1::RerenderDeliveryRequest {
            dry_run: false,
            request_id: request_id(),
            delivery_id: id.clone(),
            reason: "x".into(),
            acknowledge_may_be_in_record: false,
        };
        assert_eq!(
            bridge.reason("integrator", "DeliveryService/CancelDelivery", &cancel(false)).await,
            "MAY_BE_IN_RECORD"
        );
        assert_eq!(
            bridge.reason("integrator", "DeliveryService/RerenderDelivery", &rerender).await,
            "MAY_BE_IN_RECORD"
        );
        // A dry run says the same, and does nothing either way.
        let before = bridge.delivery("worker", &id).await;
        let would = |acknowledge| v1::CancelDeliveryRequest { dry_run: true, ..cancel(acknowledge) };
        let refused = bridge.reason("integrator", "DeliveryService/CancelDelivery", &would(false)).await;
        assert_eq!(refused, "MAY_BE_IN_RECORD");
        let reads = async || audited(&store.url).await.iter().filter(|row| row.2 == "delivery.read").count();
        let read_before = reads().await;
        let could: v1::CancelDeliveryResponse =
            bridge.done("integrator", "DeliveryService/CancelDelivery", &would(true)).await;
        assert_eq!(reads().await, read_before + 1, "what it shows is a read like any other");
        assert_eq!(could.delivery.map(|d| (d.state(), d.version)), Some((before.state(), before.version)));
        let unlooked =
            v1::RetryDeliveriesRequest { acknowledge_may_be_in_record: false, dry_run: true, ..retry(&[&id]) };
        let told: v1::RetryDeliveriesResponse =
            bridge.done("integrator", "DeliveryService/RetryDeliveries", &unlooked).await;
        let left: Vec<_> = told.not_retried.iter().map(|n| (n.delivery_id.as_str(), n.reason())).collect();
        assert_eq!(left, [(id.as_str(), v1::ErrorReason::MayBeInRecord)]);
        let rerender = v1::RerenderDeliveryRequest { dry_run: true, ..rerender };
        let refused = bridge.reason("integrator", "DeliveryService/RerenderDelivery", &rerender).await;
        assert_eq!(refused, "MAY_BE_IN_RECORD");
        let park = v1::ParkDeliveryRequest {
            request_id: request_id(),
            delivery_id: id.clone(),
            reason: "x".into(),
            dry_run: true,
        };
        assert_eq!(bridge.reason("integrator", "DeliveryService/ParkDelivery", &park).await, "WRONG_STATE");
        assert_eq!(bridge.delivery("worker", &id).await, before);
        let cancelled: v1::CancelDeliveryResponse =
            bridge.done("integrator", "DeliveryService/CancelDelivery", &cancel(true)).await;
        let cancelled = cancelled.delivery.unwrap();
        assert_eq!(cancelled.state(), v1::DeliveryState::Cancelled);
        assert!(cancelled.author_sentence.contains("look there before"), "{}", cancelled.author_sentence);
        let again = bridge.bytes("integrator", "DeliveryService/CancelDelivery", &cancel(true)).await.unwrap_err();
        assert_eq!((again.code(), reason_of(&again).as_str()), (Code::FailedPrecondition, "WRONG_STATE"));
        assert!(again.message().contains("CANCELLED"), "{}", again.message());
        bridge.end().await;
    }
}

/// A note withdrawn while it is held back leaves nothing behind: no delivery goes out, for it or for its withdrawal.
#[tokio::test]
async fn a_note_taken_back_in_time_never_leaves() {
    for store in stores() {
        let bridge = Bridge::start_on(&store.url).await;
        let referral = bridge.referral().await;
        let held = v1::WriteProgressNoteRequest {
            release_after: Some(pbjson_types::Duration { seconds: 600, nanos: 0 }),
            ..write(&referral.id, "Second thoughts.")
        };
        let written: v1::WriteProgressNoteResponse =
            bridge.done("worker", "ProgressNoteService/WriteProgressNote", &held).await;
        assert_eq!(written.deliveries[0].release_at, at("2026-03-03T15:10:00Z"));
        assert!(bridge.claim().await.is_empty());
        let taken: v1::WithdrawProgressNoteResponse =
            bridge.done("worker", "ProgressNoteService/WithdrawProgressNote", &withdraw(&written.note.unwrap())).await;
        assert!(taken.deliveries.is_empty());
        bridge.clock.advance(std::time::Duration::from_secs(3600));
        assert!(bridge.claim().await.is_empty());
        let cancelled = bridge.delivery("worker", &written.deliveries[0].id).await;
        assert_eq!(cancelled.state(), v1::DeliveryState::Cancelled);
        assert!(cancelled.author_sentence.contains("withdrawn"), "{}", cancelled.author_sentence);
        bridge.end().await;
    }
}

#[tokio::test]
async fn what_was_written_while_the_clock_was_ahead_does_not_wait_for_that_time() {
    for store in stores() {
        let bridge = Bridge::start_on(&store.url).await;
        let referral = bridge.referral().await;
        let right = bridge.clock.now();
        bridge.clock.advance(std::time::Duration::from_secs(30 * 86_400));
        let ahead = bridge.note(&referral.id, "One.").await.deliveries.remove(0).id;
        bridge.clock.set(right);
        let next = bridge.note(&referral.id, "Two.").await.deliveries.remove(0).id;
        assert!(bridge.claim().await.is_empty(), "it stands in its patient's lane, in front of the others");
        let endpoint = EndpointId::parse(RIO).unwrap();
        assert_eq!(bridge.store.put_right(&endpoint, bridge.clock.now()).await, Ok(1));
        assert_eq!(bridge.store.put_right(&endpoint, bridge.clock.now()).await, Ok(0));
        for id in [ahead, next] {
            let sent = bridge.send_all(Outcome::Positive).await;
            assert_eq!(sent.iter().map(|d| d.id.to_string()).collect::<Vec<_>>(), [id]);
        }
        bridge.end().await;
    }
}

/// A machine whose clock is set, or that was stopped for a while.
#[tokio::test]
async fn a_clock_that_is_set_ends_no_lease_and_makes_nothing_late() {
    const HOUR: i64 = 3_600_000_000;
    for step in [8 * HOUR, -HOUR] {
        for store in stores() {
            let bridge = Bridge::start_on(&store.url).await;
            let referral = bridge.referral().await;
            let one = bridge.note(&referral.id, "One.").await.deliveries.remove(0).id;
            let claimed = bridge.claim().await;
            assert_eq!(claimed.len(), 1);
            bridge.clock.step(step);
            assert!(bridge.claim().await.is_empty(), "{step}: it is on its way");
            let settled = bridge.settle(&claimed[0], Outcome::Positive).await;
            assert_eq!((settled.id.to_string(), settled.state.word()), (one, "FILED"));
            // The next one is due when it is written, whatever was before.
            let two = bridge.note(&referral.id, "Two.").await.deliveries.remove(0).id;
            let sent = bridge.send_all(Outcome::Positive).await;
            assert_eq!(sent.iter().map(|d| d.id.to_string()).collect::<Vec<_>>(), [two], "{step}");
            bridge.end().await;
        }
    }
}

#[tokio::test]
async fn a_backfill_sends_what_todays_routes_would_and_nothing_twice() {
    for store in stores() {
        let bridge = Bridge::start_on(&store.url).await;
        let north = bridge.referral().await;
        let east = v1::CreateReferralRequest {
            details: Some(v1::ReferralDetails { team: "ips-east".into(), ..referral_details("") }),
            ..create("RXX", "")
        };
        let east: v1::CreateReferralResponse = bridge.done("worker", "ReferralService/CreateReferral", &east).await;
        let east = east.referral.unwrap();
        bridge.note(&north.id, "For the north's RiO.").await;
        let sent = bridge.note(&east.id, "Already on its way to the spare one.").await;
        let backfill = |dry_run| v1::BackfillDeliveriesRequest {
            request_id: request_id(),
            endpoint_id: SPARE.into(),
            recorded_from: at("2026-01-01T00:00:00Z"),
            reason: "new endpoint".into(),
            dry_run,
        };
        let rpc = "DeliveryService/BackfillDeliveries";
        let told: v1::BackfillDeliveriesResponse = bridge.done("integrator", rpc, &backfill(true)).await;
        assert_eq!((told.matched, told.created), (0, 0), "the north's notes are not the spare endpoint's");
        drop(sent);
        bridge.end().await;

        // The north moves: the same record under other routes.
        let bridge = Bridge::start_routed(&store.url, SPARE).await;
        let told: v1::BackfillDeliveriesResponse = bridge.done("integrator", rpc, &backfill(true)).await;
        assert_eq!((told.matched, told.created), (1, 0));
        let request = backfill(false);
        let told: v1::BackfillDeliveriesResponse = bridge.done("integrator", rpc, &request).await;
        assert_eq!((told.matched, told.created), (1, 1));
        let again: v1::BackfillDeliveriesResponse = bridge.done("integrator", rpc, &request).await;
        assert_eq!(again, told, "a repeat is told the same");
        let another: v1::BackfillDeliveriesResponse = bridge.done("integrator", rpc, &backfill(false)).await;
        assert_eq!((another.matched, another.created), (0, 0), "nothing goes there twice");
        let none = v1::BackfillDeliveriesRequest { recorded_from: at("2026-04-01T00:00:00Z"), ..backfill(false) };
        let told: v1::BackfillDeliveriesResponse = bridge.done("integrator", rpc, &none).await;
        assert_eq!(told.matched, 0);
        let list = v1::ListDeliveriesRequest { endpoint_id: SPARE.into(), ..Default::default() };
        let listed: v1::ListDeliveriesResponse =
            bridge.done("integrator", "DeliveryService/ListDeliveries", &list).await;
        assert_eq!(listed.deliveries.len(), 2);
        bridge.end().await;
    }
}

#[tokio::test]
async fn the_backlog_prints_by_patient_oldest_first_with_what_a_reader_needs() {
    for store in stores() {
        let bridge = Bridge::start_on(&store.url).await;
        let mut referrals = Vec::new();
        for n in 1..=2 {
            let details = another_patient(n);
            let create = v1::CreateReferralRequest {
                patient: Some(v1::create_referral_request::Patient::PatientDetails(details.clone())),
                ..create("RXX", "")
            };
            let made: v1::CreateReferralResponse =
                bridge.done("worker", "ReferralService/CreateReferral", &create).await;
            referrals.push((made.referral.unwrap(), details));
        }
        for (text, who) in [("First of one.", 0), ("First of two.", 1), ("Second of one.", 0)] {
            let (referral, details) = &referrals[who];
            let note =
                v1::WriteProgressNoteRequest { expected_patient: expected_of(details), ..write(&referral.id, text) };
            let _: v1::WriteProgressNoteResponse =
                bridge.done("worker", "ProgressNoteService/WriteProgressNote", &note).await;
        }
        let outcome = v1::RecordOutcomeRequest {
            expected_patient: expected_of(&referrals[1].1),
            ..record(&referrals[1].0.id, job_start())
        };
        let _: v1::RecordOutcomeResponse = bridge.done("worker", "OutcomeService/RecordOutcome", &outcome).await;
        // What is filed is no backlog.
        let claimed = bridge.claim().await;
        let first = claimed.iter().find(|c| c.patient.id.to_string() == referrals[0].0.patient_id).unwrap();
        bridge.settle(first, Outcome::Positive).await;
        for other in claimed.iter().filter(|c| c.token != first.token) {
            bridge.settle(other, Outcome::Held(ParkReason::TextTooLong)).await;
        }
        let mut client = DeliveryServiceClient::new(bridge.channel("auditor").await);
        let request = v1::ExportDeliveriesRequest { endpoint_id: RIO.into(), reason: "RiO is away".into() };
        let mut stream = client.export_deliveries(request).await.unwrap().into_inner();
        let mut text = String::new();
        while let Some(part) = stream.message().await.unwrap() {
            text.push_str(&part.text);
        }
        let place = |needle: &str| text.find(needle).unwrap_or_else(|| panic!("{needle} is missing in\n{text}"));
        assert!(!text.contains("First of one."), "it is filed");
        for needle in [
            "Not yet filed in RiO (RXX)",
            "Testpatient1, Sam  born 1985-04-12  NHS number 9990000018",
            "Grace Okafor, Employment Specialist",
        ] {
            place(needle);
        }
        assert!(place("First of two.") < place("Job start"), "oldest first");
        assert!(place("PARKED") < place("First of two."), "its state stands above its text");
        assert!(place("Second of one.") < place("Testpatient2"), "one patient after the other");
        assert!(text.ends_with("End of the list: 3 entries.\n"), "{text}");
        assert!(!text.contains("Test Bakery"), "what the client does not share stays out");
        bridge.end().await;
    }
}
