//! The IPS measures: pure arithmetic on what referrals, notes and outcomes say. Every number is a list that can be opened.
//!
//! A day is a day in the trust's time zone, also where the clocks change. What is counted is what is recorded now, of whatever was known
//! then: a contact written up late changes the number of its own period, and something withdrawn was never there.

mod definition;
mod facts;
#[cfg(test)]
mod tests;

pub use facts::{EmployerVisit, Gathering, JobFacts, PlanFacts, ReferralFacts};

use super::ids::{OutcomeId, PatientId, ReferralId};
use super::organisation::{OdsCode, StaffId};
use super::text::Private;
use jiff::{Span, Timestamp, civil::Date, tz::TimeZone};
use std::collections::{BTreeMap, HashMap};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MeasureKind {
    AccessedNhse,
    AccessedIpsGrow,
    FirstContactWithin7Days,
    FirstContact8To30Days,
    FirstContactAfter30Days,
    FirstEmployerContactWithin30Days,
    PeopleIntoWork,
    JobStarts,
    EmploymentRate,
    RetentionShare,
    ActiveIn4Weeks,
    ProfileStarted,
    Sustained13Weeks,
    Sustained26Weeks,
    Caseload,
    ReferralsReceived,
}

impl MeasureKind {
    /// In the order of the contract.
    pub const ALL: [Self; 16] = [
        Self::AccessedNhse,
        Self::AccessedIpsGrow,
        Self::FirstContactWithin7Days,
        Self::FirstContact8To30Days,
        Self::FirstContactAfter30Days,
        Self::FirstEmployerContactWithin30Days,
        Self::PeopleIntoWork,
        Self::JobStarts,
        Self::EmploymentRate,
        Self::RetentionShare,
        Self::ActiveIn4Weeks,
        Self::ProfileStarted,
        Self::Sustained13Weeks,
        Self::Sustained26Weeks,
        Self::Caseload,
        Self::ReferralsReceived,
    ];

    /// A share of something, rather than a plain count.
    pub fn has_denominator(self) -> bool {
        match self {
            Self::FirstContactWithin7Days
            | Self::FirstContact8To30Days
            | Self::FirstContactAfter30Days
            | Self::FirstEmployerContactWithin30Days
            | Self::EmploymentRate
            | Self::RetentionShare
            | Self::ActiveIn4Weeks
            | Self::Sustained13Weeks
            | Self::Sustained26Weeks => true,
            Self::AccessedNhse
            | Self::AccessedIpsGrow
            | Self::PeopleIntoWork
            | Self::JobStarts
            | Self::ProfileStarted
            | Self::Caseload
            | Self::ReferralsReceived => false,
        }
    }
}

impl Measured {
    /// The list to open. `None`: a plain count has no denominator.
    pub fn side(&self, side: MeasureSide) -> Option<&[Counted]> {
        match side {
            MeasureSide::Numerator => Some(&self.numerator),
            MeasureSide::Denominator => self.denominator.as_deref(),
        }
    }
}

/// Which list of a measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MeasureSide {
    Numerator,
    Denominator,
}

/// Days from the first to the last, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    from: Date,
    to: Date,
}

/// Why two days are no period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAPeriod {
    #[error("must not lie before from")]
    Backwards,
    #[error("must lie at most 5 years after from")]
    TooLong,
}

impl Period {
    /// Both days are included. At most 5 years.
    pub fn new(from: Date, to: Date) -> Result<Self, NotAPeriod> {
        if to < from {
            return Err(NotAPeriod::Backwards);
        }
        if to > from.saturating_add(Span::new().years(5)) {
            return Err(NotAPeriod::TooLong);
        }
        Ok(Self { from, to })
    }

    fn holds(&self, day: Date) -> bool {
        self.from <= day && day <= self.to
    }
}

/// One counted thing: a referral, or a job where jobs are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    pub referral_id: ReferralId,
    pub patient_id: PatientId,
    pub job_id: Option<OutcomeId>,
    /// The day that made it count.
    pub on: Date,
}

/// One specialist's part of the caseload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub staff_id: StaffId,
    /// Two employers may give out the same staff id.
    pub organisation: OdsCode,
    pub display_name: Private<String>,
    pub count: usize,
}

/// One number with the lists behind it, oldest day first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    pub kind: MeasureKind,
    pub numerator: Vec<Counted>,
    /// `None` for plain counts.
    pub denominator: Option<Vec<Counted>>,
    /// By specialist, largest first; only for the caseload.
    pub breakdown: Vec<Part>,
}

