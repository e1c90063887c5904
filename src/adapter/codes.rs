//! Code tables: one CSV each, `ours,theirs,note`, read both ways. A row that a spreadsheet damaged is refused.

use super::fault::{Fault, Faults, suggest};
use super::{crossed, input};
use std::collections::{BTreeMap, HashMap};

/// Rows one table may have.
const MAX_ROWS: usize = 20_000;

/// What a code that the table lacks does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// Stops the message.
    Error,
    /// Named in the manifest, where a reviewer can see it.
    Replace(String),
}

/// One table. Neither way is a guess: where several rows compete, one is marked.
#[derive(Debug, Clone)]
pub struct CodeTable {
    pub file: String,
    write: HashMap<String, String>,
    read: HashMap<String, String>,
    /// Theirs in capitals, where it does not matter whether they are.
    capitals: HashMap<String, String>,
    /// The first line of each code of ours.
    lines: BTreeMap<String, u32>,
    pub missing: Missing,
}

struct Row {
    ours: String,
    theirs: String,
    note: String,
    line: u32,
}

impl CodeTable {
    /// Reads and checks a table; every faulty line is a fault.
    pub fn read(file: &str, text: &str, missing: Missing, faults: &mut Faults) -> Self {
        let rows = rows(file, text, faults);
        check_damage(file, &rows, faults);
        check_words(file, &rows, faults);
        let pairs: Vec<crossed::Row<'_>> = rows.iter().map(|r| (r.ours.as_str(), r.theirs.as_str(), r.line)).collect();
        crossed::check(file, &pairs, faults);
        let write = one_way(file, &rows, |r| (&r.ours, &r.theirs), "[write]", "ours", faults);
        let read = one_way(file, &rows, |r| (&r.theirs, &r.ours), "[read]", "theirs", faults);
        let mut lines = BTreeMap::new();
        for row in &rows {
            lines.entry(row.ours.clone()).or_insert(row.line);
        }
        Self { file: file.into(), write, read, capitals: HashMap::new(), lines, missing }
    }

    /// The same table, read whether theirs come in capitals or not.
    pub fn in_any_case(mut self, faults: &mut Faults) -> Self {
        for (theirs, ours) in &self.read {
            let before = self.capitals.insert(theirs.to_uppercase(), ours.clone());
            if before.is_some_and(|before| before != *ours) {
                let hint = "remove any_case, or one of the rows";
                faults.add(&self.file, 0, "has codes that differ in capitals only, and mean different things", hint);
            }
        }
        self
    }

    /// Ours to theirs.
    pub fn theirs(&self, ours: &str) -> Option<&str> {
        self.write.get(ours).map(String::as_str).or(self.replacement())
    }

    /// Theirs to ours.
    pub fn ours(&self, theirs: &str) -> Option<&str> {
        self.listed(theirs).or(self.replacement())
    }

    /// Whether the table has a row for this code of theirs.
    pub fn lists(&self, theirs: &str) -> bool {
        self.listed(theirs).is_some()
    }

    /// Theirs to ours, by a row of its own.
    pub fn listed(&self, theirs: &str) -> Option<&str> {
        let row = self.read.get(theirs).or_else(|| self.capitals.get(&theirs.to_uppercase()));
        row.map(String::as_str)
    }

    /// Whether the table has a row for this code of ours.
    pub fn has(&self, ours: &str) -> bool {
        self.lines.contains_key(ours)
    }

    /// Codes of ours, each with its first line.
    pub fn lines(&self) -> impl Iterator<Item = (&str, u32)> {
        self.lines.iter().map(|(ours, line)| (ours.as_str(), *line))
    }

    fn replacement(&self) -> Option<&str> {
        match &self.missing {
            Missing::Error => None,
            Missing::Replace(with) => Some(with),
        }
    }
}

