//! What the far end says of documents outside any attempt: result files and lists.

use super::*;
use ips_bridge::domain::delivery::{EvidenceKind, ParkReason};
use ips_bridge::domain::ids::{DeliveryId, EntryId};
use ips_bridge::domain::reconcile::{DAY_MAX, Finding, Listed, Standing};
use ips_bridge::domain::verdict::{Level, Meaning, Verdict};
use ips_bridge::inbound::reconcile::{ReconcileError, Reconciled, Reconciling, reconcile};
use ips_bridge::store::record::{Raw, RequestKey};
use ips_bridge::store::write::{Call, InList, Operation, Reconcile, Report, Reported};
use ips_bridge::store::{Scope, StoreError, WriteError};

fn yes() -> Verdict {
    verdict(Meaning::Positive, Level::Application, "ok")
}

fn report(bridge: &Bridge, delivery: Option<DeliveryId>, verdict: Verdict) -> Report {
    let reply = bridge.reply(&epr(), verdict);
    Report { endpoint: epr(), delivery, evidence: EvidenceKind::VendorReport, reply }
}

fn numbered(n: u8) -> Call {
    Call { request: Some(RequestKey { key: [n; 32], content: [1; 32] }), ..call(&rx9()) }
}

async fn held(bridge: &Bridge, listed: &[Listed], number: u8, dry_run: bool) -> Reconciled {
    try_held(bridge, listed, number, dry_run).await.unwrap()
}

async fn try_held(bridge: &Bridge, listed: &[Listed], number: u8, dry_run: bool) -> Result<Reconciled, ReconcileError> {
    let reconciling = Reconciling {
        store: &bridge.store,
        scope: &Scope::system(),
        trust: &rx9(),
        endpoint: &epr(),
        name: "EPR",
        time_zone: jiff::tz::TimeZone::UTC,
        now: bridge.now(),
        replies_are_documents: false,
        list: "list.csv",
    };
    let today = bridge.now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let call = |part: u32| numbered(number + u8::try_from(part).unwrap());
    reconcile(&reconciling, listed, Some(today), "list.csv", dry_run, &call).await
}

async fn listed(bridge: &Bridge, delivery: DeliveryId) -> Listed {
    let document_id = bridge.delivery(delivery).await.document_id();
    Listed { document_id, record_id: Some("R-1".into()), line: 1 }
}

#[tokio::test]
async fn a_report_files_what_was_received_and_the_same_file_read_twice_is_one_report() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let delivery = bridge.write(&of, "First.").await.delivery();
        bridge.send(delivery, Sent::Accepted).await;
        let first = report(&bridge, Some(delivery), yes());
        let again = Report { reply: first.reply.clone(), ..report(&bridge, Some(delivery), yes()) };
        let filed = bridge.store.report(first).await.unwrap().told().expect("matched");
        assert_eq!(filed.state.word(), "FILED");
        assert_eq!(filed.evidence.last().map(|e| e.kind), Some(EvidenceKind::VendorReport));
        let twice = bridge.store.report(again).await;
        assert!(matches!(twice, Err(WriteError::Store(StoreError::Conflict(_)))), "{twice:?}");
        assert_eq!(bridge.delivery(delivery).await.version, filed.version);
        bridge.check_columns().await;
        bridge.close().await;
    }
}

#[tokio::test]
async fn a_refusing_report_parks_and_one_about_nothing_sent_is_kept_as_unmatched() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let sent = bridge.write(&of, "First.").await.delivery();
        bridge.send(sent, Sent::Accepted).await;
        let never = bridge.write(&of, "Second.").await.delivery();
        let no = verdict(Meaning::Refused, Level::Application, "err");
        let parked = bridge.store.report(report(&bridge, Some(sent), no)).await.unwrap().told().expect("matched");
        assert_eq!(parked.park.map(|p| p.reason), Some(ParkReason::Refused));
        for nobody in [None, Some(never)] {
            assert_eq!(bridge.store.report(report(&bridge, nobody, yes())).await.unwrap(), Reported::Unmatched);
        }
        let elsewhere = Report { endpoint: anew(), ..report(&bridge, Some(sent), yes()) };
        let nothing = bridge.store.report(elsewhere).await.unwrap();
        assert_eq!(nothing, Reported::Unmatched, "another endpoint's word counts for nothing");
        assert_eq!(bridge.state(never).await, "QUEUED");
        let unmatched = "SELECT COUNT(*) FROM reply WHERE delivery_id IS NULL";
        assert_eq!(raw::number(&test.url, unmatched).await, 3);
        bridge.check_columns().await;
        bridge.close().await;
    }
}