/// Computes one measure. `facts` are those of one trust, or of one of its teams: a person's first job is then the first among these.
pub fn measure(kind: MeasureKind, facts: &[ReferralFacts], period: Period, tz: &TimeZone) -> Measured {
    let w = Window::new(period, tz);
    let mut breakdown = vec![];
    let (mut numerator, mut denominator) = match kind {
        MeasureKind::AccessedNhse => (w.each(facts, |f| w.first_within(&f.direct_contacts)), None),
        MeasureKind::AccessedIpsGrow => (w.each(facts, |f| w.within(f.accessed_by_profile())), None),
        MeasureKind::FirstContactWithin7Days => w.first_contact(facts, |days| days <= 7),
        MeasureKind::FirstContact8To30Days => w.first_contact(facts, |days| (8..=30).contains(&days)),
        MeasureKind::FirstContactAfter30Days => w.first_contact(facts, |days| days > 30),
        MeasureKind::FirstEmployerContactWithin30Days => w.first_employer_contact(facts),
        MeasureKind::PeopleIntoWork => (w.people_into_work(facts), None),
        MeasureKind::JobStarts => (w.job_starts(facts), None),
        MeasureKind::EmploymentRate => w.employment_rate(facts),
        MeasureKind::RetentionShare => w.share_of_caseload(facts, |f| f.job_retention),
        MeasureKind::ActiveIn4Weeks => w.share_of_caseload(facts, |f| w.active(f)),
        MeasureKind::ProfileStarted => (w.each(facts, |f| w.within(f.profile_started_at)), None),
        MeasureKind::Sustained13Weeks => w.sustained(facts, 13),
        MeasureKind::Sustained26Weeks => w.sustained(facts, 26),
        MeasureKind::Caseload => {
            breakdown = by_specialist(facts.iter().filter(|f| w.open_at_end(f)));
            (w.caseload(facts), None)
        }
        MeasureKind::ReferralsReceived => (w.each(facts, |f| w.within(Some(f.received_at))), None),
    };
    for list in [Some(&mut numerator), denominator.as_mut()].into_iter().flatten() {
        list.sort_by_key(|c| (c.on, c.referral_id, c.job_id));
    }
    Measured { kind, numerator, denominator, breakdown }
}

/// A period with its two instants: `start` is its first, `end` the first after it.
struct Window<'a> {
    period: Period,
    tz: &'a TimeZone,
    start: Timestamp,
    end: Timestamp,
}

type Both = (Vec<Counted>, Option<Vec<Counted>>);

impl<'a> Window<'a> {
    fn new(period: Period, tz: &'a TimeZone) -> Self {
        let begin = |day: Date| day.to_zoned(tz.clone()).map(|z| z.timestamp()).ok();
        Self {
            period,
            tz,
            // The first and last days that a calendar has begin or end outside what a clock can show.
            start: begin(period.from).unwrap_or(if period.from > Date::constant(1, 1, 1) {
                Timestamp::MAX
            } else {
                Timestamp::MIN
            }),
            end: period.to.tomorrow().ok().and_then(begin).unwrap_or(Timestamp::MAX),
        }
    }

    fn day(&self, at: Timestamp) -> Date {
        at.to_zoned(self.tz.clone()).date()
    }

    /// The day, if it lies in the period.
    fn within(&self, at: Option<Timestamp>) -> Option<Date> {
        at.filter(|at| self.start <= *at && *at < self.end).map(|at| self.day(at))
    }

    fn first_within(&self, times: &[Timestamp]) -> Option<Date> {
        times.iter().filter_map(|t| self.within(Some(*t))).min()
    }

    fn each(&self, facts: &[ReferralFacts], on: impl Fn(&ReferralFacts) -> Option<Date>) -> Vec<Counted> {
        facts.iter().filter_map(|f| on(f).map(|day| f.counted(None, day))).collect()
    }

    /// Whole days from one to the other. What came before counts as the same day: first met, then referred.
    fn days(&self, from: Timestamp, to: Timestamp) -> i32 {
        (self.day(to) - self.day(from)).get_days().max(0)
    }

    fn first_contact(&self, facts: &[ReferralFacts], fits: impl Fn(i32) -> bool) -> Both {
        let (mut fitting, mut contacted) = (vec![], vec![]);
        for f in facts {
            let (Some(received), Some(first)) = (self.within(Some(f.received_at)), f.direct_contacts.iter().min())
            else {
                continue;
            };
            contacted.push(f.counted(None, received));
            if fits(self.days(f.received_at, *first)) {
                fitting.push(f.counted(None, self.day(*first)));
            }
        }
        (fitting, Some(contacted))
    }