fn rows(file: &str, text: &str, faults: &mut Faults) -> Vec<Row> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let (mut rows, mut empty) = (Vec::new(), Vec::new());
    for (i, record) in reader.records().enumerate() {
        let record = match record {
            Ok(record) => record,
            Err(e) => {
                let line = e.position().map_or(0, |p| u32::try_from(p.line()).unwrap_or(0));
                faults.add(file, line, "is not CSV", "check the quotes on this line");
                return rows;
            }
        };
        let line = record.position().map_or(0, |p| u32::try_from(p.line()).unwrap_or(0));
        let field = |n: usize| record.get(n).unwrap_or_default().to_owned();
        if i == 0 {
            let marks = [(';', "semicolons"), ('\t', "tabs")];
            if let Some((_, name)) = marks.iter().find(|(mark, _)| record.len() == 1 && field(0).contains(*mark)) {
                let hint = "save the table as comma-separated (spreadsheets: \"CSV UTF-8\")";
                faults.add(file, line, format!("the first line has {name} between its columns"), hint);
                return rows;
            }
            if record.iter().ne(["ours", "theirs", "note"]) {
                faults.add(file, line, "the first line must be ours,theirs,note", "add it, spelled so, without spaces");
            }
        } else if record.iter().all(|f| f.trim().is_empty()) {
            empty.push(line);
        } else if record.len() != 3 {
            faults.add(
                file,
                line,
                format!("has {} columns", record.len()),
                "each row has three: ours,theirs,note; quote a text that holds a comma",
            );
        } else if rows.len() == MAX_ROWS {
            faults.add(file, line, format!("is longer than {MAX_ROWS} rows"), "keep only the codes that are used");
            break;
        } else {
            rows.push(Row { ours: field(0), theirs: field(1), note: field(2), line });
        }
    }
    if let [first, ..] = empty.as_slice() {
        let what = format!("{} without anything in them begin here", counted(empty.len(), "row"));
        faults.add(file, *first, what, "remove them: spreadsheets leave them behind");
    }
    if rows.is_empty() {
        faults.add(file, 0, "has no rows", "add one line for each code");
    }
    rows
}

