//! What a rendered message must hold before it is sent: the wire, the standard's order, required fields, lengths and tables,
//! and NHS numbers that can be right. Used by `adapter check` and before every send.

mod dates;
mod order;
mod tables;

pub use tables::Version;

use super::charset::Charset;
use super::envelope::Envelope;
use super::escape::unescape;
use super::message::{Message, Segment};
use crate::domain::nhs_number::NhsNumber;
use order::Disorder;
use std::borrow::Cow;

/// What is wrong with a message, and where. Names segments and fields, never values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}; {hint}")]
pub struct Fault {
    pub place: Place,
    pub what: Cow<'static, str>,
    pub hint: &'static str,
}

/// `TXA-12 (segment 5)`. A segment's number is its line; 0 when it concerns the whole message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub segment: String,
    pub number: usize,
    pub field: Option<usize>,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.number, self.field) {
            (0, _) => f.write_str("message"),
            (number, None) => write!(f, "{} (segment {number})", self.segment),
            (number, Some(field)) => write!(f, "{}-{field} (segment {number})", self.segment),
        }
    }
}

/// What one receiver takes less of than the standard allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Longest OBX-5, in characters.
    pub obx_5_chars_max: Option<usize>,
    /// Longest message, in bytes.
    pub message_bytes_max: Option<usize>,
}

/// A message that is about to be sent, or its every fault; none means it may go. `charset` is the endpoint's: the bytes must be
/// text in it or in what MSH-18 declares.
pub fn check(bytes: &[u8], charset: Charset, limits: Limits) -> Result<Message, Vec<Fault>> {
    let mut faults = wire(bytes, limits);
    let message = match Message::read_back(bytes, charset) {
        Ok(message) => message,
        Err(e) => {
            let what = format!("cannot be read back (byte {}: {})", e.byte, e.what);
            faults.push(Fault { place: whole(), what: what.into(), hint: e.hint });
            return Err(faults);
        }
    };
    if !message.set_aside().is_empty() {
        faults.push(fault(whole(), "a line is no segment", "a template or a value breaks a line"));
    }
    if message.notes().charset_unknown {
        faults.push(fault(
            at(message.msh(), 18),
            "is no character set we know",
            "use a name of table 0211, such as UNICODE UTF-8",
        ));
    }
    if message.notes().control_characters {
        faults.push(fault(whole(), "a control character", "values must go through the engine's escaping"));
    }
    if let Some(envelope) = Envelope::peek(bytes) {
        by_the_standard(&message, &envelope, limits, &mut faults);
    }
    if faults.is_empty() { Ok(message) } else { Err(faults) }
}

fn by_the_standard(message: &Message, envelope: &Envelope, limits: Limits, faults: &mut Vec<Fault>) {
    match Version::parse(&envelope.version()) {
        Some(version) => {
            order_of(message, envelope, version, faults);
            for segment in message.segments() {
                fields_of(segment, version, limits, faults);
            }
            document_of(message, envelope, faults);
        }
        None => faults.push(fault(at(message.msh(), 12), "is a version without rules here", "2.4 and 2.5.1 have them")),
    }
    dates::of_message(message, faults);
    for segment in message.segments() {
        escapes_of(segment, faults);
        nhs_numbers_of(segment, faults);
    }
}

/// Every NHS number of PID-3, as sent: `adapter check` holds them against the test range.
pub fn nhs_numbers(message: &Message) -> Vec<String> {
    message.segments_named("PID").flat_map(raw_nhs_numbers).collect()
}

fn whole() -> Place {
    Place { segment: String::new(), number: 0, field: None }
}

fn at(segment: Segment<'_>, field: usize) -> Place {
    Place { segment: segment.id().to_owned(), number: segment.line(), field: Some(field) }
}

fn fault(place: Place, what: impl Into<Cow<'static, str>>, hint: &'static str) -> Fault {
    Fault { place, what: what.into(), hint }
}

/// What receivers trip over before they parse.
fn wire(bytes: &[u8], limits: Limits) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut wrong = |what: String, hint| faults.push(fault(whole(), what, hint));
    if bytes.contains(&b'\n') {
        wrong("a line feed".into(), "segments end in CR only, and line ends in text are escaped or parted");
    }
    if !bytes.starts_with(b"MSH") {
        wrong("something stands before MSH".into(), "a template must begin with MSH");
    }
    if !bytes.ends_with(b"\r") {
        wrong("the last segment has no CR".into(), "every segment ends in CR");
    }
    if memchr::memmem::find(bytes, b"\r\r").is_some() {
        wrong("an empty line".into(), "a template prints a line without a segment");
    }
    if !bytes.starts_with(b"MSH|^~\\&|") {
        wrong("MSH-1 and MSH-2 are not | and ^~\\&".into(), "receivers expect the standard delimiters");
    }
    if let Some(max) = limits.message_bytes_max.filter(|max| bytes.len() > *max) {
        wrong(format!("longer than the {max} bytes the endpoint takes"), "shorten the text or park it");
    }
    faults
}

