//! Two documents under one id of the record's: which of them the id means nobody can tell, and a message that names one by it may overwrite the other.

use super::park;
use crate::domain::delivery::{Delivery, Evidence, EvidenceKind, ParkReason, State};
use crate::domain::ids::ReplyId;
use jiff::Timestamp;

/// The answer that filed or confirmed this one gave it the id of another document. Something arrived, and where it stands a person has to see.
/// `None`: nothing new.
pub(super) fn like_another(
    d: &mut Delivery,
    kind: EvidenceKind,
    record_id: &str,
    reply: ReplyId,
    now: Timestamp,
) -> Option<String> {
    let known = d.evidence.iter().any(|e| e.kind >= kind && e.record_id.as_deref() == Some(record_id));
    if contradicted(d) && (known || may_be_said_anew(kind)) {
        return None;
    }
    // Whatever else is said of it, it counts as received until somebody has looked; and a repeat of this answer decides nothing.
    if !may_be_said_anew(kind) {
        d.evidence.push(Evidence { kind, at: now, reply_id: Some(reply), record_id: Some(record_id.to_owned()) });
    }
    d.unresolved = d.unresolved.saturating_add(u32::from(d.begun)).max(1);
    d.begun = false;
    d.record_id = None;
    Some(match d.state {
        State::Cancelled => "cancelled, and yet answered with the id of another document".to_owned(),
        _ => park(d, ParkReason::FilingContradicted, "answered with the id of another document"),
    })
}

/// The record gave its id to another document as well: from now on it names nothing.
pub(super) fn in_doubt(d: &mut Delivery) -> Option<String> {
    let record_id = d.record_id.take()?;
    d.unresolved = d.unresolved.max(1);
    d.evidence.retain(|e| !may_be_said_anew(e.kind) || e.record_id.as_ref() != Some(&record_id));
    Some(match d.state {
        State::Filed | State::Accepted => {
            park(d, ParkReason::FilingContradicted, "another document was answered with its id")
        }
        _ => "another document was answered with its id".to_owned(),
    })
}

/// A list or a report: where it was wrong, the next one says what holds, so the wrong one must not outrank it.
fn may_be_said_anew(kind: EvidenceKind) -> bool {
    kind >= EvidenceKind::VendorReport
}

fn contradicted(d: &Delivery) -> bool {
    d.park.as_ref().is_some_and(|p| p.reason == ParkReason::FilingContradicted)
}
