//! Lists: every filter, every page, nothing twice and nothing left out.

use super::bridge::written;
use super::*;
use ips_bridge::domain::delivery::{ParkReason, State, WaitingFor};
use ips_bridge::domain::ids::{DeliveryId, EntryId, InboundId, OutcomeId, ReferralId};
use ips_bridge::domain::measure::PlanFacts;
use ips_bridge::domain::note::{NoteContent, NoteKind};
use ips_bridge::domain::organisation::{StaffId, TeamId};
use ips_bridge::domain::person::{Author, PatientDetails};
use ips_bridge::domain::referral::{ExternalId, ReferralState};
use ips_bridge::domain::text::Private;
use ips_bridge::domain::verdict::{Level, Meaning};
use ips_bridge::store::Scope;
use ips_bridge::store::read::{DeliveryFilter, EndpointCounts, Page, PatientBy, ReferralFilter, SubjectFilter};
use ips_bridge::store::record::{Inbound, InboundState, Raw};
use ips_bridge::store::write::*;
use jiff::Span;
use std::time::Duration;

pub fn page(size: u32) -> Page {
    Page { size, after: None }
}

#[tokio::test]
async fn pages_follow_one_another_without_gap_or_repeat_newest_first() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let scope = Scope::trusts([rx9()]);
        let of = bridge.episode().await;
        let (mut notes, mut deliveries) = (Vec::new(), Vec::new());
        for n in 0..11 {
            // Ids carry the millisecond.
            bridge.clock.advance(Duration::from_millis(1));
            let written = bridge.write(&of, &format!("Note {n}")).await;
            notes.insert(0, written.note);
            deliveries.insert(0, written.delivery());
        }
        let (mut after, mut found) = (None, Vec::new());
        loop {
            let next = bridge
                .store
                .notes(&scope, SubjectFilter::Referral(of.referral), None, Page { size: 4, after })
                .await
                .unwrap();
            after = next.last().map(|n| n.id.0);
            found.extend(next.iter().map(|n| n.id));
            if next.len() < 4 {
                break;
            }
        }
        assert_eq!(found, notes);
        let (mut after, mut found) = (None, Vec::new());
        loop {
            let next =
                bridge.store.deliveries(&scope, &DeliveryFilter::default(), Page { size: 5, after }).await.unwrap();
            after = next.last().map(|n| n.id.0);
            found.extend(next.iter().map(|n| n.id));
            if next.len() < 5 {
                break;
            }
        }
        assert_eq!(found, deliveries);
        let later =
            bridge.store.notes(&scope, SubjectFilter::Patient(of.patient), Some(bridge.now()), page(9)).await.unwrap();
        assert!(later.is_empty(), "all of them took place before now");
        bridge.close().await;
    }
}

#[tokio::test]
async fn every_filter_of_deliveries_narrows_and_all_hold_together() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let scope = Scope::trusts([rx9()]);
        let (one, other) = (bridge.episode().await, bridge.refer(&rx9(), person(), "anew").await);
        let filed = bridge.write(&one, "Filed.").await;
        bridge.send(filed.delivery(), Sent::Filed).await;
        let parked = bridge.write(&one, "Parked.").await;
        bridge.send(parked.delivery(), Sent::Refused).await;
        let elsewhere = bridge.write(&other, "Elsewhere.").await;
        let [f, p, e] = [filed.delivery(), parked.delivery(), elsewhere.delivery()];
        let cases: Vec<(DeliveryFilter, Vec<DeliveryId>)> = vec![
            (DeliveryFilter::default(), vec![f, p, e]),
            (DeliveryFilter { endpoint: Some(epr()), ..Default::default() }, vec![f, p]),
            (DeliveryFilter { endpoint: Some(endpoint("ry9-epr")), ..Default::default() }, vec![]),
            (DeliveryFilter { states: vec![State::Filed], ..Default::default() }, vec![f]),
            (DeliveryFilter { states: vec![State::Parked], ..Default::default() }, vec![p]),
            (DeliveryFilter { states: vec![State::Filed, State::Queued], ..Default::default() }, vec![f, e]),
            (DeliveryFilter { reasons: vec![ParkReason::Refused], ..Default::default() }, vec![p]),
            (DeliveryFilter { reasons: vec![ParkReason::ByPerson], ..Default::default() }, vec![]),
            (
                DeliveryFilter {
                    reasons: vec![ParkReason::Refused],
                    states: vec![State::Queued],
                    ..Default::default()
                },
                vec![],
            ),
            (DeliveryFilter { waiting_for: Some(WaitingFor::Integrator), ..Default::default() }, vec![p]),
            (DeliveryFilter { waiting_for: Some(WaitingFor::Author), ..Default::default() }, vec![]),
            (DeliveryFilter { patient: Some(one.patient), ..Default::default() }, vec![f, p]),
            (DeliveryFilter { subject: Some(elsewhere.note.0), ..Default::default() }, vec![e]),
            (
                DeliveryFilter { subject: Some(elsewhere.note.0), patient: Some(one.patient), ..Default::default() },
                vec![],
            ),
            (DeliveryFilter { patient: Some(one.patient), states: vec![State::Parked], ..Default::default() }, vec![p]),
        ];
        for (filter, mut expected) in cases {
            let found = bridge.store.deliveries(&scope, &filter, page(100)).await.unwrap();
            let mut found: Vec<DeliveryId> = found.iter().map(|d| d.id).collect();
            found.sort();
            expected.sort();
            assert_eq!(found, expected, "{filter:?}");
        }
        bridge.close().await;
    }
}

