//! What is refused, and that everything else goes on: no room, no such team, an endpoint that is no more, facts that exclude each other.

use super::*;
use ips_bridge::domain::ids::OutcomeId;
use ips_bridge::domain::organisation::TeamId;
use ips_bridge::domain::outcome::{JobEndReason, OutcomeContent, OutcomeKind};
use ips_bridge::domain::text::Private;
use ips_bridge::store::write::{CorrectOutcome, Operation, RecordOutcome};
use ips_bridge::store::{Limits, Refusal};

#[tokio::test]
async fn an_endpoint_at_its_limit_and_a_full_disk_refuse_new_work_and_nothing_else() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let written = bridge.write(&of, "1").await;
        let limit = Limits::default().max_open_deliveries_per_endpoint;
        let full = |disk, endpoints: &[(ips_bridge::domain::organisation::EndpointId, i64)]| {
            bridge.store.set_full(ips_bridge::store::Full { disk, endpoints: endpoints.iter().cloned().collect() });
        };
        full(false, &[(epr(), 9)]);
        let refused = bridge.store.write_note(bridge.note(&of, note("2"))).await;
        assert_eq!(refused, Err(Refusal::EndpointFull { endpoint: epr(), open: 9, limit }.into()));
        full(false, &[(anew(), 9)]);
        bridge.write(&of, "2").await;
        full(true, &[]);
        assert_eq!(bridge.store.write_note(bridge.note(&of, note("3"))).await, Err(Refusal::DiskFull.into()));
        bridge.withdraw(&of, written.note).await.unwrap();
        full(false, &[]);
        bridge.write(&of, "3").await;
        assert_eq!(bridge.store.open_at(&epr()).await.unwrap(), 2);
        bridge.close().await;
    }
}

#[tokio::test]
async fn a_referral_to_a_team_that_is_not_the_trusts_is_refused() {
    for test in both() {
        let mut rules = rulebook();
        rules.trusts.get_mut(&rx9()).unwrap().teams = vec![TeamId::parse("east").unwrap()];
        let bridge = Bridge::with(&bridge::settings(&test.url), rules).await;
        bridge.episode().await;
        let elsewhere = bridge.store.create_referral(bridge.referral(&rx9(), person(), "nowhere")).await;
        let Err(ips_bridge::store::WriteError::Refused(Refusal::Broken(broken))) = elsewhere else {
            panic!("{elsewhere:?}")
        };
        assert_eq!(broken.0[0].field, "details.team");
        bridge.close().await;
    }
}

#[tokio::test]
async fn what_waits_for_a_retired_endpoint_can_still_be_put_in_order() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let (first, second) = (bridge.write(&of, "1").await, bridge.write(&of, "2").await);
        let url = test.url.clone();
        bridge.close().await;
        let mut rules = rulebook();
        rules.policies.remove(&epr());
        let bridge = Bridge::with(&bridge::settings(&url), rules).await;
        let cancel = Operation::Cancel { may_be_in_record_acknowledged: false };
        bridge.operate(first.delivery(), cancel).await.unwrap();
        assert_eq!(bridge.state(first.delivery()).await, "CANCELLED");
        assert_eq!(bridge.withdraw(&of, second.note).await.unwrap(), [], "it never left");
        assert_eq!(bridge.state(second.delivery()).await, "CANCELLED");
        bridge.close().await;
    }
}

#[tokio::test]
async fn what_is_said_of_a_job_must_not_exclude_what_was_said_of_it() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let record = |content| RecordOutcome {
            call: call(&rx9()),
            rules: bridge.store.rules().clone(),
            referral_id: of.referral,
            expected: expected(&of.details),
            author: author(),
            content,
            occurred_at: bridge.now(),
        };
        let said = async |content| {
            let answer = bridge.store.record_outcome(record(content)).await;
            answer.map(|a| OutcomeId(a.answer().subject)).map_err(|e| match e {
                ips_bridge::store::WriteError::Refused(Refusal::Broken(broken)) => broken.0[0].field.clone(),
                other => panic!("{other:?}"),
            })
        };
        let job = said(job_start()).await.unwrap();
        let end = |day| OutcomeContent {
            remark: None,
            kind: OutcomeKind::JobEnd {
                job_id: job,
                ended_on: day,
                reason: JobEndReason::Other,
                share_in_record: false,
            },
        };
        let day = |d| jiff::civil::date(2025, 3, d);
        said(still_in_work(job)).await.unwrap();
        assert_eq!(said(end(jiff::civil::date(2025, 2, 20))).await, Err("content.job_end.ended_on".into()));
        said(end(day(2))).await.unwrap();
        assert_eq!(said(end(day(3))).await, Err("content.job_end.job_id".into()));
        let hours = OutcomeKind::HoursChanged { job_id: job, from: day(3), weekly_minutes: 60 };
        assert_eq!(said(OutcomeContent { remark: None, kind: hours }).await, Err("content.hours_changed.from".into()));
        let mut ancient = job_start();
        if let OutcomeKind::JobStart(start) = &mut ancient.kind {
            start.started_on = jiff::civil::date(206, 3, 1);
        }
        assert_eq!(said(ancient).await, Err("content.job_start.started_on".into()));
        let mut later = job_start();
        if let OutcomeKind::JobStart(start) = &mut later.kind {
            start.started_on = day(2);
        }
        let correct = CorrectOutcome {
            call: call(&rx9()),
            outcome_id: job,
            version_seen: 1,
            expected: expected(&of.details),
            author: author(),
            content: later,
            occurred_at: bridge.now(),
            reason: Private("Wrong day".into()),
        };
        let refused = bridge.store.correct_outcome(correct).await;
        assert!(matches!(refused, Err(ips_bridge::store::WriteError::Refused(Refusal::Broken(_)))), "{refused:?}");
        bridge.close().await;
    }
}
