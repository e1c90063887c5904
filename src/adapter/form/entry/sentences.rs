//! An outcome as text that can be read in the record on its own.

use super::words::{band, confirmed_by, day, decline_reason, employment, end_reason};
use crate::domain::outcome::{Employer, JobStart, OutcomeContent, OutcomeKind, hours_band};
use crate::domain::referral::Referral;
use jiff::civil::Date;

/// The outcome in sentences, one a line, then the remark as it was written. Employer, post and leaving reason only where the client
/// agreed. `job` is the start of the job that it speaks of, where there is one.
pub fn sentences(content: &OutcomeContent, job: Option<&OutcomeContent>) -> String {
    let mut lines = of_kind(&content.kind, job.map(|j| &j.kind));
    if let Some(remark) = &content.remark {
        lines.push(format!("Remark: {}", remark.0));
    }
    lines.join("\n")
}

fn of_kind(kind: &OutcomeKind, job: Option<&OutcomeKind>) -> Vec<String> {
    match kind {
        OutcomeKind::JobOffer { employer: e, offered_on, accepted } => {
            let answer = match accepted {
                Some(true) => "The client accepted it.",
                Some(false) => "The client did not accept it.",
                None => "The client has not answered yet.",
            };
            let offered = format!("A job was offered on {}. {answer}", day(*offered_on));
            vec![offered, employer(e, "Employer"), "An offer is not a job start.".to_owned()]
        }
        OutcomeKind::JobStart(start) => of_start(start),
        OutcomeKind::JobRetained { employer: e, retained_on, weekly_minutes } => vec![
            format!("The client keeps the job they had when referred; this was clear on {}.", day(*retained_on)),
            employer(e, "Employer"),
            hours(*weekly_minutes, false),
        ],
        OutcomeKind::StillInWork { on, confirmed_by: who, .. } => {
            let mut line = format!("Still in work on {}, confirmed by {}", day(*on), confirmed_by(*who));
            if let Some(OutcomeKind::JobStart(start)) = job {
                line.push_str(&weeks_after(start.started_on, *on));
            }
            let mut lines = vec![line + "."];
            lines.extend(job.and_then(which_job));
            lines
        }
        OutcomeKind::JobEnd { ended_on, reason, share_in_record, .. } => {
            let mut lines = vec![format!("A job ended on {}.", day(*ended_on))];
            lines.extend(job.and_then(which_job));
            lines.push(if *share_in_record {
                format!("Reason: {}.", end_reason(*reason))
            } else {
                "Reason: not shared in the record.".to_owned()
            });
            lines
        }
        OutcomeKind::HoursChanged { from, weekly_minutes, .. } => {
            let mut lines = vec![format!("The hours of a job changed from {}.", day(*from))];
            lines.extend(job.and_then(which_job));
            lines.push(hours(*weekly_minutes, false));
            lines
        }
        OutcomeKind::WorkPlacement { host, started_on, ended_on } => {
            let until = ended_on.map(|d| format!(" and ended on {}", day(d))).unwrap_or_default();
            vec![
                format!("A work placement began on {}{until}.", day(*started_on)),
                employer(host, "Host"),
                "A placement is not a job start.".to_owned(),
            ]
        }
        OutcomeKind::VoluntaryWork { host, started_on } => vec![
            format!("Unpaid voluntary work began on {}.", day(*started_on)),
            employer(host, "Host"),
            "Voluntary work is not a job start.".to_owned(),
        ],
        OutcomeKind::Education { course, started_on } => {
            vec![format!("Education or training began on {}: {}", day(*started_on), course.0)]
        }
        OutcomeKind::StatusRecorded { status, recorded_on, weekly_minutes } => {
            let mut lines = vec![format!("Employment status on {}: {}.", day(*recorded_on), employment(*status))];
            lines.extend(weekly_minutes.map(|m| hours(m, false)));
            lines
        }
    }
}

fn of_start(start: &JobStart) -> Vec<String> {
    let mut lines = vec![
        format!("Paid work began on {}.", day(start.started_on)),
        match start.four_paid_hours_on {
            Some(on) => format!("Four paid hours had been worked by {}: it counts as a job start from then.", day(on)),
            None => {
                "Four paid hours have not been worked yet: it does not count as a job start until they have.".to_owned()
            }
        },
        employer(&start.employer, "Employer"),
        (if start.competitive {
            "Competitive employment: open to anyone, at least the minimum wage."
        } else {
            "Not competitive employment."
        })
        .to_owned(),
        match start.fixed_term_ends_on {
            Some(on) => format!("Fixed term, ends on {}.", day(on)),
            None => "Not fixed term.".to_owned(),
        },
        hours(start.weekly_minutes, start.variable_hours),
    ];
    if start.self_employed {
        lines.push("Self-employed.".to_owned());
    }
    lines
}

fn employer(e: &Employer, word: &str) -> String {
    if e.share_in_record {
        format!("{word}: {}. Post: {}.", e.name.0, e.post.0)
    } else {
        format!("{word} and post: not shared in the record.")
    }
}

/// Names the job by what may be told of it.
fn which_job(job: &OutcomeKind) -> Option<String> {
    let (e, since) = match job {
        OutcomeKind::JobStart(start) => (&start.employer, format!("began on {}", day(start.started_on))),
        OutcomeKind::JobRetained { employer, .. } => (employer, "the client had when referred".to_owned()),
        _ => return None,
    };
    let told = if e.share_in_record { format!(" Employer: {}. Post: {}.", e.name.0, e.post.0) } else { String::new() };
    Some(format!("It is the job that {since}.{told}"))
}

/// Whole weeks, as the 13 and 26 week marks are counted.
fn weeks_after(start: Date, on: Date) -> String {
    let weeks = (on - start).get_days() / 7;
    match weeks {
        ..1 => String::new(),
        1 => ", a full week after it began".to_owned(),
        n => format!(", {n} full weeks after it began"),
    }
}

fn hours(weekly_minutes: i32, variable: bool) -> String {
    let Some(band) = band(hours_band(weekly_minutes)) else {
        return "Hours a week: none agreed, or not known.".to_owned();
    };
    let exact = match (weekly_minutes / 60, weekly_minutes % 60) {
        (h, 0) => format!("{h} h"),
        (h, m) => format!("{h} h {m} min"),
    };
    let usual = if variable { "usually, they vary; " } else { "" };
    format!("Hours a week: {exact} ({usual}band: {band}).")
}

/// The answer to a referral, for the referrer.
pub(super) fn of_reply(referral: &Referral) -> String {
    if referral.accepted_at.is_some() {
        return "The referral to employment support (Individual Placement and Support) is accepted.".to_owned();
    }
    let mut text = "The referral to employment support (Individual Placement and Support) is declined".to_owned();
    text.push_str(
        &referral.decline_reason.map(|r| format!(": {}.", decline_reason(r))).unwrap_or_else(|| ".".to_owned()),
    );
    if let Some(why) = &referral.decline_text {
        text.push('\n');
        text.push_str(&why.0);
    }
    text
}
