//! What the measures need to know of a referral, gathered from its notes and outcomes as they stand now.

use super::Counted;
use crate::domain::ids::{OutcomeId, PatientId, ReferralId};
use crate::domain::note::{ActivityType, NoteContent, NoteKind, ProfileStage};
use crate::domain::organisation::TeamId;
use crate::domain::outcome::{Outcome, OutcomeKind};
use crate::domain::person::Author;
use crate::domain::referral::{EmploymentStatus, Referral};
use jiff::{Timestamp, civil::Date};
use std::collections::HashMap;

/// A contact with an employer for this client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmployerVisit {
    pub at: Timestamp,
    pub face_to_face: bool,
}

/// What an action-plan note says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanFacts {
    pub at: Timestamp,
    pub engaged: bool,
}

/// A paid job that began during the referral. A placement, voluntary work or a retained job is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobFacts {
    pub id: OutcomeId,
    pub started_on: Date,
    /// The job start counts from there; until then it does not count at all.
    pub four_paid_hours_on: Option<Date>,
    pub ended_on: Option<Date>,
    pub competitive: bool,
    /// Days on which somebody confirmed that the client was still in it.
    pub confirmed_on: Vec<Date>,
}

impl JobFacts {
    /// The first confirmation from `day` on. One that lies after the job's end proves nothing.
    pub(super) fn confirmed_on_or_after(&self, day: Date) -> Option<Date> {
        let holds = |on: &Date| *on >= day && self.ended_on.is_none_or(|end| end >= *on);
        self.confirmed_on.iter().copied().filter(holds).min()
    }
}

/// One referral. The lists are in no order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferralFacts {
    pub referral_id: ReferralId,
    pub patient_id: PatientId,
    pub team: TeamId,
    pub received_at: Timestamp,
    pub accepted_at: Option<Timestamp>,
    pub closed_at: Option<Timestamp>,
    /// When referred. `None`: not known.
    pub employment_status: Option<EmploymentStatus>,
    pub job_retention: bool,
    /// Who has it now.
    pub specialist: Option<Author>,
    /// Attended, and face to face, by telephone, talk type or video.
    pub direct_contacts: Vec<Timestamp>,
    /// Held by e-mail, text message and the like.
    pub other_contacts: Vec<Timestamp>,
    pub profile_started_at: Option<Timestamp>,
    /// First time that the client confirmed, in work on the profile, that they want to go on.
    pub committed_at: Option<Timestamp>,
    pub plans: Vec<PlanFacts>,
    pub employer_visits: Vec<EmployerVisit>,
    pub jobs: Vec<JobFacts>,
}

impl ReferralFacts {
    fn of(referral: &Referral) -> Self {
        Self {
            referral_id: referral.id,
            patient_id: referral.patient_id,
            team: referral.details.team.clone(),
            received_at: referral.received_at,
            accepted_at: referral.accepted_at,
            closed_at: referral.closed_at,
            employment_status: referral.details.employment_status,
            job_retention: referral.details.job_retention,
            specialist: referral.assigned_to.clone(),
            direct_contacts: vec![],
            other_contacts: vec![],
            profile_started_at: None,
            committed_at: None,
            plans: vec![],
            employer_visits: vec![],
            jobs: vec![],
        }
    }

    fn add_note(&mut self, note: &NoteContent) {
        let at = note.occurred_at;
        match note.activity() {
            ActivityType::DirectContact => self.direct_contacts.push(at),
            ActivityType::OtherContact => self.other_contacts.push(at),
            ActivityType::IndirectActivity => {}
            // What was planned and not held did nothing: no profile, no plan, no employer.
            ActivityType::ContactNotHeld => return,
        }
        match &note.kind {
            NoteKind::VocationalProfile { stage, client_committed } => {
                // A profile completed in one sitting was started in it. One that is only updated was started elsewhere.
                if matches!(stage, ProfileStage::Started | ProfileStage::Completed) {
                    earliest(&mut self.profile_started_at, at);
                }
                if *client_committed {
                    earliest(&mut self.committed_at, at);
                }
            }
            NoteKind::ActionPlan { client_engaged, .. } => {
                self.plans.push(PlanFacts { at, engaged: *client_engaged });
            }
            NoteKind::EmployerContact(c) => {
                self.employer_visits.push(EmployerVisit { at, face_to_face: c.face_to_face });
            }
            _ => {}
        }
    }

    /// IPS Grow's access: the profile started *and* the client committed; the day on which both stood.
    pub(super) fn accessed_by_profile(&self) -> Option<Timestamp> {
        Some(self.profile_started_at?.max(self.committed_at?))
    }

    /// Employed is in work; not asked and not stated are neither.
    pub(super) fn out_of_work_when_referred(&self) -> bool {
        !matches!(self.employment_status, None | Some(EmploymentStatus::Employed | EmploymentStatus::NotStated))
    }

    pub(super) fn first_job_start(&self) -> Option<Counted> {
        let starts = self.jobs.iter().filter_map(|j| Some((j.four_paid_hours_on?, j.id)));
        starts.min().map(|(on, id)| self.counted(Some(id), on))
    }

    pub(super) fn counted(&self, job_id: Option<OutcomeId>, on: Date) -> Counted {
        Counted { referral_id: self.referral_id, patient_id: self.patient_id, job_id, on }
    }
}

fn earliest(first: &mut Option<Timestamp>, at: Timestamp) {
    *first = Some(first.map_or(at, |f| f.min(at)));
}

/// Gathers the facts of these referrals. Of a note, its newest content, and only of notes not withdrawn; of an outcome, its current content
/// (a withdrawn one has none and is passed over). What belongs to a referral not given is passed over.
pub fn facts<'a>(
    referrals: impl IntoIterator<Item = &'a Referral>,
    notes: impl IntoIterator<Item = (ReferralId, &'a NoteContent)>,
    outcomes: impl IntoIterator<Item = &'a Outcome>,
) -> Vec<ReferralFacts> {
    let mut all: Vec<ReferralFacts> = referrals.into_iter().map(ReferralFacts::of).collect();
    let place: HashMap<ReferralId, usize> = all.iter().enumerate().map(|(i, f)| (f.referral_id, i)).collect();
    for (referral, note) in notes {
        if let Some(i) = place.get(&referral) {
            all[*i].add_note(note);
        }
    }
    let mut said: HashMap<OutcomeId, Said> = HashMap::new();
    let mut starts = vec![];
    for outcome in outcomes {
        match outcome.current.as_ref().filter(|_| !outcome.withdrawn).map(|c| &c.kind) {
            Some(OutcomeKind::JobStart(start)) => starts.push((outcome, start)),
            Some(OutcomeKind::StillInWork { job_id, on, .. }) => said.entry(*job_id).or_default().confirmed.push(*on),
            Some(OutcomeKind::JobEnd { job_id, ended_on, .. }) => {
                let end = &mut said.entry(*job_id).or_default().ended_on;
                *end = Some(end.map_or(*ended_on, |e| e.min(*ended_on)));
            }
            _ => {}
        }
    }
    for (outcome, start) in starts {
        let Some(i) = place.get(&outcome.referral_id) else { continue };
        let Said { confirmed, ended_on } = said.remove(&outcome.id).unwrap_or_default();
        all[*i].jobs.push(JobFacts {
            id: outcome.id,
            started_on: start.started_on,
            four_paid_hours_on: start.four_paid_hours_on,
            ended_on,
            competitive: start.competitive,
            confirmed_on: confirmed,
        });
    }
    all
}

/// What later outcomes say of a job.
#[derive(Default)]
struct Said {
    confirmed: Vec<Date>,
    ended_on: Option<Date>,
}
