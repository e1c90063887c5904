//! The contract's enums and the domain's, number for number. Both matches are exhaustive: an enum value added on one side does not
//! compile until the other has it.

use super::View;
use super::change::ReferralChangeKind;
use crate::domain::change::ChangeKind;
use crate::domain::measure::{MeasureKind, MeasureSide};
use crate::domain::merge::MergeKind;
use crate::domain::note::{
    ActivityType, Attendance, ContactMechanism, ContactMode, DisclosureChoice, EmployerApproachConsent,
    EmployerContactPurpose, ProfileStage, WithdrawReason,
};
use crate::domain::outcome::{ConfirmedBy, HoursBand, JobEndReason};
use crate::domain::person::{Gender, NhsNumberStatus};
use crate::domain::referral::{CloseReason, DeclineReason, EmploymentStatus, ReferralPriority, ReferralState};
use crate::wire::v1;

/// A number that the enum does not have: the caller's contract is newer than ours, or it is a mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not one of the values this bridge knows; see the enum in the proto file")]
pub struct UnknownCode;

/// A domain enum that has a twin in the contract.
pub trait Code: Copy + Sized {
    /// `Ok(None)` for UNSPECIFIED.
    fn from_wire(number: i32) -> Result<Option<Self>, UnknownCode>;
    /// As it goes on the wire.
    fn wire(self) -> i32;
}

macro_rules! codes {
    ($($name:ident { $($ours:ident = $theirs:ident),+ $(,)? })+) => {$(
        impl Code for $name {
            fn from_wire(number: i32) -> Result<Option<Self>, UnknownCode> {
                Ok(match v1::$name::try_from(number).map_err(|_| UnknownCode)? {
                    v1::$name::Unspecified => None,
                    $(v1::$name::$theirs => Some(Self::$ours),)+
                })
            }
            fn wire(self) -> i32 {
                i32::from(match self {
                    $(Self::$ours => v1::$name::$theirs,)+
                })
            }
        }
    )+};
}

macro_rules! same_codes {
    ($($name:ident { $($both:ident),+ $(,)? })+) => {
        codes! { $($name { $($both = $both),+ })+ }
    };
}

same_codes! {
    NhsNumberStatus { Verified, NotTraced, TraceRequired, NoSingleMatch, Unresolved, InProgress, NotPresent }
    Gender { Male, Female, NotSpecified, NotKnown }
    ReferralState { Received, Accepted, Declined, Closed }
    ReferralPriority { Routine, Urgent, Emergency, VeryUrgent }
    CloseReason {
        AdmittedElsewhere, Completed, MovedAway, NoFurtherSupportAppropriate, DidNotAttend, Died, ClientRequest,
        ReferredOn, RefusedToBeSeen,
    }
    DeclineReason { Duplicate, Inappropriate, Incomplete }
    EmploymentStatus {
        Employed, SeekingWork, Student, LongTermSick, LookingAfterHome, NotSeeking, VoluntaryWork, Retired, NotStated,
    }
    ContactMechanism {
        FaceToFace, Telephone, TalkType, Email, TextMessage, InstantMessage, Video, MessageBoard, ChatRoom, Other,
    }
    Attendance {
        AttendedOnTime, AttendedLate, ArrivedTooLate, CancelledByClient, DidNotAttend, CancelledByService,
    }
    ContactMode { Individual, Couple, Group }
    ActivityType { DirectContact, OtherContact, ContactNotHeld, IndirectActivity }
    ProfileStage { Started, Updated, Completed }
    DisclosureChoice { None, Some, Full, Undecided }
    EmployerApproachConsent { Given, Refused, Withdrawn, NotDiscussed }
    EmployerContactPurpose { JobDevelopment, Interview, WorkingInterview, OnBoarding, InWork, Retention }
    WithdrawReason { WrongPatient, WrittenInError, Duplicate, ThirdPartyContent, Incorrect }
    ConfirmedBy { Client, Employer, PaySlip, Clinician }
    JobEndReason {
        Resigned, Dismissed, Redundant, ContractEnded, Health, MovedToBetterJob, Other, NotKnown,
    }
    MeasureKind {
        AccessedNhse, AccessedIpsGrow, FirstContactWithin7Days, FirstContact8To30Days, FirstContactAfter30Days,
        FirstEmployerContactWithin30Days, PeopleIntoWork, JobStarts, EmploymentRate, RetentionShare, ActiveIn4Weeks,
        ProfileStarted, Sustained13Weeks, Sustained26Weeks, Caseload, ReferralsReceived,
    }
    MeasureSide { Numerator, Denominator }
}

