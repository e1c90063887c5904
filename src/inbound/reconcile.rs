//! A list of what the record really holds, against what was sent: files what matches, and makes the sheet that a person signs. The same for
//! a call and for a list that was left in a folder.

use crate::adapter::{between_columns, text_of_file};
use crate::domain::delivery::{Delivery, State};
use crate::domain::entry::EntryKind;
use crate::domain::ids::{DeliveryId, EntryId};
use crate::domain::organisation::{EndpointId, OdsCode};
use crate::domain::reconcile::{Against, DAY_MAX, Head, LISTED_MAX, Listed, Sheet, compare, on_paper};
use crate::domain::record_id;
use crate::store::record::Raw;
use crate::store::write::{Call, InList, Reconcile};
use crate::store::{Scope, Store, StoreError, WriteError};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// Documents filed in one commit: others' writes wait behind it.
const BATCH: usize = 200;
/// Documents looked up at once.
const LOOK_UP: usize = 1_000;
/// Characters of a list's name that a sheet shows.
const NAME_CHARS_MAX: usize = 200;

/// One endpoint, as reconciling needs it.
pub struct Reconciling<'a> {
    pub store: &'a Store,
    pub scope: &'a Scope,
    pub trust: &'a OdsCode,
    pub endpoint: &'a EndpointId,
    /// As people know it.
    pub name: &'a str,
    /// In whose days the trust counts.
    pub time_zone: TimeZone,
    pub now: Timestamp,
    /// Whether the record can list the answer to a referral (`EndpointPolicy`).
    pub replies_are_documents: bool,
    /// The list, as the person knows it who reads the sheet: its file's name, or what a caller says.
    pub list: &'a str,
}

/// What came of a list.
#[derive(Debug, Clone)]
pub struct Reconciled {
    pub sheet: Sheet,
    pub newly_filed: usize,
    /// The sheet for signing.
    pub paper: String,
}

/// Why a list was not held against anything.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error("there is no such day in the trust's time zone")]
    NoSuchDay,
    #[error("that day is yet to come; give the day whose documents the list holds")]
    NotYet,
    #[error("more than {DAY_MAX} documents were written that day; that is more than one sheet can hold")]
    TooMany,
}

/// The list's rows by the document of ours that they name. Of a document that is listed more than once its first row counts.
type Rows<'l> = HashMap<EntryId, &'l Listed>;

fn rows(listed: &[Listed]) -> Rows<'_> {
    let mut rows = Rows::new();
    for (entry, row) in listed.iter().filter_map(|l| Some((l.entry()?, l))) {
        rows.entry(entry).or_insert(row);
    }
    rows
}

/// What is filed in one commit. All that the list has under one record id stands together: a name that two documents bear must not name one of them, even
/// for as long as the next commit takes.
fn parts<'d>(known: &'d [Delivery], rows: &Rows<'_>) -> Vec<Vec<&'d Delivery>> {
    let name = |d: &Delivery| rows.get(&d.entry_id)?.record_id.as_deref().filter(|id| !id.is_empty());
    let mut sorted: Vec<&Delivery> = known.iter().collect();
    sorted.sort_by_key(|d| name(d));
    let mut parts: Vec<Vec<&Delivery>> = Vec::new();
    for delivery in sorted {
        match parts.last_mut() {
            Some(part)
                if part.len() < BATCH
                    || name(delivery).is_some() && part.last().is_some_and(|d| name(d) == name(delivery)) =>
            {
                part.push(delivery);
            }
            _ => parts.push(vec![delivery]),
        }
    }
    parts
}

impl From<StoreError> for ReconcileError {
    fn from(e: StoreError) -> Self {
        Self::Write(e.into())
    }
}

