//! The ten kinds of outcome, each with what only it needs.

use super::codes::Code;
use super::field::{Fields, stand_in};
use super::person::code_or;
use crate::domain::ids::OutcomeId;
use crate::domain::outcome::{ConfirmedBy, Employer, JobEndReason, JobStart, OutcomeKind};
use crate::domain::referral::EmploymentStatus;
use crate::domain::rule::Violations;
use crate::wire::v1::{self, outcome_content::Kind};
use jiff::civil::Date;
use uuid::Uuid;

pub(super) fn draft(kind: Option<&Kind>, f: &mut Fields<'_>) -> OutcomeKind {
    match kind {
        None => {
            f.add("kind", "exactly one kind is required, e.g. job_start");
            OutcomeKind::Education { course: stand_in(), started_on: Date::MIN }
        }
        Some(Kind::JobOffer(m)) => part(f, "job_offer", m, job_offer),
        Some(Kind::JobStart(m)) => part(f, "job_start", m, job_start),
        Some(Kind::JobRetained(m)) => part(f, "job_retained", m, job_retained),
        Some(Kind::StillInWork(m)) => part(f, "still_in_work", m, still_in_work),
        Some(Kind::JobEnd(m)) => part(f, "job_end", m, job_end),
        Some(Kind::HoursChanged(m)) => part(f, "hours_changed", m, hours_changed),
        Some(Kind::WorkPlacement(m)) => part(f, "work_placement", m, work_placement),
        Some(Kind::VoluntaryWork(m)) => part(f, "voluntary_work", m, voluntary_work),
        Some(Kind::Education(m)) => part(f, "education", m, education),
        Some(Kind::StatusRecorded(m)) => part(f, "status_recorded", m, status_recorded),
    }
}

fn part<M>(f: &mut Fields<'_>, name: &str, message: &M, read: fn(&M, &mut Fields<'_>) -> OutcomeKind) -> OutcomeKind {
    let read = |m: &M, at: &str, broken: &mut Violations| read(m, &mut Fields::new(at, broken));
    f.optional_part(name, Some(message), read).expect("the part was given")
}

/// A required day. The stand-in lies before every other day and is never in the future.
fn day(f: &mut Fields<'_>, name: &str, value: &str) -> Date {
    f.day(name, value).unwrap_or(Date::MIN)
}

fn employer(f: &mut Fields<'_>, name: &str, message: Option<&v1::Employer>) -> Employer {
    let read = |m: &v1::Employer, at: &str, broken: &mut Violations| {
        let mut f = Fields::new(at, broken);
        Employer {
            name: f.line("name", &m.name, 200),
            post: f.line("post", &m.post, 200),
            share_in_record: m.share_in_record,
        }
    };
    f.part(name, message, read).unwrap_or_else(|| Employer {
        name: stand_in(),
        post: stand_in(),
        share_in_record: false,
    })
}

fn job_id(f: &mut Fields<'_>, value: &str) -> OutcomeId {
    f.id("job_id", value).unwrap_or(OutcomeId(Uuid::nil()))
}

fn job_offer(m: &v1::JobOffer, f: &mut Fields<'_>) -> OutcomeKind {
    OutcomeKind::JobOffer {
        employer: employer(f, "employer", m.employer.as_ref()),
        offered_on: day(f, "offered_on", &m.offered_on),
        accepted: m.accepted,
    }
}

fn job_start(m: &v1::JobStart, f: &mut Fields<'_>) -> OutcomeKind {
    let ends = m.fixed_term_ends_on.as_deref().filter(|d| !d.trim().is_empty());
    match (m.fixed_term, ends) {
        (true, None) => f.add("fixed_term_ends_on", "is required with fixed_term"),
        (false, Some(_)) => f.add("fixed_term_ends_on", "only with fixed_term"),
        _ => {}
    }
    OutcomeKind::JobStart(JobStart {
        employer: employer(f, "employer", m.employer.as_ref()),
        started_on: day(f, "started_on", &m.started_on),
        four_paid_hours_on: f.optional_day("four_paid_hours_on", m.four_paid_hours_on.as_deref()),
        competitive: m.competitive,
        fixed_term_ends_on: ends.filter(|_| m.fixed_term).and_then(|d| f.day("fixed_term_ends_on", d)),
        weekly_minutes: m.weekly_minutes,
        self_employed: m.self_employed,
        variable_hours: m.variable_hours,
    })
}

fn job_retained(m: &v1::JobRetained, f: &mut Fields<'_>) -> OutcomeKind {
    OutcomeKind::JobRetained {
        employer: employer(f, "employer", m.employer.as_ref()),
        retained_on: day(f, "retained_on", &m.retained_on),
        weekly_minutes: m.weekly_minutes,
    }
}

fn still_in_work(m: &v1::StillInWork, f: &mut Fields<'_>) -> OutcomeKind {
    OutcomeKind::StillInWork {
        job_id: job_id(f, &m.job_id),
        on: day(f, "on", &m.on),
        confirmed_by: code_or(f, "confirmed_by", m.confirmed_by, ConfirmedBy::Client),
    }
}

