use super::*;
use crate::adapter::xml::Namespaces;
use crate::adapter::{Format, ReplyRules};

fn rules(rows: &[(&str, &str)]) -> XmlRules {
    let mut rules = XmlRules::new(Namespaces::default());
    for (key, value) in rows {
        rules.set(key, value).unwrap_or_else(|(what, hint)| panic!("{key}: {what}; {hint}"));
    }
    assert_eq!(rules.wanting(), None);
    rules
}

const ROWS: &[(&str, &str)] = &[
    ("result_at", "/Envelope/Body/*/Result/@code"),
    ("result.OK", "positive"),
    ("result.QUEUED", "received"),
    ("result.DUPLICATE", "query"),
    ("result.CLOSED", "refused"),
    ("fault.Client", "refused"),
    ("fault.Busy", "retry"),
    ("record_id", "/Envelope/Body/*/NoteId"),
    ("echo_at", "/Envelope/Body/*/Reference"),
    ("echo_of", "/Envelope/Body/*/Reference"),
];

fn envelope(inner: &str) -> String {
    format!("<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body>{inner}</s:Body></s:Envelope>")
}

fn sent() -> Vec<u8> {
    let body = envelope("<CreateNote><Reference>D1</Reference></CreateNote>");
    format!("POST notes\nContent-Type: text/xml\n\n{body}").into_bytes()
}

fn judge_by(rules: &XmlRules, status: u16, body: &str) -> Verdict {
    verdict(&Reply::new(status, [], body.as_bytes().to_vec()).to_bytes(), rules, &sent())
}

fn meaning(status: u16, inner: &str) -> Meaning {
    judge_by(&rules(ROWS), status, &envelope(inner)).meaning
}

const OK: &str = "<R><Result code=\"OK\"/><Reference>D1</Reference><NoteId>17</NoteId></R>";

fn fault(code: &str) -> String {
    format!("<s:Fault><faultcode>{code}</faultcode><faultstring>Testpatient unknown</faultstring></s:Fault>")
}

#[test]
fn every_proof_the_pack_asks_for_files_and_gives_the_records_id() {
    let v = judge_by(&rules(ROWS), 200, &envelope(OK));
    assert_eq!((v.meaning, v.level, v.record_id.as_deref()), (Meaning::Positive, Level::Application, Some("17")));
    assert_eq!(v.code, "200 OK");
    let queued = OK.replace("OK", "QUEUED");
    let v = judge_by(&rules(ROWS), 200, &envelope(&queued));
    assert_eq!(
        (v.meaning, v.level, v.record_id),
        (Meaning::Positive, Level::Transport, None),
        "somebody's word on the way"
    );
}

#[test]
fn a_200_is_never_filed_while_a_proof_is_missing_or_contradicted() {
    for (what, inner) in [
        ("no result", OK.replace("<Result code=\"OK\"/>", "")),
        ("an unlisted result", OK.replace("\"OK\"", "\"FINE\"")),
        ("two results", OK.replace("<Result", "<Result code=\"CLOSED\"/><Result")),
        ("no id", OK.replace("<NoteId>17</NoteId>", "")),
        ("an empty id", OK.replace("17", " ")),
        ("two ids", OK.replace("<NoteId>", "<NoteId>18</NoteId><NoteId>")),
        ("an id too long to keep", OK.replace("17", &"1".repeat(101))),
        ("no echo", OK.replace("<Reference>D1</Reference>", "")),
        ("another's echo", OK.replace("D1", "D2")),
        ("a fault beside it", format!("{OK}{}", fault("s:Other"))),
        ("a fault", fault("s:Server")),
        ("a fault of no known form", "<Fault/>".into()),
        ("nothing", String::new()),
    ] {
        let v = judge_by(&rules(ROWS), 200, &envelope(&inner));
        assert_eq!((v.meaning, v.record_id), (Meaning::Unknown, None), "{what}");
    }
    for body in ["", "OK", "<html><body>Welcome</body></html>", "<!DOCTYPE html><html/>", "<a>", "{\"result\":\"OK\"}"]
    {
        assert_eq!(judge_by(&rules(ROWS), 200, body).meaning, Meaning::Unknown, "{body}");
    }
    assert_eq!(verdict(b"HTTP/1.1 200 OK", &rules(ROWS), &sent()), Verdict::unreadable());
    assert_eq!(
        judge_by(&XmlRules::default(), 200, &envelope(OK)).meaning,
        Meaning::Unknown,
        "no rule says what proves it"
    );
}

