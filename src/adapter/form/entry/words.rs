//! Codes and times in words, as a clinician reads them.

use crate::domain::note::{
    Attendance, ContactMechanism, ContactMode, DisclosureChoice, EmployerApproachConsent, EmployerContactPurpose,
    ProfileStage,
};
use crate::domain::outcome::{ConfirmedBy, HoursBand, JobEndReason};
use crate::domain::referral::{DeclineReason, EmploymentStatus};
use jiff::{Timestamp, civil::Date, tz::TimeZone};

/// "3 March 2026, 14:05 GMT": with the zone, because in October one hour comes twice.
pub fn moment(at: Timestamp, tz: &TimeZone) -> String {
    at.to_zoned(tz.clone()).strftime("%-d %B %Y, %H:%M %Z").to_string()
}

/// "3 March 2026".
pub fn day(day: Date) -> String {
    day.strftime("%-d %B %Y").to_string()
}

pub fn yes_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

pub fn mechanism(m: ContactMechanism) -> &'static str {
    match m {
        ContactMechanism::FaceToFace => "face to face",
        ContactMechanism::Telephone => "telephone",
        ContactMechanism::TalkType => "talk type",
        ContactMechanism::Email => "e-mail",
        ContactMechanism::TextMessage => "text message",
        ContactMechanism::InstantMessage => "instant message",
        ContactMechanism::Video => "video",
        ContactMechanism::MessageBoard => "message board",
        ContactMechanism::ChatRoom => "chat room",
        ContactMechanism::Other => "other means",
    }
}

pub fn attendance(a: Attendance) -> &'static str {
    match a {
        Attendance::AttendedOnTime => "attended",
        Attendance::AttendedLate => "attended late",
        Attendance::ArrivedTooLate => "arrived too late to be seen",
        Attendance::CancelledByClient => "cancelled by the client",
        Attendance::DidNotAttend => "did not attend, no warning",
        Attendance::CancelledByService => "cancelled by the service",
    }
}

pub fn mode(m: ContactMode) -> &'static str {
    match m {
        ContactMode::Individual => "individual",
        ContactMode::Couple => "couple",
        ContactMode::Group => "group",
    }
}

pub fn stage(s: ProfileStage) -> &'static str {
    match s {
        ProfileStage::Started => "started",
        ProfileStage::Updated => "updated",
        ProfileStage::Completed => "completed",
    }
}

pub fn choice(c: DisclosureChoice) -> &'static str {
    match c {
        DisclosureChoice::None => "nothing",
        DisclosureChoice::Some => "some of it",
        DisclosureChoice::Full => "all of it",
        DisclosureChoice::Undecided => "not decided",
    }
}

pub fn approach(c: EmployerApproachConsent) -> &'static str {
    match c {
        EmployerApproachConsent::Given => "consent given",
        EmployerApproachConsent::Refused => "consent refused",
        EmployerApproachConsent::Withdrawn => "consent withdrawn",
        EmployerApproachConsent::NotDiscussed => "not discussed",
    }
}

pub fn purpose(p: EmployerContactPurpose) -> &'static str {
    match p {
        EmployerContactPurpose::JobDevelopment => "job development",
        EmployerContactPurpose::Interview => "interview",
        EmployerContactPurpose::WorkingInterview => "working interview",
        EmployerContactPurpose::OnBoarding => "on-boarding",
        EmployerContactPurpose::InWork => "support at work",
        EmployerContactPurpose::Retention => "keeping the job",
    }
}

pub fn confirmed_by(c: ConfirmedBy) -> &'static str {
    match c {
        ConfirmedBy::Client => "the client",
        ConfirmedBy::Employer => "the employer",
        ConfirmedBy::PaySlip => "a pay slip",
        ConfirmedBy::Clinician => "a clinician",
    }
}

pub fn end_reason(r: JobEndReason) -> &'static str {
    match r {
        JobEndReason::Resigned => "resigned",
        JobEndReason::Dismissed => "dismissed",
        JobEndReason::Redundant => "made redundant",
        JobEndReason::ContractEnded => "the contract ended",
        JobEndReason::Health => "health",
        JobEndReason::MovedToBetterJob => "moved to a better job",
        JobEndReason::Other => "other",
        JobEndReason::NotKnown => "not known",
    }
}

pub fn band(b: HoursBand) -> Option<&'static str> {
    match b {
        HoursBand::ThirtyOrMore => Some("30 hours or more"),
        HoursBand::From16To29 => Some("16 to 29 hours"),
        HoursBand::From5To15 => Some("5 to 15 hours"),
        HoursBand::From1To4 => Some("1 to 4 hours"),
        HoursBand::NotApplicable | HoursBand::NotKnown => None,
    }
}

pub fn employment(s: EmploymentStatus) -> &'static str {
    match s {
        EmploymentStatus::Employed => "employed",
        EmploymentStatus::SeekingWork => "unemployed and seeking work",
        EmploymentStatus::Student => "student, not working and not seeking work",
        EmploymentStatus::LongTermSick => "long-term sick or disabled, receiving benefits for it",
        EmploymentStatus::LookingAfterHome => "looking after family or home, not working and not seeking work",
        EmploymentStatus::NotSeeking => "not receiving sickness benefits, not working and not seeking work",
        EmploymentStatus::VoluntaryWork => "unpaid voluntary work, not seeking work",
        EmploymentStatus::Retired => "retired",
        EmploymentStatus::NotStated => "not stated: asked, declined to say",
    }
}

pub fn decline_reason(r: DeclineReason) -> &'static str {
    match r {
        DeclineReason::Duplicate => "duplicate referral",
        DeclineReason::Inappropriate => "inappropriate referral",
        DeclineReason::Incomplete => "incomplete referral",
    }
}
