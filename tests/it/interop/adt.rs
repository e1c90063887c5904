//! ADT messages that others wrote: each is parsed with the values a reader would expect, or kept raw with a reason.

use crate::support::bridge::{self, Bridge, Tweaks};
use crate::support::{shared, stores};
use ips_bridge::adapter::Pack;
use ips_bridge::domain::person::{LocalIdentifier, PatientDetails};
use ips_bridge::domain::text::Private;
use ips_bridge::inbound::receive;
use ips_bridge::store::Scope;
use ips_bridge::store::read::Page;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const TAKEN: [&str; 9] =
    ["ADT^A01", "ADT^A04", "ADT^A08", "ADT^A28", "ADT^A29", "ADT^A31", "ADT^A34", "ADT^A40", "ADT^A47"];

/// Rows of a table with a heading line.
fn rows(path: &Path) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(path).expect("the table is there");
    text.lines().skip(1).map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

/// The segments of a message with the usual delimiters, parted without the code under test.
fn segments(text: &str) -> Option<Vec<Vec<&str>>> {
    let usual = text.trim_start().starts_with("MSH|^~\\&|");
    usual
        .then(|| text.split(['\r', '\n']).filter(|l| !l.is_empty()).map(|l| l.split('|').collect::<Vec<_>>()).collect())
}

fn field<'t>(segment: &[&'t str], number: usize) -> &'t str {
    segment.get(number).copied().unwrap_or_default()
}

/// Component 1, subcomponent 1 of each repetition that has one.
fn firsts(field: &str) -> BTreeSet<String> {
    let first =
        |r: &str| r.split('^').next().unwrap_or_default().split('&').next().unwrap_or_default().trim().to_owned();
    field.split('~').map(first).filter(|v| !v.is_empty() && v != "\"\"").collect()
}

fn said(value: &Value, number: &str, list: &str) -> BTreeSet<String> {
    let ids = value.get(list).and_then(Value::as_array).into_iter().flatten();
    let ids = ids.filter_map(|id| id["value"].as_str().map(str::to_owned));
    ids.chain(value.get(number).and_then(Value::as_str).map(str::to_owned)).collect()
}

/// What a reader would expect of a parsed message.
fn agrees(segments: &[Vec<&str>], makes: &str, value: &Value, wrong: &mut Vec<String>) {
    let mut expect = |what: &str, right: bool| {
        if !right {
            wrong.push(what.to_owned());
        }
    };
    let pids: Vec<_> = segments.iter().filter(|s| s[0] == "PID").collect();
    if makes == "PatientMerge" {
        let merges = value["merges"].as_array().cloned().unwrap_or_default();
        let mrgs: Vec<_> = segments.iter().filter(|s| s[0] == "MRG").collect();
        expect("one merge a PID", merges.len() == pids.len() && merges.len() == mrgs.len());
        for ((merge, pid), mrg) in merges.iter().zip(&pids).zip(&mrgs) {
            let surviving = said(merge, "surviving_nhs_number", "surviving_identifiers");
            expect("surviving identifiers", surviving == firsts(field(pid, 3)));
            expect(
                "losing identifiers",
                said(merge, "losing_nhs_number", "losing_identifiers") == firsts(field(mrg, 1)),
            );
        }
        return;
    }
    let [pid] = pids.as_slice() else { return };
    expect("identifiers", said(value, "nhs_number", "local_identifiers") == firsts(field(pid, 3)));
    if let Some(family) = value["family_name"].as_str() {
        expect("family name", firsts(field(pid, 5)).contains(family));
    }
    let born = field(pid, 7).split('^').next().unwrap_or_default();
    match value["date_of_birth"].as_str() {
        Some(date) => expect("date of birth", born.starts_with(&date.replace('-', ""))),
        None => expect(
            "no date of birth",
            born.len() < 8 || makes != "PatientChange" || value["kind"] == "PATIENT_CHANGE_KIND_REMOVED",
        ),
    }
    let died = !field(pid, 29).is_empty() && field(pid, 29) != "\"\"" || field(pid, 30) == "Y";
    expect("death", value["deceased"].as_bool().unwrap_or(false) == died);
}

