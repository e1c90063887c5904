//! `[result]`: files that come back, which document each speaks of, and what it says.

use super::encoding::text_of_file;
use super::fault::suggest;
use super::reply::Row;
use super::table::{Reader, TomlFile};
use super::xml;
use crate::domain::ids::EntryId;
use crate::domain::record_id;
use std::collections::BTreeMap;
use toml::de::DeTable;

/// Whose id a result file's name (without its ending) is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultId {
    ControlId,
    DocumentId,
}

/// How a file with this ending is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResultFile {
    /// That it is there says it all.
    Means(Row),
    /// XML: texts of the one element of that name. CSV: columns of that name in its one row.
    Reads { status: String, record_id: Option<String>, document_id: Option<String> },
}

/// The rules for one pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultRules {
    pub id: ResultId,
    /// By the file's ending, in small letters.
    pub endings: BTreeMap<String, ResultFile>,
    /// What a status inside a file means; one that is not listed is unknown.
    pub statuses: BTreeMap<String, Row>,
}

/// What a file says under the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultSays {
    pub row: Row,
    /// The status word or the ending. Only what the pack lists is named.
    pub code: String,
    pub record_id: Option<String>,
    /// The document that it names inside, as it stands there: the file's name must mean the same.
    pub document_id: Option<String>,
    /// Why nothing can be taken from it, where that is not merely a word that nobody listed.
    pub unread: Option<String>,
}

impl ResultSays {
    fn word(row: Row, code: &str) -> Self {
        Self { row, code: code.to_owned(), record_id: None, document_id: None, unread: None }
    }

    fn unread(code: &str, why: impl Into<String>) -> Self {
        Self { unread: Some(why.into()), ..Self::word(Row::Unknown, code) }
    }

    /// The same, unless it speaks of another document than the one its name means.
    pub fn about(self, document: EntryId) -> Self {
        let named =
            self.document_id.as_deref().map(|id| id.split('^').next().unwrap_or_default().trim().parse::<EntryId>());
        match named {
            None => self,
            Some(Ok(id)) if id == document => self,
            Some(_) => Self::unread("another document", "it names another document inside than by its file's name"),
        }
    }
}

const ROWS: [(&str, Row); 4] =
    [("positive", Row::Positive), ("refused", Row::Refused), ("duplicate", Row::Duplicate), ("unknown", Row::Unknown)];

fn row(word: &str) -> Option<Row> {
    ROWS.iter().find(|(w, _)| *w == word).map(|(_, row)| *row)
}

