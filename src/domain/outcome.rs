//! Employment facts. A work placement is not a job start; weeks sustained are derived, never typed.

use super::ids::{OutcomeId, PatientId, ReferralId};
use super::note::Version;
use super::organisation::OdsCode;
use super::referral::EmploymentStatus;
use super::rule::Violations;
use super::text::Private;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Employer {
    pub name: Private<String>,
    pub post: Private<String>,
    pub share_in_record: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConfirmedBy {
    Client,
    Employer,
    PaySlip,
    Clinician,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobEndReason {
    Resigned,
    Dismissed,
    Redundant,
    ContractEnded,
    Health,
    MovedToBetterJob,
    Other,
    NotKnown,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobStart {
    pub employer: Employer,
    pub started_on: Date,
    /// Four paid hours worked: the job start counts from there (IPS Grow).
    pub four_paid_hours_on: Option<Date>,
    pub competitive: bool,
    pub fixed_term_ends_on: Option<Date>,
    pub weekly_minutes: i32,
    pub self_employed: bool,
    pub variable_hours: bool,
}

/// What the outcome is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OutcomeKind {
    JobOffer { employer: Employer, offered_on: Date, accepted: Option<bool> },
    JobStart(JobStart),
    JobRetained { employer: Employer, retained_on: Date, weekly_minutes: i32 },
    StillInWork { job_id: OutcomeId, on: Date, confirmed_by: ConfirmedBy },
    JobEnd { job_id: OutcomeId, ended_on: Date, reason: JobEndReason, share_in_record: bool },
    HoursChanged { job_id: OutcomeId, from: Date, weekly_minutes: i32 },
    WorkPlacement { host: Employer, started_on: Date, ended_on: Option<Date> },
    VoluntaryWork { host: Employer, started_on: Date },
    Education { course: Private<String>, started_on: Date },
    StatusRecorded { status: EmploymentStatus, recorded_on: Date, weekly_minutes: Option<i32> },
}

/// MHSDS, WEEKLY HOURS WORKED.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum HoursBand {
    ThirtyOrMore,
    From16To29,
    From5To15,
    From1To4,
    NotApplicable,
    NotKnown,
}

/// The published bands are whole hours; a part of an hour stays in the band below (29 h 30 min is "16 to 29"), and no contracted hours are "not known".
pub fn hours_band(weekly_minutes: i32) -> HoursBand {
    match weekly_minutes {
        m if m >= 30 * 60 => HoursBand::ThirtyOrMore,
        m if m >= 16 * 60 => HoursBand::From16To29,
        m if m >= 5 * 60 => HoursBand::From5To15,
        m if m > 0 => HoursBand::From1To4,
        _ => HoursBand::NotKnown,
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeContent {
    pub remark: Option<Private<String>>,
    pub kind: OutcomeKind,
}

impl OutcomeKind {
    pub fn title(&self) -> &'static str {
        match self {
            Self::JobOffer { .. } => "Job offer",
            Self::JobStart(_) => "Job start",
            Self::JobRetained { .. } => "Job retained",
            Self::StillInWork { .. } => "Still in work",
            Self::JobEnd { .. } => "Job end",
            Self::HoursChanged { .. } => "Hours changed",
            Self::WorkPlacement { .. } => "Work placement",
            Self::VoluntaryWork { .. } => "Voluntary work",
            Self::Education { .. } => "Education or training",
            Self::StatusRecorded { .. } => "Employment status",
        }
    }

    /// The day it is about.
    pub fn on(&self) -> Date {
        match self {
            Self::JobOffer { offered_on: d, .. }
            | Self::JobRetained { retained_on: d, .. }
            | Self::StillInWork { on: d, .. }
            | Self::JobEnd { ended_on: d, .. }
            | Self::HoursChanged { from: d, .. }
            | Self::WorkPlacement { started_on: d, .. }
            | Self::VoluntaryWork { started_on: d, .. }
            | Self::Education { started_on: d, .. }
            | Self::StatusRecorded { recorded_on: d, .. } => *d,
            Self::JobStart(start) => start.started_on,
        }
    }

    /// Where [`Self::on`] stands in the contract's OutcomeContent.
    pub fn day_field(&self) -> &'static str {
        match self {
            Self::JobOffer { .. } => "job_offer.offered_on",
            Self::JobStart(_) => "job_start.started_on",
            Self::JobRetained { .. } => "job_retained.retained_on",
            Self::StillInWork { .. } => "still_in_work.on",
            Self::JobEnd { .. } => "job_end.ended_on",
            Self::HoursChanged { .. } => "hours_changed.from",
            Self::WorkPlacement { .. } => "work_placement.started_on",
            Self::VoluntaryWork { .. } => "voluntary_work.started_on",
            Self::Education { .. } => "education.started_on",
            Self::StatusRecorded { .. } => "status_recorded.recorded_on",
        }
    }

    /// The job it speaks of, when it is not the job's own beginning.
    pub fn job_id(&self) -> Option<OutcomeId> {
        match self {
            Self::StillInWork { job_id, .. } | Self::JobEnd { job_id, .. } | Self::HoursChanged { job_id, .. } => {
                Some(*job_id)
            }
            _ => None,
        }
    }

    /// Begins a job that others can speak of.
    pub fn begins_job(&self) -> Option<Date> {
        match self {
            Self::JobStart(start) => Some(start.started_on),
            Self::JobRetained { retained_on, .. } => Some(*retained_on),
            _ => None,
        }
    }

    pub fn hours_band(&self) -> Option<HoursBand> {
        match self {
            Self::JobStart(JobStart { weekly_minutes, .. })
            | Self::JobRetained { weekly_minutes, .. }
            | Self::HoursChanged { weekly_minutes, .. } => Some(hours_band(*weekly_minutes)),
            Self::StatusRecorded { status: EmploymentStatus::Employed, weekly_minutes, .. } => {
                Some(weekly_minutes.map_or(HoursBand::NotKnown, hours_band))
            }
            Self::StatusRecorded { .. } => Some(HoursBand::NotApplicable),
            _ => None,
        }
    }
}

impl OutcomeContent {
    /// Where this excludes something that is said of the same job: the field, and the rule. `this`: the outcome's own id, when it has one yet;
    /// `others`: what the referral's other outcomes say now.
    pub fn contradicts<'a>(
        &self,
        this: Option<OutcomeId>,
        mut others: impl Iterator<Item = (OutcomeId, &'a OutcomeContent)>,
    ) -> Option<(&'static str, &'static str)> {
        let said_of = |job: OutcomeId| move |o: &OutcomeContent| o.kind.job_id() == Some(job);
        let end = |o: &OutcomeContent| matches!(o.kind, OutcomeKind::JobEnd { .. });
        match &self.kind {
            OutcomeKind::JobEnd { job_id, ended_on, .. } => {
                let of_job = said_of(*job_id);
                others.filter(|(_, o)| of_job(o)).find_map(|(_, o)| {
                    if end(o) {
                        return Some((
                            "content.job_end.job_id",
                            "the job has an end already; correct or withdraw that one",
                        ));
                    }
                    let later = o.kind.on() > *ended_on;
                    later.then_some((
                        "content.job_end.ended_on",
                        "must not lie before something else that is said of the job; correct or withdraw that first",
                    ))
                })
            }
            OutcomeKind::StillInWork { job_id, on, .. } | OutcomeKind::HoursChanged { job_id, from: on, .. } => {
                let of_job = said_of(*job_id);
                let field = match self.kind {
                    OutcomeKind::StillInWork { .. } => "content.still_in_work.on",
                    _ => "content.hours_changed.from",
                };
                let ended = others.any(|(_, o)| of_job(o) && end(o) && o.kind.on() < *on);
                ended.then_some((field, "must not lie after the job's end; correct or withdraw the end first"))
            }
            _ => {
                let (of_job, begins) = (said_of(this?), self.kind.begins_job()?);
                let earlier = others.any(|(_, o)| of_job(o) && o.kind.on() < begins);
                let field = match self.kind {
                    OutcomeKind::JobRetained { .. } => "content.job_retained.retained_on",
                    _ => "content.job_start.started_on",
                };
                let rule = "must not lie after something else that is said of the job; correct or withdraw that first";
                earlier.then_some((field, rule))
            }
        }
    }

    /// The rules between the fields, and against today (in the trust's time zone).
    pub fn check(&self, at: &str, today: Date, broken: &mut Violations) {
        let mut not_future = |field: &str, day: Date| {
            if day > today {
                broken.add(format!("{at}.{field}"), "must not lie in the future");
            }
        };
        not_future(self.kind.day_field(), self.kind.on());
        if let OutcomeKind::JobStart(JobStart { four_paid_hours_on: Some(day), .. }) = &self.kind {
            not_future("job_start.four_paid_hours_on", *day);
        }
        match &self.kind {
            OutcomeKind::JobStart(s) => {
                if s.four_paid_hours_on.is_some_and(|d| d < s.started_on) {
                    broken.add(format!("{at}.job_start.four_paid_hours_on"), "must not lie before started_on");
                }
                if s.fixed_term_ends_on.is_some_and(|d| d < s.started_on) {
                    broken.add(format!("{at}.job_start.fixed_term_ends_on"), "must not lie before started_on");
                }
            }
            OutcomeKind::WorkPlacement { started_on, ended_on: Some(end), .. } if end < started_on => {
                broken.add(format!("{at}.work_placement.ended_on"), "must not lie before started_on");
            }
            OutcomeKind::StatusRecorded { status, weekly_minutes: Some(_), .. }
                if *status != EmploymentStatus::Employed =>
            {
                broken.add(format!("{at}.status_recorded.weekly_minutes"), "only with status EMPLOYED");
            }
            _ => {}
        }
        let minutes = match &self.kind {
            OutcomeKind::JobStart(s) => Some(("job_start", s.weekly_minutes)),
            OutcomeKind::JobRetained { weekly_minutes, .. } => Some(("job_retained", *weekly_minutes)),
            OutcomeKind::HoursChanged { weekly_minutes, .. } => Some(("hours_changed", *weekly_minutes)),
            OutcomeKind::StatusRecorded { weekly_minutes: Some(m), .. } => Some(("status_recorded", *m)),
            _ => None,
        };
        if let Some((field, m)) = minutes
            && !(0..=6000).contains(&m)
        {
            broken.add(format!("{at}.{field}.weekly_minutes"), "must be 0 to 6000 minutes a week");
        }
    }
}

/// An outcome's head: everything but its versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    pub id: OutcomeId,
    pub trust: OdsCode,
    pub patient_id: PatientId,
    pub referral_id: ReferralId,
    pub version: i64,
    pub withdrawn: bool,
    /// The newest content: what measures and later outcomes of the same job are judged by. `None` once withdrawn.
    pub current: Option<OutcomeContent>,
}

pub type OutcomeVersion = Version<OutcomeContent>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_bands_follow_the_data_dictionary() {
        let bands = [
            (1800, HoursBand::ThirtyOrMore),
            (1799, HoursBand::From16To29),
            (960, HoursBand::From16To29),
            (959, HoursBand::From5To15),
            (300, HoursBand::From5To15),
            (299, HoursBand::From1To4),
            (1, HoursBand::From1To4),
            (0, HoursBand::NotKnown),
        ];
        for (minutes, band) in bands {
            assert_eq!(hours_band(minutes), band, "{minutes}");
        }
    }

    #[test]
    fn a_work_placement_begins_no_job() {
        let host = Employer { name: Private("x".into()), post: Private("y".into()), share_in_record: false };
        let day = jiff::civil::date(2026, 3, 2);
        assert_eq!(OutcomeKind::WorkPlacement { host, started_on: day, ended_on: None }.begins_job(), None);
    }
}
