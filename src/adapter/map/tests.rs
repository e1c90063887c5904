//! The rules of maps, held by those of the UK pack.

use super::super::pack::{Pack, ParseError};
use serde_json::{Value, json};
use std::path::Path;

const HEAD: &str = "MSH|^~\\&|EPR|RZZ|IPSBRIDGE|RZZ|20260303081500||";
const TAIL: &str = "|EPR000001300|P|2.4|||||GBR|UNICODE UTF-8|EN\rEVN||20260303081500||||20260303081455\r";

struct Said {
    fields: Value,
    nulls: Vec<String>,
    not_read: Vec<String>,
}

fn parse(message: &str) -> Result<Said, Vec<String>> {
    let pack = Pack::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters/hl7v2-uk")).expect("loads");
    let settings = pack.manifest.settings.examples();
    match pack.parse(message.as_bytes(), &settings, "Europe/London") {
        Ok(parsed) => Ok(Said {
            fields: parsed.value,
            nulls: parsed.nulls,
            not_read: pack.segments_not_read(message.as_bytes(), &settings),
        }),
        Err(ParseError::Fields(list)) => Err(list.iter().map(ToString::to_string).collect()),
        Err(e) => Err(vec![e.to_string()]),
    }
}

fn adt(event: &str, rest: &str) -> Result<Said, Vec<String>> {
    parse(&format!("{HEAD}ADT^{event}{TAIL}{rest}\r"))
}

/// An A31 about one patient, with these fields of PID.
fn person(fields: &[(usize, &str)]) -> Result<Said, Vec<String>> {
    let mut pid = vec![""; 33];
    (pid[0], pid[3], pid[5], pid[7]) = ("PID", "4471920^^^RZZ^MR", "TESTPATIENT^SAM^^^^^L", "19850412");
    for (number, value) in fields {
        pid[*number] = value;
    }
    adt("A31", &pid.join("|"))
}

fn field(of: Result<Said, Vec<String>>, name: &str) -> Value {
    of.unwrap_or_else(|e| panic!("{name}: {e:?}")).fields.pointer(name).cloned().unwrap_or(Value::Null)
}

const PID: &str = "PID|1||4471920^^^RZZ^MR||TESTPATIENT^SAM^^^^^L||19850412|9";
const REFERRED: &str = "RF1|P|R^Routine^HL70280||||REF-88213^EPR|20260301090000\rPRD|RP|ADEYEMI^TUNDE^^^MR|||||CC4410^^RZZ\rPRD|RT||||||IPS-NORTH^^RZZ\r";

fn referral(rest: &str) -> Result<Said, Vec<String>> {
    parse(&format!("{HEAD}REF^I12{TAIL}{rest}"))
}

fn told(of: Result<Said, Vec<String>>, words: &str) {
    let faults = of.err().unwrap_or_default();
    assert!(faults.iter().any(|f| f.contains(words)), "{words}: {faults:?}");
    assert!(!faults.iter().any(|f| f.contains("TESTPATIENT") || f.contains("4471920")), "{faults:?}");
}

#[test]
fn two_pids_in_a_message_about_one_patient_are_refused() {
    let other = "PID|2||4471999^^^RZZ^MR||OTHER^ALEX^^^^^L||19900101|||||||||||||||||||||||Y";
    for event in ["A01", "A03", "A08", "A28", "A29", "A31"] {
        assert!(adt(event, PID).is_ok(), "{event}");
        told(adt(event, &format!("{PID}\r{other}")), "message (from PID): is there 2 times");
        told(adt(event, "PV1|1|O"), "message (from PID): is not there");
    }
    assert!(referral(&format!("{REFERRED}{PID}\r")).is_ok());
    told(referral(&format!("{REFERRED}{PID}\r{other}\r")), "message (from PID)");
    told(referral(&format!("{REFERRED}{REFERRED}{PID}\r")), "message (from RF1)");
}

#[test]
fn an_mrg_that_is_nobodys_for_certain_is_refused() {
    let (a, c) = ("PID|1||100^^^RZZ^MR||A^A", "PID|2||300^^^RZZ^MR||C^C");
    let (b, d) = ("MRG|200^^^RZZ^MR", "MRG|400^^^RZZ^MR");
    let good = adt("A40", &[a, "PD1|", b, "PV1|1", c, d].join("\r")).map(|said| said.fields["merges"].clone());
    assert_eq!(good.map(|m| m.as_array().map_or(0, Vec::len)), Ok(2));
    for (segments, words) in [
        (vec![b, a, d, c], "MRG): stands before the first PID"),
        (vec![a, b, c], "behind PID number 2"),
        (vec![a, c, d], "behind PID number 1"),
        (vec![a, b, d], "behind PID number 1"),
        (vec![b], "stands before the first PID"),
    ] {
        told(adt("A40", &segments.join("\r")), words);
    }
}

