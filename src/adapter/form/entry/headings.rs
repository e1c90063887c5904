//! The lines beside the text, one fact a line.

use super::Replaced;
use super::words::{
    approach, attendance, choice, day, decline_reason, mechanism, mode, moment, purpose, stage, yes_no,
};
use crate::domain::note::{ActivityType, Contact, EmployerContact, NoteContent, NoteKind, Sensitivity, WithdrawReason};
use crate::domain::outcome::OutcomeContent;
use crate::domain::person::Author;
use crate::domain::referral::Referral;
use crate::domain::text::Private;
use jiff::{Timestamp, tz::TimeZone};

/// Where and after what an entry is told.
#[derive(Debug, Clone)]
pub struct Setting<'a> {
    /// The trust's: times are told as its clocks showed them.
    pub tz: &'a TimeZone,
    /// The version that stands in the record, when this one takes its place. `None` when the record has none, whatever came before in the
    /// bridge: then there is nothing that a reader could find replaced.
    pub replaces: Option<Replaced>,
}

/// The lines of a note.
pub fn of_note(
    content: &NoteContent,
    reason: Option<&Private<String>>,
    author: &Author,
    recorded_at: Timestamp,
    setting: &Setting<'_>,
) -> Vec<String> {
    let tz = setting.tz;
    let mut lines = vec![];
    if let Some(risk) = &content.risk_disclosed {
        lines.push(format!(
            "RISK DISCLOSED. Told: {}, {}. This note alerts nobody.",
            risk.told_whom.0,
            moment(risk.told_at, tz)
        ));
    }
    lines.extend(replaced(reason, setting));
    sensitivity(content.sensitivity, &mut lines);
    lines.push(ips(content.kind.title()));
    lines.push(format!("When: {}", moment(content.occurred_at, tz)));
    match &content.contact {
        Some(c) => contact(c, content.activity(), &mut lines),
        None => lines.push("The client was not present.".to_owned()),
    }
    kind(&content.kind, &mut lines);
    lines.push(written(author, recorded_at, tz));
    lines
}

/// The lines of an outcome; the facts themselves stand in its text.
pub fn of_outcome(
    content: &OutcomeContent,
    reason: Option<&Private<String>>,
    author: &Author,
    recorded_at: Timestamp,
    setting: &Setting<'_>,
) -> Vec<String> {
    let mut lines: Vec<String> = replaced(reason, setting).into_iter().collect();
    lines.push(ips(content.kind.title()));
    lines.push(written(author, recorded_at, setting.tz));
    lines
}

/// The lines of a withdrawal: that it is gone and why, nothing of what it said.
pub fn of_withdrawal(
    reason: WithdrawReason,
    title: &str,
    author: &Author,
    recorded_at: Timestamp,
    setting: &Setting<'_>,
) -> Vec<String> {
    let mut lines = vec![format!("WITHDRAWN: {}. Do not rely on it.", reason.label()), ips(title)];
    if let Some(Replaced { recorded_at, .. }) = setting.replaces {
        lines.push(format!("Withdraws the entry written on {}.", moment(recorded_at, setting.tz)));
    }
    lines.push(format!("Withdrawn by: {}", signed(author, recorded_at, setting.tz)));
    lines
}

/// The lines of an answer to a referral.
pub(super) fn of_reply(
    referral: &Referral,
    author: &Author,
    answered_at: Timestamp,
    setting: &Setting<'_>,
) -> Vec<String> {
    let mut lines =
        vec![ips("Answer to a referral"), format!("Referral received: {}", moment(referral.received_at, setting.tz))];
    match (referral.accepted_at, &referral.assigned_to, referral.decline_reason) {
        (Some(_), Some(who), _) => lines
            .push(format!("Employment specialist: {}, {}, {}", who.display_name.0, who.role_title.0, who.organisation)),
        (None, _, Some(reason)) => lines.push(format!("Declined: {}", decline_reason(reason))),
        _ => {}
    }
    lines.push(format!("Answered by: {}", signed(author, answered_at, setting.tz)));
    lines
}

/// Says whose entry it is: many who read the record have never heard of IPS, or think of the International Patient Summary.
fn ips(title: &str) -> String {
    format!("Employment support (Individual Placement and Support): {title}")
}

fn signed(author: &Author, at: Timestamp, tz: &TimeZone) -> String {
    format!(
        "{}, {}, employed by {}, on {}",
        author.display_name.0,
        author.role_title.0,
        author.organisation,
        moment(at, tz)
    )
}

fn written(author: &Author, recorded_at: Timestamp, tz: &TimeZone) -> String {
    format!("Written by: {}", signed(author, recorded_at, tz))
}

