//! What an answer holds, as the comments of `proto/ips/v1` say it.

use crate::api_samples::*;
use crate::api_support::{Bridge, RIO, SPARE, fields_of};
use crate::support::stores;
use ips_bridge::wire::v1::{self, outcome_content::Kind};

const WRITE: &str = "ProgressNoteService/WriteProgressNote";
const REPLACE: &str = "ProgressNoteService/ReplaceProgressNote";

#[tokio::test]
async fn an_epr_is_told_of_its_own_endpoints_deliveries_only_the_first_time_and_again() {
    for store in stores() {
        let bridge = Bridge::start_routed(&store.url, SPARE).await;
        let referral = bridge.referral().await;
        let write = write(&referral.id, "One.");
        for _ in 0..2 {
            let told: v1::WriteProgressNoteResponse = bridge.done("epr", WRITE, &write).await;
            assert!(told.note.is_some() && told.deliveries.is_empty(), "another's delivery is shown to {RIO}");
        }
        let own = v1::WriteProgressNoteRequest { request_id: request_id(), ..write };
        let told: v1::WriteProgressNoteResponse = bridge.done("epr-spare", WRITE, &own).await;
        assert_eq!(told.deliveries.len(), 1);
        bridge.end().await;
    }
}

#[tokio::test]
async fn a_change_is_answered_with_the_version_it_made_however_many_there_are() {
    let bridge = Bridge::start().await;
    let referral = bridge.referral().await;
    let mut note = bridge.note(&referral.id, "One.").await.note.unwrap();
    for version in 2..5 {
        let replace = replace(&note, "Another.");
        for _ in 0..2 {
            let told: v1::ReplaceProgressNoteResponse = bridge.done("worker", REPLACE, &replace).await;
            note = told.note.unwrap();
            assert_eq!(note.versions.iter().map(|v| v.version).collect::<Vec<_>>(), [version]);
        }
    }
    let withdrawn: v1::WithdrawProgressNoteResponse =
        bridge.done("worker", "ProgressNoteService/WithdrawProgressNote", &withdraw(&note)).await;
    let withdrawn = withdrawn.note.unwrap();
    assert!(withdrawn.withdrawn && withdrawn.versions.len() == 1, "{}", withdrawn.versions.len());
    let get = v1::GetProgressNoteRequest { note_id: note.id };
    let got: v1::GetProgressNoteResponse = bridge.done("worker", "ProgressNoteService/GetProgressNote", &get).await;
    assert_eq!(got.note.unwrap().versions.len(), 5);
}

#[tokio::test]
async fn what_the_record_alone_can_tell_is_named_with_everything_else() {
    let bridge = Bridge::start().await;
    let referral = bridge.referral().await;
    let end = v1::OutcomeContent {
        kind: Some(Kind::JobEnd(v1::JobEnd {
            job_id: "01JNBRZC5M8Q4T7V9XA2E3F4G1".into(),
            ended_on: "1985-04-11".into(),
            reason: v1::JobEndReason::ContractEnded.into(),
            share_in_record: false,
        })),
        remark: None,
    };
    let broken = bridge.bytes("worker", "OutcomeService/RecordOutcome", &record(&referral.id, Some(end))).await;
    assert_eq!(fields_of(&broken.unwrap_err()), ["content.job_end.ended_on", "content.job_end.job_id"]);

    let list = v1::ListDeliveriesRequest { waiting_for: v1::WaitingFor::Nobody.into(), ..Default::default() };
    let broken = bridge.bytes("worker", "DeliveryService/ListDeliveries", &list).await;
    assert_eq!(fields_of(&broken.unwrap_err()), ["waiting_for"]);

    let elsewhere = v1::CreateReferralRequest {
        details: Some(v1::ReferralDetails {
            team: "ips-nowhere".into(),
            priority: v1::ReferralPriority::Unspecified.into(),
            ..referral_details("")
        }),
        ..create("RYY", "")
    };
    let broken = bridge.bytes("other", "ReferralService/CreateReferral", &elsewhere).await;
    assert_eq!(fields_of(&broken.unwrap_err()), ["details.priority", "details.team"]);
}
