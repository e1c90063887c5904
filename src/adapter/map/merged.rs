//! What HL7 says an event does to a patient's record, and which of our messages can say so. A merge that is read as an update leaves both records
//! alive: the notes of one of them go to a record that nobody opens again.

use super::super::hl7::Message;
use super::FieldFault;

/// What makes an event another message than the one that a map makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::adapter) struct Outside {
    /// What the event does, in words.
    pub does: &'static str,
    /// Our message that says so, where one does.
    pub makes: Option<&'static str>,
}

/// Events of ADT (HL7 2.4 and 2.5.1, chapter 3) that are no word about one patient. `None`: the others.
pub(in crate::adapter) fn outside(message: &str) -> Option<Outside> {
    let (does, makes) = match message.strip_prefix("ADT^")? {
        "A18" | "A30" | "A34" | "A35" | "A36" | "A39" | "A40" | "A41" => ("merges two records", Some("PatientMerge")),
        "A47" => ("gives a record another identifier", Some("PatientMerge")),
        "A29" => ("takes a record out", Some("PatientChange")),
        "A24" => ("links two records", Some("PatientMerge")),
        // No message of ours parts what was put together.
        "A37" => ("takes the link between two records away", None),
        "A43" | "A44" | "A45" => ("moves something from one record to another", Some("PatientMerge")),
        "A46" | "A49" | "A50" | "A51" => ("gives a record, or a part of one, another identifier", Some("PatientMerge")),
        _ => return None,
    };
    Some(Outside { does, makes })
}

/// An MRG names a record that goes. What is no merge of ours must not be taken as if it were not there.
pub fn is_a_merge(message: &Message, makes: &str) -> Option<FieldFault> {
    let says = |n: usize, segment: super::Segment<'_>| !segment.field(n).raw().trim().is_empty();
    let named = message.segments_named("MRG").any(|mrg| (1..=mrg.field_count()).any(|n| says(n, mrg)));
    let what =
        "names another record, as only a merge does, and the map makes no merge of it: a person has to look at it";
    // Whom PID is about is as certain as before: a death that it tells of is taken.
    (named && makes != "PatientMerge").then(|| FieldFault {
        field: "kind".into(),
        from: "MRG".into(),
        what: what.into(),
    })
}
