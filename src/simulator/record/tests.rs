use super::*;
use proptest::prelude::*;

const SAM: &str = "4471920^^^RZ9^MR~9990000018^^^NHS^NH||TESTPATIENT^SAM||19850412|9";

fn mdm(trigger: &str, control_id: &str, document: &str, rest: &str) -> String {
    let structure = if trigger == "T11" { "MDM_T01" } else { "MDM_T02" };
    format!(
        "MSH|^~\\&|IPSBRIDGE|RZ9|EPR|RZ9|20260302101530||MDM^{trigger}^{structure}|{control_id}|T|2.4||||||UNICODE UTF-8\r\
         EVN||20260302101530\rPID|1||{SAM}\rPV1|1|O\r\
         TXA|1|PN|TX|20260302093000|ES1^Grace Okafor^^^^^^^RZ9|20260302101500||||||{document}^IPS|{rest}"
    )
}

fn txa_end(parent: &str) -> String {
    format!("{parent}||||AU|U|AV\r")
}

fn note(control_id: &str, document: &str, text: &str) -> Vec<u8> {
    (mdm("T02", control_id, document, &txa_end("")) + &obx(text)).into_bytes()
}

fn edited(control_id: &str, document: &str, text: &str) -> Vec<u8> {
    (mdm("T08", control_id, document, &txa_end("")) + &obx(text)).into_bytes()
}

fn replaced(control_id: &str, document: &str, parent: &str) -> Vec<u8> {
    (mdm("T10", control_id, document, &txa_end(&format!("{parent}^IPS"))) + &obx("New text")).into_bytes()
}

fn cancelled(control_id: &str, document: &str) -> Vec<u8> {
    mdm("T11", control_id, document, "||||AU|U|CA||Wrong patient\r").into_bytes()
}

fn obx(text: &str) -> String {
    format!("OBX|1|FT|371532007^Progress report^SCT||{text}||||||F\r")
}

fn rri(control_id: &str, referral: &str) -> Vec<u8> {
    format!(
        "MSH|^~\\&|IPSBRIDGE|RZ9|EPR|RZ9|20260302101530||RRI^I12^RRI_I12|{control_id}|T|2.4\rMSA|AA|EPR1\r\
         RF1|R^Rejected^HL70283|R^Routine^HL70280|||O|{referral}^EPR||||X1^Not ready for work\r\
         PRD|RT^Referred to Provider^HL70286\rPID|1||{SAM}\rNTE|1|L|Please refer again in May.\r"
    )
    .into_bytes()
}

fn reference(control_id: &str, referral: &str) -> Vec<u8> {
    format!(
        "MSH|^~\\&|EPR|RZ9|IPSBRIDGE|RZ9|20260301090000||REF^I12^REF_I12|{control_id}|T|2.4\r\
         RF1|P|R^Routine^HL70280|||O|{referral}^EPR\rPRD|RP\rPID|1||{SAM}\rNTE|1|L|Wants part-time work.\r"
    )
    .into_bytes()
}

fn at() -> Timestamp {
    "2026-03-02T10:15:31Z".parse().expect("a time")
}

fn receive(record: &mut Record, bytes: &[u8]) -> String {
    record.receive(bytes, at(), None);
    record.arrivals().last().expect("it arrived").judged.clone()
}

fn copying() -> Record {
    Record::new(RecordSettings { recognises_repeats: false, ..RecordSettings::default() })
}

#[test]
fn a_note_is_filed_with_its_text_author_and_times() {
    let mut record = Record::default();
    assert_eq!(receive(&mut record, &note("C1", "D1", r"Met Sam.\.br\CV updated \T\ sent.")), "AA");
    let document = record.document("D1^IPS").expect("filed");
    let version = document.latest();
    assert_eq!(document.status, Status::Current);
    assert_eq!(version.text_of("371532007"), Some("Met Sam.\nCV updated & sent."));
    let author = version.author.as_ref().expect("an author");
    assert_eq!((&*author.id, author.name.as_str(), &*author.authority), ("ES1", "Grace Okafor", "RZ9"));
    assert_eq!((version.activity.as_deref(), version.kind.as_str()), (Some("20260302093000"), "PN"));
    let patient = record.patient("9990000018").expect("known");
    assert_eq!(patient.patient.family, "TESTPATIENT");
    assert!(std::ptr::eq(patient, record.patient("4471920").expect("known by the hospital number")));
}

