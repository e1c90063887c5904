//! The record on paper: what a clinician would find, and how it came there.

use std::fmt::Write;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::record::{Became, Document, Patient, PatientRecord, Record, Referral, Status};

/// How to print a record.
#[derive(Debug, Clone)]
pub struct Show {
    /// In characters; texts are wrapped to it. At least 40.
    pub width: usize,
    /// Lines of each text, after wrapping. `None`: all.
    pub lines_max: Option<usize>,
    /// Control and document ids, and how often each message came.
    pub ids: bool,
    pub time_zone: TimeZone,
}

impl Default for Show {
    /// 100 characters, whole texts, with ids, UTC.
    fn default() -> Self {
        Self { width: 100, lines_max: None, ids: true, time_zone: TimeZone::UTC }
    }
}

const INDENT: &str = "    ";

/// The whole record as readable text, each line ended by LF.
pub fn show(record: &Record, how: &Show) -> String {
    let mut out = heading(record);
    for held in record.patients() {
        out.push('\n');
        out.push_str(&person(&held.patient));
        out.push('\n');
        for referral in &held.referrals {
            how.referral(&mut out, referral);
        }
        for (number, document) in (1..).zip(&held.documents) {
            how.document(&mut out, record, held, document, number);
        }
        if held.referrals.is_empty() && held.documents.is_empty() {
            out.push_str("  Nothing is filed.\n");
        }
    }
    out
}

fn heading(record: &Record) -> String {
    let documents = record.documents().count();
    let current = record.documents().filter(|d| d.status == Status::Current).count();
    let became = |what| record.arrivals().iter().filter(|a| a.became == what).count();
    let (repeats, refused, ignored) = (became(Became::Repeat), became(Became::Refused), became(Became::Ignored));
    let mut notes = Vec::new();
    for (count, what) in [
        (repeats, "came again and was not filed twice"),
        (refused, "refused"),
        (ignored, "met a fault and was not looked at"),
    ] {
        if count > 0 {
            notes.push(format!("{count} {what}"));
        }
    }
    let received = counted(record.arrivals().len(), "message");
    let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join(", ")) };
    let duplicates = match record.duplicates().len() {
        0 => "no document is held twice".to_owned(),
        1 => "1 DOCUMENT IS HELD MORE THAN ONCE".to_owned(),
        n => format!("{n} DOCUMENTS ARE HELD MORE THAN ONCE"),
    };
    format!(
        "The clinical record: {}, {} ({current} current); {duplicates}.\n{received} received{notes}.\n",
        counted(record.patients().len(), "patient"),
        counted(documents, "document"),
    )
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn person(patient: &Patient) -> String {
    let mut parts = vec![format!("{}, {}", patient.family.as_str().to_uppercase(), patient.given)];
    if let Some(born) = patient.date_of_birth {
        parts.push(format!("born {}", born.strftime("%-d %b %Y")));
    }
    if let Some(number) = &patient.nhs_number {
        parts.push(format!("NHS {}", spaced(number.as_str())));
    }
    if let Some(mrn) = &patient.mrn {
        parts.push(format!("MRN {} ({})", mrn.value, mrn.authority));
    }
    parts.join("   ")
}

/// An NHS number as people read it: 999 000 0018.
fn spaced(number: &str) -> String {
    match (number.get(..3), number.get(3..6), number.get(6..)) {
        (Some(a), Some(b), Some(c)) if number.len() == 10 => format!("{a} {b} {c}"),
        _ => number.to_owned(),
    }
}

impl Show {
    fn referral(&self, out: &mut String, referral: &Referral) {
        let priority = referral.priority.as_ref().map(|p| format!(", {}", p.to_lowercase())).unwrap_or_default();
        line(out, format!("  Referral {}{priority}", referral.id));
        for sent in &referral.sent {
            let answer = if sent.acknowledged.is_empty() { "no acknowledgement" } else { &sent.acknowledged };
            line(out, format!("{INDENT}sent {}, {answer}{}", self.time(sent.at), self.with_id(&sent.control_id)));
        }
        self.text(out, referral.text.as_str());
        for answer in &referral.answers {
            let said = match (&*answer.status_text, &*answer.status) {
                ("", status) => status,
                (text, _) => text,
            };
            let reason = answer.reason.as_ref().map(|r| format!(": {r}")).unwrap_or_default();
            let id = self.with_id(&answer.control_id);
            line(out, format!("{INDENT}answered {}: {said}{reason}{id}", self.time(answer.at)));
            self.text(out, answer.text.as_str());
        }
        if referral.answers.is_empty() {
            line(out, format!("{INDENT}not answered yet"));
        }
        line(out, String::new());
    }

