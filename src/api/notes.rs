//! ProgressNoteService.

use super::delivery::show;
use super::edge::{Caller, service, whole};
use super::error::Error;
use super::token::{Binding, cut, page_size};
use crate::adapter::form::{self, View, note, person, request};
use crate::domain::entry::Entry;
use crate::domain::ids::NoteId;
use crate::domain::note::{Action, Note, NoteVersion, WithdrawReason};
use crate::domain::rule::Violations;
use crate::store::read::{Page, SubjectFilter};
use crate::store::record::Answered;
use crate::store::write::{ReplaceNote, WithdrawNote, WriteNote};
use crate::wire::v1::{self, list_progress_notes_request::Of};
use std::collections::HashMap;
use uuid::Uuid;

service! {
    progress_note_service_server::ProgressNoteService for ProgressNotes {
        write_progress_note(WriteProgressNoteRequest) -> WriteProgressNoteResponse = WRITE_PROGRESS_NOTE;
        replace_progress_note(ReplaceProgressNoteRequest) -> ReplaceProgressNoteResponse = REPLACE_PROGRESS_NOTE;
        withdraw_progress_note(WithdrawProgressNoteRequest) -> WithdrawProgressNoteResponse = WITHDRAW_PROGRESS_NOTE;
        get_progress_note(GetProgressNoteRequest) -> GetProgressNoteResponse = GET_PROGRESS_NOTE;
        list_progress_notes(ListProgressNotesRequest) -> ListProgressNotesResponse = LIST_PROGRESS_NOTES;
    }
}

async fn write_progress_note(
    c: Caller,
    m: v1::WriteProgressNoteRequest,
) -> Result<v1::WriteProgressNoteResponse, Error> {
    let mut broken = Violations::default();
    let key = c.key(&m, &mut broken);
    let referral_id = request::id(&m.referral_id, "referral_id", &mut broken);
    let expected =
        form::required(m.expected_patient.as_ref(), "expected_patient", &mut broken, person::read_expected_patient);
    let author = form::required(m.author.as_ref(), "author", &mut broken, person::read_author);
    let read = |m: &v1::NoteContent, at: &str, b: &mut Violations| note::read_and_check(m, at, c.now, b);
    let content = form::required(m.content.as_ref(), "content", &mut broken, read);
    let release_after = request::release_after(m.release_after.as_ref(), &mut broken);
    whole!(broken; key, referral_id, expected, author, content, release_after);
    let rules = c.rules.clone();
    let write = WriteNote { call: c.write(key), rules, referral_id, expected, author, content, release_after };
    let written = c.store().write_and_show_note(write).await?;
    let (note, deliveries) = match &written.fresh {
        // Nothing has happened to it yet: what was just written need not be read.
        Some(fresh) => {
            let (note, entry, deliveries) = fresh.as_ref();
            let versions: Vec<NoteVersion> = entry.note_version().into_iter().collect();
            // As when it is asked again: an EPR is not told of another's.
            let seen = deliveries.iter().filter(|d| c.scope.has_endpoint(&d.trust, &d.endpoint));
            let deliveries = seen.map(|d| show::delivery(&c, d)).collect();
            (note::show(note, &versions, View::Full), deliveries)
        }
        None => as_answered(&c, &written.answered).await?,
    };
    Ok(v1::WriteProgressNoteResponse { note: Some(note), deliveries })
}

async fn replace_progress_note(
    c: Caller,
    m: v1::ReplaceProgressNoteRequest,
) -> Result<v1::ReplaceProgressNoteResponse, Error> {
    let mut broken = Violations::default();
    let key = c.key(&m, &mut broken);
    let note_id = request::id(&m.note_id, "note_id", &mut broken);
    let version_seen = request::version_seen(m.version_seen, &mut broken);
    let expected =
        form::required(m.expected_patient.as_ref(), "expected_patient", &mut broken, person::read_expected_patient);
    let author = form::required(m.author.as_ref(), "author", &mut broken, person::read_author);
    let read = |m: &v1::NoteContent, at: &str, b: &mut Violations| note::read_and_check(m, at, c.now, b);
    let content = form::required(m.content.as_ref(), "content", &mut broken, read);
    let reason = request::reason(&m.reason, "reason", &mut broken);
    let release_after = request::release_after(m.release_after.as_ref(), &mut broken);
    whole!(broken; key, note_id, version_seen, expected, author, content, reason, release_after);
    let replace =
        ReplaceNote { call: c.write(key), note_id, version_seen, expected, author, content, reason, release_after };
    let answered = c.store().replace_note(replace).await?;
    let (note, deliveries) = as_answered(&c, &answered).await?;
    Ok(v1::ReplaceProgressNoteResponse { note: Some(note), deliveries })
}

async fn withdraw_progress_note(
    c: Caller,
    m: v1::WithdrawProgressNoteRequest,
) -> Result<v1::WithdrawProgressNoteResponse, Error> {
    let mut broken = Violations::default();
    let key = c.key(&m, &mut broken);
    let note_id = request::id(&m.note_id, "note_id", &mut broken);
    let version_seen = request::version_seen(m.version_seen, &mut broken);
    let author = form::required(m.author.as_ref(), "author", &mut broken, person::read_author);
    let reason = request::code::<WithdrawReason>(m.reason, "reason", &mut broken);
    let explanation = request::explanation(m.explanation.as_deref(), "explanation", &mut broken);
    whole!(broken; key, note_id, version_seen, author, reason, explanation);
    let withdraw = WithdrawNote { call: c.write(key), note_id, version_seen, author, reason, explanation };
    let answered = c.store().withdraw_note(withdraw).await?;
    let (note, deliveries) = as_answered(&c, &answered).await?;
    Ok(v1::WithdrawProgressNoteResponse { note: Some(note), deliveries })
}