#[tokio::test]
async fn every_filter_of_referrals_narrows() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let scope = Scope::trusts([rx9(), ry9()]);
        let east = bridge.episode().await;
        let west = bridge.refer(&rx9(), person(), "west").await;
        let theirs = bridge.refer(&ry9(), person(), "east").await;
        let accept = AnswerReferral {
            call: call(&rx9()),
            referral_id: west.referral,
            author: author(),
            answer: ReferralAnswer::Accept { assigned_to: author() },
        };
        bridge.store.answer_referral(accept).await.unwrap();
        bridge.clock.advance(Duration::from_secs(40 * 86_400));
        bridge.write(&west, "Touched.").await;
        let untouched = Some(bridge.now() - Span::new().hours(30 * 24));
        let by = |staff: &str| Some(StaffId::parse(staff).unwrap());
        let cases = vec![
            (ReferralFilter::default(), vec![east.referral, west.referral, theirs.referral]),
            (ReferralFilter { trust: Some(rx9()), ..Default::default() }, vec![east.referral, west.referral]),
            (ReferralFilter { trust: Some(trust("RZ9")), ..Default::default() }, vec![]),
            (ReferralFilter { patient: Some(west.patient), ..Default::default() }, vec![west.referral]),
            (ReferralFilter { states: vec![ReferralState::Accepted], ..Default::default() }, vec![west.referral]),
            (
                ReferralFilter { team: Some(TeamId::parse("east").unwrap()), ..Default::default() },
                vec![east.referral, theirs.referral],
            ),
            (ReferralFilter { assigned_to: by("es1234"), ..Default::default() }, vec![west.referral]),
            (ReferralFilter { assigned_to: by("nobody"), ..Default::default() }, vec![]),
            (ReferralFilter { untouched_since: untouched, ..Default::default() }, vec![east.referral, theirs.referral]),
        ];
        for (filter, mut expected) in cases {
            let found = bridge.store.referrals(&scope, &filter, page(100)).await.unwrap();
            let mut found: Vec<_> = found.iter().map(|r| r.id).collect();
            found.sort();
            expected.sort();
            assert_eq!(found, expected, "{filter:?}");
        }
        let last = bridge.store.last_entries_at([east.referral, west.referral]).await.unwrap();
        assert_eq!(last.get(&east.referral), None);
        assert_eq!(last.get(&west.referral), Some(&bridge.now()));
        bridge.close().await;
    }
}