/// `day`: `None` = yesterday. `call`: who does it, for each commit under a key of its own, so that a repeat does what is left.
///
/// # Errors
/// The store's; a day nobody had; too many documents.
pub async fn reconcile(
    r: &Reconciling<'_>,
    listed: &[Listed],
    day: Option<Date>,
    source: &str,
    dry_run: bool,
    call: &(dyn Fn(u32) -> Call + Send + Sync),
) -> Result<Reconciled, ReconcileError> {
    let today = r.now.to_zoned(r.time_zone.clone()).date();
    let day = day.map_or_else(|| today.yesterday(), Ok).map_err(|_| ReconcileError::NoSuchDay)?;
    if day > today {
        return Err(ReconcileError::NotYet);
    }
    let midnight = |d: Date| d.to_zoned(r.time_zone.clone()).map(|z| z.timestamp());
    let next = day.tomorrow().map_err(|_| ReconcileError::NoSuchDay)?;
    let (Ok(from), Ok(until)) = (midnight(day), midnight(next)) else { return Err(ReconcileError::NoSuchDay) };

    // Before anything is filed: whoever is refused is told that nothing was done.
    if r.store.made_between(r.endpoint, (from, until)).await? > DAY_MAX {
        return Err(ReconcileError::TooMany);
    }
    let rows = rows(listed);
    let mut entries: Vec<EntryId> = rows.keys().copied().collect();
    entries.sort_unstable();
    let known = known(r, &entries).await?;
    let mut filed: Vec<DeliveryId> = Vec::new();
    if !dry_run {
        for (number, part) in (0u32..).zip(parts(&known, &rows)) {
            let documents = part.iter().filter_map(|d| {
                let row = rows.get(&d.entry_id)?;
                let text = format!("{},{}", row.document_id, row.record_id.as_deref().unwrap_or_default());
                Some(InList { delivery: d.id, record_id: row.record_id.clone(), row: Raw(text.into_bytes()) })
            });
            let write = Reconcile {
                call: call(number),
                trust: r.trust.clone(),
                endpoint: r.endpoint.clone(),
                documents: documents.collect(),
                source: source.to_owned(),
            };
            let answered = r.store.reconcile(write).await?;
            let answer = answered.answer();
            let places = answer.more.as_array().into_iter().flatten().filter_map(Value::as_u64);
            filed.extend(places.filter_map(|at| answer.deliveries.get(usize::try_from(at).ok()?)));
        }
        if known.is_empty() {
            // That a list was looked at is worth remembering even when it named nothing of ours.
            let nothing = Reconcile {
                call: call(0),
                trust: r.trust.clone(),
                endpoint: r.endpoint.clone(),
                documents: Vec::new(),
                source: source.to_owned(),
            };
            r.store.reconcile(nothing).await?;
        }
    }
    // As they are now, after what the list proved.
    let known = self::known(r, &entries).await?;
    // A later row may have put an earlier one in doubt: what the list filed is what it left filed.
    let stand: HashSet<DeliveryId> = known.iter().filter(|d| d.state == State::Filed).map(|d| d.id).collect();
    let newly_filed = filed.iter().filter(|id| stand.contains(id)).count();
    // Oldest first: what would be cut off was written after the list was.
    let mut of_day = r.store.deliveries_made_between(r.scope, r.endpoint, (from, until), DAY_MAX).await?;
    // What is no document there nothing can list; what has not got there is told all the same.
    of_day.retain(|d| r.replies_are_documents || d.kind() != EntryKind::ReferralReply || d.state != State::Filed);
    let both: Vec<_> = of_day.iter().chain(&known).cloned().collect();
    let chains = r.store.chains_of(r.scope, r.endpoint, &both).await?;
    let named = named(r, listed, &known).await?;
    let sheet = compare(day, listed, &Against { day: &of_day, known: &known, later: &chains, named: &named });
    let list: String = r.list.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect();
    let made = r.now.to_zoned(r.time_zone.clone()).strftime("%Y-%m-%d %H:%M %Z").to_string();
    let endpoint = format!("{} ({})", r.name, r.endpoint);
    let head = Head { endpoint: &endpoint, list: &list, made: &made, newly_filed, dry_run };
    let paper = on_paper(&sheet, &head);
    Ok(Reconciled { sheet, newly_filed, paper })
}

/// Whatever the record was said to mean by the ids of its own that the list gives.
async fn named(r: &Reconciling<'_>, listed: &[Listed], known: &[Delivery]) -> Result<Vec<Delivery>, StoreError> {
    let kinds: HashMap<EntryId, EntryKind> = known.iter().map(|d| (d.entry_id, d.kind())).collect();
    let kind = |l: &Listed| kinds.get(&l.entry()?).copied();
    let ids: Vec<_> = listed.iter().filter_map(|l| Some((kind(l)?, l.record_id.clone()?))).collect();
    let mut named = Vec::new();
    for part in ids.chunks(LOOK_UP) {
        named.extend(r.store.deliveries_of_record_ids(r.scope, r.endpoint, part.iter().cloned()).await?);
    }
    Ok(named)
}