#[test]
fn body_and_heading_are_kept_apart_and_rows_joined() {
    let rows = "OBX|1|FT|H^Details^L|1|Written by G||||||F\rOBX|2|FT|B^Note^L|1|First ha||||||F\r\
                OBX|3|FT|B^Note^L|2|lf\\.br\\second||||||F\rOBX|4|TX|T^Lines^L|1|one||||||F\r\
                OBX|5|TX|T^Lines^L|2|||||||F\rOBX|6|TX|T^Lines^L|3|three~four||||||F\r\
                OBX|7|CE|K^Kind^L||01^Job start^L||||||F\rOBX|8|NM|M^Minutes^L||960|min|||||F\r";
    let mut record = Record::default();
    assert_eq!(receive(&mut record, (mdm("T02", "C1", "D1", &txa_end("")) + rows).as_bytes()), "AA");
    let version = record.document("D1^IPS").expect("filed").latest().clone();
    assert_eq!(version.text_of("H"), Some("Written by G"));
    assert_eq!(version.text_of("B"), Some("First half\nsecond"));
    assert_eq!(version.text_of("T"), Some("one\n\nthree\nfour"));
    assert_eq!(version.sections.len(), 3);
    let rows: Vec<_> =
        version.rows.iter().map(|r| (&*r.code, r.value.as_str(), r.meaning.as_str(), &*r.units)).collect();
    assert_eq!(rows, [("K", "01", "Job start", ""), ("M", "960", "", "min")]);
}

#[test]
fn an_edit_keeps_the_document_and_adds_a_version() {
    let mut record = Record::default();
    receive(&mut record, &note("C1", "D1", "First"));
    assert_eq!(receive(&mut record, &edited("C2", "D1", "Second")), "AA");
    let document = record.document("D1^IPS").expect("filed");
    let texts: Vec<_> = document.versions.iter().map(Version::text).collect();
    assert_eq!((texts, document.status), (vec!["First".to_owned(), "Second".to_owned()], Status::Current));
}

#[test]
fn a_replacement_makes_its_parent_obsolete() {
    let mut record = Record::default();
    receive(&mut record, &note("C1", "D1", "First"));
    assert_eq!(receive(&mut record, &replaced("C2", "D2", "D1")), "AA");
    let (old, new) = (record.document("D1^IPS").expect("held"), record.document("D2^IPS").expect("held"));
    assert_eq!((old.status, old.replaced_by.as_deref()), (Status::Obsolete, Some("D2^IPS")));
    assert_eq!((new.status, new.replaces.as_deref()), (Status::Current, Some("D1^IPS")));
}

#[test]
fn a_cancellation_takes_the_document_back_and_says_why() {
    let mut record = Record::default();
    receive(&mut record, &note("C1", "D1", "First"));
    assert_eq!(receive(&mut record, &cancelled("C2", "D1")), "AA");
    let document = record.document("D1^IPS").expect("held");
    assert_eq!(document.status, Status::Cancelled);
    assert_eq!(document.cancelled.as_ref().expect("said").reason, "Wrong patient");
}

#[test]
fn a_repeat_is_answered_again_and_filed_once() {
    let mut record = Record::default();
    for _ in 0..3 {
        assert_eq!(receive(&mut record, &note("C1", "D1", "Text")), "AA");
    }
    assert_eq!((record.copies("D1^IPS"), record.duplicates().len()), (1, 0));
    let became: Vec<_> = record.arrivals_of("C1").iter().map(|a| a.became).collect();
    assert_eq!(became, [Became::Filed, Became::Repeat, Became::Repeat]);
    assert_eq!(record.arrivals_of_document("D1^IPS").len(), 3);
    assert_eq!(record.patient("9990000018").expect("known").log.len(), 1);
}

