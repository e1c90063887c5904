//! What was sent on one day, held against a list of what the record really holds. Pure: rows in, a sheet out whose numbers add up.

use super::delivery::{Delivery, EvidenceKind, ParkReason, State};
use super::entry::{EntryAction, EntryKind, Subject};
use super::ids::{DeliveryId, EntryId, PatientId};
use jiff::civil::Date;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Longest list, in documents.
pub const LISTED_MAX: usize = 20_000;
/// Deliveries of one endpoint and day that a sheet counts.
pub const DAY_MAX: usize = 50_000;
/// Lines of the list that are named with one finding.
const LINES_SHOWN: usize = 5;
/// Findings that are listed one by one; all are counted.
pub const SHOWN_MAX: usize = 1_000;

/// One row of the list: an id as the record has it, and the record's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// 1 to 100 characters.
    pub document_id: String,
    pub record_id: Option<String>,
    /// Where it stands in the list, for the person who has it.
    pub line: usize,
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
    /// The list has it under another id of the record's than a list or the vendor gave before: there may be two copies.
    Renamed,
    /// The record's id under which the list has it is that of a document of another patient.
    SharedId,
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

/// Everything that a list is held against.
pub struct Against<'a> {
    /// The endpoint's deliveries made that day.
    pub day: &'a [Delivery],
    /// Its deliveries of listed documents, whatever their day.
    pub known: &'a [Delivery],
    /// Every delivery at this endpoint of the same notes and outcomes as those two.
    pub later: &'a [Delivery],
    /// Deliveries at this endpoint that were told under one of the list's record ids.
    pub named: &'a [Delivery],
}

/// Who has a record's id, by the kind of entry: a record may number its notes and its observations each from one.
type Bearers<'a> = HashMap<(EntryKind, &'a str), Vec<&'a Delivery>>;

/// Whoever has a record's id by this list, and whoever is filed under it.
fn bearers<'a>(listed: &'a [Listed], by_entry: &HashMap<EntryId, &'a Delivery>, named: &'a [Delivery]) -> Bearers<'a> {
    let mut bearers: Bearers<'_> = HashMap::new();
    for row in listed {
        let delivery = row.entry().and_then(|e| by_entry.get(&e));
        if let Some((id, d)) = row.record_id.as_deref().zip(delivery) {
            bearers.entry((d.kind(), id)).or_default().push(d);
        }
    }
    for d in named {
        if let Some(id) = d.record_id.as_deref().filter(|id| d.bears(id)) {
            bearers.entry((d.kind(), id)).or_default().push(d);
        }
    }
    bearers
}

/// Rows of the list that name one document by one spelling of its id.
#[derive(Default)]
struct Rows<'a> {
    lines: Vec<usize>,
    record_ids: BTreeSet<&'a str>,
}

impl Rows<'_> {
    fn words(&self) -> String {
        let shown: Vec<String> = self.lines.iter().take(LINES_SHOWN).map(usize::to_string).collect();
        let more = if self.lines.len() > LINES_SHOWN { ", …" } else { "" };
        format!("line{} {}{more}", if self.lines.len() == 1 { "" } else { "s" }, shown.join(", "))
    }
}

/// Holds the day against the list.
pub fn compare(date: Date, listed: &[Listed], against: &Against<'_>) -> Sheet {
    let Against { day, known, later, named } = against;
    let later = &by_subject(later);
    let mut times: BTreeMap<&str, Rows<'_>> = BTreeMap::new();
    for row in listed {
        let rows = times.entry(row.document_id.as_str()).or_default();
        rows.lines.push(row.line);
        rows.record_ids.extend(row.record_id.as_deref());
    }
    // What never left cannot stand there under our hand: to us such a document is unknown.
    let by_entry: HashMap<EntryId, &Delivery> =
        known.iter().filter(|d| d.may_have_gone()).map(|d| (d.entry_id, d)).collect();
    let bearers = bearers(listed, &by_entry, named);
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
    for (document_id, rows) in &times {
        let row = Listed { document_id: (*document_id).to_owned(), record_id: None, line: 0 };
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
        if rows.lines.len() > 1 || again {
            let ids = if rows.record_ids.len() > 1 { ", under different record ids" } else { "" };
            let spelling = if again { ", and under another spelling" } else { "" };
            list.push(found(Finding::Doubled, format!("{}{ids}{spelling}", rows.words())));
        }
        if let Some(d) = delivery {
            let anothers = rows.record_ids.iter().find_map(|id| another_patients(&bearers, d, id));
            list.extend(anothers.map(|other| {
                let why =
                    format!("{}: the same record id as {}, of another patient", rows.words(), other.document_id());
                found(Finding::SharedId, why)
            }));
            if rows.record_ids.iter().any(|id| named_otherwise(d, id)) {
                let why = format!("{}: under another record id than before; there may be two copies", rows.words());
                list.push(found(Finding::Renamed, why));
            }
        }
        match delivery {
            None => {
                let why = format!("{}: not a document of ours at this endpoint", rows.words());
                list.push(found(Finding::Unknown, why));
            }
            Some(d) if d.cancelled.is_some() => list.push(found(Finding::CancelledHere, d.state.word().into())),
            Some(d) if overtaken(d, later, EntryAction::Withdraw) => {
                list.push(found(Finding::WithdrawnHere, "a withdrawal was received after it".into()));
            }
            // Listed and in doubt: what the record said of it does not agree. Where the list shows why, that is told already.
            Some(d) if list.is_empty() && is_contradicted(d) => {
                let why = format!("{} {}", d.state.word(), ParkReason::FilingContradicted.code());
                list.push(found(Finding::Doubled, why));
            }
            Some(_) => {}
        }
        if delivery.is_some_and(|d| !again && !of_day.contains(&d.id)) {
            sheet.other_days += 1;
        }
        list.into_iter().for_each(|f| sheet.note(f));
    }
    for d in *day {
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

/// A document of another patient that has this id of the record's, by this list or since before.
fn another_patients<'a>(bearers: &Bearers<'a>, d: &Delivery, record_id: &str) -> Option<&'a Delivery> {
    let of = bearers.get(&(d.kind(), record_id))?;
    of.iter().copied().find(|o| o.subject != d.subject && o.patient_id != d.patient_id)
}

