use super::*;
use crate::adapter::ReplyRules;
use crate::transport::http_message::{Headers, Request};
use serde_json::json;

const SYSTEM: &str = "https://ips-bridge.example/Id/document";

fn resource(id: Option<&str>, document: &str, status: &str) -> Value {
    let mut r = json!({"resourceType": "DocumentReference", "status": status, "identifier": [{"system": SYSTEM, "value": document}]});
    if let Some(id) = id {
        r["id"] = json!(id);
    }
    r
}

fn request(method: Method, target: &str, body: &Value) -> Vec<u8> {
    Request::new(method, target.into(), Headers::default(), body.to_string().into_bytes())
        .expect("a request")
        .to_bytes()
}

fn create() -> Vec<u8> {
    request(Method::Post, "DocumentReference", &resource(None, "D1", "current"))
}

fn judge_by(rules: &HttpRules, status: u16, headers: &[(&str, &str)], body: &Value, request: &[u8]) -> Verdict {
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    verdict(&Reply::new(status, headers.iter().copied(), body).to_bytes(), rules, request)
}

fn judge(status: u16, headers: &[(&str, &str)], body: &Value) -> Verdict {
    judge_by(&HttpRules::default(), status, headers, body, &create())
}

fn outcome(severity: &str, code: &str, detail: &str) -> Value {
    json!({"resourceType": "OperationOutcome", "issue": [{"severity": severity, "code": code,
        "details": {"coding": [{"system": "s", "code": detail}], "text": "Testpatient 9990000018"}, "diagnostics": "Testpatient"}]})
}

#[test]
fn each_status_has_a_meaning_and_only_201_and_200_can_file() {
    for (status, meaning, level) in [
        (202, Meaning::Positive, Level::Transport),
        (204, Meaning::Unknown, Level::Application),
        (206, Meaning::Unknown, Level::Application),
        (302, Meaning::Unknown, Level::Application),
        (100, Meaning::Unknown, Level::Application),
        (400, Meaning::Refused, Level::Application),
        (401, Meaning::Retry, Level::Application),
        (403, Meaning::Refused, Level::Application),
        (404, Meaning::Refused, Level::Application),
        (408, Meaning::Retry, Level::Application),
        (409, Meaning::Refused, Level::Application),
        (412, Meaning::Refused, Level::Application),
        (422, Meaning::Refused, Level::Application),
        (425, Meaning::Retry, Level::Application),
        (429, Meaning::Retry, Level::Application),
        (500, Meaning::Retry, Level::Application),
        (502, Meaning::Unknown, Level::Application),
        (503, Meaning::Retry, Level::Application),
        (504, Meaning::Unknown, Level::Application),
    ] {
        let v = judge(status, &[("Location", "DocumentReference/17")], &Value::Null);
        assert_eq!((v.meaning, v.level, v.record_id), (meaning, level, None), "{status}");
        assert_eq!(v.code, status.to_string());
    }
}

#[test]
fn a_create_is_filed_by_an_id_from_the_body_or_the_location() {
    for (headers, body) in [
        (vec![("Location", "https://epr.example/r4/DocumentReference/17/_history/1")], Value::Null),
        (vec![], resource(Some("17"), "D1", "current")),
        // A server may drop what it does not support; a 201 is a creation all the same.
        (vec![], json!({"resourceType": "DocumentReference", "id": "17"})),
        (vec![("Location", "DocumentReference/17")], outcome("information", "informational", "ok")),
    ] {
        let v = judge(201, &headers, &body);
        assert_eq!(
            (v.meaning, v.level, v.record_id.as_deref()),
            (Meaning::Positive, Level::Application, Some("17")),
            "{body}"
        );
    }
}

#[test]
fn a_2xx_that_proves_nothing_is_unknown() {
    for (headers, body) in [
        (vec![], Value::Null),
        (vec![], json!({})),
        (vec![], json!({"resourceType": "Patient", "id": "17"})),
        (vec![("Location", "https://epr.example/login")], Value::Null),
        (vec![("Location", "Patient/17")], Value::Null),
        (vec![("Location", "DocumentReference/18")], resource(Some("17"), "D1", "current")),
        (vec![("Location", "DocumentReference/17")], outcome("error", "processing", "x")),
        (vec![("Location", "DocumentReference/17")], outcome("fatal", "exception", "x")),
        (vec![], json!({"resourceType": "DocumentReference", "id": "a b"})),
    ] {
        let v = judge(201, &headers, &body);
        assert_eq!((v.meaning, v.record_id), (Meaning::Unknown, None), "{body}");
    }
    let page = Reply::new(201, [("Location", "DocumentReference/17")], b"<html>".to_vec()).to_bytes();
    assert_eq!(verdict(&page, &HttpRules::default(), &create()).meaning, Meaning::Unknown, "a proxy's page");
    let twice = br#"{"resourceType":"DocumentReference","id":"17","id":"18"}"#;
    let twice = Reply::new(201, [], twice.to_vec()).to_bytes();
    assert_eq!(verdict(&twice, &HttpRules::default(), &create()).meaning, Meaning::Unknown, "two ids under one key");
}