/// What a release before wrote stands there as that one folded it.
#[tokio::test]
async fn whoever_was_recorded_before_is_found_by_a_name_as_it_is_compared_now() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let mut details = person();
        details.name.family = Private("Nguyễn".into());
        let of = bridge.refer(&rx9(), details, "east").await;
        bridge.close().await;
        raw::execute(&test.url, "UPDATE patient SET folded_family = 'nguyễn'").await;
        raw::execute(&test.url, "INSERT INTO refold SELECT id FROM patient").await;

        let bridge = Bridge::on(&test.url).await;
        for family in ["NGUYEN", "Nguyễn"] {
            let by = PatientBy::NameAndBirth { family: family.into(), born: of.details.date_of_birth.0 };
            let found = bridge.store.find_patients(&Scope::trusts([rx9()]), &rx9(), &by, page(10)).await.unwrap();
            assert_eq!(found.iter().map(|p| p.id).collect::<Vec<_>>(), [of.patient], "{family}");
        }
        assert_eq!(raw::number(&test.url, "SELECT COUNT(*) FROM refold").await, 0);
        bridge.close().await;
    }
}

#[tokio::test]
async fn patients_are_found_by_number_by_local_identifier_and_by_name_and_birth() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let scope = Scope::trusts([rx9()]);
        let by_number = bridge.refer(&rx9(), numbered("9990000018"), "east").await;
        let by_local = bridge.episode().await;
        let find = async |by: PatientBy, page: Page| {
            let found = bridge.store.find_patients(&scope, &rx9(), &by, page).await.unwrap();
            found.into_iter().map(|p| p.id).collect::<Vec<_>>()
        };
        let number = by_number.details.nhs_number.unwrap();
        assert_eq!(find(PatientBy::NhsNumber(number), page(10)).await, [by_number.patient]);
        let local = by_local.details.local_identifiers[0].clone();
        assert_eq!(find(PatientBy::Local(local.clone()), page(10)).await, [by_local.patient]);
        let mut other = local;
        other.kind = "PI".into();
        assert!(find(PatientBy::Local(other), page(10)).await.is_empty());
        let named = PatientBy::NameAndBirth { family: "llyr jones".into(), born: by_local.details.date_of_birth.0 };
        let all = find(named.clone(), page(10)).await;
        assert_eq!(all.len(), 2);
        let first = find(named.clone(), page(1)).await;
        let second = find(named.clone(), Page { size: 1, after: Some(first[0].0) }).await;
        assert_eq!([first, second].concat(), all);
        let born = jiff::civil::date(1985, 4, 13);
        assert!(find(PatientBy::NameAndBirth { family: "llyr jones".into(), born }, page(10)).await.is_empty());
        bridge.close().await;
    }
}

#[tokio::test]
async fn an_endpoints_counts_are_what_its_deliveries_say() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let start = bridge.now();
        let sent = [Some(Sent::Filed), Some(Sent::Accepted), Some(Sent::Refused), Some(Sent::TryLater), None];
        for sent in sent {
            bridge.clock.advance(Duration::from_secs(1));
            let of = bridge.episode().await;
            let delivery = bridge.write(&of, "Note.").await.delivery();
            if let Some(sent) = sent {
                bridge.send(delivery, sent).await;
            }
        }
        let of = bridge.episode().await;
        bridge.write(&of, "Leaving.").await;
        for one in bridge.claim(&epr(), 2).await {
            bridge.begin(&one).await;
        }
        let counts = bridge.store.endpoint_counts(&epr(), start, bridge.now()).await.unwrap();
        let second = |n: i64| start + Span::new().seconds(n);
        let expected = EndpointCounts {
            queued: 0,
            sending: 2,
            backing_off: 1,
            accepted: 1,
            parked: 1,
            filed_since: 1,
            written_since: 6,
            oldest_unfiled: Some(second(2)),
            overdue: 1,
        };
        assert_eq!(counts, expected);
        let counts = bridge.store.endpoint_counts(&epr(), second(2), second(2)).await.unwrap();
        assert_eq!((counts.filed_since, counts.written_since, counts.overdue), (0, 5, 0));
        assert_eq!(
            bridge.store.endpoint_counts(&anew(), start, bridge.now()).await.unwrap(),
            EndpointCounts::default()
        );
        let open = bridge.store.endpoints_with_open_deliveries(&Scope::system()).await.unwrap();
        assert_eq!(open, ["rx9-epr"]);
        bridge.close().await;
    }
}

