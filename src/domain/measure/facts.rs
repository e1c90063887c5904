//! What the measures need to know of a referral, gathered from its versions, and from its notes and outcomes as they stand now.

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
    /// The first of all job starts that the person has in the trust, whatever the referral and the team.
    pub first_of_person: bool,
}

impl JobFacts {
    /// The first confirmation from `day` on. One that lies after the job's end proves nothing.
    pub(super) fn confirmed_on_or_after(&self, day: Date) -> Option<Date> {
        let holds = |on: &Date| *on >= day && self.ended_on.is_none_or(|end| end >= *on);
        self.confirmed_on.iter().copied().filter(holds).min()
    }
}

/// Who has a referral, until it is assigned to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assigned {
    pub since: Timestamp,
    pub to: Author,
}

/// One referral. The lists are in no order, unless they say so.
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
    /// Who had it, one after another; the last has it now.
    pub specialists: Vec<Assigned>,
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
            specialists: vec![],
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

    /// Who had it last before that time.
    pub(super) fn specialist_before(&self, time: Timestamp) -> Option<&Author> {
        self.specialists.iter().rfind(|s| s.since < time).map(|s| &s.to)
    }

    pub(super) fn counted(&self, job_id: Option<OutcomeId>, on: Date) -> Counted {
        Counted { referral_id: self.referral_id, patient_id: self.patient_id, job_id, on }
    }
}

fn earliest(first: &mut Option<Timestamp>, at: Timestamp) {
    *first = Some(first.map_or(at, |f| f.min(at)));
}

/// Gathers the facts of referrals, one thing after another, so that nobody has to hold all that they are taken from. The referrals come first: what belongs
/// to one that was not given is passed over.
#[derive(Debug, Default)]
pub struct Gathering {
    all: Vec<ReferralFacts>,
    place: HashMap<ReferralId, usize>,
    /// Jobs, each at its referral's place, before it is known what later outcomes say of them.
    jobs: Vec<(usize, JobFacts)>,
    said: HashMap<OutcomeId, Said>,
}

impl Gathering {
    /// A referral, as it stands now.
    pub fn referral(&mut self, referral: &Referral) {
        self.place.insert(referral.id, self.all.len());
        self.all.push(ReferralFacts::of(referral));
    }

    /// One of a referral's versions, the newest as well. They come oldest first.
    pub fn version(&mut self, version: &Referral) {
        let (Some(i), Some(to)) = (self.place.get(&version.id), &version.assigned_to) else { return };
        let specialists = &mut self.all[*i].specialists;
        if specialists.last().is_none_or(|s| s.to != *to) {
            specialists.push(Assigned { since: version.touched_at, to: to.clone() });
        }
    }

    /// A note that is not withdrawn, in its newest content.
    pub fn note(&mut self, referral: ReferralId, note: &NoteContent) {
        if let Some(i) = self.place.get(&referral) {
            self.all[*i].add_note(note);
        }
    }

    /// An outcome in its current content. A withdrawn one has none and is passed over.
    pub fn outcome(&mut self, outcome: &Outcome) {
        match outcome.current.as_ref().filter(|_| !outcome.withdrawn).map(|c| &c.kind) {
            Some(OutcomeKind::JobStart(start)) => {
                let Some(i) = self.place.get(&outcome.referral_id) else { return };
                let job = JobFacts {
                    id: outcome.id,
                    started_on: start.started_on,
                    four_paid_hours_on: start.four_paid_hours_on,
                    ended_on: None,
                    competitive: start.competitive,
                    confirmed_on: vec![],
                    first_of_person: false,
                };
                self.jobs.push((*i, job));
            }
            Some(OutcomeKind::StillInWork { job_id, on, .. }) => {
                self.said.entry(*job_id).or_default().confirmed.push(*on);
            }
            Some(OutcomeKind::JobEnd { job_id, ended_on, .. }) => {
                let end = &mut self.said.entry(*job_id).or_default().ended_on;
                *end = Some(end.map_or(*ended_on, |e| e.min(*ended_on)));
            }
            _ => {}
        }
    }

    /// The facts, in the order in which the referrals came.
    pub fn finish(self) -> Vec<ReferralFacts> {
        let Self { mut all, jobs, mut said, .. } = self;
        for (i, job) in jobs {
            let Said { confirmed, ended_on } = said.remove(&job.id).unwrap_or_default();
            all[i].jobs.push(JobFacts { ended_on, confirmed_on: confirmed, ..job });
        }
        mark_first(&mut all);
        all
    }
}

/// Each person's first job start, while all of the trust's are at hand: a team alone does not know what a person did with another.
fn mark_first(all: &mut [ReferralFacts]) {
    let mut first: HashMap<PatientId, (Date, OutcomeId)> = HashMap::new();
    for f in &*all {
        for start in f.jobs.iter().filter_map(|j| Some((j.four_paid_hours_on?, j.id))) {
            first.entry(f.patient_id).and_modify(|known| *known = start.min(*known)).or_insert(start);
        }
    }
    for f in all {
        let first = first.get(&f.patient_id).map(|(_, id)| *id);
        f.jobs.iter_mut().for_each(|j| j.first_of_person = first == Some(j.id));
    }
}

/// What later outcomes say of a job.
#[derive(Debug, Default)]
struct Said {
    confirmed: Vec<Date>,
    ended_on: Option<Date>,
}
