//! Accepting is writing: what was answered is there, once, whatever happens next.

use super::bridge::written;
use super::*;
use futures::FutureExt;
use futures::future::join_all;
use ips_bridge::domain::ids::DeliveryId;
use ips_bridge::store::read::{Page, SubjectFilter};
use ips_bridge::store::record::Answered;
use ips_bridge::store::write::{ReplaceNote, WriteNote};
use ips_bridge::store::{Full, Limits, Refusal, Scope, WriteError};
use std::time::Duration;

const ALL: Page = Page { size: 1000, after: None };

#[tokio::test]
async fn what_was_answered_is_there_for_whoever_opens_the_record_next() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.refer(&rx9(), person(), "copies").await;
        let write = bridge.note(&of, note("Met at the job centre."));
        let (key, call) = (write.call.request.as_ref().unwrap().key, write.call.clone());
        let written = written(&bridge.store.write_note(write).await.unwrap());
        assert_eq!(written.deliveries.len(), 2);
        // No shut-down: the other one finds what is on disk.
        drop(bridge.store);
        bridge.end.await.unwrap();

        let bridge = Bridge::on(&test.url).await;
        let scope = Scope::trusts([rx9()]);
        let found = bridge.store.note(&scope, written.note).await.unwrap().unwrap();
        assert_eq!((found.version, found.referral_id), (1, of.referral));
        let versions = bridge.store.versions(&scope, [written.note.0]).await.unwrap();
        assert_eq!(versions.len(), 1);
        assert_eq!(versions[0].identity, of.details.identity());
        let mut deliveries: Vec<DeliveryId> =
            bridge.store.deliveries_of(&scope, [written.note.0]).await.unwrap().iter().map(|d| d.id).collect();
        let mut answered = written.deliveries.clone();
        deliveries.sort();
        answered.sort();
        assert_eq!(deliveries, answered);
        // The request id is remembered, so the same request is recognised.
        let again = WriteNote { call, ..bridge.note(&of, note("Met at the job centre.")) };
        assert_eq!(again.call.request.as_ref().unwrap().key, key);
        let repeated = bridge.store.write_note(again).await.unwrap();
        assert!(matches!(repeated, Answered::Repeated(_)));
        assert_eq!(repeated.answer().subject, written.note.0);
        let audited = raw::number(
            &test.url,
            "SELECT COUNT(*) FROM audit WHERE action = 'progress_note.write' AND principal = 'ips-app'",
        );
        assert_eq!(audited.await, 1);
        assert_eq!(bridge.store.open_deliveries(), 2);
        bridge.close().await;
    }
}

#[tokio::test]
async fn the_same_request_gets_the_same_answer_and_other_content_is_refused() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let id = unique();
        let with = |content: u64| WriteNote { call: call_of(&rx9(), id, content), ..bridge.note(&of, note("Once.")) };
        let first = bridge.store.write_note(with(1)).await.unwrap();
        assert!(matches!(first, Answered::Fresh(_)));
        let second = bridge.store.write_note(with(1)).await.unwrap();
        assert_eq!(second, Answered::Repeated(first.answer().clone()));
        assert_eq!(bridge.store.write_note(with(2)).await, Err(Refusal::RequestIdReused.into()));
        let notes =
            bridge.store.notes(&Scope::system(), SubjectFilter::Referral(of.referral), None, ALL).await.unwrap();
        assert_eq!(notes.len(), 1);
        bridge.close().await;
    }
}

#[tokio::test]
async fn repeats_among_new_requests_are_recognised_and_hold_up_nobody() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let id = unique();
        let first = WriteNote { call: call_of(&rx9(), id, 1), ..bridge.note(&of, note("First.")) };
        let first = bridge.store.write_note(first).await.unwrap();
        // The writer has everything in hand now that a note of this referral needs, but for the request ids.
        for round in 0..4 {
            let writes = (0..24u64).map(|n| {
                let call = match n {
                    5 | 6 => call_of(&rx9(), id, 1),
                    11 => call_of(&rx9(), id, 2),
                    _ => call_of(&rx9(), unique(), 1),
                };
                let write = WriteNote { call, ..bridge.note(&of, note(&format!("Note {round}, {n}"))) };
                let store = bridge.store.clone();
                tokio::spawn(async move { store.write_note(write).await })
            });
            for (n, answer) in join_all(writes).await.into_iter().enumerate() {
                let answer = answer.unwrap();
                match n {
                    5 | 6 => assert_eq!(answer, Ok(Answered::Repeated(first.answer().clone()))),
                    11 => assert_eq!(answer, Err(Refusal::RequestIdReused.into())),
                    _ => assert!(matches!(answer, Ok(Answered::Fresh(_))), "{answer:?}"),
                }
            }
        }
        assert_eq!(raw::number(&test.url, "SELECT COUNT(*) FROM note").await, 1 + 4 * 21);
        assert_eq!(raw::number(&test.url, "SELECT COUNT(*) FROM request").await, 1 + 4 * 21 + 1);
        bridge.check_columns().await;
        bridge.close().await;
    }
}