#[test]
fn other_bytes_under_a_known_control_id_are_no_repeat() {
    let mut record = Record::default();
    receive(&mut record, &note("C1", "D1", "Text"));
    assert_eq!(receive(&mut record, &note("C1", "D1", "Other text")), "AE 205");
    assert_eq!(receive(&mut record, &note("C1", "D2", "Other text")), "AA");
}

#[test]
fn a_message_that_was_refused_or_ignored_is_looked_at_when_it_comes_again() {
    let mut record = Record::default();
    record.ignore(&note("C1", "D1", "Text"), at(), "silence".into());
    assert_eq!(receive(&mut record, &edited("C2", "D1", "Text")), "AE 204");
    assert_eq!(receive(&mut record, &note("C1", "D1", "Text")), "AA");
    assert_eq!(receive(&mut record, &edited("C2", "D1", "Text")), "AA");
    assert_eq!(record.document("D1^IPS").expect("filed").versions.len(), 2);
}

#[test]
fn an_epr_that_does_not_recognise_repeats_shows_every_copy() {
    let mut record = copying();
    for _ in 0..2 {
        assert_eq!(receive(&mut record, &note("C1", "D1", "Text")), "AA");
        assert_eq!(receive(&mut record, &replaced("C2", "D2", "D1")), "AA");
        assert_eq!(receive(&mut record, &edited("C3", "D2", "Text")), "AA");
        assert_eq!(receive(&mut record, &cancelled("C4", "D2")), "AA");
    }
    assert_eq!((record.copies("D1^IPS"), record.copies("D2^IPS")), (2, 2));
    assert_eq!(record.duplicates(), ["D1^IPS", "D2^IPS"]);
}

#[test]
fn what_a_change_is_meant_for_must_be_there_and_current() {
    let mut record = Record::default();
    for message in [edited("C1", "D1", "x"), replaced("C2", "D2", "D1"), cancelled("C3", "D1")] {
        assert_eq!(receive(&mut record, &message), "AE 204");
    }
    assert_eq!(record.patients().len(), 0, "a refused message makes nobody known");
    receive(&mut record, &note("C4", "D1", "x"));
    receive(&mut record, &replaced("C5", "D2", "D1"));
    for message in [edited("C6", "D1", "x"), replaced("C7", "D3", "D1"), cancelled("C8", "D1")] {
        assert_eq!(receive(&mut record, &message), "AE 204", "it is obsolete");
    }
    receive(&mut record, &cancelled("C9", "D2"));
    assert_eq!(receive(&mut record, &edited("C10", "D2", "x")), "AE 204", "it is cancelled");
    assert_eq!(record.documents().count(), 2);
}

#[test]
fn a_document_is_changed_for_its_own_patient_only() {
    let mut record = Record::default();
    receive(&mut record, &note("C1", "D1", "x"));
    let of_another = |message: Vec<u8>| {
        let text = String::from_utf8(message).expect("text");
        text.replace("4471920", "1").replace("9990000018", "9990000026").into_bytes()
    };
    assert_eq!(receive(&mut record, &of_another(note("C2", "D2", "y"))), "AA");
    for message in [cancelled("C3", "D1"), edited("C4", "D1", "z"), replaced("C5", "D3", "D1")] {
        assert_eq!(receive(&mut record, &of_another(message)), "AE 204");
    }
    assert_eq!(record.document("D1^IPS").expect("held").status, Status::Current);
}

