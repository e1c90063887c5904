//! Our enums and times in the words of the command line.

use crate::wire::Timestamp;
use crate::wire::v1::{
    DeliveryState, EndpointGate, EntryAction, EntryKind, EvidenceKind, InboundState, ParkReason, VerdictKind,
    WaitingFor,
};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use jiff::civil::Date;
use std::sync::LazyLock;

/// An enum of ours whose names can be written on a command line.
pub trait Word: TryFrom<i32> + Clone + Send + Sync + 'static {
    const PREFIX: &'static str;

    fn full(&self) -> &'static str;

    /// `DELIVERY_STATE_BACKING_OFF` is `BACKING_OFF`, as design, logs and API say it.
    fn word(&self) -> &'static str {
        let full = self.full();
        full.strip_prefix(Self::PREFIX).unwrap_or(full)
    }
}

macro_rules! word {
    ($($name:ident $prefix:literal)+) => {$(
        impl Word for $name {
            const PREFIX: &'static str = $prefix;
            fn full(&self) -> &'static str {
                self.as_str_name()
            }
        }
    )+};
}

word! {
    DeliveryState "DELIVERY_STATE_"
    ParkReason "PARK_REASON_"
    WaitingFor "WAITING_FOR_"
    EntryKind "ENTRY_KIND_"
    EntryAction "ENTRY_ACTION_"
    EndpointGate "ENDPOINT_GATE_"
    VerdictKind "VERDICT_KIND_"
    EvidenceKind "EVIDENCE_KIND_"
    InboundState "INBOUND_STATE_"
}

/// The word for a number on the wire; a number this version does not know is shown as it is.
pub fn word<W: Word>(number: i32) -> String {
    W::try_from(number).map_or_else(|_| number.to_string(), |w| w.word().to_owned())
}

/// The same in small letters with blanks, for sentences; empty when unspecified.
pub fn said<W: Word>(number: i32) -> String {
    if number == 0 { String::new() } else { word::<W>(number).to_lowercase().replace('_', " ") }
}

/// No enum of ours has more values.
const VALUES_MAX: i32 = 64;

fn values<W: Word>() -> impl Iterator<Item = W> {
    (1..VALUES_MAX).filter_map(|n| W::try_from(n).ok())
}

/// As it is written on a command line: `backing-off`.
fn written<W: Word>(w: &W) -> String {
    w.word().to_lowercase().replace('_', "-")
}

/// As it is written, and as it is shown.
fn words<W: Word>() -> Vec<[String; 2]> {
    values::<W>().map(|w| [written(&w), w.word().to_owned()]).collect()
}

fn parser<W: Word>(words: &'static [[String; 2]]) -> impl TypedValueParser<Value = W> {
    // What the bridge prints is taken as it stands there, too.
    let value = |[written, shown]: &'static [String; 2]| PossibleValue::new(written.as_str()).alias(shown.as_str());
    PossibleValuesParser::new(words.iter().map(value))
        .map(|text: String| text.to_lowercase().replace('_', "-"))
        .try_map(|text: String| values::<W>().find(|w| written(w) == text).ok_or("no such word"))
}

pub fn states() -> impl TypedValueParser<Value = DeliveryState> {
    static WORDS: LazyLock<Vec<[String; 2]>> = LazyLock::new(words::<DeliveryState>);
    parser(&WORDS)
}

pub fn park_reasons() -> impl TypedValueParser<Value = ParkReason> {
    static WORDS: LazyLock<Vec<[String; 2]>> = LazyLock::new(words::<ParkReason>);
    parser(&WORDS)
}

/// Of whom something can wait.
pub fn waiting_for() -> impl TypedValueParser<Value = WaitingFor> {
    static WORDS: LazyLock<Vec<[String; 2]>> =
        LazyLock::new(|| words::<WaitingFor>().into_iter().filter(|[written, _]| written != "nobody").collect());
    parser(&WORDS)
}