#[test]
fn a_death_is_told_in_many_words_and_another_word_is_refused() {
    for (sent, is) in
        [("Y", true), ("y", true), ("YES", true), ("true", true), ("T", true), ("1", true), ("2", true), ("D", true)]
            .into_iter()
            .chain([("N", false), ("no", false), ("0", false), ("F", false), ("FALSE", false)])
    {
        assert_eq!(field(person(&[(30, sent)]), "/deceased"), json!(is), "{sent}");
        assert_eq!(field(adt("A29", &format!("{PID}{}{sent}", "|".repeat(22))), "/deceased"), json!(is), "{sent}");
    }
    for sent in ["", "\"\"", "U", "u"] {
        let said = person(&[(30, sent)]).expect("taken");
        assert_eq!((said.fields.get("deceased"), said.nulls.len()), (None, usize::from(sent == "\"\"")), "{sent}");
    }
    for sent in ["X", "DEAD?", "3", "Yes, at home"] {
        told(person(&[(30, sent)]), "deceased (from PID-30.1, PID-30.2): holds a code");
    }
    for flag in ["N", "U", "X", ""] {
        assert_eq!(field(person(&[(29, "20260301"), (30, flag)]), "/deceased"), json!(true), "a date says it: {flag}");
    }
}

#[test]
fn an_authority_named_by_its_oid_is_never_the_sender() {
    for (id, authority) in [
        ("447^^^&2.16.840.1.99&ISO^MR", Some("2.16.840.1.99")),
        ("447^^^RZZ&2.16.840.1.99&ISO^MR", Some("RZZ")),
        ("447^^^^MR", Some("RZZ")),
        ("447^^^&&^MR", Some("RZZ")),
        ("447^^^\"\"^MR", Some("RZZ")),
        ("447^^^&&ISO^MR", None),
    ] {
        let said =
            person(&[(3, id)]).ok().and_then(|s| s.fields.pointer("/local_identifiers/0/assigning_authority").cloned());
        assert_eq!(said, authority.map(Value::from), "{id}");
    }
}

#[test]
fn the_nhs_number_is_known_by_every_name_it_goes_by_and_is_no_local_identifier() {
    for id in [
        "9990000018^^^NHS^NH",
        "9990000018^^^nhs^nh",
        "9990000018^^^NHS&2.16.840.1.113883.2.1.4.1&ISO^PI",
        "9990000018^^^NHS&2.16.840.1.113883.2.1.4.1&ISO",
        "9990000018^^^&2.16.840.1.113883.2.1.4.1&ISO^MR",
        "9990000018^^^2.16.840.1.113883.2.1.4.1",
        "9990000018^^^NHSNBR^NHSNMBR",
        "9990000018^^^^NHSNMBR",
        "9990000018^^^NHSNO^NHSNO",
        "9990000018^^^SPINE^NHSN",
        "9990000018^^^NHSE^NI",
        "9990000018^^^GBR^NNGBR",
        "9990000018^^^^NNGBR",
        "9990000018^^^ NHS ^",
        "9990000018^8^M11^NHS^NH",
        "9990000018^^^NHS",
        "9990000018^^^NH",
        "9990000018^^^^NH",
    ] {
        let said = person(&[(3, id)]).expect("taken");
        assert_eq!(said.fields["nhs_number"], json!("9990000018"), "{id}");
        assert_eq!(said.fields.get("local_identifiers"), None, "{id}");
        let merged = adt("A40", &format!("{PID}\rMRG|{id}")).expect("taken").fields["merges"][0].clone();
        assert_eq!(merged["losing_nhs_number"], json!("9990000018"), "{id}");
        assert_eq!(merged.get("losing_identifiers"), None, "{id}");
    }
    for id in [
        "9990000018^^^NHSE^MR",
        "9990000018^^^CHI^NNGBR",
        "9990000018^^^&1.2.3&ISO^NNGBR",
        "9990000018^^^HSNI^NI",
        // A hospital's number, whoever gave it.
        "9990000018^^^NHS^HospitalNumber",
        "9990000018^^^NH^MR",
        "9990000018^^^NHSN",
        "4471920^^^NHSN^MR",
    ] {
        let said = person(&[(3, id)]).expect("taken");
        assert_eq!(said.fields.get("nhs_number"), None, "{id}");
    }
}

#[test]
fn one_nhs_number_written_in_two_ways_is_one_and_two_numbers_are_refused() {
    let twice = person(&[(3, "9990000018^^^NHS^NH~999 000 0018^^^NHS^NH")]);
    assert_eq!(field(twice, "/nhs_number"), json!("9990000018"));
    told(person(&[(3, "9990000018^^^NHS^NH~9990000026^^^NHS^NH")]), "different values");
    told(person(&[(3, "9990000018^^^NHS^NH~9990000019^^^NHS^NH")]), "different values");
    told(person(&[(3, "9990000018^^^NHS^NH~\"\"^^^NHS^NH")]), "different values");
}