/// The note at the version it had when the call was first answered, and its deliveries as they stood then. Of its versions the one that the call made:
/// an answer with all of them could outgrow what a client takes, after the commit.
async fn as_answered(c: &Caller, answered: &Answered) -> Result<(v1::ProgressNote, Vec<v1::Delivery>), Error> {
    let answer = answered.answer();
    let id = NoteId(answer.subject);
    let note = c.store().note(&c.scope, id).await?.ok_or_else(|| Error::not_found("progress note"))?;
    let entries = c.store().versions(&c.scope, [id.0]).await?;
    let versions: Vec<NoteVersion> =
        entries.iter().filter_map(Entry::note_version).filter(|v| v.number == answer.version).collect();
    let withdrawn = versions.last().is_some_and(|v| matches!(v.action, Action::Withdraw { .. }));
    let note = Note { version: answer.version, withdrawn, ..note };
    c.audit_repeat(answered, "progress_note.read", &note).await?;
    Ok((note::show(&note, &versions, View::Full), show::as_first_answered(c, &answer.deliveries).await?))
}

async fn get_progress_note(c: Caller, m: v1::GetProgressNoteRequest) -> Result<v1::GetProgressNoteResponse, Error> {
    let mut broken = Violations::default();
    let id = request::id::<NoteId>(&m.note_id, "note_id", &mut broken);
    whole!(broken; id);
    let note = c.store().note(&c.scope, id).await?.ok_or_else(|| Error::not_found("progress note"))?;
    let entries = c.store().versions(&c.scope, [id.0]).await?;
    let deliveries = c.store().deliveries_of(&c.scope, [id.0]).await?;
    c.audit("progress_note.read", [&note]).await?;
    let versions: Vec<NoteVersion> = entries.iter().filter_map(Entry::note_version).collect();
    let view = if c.is_masked() { View::Basic } else { View::Full };
    Ok(v1::GetProgressNoteResponse {
        note: Some(note::show(&note, &versions, view)),
        deliveries: deliveries.iter().map(|d| show::delivery(&c, d)).collect(),
    })
}

/// Whole notes on a page: of the largest there are, so many fit into the 4 MiB that a client takes unless told otherwise.
const FULL_PAGE_MAX: u32 = 8;

async fn list_progress_notes(
    c: Caller,
    m: v1::ListProgressNotesRequest,
) -> Result<v1::ListProgressNotesResponse, Error> {
    let mut broken = Violations::default();
    let of = match &m.of {
        None => {
            broken.add("of", "is required: referral_id or patient_id");
            None
        }
        Some(Of::ReferralId(id)) => request::id(id, "referral_id", &mut broken).map(SubjectFilter::Referral),
        Some(Of::PatientId(id)) => request::id(id, "patient_id", &mut broken).map(SubjectFilter::Patient),
    };
    let occurred_from = request::optional_time(m.occurred_from.as_ref(), "occurred_from", &mut broken);
    let view = broken.check("view", form::codes::view(m.view));
    let size = page_size(m.page_size, &mut broken);
    whole!(broken; of, occurred_from, view, size);
    exists(&c, of).await?;
    let view = if c.is_masked() { View::Basic } else { view };
    let size = if view == View::Full { size.min(FULL_PAGE_MAX) } else { size };
    let filter = v1::ListProgressNotesRequest { page_size: 0, page_token: String::new(), ..m.clone() };
    let binding = Binding::new(c.rpc, &c.principal, &filter);
    let page = Page { size: size + 1, after: binding.after(&m.page_token)? };
    let mut notes = c.store().notes(&c.scope, of, occurred_from, page).await?;
    let next_page_token = cut(&mut notes, size, |n: &Note| binding.token(n.id.0.as_bytes()));
    let newest = newest(&c, notes.iter().map(|n| n.id.0)).await?;
    c.audit("progress_note.list", &notes).await?;
    let notes = notes.iter().map(|n| {
        let version = newest.get(&n.id.0).and_then(Entry::note_version);
        note::show(n, version.as_slice(), view)
    });
    Ok(v1::ListProgressNotesResponse { notes: notes.collect(), next_page_token })
}

/// The referral or patient whose entries are listed.
pub(super) async fn exists(c: &Caller, of: SubjectFilter) -> Result<(), Error> {
    let (there, what) = match of {
        SubjectFilter::Referral(id) => (c.store().referral(&c.scope, id).await?.is_some(), "referral"),
        SubjectFilter::Patient(id) => (c.store().patient(&c.scope, id).await?.is_some(), "patient"),
    };
    if there { Ok(()) } else { Err(Error::not_found(what)) }
}

/// The newest entry of each subject.
pub(super) async fn newest(c: &Caller, subjects: impl Iterator<Item = Uuid>) -> Result<HashMap<Uuid, Entry>, Error> {
    let subjects: Vec<Uuid> = subjects.collect();
    if subjects.is_empty() {
        return Ok(HashMap::new());
    }
    let entries = c.store().versions(&c.scope, subjects).await?;
    // Oldest first: the last one of each stays.
    Ok(entries.into_iter().map(|e| (e.subject.uuid(), e)).collect())
}