#[test]
fn with_a_list_of_its_own_it_takes_nobody_else_and_compares_name_and_birth() {
    let sam = Patient {
        nhs_number: Some("9990000018".into()),
        mrn: Some(LocalId { value: "4471920".into(), authority: "RZ9".into() }),
        family: "Testpatient".into(),
        given: "Sam".into(),
        date_of_birth: Some(jiff::civil::date(1985, 4, 12)),
        ..Patient::default()
    };
    let strict = RecordSettings { patients: Some(vec![sam]), ..RecordSettings::default() };
    let message = String::from_utf8(note("C1", "D1", "x")).expect("text");
    for (from, to, judged) in [
        ("", "", "AA"),
        ("TESTPATIENT^SAM", "testpatient^SAMUEL", "AA"),
        ("19850412", "", "AA"),
        ("~9990000018^^^NHS^NH", "", "AA"),
        ("4471920^^^RZ9^MR~9990000018^^^NHS^NH", "999 000 0018^^^^NH", "AA"),
        ("TESTPATIENT", "OTHER", "AE 204"),
        ("19850412", "19850413", "AE 204"),
        ("9990000018", "9990000026", "AE 204"),
        ("4471920^^^RZ9^MR~9990000018", "9990000034", "AE 204"),
        ("4471920^^^RZ9^MR~9990000018^^^NHS^NH", "", "AE 101"),
    ] {
        let mut record = Record::new(strict.clone());
        assert_eq!(receive(&mut record, message.replace(from, to).as_bytes()), judged, "{from} -> {to}");
    }
}

#[test]
fn identifiers_of_two_patients_are_refused() {
    let mut record = Record::default();
    receive(&mut record, &note("C1", "D1", "x"));
    let text = |id: &str, document| String::from_utf8(note(id, document, "x")).expect("text");
    receive(&mut record, text("C2", "D2").replace("4471920", "55").replace("9990000018", "9990000026").as_bytes());
    assert_eq!(record.patients().len(), 2);
    assert_eq!(receive(&mut record, text("C3", "D3").replace("4471920", "55").as_bytes()), "AE 204");
}

#[test]
fn messages_that_are_not_as_they_should_be_are_refused_with_what_is_wrong() {
    let good = String::from_utf8(note("C1", "D1", "x")).expect("text");
    let without = |segment: &str| good.split_inclusive('\r').filter(|s| !s.starts_with(segment)).collect::<String>();
    let long = "1".repeat(21);
    let cases = [
        (without("EVN"), "AE 100"),
        (without("PID"), "AE 100"),
        (without("PV1"), "AE 100"),
        (without("TXA"), "AE 100"),
        (without("OBX"), "AE 100"),
        (good.clone() + "PID|1\r", "AE 100"),
        (good.clone() + "torn text\r", "AE 100"),
        (good.replace("PV1|1|O\r", "").replace("EVN|", "PV1|1|O\rEVN|"), "AE 100"),
        (good.replace("|PN|", "||"), "AE 101"),
        (good.replace("D1^IPS", ""), "AE 101"),
        (good.replace("|AU|", "||"), "AE 101"),
        (good.replace("||||||F\r", "\r"), "AE 101"),
        (good.replace("|C1|", &format!("|{long}|")), "AE 102"),
        (good.replace("D1^IPS", &format!("{long}^IPSBRIDGE")), "AE 102"),
        (good.replace("T02", "T01"), "AR 201"),
        (good.replace("MDM^T02", "ADT^A08"), "AR 200"),
        (good.replace("|T|2.4", "|T|3.0"), "AR 203"),
        (good.replace("|T|2.4", "||2.4"), "AR 100"),
        (good[..60].to_owned(), "AR 100"),
        ("not HL7 at all".to_owned(), "AR 100"),
        (String::from_utf8(replaced("C1", "D1", "D1")).expect("text"), "AE 102"),
        (String::from_utf8(cancelled("C1", "D1")).expect("text") + &obx("x"), "AE 100"),
    ];
    for (message, judged) in cases {
        let mut record = Record::default();
        assert_eq!(receive(&mut record, message.as_bytes()), judged, "{message:?}");
        assert_eq!((record.documents().count(), record.arrivals().len()), (0, 1));
    }
    let mut live = Record::new(RecordSettings { processing_id: Some("P".into()), ..RecordSettings::default() });
    assert_eq!(receive(&mut live, good.as_bytes()), "AR 202");
}