#[test]
fn a_200_to_a_create_is_ours_only_if_it_carries_our_identifier() {
    assert_eq!(judge(200, &[], &resource(Some("17"), "D1", "current")).record_id.as_deref(), Some("17"));
    for body in
        [resource(Some("17"), "D2", "current"), json!({"resourceType": "DocumentReference", "id": "17"}), Value::Null]
    {
        let v = judge(200, &[("Location", "DocumentReference/17")], &body);
        assert_eq!((v.meaning, v.record_id), (Meaning::Unknown, None), "{body}");
    }
}

#[test]
fn an_update_is_filed_only_for_that_resource_and_that_status() {
    let withdraw = request(Method::Put, "DocumentReference/17", &resource(Some("17"), "D2", "entered-in-error"));
    let of = |status: u16, headers: &[(&str, &str)], body: &Value| {
        judge_by(&HttpRules::default(), status, headers, body, &withdraw)
    };
    assert_eq!(of(200, &[], &resource(Some("17"), "D2", "entered-in-error")).meaning, Meaning::Positive);
    assert_eq!(
        of(200, &[("Content-Location", "DocumentReference/17/_history/2")], &Value::Null).meaning,
        Meaning::Positive
    );
    for body in [resource(Some("18"), "D2", "entered-in-error"), resource(Some("17"), "D2", "current"), Value::Null] {
        assert_eq!(of(200, &[], &body).meaning, Meaning::Unknown, "{body}");
    }
}

#[test]
fn issues_decide_where_the_pack_lists_them_and_a_duplicate_asks_first() {
    let ReplyRules::Http(mut rules) = ReplyRules::of(crate::adapter::Format::Fhir) else { panic!("http rules") };
    rules.set("issue.duplicate", "query").expect("a row");
    rules.set("issue.REC_CONFLICT", "refused").expect("a row");
    rules.set("issue.transient", "retry").expect("a row");
    let of = |status: u16, body: &Value| judge_by(&rules, status, &[], body, &create());
    let v = of(409, &outcome("error", "duplicate", "REC_CONFLICT"));
    assert_eq!((v.meaning, v.duplicate, v.code.as_str()), (Meaning::Unknown, true, "409 duplicate REC_CONFLICT"));
    assert_eq!(of(400, &outcome("error", "transient", "x")).meaning, Meaning::Retry);
    assert_eq!(of(409, &outcome("warning", "duplicate", "x")).meaning, Meaning::Refused, "a warning decides nothing");
    assert_eq!(judge(409, &[], &outcome("error", "duplicate", "x")).meaning, Meaning::Refused, "not listed");
}

#[test]
fn several_of_our_id_are_no_refusal_and_a_version_conflict_is_one() {
    let mut rules = HttpRules::default();
    rules.set("412", "refused").expect("a row");
    rules.set("issue.conflict", "refused").expect("a row");
    rules.set("issue.transient", "retry").expect("a row");
    let with = |method: Method, target: &str, header: (&str, &str)| {
        let mut headers = Headers::default();
        headers.add(header.0, header.1).expect("a header");
        let body = resource(None, "D1", "current").to_string().into_bytes();
        Request::new(method, target.into(), headers, body).expect("a request").to_bytes()
    };
    let conditional = with(Method::Post, "DocumentReference", ("if-none-exist", "identifier=D1"));
    let update = with(Method::Put, "DocumentReference/17", ("If-Match", "W/\"1\""));
    for body in [Value::Null, outcome("error", "conflict", "x"), outcome("error", "transient", "x")] {
        let v = judge_by(&rules, 412, &[], &body, &conditional);
        assert_eq!((v.meaning, v.duplicate, v.untold), (Meaning::Unknown, true, false), "{body}");
    }
    for (status, request) in [(412, &update), (412, &create()), (409, &conditional), (422, &conditional)] {
        let v = judge_by(&rules, status, &[], &Value::Null, request);
        assert_eq!((v.meaning, v.duplicate), (Meaning::Refused, false), "{status}");
    }
}