/// By a list before this one, or by the vendor.
fn named_otherwise(d: &Delivery, record_id: &str) -> bool {
    [EvidenceKind::VendorReport, EvidenceKind::Reconciled]
        .into_iter()
        .any(|kind| d.was_named_otherwise(kind, record_id))
}

fn is_contradicted(d: &Delivery) -> bool {
    d.park.as_ref().is_some_and(|p| p.reason == ParkReason::FilingContradicted)
}

impl Sheet {
    fn note(&mut self, found: Found) {
        *self.counts.entry(found.finding).or_default() += 1;
        self.found.push(found);
    }
}

fn standing(d: &Delivery, listed: bool, later: &Chains<'_>) -> Standing {
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

/// The deliveries of each note and outcome.
type Chains<'a> = HashMap<Subject, Vec<&'a Delivery>>;

fn by_subject(deliveries: &[Delivery]) -> Chains<'_> {
    let mut chains = Chains::new();
    for d in deliveries {
        chains.entry(d.subject).or_default().push(d);
    }
    chains
}

/// A later version of the same note or outcome that the far end has.
fn overtaken(d: &Delivery, later: &Chains<'_>, by: EntryAction) -> bool {
    later.get(&d.subject).into_iter().flatten().any(|l| {
        l.subject_version > d.subject_version && l.action == by && matches!(l.state, State::Accepted | State::Filed)
    })
}

/// What stands at the head of a sheet.
pub struct Head<'a> {
    /// The endpoint, as people know it.
    pub endpoint: &'a str,
    /// Where the list came from: its file, or what a caller says.
    pub list: &'a str,
    /// When it was made, in the trust's time.
    pub made: &'a str,
    pub newly_filed: usize,
    pub dry_run: bool,
}

/// The sheet that a person signs. No clinical text, no names; patients by our ids only.
pub fn on_paper(sheet: &Sheet, head: &Head<'_>) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    line(format!("RECONCILIATION  {}  documents written on {}", head.endpoint, sheet.day));
    line(format!("Made: {}", head.made));
    line(format!("List: {}, {} rows, {} documents", head.list, sheet.listed, sheet.distinct));
    if head.dry_run {
        line("Dry run: nothing was changed.".into());
    } else {
        line(format!("Filed by this list: {}", head.newly_filed));
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
        (Finding::Renamed, "in the list under another record id than before: perhaps two copies"),
        (Finding::SharedId, "in the list under the record id of another patient's document"),
        (Finding::Doubled, "more than once in the list, or listed and in doubt"),
        (Finding::Unknown, "in the list and not known here"),
        (Finding::CancelledHere, "in the list and cancelled here"),
        (Finding::WithdrawnHere, "in the list and withdrawn here"),
    ] {
        line(format!("{:>8}  {words}", sheet.finding(finding)));
    }
    line(format!("{:>8}  in the list, of other days", sheet.other_days));
    line(String::new());
    let explain = match sheet.unexplained() {
        0 => "None unexplained.".to_owned(),
        n => format!("{n} to be explained."),
    };
    line(match sheet.adds_up() {
        // Where there is nothing to hold against a list, numbers that agree say nothing.
        true if sheet.written == 0 => {
            format!(
                "NOTHING WAS WRITTEN ON THAT DAY: nothing was held against the list. Is it the right day? {explain}"
            )
        }
        true => format!("{explain} The numbers add up."),
        false => format!("{explain} THE NUMBERS DO NOT ADD UP: tell whoever runs the bridge."),
    });
    if !sheet.found.is_empty() {
        line(String::new());
    }
    for f in &sheet.found {
        let words = match f.finding {
            Finding::Missing => "missing",
            Finding::Waiting => "waiting",
            Finding::Renamed => "other record id",
            Finding::SharedId => "one record id",
            Finding::Doubled => "doubled",
            Finding::Unknown => "unknown",
            Finding::CancelledHere => "cancelled here",
            Finding::WithdrawnHere => "withdrawn here",
        };
        let patient = f.patient.map_or(String::new(), |p| format!("  patient {p}"));
        // Of an id that is none of ours nobody knows what it says.
        let id = if f.delivery.is_none() { "(in the list)".to_owned() } else { f.document_id.clone() };
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
