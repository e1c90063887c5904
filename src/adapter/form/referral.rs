//! Referrals, what the referrer says, and the answer.

use super::codes::{Code, wire_or_unspecified};
use super::field::Fields;
use super::person::{code_or, draft_external_id, show_author, show_external_id};
use super::{whole, whole_and_checked};
use crate::domain::organisation::{OdsCode, TeamId};
use crate::domain::referral::{EmploymentStatus, Referral, ReferralDetails, ReferralPriority, SourceCode};
use crate::domain::rule::Violations;
use crate::domain::text::{NOTE_MAX_CHARS, Private};
use crate::wire::v1;

/// Why a referral of somebody who has died is not taken.
pub const HAS_DIED: &str = "the patient has died, it says: a person has to look at this referral";

/// The longest reason for a referral, in characters: a letter that travels with it is part of it, and may be as long as a note.
pub const REASON_MAX: usize = NOTE_MAX_CHARS;

/// The fields' own rules only; `ReferralDetails::check` has those between them.
pub fn read(message: &v1::ReferralDetails, at: &str, broken: &mut Violations) -> Option<ReferralDetails> {
    whole(broken, |b| draft(message, at, b))
}

/// All rules.
pub fn read_and_check(message: &v1::ReferralDetails, at: &str, broken: &mut Violations) -> Option<ReferralDetails> {
    whole_and_checked(broken, |b| draft(message, at, b), |d, b| d.check(at, b))
}

fn draft(message: &v1::ReferralDetails, at: &str, broken: &mut Violations) -> ReferralDetails {
    let mut f = Fields::new(at, broken);
    // 11: enough for the domain to see that there are more than 10, whatever a caller sends.
    let external_ids = (message.external_ids.iter().take(11).enumerate())
        .filter_map(|(i, id)| f.optional_part(&format!("external_ids[{i}]"), Some(id), draft_external_id))
        .collect();
    let source = f.parsed("source_code", &message.source_code, SourceCode::parse);
    let team = f.parsed("team", &message.team, TeamId::parse);
    // An unknown code must not raise a second complaint about the fields that hang on it.
    let likely = if message.job_retention { EmploymentStatus::Employed } else { EmploymentStatus::NotStated };
    let employment_status = match EmploymentStatus::from_wire(message.employment_status) {
        Ok(status) => status,
        Err(unknown) => f.keep("employment_status", Err(unknown)).or(Some(likely)),
    };
    ReferralDetails {
        external_ids,
        source: source.unwrap_or_else(|| SourceCode::parse("P1").expect("a current source")),
        priority: code_or(&mut f, "priority", message.priority, ReferralPriority::Routine),
        referrer_name: f.line("referrer_name", &message.referrer_name, 100),
        referrer_role: f.optional_line("referrer_role", message.referrer_role.as_deref(), 100),
        referrer_ods: f.optional_ods("referrer_ods", message.referrer_ods.as_deref()),
        referring_team: f.optional_line("referring_team", message.referring_team.as_deref(), 100),
        team: team.unwrap_or_else(|| TeamId::parse("x").expect("one letter is a team id")),
        site: f.optional_ods("site_ods", message.site_ods.as_deref()),
        reason: f.optional_paragraphs("reason", message.reason.as_deref(), REASON_MAX),
        employment_status,
        job_retention: message.job_retention,
        months_out_of_work: message.months_out_of_work,
    }
}

/// With everything, as GetReferral and a template have it.
pub fn show(referral: &Referral) -> v1::Referral {
    v1::Referral {
        id: referral.id.to_string(),
        trust_ods: referral.trust.as_str().to_owned(),
        version: referral.version,
        patient_id: referral.patient_id.to_string(),
        state: referral.state.wire(),
        details: Some(show_details(&referral.details)),
        received_at: Some(referral.received_at.into()),
        accepted_at: referral.accepted_at.map(Into::into),
        declined_at: referral.declined_at.map(Into::into),
        closed_at: referral.closed_at.map(Into::into),
        decline_reason: wire_or_unspecified(referral.decline_reason),
        close_reason: wire_or_unspecified(referral.close_reason),
        assigned_to: referral.assigned_to.as_ref().map(show_author),
        received_from_endpoint: referral.received_from.as_ref().map(|e| e.as_str().to_owned()),
        touched_at: Some(referral.touched_at.into()),
        employer_approach_consented: referral.employer_approach.is_some_and(|a| a.consented),
        close_text: referral.close_text.as_ref().map(|t| t.0.clone()),
    }
}

/// As lists have it: without `details.reason` and `close_text`, which are clinical text.
pub fn show_in_list(referral: &Referral) -> v1::Referral {
    let mut shown = show(referral);
    shown.close_text = None;
    if let Some(details) = &mut shown.details {
        details.reason = None;
    }
    shown
}

pub fn show_details(details: &ReferralDetails) -> v1::ReferralDetails {
    let text = |t: &Option<Private<String>>| t.as_ref().map(|t| t.0.clone());
    let ods = |o: &Option<OdsCode>| o.as_ref().map(|o| o.as_str().to_owned());
    v1::ReferralDetails {
        external_ids: details.external_ids.iter().map(show_external_id).collect(),
        source_code: details.source.as_str().to_owned(),
        priority: details.priority.wire(),
        referrer_name: details.referrer_name.0.clone(),
        referrer_role: text(&details.referrer_role),
        referrer_ods: ods(&details.referrer_ods),
        referring_team: text(&details.referring_team),
        team: details.team.as_str().to_owned(),
        site_ods: ods(&details.site),
        reason: text(&details.reason),
        employment_status: wire_or_unspecified(details.employment_status),
        job_retention: details.job_retention,
        months_out_of_work: details.months_out_of_work,
    }
}

/// The answer that goes back to where the referral came from. `None` while there is none.
pub fn show_reply(referral: &Referral) -> Option<v1::ReferralReply> {
    let (accepted, answered_at) = match (referral.accepted_at, referral.declined_at) {
        (Some(at), _) => (true, at),
        (None, Some(at)) => (false, at),
        (None, None) => return None,
    };
    Some(v1::ReferralReply {
        accepted,
        decline_reason: wire_or_unspecified(referral.decline_reason),
        reason_text: referral.decline_text.as_ref().map(|t| t.0.clone()),
        assigned_to: referral.assigned_to.as_ref().filter(|_| accepted).map(show_author),
        answered_at: Some(answered_at.into()),
    })
}