/// The record shows what was sent, so that asking it or sending it again would call it filed.
#[test]
fn an_update_that_made_a_new_one_comes_to_a_person_and_a_create_under_our_own_id_is_filed() {
    let location = [("Location", "DocumentReference/17")];
    for (document, status) in [("D2", "entered-in-error"), ("D2", "current")] {
        let sent = resource(Some("17"), document, status);
        let update = request(Method::Put, "DocumentReference/17", &sent);
        for body in [Value::Null, sent.clone()] {
            let v = judge_by(&HttpRules::default(), 201, &location, &body, &update);
            assert_eq!((v.meaning, v.misplaced, v.record_id), (Meaning::Refused, true, None), "{body}");
            assert_eq!(v.code, "201, made as a new one: nothing stood under that id");
        }
        assert_eq!(judge_by(&HttpRules::default(), 200, &location, &sent, &update).meaning, Meaning::Positive);
    }
    for id in ["D1", "ips-d1"] {
        let sent = resource(Some(id), "D1", "current");
        let create = request(Method::Put, &format!("DocumentReference/{id}"), &sent);
        for status in [200, 201] {
            let v = judge_by(&HttpRules::default(), status, &[], &sent, &create);
            assert_eq!((v.meaning, v.record_id.as_deref()), (Meaning::Positive, Some(id)), "{status}");
        }
    }
}

#[test]
fn no_rule_can_make_a_refusal_positive() {
    let mut rules = HttpRules::default();
    for (key, value) in [
        ("404", "positive"),
        ("4xx", "received"),
        ("5xx", "positive"),
        ("issue.duplicate", "positive"),
        ("200", "refused"),
        ("99", "retry"),
        ("2x0", "positive"),
        ("AA", "positive"),
        ("200", "yes"),
        ("issue.", "query"),
    ] {
        assert!(rules.set(key, value).is_err(), "{key} = {value}");
    }
    assert_eq!(rules, HttpRules::default());
    assert!(rules.set("200", "unknown").is_ok() && rules.set("504", "retry").is_ok());
}

#[test]
fn what_could_be_a_name_or_number_of_a_person_is_not_shown() {
    for detail in ["Testpatient", "9990000018", "SMITH"] {
        let v = judge(422, &[], &outcome("error", "invalid", detail));
        assert_eq!((v.code.as_str(), v.meaning), ("422 invalid other", Meaning::Refused));
    }
}

#[test]
fn bytes_that_are_no_reply_are_unreadable() {
    for bytes in [&b""[..], b"MSH|^~\\&|", b"HTTP 200", b"HTTP/1.1 200 OK\r\n\r\n"] {
        assert_eq!(verdict(bytes, &HttpRules::default(), &create()), Verdict::unreadable());
    }
}

#[test]
fn a_read_back_finds_ours_once_or_says_that_it_cannot() {
    let bundle = |entries: Vec<Value>, more: Value| {
        let entries: Vec<Value> = entries.into_iter().map(|r| json!({"resource": r})).collect();
        let mut b = json!({"resourceType": "Bundle", "type": "searchset", "entry": entries});
        b.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        b
    };
    let ask = |status: u16, body: &Value| {
        read_back(&Reply::new(status, [], body.to_string().into_bytes()).to_bytes(), &create())
    };
    let ours = || resource(Some("17"), "D1", "current");
    assert_eq!(ask(200, &bundle(vec![ours()], json!({"total": 1}))), ReadBack::Found { record_id: "17".into() });
    assert_eq!(ask(200, &bundle(vec![], json!({"total": 0}))), ReadBack::NotFound);
    assert_eq!(ask(200, &json!({"resourceType": "Bundle", "type": "searchset"})), ReadBack::NotFound);
    assert_eq!(ask(200, &bundle(vec![ours(), resource(Some("18"), "D1", "current")], json!({}))), ReadBack::Several);
    for (status, body) in [
        (200, bundle(vec![resource(Some("17"), "D2", "current")], json!({}))),
        (200, bundle(vec![resource(Some("17"), "D1", "superseded")], json!({}))),
        (200, bundle(vec![resource(None, "D1", "current")], json!({}))),
        (200, bundle(vec![outcome("error", "exception", "x")], json!({}))),
        (200, bundle(vec![], json!({"total": 3}))),
        (200, bundle(vec![], json!({"link": [{"relation": "next", "url": "x"}]}))),
        (200, ours()),
        (404, bundle(vec![], json!({}))),
        (500, json!({})),
    ] {
        assert!(matches!(ask(status, &body), ReadBack::CannotSay { .. }), "{status} {body}");
    }
}

#[test]
fn what_is_asked_for_is_what_was_sent() {
    let question = crate::adapter::fhir::read_back(&create()).expect("a question");
    let text = String::from_utf8(question).expect("ASCII");
    assert!(
        text.starts_with("GET DocumentReference?identifier=https://ips-bridge.example/Id/document%7CD1\n"),
        "{text}"
    );
    let nameless = request(Method::Post, "Task", &json!({"resourceType": "Task", "status": "accepted"}));
    assert_eq!(crate::adapter::fhir::read_back(&nameless), None);
}

