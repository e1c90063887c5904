use super::*;
use crate::adapter::hl7::Charset;
use proptest::prelude::*;

const SAMPLE: &str = "MSH|^~\\&|EPR|RZZ|IPS|RZZ|20260301||REF^I12^REF_I12|7|P|2.4\r\
PRD|RT^Referred to|^Team\rPRD|RP^Referring|Test^Ann&B\r\
PID|1||4471^^^RZZ^MR~9990000018^^^NHS&2.16&ISO~9990000018^^^^NH||Testpatient&van^Sam^^^Mx^^L~Alias^Sam^^^^^A|\"\"|19850412|9|||||0700~0701\r\
OBX|1|FT|11506-3^Other^LN||not this\rOBX|2|FT|371532007^Progress^SCT||first \\T\\ \rOBX|3|FT|371532007^Progress^SCT||second\r\
NTE|1||one~two\rNTE|2\rNTE|3||R&D\\.br\\end\r";

fn read(path: &str) -> Result<Reading<'static>, Ambiguous> {
    let message = Message::read(SAMPLE.as_bytes(), Charset::Utf8).expect("readable");
    Path::parse(path).expect("a path").read(&message).map(Reading::into_owned)
}

fn value(path: &str) -> String {
    read(path).expect("one value").into_value().expect("a value").into_owned()
}

#[test]
fn msh_fields_are_counted_as_hl7_counts_them() {
    for (path, text) in
        [("MSH-1", "|"), ("MSH-1.1", "|"), ("MSH-2", "^~\\&"), ("MSH-3", "EPR"), ("MSH-9.2", "I12"), ("MSH-12", "2.4")]
    {
        assert_eq!(value(path), text, "{path}");
    }
}

#[test]
fn repetitions_and_segments_are_chosen_by_what_they_say() {
    for (path, text) in [
        ("PID-3[4=NHS|NH or 5=NH].1", "9990000018"),
        ("PID-3[4=NHS].1", "9990000018"),
        ("PID-3[5=\"MR\"].1", "4471"),
        ("PID-3[5=MR and 4=RZZ].1", "4471"),
        ("PID-3[4.2=2.16].1", "9990000018"),
        ("PID-5[7=L|''].2", "Sam"),
        ("PRD[1.1=RP]-2.1", "Test"),
        ("PRD[1=RT]-2.2", "Team"),
        ("PID-5[7=L].1.1", "Testpatient"),
        ("PID-5[7=L].1", "Testpatient&van"),
        ("PRD[1=RP]-2.2.2", "B"),
    ] {
        assert_eq!(value(path), text, "{path}");
    }
    assert!(read("PID-3[5=XX].1").expect("none").is_absent());
    assert!(read("PID-3[5=MR and 4=NHS].1").expect("none").is_absent());
    assert!(read("PV1-19").expect("none").is_absent());
}

#[test]
fn different_values_are_never_settled_by_place() {
    assert_eq!(read("PID-13"), Err(Ambiguous { path: "PID-13".into(), matches: 2 }));
    assert!(read("PRD-2.1").is_ok(), "the other is absent");
    assert!(read("PRD-1.1").is_err());
    let message = Message::read(SAMPLE.as_bytes(), Charset::Utf8).expect("readable");
    assert_eq!(Path::parse("PID-13").expect("a path").read_all(message.segments()).len(), 2);
    for path in ["PID-3(2)", "PID-3[2]", "PID(2)-3", "PID[2]-3", "PID-3[2].1"] {
        let fault = Path::parse(path).expect_err("by place");
        assert!(fault.what.contains("place"), "{path}: {fault}");
    }
}

#[test]
fn joined_paths_keep_every_line() {
    assert_eq!(value("NTE-3*"), "one\ntwo\n\nR&D\nend");
    assert_eq!(value("OBX[3.1=371532007]-5+"), "first & second");
    assert_eq!(value("OBX[3.1=371532007]-5*"), "first & \nsecond");
    assert!(read("ZZZ-1*").expect("none").is_absent());
}

#[test]
fn null_is_told_from_absent() {
    assert_eq!(read("PID-6"), Ok(Reading::Null));
    assert_eq!(read("PID-2"), Ok(Reading::Absent));
    assert_eq!(read("PID-6*"), Ok(Reading::Null));
}

#[test]
fn what_a_place_must_not_hold_chooses_too() {
    let text =
        "MSH|^~\\&|||||||ADT^A31|1|P|2.4\rPID|1||||||||||||a@b.org^PRN~0238^PRN~^PRN^^c@d.org\rNTE|1|x\rNTE|2|y~z\r";
    let message = Message::read(text.as_bytes(), Charset::Utf8).expect("readable");
    let read = |path: &str| {
        let path = Path::parse(path).unwrap_or_else(|e| panic!("{path}: {e}"));
        path.read_all(message.segments()).iter().filter_map(|r| r.value().map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(read("PID-13[2=PRN and 1!~'@' and 4!~'@'].1"), ["0238"]);
    assert_eq!(read("PID-13[1!~'@'|'02'].4"), ["c@d.org"]);
    assert_eq!(read("PID-13[1!='A@B.ORG'|''].1"), ["0238"], "none of these, in small letters as in capitals");
    assert_eq!(read("NTE[2!=x]-1"), ["2"]);
    assert_eq!(read("NTE[2!~z]-1"), ["1"]);
}

#[test]
fn a_wrong_path_names_its_column_and_what_to_write() {
    for (path, column) in [
        ("", 1),
        ("pid-3", 1),
        ("PI-3", 1),
        ("PID", 4),
        ("PID.3", 4),
        ("PID-", 5),
        ("PID-0", 5),
        ("PID-99999999999999999999999", 5),
        ("PID-3.", 7),
        ("PID-3.1.2.3", 10),
        ("PID-3[", 7),
        ("PID-3[4]", 7),
        ("PID-3[4=]", 9),
        ("PID-3[4=NHS", 12),
        ("PID-3[4='NHS]", 10),
        ("PID-3[4=NHS oder 5=NH]", 13),
        ("PID-3[1.2.3=x]", 7),
        ("PID-3*+", 8),
        ("PID-3?x", 7),
        ("PID-3-1", 6),
    ] {
        let fault = Path::parse(path).expect_err(path);
        assert_eq!(fault.column, column, "{path}: {fault}");
    }
    assert!(Path::parse("PID-30?").is_ok_and(|p| p.is_optional() && p.to_string() == "PID-30?"));
}

proptest! {
    #[test]
    fn compiling_and_reading_never_panic(path in "[A-Z0-9.|=?*+'\\[\\]() ordn-]{0,30}", any in any::<String>()) {
        let message = Message::read(SAMPLE.as_bytes(), Charset::Utf8).expect("readable");
        for source in [path, any] {
            if let Ok(path) = Path::parse(&source) {
                let _ = path.read(&message);
            }
        }
    }
}