#[tokio::test]
async fn a_list_files_what_it_has_and_says_what_is_missing_doubled_or_unexpected() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let mut made = Vec::new();
        for (text, sent) in [("a", Sent::Accepted), ("b", Sent::Accepted), ("c", Sent::Filed), ("d", Sent::Silence)] {
            let delivery = bridge.write(&of, text).await.delivery();
            bridge.send(delivery, sent).await;
            if sent == Sent::Silence {
                let cancel = Operation::Cancel { may_be_in_record_acknowledged: true };
                bridge.operate(delivery, cancel).await.unwrap();
            }
            made.push(delivery);
        }
        let waits = bridge.write(&of, "e").await.delivery();
        let (has, missing, gone, cancelled) = (made[0], made[1], made[2], made[3]);
        let stranger = Listed { document_id: EntryId(uuid::Uuid::from_u128(7)).to_string(), record_id: None, line: 4 };
        let has_row = listed(&bridge, has).await;
        let list = [has_row.clone(), has_row, listed(&bridge, cancelled).await, stranger];

        let would = held(&bridge, &list, 1, true).await;
        assert_eq!((bridge.state(has).await, would.newly_filed), ("ACCEPTED", 0), "a dry run changes nothing");

        let done = held(&bridge, &list, 1, false).await;
        assert_eq!(done.newly_filed, 2);
        let filed = bridge.delivery(has).await;
        assert_eq!((filed.state.word(), filed.record_id.as_deref()), ("FILED", Some("R-1")));
        assert_eq!(filed.evidence.last().map(|e| e.kind), Some(EvidenceKind::Reconciled));
        assert_eq!(bridge.state(cancelled).await, "FILED", "it is in the record, whoever cancelled it");
        assert_eq!(bridge.state(missing).await, "ACCEPTED", "absence is told, never acted on");
        assert_eq!(bridge.state(gone).await, "FILED");
        let s = &done.sheet;
        assert_eq!((s.written, s.count(Standing::InRecord), s.count(Standing::Missing)), (5, 2, 2));
        assert_eq!((s.count(Standing::Waiting), s.finding(Finding::CancelledHere)), (1, 1));
        assert_eq!((s.finding(Finding::Doubled), s.finding(Finding::Unknown)), (1, 1));
        assert!(s.adds_up());
        assert!(s.found.iter().any(|f| f.delivery == Some(waits) && f.finding == Finding::Waiting));

        // The same call again does nothing more, and neither does the same list tomorrow.
        let version = bridge.delivery(has).await.version;
        held(&bridge, &list, 1, false).await;
        let replies = raw::number(&test.url, "SELECT COUNT(*) FROM reply").await;
        assert_eq!(held(&bridge, &list, 2, false).await.newly_filed, 0);
        assert_eq!(bridge.delivery(has).await.version, version);
        assert_eq!(raw::number(&test.url, "SELECT COUNT(*) FROM reply").await, replies);
        let audited = "SELECT COUNT(*) FROM audit WHERE action = 'delivery.reconcile'";
        assert_eq!(raw::number(&test.url, audited).await, 2);
        bridge.check_columns().await;
        bridge.close().await;
    }
}

#[tokio::test]
async fn a_day_too_long_for_a_sheet_is_refused_before_anything_is_filed() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let delivery = bridge.write(&of, "First.").await.delivery();
        bridge.send(delivery, Sent::Accepted).await;
        let list = [listed(&bridge, delivery).await];
        // As many again as fit, of no note that is there.
        let id = if bridge.is_sqlite() { "randomblob(16)" } else { "gen_random_uuid()" };
        let more = format!(
            "INSERT INTO delivery (id, entry_id, subject_id, trust, patient_id, endpoint_id, lane_seq, state, blocked, due_at, created_at, position, payload) \
             SELECT {id}, patient_id, patient_id, trust, patient_id, endpoint_id, 1, 'CANCELLED', 0, 0, created_at, 0, '{{}}' FROM delivery, \
               (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {DAY_MAX}) SELECT i FROM n) AS many"
        );
        raw::execute(&test.url, &more).await;
        let refused = try_held(&bridge, &list, 1, false).await;
        assert!(matches!(refused, Err(ReconcileError::TooMany)), "{refused:?}");
        assert_eq!(bridge.state(delivery).await, "ACCEPTED");
        let audited = "SELECT COUNT(*) FROM audit WHERE action = 'delivery.reconcile'";
        assert_eq!(raw::number(&test.url, audited).await, 0);
        bridge.close().await;
    }
}