#[test]
fn an_error_where_the_pack_looks_for_one_is_a_fault_whatever_its_form() {
    let own = rules(&[("record_id", "/Reply/Id"), ("fault_at", "/Reply/Error"), ("fault.E1", "refused")]);
    let of = |inner: &str| judge_by(&own, 200, &format!("<Reply><Id>17</Id>{inner}</Reply>")).meaning;
    assert_eq!((of(""), of("<Error/>")), (Meaning::Positive, Meaning::Positive));
    assert_eq!((of("<Error>E1</Error>"), of("<Error>E2</Error>")), (Meaning::Unknown, Meaning::Unknown));
    let alone = |inner: &str| judge_by(&own, 200, &format!("<Reply>{inner}</Reply>")).meaning;
    assert_eq!((alone("<Error>E1</Error>"), alone("<Error>E2</Error>")), (Meaning::Refused, Meaning::Unknown));
    assert_eq!(of("<Error><Code>E1</Code></Error>"), Meaning::Unknown, "elements where a code should be");
}

#[test]
fn the_bodys_code_goes_before_the_status() {
    assert_eq!(meaning(200, "<R><Result code=\"CLOSED\"/></R>"), Meaning::Refused);
    assert_eq!(meaning(500, &fault("s:Client")), Meaning::Refused);
    assert_eq!(meaning(500, &fault("Busy")), Meaning::Retry);
    assert_eq!(meaning(500, &fault("s:Server")), Meaning::Unknown, "it may have been filed before it failed");
    assert_eq!(meaning(500, OK), Meaning::Unknown, "yes and no at once");
    assert_eq!(meaning(401, &fault("s:NotLoggedIn")), Meaning::Retry, "401 is the endpoint's trouble");
    let v = judge_by(&rules(ROWS), 200, &envelope("<R><Result code=\"DUPLICATE\"/></R>"));
    assert_eq!((v.meaning, v.duplicate), (Meaning::Unknown, true));
    for status in [500, 502, 503, 504] {
        assert_eq!(judge_by(&rules(ROWS), status, "").meaning, Meaning::Unknown, "{status}");
    }
}

#[test]
fn a_reply_about_another_message_neither_files_nor_refuses() {
    assert_eq!(meaning(200, "<R><Result code=\"CLOSED\"/><Reference>D2</Reference></R>"), Meaning::Unknown);
}

#[test]
fn what_could_be_a_name_or_number_of_a_person_is_not_shown() {
    for code in ["Testpatient", "s:Testpatient", "9990000018"] {
        let v = judge_by(&rules(ROWS), 500, &envelope(&fault(code)));
        assert_eq!(v.code, "500 other", "{code}");
    }
    assert_eq!(judge_by(&rules(ROWS), 500, &envelope(&fault("s:Server"))).code, "500 Server");
}

#[test]
fn an_endpoint_changes_single_rows_and_a_no_can_never_become_a_yes() {
    let own: toml::Table =
        "\"503\" = \"retry\"\nfault.Busy = \"refused\"\n[result]\nFINE = \"positive\"".parse().expect("TOML");
    let ReplyRules::Xml(changed) = ReplyRules::Xml(Box::new(rules(ROWS))).with(&own).expect("good rows") else {
        panic!("xml rules")
    };
    assert_eq!(judge_by(&changed, 200, &envelope(&OK.replace("\"OK\"", "\"FINE\""))).meaning, Meaning::Positive);
    assert_eq!(judge_by(&changed, 500, &envelope(&fault("Busy"))).meaning, Meaning::Refused);
    for bad in [
        "fault.Server = \"positive\"",
        "\"500\" = \"positive\"",
        "result_at = \"/a[1]\"",
        "record_id = \"./a\"",
        "issue.x = \"query\"",
        "result.OK = \"yes\"",
    ] {
        let table: toml::Table = bad.parse().expect("TOML");
        assert!(ReplyRules::of(Format::Xml).with(&table).is_err(), "{bad}");
    }
}