fn counted(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// What spreadsheets do to codes: exponents, dates, lost zeros, error marks; and spaces nobody sees.
fn check_damage(file: &str, rows: &[Row], faults: &mut Faults) {
    type Column = (&'static str, fn(&Row) -> &str);
    let columns: [Column; 2] = [("ours", |r| &r.ours), ("theirs", |r| &r.theirs)];
    for (column, of) in columns {
        let zeros = rows.iter().map(of).find(|c| c.len() > 1 && c.starts_with('0') && is_number(c)).map(str::len);
        for row in rows {
            let code = of(row);
            let digits = code.replace(['.', '+', '-'], "");
            if code.is_empty() {
                faults.add(
                    file,
                    row.line,
                    format!("\"{column}\" is empty"),
                    "every row has both codes; an absent value never reaches a table",
                );
            } else if code.trim() != code || code.contains(['\u{a0}', '\u{200b}']) || code.chars().any(char::is_control)
            {
                faults.add(
                    file,
                    row.line,
                    format!("\"{column}\" has a space or another unseen character at its side or in it"),
                    "take it out",
                );
            } else if digits.split_once(['E', 'e']).is_some_and(|(m, e)| is_number(m) && is_number(e))
                && code.contains(['+', '.'])
            {
                faults.add(
                    file,
                    row.line,
                    format!("\"{column}\" was turned into an exponent by a spreadsheet"),
                    "type the code again, as text",
                );
            } else if looks_like_date(code) {
                faults.add(
                    file,
                    row.line,
                    format!("\"{column}\" was turned into a date by a spreadsheet"),
                    "type the code again, as text",
                );
            } else if looks_like_a_shown_number(code) {
                faults.add(
                    file,
                    row.line,
                    format!("\"{column}\" is a number as a spreadsheet shows it"),
                    "type the code again, as text, without quotes, percent or thousands",
                );
            } else if code.starts_with('#') && code.ends_with(['!', '?', 'A']) {
                faults.add(
                    file,
                    row.line,
                    format!("\"{column}\" is a spreadsheet's error mark"),
                    "type the code again, as text",
                );
            } else if zeros.is_some_and(|length| is_number(code) && code.len() < length) {
                faults.add(
                    file,
                    row.line,
                    format!("\"{column}\" is shorter than the others: its leading zero was lost"),
                    "type the code again, as text",
                );
            }
        }
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// 02-Jan, Jan-26, 01-Feb-26, 01/02/2026, 1/2/26, 2026-02-01, 1:02.
fn looks_like_date(code: &str) -> bool {
    const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let month = |t: &str| MONTHS.contains(&t.to_ascii_lowercase().as_str());
    let short = |t: &str| is_number(t) && t.len() <= 2;
    let year = |t: &str| is_number(t) && matches!(t.len(), 2 | 4);
    let parts = |by: char| code.split(by).collect::<Vec<_>>();
    let dashed = match parts('-').as_slice() {
        [a, b] => (short(a) && month(b)) || (month(a) && short(b)),
        [a, b, c] => (short(a) && month(b) && year(c)) || (is_number(a) && a.len() == 4 && short(b) && short(c)),
        _ => false,
    };
    let slashed = matches!(parts('/').as_slice(), [a, b, c] if short(a) && short(b) && year(c));
    let clock = matches!(parts(':').as_slice(), [a, b] if short(a) && is_number(b) && b.len() == 2);
    dashed || slashed || clock
}

/// 1,000, 100%, '01 and ="01": what a spreadsheet or its user does to keep or show a number.
fn looks_like_a_shown_number(code: &str) -> bool {
    let digits = |t: &str| t.bytes().filter(u8::is_ascii_digit).count();
    let is_of = |t: &str, more: &[char]| digits(t) > 0 && t.chars().all(|c| c.is_ascii_digit() || more.contains(&c));
    let quoted = code.strip_prefix('\'').or_else(|| code.strip_prefix("=\"").and_then(|t| t.strip_suffix('"')));
    let percent = code.strip_suffix('%').is_some_and(is_number);
    // 1,000: what lies behind the first comma is threes of digits. 1,2 is two codes.
    let mut parts = code.split(',');
    let first = parts.next().is_some_and(|p| is_number(p) && p.len() <= 3);
    let thousands = code.contains(',') && first && parts.all(|p| is_number(p) && p.len() == 3);
    percent || quoted.is_some_and(|t| is_of(t, &['.'])) || thousands
}

/// A word that looks like one of our enum names must be one.
fn check_words(file: &str, rows: &[Row], faults: &mut Faults) {
    for row in rows.iter().filter(|r| {
        r.ours.contains('_') && r.ours.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    }) {
        if !input::is_enum_word(&row.ours) {
            let near = input::enum_like(&row.ours).into_iter().flat_map(input::words_of);
            faults.add(file, row.line, format!("\"{}\" is not a word of ours", row.ours), suggest(&row.ours, near));
        }
    }
}

fn one_way<'r>(
    file: &str,
    rows: &'r [Row],
    pair: fn(&Row) -> (&String, &String),
    mark: &str,
    column: &str,
    faults: &mut Faults,
) -> HashMap<String, String> {
    let mut groups: HashMap<&String, Vec<&'r Row>> = HashMap::new();
    for row in rows {
        groups.entry(pair(row).0).or_default().push(row);
    }
    let mut way = HashMap::new();
    for (key, group) in groups {
        let marked: Vec<_> = group.iter().filter(|r| r.note.contains(mark)).collect();
        for (i, row) in group.iter().enumerate() {
            if column == "ours" && group[..i].iter().any(|r| r.theirs == row.theirs) {
                faults.0.push(Fault::new(file, row.line, "the same row stands above", "remove one of the two"));
            }
        }
        let row = match (group.as_slice(), marked.as_slice()) {
            ([one], _) => one,
            (_, [one]) => one,
            (all, marks) => {
                let what = if marks.is_empty() { "and none is marked" } else { "and more than one is marked" };
                let line = all.last().map_or(0, |r| r.line);
                let hint = format!("write {mark} into the note of the one row to use");
                faults.add(file, line, format!("\"{column}\" stands in {} rows {what}", all.len()), hint);
                continue;
            }
        };
        way.insert(key.clone(), pair(row).1.clone());
    }
    way
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> (CodeTable, Vec<String>) {
        let mut faults = Faults::default();
        let table = CodeTable::read("codes/t.csv", text, Missing::Error, &mut faults);
        let shown = faults.into_result(()).err().unwrap_or_default().iter().map(ToString::to_string).collect();
        (table, shown)
    }

    #[test]
    fn a_table_is_read_both_ways_and_lacks_what_it_lacks() {
        let (t, faults) = table("ours,theirs,note\r\na,1,\r\nb,2,\"x, y\"\r\n");
        assert_eq!(faults, Vec::<String>::new());
        assert_eq!((t.theirs("a"), t.ours("2"), t.theirs("c"), t.ours("")), (Some("1"), Some("b"), None, None));
        let t = CodeTable { missing: Missing::Replace("z".into()), ..t };
        assert_eq!(t.theirs("c"), Some("z"));
    }

    #[test]
    fn competing_rows_need_one_mark_each_way() {
        let (_, faults) = table("ours,theirs,note\na,1,\na,M,\n");
        assert_eq!(
            faults,
            [
                "codes/t.csv:3: \"ours\" stands in 2 rows and none is marked; write [write] into the note of the one row to use"
            ]
        );
        let (t, faults) = table("ours,theirs,note\na,1,[write]\na,M,\n");
        assert_eq!(faults, Vec::<String>::new());
        assert_eq!((t.theirs("a"), t.ours("1"), t.ours("M")), (Some("1"), Some("a"), Some("a")));
        let (_, faults) = table("ours,theirs,note\na,1,\nb,1,\n");
        assert!(faults[0].contains("[read]"));
        assert!(!table("ours,theirs,note\na,1,\na,1,\n").1.is_empty());
    }

    #[test]
    fn a_table_in_any_case_reads_small_letters_as_capitals() {
        let (t, _) = table("ours,theirs,note\na,Y,[write]\na,Yes,\nb,N,\n");
        assert_eq!(t.ours("y"), None);
        let mut faults = Faults::default();
        let t = t.in_any_case(&mut faults);
        assert_eq!((t.ours("y"), t.ours("YES"), t.ours("n"), t.theirs("A")), (Some("a"), Some("a"), Some("b"), None));
        assert!(faults.into_result(()).is_ok());
        let mut faults = Faults::default();
        table("ours,theirs,note\na,m,\nb,M,\n").0.in_any_case(&mut faults);
        assert!(faults.into_result(()).is_err(), "minutes are no months");
    }

    #[test]
    fn spreadsheet_damage_is_named_with_its_line() {
        for (row, word) in [
            ("a,9.19E+07", "exponent"),
            ("a,01-Feb", "date"),
            ("a,Feb-01", "date"),
            ("a,1 ", "space"),
            ("a,\u{a0}1", "space"),
            ("a,#N/A", "error mark"),
            ("a,", "empty"),
            ("a,3", "leading zero"),
        ] {
            let (_, faults) = table(&format!("ours,theirs,note\nx,01,\n{row},\n"));
            assert!(faults.iter().any(|f| f.starts_with("codes/t.csv:3:") && f.contains(word)), "{row}: {faults:?}");
        }
        assert!(table("ours,theirs\na,1\n").1.iter().any(|f| f.contains("ours,theirs,note")));
        assert!(table("ours,theirs,note\na,1\n").1.iter().any(|f| f.contains("columns")));
    }

    #[test]
    fn what_a_spreadsheet_saved_otherwise_is_one_fault() {
        for (text, wanted) in [
            (
                "ours;theirs;note\na;1;\nb;2;\n",
                "codes/t.csv:1: the first line has semicolons between its columns; save the table as comma-separated (spreadsheets: \"CSV UTF-8\")",
            ),
            (
                "ours\ttheirs\tnote\na\t1\t\n",
                "codes/t.csv:1: the first line has tabs between its columns; save the table as comma-separated (spreadsheets: \"CSV UTF-8\")",
            ),
            (
                "ours,theirs,note\na,1,\n,,\n,,\n",
                "codes/t.csv:3: 2 rows without anything in them begin here; remove them: spreadsheets leave them behind",
            ),
        ] {
            assert_eq!(table(text).1, [wanted], "{text}");
        }
    }

    #[test]
    fn a_misspelt_word_of_ours_is_found() {
        let (_, faults) = table("ours,theirs,note\nGENDER_MAIL,1,\nGENDER_FEMALE,2,\n");
        assert_eq!(faults, ["codes/t.csv:2: \"GENDER_MAIL\" is not a word of ours; did you mean \"GENDER_MALE\"?"]);
    }
}