/// The kinds of what an EPR tells have longer names in the contract, where they stand alone.
macro_rules! codes_named {
    ($($name:ident = $wire:ident { $($both:ident),+ $(,)? })+) => {$(
        impl Code for $name {
            fn from_wire(number: i32) -> Result<Option<Self>, UnknownCode> {
                Ok(match v1::$wire::try_from(number).map_err(|_| UnknownCode)? {
                    v1::$wire::Unspecified => None,
                    $(v1::$wire::$both => Some(Self::$both),)+
                })
            }
            fn wire(self) -> i32 {
                i32::from(match self {
                    $(Self::$both => v1::$wire::$both,)+
                })
            }
        }
    )+};
}

codes_named! {
    ChangeKind = PatientChangeKind { Updated, Added, Removed }
    MergeKind = PatientMergeKind { Merge, ChangeIdentifier }
    ReferralChangeKind = ReferralChangeKind { Modified, Cancelled }
}

codes! {
    HoursBand {
        ThirtyOrMore = HoursBand30OrMore,
        From16To29 = HoursBand16To29,
        From5To15 = HoursBand5To15,
        From1To4 = HoursBand1To4,
        NotApplicable = NotApplicable,
        NotKnown = NotKnown,
    }
}

/// UNSPECIFIED is BASIC, as the contract says.
pub fn view(number: i32) -> Result<View, UnknownCode> {
    match v1::EntryView::try_from(number).map_err(|_| UnknownCode)? {
        v1::EntryView::Unspecified | v1::EntryView::Basic => Ok(View::Basic),
        v1::EntryView::Full => Ok(View::Full),
    }
}

/// UNSPECIFIED where there is none.
pub fn wire_or_unspecified<C: Code>(code: Option<C>) -> i32 {
    code.map_or(0, Code::wire)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both_ways<C: Code>(count: i32) {
        assert!(matches!(C::from_wire(0), Ok(None)));
        for number in 1..=count {
            let code = C::from_wire(number).expect("in the contract").expect("not unspecified");
            assert_eq!(code.wire(), number);
        }
        assert!(C::from_wire(count + 1).is_err());
        assert!(C::from_wire(-1).is_err());
    }

    #[test]
    fn every_code_of_the_contract_has_one_twin_and_no_other_number_passes() {
        both_ways::<NhsNumberStatus>(7);
        both_ways::<Gender>(4);
        both_ways::<ReferralState>(4);
        both_ways::<ReferralPriority>(4);
        both_ways::<CloseReason>(9);
        both_ways::<DeclineReason>(3);
        both_ways::<EmploymentStatus>(9);
        both_ways::<ContactMechanism>(10);
        both_ways::<Attendance>(6);
        both_ways::<ContactMode>(3);
        both_ways::<ActivityType>(4);
        both_ways::<ProfileStage>(3);
        both_ways::<DisclosureChoice>(4);
        both_ways::<EmployerApproachConsent>(4);
        both_ways::<EmployerContactPurpose>(6);
        both_ways::<WithdrawReason>(5);
        both_ways::<ConfirmedBy>(4);
        both_ways::<JobEndReason>(8);
        both_ways::<HoursBand>(6);
        both_ways::<MeasureKind>(16);
        both_ways::<MeasureSide>(2);
        both_ways::<ChangeKind>(3);
        both_ways::<MergeKind>(2);
        both_ways::<ReferralChangeKind>(2);
    }

    #[test]
    fn a_view_not_asked_for_is_basic() {
        assert_eq!(view(0), Ok(View::Basic));
        assert_eq!(view(2), Ok(View::Full));
        assert_eq!(view(3), Err(UnknownCode));
    }
}