#[test]
fn a_name_is_taken_whole_from_one_repetition() {
    for (name, family, given) in [
        ("SMITH^^^^^^L~JONES^ANN", json!("SMITH"), Value::Null),
        ("JONES^ANN~SMITH^SAM^^^^^L", json!("SMITH"), json!("SAM")),
        ("SMITH^SAM^^^^^L~SMITH^SAM^^^^^L^", json!("SMITH"), json!("SAM")),
        // The same one, told more fully.
        ("SMITH^SAM~SMITH^SAM^J^^MR", json!("SMITH"), json!("SAM J")),
        ("SMITH^SAM^J^^MR~SMITH^SAM", json!("SMITH"), json!("SAM J")),
        ("SMITH^SAM^J~SMITH^SAM^^^MR", Value::Null, Value::Null),
        ("SMITH^SAM~SMITH^\"\"^J", Value::Null, Value::Null),
        ("^^^^^^L~JONES^ANN", json!("JONES"), json!("ANN")),
        ("SMITH^SAM^^^^^M~JONES^ALEX^^^^^A", Value::Null, Value::Null),
        ("SMITH^SAM^^^^^l~JONES^ALEX", json!("SMITH"), json!("SAM")),
        ("SMITH^SAM^^^^^CURRENT~OLD^ANN^^^^^PREVIOUS", json!("SMITH"), json!("SAM")),
        // A change, and a death in it, is not held up by a name that is not clear: all of them are told to compare with.
        ("SMITH^SAM^^^^^L~SMITH^ALEX^^^^^L", Value::Null, Value::Null),
    ] {
        let said = person(&[(5, name)]).unwrap_or_else(|e| panic!("{name}: {e:?}")).fields;
        let at = |key: &str| said.get(key).cloned().unwrap_or(Value::Null);
        assert_eq!((at("family_name"), at("given_names")), (family, given), "{name}");
    }
    told(referral(&format!("{REFERRED}{}\r", PID.replace("TESTPATIENT^SAM^^^^^L", "SMITH^^^^^^L~JONES^ANN"))), "given");
}

#[test]
fn an_address_is_taken_whole_from_one_repetition_or_not_at_all() {
    let home = "1 New St^^Leeds^^LS1 1AA^^H";
    for (sent, lines, city) in [
        ("1 New St^^Leeds^^LS1 1AA^^H~2 Old Rd^Flat B^York^^YO1 2BB", json!(["1 New St"]), json!("Leeds")),
        ("^^^^LS1 1AA^^H~2 Old Rd^Flat B^York", Value::Null, Value::Null),
        ("1 New St^^Leeds^^^^H~2 Old Rd^^Leeds^^^^H", Value::Null, Value::Null),
        ("2 Old Rd^^York^^^^P~3 Third^^Hull", json!(["2 Old Rd"]), json!("York")),
        ("2 Old Rd^^York^^^^HOME", json!(["2 Old Rd"]), json!("York")),
        ("2 Old Rd^^York^^^^C", Value::Null, Value::Null),
        ("2 Old Rd^^York^^^^M~3 Third^^Hull^^^^L", Value::Null, Value::Null),
    ] {
        let said = person(&[(11, sent)]).expect("taken");
        let at = |key: &str| said.fields.pointer(key).cloned().unwrap_or(Value::Null);
        assert_eq!((at("/address/lines"), at("/address/city")), (lines, city), "{sent}");
        assert_eq!(said.nulls, Vec::<String>::new());
    }
    assert_eq!(field(person(&[(11, &format!("{home}~{home}"))]), "/address/postcode"), json!("LS1 1AA"));
    assert_eq!(person(&[(11, "\"\"")]).expect("taken").nulls, ["address.lines"]);
}

#[test]
fn a_phone_is_read_from_whichever_component_holds_it() {
    for (sent, phone) in [
        ("07700 900123^PRN^CP", json!("07700 900123")),
        ("^PRN^PH^^44^0238^0999999", json!("0238 0999999")),
        ("^PRN^CP^^44^7700^900001", json!("+44 7700 900001")),
        ("^PRN^CP^^^07700^900001", json!("07700 900001")),
        ("^PRN^PH^^44^113^2000000^45", Value::Null),
        ("07700900009^EMR^CP~01132000000^PRN^PH", json!("01132000000")),
        ("07700900009^WPN^CP", Value::Null),
        ("^PRN^CP^^^^^^^^^07700 900123", json!("07700 900123")),
        ("02380999999^PRN^PH~07700 900123^PRN^CP", json!("07700 900123")),
        ("07700 900123^PRN^CP~07700 900456^PRN^CP", Value::Null),
        ("0238^WPN^PH", Value::Null),
        ("^NET^Internet^sam@example.org~02380999999^PRN^PH", json!("02380999999")),
        ("02380999999", json!("02380999999")),
        ("sam@example.org", Value::Null),
        ("sam@example.org^PRN^PH~02380999999^PRN^PH", json!("02380999999")),
        ("^PRN^^sam@example.org~02380999999^PRN^PH", json!("02380999999")),
        ("sam@example.org^NET^CP~07700 900123^PRN^CP", json!("07700 900123")),
    ] {
        assert_eq!(field(person(&[(13, sent)]), "/phone"), phone, "{sent}");
    }
    assert_eq!(person(&[(13, "\"\"")]).expect("taken").nulls, ["phone"]);
}