    fn document(&self, out: &mut String, record: &Record, held: &PatientRecord, document: &Document, number: usize) {
        let latest = document.latest();
        let status = match document.status {
            Status::Current => "CURRENT",
            Status::Obsolete => "OBSOLETE",
            Status::Cancelled => "CANCELLED",
        };
        let when = latest.activity.as_deref().map(stamp).unwrap_or_default();
        line(out, format!("  {number:<3} {:<22} {when:<18} {status}", kind(&latest.kind)));
        if let Some(author) = &latest.author {
            let at = if author.authority.is_empty() { String::new() } else { format!(", {}", author.authority) };
            line(out, format!("{INDENT}  by {} ({}{at}), filed {}", author.name, author.id, self.time(latest.at)));
        }
        let number_of = |id: &str| held.documents.iter().position(|d| d.id == id).map(|place| place + 1);
        for (what, id) in [("replaces", &document.replaces), ("replaced by", &document.replaced_by)] {
            if let Some(id) = id {
                let which = number_of(id).map_or_else(|| id.clone(), |n| n.to_string());
                line(out, format!("{INDENT}  {what} {which}"));
            }
        }
        if let Some(cancelled) = &document.cancelled {
            line(out, format!("{INDENT}  taken back {}: {}", self.time(cancelled.at), cancelled.reason));
        }
        if document.versions.len() > 1 {
            line(out, format!("{INDENT}  edited {}", counted(document.versions.len() - 1, "time")));
        }
        let (copies, arrivals) = (record.copies(&document.id), record.arrivals_of_document(&document.id).len());
        if copies > 1 {
            line(out, format!("{INDENT}  HELD {copies} TIMES"));
        }
        if self.ids {
            let copies = if copies == 1 { "1 copy".to_owned() } else { format!("{copies} copies") };
            line(out, format!("{INDENT}  id {}: {copies}, {}", document.id, counted(arrivals, "message")));
        }
        for section in &latest.sections {
            line(out, String::new());
            self.text(out, section.text.as_str());
        }
        if !latest.rows.is_empty() {
            line(out, String::new());
        }
        for attachment in &latest.attachments {
            let whole = match (attachment.media_type.as_str(), attachment.is_whole_pdf) {
                ("application/pdf", true) => ", a whole PDF",
                ("application/pdf", false) => ", NOT A WHOLE PDF",
                _ => "",
            };
            let print = attachment.sha256.get(..12).unwrap_or_default();
            let size = counted(attachment.bytes, "byte");
            line(out, String::new());
            line(out, format!("{INDENT}  holds {}: {size}{whole} (sha256 {print})", attachment.media_type));
        }
        for row in &latest.rows {
            let name = if row.name.is_empty() { &row.code } else { &row.name };
            let value = match row.meaning.as_str() {
                "" if row.value_type == "DT" || row.value_type == "TS" => stamp(row.value.as_str()),
                "" => format!("{} {}", row.value, row.units).trim_end().to_owned(),
                meaning => format!("{meaning} ({})", row.value),
            };
            line(out, format!("{INDENT}  {name}: {value}"));
        }
        line(out, String::new());
    }

    fn with_id(&self, control_id: &str) -> String {
        if self.ids { format!("   [{control_id}]") } else { String::new() }
    }

    fn time(&self, at: Timestamp) -> String {
        at.to_zoned(self.time_zone.clone()).strftime("%-d %b %Y %H:%M:%S").to_string()
    }

    fn text(&self, out: &mut String, text: &str) {
        if text.is_empty() {
            return;
        }
        let width = self.width.max(40) - INDENT.len() - 4;
        let lines: Vec<String> = text.lines().flat_map(|l| wrapped(l, width)).collect();
        let shown = self.lines_max.unwrap_or(lines.len()).min(lines.len());
        for text in &lines[..shown] {
            line(out, format!("{INDENT}    {text}"));
        }
        if shown < lines.len() {
            line(out, format!("{INDENT}    … {} more", counted(lines.len() - shown, "line")));
        }
    }
}

/// A line without blanks at its end.
fn line(out: &mut String, text: String) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{}", text.trim_end());
}

/// A line in pieces of at most `width` characters, broken between words where it can be.
fn wrapped(line: &str, width: usize) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for word in line.split_inclusive(' ') {
        let mut word = word;
        loop {
            let piece = pieces.last_mut().expect("begins with one");
            let room = width.saturating_sub(piece.chars().count());
            if word.trim_end().chars().count() <= room {
                piece.push_str(word);
                break;
            }
            if !piece.is_empty() {
                pieces.push(String::new());
                continue;
            }
            let cut = word.char_indices().nth(width).map_or(word.len(), |(at, _)| at);
            piece.push_str(&word[..cut]);
            word = &word[cut..];
        }
    }
    pieces
}

/// TXA-2 (HL7 table 0270) in words; what a result calls itself stays.
fn kind(code: &str) -> String {
    let name = match code {
        "PN" => "Progress note",
        "CN" => "Consultation",
        "DS" => "Discharge summary",
        "SP" => "Special document",
        "TS" => "Transfer summary",
        "" => "Document",
        other => return other.to_owned(),
    };
    name.to_owned()
}

/// An HL7 date or time as people read it; anything else as it is.
fn stamp(text: &str) -> String {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let parsed = match digits {
        8 => jiff::civil::Date::strptime("%Y%m%d", &text[..8]).map(|d| d.strftime("%-d %b %Y").to_string()),
        12.. => jiff::civil::DateTime::strptime("%Y%m%d%H%M", &text[..12])
            .map(|t| t.strftime("%-d %b %Y %H:%M").to_string()),
        _ => return text.to_owned(),
    };
    parsed.unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_of_the_wire_are_shown_as_people_write_them() {
        for (sent, shown) in [
            ("20260302093000", "2 Mar 2026 09:30"),
            ("202603020930+0100", "2 Mar 2026 09:30"),
            ("20260302", "2 Mar 2026"),
            ("20261399", "20261399"),
            ("2026", "2026"),
            ("", ""),
            ("soon", "soon"),
        ] {
            assert_eq!(stamp(sent), shown);
        }
    }

    proptest! {
        #[test]
        fn wrapping_loses_no_character_and_keeps_to_its_width(line in "[a-zé日 ]{0,120}", width in 5..40usize) {
            let pieces = wrapped(&line, width);
            prop_assert_eq!(pieces.concat(), line);
            prop_assert!(pieces.iter().all(|p| p.trim_end().chars().count() <= width));
        }
    }
}