#[tokio::test]
async fn what_never_left_cannot_be_filed_by_a_list() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let never = bridge.write(&of, "First.").await.delivery();
        let row = Raw(b"x".to_vec());
        let write = Reconcile {
            call: numbered(9),
            trust: rx9(),
            endpoint: epr(),
            documents: vec![InList { delivery: never, record_id: None, row }],
            source: "list.csv".into(),
        };
        let answered = bridge.store.reconcile(write).await.unwrap();
        assert!(answered.answer().deliveries.is_empty());
        let done = held(&bridge, &[listed(&bridge, never).await], 20, false).await;
        assert_eq!((done.sheet.finding(Finding::Unknown), done.sheet.count(Standing::Waiting)), (1, 1));
        assert!(done.sheet.adds_up());
        assert_eq!(bridge.state(never).await, "QUEUED");
        bridge.close().await;
    }
}

#[tokio::test]
async fn what_was_made_anew_for_another_identity_is_not_filed_by_a_list_that_may_speak_of_the_one_before() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.refer(&rx9(), super::numbered("9990000018"), "east").await;
        let delivery = bridge.write(&of, "First.").await.delivery();
        bridge.send(delivery, Sent::Silence).await;
        bridge.operate(delivery, Operation::Park).await.unwrap();
        super::people::update(&bridge, &of, 1, super::numbered("9990000026")).await.unwrap();
        bridge.operate(delivery, Operation::Rerender { may_be_in_record_acknowledged: true }).await.unwrap();
        held(&bridge, &[listed(&bridge, delivery).await], 40, false).await;
        assert_eq!(bridge.parked(delivery).await, Some(ParkReason::MayAlreadyBeFiled));
        bridge.close().await;
    }
}

#[tokio::test]
async fn what_was_made_anew_for_the_same_person_is_filed_by_a_list() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let delivery = bridge.write(&of, "First.").await.delivery();
        bridge.send(delivery, Sent::Silence).await;
        bridge.operate(delivery, Operation::Park).await.unwrap();
        bridge.operate(delivery, Operation::Rerender { may_be_in_record_acknowledged: true }).await.unwrap();
        bridge.send(delivery, Sent::Accepted).await;
        held(&bridge, &[listed(&bridge, delivery).await], 50, false).await;
        assert_eq!(bridge.state(delivery).await, "FILED");
        bridge.close().await;
    }
}

/// Two documents under one id of the record's: neither stays filed, and the sheet does not say so.
#[tokio::test]
async fn what_a_list_files_and_then_puts_in_doubt_it_did_not_file() {
    for test in both() {
        let bridge = Bridge::with(&super::bridge::settings(&test.url), super::names::by_record_id()).await;
        let (of, other) = (bridge.episode().await, bridge.refer(&rx9(), super::numbered("9990000026"), "east").await);
        let mut list = Vec::new();
        let mut made = Vec::new();
        for (of, record_id) in [(&of, "17"), (&other, "17"), (&of, "18")] {
            let delivery = bridge.write(of, "Rang a shop.").await.delivery();
            bridge.send(delivery, Sent::Accepted).await;
            list.push(Listed { record_id: Some(record_id.into()), ..listed(&bridge, delivery).await });
            made.push(delivery);
        }
        let done = held(&bridge, &list, 60, false).await;
        for (delivery, state) in made.iter().zip(["PARKED", "PARKED", "FILED"]) {
            assert_eq!(bridge.state(*delivery).await, state);
        }
        assert_eq!(done.newly_filed, 1, "{}", done.paper);
        let s = &done.sheet;
        assert_eq!((s.count(Standing::InRecord), s.finding(Finding::SharedId), s.unexplained()), (3, 2, 2));
        assert!(s.adds_up());
        // The same call again gives the same answer.
        assert_eq!(held(&bridge, &list, 60, false).await.newly_filed, 1);
        bridge.close().await;
    }
}

/// However the pack names documents: one of the two would be shown as filed where it does not stand.
#[tokio::test]
async fn one_record_id_for_documents_of_two_patients_files_neither() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let (of, other) = (bridge.episode().await, bridge.refer(&rx9(), super::numbered("9990000026"), "east").await);
        let mut made = Vec::new();
        for of in [&of, &other, &of, &of] {
            let delivery = bridge.write(of, "Rang a shop.").await.delivery();
            bridge.send(delivery, Sent::Accepted).await;
            made.push(delivery);
        }
        let named = async |n: usize, id: &str| Listed { record_id: Some(id.into()), ..listed(&bridge, made[n]).await };
        let list = [named(0, "17").await, named(1, "17").await, named(2, "18").await, named(3, "18").await];
        let would = held(&bridge, &list, 70, true).await;
        let done = held(&bridge, &list, 70, false).await;
        for (delivery, state) in made.iter().zip(["ACCEPTED", "ACCEPTED", "FILED", "FILED"]) {
            assert_eq!(bridge.state(*delivery).await, state, "{}", done.paper);
        }
        assert_eq!((done.newly_filed, done.sheet.finding(Finding::SharedId), done.sheet.unexplained()), (2, 2, 2));
        assert_eq!(would.sheet.finding(Finding::SharedId), 2, "a dry run tells it too");
        assert!(done.sheet.adds_up());

        // Nor what the id of a filed one is given to, in whatever list; that one stays filed, and the sheet tells it.
        let done = held(&bridge, &[named(1, "18").await], 80, false).await;
        assert_eq!((bridge.state(made[1]).await, bridge.state(made[2]).await), ("ACCEPTED", "FILED"));
        assert_eq!(done.sheet.finding(Finding::SharedId), 1, "{}", done.paper);
        // An id of its own files it.
        let done = held(&bridge, &[named(0, "17").await, named(1, "19").await], 90, false).await;
        assert_eq!(done.newly_filed, 2, "{}", done.paper);
        bridge.check_columns().await;
        bridge.close().await;
    }
}