#[test]
fn identifiers_without_a_value_are_skipped() {
    for ids in
        ["447^^^RZZ^MR~^^^RBV^DIST", "447^^^RZZ^MR~\"\"^^^RZZ^PI", "447^^^RZZ^MR~~^^^^EXT", " ^^^A^B~447^^^RZZ^MR"]
    {
        let said = field(person(&[(3, ids)]), "/local_identifiers");
        assert_eq!(said, json!([{"value": "447", "assigning_authority": "RZZ", "type": "MR"}]), "{ids}");
        let merged = field(adt("A40", &format!("{PID}\rMRG|{ids}")), "/merges/0/losing_identifiers");
        assert_eq!(merged, said, "{ids}");
    }
    let asked = REFERRED.replace("REF-88213^EPR", "REF-88213^EPR~^OTHER");
    let said = field(referral(&format!("{asked}{PID}\r")), "/details/external_ids");
    assert_eq!(said, json!([{"value": "REF-88213", "system": "EPR"}]));
}

#[test]
fn a_gender_nobody_knows_holds_back_nothing_else() {
    let said = person(&[(8, "Q"), (30, "Y")]).expect("taken");
    assert_eq!((said.fields.get("gender"), &said.fields["deceased"]), (None, &json!(true)));
    for (sent, gender) in [
        ("m", "GENDER_MALE"),
        ("Female", "GENDER_FEMALE"),
        ("A", "GENDER_NOT_SPECIFIED"),
        ("I", "GENDER_NOT_SPECIFIED"),
        ("N", "GENDER_NOT_KNOWN"),
    ] {
        assert_eq!(field(person(&[(8, sent)]), "/gender"), json!(gender), "{sent}");
    }
}

#[test]
fn a_message_that_is_a_piece_of_one_is_refused() {
    told(adt("A31", &format!("{PID}\rDSC|17^A")), "message (from DSC): says that it is continued");
    // Whole, whatever its sender has put into MSH-14.
    let whole = format!("{HEAD}ADT^A31|EPR000001300|P|2.4||17^A|||GBR|UNICODE UTF-8|EN\rEVN||20260303081500\r{PID}\r");
    assert!(parse(&whole).is_ok());
}

#[test]
fn a_referral_that_is_over_or_about_somebody_dead_is_refused() {
    for status in ["R", "E", "r^Rejected", "C", "CANCELLED", "X"] {
        let sent = REFERRED.replacen("RF1|P|", &format!("RF1|{status}|"), 1);
        told(referral(&format!("{sent}{PID}\r")), "accept (from RF1-1.1 else RF1-1.2");
    }
    for words in ["^Rejected", "^^^^Cancelled", "R^Pending"] {
        let sent = REFERRED.replacen("RF1|P|", &format!("RF1|{words}|"), 1);
        told(referral(&format!("{sent}{PID}\r")), "the status of the referral");
    }
    for status in ["", "A", "p", "NEW", "^Pending", "P^as we agreed"] {
        let sent = REFERRED.replacen("RF1|P|", &format!("RF1|{status}|"), 1);
        assert!(referral(&format!("{sent}{PID}\r")).is_ok(), "{status}");
    }
    let of = |died_on: &str, dead: &str| referral(&format!("{REFERRED}{PID}{}{died_on}|{dead}\r", "|".repeat(21)));
    for (died_on, dead) in [("", "Y"), ("20260301", ""), ("20260301", "N")] {
        assert_eq!(field(of(died_on, dead), "/patient_deceased"), json!(true), "{died_on} {dead}");
    }
    told(of("", "X"), "holds a code that table \"death\" lacks");
    assert_eq!(field(of("", "N"), "/patient_deceased"), json!(false));
}

#[test]
fn a_letter_that_travels_with_a_referral_is_part_of_its_reason() {
    let letter = "NTE|1||Please see.\rOBX|1|FT|L^Letter||Wants part-time\\.br\\retail work.\rOBX|2|NM|W^Weight||70\rOBX|3|TX|L||Prefers text.\r";
    let said = field(referral(&format!("{REFERRED}{PID}\r{letter}")), "/details/reason");
    assert_eq!(said, json!("Please see.\nWants part-time\nretail work.\nWeight: 70\nPrefers text."));
}

#[test]
fn a_comment_stands_behind_what_it_is_a_comment_on() {
    let rows = "NTE|1||Please see.\rOBX|1|CE|Q^Risk to others||N^None\rNTE|1||Not true since May.\rNTE|2||\rNTE|3||See letter.\rOBX|2|TX|L||Prefers text.";
    let said = field(referral(&format!("{REFERRED}{PID}\r{rows}\r")), "/details/reason");
    assert_eq!(said, json!("Please see.\nRisk to others: None\nNot true since May.\n\nSee letter.\nPrefers text."));
    // A text of several rows is asked for again where a comment parts it.
    let rows = "OBX|1|ST|L^Plan||one\rNTE|1||Agreed.\rOBX|2|ST|L^Plan||two";
    let said = field(referral(&format!("{REFERRED}{PID}\r{rows}\r")), "/details/reason");
    assert_eq!(said, json!("Plan: one\nAgreed.\nPlan: two"));
}