pub fn inbound_states() -> impl TypedValueParser<Value = InboundState> {
    static WORDS: LazyLock<Vec<[String; 2]>> = LazyLock::new(words::<InboundState>);
    parser(&WORDS)
}

/// The instant, where there is one that a calendar has.
pub fn instant(at: Option<&Timestamp>) -> Option<jiff::Timestamp> {
    at.and_then(|t| jiff::Timestamp::try_from(t).ok())
}

/// An instant on the command line, or a day for its midnight in UTC.
pub fn moment(text: &str) -> Result<jiff::Timestamp, String> {
    let day = || text.parse::<Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|z| z.timestamp());
    text.parse().ok().or_else(day).ok_or_else(|| "write 2026-03-01 or 2026-03-01T09:00:00Z".into())
}

/// In UTC to the second: an operator's machine says nothing about a trust's zone.
pub fn time(at: Option<&Timestamp>) -> String {
    instant(at).map_or_else(|| "-".into(), |t| t.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
}

/// The same to the millisecond.
pub fn exact_time(at: Option<&Timestamp>) -> String {
    instant(at).map_or_else(|| "-".into(), |t| t.strftime("%Y-%m-%d %H:%M:%S%.3fZ").to_string())
}

/// How long ago, in its two largest units: `2h 5m`.
pub fn age(at: Option<&Timestamp>, now: jiff::Timestamp) -> String {
    instant(at).map_or_else(|| "-".into(), |t| span(now.duration_since(t).as_secs()))
}

/// Seconds in the two largest units.
pub fn span(seconds: i64) -> String {
    let s = seconds.max(0);
    match s {
        0..60 => format!("{s}s"),
        60..3600 => format!("{}m {}s", s / 60, s % 60),
        3600..86_400 => format!("{}h {}m", s / 3600, s % 3600 / 60),
        _ => format!("{}d {}h", s / 86_400, s % 86_400 / 3600),
    }
}

/// `1 delivery`, `2 deliveries`.
pub fn deliveries(count: impl TryInto<i32>) -> String {
    let count = crate::wire::count(count);
    if count == 1 { "1 delivery".into() } else { format!("{count} deliveries") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back_from_what_is_written() {
        let command = clap::Command::new("x").arg(clap::Arg::new("s").value_parser(states()));
        let read =
            |text: &str| command.clone().try_get_matches_from(["x", text]).ok()?.get_one::<DeliveryState>("s").copied();
        assert_eq!(read("backing-off"), Some(DeliveryState::BackingOff));
        assert_eq!(read("BACKING_OFF"), Some(DeliveryState::BackingOff), "as it is shown");
        assert_eq!(read("unspecified"), None);
        assert_eq!(word::<ParkReason>(ParkReason::TextTooLong.into()), "TEXT_TOO_LONG");
        assert_eq!(word::<ParkReason>(63), "63");
    }

    #[test]
    fn a_day_is_its_midnight_in_utc() {
        assert_eq!(moment("2026-03-01"), "2026-03-01T00:00:00Z".parse().map_err(|_| String::new()));
        assert_eq!(moment("2026-03-01T09:00:00Z").map(|t| t.to_string()), Ok("2026-03-01T09:00:00Z".into()));
        // As tables show it.
        assert_eq!(moment("2026-03-01 09:00:00Z").map(|t| t.to_string()), Ok("2026-03-01T09:00:00Z".into()));
        assert!(moment("March").is_err());
    }

    #[test]
    fn every_value_can_be_written() {
        assert!(ParkReason::try_from(VALUES_MAX).is_err());
        assert_eq!(values::<DeliveryState>().count(), 7);
    }

    #[test]
    fn ages_are_said_in_two_units() {
        assert_eq!([5, 65, 7500, 190_000].map(span), ["5s", "1m 5s", "2h 5m", "2d 4h"]);
        assert_eq!(span(-5), "0s");
    }
}