fn order_of(message: &Message, envelope: &Envelope, version: Version, faults: &mut Vec<Fault>) {
    let msh_9 = at(message.msh(), 9);
    let Some(structure) = tables::structure_of(&envelope.message_code(), &envelope.trigger()) else {
        return faults.push(fault(
            msh_9,
            "is a message type without rules here",
            "MDM, ORU, REF, RRI and ACK have them",
        ));
    };
    let declared = envelope.structure();
    if !declared.is_empty() && declared != structure {
        faults.push(fault(msh_9, format!("names another structure than {structure}"), "MSH-9.3 must fit MSH-9.2"));
    }
    let Some(grammar) = tables::grammar(structure, version) else {
        return;
    };
    let ids: Vec<&str> = message.segments().map(|segment| segment.id()).collect();
    let line = |index: usize| message.segments().nth(index).map_or(ids.len(), |segment| segment.line());
    match order::check(&grammar, &ids) {
        Ok(()) => {}
        Err(Disorder::Missing { at, wanted }) => {
            let what = format!("is missing here, as {structure} wants it");
            let place = Place { segment: wanted, number: line(at), field: None };
            faults.push(fault(place, what, "add the segment, or put it in its place"));
        }
        Err(Disorder::Misplaced { at }) => {
            let what = format!("has no place here in {structure}");
            let place = Place { segment: ids[at].to_owned(), number: line(at), field: None };
            faults.push(fault(place, what, "take it out, or put it in its place"));
        }
    }
}

fn fields_of(segment: Segment<'_>, version: Version, limits: Limits, faults: &mut Vec<Fault>) {
    let id = segment.id();
    for field in tables::required(id, version) {
        if matches!(segment.field(*field).raw().trim(), "" | "\"\"") {
            faults.push(fault(at(segment, *field), "is required and empty", "fill it in the template"));
        }
    }
    if id == "OBX"
        && version == Version::V2_5_1
        && !segment.field(5).raw().is_empty()
        && segment.field(2).raw().is_empty()
    {
        faults.push(fault(at(segment, 2), "is required where OBX-5 has a value", "say what type the value has"));
    }
    for number in tables::judged(id).iter().copied().filter(|number| *number <= segment.field_count()) {
        let standard = tables::longest(id, number, version);
        // The endpoint's limit is for texts: a document's piece has a setting of its own.
        let of_text = (id, number) == ("OBX", 5) && segment.field(2).raw() != "ED";
        let max = match limits.obx_5_chars_max.filter(|_| of_text) {
            Some(own) => Some(own.min(standard.unwrap_or(own))),
            None => standard,
        };
        let mut repeats = segment.field(number).repeats();
        if let Some(max) = max.filter(|max| repeats.any(|repeat| repeat.raw().chars().count() > *max)) {
            faults.push(fault(
                at(segment, number),
                format!("is longer than {max} characters"),
                "shorten, split or park it; it is never cut",
            ));
        }
        let value = segment.field(number).repeats().next().map_or("", |repeat| repeat.component(1).raw());
        if tables::values(id, number).is_some_and(|values| !value.is_empty() && !values.contains(&value)) {
            faults.push(fault(
                at(segment, number),
                "is not a value of its HL7 table",
                "see the standard's table for the field",
            ));
        }
    }
}

/// What the document events ask beyond the fields of each segment.
fn document_of(message: &Message, envelope: &Envelope, faults: &mut Vec<Fault>) {
    let trigger = envelope.trigger();
    if envelope.message_code() == "MDM" && tables::PARENT_DOCUMENT.contains(&&*trigger) {
        for txa in message.segments_named("TXA").filter(|txa| txa.field(13).raw().is_empty()) {
            faults.push(fault(at(txa, 13), "is required and empty", "the document that is replaced or added to"));
        }
    }
    for evn in message.segments_named("EVN") {
        let raw = evn.field(1).raw();
        if !raw.is_empty() && raw != trigger {
            faults.push(fault(at(evn, 1), "is another event than MSH-9.2", "leave it empty or repeat MSH-9.2"));
        }
    }
}

/// A template that prints a backslash of its own makes an escape nobody can read.
fn escapes_of(segment: Segment<'_>, faults: &mut Vec<Fault>) {
    let message = segment.message();
    let from = if segment.index() == 0 { 3 } else { 1 };
    for number in from..=segment.field_count() {
        if unescape(segment.field(number).raw(), &message.delimiters(), message.charset()).kept_literally {
            faults.push(fault(
                at(segment, number),
                "holds an escape that is not HL7's",
                "values must go through the engine's escaping",
            ));
        }
    }
}

/// The NHS numbers of a PID: repetitions of PID-3 whose type (component 5) is NH, or whose authority (4) is NHS or NH.
fn raw_nhs_numbers(pid: Segment<'_>) -> impl Iterator<Item = String> {
    pid.field(3).repeats().filter_map(|id| {
        let says = |component: usize, values: &[&str]| {
            let reading = id.component(component).subcomponent(1);
            values.contains(&reading.value().unwrap_or_default().trim())
        };
        (says(5, &["NH"]) || says(4, &["NHS", "NH"])).then(|| id.component(1).raw().to_owned())
    })
}

fn nhs_numbers_of(segment: Segment<'_>, faults: &mut Vec<Fault>) {
    if segment.id() != "PID" {
        return;
    }
    for raw in raw_nhs_numbers(segment) {
        // The domain forgives spaces when it reads; the wire has ten digits.
        if raw.contains([' ', '-']) || NhsNumber::parse(&raw).is_err() {
            faults.push(fault(
                at(segment, 3),
                "holds an NHS number that cannot be right",
                "ten digits, the last a modulus 11 check digit",
            ));
        }
    }
}

#[cfg(test)]
mod tests;