#[tokio::test]
async fn measures_are_computed_from_the_newest_version_of_everything_of_one_trust() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let theirs = bridge.refer(&ry9(), person(), "east").await;
        bridge.write(&theirs, "Theirs.").await;
        let plan = |client_engaged| {
            let kind = NoteKind::ActionPlan { client_engaged, review_on: None };
            NoteContent { kind, ..note("The plan.") }
        };
        let write = async || written(&bridge.store.write_note(bridge.note(&of, plan(true))).await.unwrap()).note;
        let kept = write().await;
        let newer = ReplaceNote { content: plan(false), ..bridge.replacement(&of, kept, 1, "") };
        bridge.store.replace_note(newer).await.unwrap();
        let withdrawn = write().await;
        bridge.withdraw(&of, withdrawn).await.unwrap();
        let record = |content| RecordOutcome {
            call: call(&rx9()),
            rules: bridge.store.rules().clone(),
            referral_id: of.referral,
            expected: expected(&of.details),
            author: author(),
            content,
            occurred_at: bridge.now(),
        };
        let job = bridge.store.record_outcome(record(job_start())).await.unwrap();
        let job = OutcomeId(job.answer().subject);
        bridge.store.record_outcome(record(still_in_work(job))).await.unwrap();
        let accept = AnswerReferral {
            call: call(&rx9()),
            referral_id: of.referral,
            author: author(),
            answer: ReferralAnswer::Accept { assigned_to: author() },
        };
        bridge.store.answer_referral(accept).await.unwrap();
        let accepted = bridge.now();
        bridge.clock.advance(Duration::from_secs(3600));
        let other = Author { staff_id: StaffId::parse("es5678").unwrap(), ..author() };
        // Another's, and once more: it changes no hands by that.
        for _ in 0..2 {
            let change = ReferralChange::Assign(other.clone());
            let assign = ChangeReferral { call: call(&rx9()), referral_id: of.referral, change };
            bridge.store.change_referral(assign).await.unwrap();
        }
        let facts = bridge.store.trust_facts(&Scope::trusts([rx9()]), &rx9()).await.unwrap().unwrap();
        let had: Vec<_> = facts[0].specialists.iter().map(|s| (s.since, s.to.clone())).collect();
        assert_eq!(had, [(accepted, author()), (bridge.now(), other)]);
        assert_eq!(facts.iter().map(|f| f.referral_id).collect::<Vec<_>>(), [of.referral]);
        let (jobs, plans) = (&facts[0].jobs, &facts[0].plans);
        assert_eq!(jobs.iter().map(|j| (j.id, j.confirmed_on.len())).collect::<Vec<_>>(), [(job, 1)]);
        let as_it_reads_now = PlanFacts { at: START.parse().unwrap(), engaged: false };
        assert_eq!(*plans, [as_it_reads_now], "what was withdrawn is none");
        bridge.close().await;
    }
}

#[tokio::test]
async fn backfill_sends_what_stands_once_and_nothing_that_was_replaced_or_withdrawn_meanwhile() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let scope = Scope::trusts([rx9()]);
        let of = bridge.episode().await;
        let mut entries = Vec::new();
        let mut notes = Vec::new();
        for n in 0..4 {
            bridge.clock.advance(Duration::from_millis(1));
            let written = bridge.write(&of, &format!("Note {n}")).await;
            entries.push(bridge.delivery(written.delivery()).await.entry_id);
            notes.push(written.note);
        }
        let from = START.parse().unwrap();
        let listed = async |after: Option<EntryId>, limit| {
            let found = bridge.store.to_backfill(&scope, &rx9(), &anew(), from, after, limit).await.unwrap();
            found.into_iter().map(|e| e.id).collect::<Vec<_>>()
        };
        assert_eq!(listed(None, 100).await, entries);
        assert_eq!(listed(Some(entries[0]), 2).await, entries[1..3]);
        // Listed, and then replaced and withdrawn before the call comes.
        bridge.replace(&of, notes[0], "Newer.").await.unwrap();
        bridge.withdraw(&of, notes[1]).await.unwrap();
        let backfill =
            || Backfill { call: call(&rx9()), endpoint: anew(), entries: entries.clone(), reason: "new".into() };
        let made = bridge.store.backfill(backfill()).await.unwrap().answer().deliveries.clone();
        assert_eq!(made.len(), 2);
        for (delivery, entry) in made.iter().zip(&entries[2..]) {
            let delivery = bridge.delivery(*delivery).await;
            assert_eq!((delivery.entry_id, delivery.endpoint), (*entry, anew()));
        }
        assert!(bridge.store.backfill(backfill()).await.unwrap().answer().deliveries.is_empty(), "nothing goes twice");
        assert_eq!(listed(None, 100).await.len(), 1, "the newer version of the first");
        bridge.check_columns().await;
        bridge.close().await;
    }
}