async fn known(r: &Reconciling<'_>, entries: &[EntryId]) -> Result<Vec<Delivery>, StoreError> {
    let mut known = Vec::new();
    for part in entries.chunks(LOOK_UP) {
        known.extend(r.store.deliveries_of_documents(r.scope, r.endpoint, part.iter().copied()).await?);
    }
    Ok(known)
}

/// Reads a list: CSV with a header that has `document_id`, and perhaps `record_id`; other columns are left alone.
///
/// # Errors
/// What is wrong, with the line, and what to do. Never what stands there.
pub fn read_list(bytes: &[u8]) -> Result<Vec<Listed>, String> {
    let text = text_of_file(bytes).map_err(|why| format!("the list {why}"))?;
    let mut reader = csv::ReaderBuilder::new().delimiter(between_columns(&text)).from_reader(text.as_bytes());
    let head = reader.headers().map_err(|_| "the list has no header line".to_owned())?.clone();
    let at = |name: &str| -> Result<Option<usize>, String> {
        let mut found = head.iter().enumerate().filter(|(_, h)| h.trim().eq_ignore_ascii_case(name)).map(|(at, _)| at);
        match (found.next(), found.next()) {
            (_, Some(_)) => {
                Err(format!("the list's first line names the column {name} twice; leave the one that holds it"))
            }
            (at, None) => Ok(at),
        }
    };
    let (Some(document), record) = (at("document_id")?, at("record_id")?) else {
        return Err("the list's first line names no column document_id; add the header".into());
    };
    let mut listed = Vec::new();
    let mut row = csv::StringRecord::new();
    loop {
        let line = line_of(&text, reader.position());
        match reader.read_record(&mut row) {
            Ok(true) => {}
            Ok(false) => return Ok(listed),
            Err(_) => return Err(format!("line {line} of the list has another number of columns than its header")),
        }
        let value = |at: usize| row.get(at).map(str::trim).filter(|v| !v.is_empty());
        let Some(document_id) = value(document) else {
            return Err(format!("line {line} of the list has no document_id; take the line out"));
        };
        let record_id = record.and_then(value);
        if document_id.chars().count() > record_id::CHARS_MAX || row.iter().any(|v| v.chars().any(char::is_control)) {
            let most = record_id::CHARS_MAX;
            return Err(format!("line {line} of the list holds an id that is none; at most {most} characters"));
        }
        if let Some(what) = record_id::of_a_spreadsheet(document_id) {
            let damaged = record_id::NotARecordId::Damaged(what);
            return Err(format!("line {line} of the list holds {damaged}"));
        }
        if let Some(Err(what)) = record_id.map(record_id::check) {
            return Err(format!("line {line} of the list holds {what}"));
        }
        if listed.len() == LISTED_MAX {
            return Err(format!("the list has more than {LISTED_MAX} documents; split it by day"));
        }
        listed.push(Listed { document_id: document_id.to_owned(), record_id: record_id.map(str::to_owned), line });
    }
}