fn replaced(reason: Option<&Private<String>>, setting: &Setting<'_>) -> Option<String> {
    let before = setting.replaces?;
    let why = reason.map(|r| format!(" Reason: {}", r.0)).unwrap_or_default();
    Some(format!("REPLACES the entry written on {}.{why}", moment(before.recorded_at, setting.tz)))
}

fn sensitivity(flags: Sensitivity, lines: &mut Vec<String>) {
    let Sensitivity { third_party, serious_harm, not_for_patient } = flags;
    let all = [
        (
            serious_harm,
            "SENSITIVE: disclosure could cause serious harm. Ask the responsible clinician before it is disclosed.",
        ),
        (not_for_patient, "SENSITIVE: not to be shown to the patient online."),
        (third_party, "SENSITIVE: holds information about, or given by, somebody else."),
    ];
    lines.extend(all.into_iter().filter(|(set, _)| *set).map(|(_, words)| words.to_owned()));
}

fn contact(c: &Contact, activity: ActivityType, lines: &mut Vec<String>) {
    let how = match activity {
        ActivityType::ContactNotHeld => "Contact planned, NOT held",
        ActivityType::OtherContact => "Contact (not a direct contact)",
        ActivityType::DirectContact | ActivityType::IndirectActivity => "Contact",
    };
    let mut line = format!("{how}: {}, {}, {}", mechanism(c.mechanism), attendance(c.attendance), mode(c.mode));
    if let Some(minutes) = c.duration_minutes {
        line.push_str(&format!(", {minutes} minutes"));
    }
    if let Some(code) = &c.location {
        line.push_str(&format!(", location type {code}"));
    }
    lines.push(line);
    if let Some(others) = &c.others_present {
        lines.push(format!("Others present: {}", others.0));
    }
}

fn kind(kind: &NoteKind, lines: &mut Vec<String>) {
    let mut say = |line: String| lines.push(line);
    match kind {
        NoteKind::VocationalProfile { stage: at, client_committed } => {
            let will = if *client_committed { "wants to go on" } else { "has not yet said that they want to go on" };
            say(format!("Vocational profile: {}; the client {will}", stage(*at)));
        }
        NoteKind::ActionPlan { client_engaged, review_on } => {
            say(format!("Client engaged in the plan: {}", yes_no(*client_engaged)));
            if let Some(on) = review_on {
                say(format!("Review on: {}", day(*on)));
            }
        }
        NoteKind::BenefitsAdvice { receives_benefits, calculation_made, benefits } => {
            say(format!("Receives benefits: {}", receives_benefits.map_or("not asked", yes_no)));
            if let Some(which) = benefits {
                say(format!("Benefits: {}", which.0));
            }
            say(format!("Better-off calculation made: {}", yes_no(*calculation_made)));
        }
        NoteKind::DisclosureDecision { choice: told, employer_approach, scope, decided_on } => {
            say(format!("What employers may know: {} (decided on {})", choice(*told), day(*decided_on)));
            say(format!("Approach to employers in the client's name: {}", approach(*employer_approach)));
            if let Some(scope) = scope {
                say(format!("Scope of the consent: {}", scope.0));
            }
        }
        NoteKind::CvAndApplications { applications_sent } => {
            say(format!("Applications sent with the client: {applications_sent}"));
        }
        NoteKind::EmployerContact(c) => employer(c, lines),
        NoteKind::InWorkSupport { on_boarding } => {
            say((if *on_boarding { "Stage: appointment and on-boarding" } else { "Stage: in work" }).to_owned());
        }
        NoteKind::StayInWorkPlan { shared_with_employer } => {
            let agreed = if *shared_with_employer { "the client agreed to it" } else { "no" };
            say(format!("Plan shared with the employer: {agreed}"));
        }
        NoteKind::TeamDiscussion { team: Some(team) } => say(format!("Team: {}", team.0)),
        NoteKind::SupportNetworkContact { with_whom } => say(format!("With: {}", with_whom.0)),
        NoteKind::WorkPlacementSupport => say("Work experience: not a job start".to_owned()),
        NoteKind::GeneralContact
        | NoteKind::JobClub
        | NoteKind::JobSearch
        | NoteKind::InterviewPreparation
        | NoteKind::JobRetentionSupport
        | NoteKind::TeamDiscussion { team: None } => {}
    }
}

fn employer(c: &EmployerContact, lines: &mut Vec<String>) {
    let how = if c.face_to_face { "face to face" } else { "not face to face" };
    lines.push(format!("With an employer: {}, {how}", purpose(c.purpose)));
    lines.push(if c.share_in_record {
        format!("Employer: {}", c.employer_name.0)
    } else {
        "Employer: not shared in the record".to_owned()
    });
    lines.push(format!("Made in the client's name: {}", yes_no(c.in_clients_name)));
}
