//! What a commit is news of beyond its rows: alarms, and gates that close or open. Told once it is on disk, and once, however often its batch was decided anew.

use crate::domain::delivery::ParkReason;
use crate::domain::ids::DeliveryId;
use crate::domain::organisation::EndpointId;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Something that a person has to look at in the record itself, now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alarm {
    /// It stands in the record of somebody else.
    Misfiled,
    /// What a withdrawal takes back may be read in the record as long as it waits.
    WithdrawalWaits(ParkReason),
    /// The record names no document that a withdrawal could take back.
    WithdrawalCannotName,
    /// Given up as never received, and it was received.
    GivenUpAndThere,
    /// It reached the record after a newer version had gone without it.
    StandsBeside,
    /// It was withdrawn as never received, and the record has it.
    StandsAlone,
}

/// Every [`Alarm::word`] there is.
pub const ALARMS: &[&str] = &[
    "misfiled",
    "withdrawal_waits",
    "withdrawal_cannot_name_document",
    "given_up_and_there",
    "stands_beside",
    "stands_alone",
];

impl Alarm {
    /// For a metric's label.
    pub fn word(self) -> &'static str {
        match self {
            Self::Misfiled => "misfiled",
            Self::WithdrawalWaits(_) => "withdrawal_waits",
            Self::WithdrawalCannotName => "withdrawal_cannot_name_document",
            Self::GivenUpAndThere => "given_up_and_there",
            Self::StandsBeside => "stands_beside",
            Self::StandsAlone => "stands_alone",
        }
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::Misfiled => "it stands in the record of somebody else; a person must have it taken out there now",
            Self::WithdrawalWaits(_) => {
                "a withdrawal waits for a person, and what it takes back may stand in the record; a person must look there now"
            }
            Self::WithdrawalCannotName => {
                "a withdrawal cannot name the document it takes back; a person must look in the record now"
            }
            Self::GivenUpAndThere => {
                "it was given up as never received, and its endpoint says now that it has it; a person must look in the record now"
            }
            Self::StandsBeside => {
                "it reached the record after a newer version had gone without it: both may stand there, and a person must look now"
            }
            Self::StandsAlone => {
                "it was withdrawn as never received, and the record has it: a person must have it taken out there now"
            }
        }
    }
}

/// One piece of it.
#[derive(Debug, Clone)]
pub enum News {
    Alarm { delivery: DeliveryId, endpoint: EndpointId, alarm: Alarm },
    GateClosed { endpoint: EndpointId, because: String },
    GateOpen { endpoint: EndpointId },
}

/// Alarms of this process, by endpoint and word.
#[derive(Debug, Default)]
pub struct Alarms(Mutex<BTreeMap<(EndpointId, &'static str), u64>>);

impl Alarms {
    pub fn counted(&self) -> Vec<(EndpointId, &'static str, u64)> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|((endpoint, word), n)| (endpoint.clone(), *word, *n)).collect()
    }

    /// Logs it, and counts an alarm.
    pub fn tell(&self, news: News) {
        match news {
            News::Alarm { delivery, endpoint, alarm } => {
                let reason = match alarm {
                    Alarm::WithdrawalWaits(why) => Some(why.code()),
                    _ => None,
                };
                tracing::warn!(%delivery, %endpoint, kind = alarm.word(), reason, "ALARM: {}", alarm.sentence());
                *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry((endpoint, alarm.word())).or_default() +=
                    1;
            }
            News::GateClosed { endpoint, because } => {
                tracing::warn!(%endpoint, %because, "the endpoint is closed; what is for it waits, and it is tried again by itself");
            }
            News::GateOpen { endpoint } => tracing::info!(%endpoint, "the endpoint is open again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alarm_is_counted_from_nothing_on() {
        let all = [
            Alarm::Misfiled,
            Alarm::WithdrawalWaits(ParkReason::Refused),
            Alarm::WithdrawalCannotName,
            Alarm::GivenUpAndThere,
            Alarm::StandsBeside,
            Alarm::StandsAlone,
        ];
        // A kind more, and this does not compile until it is in both lists.
        for alarm in all {
            match alarm {
                Alarm::Misfiled
                | Alarm::WithdrawalWaits(_)
                | Alarm::WithdrawalCannotName
                | Alarm::GivenUpAndThere
                | Alarm::StandsBeside
                | Alarm::StandsAlone => assert!(ALARMS.contains(&alarm.word()), "{}", alarm.word()),
            }
        }
        assert_eq!(ALARMS.len(), all.len());
    }
}