/// Where the next row really stands: a reader passes over empty lines, and a value may hold an end of line.
fn line_of(text: &str, at: &csv::Position) -> usize {
    let rest = usize::try_from(at.byte()).ok().and_then(|at| text.get(at..)).unwrap_or_default();
    let empty = rest.bytes().take_while(|b| matches!(b, b'\r' | b'\n')).filter(|b| *b == b'\n').count();
    usize::try_from(at.line()).unwrap_or(usize::MAX).saturating_add(empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_list_has_under_one_record_id_is_filed_in_one_commit() {
        let known: Vec<Delivery> = (0..450u32)
            .map(|n| {
                let mut d = crate::domain::decide::tests::delivery(n.into(), crate::domain::entry::EntryAction::Create);
                d.entry_id = EntryId(uuid::Uuid::from_u128(n.into()));
                d
            })
            .collect();
        // Far apart in the list, one of them without a name at all.
        let name = |n: usize| (n != 3).then(|| if n % 225 == 7 { "R1".to_owned() } else { format!("S{n:04}") });
        let listed: Vec<Listed> = (0usize..)
            .zip(&known)
            .map(|(n, d)| Listed { document_id: d.entry_id.to_string(), record_id: name(n), line: n })
            .collect();
        let parts = parts(&known, &rows(&listed));
        assert_eq!(parts.iter().map(Vec::len).sum::<usize>(), 450, "each stands in one");
        assert!(parts.len() == 3 && parts.iter().all(|p| p.len() <= BATCH + 1));
        let ones = [7, 232].map(|n| known[n].entry_id);
        let holds = |part: &Vec<&Delivery>| ones.iter().filter(|id| part.iter().any(|d| d.entry_id == **id)).count();
        assert!(parts.iter().all(|p| holds(p) != 1), "R1 is in one part");
        let same: Vec<Listed> = known
            .iter()
            .map(|d| Listed { document_id: d.entry_id.to_string(), record_id: Some("R".into()), line: 1 })
            .collect();
        assert_eq!(super::parts(&known, &rows(&same)).len(), 1, "however many");
    }

    #[test]
    fn a_list_is_read_by_its_header_and_a_damaged_one_is_refused_whole() {
        let list = read_list(b"\xef\xbb\xbfname,Record_ID,document_id\nx, R1 ,A\ny,,B^IPS\n").expect("a list");
        assert_eq!(list[0], Listed { document_id: "A".into(), record_id: Some("R1".into()), line: 2 });
        assert_eq!(list[1].record_id, None);
        let of_a_spreadsheet = read_list(b"document_id;record_id\r\nA;R1\r\n").expect("a list");
        assert_eq!(of_a_spreadsheet[0].record_id.as_deref(), Some("R1"));
        for (bytes, word) in [
            (&b"id\nA\n"[..], "document_id"),
            (b"document_id,record_id\nA\n", "line 2"),
            (b"document_id,x\nA,1\n,2\n", "line 3"),
            (b"document_id\n\xff\n", "UTF-8"),
            (
                b"document_id\n1.23E+11\n",
                "line 2 of the list holds an id with an exponent (as 1.23E+11); was it opened in a spreadsheet?",
            ),
            (b"document_id,record_id\nA,4,1E+09\n", "line 2"),
            (b"document_id;record_id\nA;4,1E+09\n", "an exponent"),
            (
                b"document_id,record_id\nA,R-1\n\nB,######\n",
                "line 4 of the list holds an id with what a spreadsheet shows",
            ),
            (b"document_id,record_id\nA,#N/A\n", "error value"),
            (b"document_id,record_id\nA,02/03/2026\n", "a day"),
            (b"document_id,record_id\nA,999 000 0018\n", "an NHS number"),
            (b"document_id,document_id\nA,B\n", "names the column document_id twice"),
            (b"document_id,record_id, Record_ID\nA,R-1,R-2\n", "names the column record_id twice"),
            (b"document_id\n'01JNBRZC5M8Q4T7V9XA2E3F4G1\n", "marks around it"),
            (b"document_id\n\"=\"\"01JNBRZC5M8Q4T7V9XA2E3F4G1\"\"\"\n", "marks around it"),
            (b"document_id\n1JNBRZC5M8Q4T7V9XA2E3F4G1^IPS\n", "its leading zero lost"),
        ] {
            let e = read_list(bytes).expect_err("damaged");
            assert!(e.contains(word), "{e}");
        }
        assert!(read_list(b"document_id\n").expect("empty").is_empty());
        let fine = read_list(b"document_id\n01JNBRZC5M8Q4T7V9XA2E3F4G1^IPS\nD-4471\n12E45\n4471\n").expect("a list");
        assert_eq!(fine.len(), 4);
        let utf_16: Vec<u8> =
            [0xFF, 0xFE].into_iter().chain("document_id\r\nA\r\n".encode_utf16().flat_map(u16::to_le_bytes)).collect();
        assert_eq!(read_list(&utf_16).expect("a list")[0].document_id, "A");
    }

    #[test]
    fn an_id_with_a_namespace_is_still_ours() {
        let listed = |id: &str| Listed { document_id: id.into(), record_id: None, line: 1 };
        assert_eq!(listed("01JNBRZC5M8Q4T7V9XA2E3F4G1").entry(), listed("01JNBRZC5M8Q4T7V9XA2E3F4G1^IPS").entry());
        assert_eq!(listed("D-4471").entry(), None);
    }
}
