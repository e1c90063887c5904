//! The sixteen kinds of note, each with what only it needs.

use super::codes::Code;
use super::field::Fields;
use super::person::code_or;
use crate::domain::note::{
    DisclosureChoice, EmployerApproachConsent, EmployerContact, EmployerContactPurpose, NoteKind, ProfileStage,
};
use crate::domain::rule::Violations;
use crate::domain::text::Private;
use crate::wire::v1::{self, note_content::Kind};
use jiff::civil::Date;

/// `contact_given` picks a stand-in that asks for what is there when there is no kind at all.
pub(super) fn draft(kind: Option<&Kind>, contact_given: bool, f: &mut Fields<'_>) -> NoteKind {
    match kind {
        None => {
            f.add("kind", "exactly one kind is required, e.g. general_contact");
            if contact_given { NoteKind::GeneralContact } else { NoteKind::TeamDiscussion { team: None } }
        }
        Some(Kind::GeneralContact(v1::GeneralContact {})) => NoteKind::GeneralContact,
        Some(Kind::VocationalProfile(m)) => part(f, "vocational_profile", m, vocational_profile),
        Some(Kind::ActionPlan(m)) => part(f, "action_plan", m, action_plan),
        Some(Kind::BenefitsAdvice(m)) => part(f, "benefits_advice", m, benefits_advice),
        Some(Kind::DisclosureDecision(m)) => part(f, "disclosure_decision", m, disclosure_decision),
        Some(Kind::CvAndApplications(m)) => NoteKind::CvAndApplications { applications_sent: m.applications_sent },
        Some(Kind::JobClub(v1::JobClub {})) => NoteKind::JobClub,
        Some(Kind::JobSearch(v1::JobSearch {})) => NoteKind::JobSearch,
        Some(Kind::EmployerContact(m)) => part(f, "employer_contact", m, employer_contact),
        Some(Kind::InterviewPreparation(v1::InterviewPreparation {})) => NoteKind::InterviewPreparation,
        Some(Kind::InWorkSupport(m)) => NoteKind::InWorkSupport { on_boarding: m.on_boarding },
        Some(Kind::StayInWorkPlan(m)) => NoteKind::StayInWorkPlan { shared_with_employer: m.shared_with_employer },
        Some(Kind::JobRetentionSupport(v1::JobRetentionSupport {})) => NoteKind::JobRetentionSupport,
        Some(Kind::TeamDiscussion(m)) => part(f, "team_discussion", m, team_discussion),
        Some(Kind::SupportNetworkContact(m)) => part(f, "support_network_contact", m, support_network_contact),
        Some(Kind::WorkPlacementSupport(v1::WorkPlacementSupport {})) => NoteKind::WorkPlacementSupport,
    }
}

fn part<M>(f: &mut Fields<'_>, name: &str, message: &M, read: fn(&M, &mut Fields<'_>) -> NoteKind) -> NoteKind {
    let read = |m: &M, at: &str, broken: &mut Violations| read(m, &mut Fields::new(at, broken));
    f.optional_part(name, Some(message), read).expect("the part was given")
}

fn vocational_profile(m: &v1::VocationalProfile, f: &mut Fields<'_>) -> NoteKind {
    NoteKind::VocationalProfile {
        stage: code_or(f, "stage", m.stage, ProfileStage::Started),
        client_committed: m.client_committed,
    }
}

fn action_plan(m: &v1::ActionPlan, f: &mut Fields<'_>) -> NoteKind {
    NoteKind::ActionPlan {
        client_engaged: m.client_engaged,
        review_on: f.optional_day("review_on", m.review_on.as_deref()),
    }
}

fn benefits_advice(m: &v1::BenefitsAdvice, f: &mut Fields<'_>) -> NoteKind {
    NoteKind::BenefitsAdvice {
        receives_benefits: m.receives_benefits,
        calculation_made: m.calculation_made,
        benefits: f.optional_line("benefits", m.benefits.as_deref(), 200),
    }
}

fn disclosure_decision(m: &v1::DisclosureDecision, f: &mut Fields<'_>) -> NoteKind {
    NoteKind::DisclosureDecision {
        choice: code_or(f, "choice", m.choice, DisclosureChoice::Undecided),
        // One that asks for no scope.
        employer_approach: code_or(f, "employer_approach", m.employer_approach, EmployerApproachConsent::NotDiscussed),
        scope: f.optional_line("scope", m.scope.as_deref(), 500),
        decided_on: f.day("decided_on", &m.decided_on).unwrap_or(Date::MIN),
    }
}