impl ResultRules {
    /// `[result]` of a manifest.
    pub fn read(file: &TomlFile<'_>, table: &DeTable<'_>, line: u32) -> Self {
        let r = Reader::new(file, table, line, "[result]");
        let id = match r.required("id", "document_id") {
            Some((word, _)) if word == "document_id" => ResultId::DocumentId,
            Some((word, _)) if word == "control_id" => ResultId::ControlId,
            Some((word, line)) => {
                file.fault_at(line, format!("id \"{word}\" is neither"), suggest(&word, ["document_id", "control_id"]));
                ResultId::DocumentId
            }
            None => ResultId::DocumentId,
        };
        let mut endings = BTreeMap::new();
        let mut statuses = BTreeMap::new();
        for (key, item) in table.iter().filter(|(k, _)| k.get_ref() != "id") {
            let (name, line) = (key.get_ref().to_string(), file.line(key.span()));
            match (name.as_str(), item.get_ref().as_str(), item.get_ref().as_table()) {
                ("statuses", _, Some(list)) => {
                    for (status, means) in list {
                        let line = file.line(status.span());
                        match means.get_ref().as_str().and_then(row) {
                            Some(Row::Positive) if is_of_a_failure(status.get_ref()) => never(file, status.get_ref(), line),
                            Some(row) => drop(statuses.insert(status.get_ref().to_string(), row)),
                            None => file.fault_at(
                                line,
                                "a status has an unknown meaning",
                                "positive, refused, duplicate or unknown",
                            ),
                        }
                    }
                }
                (ending, Some(word), _) if is_ending(ending) => match row(word) {
                    Some(Row::Positive) if is_of_a_failure(ending) => never(file, ending, line),
                    Some(row) => drop(endings.insert(name.clone(), ResultFile::Means(row))),
                    None => file.fault_at(
                        line,
                        format!("files ending in {ending} have the unknown meaning \"{word}\""),
                        suggest(word, ROWS.iter().map(|(w, _)| *w)),
                    ),
                },
                ("xml" | "csv", _, Some(inner)) => {
                    let r = Reader::new(file, inner, line, format!("[result] {name}"));
                    let status = r.required("status", "Status");
                    let record_id = r.text("record_id").map(|(t, _)| t);
                    let document_id = r.text("document_id").map(|(t, _)| t);
                    r.finish();
                    let reads = status.map(|(status, _)| ResultFile::Reads { status, record_id, document_id });
                    endings.extend(reads.map(|reads| (name.clone(), reads)));
                }
                _ => file.fault_at(
                    line,
                    format!("\"{name}\" in [result] is not understood"),
                    "write ok = \"positive\" for an ending, xml = { status = \"Status\" } to look inside, or statuses = { … }",
                ),
            }
        }
        if endings.is_empty() {
            r.fault("[result] names no ending", "add ok = \"positive\" and err = \"refused\"");
        }
        let inside = endings.values().any(|f| matches!(f, ResultFile::Reads { .. }));
        if inside && statuses.is_empty() {
            r.fault("[result] looks into files and lists no statuses", "add statuses = { FILED = \"positive\" }");
        }
        Self { id, endings, statuses }
    }

    /// What a file with this ending says; `None`: such files are none of ours.
    pub fn says(&self, ending: &str, bytes: &[u8]) -> Option<ResultSays> {
        let ending = ending.to_ascii_lowercase();
        let says = match self.endings.get(&ending)? {
            ResultFile::Means(row) => ResultSays::word(*row, &ending),
            ResultFile::Reads { status, record_id, document_id } => {
                let names = [Some(status.as_str()), record_id.as_deref(), document_id.as_deref()];
                let Ok(text) = text_of_file(bytes) else {
                    return Some(ResultSays::word(Row::Unknown, "no UTF-8, no UTF-16"));
                };
                let [found, record_id, document_id] = match inside(&ending, &text, names) {
                    Ok(found) => found,
                    Err(why) => return Some(ResultSays::unread("stands twice", why)),
                };
                let Some((word, row)) = found.and_then(|f| self.statuses.get(&f).map(|row| (f, *row))) else {
                    return Some(ResultSays::word(Row::Unknown, "unlisted"));
                };
                match record_id.as_deref().map(record_id::check) {
                    Some(Err(what)) if row == Row::Positive => {
                        ResultSays::unread("no record id", format!("as the document's record id it gives {what}"))
                    }
                    _ => ResultSays { record_id, document_id, ..ResultSays::word(row, &word) },
                }
            }
        };
        Some(says)
    }
}

/// Whether one of its words says that something went wrong. By how they begin: TRANSFERRED and IDENTIFIED hold the letters of others.
fn is_of_a_failure(status: &str) -> bool {
    const BEGIN: &[&str] =
        &["err", "rej", "refus", "fail", "nack", "inval", "denied", "declin", "dead", "unable", "unfiled", "unmatched"];
    const WORDS: &[&str] = &["nak", "bad", "not", "no", "notfiled", "notfound", "notaccepted", "unknown"];
    let lower = status.to_ascii_lowercase();
    let mut words = lower.split(|c: char| !c.is_alphanumeric());
    status == "*" || words.any(|word| WORDS.contains(&word) || BEGIN.iter().any(|begin| word.starts_with(begin)))
}

