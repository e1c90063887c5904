//! Messages that others wrote, read from the folder that IPS_SHARED names: each is read whole or refused with a reason.

use ips_bridge::adapter::hl7::{Batch, Charset, Message, Reading, Segment, Unreadable, escape, rules};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn corpus() -> Option<PathBuf> {
    let Some(shared) = std::env::var_os("IPS_SHARED") else {
        eprintln!("skipped: IPS_SHARED is not set");
        return None;
    };
    Some(Path::new(&shared).join("corpus"))
}

/// Rows of a table with a heading line.
fn rows(path: &Path) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(path).expect("the table is there");
    text.lines().skip(1).map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

/// Lines that are not blank, counted without the code under test.
fn lines_sent(bytes: &[u8]) -> usize {
    let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let is_text = |b: &u8| !matches!(b, b' ' | b'\t' | 0x0B | 0x1C);
    text.split(|b| matches!(b, b'\r' | b'\n')).filter(|line| line.iter().any(is_text)).count()
}

fn is_batch(bytes: &[u8]) -> bool {
    bytes.starts_with(b"FHS") || bytes.starts_with(b"BHS")
}

/// Reads a file as the inbound side would: a batch message by message, anything else as one.
fn read(bytes: &[u8]) -> Result<Vec<Message>, Unreadable> {
    let parts = if is_batch(bytes) { Batch::split(bytes)? } else { vec![bytes] };
    parts
        .into_iter()
        .map(|part| Message::read(part, Charset::Utf8).inspect(|message| accounts_for(message, part)))
        .collect()
}

/// Every line is a segment or set aside, and every value reads back to itself through our own escaping.
fn accounts_for(message: &Message, bytes: &[u8]) {
    assert_eq!(message.segments().len() + message.set_aside().len(), lines_sent(bytes), "a line is lost");
    for segment in message.segments() {
        let from = if segment.id() == "MSH" { 3 } else { 1 };
        for number in from..=segment.field_count() {
            for repeat in segment.field(number).repeats() {
                round_trip(segment, &repeat.component(1).subcomponent(1));
            }
        }
    }
}

fn round_trip(segment: Segment<'_>, reading: &Reading<'_>) {
    let message = segment.message();
    if let Some(text) = reading.value()
        && let Ok(escaped) = escape::escape(text, &message.delimiters(), escape::LineFeeds::Break)
    {
        assert_eq!(message.unescape(&escaped).text, text, "{} does not survive a round trip", segment.id());
    }
}

#[test]
fn every_message_others_wrote_is_read_whole_or_refused_with_a_reason() {
    let Some(corpus) = corpus() else { return };
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut files, mut read_whole, mut aside) = (0, 0, 0);
    for row in rows(&corpus.join("index.tsv")) {
        if !row[0].starts_with("hl7v2/") || row[0].contains("derived-open") {
            continue;
        }
        files += 1;
        let bytes = std::fs::read(corpus.join(&row[0])).expect("the index names files that are there");
        match read(&bytes) {
            Ok(messages) => {
                read_whole += 1;
                aside += messages.iter().map(|m| m.set_aside().len()).sum::<usize>();
                for message in &messages {
                    let _ = rules::nhs_numbers(message);
                }
            }
            Err(error) => {
                eprintln!("{}: {error}", row[0]);
                *reasons.entry(error.what).or_default() += 1;
            }
        }
        let _ = rules::check(&bytes, Charset::Utf8, rules::Limits::default());
    }
    eprintln!("{files} files, {read_whole} read, {aside} lines set aside, refused: {reasons:#?}");
    assert!(files > 500 && read_whole * 10 > files * 8, "{read_whole} of {files} read");
}

/// Rows that a reader cannot judge: the accept rules and the domain refuse or flag them later.
const JUDGED_LATER: [&str; 8] = [
    "type_unknown",
    "version_unknown",
    "procid_wrong",
    "pid_missing",
    "nhs_bad_checkdigit",
    "nhs_with_spaces",
    "dob_impossible",
    "pid_twice",
];

#[test]
fn every_damaged_message_behaves_as_listed() {
    let Some(corpus) = corpus() else { return };
    let mut wrong = Vec::new();
    let table = rows(&corpus.join("pathological.tsv"));
    for row in &table {
        let [path, mutation, expected, ..] = &row[..] else { panic!("four columns") };
        let bytes = std::fs::read(corpus.join(path)).expect("the table names files that are there");
        let result = read(&bytes);
        let right = match (expected.as_str(), &result) {
            _ if JUDGED_LATER.contains(&mutation.as_str()) => result.is_ok(),
            ("accept-or-reject" | "reject-or-flag" | "accept-or-flag", _) => true,
            ("reject", result) => result.is_err(),
            ("accept (2 messages)", Ok(messages)) => messages.len() == 2,
            ("accept (0 messages)", Ok(messages)) => messages.is_empty(),
            (accept, Ok(messages)) => accept == "accept" && messages.iter().all(|m| m.set_aside().is_empty()),
            (_, Err(_)) => false,
        };
        if let Err(error) = &result {
            eprintln!("{mutation}: {error}");
        }
        if !right {
            wrong.push(format!("{path}: expected {expected}, got {:?}", result.map(|m| m.len())));
        }
    }
    assert!(table.len() > 150 && wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn values_of_the_damaged_messages_are_what_their_makers_meant() {
    let Some(corpus) = corpus() else { return };
    let field = |name: &str, number: usize, component: usize| -> Option<String> {
        let bytes = std::fs::read(corpus.join(format!("hl7v2/derived-open/REF-I12-01__{name}.hl7")))
            .expect("the file is there");
        let message = Message::read(&bytes, Charset::Utf8).expect("readable");
        let pid = message.segments_named("PID").next().expect("PID");
        let repeat = pid.field(number).repeats().next().expect("one");
        match repeat.component(component).reading() {
            Reading::Null => Some("null".into()),
            other => other.value().map(str::to_owned),
        }
    };
    assert_eq!(field("latin1_declared_8859_1", 5, 1).as_deref(), Some("Müller"));
    assert!(field("cp1252_declared_8859_1", 5, 1).is_some_and(|t| t.contains('’')));
    assert_eq!(field("escapes_all", 5, 1).as_deref(), Some("Sm|ith^x&y~z\\"));
    assert_eq!(field("escapes_all", 5, 2).as_deref(), Some("JoAn\nb"));
    assert_eq!(field("escape_unknown", 5, 1).as_deref(), Some("Smith\\Q9\\"));
    assert_eq!(field("escape_dangling", 5, 1).as_deref(), Some("Smith\\"));
    assert_eq!(field("escape_hex_odd", 5, 1).as_deref(), Some("Smith\\X4\\"));
    assert_eq!(field("null_explicit", 11, 1).as_deref(), Some("null"));
    assert_eq!(field("delims_custom", 5, 1).as_deref(), Some("EVERYMAN"));
    assert_eq!(field("delims_five_chars", 5, 1).as_deref(), Some("EVERYMAN"));
    assert_eq!(field("delims_no_subcomponent", 5, 1).as_deref(), Some("EVERYMAN"));
}