fn job_end(m: &v1::JobEnd, f: &mut Fields<'_>) -> OutcomeKind {
    OutcomeKind::JobEnd {
        job_id: job_id(f, &m.job_id),
        ended_on: day(f, "ended_on", &m.ended_on),
        reason: code_or(f, "reason", m.reason, JobEndReason::NotKnown),
        share_in_record: m.share_in_record,
    }
}

fn hours_changed(m: &v1::HoursChanged, f: &mut Fields<'_>) -> OutcomeKind {
    OutcomeKind::HoursChanged {
        job_id: job_id(f, &m.job_id),
        from: day(f, "from", &m.from),
        weekly_minutes: m.weekly_minutes,
    }
}

fn work_placement(m: &v1::WorkPlacement, f: &mut Fields<'_>) -> OutcomeKind {
    OutcomeKind::WorkPlacement {
        host: employer(f, "host", m.host.as_ref()),
        started_on: day(f, "started_on", &m.started_on),
        ended_on: f.optional_day("ended_on", m.ended_on.as_deref()),
    }
}

fn voluntary_work(m: &v1::VoluntaryWork, f: &mut Fields<'_>) -> OutcomeKind {
    OutcomeKind::VoluntaryWork {
        host: employer(f, "host", m.host.as_ref()),
        started_on: day(f, "started_on", &m.started_on),
    }
}

fn education(m: &v1::Education, f: &mut Fields<'_>) -> OutcomeKind {
    OutcomeKind::Education { course: f.line("course", &m.course, 200), started_on: day(f, "started_on", &m.started_on) }
}

fn status_recorded(m: &v1::StatusRecorded, f: &mut Fields<'_>) -> OutcomeKind {
    OutcomeKind::StatusRecorded {
        // The one status that hours may stand beside.
        status: code_or(f, "status", m.status, EmploymentStatus::Employed),
        recorded_on: day(f, "recorded_on", &m.recorded_on),
        weekly_minutes: m.weekly_minutes,
    }
}

fn show_employer(employer: &Employer) -> Option<v1::Employer> {
    Some(v1::Employer {
        name: employer.name.0.clone(),
        post: employer.post.0.clone(),
        share_in_record: employer.share_in_record,
    })
}

pub(super) fn show(kind: &OutcomeKind) -> Kind {
    match kind {
        OutcomeKind::JobOffer { employer, offered_on, accepted } => Kind::JobOffer(v1::JobOffer {
            employer: show_employer(employer),
            offered_on: offered_on.to_string(),
            accepted: *accepted,
        }),
        OutcomeKind::JobStart(s) => Kind::JobStart(v1::JobStart {
            employer: show_employer(&s.employer),
            started_on: s.started_on.to_string(),
            four_paid_hours_on: s.four_paid_hours_on.map(|d| d.to_string()),
            competitive: s.competitive,
            fixed_term: s.fixed_term_ends_on.is_some(),
            fixed_term_ends_on: s.fixed_term_ends_on.map(|d| d.to_string()),
            weekly_minutes: s.weekly_minutes,
            self_employed: s.self_employed,
            variable_hours: s.variable_hours,
        }),
        OutcomeKind::JobRetained { employer, retained_on, weekly_minutes } => Kind::JobRetained(v1::JobRetained {
            employer: show_employer(employer),
            retained_on: retained_on.to_string(),
            weekly_minutes: *weekly_minutes,
        }),
        OutcomeKind::StillInWork { job_id, on, confirmed_by } => Kind::StillInWork(v1::StillInWork {
            job_id: job_id.to_string(),
            on: on.to_string(),
            confirmed_by: confirmed_by.wire(),
        }),
        OutcomeKind::JobEnd { job_id, ended_on, reason, share_in_record } => Kind::JobEnd(v1::JobEnd {
            job_id: job_id.to_string(),
            ended_on: ended_on.to_string(),
            reason: reason.wire(),
            share_in_record: *share_in_record,
        }),
        OutcomeKind::HoursChanged { job_id, from, weekly_minutes } => Kind::HoursChanged(v1::HoursChanged {
            job_id: job_id.to_string(),
            from: from.to_string(),
            weekly_minutes: *weekly_minutes,
        }),
        OutcomeKind::WorkPlacement { host, started_on, ended_on } => Kind::WorkPlacement(v1::WorkPlacement {
            host: show_employer(host),
            started_on: started_on.to_string(),
            ended_on: ended_on.map(|d| d.to_string()),
        }),
        OutcomeKind::VoluntaryWork { host, started_on } => {
            Kind::VoluntaryWork(v1::VoluntaryWork { host: show_employer(host), started_on: started_on.to_string() })
        }
        OutcomeKind::Education { course, started_on } => {
            Kind::Education(v1::Education { course: course.0.clone(), started_on: started_on.to_string() })
        }
        OutcomeKind::StatusRecorded { status, recorded_on, weekly_minutes } => {
            Kind::StatusRecorded(v1::StatusRecorded {
                status: status.wire(),
                recorded_on: recorded_on.to_string(),
                weekly_minutes: *weekly_minutes,
            })
        }
    }
}