fn ignored(bridge: &Bridge, source: &str, control_id: &str, bytes: &[u8]) -> Inbound {
    Inbound {
        id: InboundId::new(bridge.now(), &*bridge.entropy),
        trust: rx9(),
        endpoint: epr(),
        received_at: bridge.now(),
        source: source.into(),
        control_id: control_id.into(),
        message_type: "ADT^A31".into(),
        state: InboundState::Ignored,
        reason: "not ours".into(),
        referral_id: None,
        rule: None,
        reused_control_id: false,
        content: bytes.iter().rev().copied().collect(),
        bytes: Raw(bytes.to_vec()),
        reply: Raw("MSA|AA|żółć".as_bytes().to_vec()),
    }
}

#[tokio::test]
async fn only_a_message_under_whose_id_nothing_came_is_taken_for_new() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let store = &bridge.store;
        let take = |inbound: Inbound| store.take_in_new(TakenForNew::new(Receive { inbound }.into()));
        for control_id in ["A1", "A\u{0}1"] {
            let first = ignored(&bridge, "PAS|RX9", control_id, b"one");
            assert_eq!(take(first.clone()).await.unwrap(), Some(first.reply.0));
            assert_eq!(take(ignored(&bridge, "PAS|RX9", control_id, b"one")).await.unwrap(), None, "sent again");
            assert_eq!(take(ignored(&bridge, "PAS|RX9", control_id, b"other")).await.unwrap(), None, "other bytes");
        }
        assert!(take(ignored(&bridge, "PAS|RX8", "A1", b"one")).await.unwrap().is_some(), "another sender's");
        let elsewhere = Inbound { endpoint: anew(), ..ignored(&bridge, "PAS|RX9", "A1", b"one") };
        assert!(take(elsewhere).await.unwrap().is_some(), "at another endpoint");
        let at_once = || take(ignored(&bridge, "PAS|RX9", "A2", b"one"));
        let (one, other) = tokio::join!(at_once(), at_once());
        assert!(one.unwrap().is_some() != other.unwrap().is_some(), "two at once are one");
        let mut kept = 5;
        if test.kind == "postgres" {
            let beside = Bridge::on(&test.url).await;
            let theirs = Receive { inbound: ignored(&beside, "PAS|RX9", "A3", b"one") };
            let ours = take(ignored(&bridge, "PAS|RX9", "A3", b"one"));
            let (one, other) = tokio::join!(ours, beside.store.take_in_new(TakenForNew::new(theirs.into())));
            assert!(one.unwrap().is_some() != other.unwrap().is_some(), "two bridges take it once");
            kept += 1;
            beside.close().await;
        }
        assert_eq!(raw::number(&test.url, "SELECT COUNT(*) FROM inbound").await, kept);
        bridge.close().await;
    }
}