#[test]
fn an_answer_belongs_to_a_referral_that_was_sent() {
    let mut record = Record::default();
    assert_eq!(receive(&mut record, &rri("C1", "REF-1")), "AE 204");
    assert_eq!(record.note_sent(&reference("EPR1", "REF-1"), at()).as_deref(), Some("REF-1"));
    record.note_acknowledged("REF-1", "EPR1", "AA");
    assert_eq!(receive(&mut record, &rri("C1", "REF-1")), "AA");
    let referral = record.referral("REF-1").expect("sent");
    assert_eq!((referral.sent.len(), &*referral.sent[0].acknowledged), (1, "AA"));
    assert_eq!(referral.text, "Wants part-time work.");
    let answer = &referral.answers[0];
    assert_eq!((&*answer.status, answer.in_reply_to.as_deref()), ("R", Some("EPR1")));
    assert_eq!(answer.reason.as_ref().map(Private::as_str), Some("Not ready for work"));
    assert_eq!(answer.text, "Please refer again in May.");
    let mut open = Record::new(RecordSettings { takes_unknown_referrals: true, ..RecordSettings::default() });
    assert_eq!(receive(&mut open, &rri("C1", "REF-1")), "AA");
    assert_eq!(open.referral("REF-1").expect("kept").answers.len(), 1);
}

#[test]
fn the_log_tells_the_order_in_which_things_were_filed() {
    let mut record = Record::default();
    for message in [note("C1", "D1", "x"), note("C2", "D2", "y"), edited("C3", "D1", "z"), cancelled("C4", "D2")] {
        receive(&mut record, &message);
    }
    let log: Vec<_> = record.patients()[0].log.iter().map(|r| (&*r.kind, &*r.id)).collect();
    assert_eq!(log, [("MDM^T02", "D1^IPS"), ("MDM^T02", "D2^IPS"), ("MDM^T08", "D1^IPS"), ("MDM^T11", "D2^IPS")]);
}

#[test]
fn a_record_that_was_saved_goes_on_where_it_stopped() {
    let mut record = Record::default();
    record.note_sent(&reference("EPR1", "REF-1"), at());
    receive(&mut record, &note("C1", "D1", "x"));
    let mut again = Record::from_json(&record.to_json(), RecordSettings::default()).expect("a record");
    assert_eq!(again.to_json(), record.to_json());
    assert_eq!(receive(&mut again, &note("C1", "D1", "x")), "AA");
    assert_eq!(receive(&mut again, &cancelled("C2", "D1")), "AA");
    assert_eq!(receive(&mut again, &rri("C3", "REF-1")), "AA");
    assert_eq!((again.copies("D1^IPS"), again.arrivals_of("C1").len(), again.patients().len()), (1, 2, 1));
}

#[test]
fn a_full_record_refuses_and_keeps_what_it_has() {
    let mut record = Record::new(RecordSettings { messages_max: 1, ..RecordSettings::default() });
    receive(&mut record, &note("C1", "D1", "x"));
    let judged = record.receive(&note("C2", "D2", "x"), at(), None);
    assert_eq!(judged.refusal.map(|r| r.error), Some(207));
    assert_eq!((record.arrivals().len(), record.documents().count()), (1, 1));
}

#[test]
fn nothing_of_a_patient_shows_in_debug() {
    let mut record = Record::default();
    receive(&mut record, &note("C1", "D1", "Met Sam"));
    let shown = format!("{record:?}");
    assert!(shown.contains("D1^IPS"));
    for text in ["Sam", "TESTPATIENT", "9990000018", "4471920", "Grace"] {
        assert!(!shown.contains(text), "{text}");
    }
}

proptest! {
    #[test]
    fn receiving_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..80), cut in 0..400usize, at_byte in 0..400usize) {
        let mut record = copying();
        record.receive(&bytes, at(), None);
        let whole = note("C1", "D1", "x");
        record.receive(&whole[..cut.min(whole.len())], at(), None);
        let mut damaged = whole.clone();
        let place = at_byte.min(damaged.len());
        damaged.splice(place..place, bytes);
        record.receive(&damaged, at(), None);
        prop_assert_eq!(record.arrivals().len(), 3);
    }
}

