//! Staff tables: how each EPR of a trust knows the people who write. A CSV file, because trusts keep it in a spreadsheet, and
//! spreadsheets damage ids: what they do to them is looked for and refused.

use super::fault::{Findings, Place, Source};
use super::trust::Declared;
use crate::domain::organisation::{EndpointId, OdsCode, StaffId};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// The columns, in this order.
const HEADER: [&str; 4] = ["staff_id", "endpoint", "epr_id", "epr_name"];

/// How one EPR knows one person.
#[derive(Clone, PartialEq, Eq)]
pub struct EprStaff {
    pub epr_id: String,
    pub epr_name: String,
}

impl std::fmt::Debug for EprStaff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EprStaff({})", self.epr_id)
    }
}

/// All rows of a trust's staff file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StaffTable(BTreeMap<(EndpointId, StaffId), EprStaff>);

impl StaffTable {
    pub fn find(&self, staff: &StaffId, endpoint: &EndpointId) -> Option<&EprStaff> {
        self.0.get(&(endpoint.clone(), staff.clone()))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The people who have an id at this endpoint.
    pub fn at<'t>(&'t self, endpoint: &'t EndpointId) -> impl Iterator<Item = (&'t StaffId, &'t EprStaff)> {
        self.0.iter().filter(move |((e, _), _)| e == endpoint).map(|((_, staff), row)| (staff, row))
    }
}

pub(super) fn read_staff(
    text: &str,
    path: &Path,
    trust: &Place,
    ods: &OdsCode,
    declared: &Declared,
    findings: &Findings,
) -> StaffTable {
    let source = Arc::new(Source {
        order: trust.source.order,
        shown: super::files::shown(path),
        base: path.parent().map(Path::to_path_buf).unwrap_or_default(),
    });
    let mut rows: BTreeMap<(EndpointId, StaffId), (EprStaff, Place)> = BTreeMap::new();
    let mut csv = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut empty = true;
    for record in csv.records() {
        let Ok(record) = record else {
            // Rows may have any number of fields and the text is UTF-8: nothing else can go wrong.
            findings.fault(&Place::whole(&source), "cannot be read as CSV", "save it as \"CSV UTF-8\" again");
            continue;
        };
        let line = record.position().map(|p| u32::try_from(p.line()).unwrap_or(u32::MAX));
        let place = Place { source: source.clone(), line };
        let fields: Vec<&str> = record.iter().collect();
        if std::mem::take(&mut empty) {
            if fields != HEADER {
                let hint = format!("make the first line {} (separated by commas)", HEADER.join(","));
                findings.fault(&place, "the first line is not the header", hint);
                return StaffTable::default();
            }
            continue;
        }
        let Some((key, staff)) = row(&fields, &place, findings) else { continue };
        match declared.endpoints.get(&key.0) {
            Some(None) => {}
            Some(Some(owner)) if owner == ods => {}
            Some(Some(owner)) => findings.fault(
                &place,
                format!("endpoint \"{}\" belongs to {owner}, not {ods}", key.0),
                "move the row to that trust's staff file",
            ),
            None if declared.retired.contains(&key.0) || !declared.is_whole => {}
            None => {
                let near = super::fault::nearest(key.0.as_str(), declared.endpoints.keys().map(EndpointId::as_str));
                let hint =
                    near.map_or_else(|| "use the id of an [[endpoint]]".to_owned(), |n| format!("did you mean {n}?"));
                findings.fault(&place, format!("there is no endpoint \"{}\"", key.0), hint);
            }
        }
        if let Some((_, first)) = rows.get(&key) {
            let what = format!(
                "staff id \"{}\" has a second row for endpoint \"{}\"; the first is {}",
                key.1,
                key.0,
                first.shown()
            );
            findings.fault(&place, what, "keep the right one and delete the other");
            continue;
        }
        rows.insert(key, (staff, place));
    }
    if empty {
        findings.fault(
            &Place::whole(&source),
            "the staff file is empty",
            format!("make its first line {}", HEADER.join(",")),
        );
    }
    doubtful(&rows, findings);
    StaffTable(rows.into_iter().map(|(key, (staff, _))| (key, staff)).collect())
}