#[test]
fn what_a_referral_carries_beside_its_text_is_told_in_it() {
    let also = |what: &str| format!("[The referral also carried: {what}, not shown here; see the referral in the EPR]");
    for (row, what) in [
        ("DG1|1||F20.0^Paranoid schizophrenia^I10", "a diagnosis (DG1)"),
        ("DG1|1|I10||Paranoid schizophrenia", "a diagnosis (DG1)"),
        ("AL1|1|DA|^Penicillin", "an allergy or alert (AL1)"),
        ("PR1|1||X65^Detoxification", "a procedure (PR1)"),
        ("OBR|1|||IPS^Individual placement and support", "what was asked for (OBR)"),
        ("PV1|1|O\rPV2|||^Relapse", "a reason for admission (PV2)"),
    ] {
        let said = field(referral(&format!("{REFERRED}{PID}\r{row}\rNTE|1||Wants work.\r")), "/details/reason");
        assert_eq!(said, json!(format!("Wants work.\n{}", also(what))), "{row}");
        assert_eq!(field(referral(&format!("{REFERRED}{PID}\r{row}\r")), "/details/reason"), json!(also(what)));
        let changed = |text: &str| parse(&format!("{HEAD}REF^I13{TAIL}{REFERRED}{PID}\r{row}\r{text}"));
        assert_eq!(field(changed("NTE|1||Nights now.\r"), "/reason"), json!(format!("Nights now.\n{}", also(what))));
        assert_eq!(field(changed(""), "/reason"), Value::Null, "an older text stays what it is: {row}");
    }
}

#[test]
fn only_what_may_be_an_nhs_number_in_pid_19_has_a_person_look() {
    let with = |number: &str| referral(&format!("{REFERRED}{PID}{}{number}\r", "|".repeat(11)));
    for number in ["220917255", "9990000019", "123-45-6789", "DL T05349638"] {
        assert_eq!(with(number).map(|_| ()), Ok(()), "{number}");
    }
    for number in ["9990000018", "999 000 0018"] {
        told(with(number), "PID-19 holds what may be the NHS number");
    }
}

#[test]
fn a_name_where_a_code_belongs_is_no_code_and_keeps_nobody_out() {
    let placed = REFERRED.replacen("MR|||||CC4410^^RZZ", "MR||^^^GENERAL FACILITY|||PLN1001^SL", 1);
    let said = referral(&format!("{placed}{PID}\r")).expect("taken").fields;
    assert_eq!(said.pointer("/details/referrer_ods"), None);
    let placed = REFERRED.replacen("MR|||||CC4410^^RZZ", "MR||^^^rz9|||PLN1001^SL", 1);
    assert_eq!(field(referral(&format!("{placed}{PID}\r")), "/details/referrer_ods"), json!("RZ9"));
}

#[test]
fn segments_that_no_row_looks_at_are_named() {
    let said = referral(&format!("{REFERRED}{PID}\rNK1|1|ROE^JO\rZPI|1|x\rNK1|2|ROE^AL\rNTE|1||Wants work.\r"));
    assert_eq!(said.expect("taken").not_read, ["EVN", "NK1", "ZPI"]);
    assert_eq!(adt("A31", &format!("{PID}\rPD1|||X^^E82001\rGT1|1")).expect("taken").not_read, ["GT1"]);
}

#[test]
fn an_answer_in_a_referral_comes_with_its_question() {
    for (rows, reason) in [
        ("OBX|1|ST|Q1^Hours wanted^L||16", "Hours wanted: 16"),
        ("OBX|1|CE|Q1^Risk to others^L||H^High^L", "Risk to others: High"),
        ("OBX|1|NM|W^Weight||70|kg", "Weight: 70 kg"),
        ("OBX|1|SN|A^Age at first job||>^16", "Age at first job: >16"),
        ("OBX|1|ST|Q1||yes", "Q1: yes"),
        ("OBX|1|ST|||yes", "yes"),
        ("OBX|1|ST|L^Plan||one\rOBX|2|ST|L^Plan||two", "Plan: one\ntwo"),
        ("OBX|1|CE|L^Seen||A^Ann\rOBX|2|CE|L^Seen||B^Bo", "Seen: Ann\nSeen: Bo"),
        ("OBX|1|CE|L^Seen||A^Ann~B^Bo", "Seen: Ann, Bo"),
        ("OBX|1|TX|L^Letter||a~~b\rOBX|2|ST|Q^Asked||\rOBX|3|ST|Q^Asked||\"\"", "a\n\nb"),
        (
            "OBX|1|ED|F^Form||^AP^PDF^Base64^JVBERi0=",
            "Form: [The message also carried: a document (OBX 1), not shown here; see the message in the EPR]",
        ),
        ("OBX|1|XCN|S^Seen by||17^SMITH^SAM", "Seen by: 17 SMITH SAM"),
    ] {
        let said = field(referral(&format!("{REFERRED}{PID}\r{rows}\r")), "/details/reason");
        assert_eq!(said, json!(reason), "{rows}");
    }
}