/// One without an id of its own: nothing but the message's says that it is the same.
#[tokio::test]
async fn a_referral_that_is_taken_for_new_is_made_once_by_however_many_bridges() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let beside = if test.kind == "postgres" { Some(Bridge::on(&test.url).await) } else { None };
        let other = beside.as_ref().unwrap_or(&bridge);
        let take = async |bridge: &Bridge, bytes: &[u8]| {
            let inbound = ignored(bridge, "PAS|RX9", "R1", bytes);
            let referral = bridge.referral(&rx9(), numbered("9990000018"), "east");
            let reply = Box::new(|_: Result<_, &_>| b"MSA|AA".to_vec());
            bridge.store.take_in_new(TakenForNew::new(ReceivedReferral { inbound, referral, reply }.into())).await
        };
        let (here, there) = tokio::join!(take(&bridge, b"one"), take(other, b"one"));
        assert!(here.unwrap().is_some() != there.unwrap().is_some(), "at once");
        for (bridge, bytes) in [(&bridge, b"one"), (other, b"one"), (&bridge, b"two"), (other, b"two")] {
            assert_eq!(take(bridge, bytes).await.unwrap(), None, "and later");
        }
        for (table, rows) in [("referral", 1), ("inbound", 1), ("request", 0)] {
            assert_eq!(raw::number(&test.url, &format!("SELECT COUNT(*) FROM {table}")).await, rows, "{table}");
        }
        if let Some(beside) = beside {
            beside.close().await;
        }
        bridge.close().await;
    }
}

/// Of people whom the writer has in hand, so that it looks for nothing before it takes a message in.
#[tokio::test]
async fn among_new_messages_and_referrals_those_that_came_before_are_recognised_and_hold_up_nobody() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let details = PatientDetails { local_identifiers: person().local_identifiers, ..numbered("9990000018") };
        let take = |control_id: String, external: String| {
            let inbound = ignored(&bridge, "PAS|RX9", &control_id, b"one");
            let mut referral = bridge.referral(&rx9(), details.clone(), "east");
            referral.received_from = Some((epr(), control_id));
            referral.details.external_ids.push(ExternalId { system: "RX9".into(), value: Private(external) });
            let reply = Box::new(|made: Result<ReferralId, &_>| made.map_or(b"AE".to_vec(), |_| b"AA".to_vec()));
            let store = bridge.store.clone();
            let new = TakenForNew::new(ReceivedReferral { inbound, referral, reply }.into());
            tokio::spawn(async move { store.take_in_new(new).await })
        };
        for n in 0..3 {
            let first = take(format!("C{n}"), format!("E{n}")).await.unwrap().unwrap();
            assert_eq!(first.as_deref(), Some(&b"AA"[..]));
        }
        let taken = (0..24).map(|n| match n {
            5 => take("C5 of another message".into(), "E0".into()),
            6 => take("C6".into(), "E5 told twice at once".into()),
            7 => take("C7".into(), "E5 told twice at once".into()),
            11 => take("C0".into(), "E11".into()),
            _ => take(format!("C1{n}"), format!("E1{n}")),
        });
        for (n, answer) in futures::future::join_all(taken).await.into_iter().enumerate() {
            let expected = if n == 11 { None } else { Some(&b"AA"[..]) };
            assert_eq!(answer.unwrap().unwrap().as_deref(), expected, "{n}");
        }
        for (table, rows) in
            [("referral", 3 + 24 - 3), ("referral_external", 3 + 24 - 3), ("inbound", 3 + 23), ("patient", 1)]
        {
            assert_eq!(raw::number(&test.url, &format!("SELECT COUNT(*) FROM {table}")).await, rows, "{table}");
        }
        bridge.check_columns().await;
        bridge.close().await;
    }
}

#[tokio::test]
async fn a_repeated_inbound_message_is_found_by_its_endpoint_source_and_control_id() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let scope = Scope::trusts([rx9()]);
        let message = |source: &str, control_id: &str, bytes: &[u8]| ignored(&bridge, source, control_id, bytes);
        let first = message("PAS|RX9", "A\u{0}1", &[0, 1, 2, 255]);
        let reply = bridge.store.receive(Receive { inbound: first.clone() }).await.unwrap();
        assert_eq!(reply, first.reply.0);
        bridge.clock.advance(Duration::from_millis(1));
        let second = message("PAS|RX9", "A\u{0}1", b"other");
        bridge.store.receive(Receive { inbound: second.clone() }).await.unwrap();
        let before = bridge.store.inbound_before(&epr(), "PAS|RX9", "A\u{0}1").await.unwrap();
        assert_eq!(before, [first.clone(), second]);
        assert!(bridge.store.inbound_before(&epr(), "PAS|RX8", "A\u{0}1").await.unwrap().is_empty());
        assert!(bridge.store.inbound_before(&anew(), "PAS|RX9", "A\u{0}1").await.unwrap().is_empty());
        assert_eq!(bridge.store.inbound(&scope, first.id).await.unwrap(), Some(first));
        assert_eq!(bridge.store.inbound_messages(&scope, Some(&epr()), page(1)).await.unwrap().len(), 1);
        bridge.close().await;
    }
}

