//! What was sent on one day, held against a list of what the record really holds. Pure: rows in, a sheet out whose numbers add up.

use super::delivery::{Delivery, ParkReason, State};
use super::entry::EntryAction;
use super::ids::{DeliveryId, EntryId, PatientId};
use jiff::civil::Date;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Longest list, in documents.
pub const LISTED_MAX: usize = 20_000;
/// Deliveries of one endpoint and day that a sheet counts.
pub const DAY_MAX: usize = 50_000;
/// Findings that are listed one by one; all are counted.
pub const SHOWN_MAX: usize = 1_000;

/// One row of the list: an id as the record has it, and the record's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// 1 to 100 characters.
    pub document_id: String,
    pub record_id: Option<String>,
}

impl Listed {
    /// Ours, if it is one of ours: what stands before a namespace (`<id>^IPS`).
    pub fn entry(&self) -> Option<EntryId> {
        let id = self.document_id.split('^').next().unwrap_or_default().trim();
        id.parse().ok()
    }
}

/// Where one delivery of the day stands. Each has exactly one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// The list has it.
    InRecord,
    /// Not sent, not answered or parked: it says why.
    Waiting,
    /// Received or filed here, and the list does not have it.
    Missing,
    /// A later version took its place, or it was withdrawn: the record need not list it.
    Superseded,
    /// Cancelled here, and the list does not have it.
    Cancelled,
    /// A withdrawal that was received: there is nothing for the list to have.
    Withdrawal,
}

/// What does not fit, or waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    Missing,
    Waiting,
    /// The list has it more than once, or what the record said of it does not agree: there may be two.
    Doubled,
    /// The list has it and we do not know it at this endpoint.
    Unknown,
    /// The list has it and it was cancelled here.
    CancelledHere,
    /// The list has it and its withdrawal was received.
    WithdrawnHere,
}

/// One finding. Ids only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub finding: Finding,
    pub document_id: String,
    pub delivery: Option<DeliveryId>,
    pub patient: Option<PatientId>,
    /// A state or a reason code, or how often.
    pub why: String,
}

/// The result for one endpoint and one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    pub day: Date,
    pub standings: BTreeMap<Standing, usize>,
    pub written: usize,
    /// Rows of the list, and documents in it.
    pub listed: usize,
    pub distinct: usize,
    /// Documents of the list that belong to other days.
    pub other_days: usize,
    pub counts: BTreeMap<Finding, usize>,
    pub found: Vec<Found>,
}

impl Sheet {
    pub fn count(&self, standing: Standing) -> usize {
        self.standings.get(&standing).copied().unwrap_or(0)
    }

    pub fn finding(&self, finding: Finding) -> usize {
        self.counts.get(&finding).copied().unwrap_or(0)
    }

    /// What somebody has to explain; what waits explains itself.
    pub fn unexplained(&self) -> usize {
        self.counts.iter().filter(|(finding, _)| **finding != Finding::Waiting).map(|(_, n)| n).sum()
    }

    /// Whether every written delivery has its place and every listed document too.
    pub fn adds_up(&self) -> bool {
        let of_day = self.count(Standing::InRecord) + self.other_days + self.finding(Finding::Unknown);
        self.standings.values().sum::<usize>() == self.written && of_day == self.distinct
    }
}

/// Holds the day against the list. `day`: the endpoint's deliveries made that day. `known`: its deliveries of listed documents, whatever
/// their day. `later`: every delivery at this endpoint of the same notes and outcomes as those two.
pub fn compare(date: Date, listed: &[Listed], day: &[Delivery], known: &[Delivery], later: &[Delivery]) -> Sheet {
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for row in listed {
        *times.entry(row.document_id.as_str()).or_default() += 1;
    }
    // What never left cannot stand there under our hand: to us such a document is unknown.
    let by_entry: HashMap<EntryId, &Delivery> =
        known.iter().filter(|d| d.attempts > 0).map(|d| (d.entry_id, d)).collect();
    let of_day: BTreeSet<DeliveryId> = day.iter().map(|d| d.id).collect();
    let mut sheet = Sheet {
        day: date,
        standings: BTreeMap::new(),
        written: day.len(),
        listed: listed.len(),
        distinct: 0,
        other_days: 0,
        counts: BTreeMap::new(),
        found: Vec::new(),
    };
    let mut in_list: BTreeSet<EntryId> = BTreeSet::new();
    for (document_id, count) in &times {
        let row = Listed { document_id: (*document_id).to_owned(), record_id: None };
        let delivery = row.entry().and_then(|e| by_entry.get(&e)).copied();
        // The same document under two spellings of its id is one document, listed twice.
        let again = delivery.is_some_and(|d| !in_list.insert(d.entry_id));
        if !again {
            sheet.distinct += 1;
        }
        let found = |finding, why: String| Found {
            finding,
            document_id: (*document_id).to_owned(),
            delivery: delivery.map(|d| d.id),
            patient: delivery.map(|d| d.patient_id),
            why,
        };
        let mut list = Vec::new();
        if *count > 1 || again {
            list.push(found(
                Finding::Doubled,
                format!("{count} rows{}", if again { ", and under another spelling" } else { "" }),
            ));
        }
        match delivery {
            None => list.push(found(Finding::Unknown, "not a document of ours at this endpoint".into())),
            Some(d) if d.cancelled.is_some() => list.push(found(Finding::CancelledHere, d.state.word().into())),
            Some(d) if overtaken(d, later, EntryAction::Withdraw) => {
                list.push(found(Finding::WithdrawnHere, "a withdrawal was received after it".into()));
            }
            // Listed and in doubt: its id of the record's stands at another document as well, perhaps in this very list.
            Some(d) if d.park.as_ref().is_some_and(|p| p.reason == ParkReason::FilingContradicted) => {
                list.push(found(
                    Finding::Doubled,
                    format!("{} {}", d.state.word(), ParkReason::FilingContradicted.code()),
                ));
            }
            Some(_) => {}
        }
        if delivery.is_some_and(|d| !again && !of_day.contains(&d.id)) {
            sheet.other_days += 1;
        }
        list.into_iter().for_each(|f| sheet.note(f));
    }
    for d in day {
        let standing = standing(d, in_list.contains(&d.entry_id), later);
        *sheet.standings.entry(standing).or_default() += 1;
        let (finding, why) = match standing {
            Standing::Missing => (Finding::Missing, d.state.word().to_owned()),
            Standing::Waiting => {
                let reason = d.park.as_ref().map(|p| format!(" {}", p.reason.code())).unwrap_or_default();
                (Finding::Waiting, format!("{}{reason}", d.state.word()))
            }
            _ => continue,
        };
        let document_id = d.document_id();
        sheet.note(Found { finding, document_id, delivery: Some(d.id), patient: Some(d.patient_id), why });
    }
    sheet.found.sort_by(|a, b| (a.finding, &a.document_id).cmp(&(b.finding, &b.document_id)));
    sheet.found.truncate(SHOWN_MAX);
    sheet
}

