//! A note is written, replaced, withdrawn; and one is withdrawn before anybody saw it.

use super::super::scene::Scene;
use super::people::{Client, SPECIALIST, note, specialist};
use crate::cli::bridge::request_id;
use crate::cli::failure::Failure;
use crate::simulator::record::{Document, Record, Status};
use crate::wire::v1::note_content::Kind;
use crate::wire::v1::{
    Delivery, DeliveryState, JobSearch, NoteContent, ProfileStage, ProgressNote, ReplaceProgressNoteRequest,
    VocationalProfile, WithdrawProgressNoteRequest, WithdrawReason, WriteProgressNoteRequest,
};
use pbjson_types::Duration;

const PROFILE: &str = "Met Sam at the café. Started the vocational profile: part-time retail, near the bus line.\nWants to start with 16 hours.";
const PROFILE_MENDED: &str = "Met Sam at the library. Started the vocational profile: part-time retail, near the bus line.\nWants to start with 12 hours & go up later.";
const MISTAKEN: &str = "Rang three garden centres with Sam.";
const REGRETTED: &str = "This note was written about the wrong meeting.";

/// Writes a note and gives it back with its first delivery.
pub async fn write(
    scene: &mut Scene<'_>,
    client: &Client,
    content: NoteContent,
    release_after: Option<i64>,
) -> Result<(ProgressNote, Delivery), Failure> {
    let (expected, text) = (client.expected_in_words(), content.text.clone());
    let held = release_after.map(|s| format!("{s} s"));
    let mut says = vec![
        ("referral_id", &*client.referral_id),
        ("expected_patient", &*expected),
        ("author", SPECIALIST),
        ("content.text", &*text),
    ];
    says.extend(held.as_deref().map(|held| ("release_after", held)));
    let request = WriteProgressNoteRequest {
        request_id: request_id(),
        referral_id: client.referral_id.clone(),
        expected_patient: Some(client.expected()),
        author: Some(specialist()),
        content: Some(content),
        release_after: release_after.map(|seconds| Duration { seconds, nanos: 0 }),
    };
    let mut notes = scene.bridge.notes();
    let answer = scene.call("ProgressNoteService/WriteProgressNote", &says, notes.write_progress_note(request)).await?;
    match (answer.note, answer.deliveries.into_iter().next()) {
        (Some(note), Some(delivery)) => Ok((note, delivery)),
        _ => Err(Failure::Refused("writing a note made no delivery".into())),
    }
}

pub async fn written_then_replaced(scene: &mut Scene<'_>, client: &Client) -> Result<(), Failure> {
    scene.act("A note is written, and lands in the record")?;
    let kind =
        || Kind::VocationalProfile(VocationalProfile { stage: ProfileStage::Started.into(), client_committed: true });
    let (written, delivery) = write(scene, client, note(PROFILE, 120, kind()), None).await?;
    let first = scene.filed(&delivery.id, "the note").await?;
    let first = scene.document_id(&first);
    let exact = scene.epr.ask(|r| holds(r, &first, Status::Current, PROFILE));
    scene.check(exact, "the EPR holds exactly this text, once")?;

    scene.act("It is replaced, with a reason")?;
    let reason = "Wrong place and hours";
    let expected = client.expected_in_words();
    let says = [
        ("note_id", &*written.id),
        ("version_seen", "1"),
        ("expected_patient", &*expected),
        ("reason", reason),
        ("content.text", PROFILE_MENDED),
    ];
    let request = ReplaceProgressNoteRequest {
        request_id: request_id(),
        note_id: written.id.clone(),
        version_seen: written.version,
        expected_patient: Some(client.expected()),
        author: Some(specialist()),
        content: Some(note(PROFILE_MENDED, 120, kind())),
        reason: reason.into(),
        release_after: None,
    };
    let mut notes = scene.bridge.notes();
    let answer =
        scene.call("ProgressNoteService/ReplaceProgressNote", &says, notes.replace_progress_note(request)).await?;
    let Some(delivery) = answer.deliveries.first() else {
        return Err(Failure::Refused("replacing the note made no delivery".into()));
    };
    let second = scene.filed(&delivery.id, "the replacement").await?;
    let (record, second) = (scene.record(), scene.document_id(&second));
    let took_its_place = record.document(&second).is_some_and(|d| d.replaces.as_ref() == Some(&first));
    let holds_new = holds(&record, &second, Status::Current, PROFILE_MENDED);
    scene.check(took_its_place && holds_new, "the EPR holds the new text, once, in the old one's place")?;
    let old = record.document(&first).map(|d| d.status);
    scene.check(old == Some(Status::Obsolete), "the old text is still there, marked obsolete: nothing is erased")
}

