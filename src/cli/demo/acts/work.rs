//! The client starts a job.

use super::super::scene::Scene;
use super::people::{Client, SPECIALIST, ago, specialist};
use crate::cli::bridge::request_id;
use crate::cli::failure::Failure;
use crate::simulator::record::Status;
use crate::wire::v1::outcome_content::Kind;
use crate::wire::v1::{Employer, JobStart, OutcomeContent, RecordOutcomeRequest};
use jiff::tz::TimeZone;

pub async fn a_job_start(scene: &mut Scene<'_>, client: &Client) -> Result<(), Failure> {
    scene.act("The client has started a job")?;
    let day = |days: i64| ago(days * 24 * 60).to_zoned(TimeZone::UTC).date().to_string();
    let (started, counts_from) = (day(3), day(2));
    let employer =
        Employer { name: "Example Stores Ltd".into(), post: "Sales assistant".into(), share_in_record: true };
    let start = JobStart {
        employer: Some(employer),
        started_on: started.clone(),
        four_paid_hours_on: Some(counts_from.clone()),
        competitive: true,
        weekly_minutes: 16 * 60,
        ..JobStart::default()
    };
    let content = OutcomeContent { remark: Some("Travels by bus.".into()), kind: Some(Kind::JobStart(start)) };
    let request = RecordOutcomeRequest {
        request_id: request_id(),
        referral_id: client.referral_id.clone(),
        expected_patient: Some(client.expected()),
        author: Some(specialist()),
        content: Some(content),
    };
    let job = format!(
        "Sales assistant at Example Stores Ltd, from {started}, four paid hours on {counts_from}, 16 hours a week, competitive"
    );
    let expected = client.expected_in_words();
    let says = [
        ("referral_id", &*client.referral_id),
        ("expected_patient", &*expected),
        ("author", SPECIALIST),
        ("content.job_start", &*job),
    ];
    let mut outcomes = scene.bridge.outcomes();
    let answer = scene.call("OutcomeService/RecordOutcome", &says, outcomes.record_outcome(request)).await?;
    let Some(delivery) = answer.deliveries.first() else {
        return Err(Failure::Refused("recording the job start made no delivery".into()));
    };
    let filed = scene.filed(&delivery.id, "the job start").await?;
    let (record, filed) = (scene.record(), scene.document_id(&filed));
    let document = record.document(&filed).filter(|d| d.status == Status::Current && record.copies(&d.id) == 1);
    let (readable, coded) =
        document.map_or((false, 0), |d| (d.latest().text().contains("Example Stores Ltd"), d.latest().rows.len()));
    scene.check(readable, "the EPR holds it as a document a clinician can read")?;
    scene.check(coded > 0, format!("and as {coded} coded values"))
}