fn employer_contact(m: &v1::EmployerContact, f: &mut Fields<'_>) -> NoteKind {
    NoteKind::EmployerContact(EmployerContact {
        purpose: code_or(f, "purpose", m.purpose, EmployerContactPurpose::JobDevelopment),
        employer_name: f.line("employer_name", &m.employer_name, 200),
        share_in_record: m.share_in_record,
        face_to_face: m.face_to_face,
        in_clients_name: m.in_clients_name,
        client_present: m.client_present,
    })
}

fn team_discussion(m: &v1::TeamDiscussion, f: &mut Fields<'_>) -> NoteKind {
    NoteKind::TeamDiscussion { team: f.optional_line("team", m.team.as_deref(), 100) }
}

fn support_network_contact(m: &v1::SupportNetworkContact, f: &mut Fields<'_>) -> NoteKind {
    NoteKind::SupportNetworkContact { with_whom: f.line("with_whom", &m.with_whom, 100) }
}

pub(super) fn show(kind: &NoteKind) -> Kind {
    let text = |t: &Option<Private<String>>| t.as_ref().map(|t| t.0.clone());
    match kind {
        NoteKind::GeneralContact => Kind::GeneralContact(v1::GeneralContact {}),
        NoteKind::VocationalProfile { stage, client_committed } => {
            Kind::VocationalProfile(v1::VocationalProfile { stage: stage.wire(), client_committed: *client_committed })
        }
        NoteKind::ActionPlan { client_engaged, review_on } => Kind::ActionPlan(v1::ActionPlan {
            client_engaged: *client_engaged,
            review_on: review_on.map(|d| d.to_string()),
        }),
        NoteKind::BenefitsAdvice { receives_benefits, calculation_made, benefits } => {
            Kind::BenefitsAdvice(v1::BenefitsAdvice {
                receives_benefits: *receives_benefits,
                calculation_made: *calculation_made,
                benefits: text(benefits),
            })
        }
        NoteKind::DisclosureDecision { choice, employer_approach, scope, decided_on } => {
            Kind::DisclosureDecision(v1::DisclosureDecision {
                choice: choice.wire(),
                employer_approach: employer_approach.wire(),
                scope: text(scope),
                decided_on: decided_on.to_string(),
            })
        }
        NoteKind::CvAndApplications { applications_sent } => {
            Kind::CvAndApplications(v1::CvAndApplications { applications_sent: *applications_sent })
        }
        NoteKind::JobClub => Kind::JobClub(v1::JobClub {}),
        NoteKind::JobSearch => Kind::JobSearch(v1::JobSearch {}),
        NoteKind::EmployerContact(c) => Kind::EmployerContact(v1::EmployerContact {
            purpose: c.purpose.wire(),
            employer_name: c.employer_name.0.clone(),
            share_in_record: c.share_in_record,
            face_to_face: c.face_to_face,
            in_clients_name: c.in_clients_name,
            client_present: c.client_present,
        }),
        NoteKind::InterviewPreparation => Kind::InterviewPreparation(v1::InterviewPreparation {}),
        NoteKind::InWorkSupport { on_boarding } => Kind::InWorkSupport(v1::InWorkSupport { on_boarding: *on_boarding }),
        NoteKind::StayInWorkPlan { shared_with_employer } => {
            Kind::StayInWorkPlan(v1::StayInWorkPlan { shared_with_employer: *shared_with_employer })
        }
        NoteKind::JobRetentionSupport => Kind::JobRetentionSupport(v1::JobRetentionSupport {}),
        NoteKind::TeamDiscussion { team } => Kind::TeamDiscussion(v1::TeamDiscussion { team: text(team) }),
        NoteKind::SupportNetworkContact { with_whom } => {
            Kind::SupportNetworkContact(v1::SupportNetworkContact { with_whom: with_whom.0.clone() })
        }
        NoteKind::WorkPlacementSupport => Kind::WorkPlacementSupport(v1::WorkPlacementSupport {}),
    }
}
