use super::*;
use crate::transport::http_message::Headers;
use serde_json::json;

fn asked(body: &Value) -> Asked {
    let bytes = body.to_string().into_bytes();
    let request = Request::new(Method::Post, "DocumentReference".into(), Headers::default(), bytes).expect("a request");
    Asked::of(&request.to_bytes()).expect("a resource")
}

fn document(subject: Value, attachment: Value) -> Value {
    json!({"resourceType": "DocumentReference", "status": "current", "docStatus": "final", "subject": subject,
        "identifier": [{"system": "s", "value": "D1"}], "content": [{"attachment": attachment}]})
}

fn by_number(system: &str, value: &str) -> Value {
    json!({"identifier": {"system": system, "value": value}})
}

#[test]
fn only_what_can_be_compared_says_that_it_is_somebody_elses() {
    let nhs = "https://fhir.nhs.uk/Id/nhs-number";
    let ours = asked(&document(by_number(nhs, "9990000018"), json!({})));
    for (subject, whose) in [
        (by_number(nhs, "9990000018"), Whose::TheSame),
        (by_number(nhs, "9990000026"), Whose::SomebodyElse),
        (by_number("https://epr.example/mrn", "9990000018"), Whose::Unsaid),
        (json!({"reference": "Patient/7"}), Whose::Unsaid),
        (json!({"display": "TESTPATIENT, Sam"}), Whose::Unsaid),
    ] {
        assert_eq!(ours.whose(&json!({"subject": subject})), whose, "{subject}");
    }
    assert_eq!(ours.whose(&json!({})), Whose::Unsaid);
    let ours = asked(&document(json!({"reference": "Patient/7"}), json!({})));
    for (reference, whose) in [
        ("https://epr.example/r4/Patient/7/_history/3", Whose::TheSame),
        ("Patient/8", Whose::SomebodyElse),
        ("urn:uuid:0", Whose::Unsaid),
    ] {
        assert_eq!(ours.whose(&json!({"subject": {"reference": reference}})), whose, "{reference}");
    }
}

#[test]
fn what_a_record_shows_of_a_document_is_held_against_what_was_sent() {
    let subject = by_number("s", "1");
    let sent = json!({"contentType": "text/plain", "data": "U2VlbiB0b2RheS4=", "hash": "aGFzaA==", "size": 11});
    let ours = asked(&document(subject.clone(), sent));
    let shown = |attachment| ours.contradicted_by(&document(subject.clone(), attachment));
    for same in [
        json!({"data": "U2VlbiB0b2RheS4="}),
        json!({"data": "U2Vl\nbiB0b2RheS4="}),
        json!({"hash": "aGFzaA=="}),
        json!({"size": 11}),
        json!({"url": "Binary/9"}),
        json!({}),
    ] {
        assert_eq!(shown(same.clone()), None, "{same}");
    }
    for other in
        [json!({"data": "U2VlbiB0bw=="}), json!({"data": "%%"}), json!({"hash": "b3RoZXI="}), json!({"size": 7})]
    {
        assert_eq!(shown(other.clone()), Some("with another text"), "{other}");
    }
    // A form of the record's own beside ours.
    let mut both = document(subject.clone(), json!({"data": "U2VlbiB0b2RheS4="}));
    both["content"].as_array_mut().expect("a list").push(json!({"attachment": {"data": "JVBERg==", "size": 4}}));
    assert_eq!(ours.contradicted_by(&both), None);

    let with = |key: &str, value: Value| {
        let mut shown = document(subject.clone(), json!({}));
        shown[key] = value;
        ours.contradicted_by(&shown)
    };
    assert_eq!(with("status", json!("entered-in-error")), Some("with another status"));
    assert_eq!(with("docStatus", json!("preliminary")), Some("with another docStatus"));
    assert_eq!(with("identifier", json!([{"system": "s", "value": "D2"}])), Some("with another identifier"));
    assert_eq!(with("identifier", json!([])), None, "a record may drop what it does not support");
}

#[test]
fn a_document_without_a_place_for_its_text_proves_nothing_unless_it_was_cut_out() {
    let ours = asked(&document(by_number("s", "1"), json!({"data": "QQ=="})));
    assert!(ours.lacks_text(&json!({"content": []})) && ours.lacks_text(&json!({})));
    assert!(!ours.lacks_text(&json!({"content": [{"attachment": {"url": "Binary/9"}}]})));
    assert!(!ours.lacks_text(&json!({"meta": {"tag": [{"code": "SUBSETTED"}]}})));
}
