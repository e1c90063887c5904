use super::*;
use crate::transport::http_message::Headers;

fn rules(rows: &str) -> HttpRules {
    let crate::adapter::ReplyRules::Http(rules) = crate::adapter::ReplyRules::of(crate::adapter::Format::Fhir)
        .with(&rows.parse().expect("TOML"))
        .expect("good rows")
    else {
        panic!("rules of a fhir pack")
    };
    rules
}

fn usual() -> HttpRules {
    rules(
        "500 = \"unknown\"\n403 = \"refused\"\n\"ack.20013\" = \"received\"\n\"ack.30001\" = \"positive\"\n\"ack.30002\" = \"refused\"\n\
         \"ack.20007\" = \"query\"\n\"ack.10001\" = \"retry\"\n",
    )
}

fn receipt(status: u16, message_id: Option<&str>, unfinished: bool, body: &str) -> Verdict {
    let receipt =
        Receipt { status, message_id: message_id.map(str::to_owned), unfinished, body: body.as_bytes().to_vec() };
    of_receipt(&receipt, &usual())
}

#[test]
fn a_receipt_is_the_transports_word_and_needs_meshs_own_id() {
    let v = receipt(202, Some("A446A65525664ADF94ACE46E102558DB"), false, "{}");
    assert_eq!((v.meaning, v.level), (Meaning::Positive, Level::Transport));
    assert_eq!(v.code, "MESH 202 A446A65525664ADF94ACE46E102558DB");
    assert_eq!(receipt(202, None, false, "{}").meaning, Meaning::Unknown);
    assert_eq!(receipt(200, Some("A1"), false, "{}").level, Level::Transport, "never the application's");
    let v = receipt(417, None, false, r#"{"detail":[{"event":"SEND","code":"12","msg":"Unregistered to address"}]}"#);
    assert_eq!((v.meaning, v.level, v.code.as_str()), (Meaning::Refused, Level::Transport, "MESH 417 12"));
    assert_eq!(receipt(500, None, false, "").meaning, Meaning::Unknown);
    assert_eq!(receipt(429, None, false, "").meaning, Meaning::Retry);
}

#[test]
fn what_ended_before_its_last_chunk_may_be_tried_again() {
    assert_eq!(receipt(500, None, true, "").meaning, Meaning::Retry);
    assert_eq!(receipt(202, None, true, "").meaning, Meaning::Retry);
    assert_eq!(
        (receipt(0, None, true, "").meaning, receipt(0, None, true, "").code.as_str()),
        (Meaning::Retry, "MESH: broke off")
    );
    assert_eq!(receipt(417, None, true, "").meaning, Meaning::Refused);
}

#[test]
fn tracking_says_that_it_was_carried_and_never_that_it_was_filed() {
    let said = |status: u16, body: &str| tracked(&Reply::new(status, [], body.as_bytes().to_vec()).to_bytes(), "C1");
    let of = |word: &str| said(200, &format!(r#"{{"localId":"C1","status":"{word}","statusSuccess":"SUCCESS"}}"#));
    assert!(matches!(of("Accepted"), Answer::Received { .. }));
    assert!(matches!(of("acknowledged"), Answer::Received { .. }));
    assert!(matches!(of("undeliverable"), Answer::NotDelivered { .. }), "whatever success says");
    assert!(matches!(of("Error"), Answer::NotDelivered { .. }));
    assert_eq!(of("uploading"), Answer::NotFound);
    assert!(matches!(of("sleeping"), Answer::CannotSay { .. }));
    assert!(matches!(said(200, r#"{"local_id":"C1","status":"accepted"}"#), Answer::Received { .. }));
    for other in [r#"{"localId":"C2","status":"accepted"}"#, r#"{"status":"accepted"}"#, "", "[]"] {
        assert!(matches!(said(200, other), Answer::CannotSay { .. }), "{other}");
    }
    assert_eq!(said(404, "{}"), Answer::NotFound);
    assert!(matches!(said(300, "{}"), Answer::CannotSay { .. }));
    assert!(matches!(said(403, "{}"), Answer::NotHeard { .. }));
    assert!(matches!(said(503, "{}"), Answer::NotHeard { .. }));
    assert!(matches!(tracked(b"MSH|", "C1"), Answer::CannotSay { .. }));
}

#[test]
fn a_report_says_its_code_and_nothing_that_could_name_a_person() {
    let report = |pairs: &[(&str, &str)]| {
        let mut headers = Headers::default();
        pairs.iter().for_each(|(n, v)| headers.add(n, v).expect("good"));
        of_report(&InMessage { id: "R1".into(), headers, body: Vec::new() })
    };
    let v = report(&[("mex-statuscode", "14"), ("mex-statussuccess", "ERROR"), ("mex-statusdescription", "Sam")]);
    assert_eq!((v.meaning, v.level), (Meaning::Refused, Level::Application));
    assert_eq!(v.code, "MESH report 14: not delivered, not collected in time");
    assert_eq!(
        report(&[("mex-statuscode", "Sam Smith"), ("mex-statussuccess", "ERROR")]).code,
        "MESH report other: not delivered"
    );
    let v = report(&[("mex-statussuccess", "SUCCESS"), ("mex-statuscode", "00")]);
    assert_eq!((v.meaning, v.level), (Meaning::Positive, Level::Transport));
    assert_eq!(report(&[("mex-statuscode", "14")]).meaning, Meaning::Unknown);
}

fn ack(response: &str, codes: &[&str]) -> Verdict {
    let issue = |c: &&str| serde_json::json!({ "severity": "information", "code": "informational", "details": { "coding": [{ "code": c }] } });
    let issues: Vec<Value> = codes.iter().map(issue).collect();
    let mut entries = vec![
        serde_json::json!({ "resource": { "resourceType": "MessageHeader", "response": { "identifier": "C1", "code": response } } }),
    ];
    if !issues.is_empty() {
        entries.push(serde_json::json!({ "resource": { "resourceType": "OperationOutcome", "issue": issues } }));
    }
    let bundle = serde_json::json!({ "resourceType": "Bundle", "type": "message", "entry": entries });
    let (answered, verdict) = acknowledgement(bundle.to_string().as_bytes(), &usual()).expect("an acknowledgement");
    assert_eq!(answered, "C1");
    verdict
}

#[test]
fn a_business_acknowledgement_is_the_applications_and_an_infrastructure_one_the_transports() {
    for (response, codes, meaning, level, duplicate) in [
        ("ok", &["30001"][..], Meaning::Positive, Level::Application, false),
        ("ok", &["20013"], Meaning::Positive, Level::Transport, false),
        ("ok", &["20013", "30001"], Meaning::Positive, Level::Application, false),
        ("fatal-error", &["30002"], Meaning::Refused, Level::Application, false),
        ("fatal-error", &["20007"], Meaning::Refused, Level::Application, true),
        ("transient-error", &["10001"], Meaning::Retry, Level::Application, false),
        ("fatal-error", &["10001", "30002"], Meaning::Refused, Level::Application, false),
    ] {
        let v = ack(response, codes);
        assert_eq!((v.meaning, v.level, v.duplicate), (meaning, level, duplicate), "{response} {codes:?}");
    }
    assert_eq!(ack("ok", &["30001"]).code, "ack ok 30001");
}

#[test]
fn an_acknowledgement_that_is_not_listed_or_contradicts_itself_says_nothing() {
    for (response, codes) in [
        ("ok", &["30002"][..]),
        ("ok", &["30001", "30002"]),
        ("ok", &["30001", "99999"]),
        ("ok", &["99999"]),
        ("ok", &[]),
        ("fatal-error", &["30001"]),
        ("fatal-error", &["99999"]),
        ("fatal-error", &[]),
        ("perhaps", &["30001"]),
        ("", &["30001"]),
    ] {
        assert_eq!(ack(response, codes).meaning, Meaning::Unknown, "{response} {codes:?}");
    }
    assert_eq!(ack("ok", &["Sam"]).code, "ack ok other", "what could be a name is not shown");
}

#[test]
fn only_a_message_that_answers_is_an_acknowledgement() {
    for body in [
        "",
        "{}",
        r#"{"resourceType":"Bundle","type":"message"}"#,
        r#"{"resourceType":"Bundle","type":"message","entry":[{"resource":{"resourceType":"MessageHeader"}}]}"#,
        r#"{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"MessageHeader","response":{"identifier":"C1","code":"ok"}}}]}"#,
        r#"{"resourceType":"Bundle","type":"message","entry":[{"resource":{"resourceType":"Patient"}},{"resource":{"resourceType":"MessageHeader","response":{"identifier":"C1","code":"ok"}}}]}"#,
    ] {
        assert!(acknowledgement(body.as_bytes(), &usual()).is_none(), "{body}");
    }
}