#[tokio::test]
async fn a_referral_that_comes_as_a_message_is_kept_with_what_became_of_it() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let scope = Scope::trusts([rx9()]);
        let details = numbered("9990000018");
        let external = ips_bridge::domain::referral::ExternalId {
            system: "RX9".into(),
            value: ips_bridge::domain::text::Private("R1".into()),
        };
        let receive = |control_id: &str, details: ips_bridge::domain::person::PatientDetails| {
            let mut referral = bridge.referral(&rx9(), details, "east");
            referral.received_from = Some((epr(), control_id.into()));
            referral.details.external_ids.push(external.clone());
            let inbound = Inbound {
                id: InboundId::new(bridge.now(), &*bridge.entropy),
                trust: rx9(),
                endpoint: epr(),
                received_at: bridge.now(),
                source: "PAS|RX9".into(),
                control_id: control_id.into(),
                message_type: "REF^I12".into(),
                state: InboundState::Received,
                reason: String::new(),
                referral_id: None,
                rule: None,
                reused_control_id: false,
                content: vec![1; 32],
                bytes: Raw(b"MSH|".to_vec()),
                reply: Raw(vec![]),
            };
            let reply =
                |r: Result<ReferralId, &ips_bridge::store::Refusal>| r.map_or(b"AE".to_vec(), |_| b"AA".to_vec());
            (inbound.id, ReceivedReferral { inbound, referral, reply: Box::new(reply) })
        };
        let (id, first) = receive("1", details.clone());
        assert_eq!(bridge.store.take_in(first.into()).await.unwrap(), b"AA");
        let applied = bridge.store.inbound(&scope, id).await.unwrap().unwrap();
        assert_eq!((applied.state, applied.reply.0), (InboundState::Applied, b"AA".to_vec()));
        // The same referral by another message is one referral.
        let (id, again) = receive("2", details.clone());
        assert_eq!(bridge.store.take_in(again.into()).await.unwrap(), b"AA");
        let known = bridge.store.inbound(&scope, id).await.unwrap().unwrap();
        assert_eq!(known.referral_id, applied.referral_id);
        // Somebody else under the same referral id is another referral, and nobody's: refused, and kept.
        let (id, refused) = receive("2b", numbered("9990000026"));
        assert_eq!(bridge.store.take_in(refused.into()).await.unwrap(), b"AE");
        let parked = bridge.store.inbound(&scope, id).await.unwrap().unwrap();
        assert_eq!((parked.state, parked.referral_id), (InboundState::Parked, None));
        // Somebody else under the same number is refused, and kept.
        let mut stranger = details;
        stranger.date_of_birth.0 = jiff::civil::date(1950, 1, 1);
        let (id, mut refused) = receive("3", stranger);
        refused.referral.details.external_ids.clear();
        assert_eq!(bridge.store.take_in(refused.into()).await.unwrap(), b"AE");
        let parked = bridge.store.inbound(&scope, id).await.unwrap().unwrap();
        assert_eq!((parked.state, parked.referral_id), (InboundState::Parked, None));
        assert_eq!(raw::number(&test.url, "SELECT COUNT(*) FROM referral").await, 1);
        // Its answer goes back where it came from.
        let answer = AnswerReferral {
            call: call(&rx9()),
            referral_id: applied.referral_id.unwrap(),
            author: author(),
            answer: ReferralAnswer::Decline {
                reason: ips_bridge::domain::referral::DeclineReason::Incomplete,
                text: None,
            },
        };
        let delivery = bridge.store.answer_referral(answer).await.unwrap().answer().deliveries[0];
        // An HL7 reply is no document: once it has arrived no list can name it, and no sheet counts it.
        let written = async |replies_are_documents| {
            let reconciling = ips_bridge::inbound::reconcile::Reconciling {
                store: &bridge.store,
                scope: &scope,
                trust: &rx9(),
                endpoint: &epr(),
                name: "EPR",
                time_zone: jiff::tz::TimeZone::UTC,
                now: bridge.now(),
                replies_are_documents,
                list: "list.csv",
            };
            let today = bridge.now().to_zoned(jiff::tz::TimeZone::UTC).date();
            let keyed = |_: u32| call(&rx9());
            let done =
                ips_bridge::inbound::reconcile::reconcile(&reconciling, &[], Some(today), "x", true, &keyed).await;
            done.unwrap().sheet.written
        };
        assert_eq!((written(false).await, written(true).await), (1, 1), "it waits to be sent");
        bridge.send(delivery, Sent::Filed).await;
        assert_eq!((written(false).await, written(true).await), (0, 1));
        // It is over: told again, it waits for a person.
        let (id, again) = receive("4", numbered("9990000018"));
        assert_eq!(bridge.store.take_in(again.into()).await.unwrap(), b"AE");
        let parked = bridge.store.inbound(&scope, id).await.unwrap().unwrap();
        assert!(parked.state == InboundState::Parked && parked.reason.contains("is over"), "{}", parked.reason);
        bridge.close().await;
    }
}