/// One of the pack's own examples.
macro_rules! oru {
    ($case:literal) => {
        include_str!(concat!("../../../adapters/hl7v2-oru-pdf/examples/", $case, "/expected.hl7"))
    };
}

#[test]
fn a_result_is_kept_as_a_document_whose_pdf_is_put_together_and_corrected_under_its_id() {
    let mut record = Record::default();
    let first = oru!("render-note");
    assert_eq!(receive(&mut record, first.as_bytes()), "AA");
    let id = record.arrivals()[0].document_id.clone().expect("OBR-3");
    let document = record.document(&id).expect("filed");
    let version = document.latest();
    assert_eq!(
        (version.by.as_str(), version.kind.as_str(), version.completion.as_str()),
        ("ORU^R01", "Progress report", "F")
    );
    assert_eq!(version.author.as_ref().map(|a| (a.id.as_str(), a.name.as_str())), Some(("ES1042", "Grace Okafor")));
    let [pdf] = version.attachments.as_slice() else { panic!("one document inside") };
    assert!(pdf.is_whole_pdf && pdf.media_type == "application/pdf" && pdf.bytes > 10_000, "{pdf:?}");
    assert!(version.rows.is_empty(), "no piece of it is shown as a value");
    let shown = crate::simulator::show(&record, &crate::simulator::Show::default());
    assert!(shown.contains(&format!("id {id}: 1 copy")) && shown.contains("bytes, a whole PDF"), "{shown}");
    // The same again is answered and not filed twice; the same id in another message is refused.
    assert_eq!(receive(&mut record, first.as_bytes()), "AA");
    assert_eq!((record.copies(&id), record.arrivals()[1].became), (1, Became::Repeat));
    let other = first.replacen("RZZ01JNBRZC5M8Q4T7V", "RZZ01JNBRZC5M8Q4TZZ", 1);
    assert_eq!(receive(&mut record, other.as_bytes()), "AE 205");
    for (case, versions) in [(oru!("render-note-replaced"), 2), (oru!("render-note-withdrawn"), 3)] {
        let case = case.replacen("RZZ01JNBRZC5M8Q4T7W", &format!("C{versions}"), 1);
        assert_eq!(receive(&mut record, case.as_bytes()), "AA");
        let document = record.document(&id).expect("filed");
        assert_eq!((document.versions.len(), document.latest().completion.as_str()), (versions, "C"));
        assert!(document.latest().attachments[0].is_whole_pdf);
    }
    assert_eq!((record.copies(&id), record.arrivals_of_document(&id).len()), (1, 5));
    let again = Record::from_json(&record.to_json(), RecordSettings::default()).expect("its own JSON");
    assert_eq!(again.document(&id).expect("kept").versions, record.document(&id).expect("kept").versions);
}

#[test]
fn an_epr_that_knows_no_repeats_holds_a_result_twice_and_says_so() {
    let mut record = copying();
    for _ in 0..2 {
        assert_eq!(receive(&mut record, oru!("render-note").as_bytes()), "AA");
    }
    let id = record.arrivals()[0].document_id.clone().expect("OBR-3");
    assert_eq!((record.copies(&id), record.duplicates().len()), (2, 1));
}

#[test]
fn a_result_that_is_not_put_together_as_the_standard_says_is_refused() {
    let good = oru!("render-note");
    for (from, to, judged) in [
        ("|||F|||||||", "||||||||||", "AE 101"),
        ("|||F|||||||", "|||X|||||||", "AE 102"),
        ("|||F|||||||", "|||C|||||||", "AE 204"),
        ("^Base64^JVBER", "^Base64^!VBER", "AE 102"),
        ("ORU^R01^ORU_R01", "ORU^R30^ORU_R30", "AR 201"),
        ("^IPS|371532007^Progress report^SCT|||", "^IPS|||", "AE 101"),
    ] {
        assert!(good.contains(from), "{from}");
        let mut record = Record::default();
        assert_eq!(receive(&mut record, good.replacen(from, to, 1).as_bytes()), judged, "{from} -> {to}");
        assert_eq!(record.documents().count(), 0);
    }
}
