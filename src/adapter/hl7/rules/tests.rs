use super::*;

const MDM: &str = "MSH|^~\\&|IPS|RZZ|EPR|RZZ|20260302101530||MDM^T02^MDM_T02|RZZIPS0000000042|T|2.4||||||UNICODE UTF-8\r\
EVN||20260302101530\rPID|1||4471^^^RZZ^MR~9990000018^^^NHS^NH||TESTPATIENT^SAM\rPV1|1|O\r\
TXA|1|PN|TX|||||||||01JNBRZC5M8Q4T7V9XA2E3F4G1^IPS|||||AU|U|AV\rOBX|1|FT|371532007^Progress report^SCT||Met Sam.\\.br\\CV \\T\\ more||||||F\r";

fn faults(text: &str) -> Vec<String> {
    let faults = check(text.as_bytes(), Charset::Utf8, Limits::default()).err().unwrap_or_default();
    faults.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn only(text: &str, place: &str) {
    let found = faults(text);
    assert!(found.len() == 1 && found[0].starts_with(place), "{found:?} is not one fault at {place}");
}

#[test]
fn a_right_message_has_no_fault() {
    assert_eq!(faults(MDM), Vec::<String>::new());
    let rri = "MSH|^~\\&|IPS|RZZ|EPR|RZZ|20260301||RRI^I12^RRI_I12|51|T|2.5.1\rMSA|AA|EPR1\rRF1|A|||||REF-88213^EPR\rPRD|RT\rPID|1||1^^^RZZ^MR||T^S\r";
    assert_eq!(faults(rri), Vec::<String>::new());
    assert_eq!(faults("MSH|^~\\&|IPS|RZZ|EPR|RZZ|20260301||ACK^I12^ACK|51|T|2.4\rMSA|AA|EPR1\r"), Vec::<String>::new());
}

#[test]
fn required_fields_and_lengths_are_held() {
    only(&MDM.replace("RZZIPS0000000042", "RZZIPS0000000000000042"), "MSH-10 (segment 1): is longer than 20");
    only(
        &MDM.replace("01JNBRZC5M8Q4T7V9XA2E3F4G1^IPS", "0193c8f0-7a3e-7f00-8000-000000000000"),
        "TXA-12 (segment 5): is longer than 30",
    );
    only(&MDM.replace("|T|2.4", "|X|2.4"), "MSH-11 (segment 1): is not a value");
    only(&MDM.replace("EVN||2026", "EVN||\"\"|2026"), "EVN-2 (segment 2): is required");
    only(&MDM.replace("PV1|1|O", "PV1|1"), "PV1-2 (segment 4): is required");
    only(&MDM.replace("|AU|U|AV", "||U|AV"), "TXA-17 (segment 5): is required");
    only(&MDM.replace("|AU|U|AV", "|XX|U|AV"), "TXA-17 (segment 5): is not a value");
    only(&MDM.replace("||||||F", ""), "OBX-11 (segment 6): is required");
    only(&MDM.replace("Met Sam", &"x".repeat(65_536)), "OBX-5 (segment 6): is longer than 65536");
    only(&MDM.replace("T02^MDM_T02", "T10^MDM_T02"), "TXA-13 (segment 5): is required");
    only(&MDM.replace("EVN||", "EVN|T08|"), "EVN-1 (segment 2): is another event");
    only(&MDM.replace("|2.4|", "|2.3|"), "MSH-12 (segment 1): is a version without rules");
    let own = Limits { obx_5_chars_max: Some(10), message_bytes_max: Some(100) };
    assert_eq!(check(MDM.as_bytes(), Charset::Utf8, own).unwrap_err().len(), 2);
}

#[test]
fn the_order_of_segments_is_held() {
    only(&MDM.replace("T02^MDM_T02", "T02^MDM_T01"), "MSH-9 (segment 1): names another structure");
    only(&MDM.replace("T02^MDM_T02", "T11^MDM_T01"), "OBX (segment 6): has no place");
    only(&MDM.replace("PV1|1|O\r", ""), "PV1 (segment 4): is missing");
    only(&MDM.replace("MDM^T02^MDM_T02", "ORM^O01"), "MSH-9 (segment 1): is a message type without rules");
    assert!(
        faults(&MDM.replace("EVN||20260302101530\r", "EVN||20260302101530\rZZZ|local\r")).is_empty(),
        "Z segments may stand anywhere"
    );
}

#[test]
fn the_wire_is_held() {
    assert!(!faults(&MDM.replace('\r', "\n")).is_empty());
    only(&MDM.replace("Met Sam", "Met\u{1b}Sam"), "message: a control character");
    only(&MDM.replace("Met Sam", "C:\\Temp folder"), "OBX-5 (segment 6): holds an escape");
    only(MDM.trim_end(), "message: the last segment has no CR");
    only(&MDM.replace("PV1|1|O\r", "PV1|1|O\r\r"), "message: an empty line");
    only(&MDM.replace("UNICODE UTF-8", "KLINGON"), "MSH-18 (segment 1): is no character set");
    only(&MDM.replace("UNICODE UTF-8", "ASCII").replace("Met", "Mét"), "message: cannot be read back");
    assert!(faults("nonsense").len() > 1);
}

#[test]
fn an_nhs_number_that_cannot_be_right_is_not_sent() {
    for wrong in ["9990000019", "999 000 0018", "9999999999", "12345"] {
        only(&MDM.replace("9990000018", wrong), "PID-3 (segment 3): holds an NHS number");
        only(&MDM.replace("9990000018^^^NHS^NH", &format!("{wrong}^^^^NH")), "PID-3 (segment 3)");
    }
    assert!(faults(&MDM.replace("4471", "9990000019")).is_empty(), "a local id is not an NHS number");
    let message = Message::read(MDM.as_bytes(), Charset::Utf8).expect("readable");
    assert_eq!(nhs_numbers(&message), ["9990000018"]);
}

#[test]
fn faults_name_places_and_never_values() {
    let secret = MDM
        .replace("Met Sam", "Secretsecret\\Q")
        .replace("9990000018", "9990000019")
        .replace("|T|2.4", "|Secretsecret|2.4");
    for shown in faults(&secret) {
        assert!(!shown.contains("Secret") && !shown.contains("999"), "{shown}");
    }
}
