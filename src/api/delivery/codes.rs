//! The delivery enums of the contract and the domain's. Both matches are exhaustive: a value added on one side does not compile until the other
//! has it.

use crate::adapter::form::codes::{Code, UnknownCode};
use crate::domain::delivery::{EvidenceKind, ParkReason, State, WaitingFor};
use crate::domain::entry::{EntryAction, EntryKind};
use crate::domain::verdict::Meaning;
use crate::store::record::Gate;
use crate::wire::v1;

macro_rules! twins {
    ($($ours:ident = $theirs:ident { $($both:ident),+ $(,)? })+) => {$(
        impl Code for $ours {
            fn from_wire(number: i32) -> Result<Option<Self>, UnknownCode> {
                Ok(match v1::$theirs::try_from(number).map_err(|_| UnknownCode)? {
                    v1::$theirs::Unspecified => None,
                    $(v1::$theirs::$both => Some(Self::$both),)+
                })
            }
            fn wire(self) -> i32 {
                i32::from(match self {
                    $(Self::$both => v1::$theirs::$both,)+
                })
            }
        }
    )+};
}

twins! {
    State = DeliveryState { Queued, Sending, BackingOff, Accepted, Filed, Parked, Cancelled }
    ParkReason = ParkReason {
        IdentityChanged, IdentityChangedAfterSend, EndpointChangedAfterSend, NhsNumberUnverified, ReferralClosed, TextNotCarriable, TextTooLong,
        NoMappedStaffId, PredecessorUnresolved, Refused, RetriesExhausted, OutcomeUnknown, MayAlreadyBeFiled, FilingContradicted, NotRenderable,
        ByPerson, WithdrawalCannotNameDocument, Deceased, Merged, LookupUnclear, Misfiled, EndpointRetired,
    }
    WaitingFor = WaitingFor { Nobody, Author, TeamLead, Integrator }
    EvidenceKind = EvidenceKind { TransportAck, ApplicationAck, ReadBack, VendorReport, Reconciled }
    EntryKind = EntryKind { Note, Outcome, ReferralReply }
    EntryAction = EntryAction { Create, Replace, Withdraw }
    Meaning = VerdictKind { Positive, Refused, Retry, Unknown, Misfiled }
    Gate = EndpointGate { Open, Probing, Closed }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both_ways<C: Code>(count: i32) {
        assert!(matches!(C::from_wire(0), Ok(None)));
        for number in 1..=count {
            assert_eq!(C::from_wire(number).expect("in the contract").expect("not unspecified").wire(), number);
        }
        assert!(C::from_wire(count + 1).is_err());
    }

    #[test]
    fn every_code_has_one_twin() {
        both_ways::<State>(7);
        both_ways::<ParkReason>(22);
        both_ways::<WaitingFor>(4);
        both_ways::<EvidenceKind>(5);
        both_ways::<EntryKind>(3);
        both_ways::<EntryAction>(3);
        both_ways::<Meaning>(5);
        both_ways::<Gate>(3);
    }

    /// The code in logs, timelines and SQL is the contract's, without its prefix.
    #[test]
    fn a_park_reason_is_spelt_as_in_the_contract() {
        for number in 1..=22 {
            let ours = ParkReason::from_wire(number).expect("known").expect("not unspecified");
            let theirs = v1::ParkReason::try_from(number).expect("known").as_str_name();
            assert_eq!(format!("PARK_REASON_{}", ours.code()), theirs);
        }
    }
}