#[test]
fn a_letter_as_long_as_a_note_is_taken_whole() {
    let line = "Wants part-time retail work, and has worked nights. ".repeat(700);
    let said = field(referral(&format!("{REFERRED}{PID}\rOBX|1|TX|L||{line}\r")), "/details/reason");
    let reason = said.as_str().expect("a reason");
    assert!(reason.chars().count() > 36_000 && reason.trim() == line.trim());
    assert_eq!(super::super::form::referral::REASON_MAX, 100_000);
}

#[test]
fn a_number_counts_as_verified_only_where_nothing_in_the_message_speaks_against_it() {
    let number = "9990000018^^^NHS^NH";
    for (sent, wanted) in [
        ("NSTS01", "VERIFIED"),
        ("01", "VERIFIED"),
        ("NSTS01~01", "VERIFIED"),
        ("NSTS01~AL~US", "VERIFIED"),
        ("NSTS01~NSTS02", "NOT_TRACED"),
        ("NSTS04~NSTS01", "NOT_TRACED"),
        ("NSTS01~NSTS07", "NOT_TRACED"),
        ("NSTS01~NSTS08", "NOT_TRACED"),
        ("NSTS04", "NO_SINGLE_MATCH"),
    ] {
        let wanted = json!(format!("NHS_NUMBER_STATUS_{wanted}"));
        assert_eq!(field(person(&[(3, number), (32, sent)]), "/nhs_number_status"), wanted, "{sent}");
        let pid = PID.replace("4471920^^^RZZ^MR", number);
        let referred = field(
            referral(&format!("{REFERRED}{pid}{}{sent}\r", "|".repeat(24))),
            "/patient_details/nhs_number_status",
        );
        assert_eq!(referred, wanted, "{sent}");
    }
    let of_referral = |sent: &str| {
        let pid = PID.replace("4471920^^^RZZ^MR", number);
        field(referral(&format!("{REFERRED}{pid}{}{sent}\r", "|".repeat(24))), "/patient_details/nhs_number_status")
    };
    for sent in ["NSTS07", "NSTS08", "", "AL"] {
        assert_eq!(of_referral(sent), json!("NHS_NUMBER_STATUS_NOT_TRACED"), "{sent}");
    }
    assert_eq!(field(person(&[(3, number), (32, "AL")]), "/nhs_number_status"), Value::Null, "it says nothing of it");
}

#[test]
fn a_referral_tells_every_family_name_it_knows() {
    let pid = PID
        .replace("TESTPATIENT^SAM^^^^^L", "WED^SAM^^^^^L~TESTPATIENT^SAM^^^^^M")
        .replace("19850412|9", "19850412|9|ALIAS^SAM");
    let said = referral(&format!("{REFERRED}{pid}\r")).expect("taken").fields;
    assert_eq!(said["other_family_names"], json!(["WED", "TESTPATIENT", "ALIAS"]));
    assert_eq!(said["patient_details"]["name"]["family"], json!("WED"));
}

#[test]
fn further_events_are_read_by_the_map_of_their_kind() {
    for event in ["A18", "A30", "A34", "A36", "A39", "A40"] {
        let said = adt(event, &format!("{PID}\rMRG|4470001^^^RZZ^MR")).unwrap_or_else(|e| panic!("{event}: {e:?}"));
        assert_eq!(said.fields["kind"], json!("PATIENT_MERGE_KIND_MERGE"), "{event}");
    }
    assert_eq!(field(adt("A03", PID), "/kind"), json!("PATIENT_CHANGE_KIND_UPDATED"));
}

#[test]
fn a_birth_date_with_something_behind_it_is_refused() {
    for sent in ["19850412X", "198504121", "19850412 approx"] {
        told(person(&[(7, sent)]), "date_of_birth (from PID-7.1?): is not a date");
    }
    assert_eq!(field(person(&[(7, "1985-04-12")]), "/date_of_birth"), json!("1985-04-12"));
}

#[test]
fn what_is_marked_as_wrong_or_deleted_is_never_the_reason_and_never_vanishes() {
    for status in ["W", "D", "X", "w"] {
        let rows = format!("OBX|1|TX|L^Letter||Correct.||||||F\rOBX|2|TX|L^Letter||Of somebody else.||||||{status}");
        let said = field(referral(&format!("{REFERRED}{PID}\r{rows}\r")), "/details/reason");
        let reason = said.as_str().expect("a reason");
        assert!(reason.starts_with("Correct.\n[The message also carried: ") && reason.contains("(OBX 2)"), "{reason}");
        assert!(!reason.contains("somebody"), "{status}");
        told(
            parse(&format!("{HEAD}REF^I13{TAIL}{REFERRED}{PID}\r{rows}\r")),
            "a person has to look at what was told before",
        );
    }
}