#[test]
fn a_document_of_somebody_else_under_our_identifier_proves_nothing() {
    let number = |n: &str| json!({"identifier": {"system": "https://fhir.nhs.uk/Id/nhs-number", "value": n}});
    let of = |id: Option<&str>, subject: Value| {
        let mut r = resource(id, "D1", "current");
        r["subject"] = subject;
        r
    };
    let sent = request(Method::Post, "DocumentReference", &of(None, number("9990000018")));
    let there = |subject: Value| of(Some("17"), subject);
    let rules = HttpRules::default();
    let bundle = |r: &Value| {
        Reply::new(200, [], json!({"resourceType": "Bundle", "entry": [{"resource": r}]}).to_string().into_bytes())
            .to_bytes()
    };
    for (subject, meaning) in [
        (number("9990000018"), Meaning::Positive),
        (number("9990000026"), Meaning::Misfiled),
        // A reference of the record's own says nothing we can compare.
        (json!({"reference": "Patient/4"}), Meaning::Unknown),
    ] {
        for status in [200, 201] {
            let answered = judge_by(&rules, status, &[], &there(subject.clone()), &sent);
            assert_eq!(answered.meaning, meaning, "{subject}");
            assert_eq!(answered.record_id.is_some(), meaning != Meaning::Unknown, "to find it there");
        }
        let found = read_back(&bundle(&there(subject.clone())), &sent);
        let as_asked = match found {
            ReadBack::Found { .. } => Meaning::Positive,
            ReadBack::Misfiled { .. } => Meaning::Misfiled,
            ReadBack::CannotSay { .. } | ReadBack::NotFound | ReadBack::Several => Meaning::Unknown,
        };
        assert_eq!(as_asked, meaning, "{subject}");
    }
}

#[test]
fn a_created_document_that_contradicts_what_was_sent_is_not_filed() {
    let mut sent = resource(None, "D1", "current");
    sent["content"] = json!([{"attachment": {"data": "U2VlbiB0b2RheS4=", "size": 11}}]);
    let request = request(Method::Post, "DocumentReference", &sent);
    let rules = HttpRules::default();
    let shown = |key: &str, value: Value| {
        let mut r = sent.clone();
        (r["id"], r[key]) = (json!("17"), value);
        r
    };
    let location = [("Location", "DocumentReference/17")];
    let judge = |body: &Value| judge_by(&rules, 201, &location, body, &request);
    assert_eq!(judge(&shown("status", json!("current"))).meaning, Meaning::Positive);
    for (key, value, why) in [
        ("status", json!("entered-in-error"), "201, with another status"),
        ("identifier", json!([{"system": SYSTEM, "value": "D9"}]), "201, with another identifier"),
        ("content", json!([{"attachment": {"data": "U2Vlbg==", "size": 4}}]), "201, with another text"),
    ] {
        let v = judge(&shown(key, value));
        assert_eq!((v.meaning, v.code.as_str(), v.record_id), (Meaning::Unknown, why, None));
    }
    let two = [("Location", "DocumentReference/17"), ("Location", "DocumentReference/18")];
    let v = judge_by(&rules, 201, &two, &Value::Null, &request);
    assert_eq!((v.meaning, v.code.as_str()), (Meaning::Unknown, "201, without the record's id"));
    // Asked for, the record must show the same.
    let found = |r: &Value| {
        let bundle = json!({"resourceType": "Bundle", "entry": [{"resource": r}]}).to_string().into_bytes();
        read_back(&Reply::new(200, [], bundle).to_bytes(), &request)
    };
    assert!(matches!(found(&shown("status", json!("current"))), ReadBack::Found { .. }));
    for content in [json!([]), json!([{"attachment": {"data": "U2Vlbg=="}}])] {
        assert!(matches!(found(&shown("content", content)), ReadBack::CannotSay { .. }));
    }
}

#[test]
fn a_status_that_says_not_now_and_not_whether_it_was_taken_is_untold() {
    let mut rules = HttpRules::default();
    rules.set("issue.transient", "retry").expect("a row");
    rules.set("503", "retry").expect("the supplier's word");
    let of = |status: u16, body: &Value| judge_by(&rules, status, &[], body, &create());
    for (status, untold) in
        [(408, true), (500, true), (507, true), (425, false), (429, false), (401, false), (503, false)]
    {
        let v = of(status, &Value::Null);
        assert_eq!((v.meaning, v.untold), (Meaning::Retry, untold), "{status}");
    }
    assert!(!of(500, &outcome("error", "transient", "x")).untold, "the issue says it");
    assert!(!of(201, &resource(Some("17"), "D1", "current")).untold);
}