#[tokio::test]
async fn a_repeat_that_would_be_refused_by_now_is_answered_as_it_was() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let written = bridge.write(&of, "First.").await;
        let id = unique();
        // A replacement of version 1: by now there is version 2.
        let replace =
            || ReplaceNote { call: call_of(&rx9(), id, 1), ..bridge.replacement(&of, written.note, 1, "Second.") };
        let replaced = bridge.store.replace_note(replace()).await.unwrap();
        for _ in 0..3 {
            assert_eq!(bridge.store.replace_note(replace()).await, Ok(Answered::Repeated(replaced.answer().clone())));
            bridge.write(&of, "Another.").await;
        }
        // All that a note of this referral needs is in the writer's hands, and by now there is no room.
        let write = || WriteNote { call: call_of(&rx9(), id + 1, 1), ..bridge.note(&of, note("Third.")) };
        let third = bridge.store.write_note(write()).await.unwrap();
        bridge.store.set_full(Full { disk: true, ..Full::default() });
        for _ in 0..3 {
            let fresh = bridge.store.write_note(bridge.note(&of, note("No room.")));
            let (again, fresh) = tokio::join!(bridge.store.write_note(write()), fresh);
            assert_eq!(again, Ok(Answered::Repeated(third.answer().clone())));
            assert_eq!(fresh, Err(Refusal::DiskFull.into()));
        }
        bridge.close().await;
    }
}

#[tokio::test]
async fn an_error_is_not_remembered() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let id = unique();
        let mut wrong = bridge.note(&of, note("Who?"));
        wrong.call = call_of(&rx9(), id, 1);
        wrong.expected.date_of_birth.0 = jiff::civil::date(1999, 1, 1);
        assert_eq!(bridge.store.write_note(wrong).await, Err(Refusal::PatientMismatch.into()));
        let right = WriteNote { call: call_of(&rx9(), id, 2), ..bridge.note(&of, note("Who?")) };
        assert!(matches!(bridge.store.write_note(right).await, Ok(Answered::Fresh(_))));
        bridge.close().await;
    }
}

#[tokio::test]
async fn sixty_four_identical_requests_at_once_make_one_note() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        // On PostgreSQL the half of them comes to another bridge.
        let other = if bridge.is_sqlite() { None } else { Some(Bridge::on(&test.url).await) };
        let of = bridge.episode().await;
        let id = unique();
        let answers = join_all((0..64).map(|n| {
            let write = WriteNote { call: call_of(&rx9(), id, 1), ..bridge.note(&of, note("At once.")) };
            let store = other.as_ref().filter(|_| n % 2 == 0).map_or(&bridge.store, |o| &o.store).clone();
            tokio::spawn(async move { store.write_note(write).await })
        }))
        .await;
        let answers: Vec<Answered> = answers.into_iter().map(|a| a.unwrap().unwrap()).collect();
        assert_eq!(answers.iter().filter(|a| matches!(a, Answered::Fresh(_))).count(), 1);
        assert!(answers.iter().all(|a| a.answer() == answers[0].answer()));
        assert_eq!(raw::number(&test.url, "SELECT COUNT(*) FROM note").await, 1);
        assert_eq!(raw::number(&test.url, "SELECT COUNT(*) FROM delivery").await, 1);
        bridge.close().await;
    }
}