pub async fn filed_then_withdrawn(scene: &mut Scene<'_>, client: &Client) -> Result<(), Failure> {
    scene.act("Another note is filed, and then withdrawn")?;
    let (written, delivery) = write(scene, client, note(MISTAKEN, 60, Kind::JobSearch(JobSearch {})), None).await?;
    let filed = scene.filed(&delivery.id, "the note").await?;
    let answer = withdraw(scene, &written).await?;
    let Some(delivery) = answer.first() else {
        return Err(Failure::Refused("withdrawing the note made no delivery".into()));
    };
    scene.filed(&delivery.id, "the withdrawal").await?;
    let (record, filed) = (scene.record(), scene.document_id(&filed));
    let cancelled = record.document(&filed).filter(|d| d.status == Status::Cancelled).and_then(|d| d.cancelled.clone());
    let reason = cancelled.map(|c| c.reason.as_str().to_owned());
    scene.check(
        reason.is_some(),
        format!("the EPR has taken the document back: {}", reason.as_deref().unwrap_or("no reason")),
    )
}

pub async fn withdrawn_before_it_was_sent(scene: &mut Scene<'_>, client: &Client) -> Result<(), Failure> {
    scene.act("A third note is withdrawn before it was sent, and leaves no trace")?;
    let before = scene.epr.ask(|r| r.arrivals().len());
    let (written, delivery) =
        write(scene, client, note(REGRETTED, 30, Kind::JobSearch(JobSearch {})), Some(60)).await?;
    scene.check(
        delivery.state == i32::from(DeliveryState::Queued),
        format!("it waits: \"{}\"", delivery.author_sentence),
    )?;
    let answer = withdraw(scene, &written).await?;
    scene.check(answer.is_empty(), "nothing has to be sent for that")?;
    let cancelled = scene.until(&delivery.id, DeliveryState::Cancelled).await?;
    scene.timeline(&cancelled)?;
    let unsent = cancelled.state == i32::from(DeliveryState::Cancelled)
        && cancelled.attempts == 0
        && !cancelled.may_have_been_received;
    scene.check(unsent, format!("it is CANCELLED and was never sent: \"{}\"", cancelled.author_sentence))?;
    let record = scene.record();
    let no_trace = record.arrivals().len() == before && record.documents().all(|d| !says(d, REGRETTED));
    scene.check(no_trace, "the EPR has received nothing and holds nothing of it")
}

async fn withdraw(scene: &mut Scene<'_>, written: &ProgressNote) -> Result<Vec<Delivery>, Failure> {
    let says =
        [("note_id", &*written.id), ("version_seen", "1"), ("author", SPECIALIST), ("reason", "WRITTEN_IN_ERROR")];
    let request = WithdrawProgressNoteRequest {
        request_id: request_id(),
        note_id: written.id.clone(),
        version_seen: written.version,
        author: Some(specialist()),
        reason: WithdrawReason::WrittenInError.into(),
        explanation: None,
    };
    let mut notes = scene.bridge.notes();
    let answer =
        scene.call("ProgressNoteService/WithdrawProgressNote", &says, notes.withdraw_progress_note(request)).await?;
    Ok(answer.deliveries)
}

/// Whether the record holds exactly one such document, in this state, with exactly this text.
pub fn holds(record: &Record, document_id: &str, status: Status, text: &str) -> bool {
    record.copies(document_id) == 1 && record.document(document_id).is_some_and(|d| d.status == status && says(d, text))
}

fn says(document: &Document, text: &str) -> bool {
    document.versions.iter().any(|v| v.sections.iter().any(|s| s.text == *text))
}