#[test]
fn a_no_beside_what_proves_a_yes_is_neither_refused_nor_tried_again() {
    for (status, inner) in [
        (200, format!("{OK}{}", fault("Busy"))),
        (500, format!("{OK}{}", fault("Busy"))),
        (500, format!("{OK}{}", fault("s:Client"))),
        (200, "<R><Result code=\"CLOSED\"/><Reference>D1</Reference><NoteId>17</NoteId></R>".into()),
        (500, format!("<R><NoteId>17</NoteId></R>{}", fault("Busy"))),
        (500, format!("<R><NoteId><Deep>17</Deep></NoteId></R>{}", fault("s:Client"))),
        (500, format!("<R><NoteId>17</NoteId><NoteId>18</NoteId></R>{}", fault("Busy"))),
        (500, format!("<R><Result code=\"QUEUED\"/></R>{}", fault("Busy"))),
        (401, "<R><NoteId>17</NoteId></R>".into()),
        (400, "<R><NoteId>17</NoteId></R>".into()),
        (429, OK.into()),
    ] {
        assert_eq!(meaning(status, &inner), Meaning::Unknown, "{status} {inner}");
        let reply = Reply::new(status, [], envelope(&inner).into_bytes()).to_bytes();
        assert!(shows_filing(&reply, &rules(ROWS)), "{status} {inner}");
    }
    for (status, inner, what) in [
        (500, fault("Busy"), Meaning::Retry),
        (500, format!("<R><NoteId/></R>{}", fault("s:Client")), Meaning::Refused),
        (200, "<R><Result code=\"CLOSED\"/><NoteId> </NoteId></R>".into(), Meaning::Refused),
    ] {
        assert_eq!(meaning(status, &inner), what, "{status} {inner}");
    }
}

#[test]
fn a_fault_that_no_row_lists_is_never_a_refusal_whatever_the_status() {
    for status in [400, 403, 404, 409, 422] {
        assert_eq!(meaning(status, &fault("s:Other")), Meaning::Unknown, "{status}");
        assert_eq!(meaning(status, &fault("s:Client")), Meaning::Refused, "{status}");
        assert_eq!(judge_by(&rules(ROWS), status, "").meaning, Meaning::Refused, "{status}");
    }
}

#[test]
fn an_empty_place_beside_another_is_a_contradiction() {
    let beside = |inner: &str| meaning(200, &OK.replace("<Result", &format!("{inner}<Result")));
    assert_eq!(beside("<Result code=\"\"/>"), Meaning::Unknown);
    assert_eq!(beside("<Result code=\"OK\"/>"), Meaning::Positive, "the same, said twice");
    assert_eq!(meaning(200, &OK.replace("<NoteId>", "<NoteId/><NoteId>")), Meaning::Unknown);
}

#[test]
fn a_202_with_a_body_that_cannot_be_read_says_nothing() {
    assert_eq!(judge_by(&rules(ROWS), 202, "").meaning, Meaning::Positive, "somebody's word on the way");
    for body in ["<html><p>sorry", "sorry", &envelope(OK)[..90]] {
        assert_eq!(judge_by(&rules(ROWS), 202, body).meaning, Meaning::Unknown, "{body}");
    }
}

#[test]
fn an_id_with_characters_that_nobody_sees_is_not_kept() {
    for id in ["1\u{202e}7", "1\u{200b}7", "17\u{feff}8", "1\u{ad}7", "1\n7", "1\u{85}7", "1\u{e0061}7"] {
        let v = judge_by(&rules(ROWS), 200, &envelope(&OK.replace("17", id)));
        assert_eq!((v.meaning, v.record_id), (Meaning::Unknown, None), "{id:?}");
    }
    let v = judge_by(&rules(ROWS), 200, &envelope(&OK.replace("17", "{17-\u{e9}}/1 a")));
    assert_eq!(v.record_id.as_deref(), Some("{17-\u{e9}}/1 a"));
}

#[test]
fn a_gateways_page_is_not_the_records_own_word() {
    let is_its_own = |body: &str| is_its_own(&Reply::new(503, [], body.as_bytes().to_vec()));
    for page in ["", "Service Unavailable", "<html><body><h1>503", "<HTML><body/></HTML>", "<!DOCTYPE html><html/>"] {
        assert!(!is_its_own(page), "{page}");
    }
    assert!(is_its_own(&envelope(&fault("s:Server"))) && is_its_own("<Error>busy</Error>"));
}

#[test]
fn a_reply_that_would_hold_a_parser_up_is_unreadable_at_once() {
    let nested: String = (0..20_000).map(|n| format!("<a xmlns:n{n}=\"u\">")).collect();
    assert_eq!(judge_by(&rules(ROWS), 200, &(nested + &"</a>".repeat(20_000))).meaning, Meaning::Unknown);
}
