//! Repetitions that say from when and until when they hold. Those that do not hold when the message was made are not looked at, as if they had not been sent.

use super::super::hl7::{Message, Path, Repeat};
use super::time::{instant, is_never, latest};
use super::{Around, Part};
use jiff::Timestamp;
use std::borrow::Cow;

/// `valid."PID-11" = { from = ["12.1", "13"], until = ["12.2", "14"] }`
#[derive(Debug, Clone)]
pub(super) struct Valid {
    pub repetitions: Path,
    pub from: Vec<Part>,
    pub until: Vec<Part>,
}

impl Valid {
    /// Where nobody knows when the message was made, or an end cannot be read, what has an end counts as ended.
    fn is_over(&self, repeat: Repeat<'_>, at: Option<Timestamp>, around: &Around<'_>) -> bool {
        let said = |parts: &[Part]| -> Vec<String> {
            let all = parts.iter().filter_map(|part| Some(part.read(&repeat).value()?.trim().to_owned()));
            all.filter(|text| !text.is_empty()).collect()
        };
        let until = said(&self.until);
        let Some(at) = at else { return until.iter().any(|text| !is_never(text)) };
        let has_ended = |text: &String| !is_never(text) && latest(text, around).map_or(true, |end| end < at);
        until.iter().any(has_ended)
            || said(&self.from).iter().any(|text| instant(text, around).is_ok_and(|start| start > at))
    }
}

/// The message without what does not hold.
pub(super) fn only<'m>(message: &'m Message, rules: &[Valid], around: &Around<'_>) -> Cow<'m, Message> {
    let made = message.msh().field(7).repeats().next().and_then(|r| Part(1, None).read(&r).into_value());
    let at = made.and_then(|text| instant(text.trim(), around).ok());
    let over = rules.iter().flat_map(|rule| {
        rule.repetitions.repeats(message.segments()).filter(move |repeat| rule.is_over(*repeat, at, around))
    });
    let over: Vec<Repeat<'_>> = over.collect();
    if over.is_empty() { Cow::Borrowed(message) } else { Cow::Owned(message.without(&over)) }
}