#[test]
fn every_adt_of_the_corpus_is_parsed_as_a_reader_would_or_refused_with_a_reason() {
    let corpus = shared().join("corpus");
    let pack = Pack::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters/hl7v2-uk")).expect("the pack loads");
    let given =
        "sending_facility = 'RZZ'\nreceiving_application = 'EPR'\nreceiving_facility = 'RZZ'\nwithdraw_as = 'T11'";
    let settings = pack.settings(&given.parse().expect("TOML")).expect("good settings");
    let (mut parsed, mut reasons, mut wrong) =
        (BTreeMap::<String, usize>::new(), BTreeMap::<String, usize>::new(), Vec::new());
    for row in rows(&corpus.join("index.tsv")) {
        if !row[0].starts_with("hl7v2/") || row[0].contains("derived-open") || !TAKEN.contains(&row[1].as_str()) {
            continue;
        }
        let bytes = std::fs::read(corpus.join(&row[0])).expect("the index names files that are there");
        match pack.read(&bytes, &settings, "Europe/London") {
            Ok((message, faults)) if faults.is_empty() => {
                *parsed.entry(message.message_type.clone()).or_default() += 1;
                let text = String::from_utf8_lossy(&bytes);
                let Some(segments) = segments(&text) else { continue };
                let mut here = Vec::new();
                agrees(&segments, &message.makes, &message.value, &mut here);
                wrong.extend(here.into_iter().map(|what| format!("{}: {what}", row[0])));
            }
            Ok((_, faults)) => {
                for fault in faults {
                    assert!(!fault.what.is_empty());
                    *reasons.entry(format!("{}: {}", fault.field, fault.what)).or_default() += 1;
                }
            }
            Err(e) => *reasons.entry(e.to_string()).or_default() += 1,
        }
    }
    eprintln!("parsed {parsed:#?}\nrefused {reasons:#?}");
    assert!(parsed.len() >= 8 && parsed.values().sum::<usize>() > 75, "{parsed:?}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Where we answer otherwise than listed, and why.
const OURS: [(&str, &str); 2] = [
    (
        "delims_custom",
        "its maker turned the plus sign of EVN-6's offset into a point as well: no time is left to order it by",
    ),
    ("escapes_all", "a given name with a line break in it breaks the rule of names; it is kept, shown and answered AE"),
];

/// The patient that the damaged messages are about.
fn everyman() -> PatientDetails {
    let id = |authority: &str, value: &str, kind: &str| LocalIdentifier {
        assigning_authority: authority.into(),
        value: Private(value.into()),
        kind: kind.into(),
    };
    PatientDetails {
        nhs_number: ips_bridge::domain::nhs_number::NhsNumber::parse("9434765919").ok(),
        local_identifiers: vec![id("test1", "PATID1234", "MR"), id("USSSA", "123456789", "SS")],
        date_of_birth: Private(jiff::civil::date(1988, 8, 18)),
        ..bridge::patient()
    }
}

/// The codes that are answered, in whatever delimiters the message came, and what the message became.
async fn answered(bridge: &Bridge, mutation: &str, bytes: Vec<u8>) -> (Vec<String>, String) {
    let frames = receive(&bridge.source(), bytes).await;
    let code = |t: String| {
        let msa = t.split('\r').find(|s| s.starts_with("MSA"))?;
        Some(msa.get(4..6)?.to_owned())
    };
    let codes = frames.iter().filter_map(|f| code(String::from_utf8_lossy(f).into_owned())).collect();
    let page = Page { size: 1, after: None };
    let last = bridge.store.inbound_messages(&Scope::system(), None, page).await.expect("readable").pop();
    let last = last.map_or_else(String::new, |l| {
        let (state, rule) = (l.state.word(), l.rule.unwrap_or_default());
        assert!(!l.bytes.0.is_empty() || state == "IGNORED", "{mutation}: not kept");
        assert!(state != "PARKED" || !l.reason.is_empty(), "{mutation}: parked without a reason");
        format!("{state} {rule} {}", l.reason)
    });
    (codes, last)
}

/// Whether the codes are those that the table lists.
fn as_listed(expected: &str, codes: &[String]) -> bool {
    let all = |code: &str, n: usize| codes.len() == n && codes.iter().all(|c| c == code);
    match expected {
        "accept" => all("AA", 1),
        "accept (2 messages)" => all("AA", 2),
        "accept (0 messages)" => codes.is_empty(),
        "reject" => codes.iter().all(|c| c != "AA"),
        "ours" => all("AE", 1),
        _ => true,
    }
}

#[tokio::test]
async fn every_damaged_adt_of_the_interop_corpus_is_answered_as_listed_and_what_is_ours_is_kept() {
    let corpus = shared().join("corpus");
    let store = stores().next().expect("SQLite");
    let tweaks = Tweaks { without_outbox: true, patient: everyman(), ..Tweaks::default() };
    let bridge = Bridge::start(&store.url, "127.0.0.1:9".parse().expect("an address"), tweaks).await;
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for row in rows(&corpus.join("pathological.tsv")).iter().filter(|r| r[0].contains("/ADT-")) {
        let [path, mutation, expected, ..] = &row[..] else { panic!("four columns") };
        let bytes = std::fs::read(corpus.join(path)).expect("the table names files that are there");
        seen += 1;
        let expected = if OURS.iter().any(|(name, _)| name == mutation) { "ours" } else { expected.as_str() };
        let (codes, last) = answered(&bridge, mutation, bytes).await;
        if !as_listed(expected, &codes) {
            wrong.push(format!("{mutation}: expected {expected}, got {codes:?} {last}"));
        }
    }
    assert!(seen > 50 && wrong.is_empty(), "{seen} seen, {wrong:#?}");
    bridge.stop().await;
}

/// Referrals that we answer otherwise than listed, and why.
const OUR_REFERRALS: [(&str, &str); 2] = [
    ("escapes_all", "as for ADT: a given name with a line break in it"),
    ("dob_partial", "a year is no date of birth to know somebody by: a person looks at the referral"),
];

#[tokio::test]
async fn every_damaged_referral_of_the_interop_corpus_is_answered_as_listed_and_kept() {
    let corpus = shared().join("corpus");
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for row in rows(&corpus.join("pathological.tsv")).iter().filter(|r| r[0].contains("/REF-")) {
        let [path, mutation, expected, ..] = &row[..] else { panic!("four columns") };
        let bytes = std::fs::read(corpus.join(path)).expect("the table names files that are there");
        seen += 1;
        let expected = if OUR_REFERRALS.iter().any(|(name, _)| name == mutation) { "ours" } else { expected.as_str() };
        // Each is the same referral: in a record of its own.
        let store = stores().next().expect("SQLite");
        let tweaks = Tweaks { without_outbox: true, ..Tweaks::default() };
        let bridge = Bridge::start(&store.url, "127.0.0.1:9".parse().expect("an address"), tweaks).await;
        let (codes, last) = answered(&bridge, mutation, bytes).await;
        eprintln!("{mutation}: {expected}: {codes:?} {last}");
        if !as_listed(expected, &codes) {
            wrong.push(format!("{mutation}: expected {expected}, got {codes:?} {last}"));
        }
        bridge.stop().await;
    }
    assert!(seen > 50 && wrong.is_empty(), "{seen} seen, {wrong:#?}");
}