impl Sheet {
    fn note(&mut self, found: Found) {
        *self.counts.entry(found.finding).or_default() += 1;
        self.found.push(found);
    }
}

fn standing(d: &Delivery, listed: bool, later: &[Delivery]) -> Standing {
    match d.state {
        _ if listed => Standing::InRecord,
        State::Queued | State::Sending | State::BackingOff | State::Parked => Standing::Waiting,
        State::Cancelled => Standing::Cancelled,
        State::Accepted | State::Filed if d.action == EntryAction::Withdraw => Standing::Withdrawal,
        State::Accepted | State::Filed
            if overtaken(d, later, EntryAction::Withdraw) || overtaken(d, later, EntryAction::Replace) =>
        {
            Standing::Superseded
        }
        State::Accepted | State::Filed => Standing::Missing,
    }
}

/// A later version of the same note or outcome that the far end has.
fn overtaken(d: &Delivery, later: &[Delivery], by: EntryAction) -> bool {
    later.iter().any(|l| {
        l.subject == d.subject
            && l.subject_version > d.subject_version
            && l.action == by
            && matches!(l.state, State::Accepted | State::Filed)
    })
}

/// The sheet that a person signs. No clinical text, no names; patients by our ids only.
pub fn on_paper(sheet: &Sheet, endpoint: &str, source: &str, newly_filed: usize, dry_run: bool) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    line(format!("RECONCILIATION  {endpoint}  documents written on {}", sheet.day));
    line(format!("List: {source}, {} rows, {} documents", sheet.listed, sheet.distinct));
    if dry_run {
        line("Dry run: nothing was changed.".into());
    } else {
        line(format!("Filed by this list: {newly_filed}"));
    }
    line(String::new());
    line(format!("{:>8}  written that day", sheet.written));
    for (standing, words) in [
        (Standing::InRecord, "in the record, by its own list"),
        (Standing::Waiting, "waiting (below)"),
        (Standing::Missing, "MISSING: received or filed here, not in the list (below)"),
        (Standing::Superseded, "replaced or withdrawn since"),
        (Standing::Cancelled, "cancelled here"),
        (Standing::Withdrawal, "withdrawals, received"),
    ] {
        line(format!("{:>8}  {words}", sheet.count(standing)));
    }
    let sum: usize = sheet.standings.values().sum();
    line(format!("{sum:>8}  together{}", if sum == sheet.written { "" } else { ": DOES NOT ADD UP" }));
    line(String::new());
    for (finding, words) in [
        (Finding::Doubled, "more than once in the list, or listed and in doubt"),
        (Finding::Unknown, "in the list and not known here"),
        (Finding::CancelledHere, "in the list and cancelled here"),
        (Finding::WithdrawnHere, "in the list and withdrawn here"),
    ] {
        line(format!("{:>8}  {words}", sheet.finding(finding)));
    }
    line(format!("{:>8}  in the list, of other days", sheet.other_days));
    line(String::new());
    line(match (sheet.unexplained(), sheet.adds_up()) {
        (0, true) => "None unexplained. The numbers add up.".to_owned(),
        (n, true) => format!("{n} to be explained. The numbers add up."),
        (n, false) => format!("{n} to be explained. THE NUMBERS DO NOT ADD UP: tell whoever runs the bridge."),
    });
    if !sheet.found.is_empty() {
        line(String::new());
    }
    for f in &sheet.found {
        let words = match f.finding {
            Finding::Missing => "missing",
            Finding::Waiting => "waiting",
            Finding::Doubled => "doubled",
            Finding::Unknown => "unknown",
            Finding::CancelledHere => "cancelled here",
            Finding::WithdrawnHere => "withdrawn here",
        };
        let patient = f.patient.map_or(String::new(), |p| format!("  patient {p}"));
        // Of an id that is none of ours nobody knows what it says.
        let id = if f.finding == Finding::Unknown { "(in the list)".to_owned() } else { f.document_id.clone() };
        line(format!("  {words:<15} {id}{patient}  {}", f.why));
    }
    let all: usize = sheet.counts.values().sum();
    if all > sheet.found.len() {
        line(format!("  … and {} more", all - sheet.found.len()));
    }
    line(String::new());
    line(
        "Checked by ______________________________   on ______________   Signed ______________________________".into(),
    );
    out
}

#[cfg(test)]
#[path = "reconcile_tests.rs"]
mod tests;
