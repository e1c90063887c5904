//! The IPS measures: pure arithmetic on what referrals, notes and outcomes say. Every number is a list that can be opened.
//!
//! A day is a day in the trust's time zone, also where the clocks change. What is counted is what is recorded now, of whatever was known
//! then: a contact written up late changes the number of its own period, and something withdrawn was never there.

mod definition;
mod facts;
#[cfg(test)]
mod tests;

pub use facts::{Assigned, EmployerVisit, Gathering, JobFacts, PlanFacts, ReferralFacts};

use super::ids::{OutcomeId, PatientId, ReferralId};
use super::organisation::{OdsCode, StaffId};
use super::person::Author;
use super::text::Private;
use jiff::{Span, Timestamp, civil::Date, tz::TimeZone};
use std::collections::BTreeMap;

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

/// Computes one measure. `facts` are those of one trust, or of one of its teams. `today`: what is due later is not asked for yet.
pub fn measure(kind: MeasureKind, facts: &[ReferralFacts], period: Period, tz: &TimeZone, today: Date) -> Measured {
    let w = Window::new(period, tz, today);
    let mut breakdown = vec![];
    let (mut numerator, mut denominator) = match kind {
        MeasureKind::AccessedNhse => (w.each(facts, |f| w.first_within(&f.direct_contacts)), None),
        MeasureKind::AccessedIpsGrow => (w.each(facts, |f| w.within(f.accessed_by_profile())), None),
        MeasureKind::FirstContactWithin7Days => w.first_contact(facts, |days| days <= 7),
        MeasureKind::FirstContact8To30Days => w.first_contact(facts, |days| (8..=30).contains(&days)),
        MeasureKind::FirstContactAfter30Days => w.first_contact(facts, |days| days > 30),
        MeasureKind::FirstEmployerContactWithin30Days => w.first_employer_contact(facts),
        MeasureKind::PeopleIntoWork => (w.job_starts(facts, |job| job.first_of_person), None),
        MeasureKind::JobStarts => (w.job_starts(facts, |_| true), None),
        MeasureKind::EmploymentRate => w.employment_rate(facts),
        MeasureKind::RetentionShare => w.share_of_caseload(facts, |f| w.on_caseload(f).filter(|_| f.job_retention)),
        MeasureKind::ActiveIn4Weeks => w.share_of_caseload(facts, |f| w.active(f)),
        MeasureKind::ProfileStarted => (w.each(facts, |f| w.within(f.profile_started_at)), None),
        MeasureKind::Sustained13Weeks => w.sustained(facts, 13),
        MeasureKind::Sustained26Weeks => w.sustained(facts, 26),
        MeasureKind::Caseload => {
            breakdown =
                by_specialist(facts.iter().filter(|f| w.open_at_end(f)).filter_map(|f| f.specialist_before(w.end)));
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
    today: Date,
    start: Timestamp,
    end: Timestamp,
}

type Both = (Vec<Counted>, Option<Vec<Counted>>);

impl<'a> Window<'a> {
    fn new(period: Period, tz: &'a TimeZone, today: Date) -> Self {
        let begin = |day: Date| day.to_zoned(tz.clone()).map(|z| z.timestamp()).ok();
        Self {
            period,
            tz,
            today,
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

    /// The first of these days from `day` on. What lies before it ends no wait that begins there; what lies earlier on the same day does.
    fn first_since(&self, day: Date, times: impl Iterator<Item = Timestamp>) -> Option<Date> {
        times.map(|t| self.day(t)).filter(|on| *on >= day).min()
    }

    fn first_contact(&self, facts: &[ReferralFacts], fits: impl Fn(i32) -> bool) -> Both {
        let (mut fitting, mut contacted) = (vec![], vec![]);
        for f in facts {
            let Some(received) = self.within(Some(f.received_at)) else { continue };
            let Some(first) = self.first_since(received, f.direct_contacts.iter().copied()) else { continue };
            contacted.push(f.counted(None, received));
            if fits((first - received).get_days()) {
                fitting.push(f.counted(None, first));
            }
        }
        (fitting, Some(contacted))
    }

    fn first_employer_contact(&self, facts: &[ReferralFacts]) -> Both {
        let (mut soon, mut accepted) = (vec![], vec![]);
        for f in facts {
            let Some(day) = self.within(f.accepted_at) else { continue };
            accepted.push(f.counted(None, day));
            let first = self.first_since(day, f.employer_visits.iter().filter(|v| v.face_to_face).map(|v| v.at));
            soon.extend(first.filter(|first| (*first - day).get_days() <= 30).map(|first| f.counted(None, first)));
        }
        (soon, Some(accepted))
    }

    fn job_starts(&self, facts: &[ReferralFacts], counts: impl Fn(&JobFacts) -> bool) -> Vec<Counted> {
        let jobs = facts.iter().flat_map(|f| f.jobs.iter().map(move |job| (f, job)));
        jobs.filter(|(_, job)| counts(job))
            .filter_map(|(f, job)| {
                let on = job.four_paid_hours_on.filter(|day| self.period.holds(*day))?;
                Some(f.counted(Some(job.id), on))
            })
            .collect()
    }

    fn employment_rate(&self, facts: &[ReferralFacts]) -> Both {
        let (mut working, mut accessed) = (vec![], vec![]);
        for f in facts.iter().filter(|f| f.out_of_work_when_referred()) {
            let Some(first) = f.direct_contacts.iter().min().filter(|t| **t < self.end) else { continue };
            accessed.push(f.counted(None, self.day(*first)));
            // Referrals are counted here, whichever of its jobs it was.
            let started = f.jobs.iter().filter_map(|j| j.four_paid_hours_on).min();
            working.extend(started.filter(|on| *on <= self.period.to).map(|on| f.counted(None, on)));
        }
        (working, Some(accessed))
    }

    /// On a caseload when the period's last day ends.
    fn open_at_end(&self, f: &ReferralFacts) -> bool {
        f.accepted_at.is_some_and(|t| t < self.end) && f.closed_at.is_none_or(|t| t >= self.end)
    }

    /// The day of acceptance, if it is on the caseload.
    fn on_caseload(&self, f: &ReferralFacts) -> Option<Date> {
        f.accepted_at.filter(|_| self.open_at_end(f)).map(|t| self.day(t))
    }

    fn caseload(&self, facts: &[ReferralFacts]) -> Vec<Counted> {
        self.each(facts, |f| self.on_caseload(f))
    }

    /// `on`: the day that makes one on the caseload count.
    fn share_of_caseload(&self, facts: &[ReferralFacts], on: impl Fn(&ReferralFacts) -> Option<Date>) -> Both {
        let fitting = self.each(facts, |f| on(f).filter(|_| self.open_at_end(f)));
        (fitting, Some(self.caseload(facts)))
    }

    /// The latest contact in the last 28 days of the period, its last day included, of a client who is engaged.
    fn active(&self, f: &ReferralFacts) -> Option<Date> {
        let first_day = self.period.to.saturating_sub(Span::new().days(27));
        let contacts = f.direct_contacts.iter().chain(&f.other_contacts);
        let met = contacts.filter(|t| **t < self.end).map(|t| self.day(*t)).max().filter(|day| *day >= first_day);
        let plan = f.plans.iter().filter(|p| p.at < self.end).max_by_key(|p| p.at);
        met.filter(|_| plan.is_some_and(|p| p.engaged))
    }

    fn sustained(&self, facts: &[ReferralFacts], weeks: i32) -> Both {
        let (mut sustained, mut due) = (vec![], vec![]);
        for (f, job) in facts.iter().flat_map(|f| f.jobs.iter().map(move |job| (f, job))) {
            let reached = job.started_on.saturating_add(Span::new().days(7 * weeks));
            // A day that has not come asks nothing yet: each such job would make the share look worse than it is.
            if job.four_paid_hours_on.is_none() || !self.period.holds(reached) || reached > self.today {
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

fn by_specialist<'a>(open: impl Iterator<Item = &'a Author>) -> Vec<Part> {
    let mut parts: BTreeMap<(StaffId, OdsCode), Part> = BTreeMap::new();
    for who in open {
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