    fn first_employer_contact(&self, facts: &[ReferralFacts]) -> Both {
        let (mut soon, mut accepted) = (vec![], vec![]);
        for f in facts {
            let (Some(at), Some(day)) = (f.accepted_at, self.within(f.accepted_at)) else { continue };
            accepted.push(f.counted(None, day));
            let first = f.employer_visits.iter().filter(|v| v.face_to_face).map(|v| v.at).min();
            if let Some(first) = first.filter(|first| self.days(at, *first) <= 30) {
                soon.push(f.counted(None, self.day(first)));
            }
        }
        (soon, Some(accepted))
    }

    fn job_starts(&self, facts: &[ReferralFacts]) -> Vec<Counted> {
        let jobs = facts.iter().flat_map(|f| f.jobs.iter().map(move |job| (f, job)));
        jobs.filter_map(|(f, job)| {
            let on = job.four_paid_hours_on.filter(|day| self.period.holds(*day))?;
            Some(f.counted(Some(job.id), on))
        })
        .collect()
    }

    fn people_into_work(&self, facts: &[ReferralFacts]) -> Vec<Counted> {
        let mut first: HashMap<PatientId, Counted> = HashMap::new();
        for start in facts.iter().filter_map(ReferralFacts::first_job_start) {
            let known = first.entry(start.patient_id).or_insert(start);
            if (start.on, start.job_id) < (known.on, known.job_id) {
                *known = start;
            }
        }
        first.into_values().filter(|start| self.period.holds(start.on)).collect()
    }

    fn employment_rate(&self, facts: &[ReferralFacts]) -> Both {
        let (mut working, mut accessed) = (vec![], vec![]);
        for f in facts.iter().filter(|f| f.out_of_work_when_referred()) {
            let Some(first) = f.direct_contacts.iter().min().filter(|t| **t < self.end) else { continue };
            accessed.push(f.counted(None, self.day(*first)));
            working.extend(f.first_job_start().filter(|start| start.on <= self.period.to));
        }
        (working, Some(accessed))
    }

    /// On a caseload when the period's last day ends.
    fn open_at_end(&self, f: &ReferralFacts) -> bool {
        f.accepted_at.is_some_and(|t| t < self.end) && f.closed_at.is_none_or(|t| t >= self.end)
    }

    fn caseload(&self, facts: &[ReferralFacts]) -> Vec<Counted> {
        self.each(facts, |f| f.accepted_at.filter(|_| self.open_at_end(f)).map(|t| self.day(t)))
    }

    fn share_of_caseload(&self, facts: &[ReferralFacts], fits: impl Fn(&ReferralFacts) -> bool) -> Both {
        let fitting =
            self.each(facts, |f| f.accepted_at.filter(|_| self.open_at_end(f) && fits(f)).map(|t| self.day(t)));
        (fitting, Some(self.caseload(facts)))
    }

    /// The last 28 days of the period, its last day included.
    fn active(&self, f: &ReferralFacts) -> bool {
        let first_day = self.period.to.saturating_sub(Span::new().days(27));
        let recent = |t: &&Timestamp| **t < self.end && self.day(**t) >= first_day;
        let met = f.direct_contacts.iter().chain(&f.other_contacts).find(recent).is_some();
        let plan = f.plans.iter().filter(|p| p.at < self.end).max_by_key(|p| p.at);
        met && plan.is_some_and(|p| p.engaged)
    }

    fn sustained(&self, facts: &[ReferralFacts], weeks: i32) -> Both {
        let (mut sustained, mut due) = (vec![], vec![]);
        for (f, job) in facts.iter().flat_map(|f| f.jobs.iter().map(move |job| (f, job))) {
            let reached = job.started_on.saturating_add(Span::new().days(7 * weeks));
            if job.four_paid_hours_on.is_none() || !self.period.holds(reached) {
                continue;
            }
            due.push(f.counted(Some(job.id), reached));
            if let Some(on) = job.confirmed_on_or_after(reached) {
                sustained.push(f.counted(Some(job.id), on));
            }
        }
        (sustained, Some(due))
    }
}

fn by_specialist<'a>(open: impl Iterator<Item = &'a ReferralFacts>) -> Vec<Part> {
    let mut parts: BTreeMap<(StaffId, OdsCode), Part> = BTreeMap::new();
    for who in open.filter_map(|f| f.specialist.as_ref()) {
        let part = parts.entry((who.staff_id.clone(), who.organisation.clone())).or_insert_with(|| Part {
            staff_id: who.staff_id.clone(),
            organisation: who.organisation.clone(),
            display_name: who.display_name.clone(),
            count: 0,
        });
        part.count += 1;
    }
    let mut parts: Vec<Part> = parts.into_values().collect();
    parts.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.staff_id.cmp(&b.staff_id)));
    parts
}
