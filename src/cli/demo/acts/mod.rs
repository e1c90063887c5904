//! The acts, in the order they are played.

mod notes;
mod outage;
mod people;
mod referral;
mod work;

use super::scene::Scene;
use crate::cli::failure::Failure;
use crate::cli::output::Look;
use crate::simulator::record::{Became, Status};
use crate::simulator::{Show, show};
use people::Client;

pub async fn all(scene: &mut Scene<'_>) -> Result<(), Failure> {
    let client = referral::arrives_and_is_accepted(scene).await?;
    notes::written_then_replaced(scene, &client).await?;
    notes::filed_then_withdrawn(scene, &client).await?;
    notes::withdrawn_before_it_was_sent(scene, &client).await?;
    work::a_job_start(scene, &client).await?;
    the_record(scene, &client)?;
    outage::a_note_survives(scene, &client).await
}

/// The clinical record as the EPR holds it.
fn the_record(scene: &mut Scene<'_>, client: &Client) -> Result<(), Failure> {
    scene.act("The clinical record, as the EPR holds it now")?;
    let record = scene.record();
    let how = Show { ids: false, time_zone: jiff::tz::TimeZone::UTC, ..Show::default() };
    for line in show(&record, &how).lines() {
        let line = match line {
            l if l.contains("CURRENT") => scene.out.paint(Look::Good, l),
            l if l.contains("CANCELLED") || l.contains("OBSOLETE") => scene.out.paint(Look::Faint, l),
            l => l.to_owned(),
        };
        scene.say(format!("  {line}"))?;
    }
    let held = record.patient(client.nhs_number()).map(|p| p.documents.iter().map(|d| d.status).collect::<Vec<_>>());
    let expected = [Status::Obsolete, Status::Current, Status::Cancelled, Status::Current];
    scene.check(
        held.as_deref() == Some(&expected),
        "four documents: the note replaced, its replacement, the note withdrawn, the job start",
    )?;
    scene.check(record.duplicates().is_empty(), "no document is held twice")?;
    let all_filed = record.arrivals().iter().all(|a| a.became == Became::Filed);
    let count = record.arrivals().len();
    scene.check(
        all_filed && count == 6,
        format!("{count} messages came, one for each thing that was to be filed, and each was filed"),
    )
}