#[test]
fn what_stands_in_the_words_of_a_coded_field_counts() {
    let with = |from: &str, to: &str| referral(&format!("{}{PID}\r", REFERRED.replacen(from, to, 1)));
    assert_eq!(field(with("R^Routine^HL70280", "^Urgent"), "/details/priority"), json!("REFERRAL_PRIORITY_URGENT"));
    told(with("R^Routine^HL70280", "^Whenever"), "holds a code that table \"priority\" lacks");
    let died = referral(&format!("{REFERRED}{PID}{}|^Y\r", "|".repeat(21)));
    assert_eq!(field(died, "/patient_deceased"), json!(true));
    assert_eq!(field(person(&[(30, "^Y")]), "/deceased"), json!(true));
}

#[test]
fn whoever_is_marked_as_shielded_in_any_way_is_so() {
    let pid = format!("{PID}|||1 New St^^Leeds^^LS1 1AA^^H||07700 900123^PRN^CP");
    for (shield, is_shielded) in [
        ("Y", true),
        ("N~Y", true),
        ("N\rZU8||||Y", true),
        ("^Y", true),
        ("R", true),
        ("N", false),
        ("no", false),
        ("", false),
    ] {
        // What is marked so is kept without address and phone by the store.
        let referred = field(referral(&format!("{REFERRED}{pid}\rZU8||||{shield}\r")), "/location_shielded");
        assert_eq!(referred, if is_shielded { json!(true) } else { Value::Null }, "{shield}");
        let said = field(adt("A31", &format!("{pid}\rZU8||||{shield}")), "/location_shielded");
        assert_eq!(said, if shield.is_empty() { Value::Null } else { json!(is_shielded) }, "{shield}");
    }
}

#[test]
fn a_death_is_heard_where_a_stay_ends_by_it_and_not_in_a_blank() {
    let stay = |disposition: &str| adt("A03", &format!("{PID}\rPV1|1|I{}{disposition}", "|".repeat(34)));
    for (sent, dead) in [
        ("79", json!(true)),
        ("20^Expired", json!(true)),
        ("^Deceased", json!(true)),
        ("19", Value::Null),
        ("", Value::Null),
    ] {
        assert_eq!(field(stay(sent), "/deceased"), dead, "{sent}");
    }
    assert_eq!(field(person(&[(29, " ")]), "/deceased"), Value::Null);
    assert_eq!(field(person(&[(29, " "), (30, "N")]), "/deceased"), json!(false));
    assert_eq!(person(&[(30, "\"\"")]).expect("taken").nulls, ["deceased"]);
}

#[test]
fn what_has_ended_or_not_begun_is_not_looked_at() {
    let old = "Old St^^Leeds^^^^H^^^^^";
    for sent in ["20100101&20150101", "^20100101^20150101", "^^20260302", "20260401&", "&2015", "^20270101"] {
        assert_eq!(field(person(&[(11, &format!("{old}{sent}"))]), "/address"), Value::Null, "{sent}");
        let both = format!("{old}{sent}~New St^^York^^^^H");
        assert_eq!(field(person(&[(11, &both)]), "/address/city"), json!("York"), "{sent}");
    }
    for sent in ["20100101&20260303", "20100101", "^20100101^20270101"] {
        assert_eq!(field(person(&[(11, &format!("{old}{sent}"))]), "/address/city"), json!("Leeds"), "{sent}");
    }
    let ids = field(person(&[(3, "OLD1^^^RZZ^MR^^20100101^20150101~NEW1^^^RZZ^MR")]), "/local_identifiers");
    assert_eq!(ids, json!([{"value": "NEW1", "assigning_authority": "RZZ", "type": "MR"}]));
    // Whose it is must be clear: not even an NHS number that has ended is passed over.
    told(person(&[(3, "9990000018^^^NHS^NH^^20100101^20150101~9990000026^^^NHS^NH")]), "different values");
}

#[test]
fn what_ends_in_the_year_9999_never_ends() {
    for end in ["99991231", "999912312359", "9999-12-31", "31/12/9999"] {
        let ids = field(person(&[(3, &format!("NEW1^^^RZZ^MR^^20100101^{end}"))]), "/local_identifiers");
        assert_eq!(ids, json!([{"value": "NEW1", "assigning_authority": "RZZ", "type": "MR"}]), "{end}");
        let home = format!("Old St^^Leeds^^^^H^^^^^20100101&{end}");
        assert_eq!(field(person(&[(11, &home)]), "/address/city"), json!("Leeds"), "{end}");
    }
    let name = "NEWNAME^SAM^^^^^L^^^20200101&99991231235959~OLDNAME^SAM^^^^^L^^^20100101&20200101";
    assert_eq!(field(person(&[(5, name)]), "/family_name"), json!("NEWNAME"));
}

