//! Lists: pages, their tokens, filters; and the audit of everything that is read.

use crate::api_samples::*;
use crate::api_support::{Bridge, PARIS, RIO, SPARE, fields_of, open_store, reason_of, rulebook};
use crate::support::{SetClock, stores};
use ips_bridge::domain::delivery::ParkReason;
use ips_bridge::wire::v1;
use prost::Message;
use sqlx::{Connection, Row};
use std::collections::BTreeSet;
use tonic::Code;

fn notes_of(referral: &str, size: i32, token: &str) -> v1::ListProgressNotesRequest {
    v1::ListProgressNotesRequest {
        of: Some(v1::list_progress_notes_request::Of::ReferralId(referral.into())),
        page_size: size,
        page_token: token.into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn pages_hold_everything_once_newest_first() {
    for store in stores() {
        let bridge = Bridge::start_on(&store.url).await;
        let referral = bridge.referral().await;
        let mut written = Vec::new();
        for i in 0..7 {
            bridge.clock.advance(std::time::Duration::from_secs(1));
            written.push(bridge.note(&referral.id, &format!("Note {i}.")).await.note.unwrap().id);
        }
        written.reverse();
        let (mut seen, mut token, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let request = notes_of(&referral.id, 3, &token);
            let page: v1::ListProgressNotesResponse =
                bridge.done("worker", "ProgressNoteService/ListProgressNotes", &request).await;
            seen.extend(page.notes.into_iter().map(|n| n.id));
            pages += 1;
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!((seen, pages), (written.clone(), 3));
        // Exactly as many as fit: no page comes after.
        let whole: v1::ListProgressNotesResponse =
            bridge.done("worker", "ProgressNoteService/ListProgressNotes", &notes_of(&referral.id, 7, "")).await;
        assert_eq!((whole.notes.len(), whole.next_page_token.as_str()), (7, ""));

        let deliveries = |size, token: &str| v1::ListDeliveriesRequest {
            page_size: size,
            page_token: token.into(),
            endpoint_id: RIO.into(),
            ..Default::default()
        };
        let first: v1::ListDeliveriesResponse =
            bridge.done("auditor", "DeliveryService/ListDeliveries", &deliveries(4, "")).await;
        let second: v1::ListDeliveriesResponse =
            bridge.done("auditor", "DeliveryService/ListDeliveries", &deliveries(4, &first.next_page_token)).await;
        let subjects: Vec<String> =
            first.deliveries.iter().chain(&second.deliveries).map(|d| d.subject_id.clone()).collect();
        assert_eq!(subjects, written);
        bridge.end().await;
    }
}

#[tokio::test]
async fn a_page_size_is_coerced() {
    let bridge = Bridge::start().await;
    let referral = bridge.referral().await;
    for i in 0..51 {
        bridge.note(&referral.id, &format!("Note {i}.")).await;
    }
    for (asked, given) in [(0, 50), (10_000, 51), (1, 1)] {
        let page: v1::ListProgressNotesResponse =
            bridge.done("worker", "ProgressNoteService/ListProgressNotes", &notes_of(&referral.id, asked, "")).await;
        assert_eq!(page.notes.len(), given, "{asked}");
    }
}

#[tokio::test]
async fn a_page_of_less_than_nothing_is_refused_by_every_list() {
    let bridge = Bridge::start().await;
    let page_size = -1;
    let lists = [
        ("PatientService/FindPatients", v1::FindPatientsRequest { page_size, ..Default::default() }.encode_to_vec()),
        ("ReferralService/ListReferrals", v1::ListReferralsRequest { page_size, ..Default::default() }.encode_to_vec()),
        ("ProgressNoteService/ListProgressNotes", notes_of("", page_size, "").encode_to_vec()),
        ("OutcomeService/ListOutcomes", v1::ListOutcomesRequest { page_size, ..Default::default() }.encode_to_vec()),
        (
            "OutcomeService/ListMeasureReferrals",
            v1::ListMeasureReferralsRequest { page_size, ..Default::default() }.encode_to_vec(),
        ),
        (
            "DeliveryService/ListDeliveries",
            v1::ListDeliveriesRequest { page_size, ..Default::default() }.encode_to_vec(),
        ),
        (
            "InboundService/ListInboundMessages",
            v1::ListInboundMessagesRequest { page_size, ..Default::default() }.encode_to_vec(),
        ),
    ];
    for (rpc, request) in lists {
        let fields = fields_of(&bridge.call_bytes("worker", rpc, request).await.expect_err("no size"));
        assert!(fields.iter().any(|f| f == "page_size"), "{rpc}: {fields:?}");
    }
    let compare = v1::CompareAdapterRequest { limit: page_size, ..Default::default() };
    let status = bridge.bytes("integrator", "AdapterService/CompareAdapter", &compare).await.expect_err("no limit");
    assert!(fields_of(&status).iter().any(|f| f == "limit"));
}

#[tokio::test]
async fn a_token_from_elsewhere_is_no_token() {
    let bridge = Bridge::start().await;
    let referral = bridge.referral().await;
    let second: v1::CreateReferralResponse =
        bridge.done("worker", "ReferralService/CreateReferral", &create("RXX", "")).await;
    for text in ["One.", "Two."] {
        bridge.note(&referral.id, text).await;
    }
    let rpc = "ProgressNoteService/ListProgressNotes";
    let page: v1::ListProgressNotesResponse = bridge.done("worker", rpc, &notes_of(&referral.id, 1, "")).await;
    let token = page.next_page_token;
    assert!(bridge.bytes("worker", rpc, &notes_of(&referral.id, 7, &token)).await.is_ok(), "the page size may change");
    let bad = async |who: &str, rpc: &str, request: &dyn Fn() -> Vec<u8>| {
        let status = bridge.call_bytes(who, rpc, request()).await.expect_err("no token of ours");
        assert_eq!((status.code(), reason_of(&status).as_str()), (Code::InvalidArgument, "BAD_TOKEN"), "{rpc}");
    };
    use prost::Message;
    bad("worker2", rpc, &|| notes_of(&referral.id, 1, &token).encode_to_vec()).await;
    bad("worker", rpc, &|| notes_of(&second.referral.as_ref().unwrap().id, 1, &token).encode_to_vec()).await;
    for garbage in ["x", "0", &token[1..], &token.to_uppercase(), &format!("{token}00"), "é"] {
        bad("worker", rpc, &|| notes_of(&referral.id, 1, garbage).encode_to_vec()).await;
    }
    let with = |t: &str| t.to_owned();
    bad("worker", "DeliveryService/ListDeliveries", &|| {
        v1::ListDeliveriesRequest { page_token: with(&token), ..Default::default() }.encode_to_vec()
    })
    .await;
    bad("worker", "ReferralService/ListReferrals", &|| {
        v1::ListReferralsRequest { page_token: with(&token), ..Default::default() }.encode_to_vec()
    })
    .await;
    bad("worker", "DeliveryService/WatchDeliveries", &|| {
        v1::WatchDeliveriesRequest { resume_token: with(&token), ..Default::default() }.encode_to_vec()
    })
    .await;
    bad("worker", "ReferralService/WatchReferrals", &|| {
        v1::WatchReferralsRequest { resume_token: with(&token), ..Default::default() }.encode_to_vec()
    })
    .await;
}

#[tokio::test]
async fn deliveries_are_found_by_what_is_wrong_and_who_must_act() {
    for store in stores() {
        let bridge = Bridge::start_on(&store.url).await;
        let referral = bridge.referral().await;
        let too_long = bridge.note(&referral.id, "One.").await.deliveries.remove(0);
        bridge.send_all(Outcome::Held(ParkReason::TextTooLong)).await;
        let refused = bridge.note(&referral.id, "Two.").await.deliveries.remove(0);
        bridge.send_all(Outcome::Refused).await;
        let queued = bridge.note(&referral.id, "Three.").await;
        let list = async |request: v1::ListDeliveriesRequest| {
            let got: v1::ListDeliveriesResponse =
                bridge.done("integrator", "DeliveryService/ListDeliveries", &request).await;
            assert!(got.deliveries.iter().all(|d| d.timeline.is_empty()), "lists have no timelines");
            got.deliveries.into_iter().map(|d| d.id).collect::<BTreeSet<_>>()
        };
        let none = v1::ListDeliveriesRequest::default;
        let of = |ids: &[&String]| ids.iter().map(|i| (*i).clone()).collect::<BTreeSet<_>>();
        let third = &queued.deliveries[0].id;
        assert_eq!(
            list(v1::ListDeliveriesRequest { states: vec![v1::DeliveryState::Queued.into()], ..none() }).await,
            of(&[third])
        );
        assert_eq!(
            list(v1::ListDeliveriesRequest { park_reasons: vec![v1::ParkReason::Refused.into()], ..none() }).await,
            of(&[&refused.id])
        );
        assert_eq!(
            list(v1::ListDeliveriesRequest { waiting_for: v1::WaitingFor::Author.into(), ..none() }).await,
            of(&[&too_long.id])
        );
        assert_eq!(
            list(v1::ListDeliveriesRequest { waiting_for: v1::WaitingFor::Integrator.into(), ..none() }).await,
            of(&[&refused.id])
        );
        assert_eq!(
            list(v1::ListDeliveriesRequest { subject_id: queued.note.as_ref().unwrap().id.clone(), ..none() }).await,
            of(&[third])
        );
        assert_eq!(
            list(v1::ListDeliveriesRequest { patient_id: referral.patient_id.clone(), ..none() }).await.len(),
            3
        );
        assert!(list(v1::ListDeliveriesRequest { endpoint_id: SPARE.into(), ..none() }).await.is_empty());
        bridge.end().await;
    }
}

#[tokio::test]
async fn a_forgotten_referral_is_named_until_somebody_writes_to_it() {
    let bridge = Bridge::start().await;
    let referral = bridge.referral().await;
    let forgotten = async || {
        let request = v1::ListReferralsRequest { untouched_only: true, ..Default::default() };
        let got: v1::ListReferralsResponse = bridge.done("worker", "ReferralService/ListReferrals", &request).await;
        let count = v1::ListReferralsRequest { count_only: true, ..request };
        let counted: v1::ListReferralsResponse = bridge.done("worker", "ReferralService/ListReferrals", &count).await;
        assert_eq!((usize::try_from(counted.count).unwrap(), counted.referrals), (got.referrals.len(), vec![]));
        got.referrals.len()
    };
    let of_one =
        v1::ListReferralsRequest { count_only: true, patient_id: referral.patient_id.clone(), ..Default::default() };
    let refused = bridge.bytes("worker", "ReferralService/ListReferrals", &of_one).await;
    assert!(refused.is_err(), "how many of one patient's there are is read, and written down");
    assert_eq!(forgotten().await, 0);
    bridge.clock.advance(std::time::Duration::from_secs(29 * 24 * 3600));
    assert_eq!(forgotten().await, 1);
    let mut late = write(&referral.id, "One.");
    late.content.as_mut().unwrap().occurred_at = Some(bridge.now().into());
    let _: v1::WriteProgressNoteResponse = bridge.done("worker", "ProgressNoteService/WriteProgressNote", &late).await;
    assert_eq!(forgotten().await, 0);
    let get = v1::GetReferralRequest { by: Some(v1::get_referral_request::By::ReferralId(referral.id)) };
    let got: v1::GetReferralResponse = bridge.done("worker", "ReferralService/GetReferral", &get).await;
    assert_eq!(got.referral.unwrap().touched_at, Some(bridge.now().into()), "a note touches its referral");
}

#[tokio::test]
async fn the_referrals_behind_a_number_are_paged_too() {
    let bridge = Bridge::start().await;
    for n in 1..=5 {
        let create = v1::CreateReferralRequest {
            patient: Some(v1::create_referral_request::Patient::PatientDetails(another_patient(n))),
            ..create("RXX", "")
        };
        let _: v1::CreateReferralResponse = bridge.done("worker", "ReferralService/CreateReferral", &create).await;
    }
    let list = |token: &str| v1::ListMeasureReferralsRequest {
        trust_ods: "RXX".into(),
        from: "2026-02-01".into(),
        to: "2026-02-28".into(),
        kind: v1::MeasureKind::ReferralsReceived.into(),
        side: v1::MeasureSide::Numerator.into(),
        page_size: 2,
        page_token: token.into(),
        ..Default::default()
    };
    let (mut seen, mut token) = (BTreeSet::new(), String::new());
    for expected in [2, 2, 1] {
        let page: v1::ListMeasureReferralsResponse =
            bridge.done("auditor", "OutcomeService/ListMeasureReferrals", &list(&token)).await;
        assert_eq!(page.referrals.len(), expected);
        seen.extend(page.referrals.into_iter().map(|r| r.referral_id));
        token = page.next_page_token;
    }
    assert_eq!((seen.len(), token.as_str()), (5, ""));
}

/// (principal, role, action, kind) of every audit row, oldest first.
pub async fn audited(url: &str) -> Vec<(String, String, String, String)> {
    const ALL: &str = "SELECT principal, role, action, subject_kind FROM audit ORDER BY seq";
    macro_rules! rows {
        ($connection:ty) => {{
            let mut db = <$connection>::connect(url).await.expect("the record can be read");
            let rows = sqlx::query(ALL).fetch_all(&mut db).await.expect("its audit too");
            rows.iter().map(|r| (r.get(0), r.get(1), r.get(2), r.get(3))).collect()
        }};
    }
    if url.starts_with("sqlite") { rows!(sqlx::SqliteConnection) } else { rows!(sqlx::PgConnection) }
}

#[tokio::test]
async fn every_read_and_every_write_of_a_patients_data_leaves_a_row() {
    for store in stores() {
        let bridge = Bridge::start_on(&store.url).await;
        let referral = bridge.referral().await;
        let note = bridge.note(&referral.id, "One.").await;
        let (note_id, delivery_id) = (note.note.unwrap().id, note.deliveries[0].id.clone());
        bridge
            .bytes(
                "auditor",
                "PatientService/GetPatient",
                &v1::GetPatientRequest { patient_id: referral.patient_id.clone() },
            )
            .await
            .unwrap();
        let nobody = v1::FindPatientsRequest {
            trust_ods: "RXX".into(),
            by: Some(v1::find_patients_request::By::NhsNumber("9990000050".into())),
            ..Default::default()
        };
        bridge.bytes("worker", "PatientService/FindPatients", &nobody).await.unwrap();
        // Who only counts reads nobody's.
        let count = v1::ListReferralsRequest { count_only: true, ..Default::default() };
        let counted: v1::ListReferralsResponse = bridge.done("worker", "ReferralService/ListReferrals", &count).await;
        assert_eq!(counted.count, 1);
        bridge
            .bytes("integrator", "ProgressNoteService/GetProgressNote", &v1::GetProgressNoteRequest { note_id })
            .await
            .unwrap();
        bridge.bytes("worker", "ProgressNoteService/ListProgressNotes", &notes_of(&referral.id, 0, "")).await.unwrap();
        bridge
            .bytes(
                "integrator",
                "DeliveryService/GetDelivery",
                &v1::GetDeliveryRequest { delivery_id: delivery_id.clone() },
            )
            .await
            .unwrap();
        bridge
            .bytes(
                "auditor",
                "DeliveryService/ListAttempts",
                &v1::ListAttemptsRequest { delivery_id, include_bytes: true },
            )
            .await
            .unwrap();
        // What is refused leaves none: nothing left the bridge.
        assert!(
            bridge
                .bytes("other", "PatientService/GetPatient", &v1::GetPatientRequest { patient_id: referral.patient_id })
                .await
                .is_err()
        );
        let rows = audited(&store.url).await;
        let rows: Vec<(&str, &str, &str, &str)> =
            rows.iter().map(|(p, r, a, k)| (p.as_str(), r.as_str(), a.as_str(), k.as_str())).collect();
        assert_eq!(
            rows,
            [
                ("worker", "ips_worker", "patient.create", "patient"),
                ("worker", "ips_worker", "referral.create", "referral"),
                ("worker", "ips_worker", "progress_note.write", "progress note"),
                ("auditor", "auditor", "patient.read", "patient"),
                ("worker", "ips_worker", "patient.find", "patient"),
                ("integrator", "integrator", "progress_note.read", "progress note"),
                ("worker", "ips_worker", "progress_note.list", "progress note"),
                ("integrator", "integrator", "delivery.read", "delivery"),
                ("auditor", "auditor", "delivery.read_bytes", "delivery"),
            ]
        );
        bridge.end().await;
    }
}

/// What it did was written down when it was first answered; what it answers is read now.
#[tokio::test]
async fn a_change_that_is_repeated_is_written_down_as_a_read() {
    for store in stores() {
        let bridge = Bridge::start_on(&store.url).await;
        let create = create("RXX", "");
        let first: v1::CreateReferralResponse = bridge.done("worker", "ReferralService/CreateReferral", &create).await;
        let referral = first.referral.unwrap();
        let note = write(&referral.id, "One.");
        let _: v1::WriteProgressNoteResponse =
            bridge.done("worker", "ProgressNoteService/WriteProgressNote", &note).await;
        let before = audited(&store.url).await.len();
        let _: v1::CreateReferralResponse = bridge.done("worker", "ReferralService/CreateReferral", &create).await;
        let _: v1::WriteProgressNoteResponse =
            bridge.done("worker", "ProgressNoteService/WriteProgressNote", &note).await;
        let rows = audited(&store.url).await;
        let read: Vec<(&str, &str)> = rows[before..].iter().map(|(p, _, a, _)| (p.as_str(), a.as_str())).collect();
        assert_eq!(read, [("worker", "referral.read"), ("worker", "progress_note.read")]);
        bridge.end().await;
    }
}

/// The patients of the two trusts are two, even when they are one person.
#[tokio::test]
async fn the_same_person_at_two_trusts_is_two_patients() {
    let bridge = Bridge::start().await;
    let here = bridge.referral().await;
    let there: v1::CreateReferralResponse =
        bridge.done("other", "ReferralService/CreateReferral", &create("RYY", "")).await;
    let there = there.referral.unwrap();
    assert_ne!(here.patient_id, there.patient_id);
    let written: v1::WriteProgressNoteResponse =
        bridge.done("other", "ProgressNoteService/WriteProgressNote", &write(&there.id, "Here.")).await;
    assert_eq!(written.deliveries[0].endpoint_id, PARIS);
}

/// The store outlives the edge: what was answered is on disk.
#[tokio::test]
async fn what_was_accepted_is_there_after_a_restart() {
    let store = stores().next().unwrap();
    let bridge = Bridge::start_on(&store.url).await;
    let referral = bridge.referral().await;
    let written = bridge.note(&referral.id, "One.").await;
    bridge.end().await;
    let clock = std::sync::Arc::new(SetClock::at(crate::api_support::NOW));
    let (again, end) = open_store(&store.url, &clock, rulebook(Default::default(), RIO)).await;
    assert_eq!(again.open_deliveries(), 1);
    drop(again);
    end.await.unwrap();
    let bridge = Bridge::start_on(&store.url).await;
    assert_eq!(bridge.delivery("worker", &written.deliveries[0].id).await, {
        let mut d = written.deliveries[0].clone();
        d.timeline = bridge.delivery("worker", &d.id).await.timeline;
        d
    });
    bridge.end().await;
}
