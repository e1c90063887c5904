//! Employment outcomes: what they are, and their versions.

use super::codes::wire_or_unspecified;
use super::field::Fields;
use super::note::{Told, told};
use super::person::show_author;
use super::{View, outcome_kind, whole, whole_and_checked};
use crate::domain::outcome::{Outcome, OutcomeContent, OutcomeVersion};
use crate::domain::rule::Violations;
use crate::wire::v1;
use jiff::civil::Date;

/// The longest remark, in characters.
pub const REMARK_MAX: usize = 2_000;

/// The fields' own rules only; `OutcomeContent::check` has those between them and against today.
pub fn read(message: &v1::OutcomeContent, at: &str, broken: &mut Violations) -> Option<OutcomeContent> {
    whole(broken, |b| draft(message, at, b))
}

/// All rules but those about another outcome (the job it speaks of). `today` in the trust's time zone.
pub fn read_and_check(
    message: &v1::OutcomeContent,
    at: &str,
    today: Date,
    broken: &mut Violations,
) -> Option<OutcomeContent> {
    whole_and_checked(broken, |b| draft(message, at, b), |c, b| c.check(at, today, b))
}

fn draft(message: &v1::OutcomeContent, at: &str, broken: &mut Violations) -> OutcomeContent {
    let mut f = Fields::new(at, broken);
    let remark = f.optional_paragraphs("remark", message.remark.as_deref(), REMARK_MAX);
    OutcomeContent { remark, kind: outcome_kind::draft(message.kind.as_ref(), &mut f) }
}

/// All of it: for callers who may read the outcome. What goes into the record is `entry::record::outcome`.
pub fn show_content(content: &OutcomeContent) -> v1::OutcomeContent {
    v1::OutcomeContent {
        remark: content.remark.as_ref().map(|r| r.0.clone()),
        kind: Some(outcome_kind::show(&content.kind)),
    }
}

/// The outcome with the versions given: all for GetOutcome, the newest for lists.
pub fn show(outcome: &Outcome, versions: &[OutcomeVersion], view: View) -> v1::Outcome {
    v1::Outcome {
        id: outcome.id.to_string(),
        trust_ods: outcome.trust.as_str().to_owned(),
        patient_id: outcome.patient_id.to_string(),
        referral_id: outcome.referral_id.to_string(),
        version: outcome.version,
        withdrawn: outcome.withdrawn,
        versions: versions.iter().map(|v| show_version(v, view)).collect(),
    }
}

pub fn show_version(version: &OutcomeVersion, view: View) -> v1::OutcomeVersion {
    let content = version.action.content();
    let Told { action, reason, withdraw_reason } = told(&version.action, view);
    v1::OutcomeVersion {
        version: version.number,
        action,
        content: content.filter(|_| view == View::Full).map(show_content),
        author: Some(show_author(&version.author)),
        submitted_by: version.submitted_by.clone(),
        reason,
        withdraw_reason,
        recorded_at: Some(version.recorded_at.into()),
        entry_id: version.entry_id.to_string(),
        hours_band: wire_or_unspecified(content.and_then(|c| c.kind.hours_band())),
    }
}