#[test]
fn a_day_by_which_a_system_says_that_it_has_no_date_is_nobodys_birthday() {
    for day in ["19000101", "18991230", "17530101", "99991231", "190001010000", "1900-01-01"] {
        let said = person(&[(7, day)]).expect("read");
        assert_eq!((said.fields.get("date_of_birth"), said.fields.get("birth_year")), (None, None), "{day}");
        told(referral(&format!("{REFERRED}{}\r", PID.replace("19850412", day))), "is a day by which systems write");
    }
    assert_eq!(field(person(&[(7, "19000102")]), "/date_of_birth"), json!("1900-01-02"));
}

#[test]
fn an_event_of_a_day_is_no_newer_than_what_was_written_down_later_that_day() {
    let of = |event: &str, recorded: &str| {
        let tail = TAIL.replace("20260303081455", event).replace("EVN||20260303081500", &format!("EVN||{recorded}"));
        field(parse(&format!("{HEAD}ADT^A31{tail}{PID}\r")), "/changed_at")
    };
    assert_eq!(of("20260303", "20260303093000"), json!("2026-03-03T09:30:00Z"));
    assert_eq!(of("20260302", "20260303093000"), json!("2026-03-02T23:59:59.999999999Z"));
    assert_eq!(of("20260303100000", "20260303093000"), json!("2026-03-03T10:00:00Z"));
    // Recorded on a day, too: then when the message was made.
    assert_eq!(of("20260303", "20260303"), json!("2026-03-03T08:15:00Z"));
}

#[test]
fn a_time_of_another_age_is_refused() {
    let message = format!("{HEAD}ADT^A31{}{PID}\r", TAIL.replace("20260303081455", "02260401090000"));
    told(parse(&message), "in which nothing of a living person's record");
}

#[test]
fn a_name_that_cannot_be_read_is_refused_and_a_segment_that_goes_on_too() {
    told(person(&[(5, "TESTPATIENT^JOS\\XE9\\^^^^^L")]), "PID-5");
    assert_eq!(field(person(&[(5, "TESTPATIENT^JOS\\XC3A9\\^^^^^L")]), "/given_names"), json!("JOSé"));
    told(adt("A31", &format!("{PID}\rADD|x")), "(from ADD)");
    let mine = format!("{HEAD}ADT^A31{}{}\r", TAIL.replace("UNICODE UTF-8", "8859/1"), PID.replace("^SAM", "^SIÂN"));
    told(parse(&mine), "bytes that are UTF-8");
}

#[test]
fn a_line_with_an_ampersand_is_not_cut() {
    for (sent, lines) in [
        ("1 High St & Mill^Flat 2", json!(["1 High St & Mill", "Flat 2"])),
        ("1 High St&High St&1", json!(["1 High St"])),
        ("1 High St \\T\\ Mill", json!(["1 High St & Mill"])),
    ] {
        assert_eq!(
            field(
                person(&[(11, &format!("{sent}{}^^^^^H", if sent.contains("Flat") { "" } else { "^" }))]),
                "/address/lines"
            ),
            lines,
            "{sent}"
        );
    }
}

#[test]
fn an_alias_alone_is_nobodys_name_and_another_record_is_no_update() {
    for kind in ["A", "S", "N", "M"] {
        assert_eq!(field(person(&[(5, &format!("PSEUDO^ANN^^^^^{kind}"))]), "/family_name"), Value::Null, "{kind}");
    }
    assert_eq!(field(person(&[(5, "SMITH^ANN^^^^^U")]), "/family_name"), json!("SMITH"));
    told(adt("A31", &format!("{PID}\rMRG|4471921^^^RZZ^MR")), "it names another record");
}

#[test]
fn a_team_that_is_named_is_never_replaced_by_the_default_and_an_oid_is_a_system() {
    let with = |from: &str, to: &str| referral(&format!("{}{PID}\r", REFERRED.replacen(from, to, 1)));
    told(with("PRD|RT||||||IPS-NORTH^^RZZ", "PRD|RT|||IPS SOUTH"), "details.team");
    let said = field(with("REF-88213^EPR", "REF-1^^2.16.840.1.1^ISO"), "/details/external_ids");
    assert_eq!(said, json!([{"value": "REF-1", "system": "2.16.840.1.1"}]));
}

#[test]
fn a_birth_year_is_read_of_a_date_with_a_time() {
    assert_eq!(field(person(&[(7, "198504121530")]), "/birth_year"), json!("1985"));
}

#[test]
fn what_says_that_there_is_no_date_tells_of_no_death_and_anything_else_does() {
    let told = |date: &str| !super::row::tells_nothing(date);
    for none in [
        "00000000",
        "0000-00-00",
        "00/00/0000",
        "NULL",
        "(null)",
        "N",
        "none",
        "17530101",
        "1753-01-01",
        "01/01/1900",
        "19000101000000",
        "30/12/1899",
        "99991231",
        "31/12/9999",
    ] {
        assert!(!told(none), "{none}");
    }
    for some in
        ["20260301", "2026", "1/3/26", "UNKNOWN", "Y", "DECEASED", "20260301120000+0000", "01/03/2026", "19010102"]
    {
        assert!(told(some), "{some}");
    }
}