fn row(fields: &[&str], place: &Place, findings: &Findings) -> Option<((EndpointId, StaffId), EprStaff)> {
    let [staff_id, endpoint, epr_id, epr_name] = fields else {
        let what = format!("this line has {} fields instead of {}", fields.len(), HEADER.len());
        findings.fault(place, what, "put quotes round a name that holds a comma; delete empty lines of commas");
        return None;
    };
    let mut whole = true;
    for (name, value) in HEADER.iter().zip(fields) {
        if let Some((what, hint)) = damage(name, value) {
            findings.fault(place, format!("{name} {what}"), hint);
            whole = false;
        }
    }
    if !whole {
        return None;
    }
    let refuse =
        |name: &str, rule: &dyn std::fmt::Display| findings.fault(place, format!("{name} {rule}"), "correct the cell");
    let staff_id = StaffId::parse(staff_id).map_err(|rule| refuse("staff_id", &rule)).ok();
    let endpoint = EndpointId::parse(endpoint).map_err(|rule| refuse("endpoint", &rule)).ok();
    Some(((endpoint?, staff_id?), EprStaff { epr_id: (*epr_id).to_owned(), epr_name: (*epr_name).to_owned() }))
}

/// What spreadsheets and copying do to cells. The value itself is not shown: names are nobody's business in a log.
fn damage(column: &str, value: &str) -> Option<(&'static str, &'static str)> {
    let as_text = "format the column as Text in the spreadsheet and type the id again";
    let is_id = column != "epr_name";
    if value.is_empty() {
        return Some(("is empty", "fill the cell, or delete the row"));
    }
    if value.trim() != value || value.chars().any(|c| c.is_control() || c == '\u{a0}') {
        return Some(("has blanks at its ends or control characters in it", "type it again without them"));
    }
    if value.chars().count() > 100 {
        return Some(("is longer than 100 characters", "shorten it"));
    }
    if value.contains('\u{fffd}') || value.contains("Ã") || value.contains("â€") {
        return Some((
            "has letters that were lost or doubled in saving",
            "save the file as \"CSV UTF-8\" from the original",
        ));
    }
    if value.starts_with("#N/A") || ["#REF!", "#NAME?", "#VALUE!", "#DIV/0!", "#NULL!", "#NUM!"].contains(&value) {
        return Some(("is a spreadsheet's error, not a value", "correct the formula, or type the value"));
    }
    if value.starts_with('=') {
        return Some(("is a formula", "paste it as a value"));
    }
    if is_id && exponent(value) {
        return Some(("was turned into a number with an exponent, and digits are lost", as_text));
    }
    if is_id && value.strip_suffix(".0").is_some_and(digits) {
        return Some(("was turned into a decimal number", as_text));
    }
    if is_id && a_date(value) {
        return Some(("was turned into a date", as_text));
    }
    None
}

fn digits(s: &str) -> bool {
    !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit())
}

/// `9.19E+07`. Ids such as `1E5` are left alone: only the spreadsheet writes the sign.
fn exponent(value: &str) -> bool {
    value.split_once("E+").is_some_and(|(mantissa, power)| digits(&mantissa.replacen('.', "", 1)) && digits(power))
}

/// `01-Mar`, `Mar-01`, `01/03/2026`.
fn a_date(value: &str) -> bool {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let slashed: Vec<&str> = value.split('/').collect();
    let month = |s: &str| MONTHS.contains(&s);
    slashed.len() == 3 && slashed.iter().all(|p| digits(p))
        || value
            .split_once('-')
            .is_some_and(|(a, b)| month(a) && digits(b) && b.len() <= 2 || digits(a) && a.len() <= 2 && month(b))
}

/// Not wrong for certain, but worth a look before someone's note is filed under another name.
fn doubtful(rows: &BTreeMap<(EndpointId, StaffId), (EprStaff, Place)>, findings: &Findings) {
    let mut endpoints: Vec<&EndpointId> = rows.keys().map(|(e, _)| e).collect();
    endpoints.dedup();
    for endpoint in endpoints {
        let here: Vec<_> = rows.iter().filter(|((e, _), _)| e == endpoint).map(|(_, row)| row).collect();
        let mut seen: BTreeMap<&str, &Place> = BTreeMap::new();
        let width = here.iter().map(|(staff, _)| staff.epr_id.len()).max().unwrap_or(0);
        let zeros = here.iter().all(|(s, _)| digits(&s.epr_id))
            && here.iter().any(|(s, _)| s.epr_id.len() == width && s.epr_id.starts_with('0'));
        for (staff, place) in here {
            if let Some(first) = seen.insert(&staff.epr_id, place) {
                let what = format!(
                    "epr_id is the same as in {}, so two people write under one name at \"{endpoint}\"",
                    first.shown()
                );
                findings.warn(place, what, "check that they are one person with two staff ids");
            }
            if zeros && staff.epr_id.len() < width {
                findings.warn(
                    place,
                    "epr_id is shorter than the others, some of which begin with 0",
                    "check that the spreadsheet has not dropped leading zeros",
                );
            }
        }
    }
}