#[tokio::test]
async fn a_referral_made_by_the_api_first_is_answered_to_the_epr_that_tells_it_again() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let external = ips_bridge::domain::referral::ExternalId {
            system: "RX9".into(),
            value: ips_bridge::domain::text::Private("R1".into()),
        };
        let told = || {
            let mut referral = bridge.referral(&rx9(), numbered("9990000018"), "east");
            referral.details.external_ids.push(external.clone());
            referral
        };
        let made = bridge.store.create_referral(told()).await.unwrap();
        let inbound = Inbound {
            id: InboundId::new(bridge.now(), &*bridge.entropy),
            trust: rx9(),
            endpoint: epr(),
            received_at: bridge.now(),
            source: "PAS|RX9".into(),
            control_id: "7".into(),
            message_type: "REF^I12".into(),
            state: InboundState::Received,
            reason: String::new(),
            rule: None,
            referral_id: None,
            reused_control_id: false,
            content: vec![1; 32],
            bytes: Raw(b"MSH|".to_vec()),
            reply: Raw(vec![]),
        };
        let mut referral = told();
        referral.received_from = Some((epr(), "7".into()));
        let reply = |r: Result<ips_bridge::domain::ids::ReferralId, &ips_bridge::store::Refusal>| {
            r.map_or(b"AE".to_vec(), |_| b"AA".to_vec())
        };
        let again = ReceivedReferral { inbound, referral, reply: Box::new(reply) };
        assert_eq!(bridge.store.take_in(again.into()).await.unwrap(), b"AA");
        let id = ips_bridge::domain::ids::ReferralId(made.answer().subject);
        let known = bridge.store.referral(&Scope::system(), id).await.unwrap().unwrap();
        assert_eq!((known.version, known.received_from, known.received_control_id), (2, Some(epr()), Some("7".into())));
        bridge.close().await;
    }
}

/// A delivery stands in one state, so it is counted in one: nobody is told that it is filed while somebody is asked to look for it.
#[tokio::test]
async fn what_was_filed_and_contradicted_since_counts_as_parked_only() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let start = bridge.now();
        let of = bridge.episode().await;
        let kept = bridge.write(&of, "One.").await.delivery();
        bridge.send(kept, Sent::Filed).await;
        let contradicted = bridge.write(&of, "Two.").await.delivery();
        bridge.send(contradicted, Sent::Filed).await;
        let counts = async || bridge.store.endpoint_counts(&epr(), start, bridge.now()).await.unwrap();
        let before = counts().await;
        assert_eq!((before.filed_since, before.parked), (2, 0));
        let no = verdict(Meaning::Refused, Level::Application, "AE");
        bridge.late(&epr(), &bridge.control_id(contradicted).await, no).await;
        assert_eq!(bridge.parked(contradicted).await, Some(ParkReason::FilingContradicted));
        let after = counts().await;
        assert_eq!((after.filed_since, after.parked, after.written_since), (1, 1, 2));
        bridge.close().await;
    }
}