fn never(file: &TomlFile<'_>, word: &str, line: u32) {
    let hint =
        "a document counts as filed by what says so: positive is for an ending or a status that means it was taken";
    file.fault_at(line, format!("\"{word}\" in [result] can never be positive"), hint);
}

fn is_ending(text: &str) -> bool {
    (1..=10).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

/// What stands between the columns of somebody else's CSV: a spreadsheet's comma, semicolon or tab, by its first line.
pub fn between_columns(text: &str) -> u8 {
    let first = text.lines().next().unwrap_or_default();
    [b';', b'\t'].into_iter().find(|b| first.as_bytes().contains(b)).unwrap_or(b',')
}

/// The values of three names in an XML or CSV file.
type Values = [Option<String>; 3];

/// # Errors
/// One of them stands twice: which of the two is meant nobody can say.
fn inside(ending: &str, text: &str, names: [Option<&str>; 3]) -> Result<Values, &'static str> {
    let nothing = [const { None }; 3];
    if ending == "csv" {
        let mut reader = csv::ReaderBuilder::new().delimiter(between_columns(text)).from_reader(text.as_bytes());
        let Ok(head) = reader.headers().cloned() else { return Ok(nothing) };
        let columns = |name: &str| head.iter().filter(|h| h.trim().eq_ignore_ascii_case(name)).count();
        if names.iter().flatten().any(|name| columns(name) > 1) {
            return Err("its header names a column twice that the pack reads");
        }
        let mut rows = reader.records();
        let (Some(Ok(row)), None) = (rows.next(), rows.next()) else { return Ok(nothing) };
        return Ok(names.map(|name| {
            let at = head.iter().position(|h| name.is_some_and(|name| h.trim().eq_ignore_ascii_case(name)))?;
            Some(row.get(at)?.trim().to_owned()).filter(|v| !v.is_empty())
        }));
    }
    // What it was written in has been read by its mark: a declaration that says UTF-16 is true, and says nothing more.
    let declared = text.strip_prefix("<?xml").and_then(|rest| rest.split_once("?>"));
    let is_utf_16 = declared.is_some_and(|(said, _)| said.to_ascii_lowercase().contains("utf-16"));
    let text = declared.filter(|_| is_utf_16).map_or(text, |(_, rest)| rest);
    let Ok(document) = xml::read(text.as_bytes()) else { return Ok(nothing) };
    let mut values = nothing;
    for (name, value) in names.iter().zip(&mut values) {
        let mut found = document.descendants().filter(|n| n.is_element() && Some(n.tag_name().name()) == *name);
        let (first, second) = (found.next(), found.next());
        if second.is_some() {
            return Err("an element that the pack reads stands twice in it");
        }
        // Of one that holds others nobody could say which of them is meant.
        *value = first.and_then(xml::text_of).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::super::fault::Faults;
    use super::*;
    use std::cell::RefCell;

    fn read(text: &str) -> (ResultRules, Vec<String>) {
        let faults = RefCell::new(Faults::default());
        let file = TomlFile::new("adapter.toml", text, &faults);
        let root = file.root().expect("TOML");
        let rules = ResultRules::read(&file, &root, 1);
        (rules, faults.into_inner().0.iter().map(ToString::to_string).collect())
    }

    const RULES: &str = "id = \"document_id\"\nok = \"positive\"\nerr = \"refused\"\n\
        xml = { status = \"Status\", record_id = \"DocumentId\" }\ncsv = { status = \"status\" }\n\
        statuses = { FILED = \"positive\", REJECTED = \"refused\" }\n";

    #[test]
    fn a_word_of_failure_is_never_positive_and_one_that_only_holds_its_letters_may_be() {
        let said = |status: &str| {
            let statuses = format!("statuses = {{ \"{status}\" = \"positive\" }}");
            read(&RULES.replace("statuses = { FILED = \"positive\", REJECTED = \"refused\" }", &statuses)).1
        };
        for failure in
            ["ERROR", "Err_07", "REJECTED", "Not filed", "NotFound", "Failed", "*", "Filed with errors", "NAK"]
        {
            assert!(said(failure).iter().any(|f| f.contains("can never be positive")), "{failure}");
        }
        for taken in ["FILED", "TRANSFERRED", "Noted", "NOTIFIED", "IDENTIFIED", "Filed with warnings", "UNIQUE"] {
            assert!(said(taken).is_empty(), "{taken}: {:?}", said(taken));
        }
    }

    #[test]
    fn an_ending_or_a_listed_status_says_it_and_nothing_else_is_positive() {
        let (rules, faults) = read(RULES);
        assert!(faults.is_empty(), "{faults:?}");
        let row = |ending: &str, bytes: &str| rules.says(ending, bytes.as_bytes()).map(|s| s.row);
        assert_eq!(row("ok", ""), Some(Row::Positive));
        assert_eq!(row("OK", "anything"), Some(Row::Positive));
        assert_eq!(row("err", ""), Some(Row::Refused));
        assert_eq!(row("tmp", ""), None);
        let xml = "<r><Status>FILED</Status><DocumentId>D-7</DocumentId></r>";
        assert_eq!(rules.says("xml", xml.as_bytes()).and_then(|s| s.record_id).as_deref(), Some("D-7"));
        for unknown in [
            "<r><Status>FILED",
            "<r><Status>filed</Status></r>",
            "<r/>",
            "",
            "<r><Status>FILED</Status><Status>REJECTED</Status></r>",
            "<r><Status>FILED<Not/></Status></r>",
        ] {
            assert_eq!(row("xml", unknown), Some(Row::Unknown), "{unknown}");
        }
        let nested = "<r xmlns:n='u'>".repeat(5_000) + "<Status>FILED</Status>" + &"</r>".repeat(5_000);
        assert_eq!(row("xml", &nested), Some(Row::Unknown), "more than is read of any XML");
        for refused in ["id,status\n1,REJECTED\n", "\u{feff}id;Status\r\n1;REJECTED\r\n", "STATUS\tid\nREJECTED\t1"] {
            assert_eq!(row("csv", refused), Some(Row::Refused), "{refused}");
        }
        assert_eq!(row("csv", "id,status\n1,FILED\n2,REJECTED\n"), Some(Row::Unknown));
    }

    #[test]
    fn a_column_or_an_element_that_stands_twice_leaves_the_file_unread() {
        let (rules, faults) = read(&RULES.replace("\"status\" }", "\"status\", record_id = \"record_id\" }"));
        assert!(faults.is_empty(), "{faults:?}");
        for (ending, twice) in [
            ("csv", "status,status\nFILED,REJECTED\n"),
            ("csv", "status,Status \nFILED,FILED\n"),
            ("csv", "status,record_id,RECORD_ID\nFILED,R-1,R-2\n"),
            ("xml", "<r><Status>FILED</Status><Status>FILED</Status></r>"),
            ("xml", "<r><Status>FILED</Status><DocumentId>D-1</DocumentId><x><DocumentId>D-2</DocumentId></x></r>"),
        ] {
            let says = rules.says(ending, twice.as_bytes()).expect("one of ours");
            assert_eq!((says.row, says.record_id.as_deref()), (Row::Unknown, None), "{twice}");
            assert!(says.unread.is_some_and(|why| why.contains("twice")), "{twice}");
        }
        // What the pack does not read may stand there as often as it likes.
        let says = rules.says("csv", b"status,note,note\nFILED,a,b\n").expect("one of ours");
        assert_eq!((says.row, says.unread), (Row::Positive, None));
    }

    #[test]
    fn a_record_id_that_can_be_none_leaves_a_positive_file_unread() {
        let (rules, _) = read(RULES);
        let says = |status: &str, id: &str| {
            let file = format!("<r><Status>{status}</Status><DocumentId>{id}</DocumentId></r>");
            rules.says("xml", file.as_bytes()).expect("one of ours")
        };
        for damaged in ["1.23E+11", "#####", "02/03/2026", "999 000 0018"] {
            let said = says("FILED", damaged);
            assert_eq!(said.row, Row::Unknown, "{damaged}");
            assert!(said.unread.is_some_and(|why| why.contains("record id") && !why.contains("0018")), "{damaged}");
        }
        assert_eq!(says("REJECTED", "#N/A").row, Row::Refused, "a refusal needs no id");
        assert_eq!(says("FILED", "D-7").row, Row::Positive);
    }

    #[test]
    fn a_file_that_names_another_document_inside_than_by_its_name_is_unread() {
        let (rules, faults) = read(&RULES.replace("\"status\" }", "\"status\", document_id = \"document_id\" }"));
        assert!(faults.is_empty(), "{faults:?}");
        let (ours, other) = (EntryId(uuid::Uuid::from_u128(7)), EntryId(uuid::Uuid::from_u128(8)));
        let says = |inside: &str| {
            let file = format!("document_id,status\n{inside},FILED\n");
            rules.says("csv", file.as_bytes()).expect("one of ours").about(ours)
        };
        for same in [ours.to_string(), format!("{ours}^IPS"), String::new()] {
            assert_eq!(says(&same).row, Row::Positive, "{same}");
        }
        for another in [other.to_string(), "D-4471".to_owned()] {
            let said = says(&another);
            assert_eq!((said.row, said.code.as_str()), (Row::Unknown, "another document"), "{another}");
            assert!(said.unread.is_some_and(|why| why.contains("another document inside")));
        }
        let of_no_field = read(RULES).0.says("csv", format!("document_id,status\n{other},FILED\n").as_bytes());
        assert_eq!(of_no_field.map(|s| s.about(ours).row), Some(Row::Positive), "the pack names no such field");
    }

    #[test]
    fn rules_that_cannot_be_meant_are_named() {
        for (text, word) in [
            ("ok = \"positive\"", "no \"id\""),
            ("id = \"document_id\"\n", "names no ending"),
            ("id = \"patient\"\nok = \"positive\"", "neither"),
            ("id = \"document_id\"\nok = \"yes\"", "unknown meaning"),
            ("id = \"document_id\"\nxml = { status = \"S\" }", "no statuses"),
            ("id = \"document_id\"\nok = 3", "not understood"),
        ] {
            let (_, faults) = read(text);
            assert!(faults.iter().any(|f| f.contains(word)), "{text}: {faults:?}");
        }
    }

    #[test]
    fn a_result_in_utf_16_is_read_by_its_mark_and_what_is_no_text_says_nothing() {
        let (rules, faults) = read(
            "id = \"document_id\"\nxml = { status = \"Status\" }\ncsv = { status = \"status\" }\nstatuses = { FILED = \"positive\" }\n",
        );
        assert_eq!(faults, Vec::<String>::new());
        let utf_16 = |text: &str| -> Vec<u8> {
            [0xFF, 0xFE].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect()
        };
        let said = |ending: &str, bytes: &[u8]| rules.says(ending, bytes).map(|s| (s.row, s.code));
        let filed = Some((Row::Positive, "FILED".to_owned()));
        assert_eq!(said("csv", &utf_16("id,status\r\n1,FILED\r\n")), filed);
        assert_eq!(
            said("xml", &utf_16("<?xml version=\"1.0\" encoding=\"UTF-16\"?><R><Status>FILED</Status></R>")),
            filed
        );
        let not_text = Some((Row::Unknown, "no UTF-8, no UTF-16".to_owned()));
        assert_eq!(said("csv", b"id,status,who\n1,FILED,Zo\xeb\n"), not_text);
    }
}
