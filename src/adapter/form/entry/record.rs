//! Content as it may stand in the record: without what the client has not agreed to share.

use crate::adapter::form::{note as notes, outcome as outcomes};
use crate::domain::note::NoteContent;
use crate::domain::outcome::OutcomeContent;
use crate::wire::v1::{self, note_content::Kind as Note, outcome_content::Kind as Outcome};

/// The employer's name is empty unless `share_in_record`. The text is the author's own and stays as it is.
pub fn note(content: &NoteContent) -> v1::NoteContent {
    let mut shown = notes::show_content(content);
    if let Some(Note::EmployerContact(c)) = &mut shown.kind
        && !c.share_in_record
    {
        c.employer_name.clear();
    }
    shown
}

/// Employer, host and post are empty, and the leaving reason UNSPECIFIED, unless `share_in_record`.
pub fn outcome(content: &OutcomeContent) -> v1::OutcomeContent {
    let mut shown = outcomes::show_content(content);
    match &mut shown.kind {
        Some(Outcome::JobOffer(m)) => hide(m.employer.as_mut()),
        Some(Outcome::JobStart(m)) => hide(m.employer.as_mut()),
        Some(Outcome::JobRetained(m)) => hide(m.employer.as_mut()),
        Some(Outcome::WorkPlacement(m)) => hide(m.host.as_mut()),
        Some(Outcome::VoluntaryWork(m)) => hide(m.host.as_mut()),
        Some(Outcome::JobEnd(m)) if !m.share_in_record => m.reason = v1::JobEndReason::Unspecified.into(),
        Some(
            Outcome::JobEnd(_)
            | Outcome::StillInWork(_)
            | Outcome::HoursChanged(_)
            | Outcome::Education(_)
            | Outcome::StatusRecorded(_),
        )
        | None => {}
    }
    shown
}

fn hide(employer: Option<&mut v1::Employer>) {
    if let Some(e) = employer
        && !e.share_in_record
    {
        e.name.clear();
        e.post.clear();
    }
}