#[tokio::test]
async fn a_result_file_that_gives_the_record_id_of_another_patients_document_moves_nothing_and_is_kept() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let (of, other) = (bridge.episode().await, bridge.refer(&rx9(), super::numbered("9990000026"), "east").await);
        let (first, second) =
            (bridge.write(&of, "One.").await.delivery(), bridge.write(&other, "Two.").await.delivery());
        let same = bridge.write(&of, "Three.").await.delivery();
        for delivery in [first, second, same] {
            bridge.send(delivery, Sent::Accepted).await;
        }
        let under = |id: &str| Verdict { record_id: Some(id.into()), ..yes() };
        bridge.store.report(report(&bridge, Some(first), under("17"))).await.unwrap();
        let before = bridge.delivery(second).await;
        let replies = raw::number(&test.url, "SELECT COUNT(*) FROM reply").await;
        let refused = bridge.store.report(report(&bridge, Some(second), under("17"))).await.unwrap();
        assert_eq!(refused, Reported::AnotherPatients(Box::new(before.clone())));
        assert_eq!(bridge.delivery(second).await, before);
        assert_eq!(raw::number(&test.url, "SELECT COUNT(*) FROM reply").await, replies + 1, "its bytes are kept");
        assert_eq!(bridge.state(first).await, "FILED");
        let told = bridge.store.report(report(&bridge, Some(second), under("18"))).await.unwrap().told();
        assert_eq!(told.map(|d| d.state.word()), Some("FILED"));
        let told = bridge.store.report(report(&bridge, Some(same), under("17"))).await.unwrap().told();
        assert_eq!(told.map(|d| d.state.word()), Some("FILED"), "one patient's may share an id");
        bridge.check_columns().await;
        bridge.close().await;
    }
}

#[tokio::test]
async fn a_document_that_two_lists_have_under_two_record_ids_is_contradicted() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let delivery = bridge.write(&bridge.episode().await, "First.").await.delivery();
        bridge.send(delivery, Sent::Filed).await;
        let named = async |id: &str| [Listed { record_id: Some(id.into()), ..listed(&bridge, delivery).await }];
        assert_eq!(held(&bridge, &named("R-1").await, 100, false).await.sheet.unexplained(), 0);
        assert_eq!(bridge.state(delivery).await, "FILED");
        let done = held(&bridge, &named("R-2").await, 110, false).await;
        assert_eq!((done.sheet.finding(Finding::Renamed), done.sheet.unexplained()), (1, 1), "{}", done.paper);
        assert_eq!(bridge.parked(delivery).await, Some(ParkReason::FilingContradicted));
        // The next night's list does not settle it either: a person looks.
        for (n, id) in [(120, "R-2"), (130, "R-1")] {
            held(&bridge, &named(id).await, n, false).await;
            assert_eq!(bridge.parked(delivery).await, Some(ParkReason::FilingContradicted), "{id}");
        }
        bridge.check_columns().await;
        bridge.close().await;
    }
}

#[tokio::test]
async fn a_day_that_is_yet_to_come_has_no_sheet() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let reconciling = Reconciling {
            store: &bridge.store,
            scope: &Scope::system(),
            trust: &rx9(),
            endpoint: &epr(),
            name: "EPR",
            time_zone: jiff::tz::TimeZone::UTC,
            now: bridge.now(),
            replies_are_documents: false,
            list: "list.csv",
        };
        let tomorrow = bridge.now().to_zoned(jiff::tz::TimeZone::UTC).date().tomorrow().unwrap();
        let call = |part: u32| numbered(140 + u8::try_from(part).unwrap());
        let refused = reconcile(&reconciling, &[], Some(tomorrow), "list.csv", false, &call).await;
        assert!(matches!(refused, Err(ReconcileError::NotYet)), "{refused:?}");
        bridge.close().await;
    }
}