#[tokio::test]
async fn a_write_that_is_refused_fails_its_caller_only() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let known = bridge.write(&of, "First.").await;
        let all = join_all((0..120u32).map(|n| {
            let mut write = bridge.note(&of, note(&format!("Note {n}")));
            let bad = match n % 4 {
                1 => {
                    write.expected.family.0 = "Somebody-Else".into();
                    Some(WriteError::from(Refusal::PatientMismatch))
                }
                2 => {
                    write.referral_id = ips_bridge::domain::ids::ReferralId::new(bridge.now(), &*bridge.entropy);
                    Some(Refusal::NotFound("referral").into())
                }
                _ => None,
            };
            let store = bridge.store.clone();
            tokio::spawn(async move { (bad, store.write_note(write).await) })
        }))
        .await;
        for one in all {
            match one.unwrap() {
                (Some(refusal), result) => assert_eq!(result, Err(refusal)),
                (None, result) => assert!(matches!(result, Ok(Answered::Fresh(_)))),
            }
        }
        assert_eq!(raw::number(&test.url, "SELECT COUNT(*) FROM note").await, 61);
        assert_eq!(raw::number(&test.url, "SELECT COUNT(*) FROM request").await, 62);
        let stale = ips_bridge::store::write::WithdrawNote {
            call: call(&rx9()),
            note_id: known.note,
            version_seen: 9,
            author: author(),
            reason: WHY,
            explanation: None,
        };
        assert_eq!(bridge.store.withdraw_note(stale).await, Err(Refusal::VersionConflict { seen: 9, now: 1 }.into()));
        bridge.close().await;
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_undo_its_write() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        // Polled once, so that it stands in the queue, then dropped.
        let write = bridge.store.write_note(bridge.note(&of, note("Gone.")));
        drop(write.now_or_never());
        // The next answer comes after it.
        bridge.write(&of, "Still here.").await;
        let notes =
            bridge.store.notes(&Scope::system(), SubjectFilter::Referral(of.referral), None, ALL).await.unwrap();
        assert_eq!(notes.len(), 2);
        bridge.close().await;
    }
}

#[tokio::test]
async fn everything_queued_is_written_before_the_writer_ends() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        for n in 0..50 {
            let write = bridge.store.write_note(bridge.note(&of, note(&format!("Note {n}"))));
            // Looked at once, and left: whoever waited is gone.
            drop(write.now_or_never());
        }
        bridge.close().await;
        assert_eq!(raw::number(&test.url, "SELECT COUNT(*) FROM note").await, 50);
    }
}

#[tokio::test]
async fn settles_go_before_accepts() {
    for test in both() {
        let settings = ips_bridge::store::Settings { group_commit_max: 1, ..bridge::settings(&test.url) };
        let bridge = Bridge::with(&settings, rulebook()).await;
        let of = bridge.episode().await;
        let delivery = bridge.write(&of, "To be sent.").await.delivery();
        let accepts: Vec<_> = (0..300)
            .map(|n| {
                let (store, write) = (bridge.store.clone(), bridge.note(&of, note(&format!("Note {n}"))));
                tokio::spawn(async move { store.write_note(write).await.unwrap() })
            })
            .collect();
        // All of them stand in the queue.
        while accepts.iter().all(|a| !a.is_finished()) {
            tokio::task::yield_now().await;
        }
        bridge.claim_only(&epr(), delivery).await;
        let waiting = accepts.iter().filter(|a| !a.is_finished()).count();
        assert!(waiting > 200, "the claim stood behind {} of 300 notes", 300 - waiting);
        for accept in accepts {
            accept.await.unwrap();
        }
        bridge.close().await;
    }
}

#[tokio::test]
async fn every_version_is_kept_even_when_one_commit_makes_several() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        join_all((0..30).map(|_| {
            let (store, write) = (bridge.store.clone(), bridge.note(&of, disclosure()));
            tokio::spawn(async move { store.write_note(write).await.unwrap() })
        }))
        .await;
        let scope = Scope::system();
        let now = bridge.store.referral(&scope, of.referral).await.unwrap().unwrap();
        assert_eq!(now.version, 31);
        for version in 1..=31 {
            let then = bridge.store.referral_at(&scope, of.referral, version).await.unwrap();
            assert_eq!(then.map(|r| r.version), Some(version));
        }
        bridge.close().await;
    }
}

#[tokio::test]
async fn beyond_its_limit_the_bridge_refuses_new_work_and_keeps_the_old() {
    for test in both() {
        let rules = || ips_bridge::store::Rulebook {
            limits: Limits { max_open_deliveries: 3, ..Limits::default() },
            ..rulebook()
        };
        let bridge = Bridge::with(&bridge::settings(&test.url), rules()).await;
        let of = bridge.episode().await;
        let written: Vec<_> = [bridge.write(&of, "1").await, bridge.write(&of, "2").await].into();
        // The limit is the record's, not the process's.
        let other =
            if bridge.is_sqlite() { None } else { Some(Bridge::with(&bridge::settings(&test.url), rules()).await) };
        other.as_ref().unwrap_or(&bridge).write(&of, "3").await;
        let full = bridge.store.write_note(bridge.note(&of, note("4"))).await;
        assert_eq!(full, Err(Refusal::QueueFull { open: 3, limit: 3 }.into()));
        assert_eq!(bridge.store.open_deliveries(), 3);
        // What is taken back makes room, and a withdrawal needs none.
        bridge.withdraw(&of, written[0].note).await.unwrap();
        bridge.write(&of, "4").await;
        bridge.check_columns().await;
        bridge.close().await;
    }
}

#[tokio::test]
async fn a_request_id_is_forgotten_after_its_time_and_not_before() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let delivery = bridge.write(&of, "Once.").await.delivery();
        // A call that changes nothing is remembered as long as any other: it leaves no audit row to take the time from.
        let idle = |id| ips_bridge::store::write::Operate {
            call: call_of(&rx9(), id, 1),
            deliveries: vec![delivery],
            operation: ips_bridge::store::write::Operation::Retry { may_be_in_record_acknowledged: true },
            reason: "see".into(),
            single: false,
        };
        let id = unique();
        let first = bridge.store.operate(idle(id)).await.unwrap();
        assert_eq!(first.answer().deliveries, []);
        bridge.clock.advance(Duration::from_secs(3600));
        let before = bridge.now() - jiff::Span::new().hours(2);
        assert_eq!(bridge.store.forget_requests(before).await.unwrap(), 0);
        assert!(matches!(bridge.store.operate(idle(id)).await, Ok(Answered::Repeated(_))));
        assert_eq!(bridge.store.forget_requests(bridge.now()).await.unwrap(), 3);
        assert!(matches!(bridge.store.operate(idle(id)).await, Ok(Answered::Fresh(_))));
        bridge.close().await;
    }
}

#[tokio::test]
async fn reads_of_a_patients_data_are_audited_before_they_are_answered() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let audit = ips_bridge::store::record::Audit {
            at: bridge.now(),
            trust: rx9(),
            actor: call(&rx9()).actor,
            action: "patient.read",
            subject_kind: "patient",
            subject_id: Some(of.patient.0),
            patient_id: Some(of.patient),
            why: Default::default(),
            outcome: "done",
        };
        bridge.store.audit_reads(ips_bridge::store::write::ReadAudit(vec![audit.clone(), audit])).await.unwrap();
        assert_eq!(raw::number(&test.url, "SELECT COUNT(*) FROM audit WHERE action = 'patient.read'").await, 2);
        bridge.close().await;
    }
}

#[tokio::test]
async fn ids_are_sixteen_bytes_and_times_are_whole_microseconds() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        bridge.clock.advance(Duration::from_micros(123_456));
        let of = bridge.episode().await;
        let written = bridge.write(&of, "When?").await;
        let delivery = bridge.delivery(written.delivery()).await;
        assert_eq!(delivery.created_at.to_string(), "2025-03-03T09:00:00.123456Z");
        let at = raw::number(&test.url, "SELECT created_at FROM delivery").await;
        assert_eq!(at, 1_740_992_400_123_456);
        let sizes = if bridge.is_sqlite() {
            "SELECT DISTINCT typeof(id) || length(id) || typeof(created_at) FROM delivery"
        } else {
            "SELECT DISTINCT pg_typeof(id)::text || pg_column_size(id) || pg_typeof(created_at) FROM delivery"
        };
        let sizes = raw::texts(&test.url, sizes).await;
        assert!(sizes == ["blob16integer"] || sizes == ["uuid16bigint"], "{sizes:?}");
        bridge.close().await;
    }
}
