use super::*;
use crate::adapter::fault::Faults;
use crate::adapter::pack::{Pack, ParseError};
use crate::adapter::sources::Sources;
use jiff::tz::TimeZone;
use serde_json::json;
use std::collections::BTreeMap;

fn map(rows: &str) -> Map {
    let text = format!("makes = \"CreateReferralRequest\"\n{rows}");
    let mut faults = Faults::default();
    let map = Map::read(&Sources::from_files("x", [("maps/m.toml", text.as_str())]), "maps/m.toml", None, &mut faults);
    assert!(faults.0.is_empty(), "{rows}: {:?}", faults.0);
    map.expect("a map")
}

fn read(rows: &str, resource: &Value) -> Result<Value, Vec<String>> {
    read_in(rows, Scope::of_resource(resource, None))
}

fn read_in(rows: &str, scope: Scope<'_>) -> Result<Value, Vec<String>> {
    let zone = TimeZone::get("Europe/London").expect("bundled");
    let around = Around {
        settings: &JsonMap::new(),
        tables: &BTreeMap::new(),
        zone: &zone,
        reached: None,
        written_at: Vec::new(),
    };
    let (mapped, faults) = map(rows).apply(scope, &around);
    if faults.is_empty() { Ok(mapped.value) } else { Err(faults.iter().map(ToString::to_string).collect()) }
}

#[test]
fn a_date_or_time_is_read_as_fhir_writes_it_and_a_part_of_one_is_refused() {
    let of = |text: &str| read("\"received_at\" = { from = \"$.t\", as = \"fhir_time\" }", &json!({"t": text}));
    for (text, wanted) in [
        ("2026-07-01T09:00:00+01:00", "2026-07-01T08:00:00Z"),
        ("2026-07-01T09:00:00.5Z", "2026-07-01T09:00:00.5Z"),
        ("2026-07-01T09:00:00", "2026-07-01T08:00:00Z"),
        ("2026-07-01", "2026-06-30T23:00:00Z"),
        ("2026-07-01T10:00-05:00", "2026-07-01T15:00:00Z"),
        ("2026-07-01T10:00Z", "2026-07-01T10:00:00Z"),
        ("2026-10-25T01:10:00", "2026-10-25T01:10:00Z"),
    ] {
        assert_eq!(of(text), Ok(json!({"received_at": wanted})), "{text}");
    }
    for text in ["2026", "2026-07", "2026-02-30", "20260701", "2026-07-01T25:00:00Z", "x", "2026-07-01T"] {
        assert!(of(text).is_err(), "{text}");
    }
    let day = |text: &str| {
        read("\"patient_details.date_of_birth\" = { from = \"$.t\", as = \"fhir_date\" }", &json!({"t": text}))
    };
    assert_eq!(day("2026-06-30T23:30:00Z"), Ok(json!({"patient_details": {"date_of_birth": "2026-07-01"}})));
    assert!(day("1985").is_err() && day("1985-04").is_err());
}

#[test]
fn a_date_with_a_zone_is_that_day_and_what_only_looks_like_one_is_none() {
    for (sent, day) in [
        ("2026-03-02", "2026-03-02"),
        ("2026-03-02Z", "2026-03-02"),
        ("2026-03-02+01:00", "2026-03-02"),
        ("2026-03-02-05:30", "2026-03-02"),
        ("2026-03-02+01.00", "2026-03-02+01.00"),
        ("2026-03-02+\u{20ac}12", "2026-03-02+\u{20ac}12"),
        ("2026-03-0\u{20ac}", "2026-03-0\u{20ac}"),
    ] {
        assert_eq!(made::without_zone(sent), day);
    }
}

#[test]
fn a_reference_is_followed_to_what_is_contained_and_no_further() {
    let rows = "\"details.referrer_name\" = \"$.requester -> $.practitioner -> $.name[0].text\"";
    let contained = json!([{"id": "r", "practitioner": {"reference": "#p"}}, {"id": "p", "name": [{"text": "A B"}]}]);
    let whole = json!({"contained": contained, "requester": {"reference": "#r"}});
    assert_eq!(read(rows, &whole), Ok(json!({"details": {"referrer_name": "A B"}})));
    for reference in [
        json!({"reference": "#x"}),
        json!({"reference": "Practitioner/p"}),
        json!({"reference": 1}),
        json!("#r"),
        json!({}),
    ] {
        let said =
            read(rows, &json!({"contained": contained, "requester": reference})).expect_err("cannot be followed");
        assert!(said[0].contains("is required, and was not sent"), "{said:?}");
    }
}

#[test]
fn several_different_values_are_a_fault_unless_they_count_as_absent() {
    let two = json!({"a": [{"v": "x"}, {"v": "y"}], "b": [{"v": "z"}, {"v": "z"}]});
    let said = read("\"details.team\" = \"$.a[*].v\"", &two).expect_err("ambiguous");
    assert!(said[0].contains("several different values"), "{said:?}");
    assert_eq!(read("\"details.team\" = \"$.b[*].v\"", &two), Ok(json!({"details": {"team": "z"}})));
    let absent = "\"details.team\" = { from = [\"$.a[*].v\", \"$.b[*].v\"], ambiguous = \"absent\" }";
    assert_eq!(read(absent, &two), Ok(json!({"details": {"team": "z"}})));
    assert!(read("\"details.team\" = \"$.a\"", &two).expect_err("a list")[0].contains("not a single value"));
}

#[test]
fn what_is_not_accepted_is_said_beside_every_other_fault() {
    let rows = "\"details.team\" = \"$.t\"\n[accept]\n\"$.status\" = [\"active\"]";
    let said = read(rows, &json!({"status": "revoked"})).expect_err("refused");
    assert_eq!(
        said,
        ["accept (from $.status): is not active", "details.team (from $.t): is required, and was not sent"]
    );
    assert!(read(rows, &json!({"t": "x"})).is_err(), "no status at all");
    assert!(read(rows, &json!({"status": "active", "t": "x"})).is_ok());
}

/// A Patient as the UK pack's map reads it.
fn patient(members: Value) -> Result<Value, Vec<String>> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters/fhir-uk-core");
    let pack = Pack::load(&folder).expect("loads");
    let mut patient = json!({
        "resourceType": "Patient", "id": "p1", "meta": {"lastUpdated": "2026-03-03T08:15:00+00:00"},
        "identifier": [{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": "9990000018"}],
        "name": [{"use": "official", "family": "TESTPATIENT", "given": ["SAM"]}],
    });
    for (key, value) in members.as_object().into_iter().flatten() {
        patient[key] = value.clone();
    }
    match pack.parse(patient.to_string().as_bytes(), &pack.manifest.settings.examples(), "Europe/London") {
        Ok(parsed) => Ok(parsed.value),
        Err(ParseError::Fields(list)) => Err(list.iter().map(ToString::to_string).collect()),
        Err(e) => Err(vec![e.to_string()]),
    }
}

fn names(list: Value) -> Result<[Value; 2], Vec<String>> {
    let said = patient(json!({"name": list}))?;
    Ok(["family_name", "given_names"].map(|key| said.get(key).cloned().unwrap_or(Value::Null)))
}

#[test]
fn what_is_old_or_has_ended_is_not_looked_at() {
    let new = json!({"use": "official", "family": "NEW", "given": ["SAM"]});
    let ended = |end: &str| json!({"use": "official", "family": "OLD", "given": ["ANN"], "period": {"end": end}});
    for end in ["2020-01-01", "2025", "2026-02", "2026-03-02", "2026-03-03T08:14:59Z", "whenever"] {
        assert_eq!(names(json!([ended(end), new])), Ok([json!("NEW"), json!("SAM")]), "{end}");
    }
    for end in ["2026", "2026-03", "2026-03-03", "2026-03-03T08:15:01Z", "2030-01-01"] {
        assert!(names(json!([ended(end), new])).is_err(), "{end}: both hold");
    }
    // As systems write that something has no end.
    for end in ["9999-12-31", "9999-12-31T23:59:59Z", "9999"] {
        assert_eq!(names(json!([ended(end)])), Ok([json!("OLD"), json!("ANN")]), "{end}");
    }
    let number =
        |value: &str, how: &str| json!({"system": "https://fhir.nhs.uk/Id/nhs-number", "value": value, "use": how});
    let said = patient(json!({"identifier": [number("9990000026", "old"), number("9990000018", "official")]}));
    assert_eq!(said.expect("taken")["nhs_number"], json!("9990000018"));
    let home = json!({"use": "home", "line": ["1 New St"], "city": "Leeds"});
    let old = json!({"use": "home", "line": ["2 Old Rd", "Flat B"], "city": "York", "period": {"end": "2020-01-01"}});
    let said = patient(json!({"address": [old, home], "telecom": [{"system": "phone", "use": "old", "value": "1"}]}));
    let said = said.expect("taken");
    assert_eq!(said["address"], json!({"lines": ["1 New St"], "city": "Leeds"}));
    assert_eq!(said.get("phone"), None);
}

#[test]
fn parts_of_two_elements_are_never_put_together() {
    let name = |how: &str, family: &str, given: &str| json!({"use": how, "family": family, "given": [given]});
    assert!(names(json!([name("official", "NEW", "SAM"), name("official", "NEW", "ANN")])).is_err());
    let no_given = json!({"use": "official", "family": "NEW"});
    assert_eq!(names(json!([no_given, name("usual", "X", "SAMMY")])), Ok([json!("NEW"), Value::Null]));
    let (a, b) = (
        json!({"use": "home", "line": ["1 New St"], "city": "Leeds"}),
        json!({"use": "home", "line": ["2 Old Rd"], "city": "Leeds"}),
    );
    assert_eq!(patient(json!({"address": [a, b]})).expect("taken").get("address"), None);
    let said = patient(json!({"address": [{"line": ["3 Third"], "city": "Hull"}, a]})).expect("taken");
    assert_eq!(said["address"]["city"], json!("Leeds"));
}

#[test]
fn a_part_of_a_date_says_that_somebody_died_and_not_when() {
    for end in ["2026", "2026-03"] {
        let said = patient(json!({"deceasedDateTime": end, "birthDate": "1985"})).expect("taken");
        assert_eq!((&said["deceased"], said.get("died_on"), said.get("date_of_birth")), (&json!(true), None, None));
    }
    assert!(patient(json!({"deceasedDateTime": "03/2026"})).is_err());
}

#[test]
fn modifier_elements_that_are_not_understood_are_refused() {
    for more in [
        json!({"modifierExtension": [{"url": "https://x.example/y", "valueBoolean": true}]}),
        json!({"modifierExtension": [{}]}),
        json!({"implicitRules": "https://x.example/rules"}),
    ] {
        let said = patient(more).expect_err("refused");
        assert!(said[0].contains("modifier elements must be understood"), "{said:?}");
    }
}

#[test]
fn the_nhs_number_is_known_by_each_of_its_systems() {
    for system in [
        "https://fhir.nhs.uk/Id/nhs-number",
        "https://fhir.nhs.uk/id/nhs-number",
        "http://fhir.nhs.uk/Id/nhs-number",
        "http://fhir.nhs.net/Id/nhs-number",
        "https://fhir.nhs.uk/Id/nhs-number/",
        "HTTPS://FHIR.NHS.UK/ID/NHS-NUMBER",
        "urn:oid:2.16.840.1.113883.2.1.4.1",
        "2.16.840.1.113883.2.1.4.1",
    ] {
        let said = patient(
            json!({"identifier": [{"system": system, "value": "999 000 0018"}, {"system": system, "value": "9990000018"}]}),
        );
        assert_eq!(said.expect("taken")["nhs_number"], json!("9990000018"), "{system}");
    }
}

#[test]
fn a_number_of_no_known_system_that_may_be_the_nhs_number_is_refused_where_there_is_none() {
    let local = json!({"system": "https://epr.example/Id/mrn", "value": "4471920"});
    let number = json!({"system": "https://fhir.nhs.uk/Id/nhs-number", "value": "9990000018"});
    let of = |one: Value, other: &Value| patient(json!({"identifier": [one, other]}));
    for may_be in [
        json!({"value": "9990000026"}),
        json!({"value": 9_990_000_026_u64}),
        json!({"value": "999 000 0026", "type": {"coding": [{"code": "NH"}]}}),
        json!({"system": "https://fhir.nhs.uk/Id/nhs-numbers", "value": "9990000026"}),
    ] {
        let said = of(may_be.clone(), &local).expect_err("refused");
        assert!(said.len() == 1 && said[0].contains("may be the NHS number"), "{said:?}");
        assert_eq!(of(may_be, &number).expect("taken")["nhs_number"], json!("9990000018"));
    }
    for none in [
        json!({"value": "9990000027"}),
        json!({"system": "https://pharmacy.example/Id/x", "value": "A-1"}),
        json!({"system": "https://epr.example/Id/mrn", "value": "9990000026"}),
    ] {
        assert_eq!(of(none, &local).expect("taken").get("nhs_number"), None);
    }
}

#[test]
fn a_name_or_address_that_cannot_be_read_is_refused_and_one_of_another_use_is_passed_over() {
    let name = |more: Value| patient(json!({"name": [more]}));
    let address = |more: Value| patient(json!({"address": [more]}));
    for lost in [
        name(json!({"text": "SAM NEW"})),
        name(json!({"use": "official", "text": "SAM NEW", "prefix": ["MX"]})),
        name(json!({"use": "usual", "text": "SAM NEW"})),
        name(json!({"use": "Official", "family": "NEW", "given": ["SAM"]})),
        name(json!({"use": "official", "family": "NEW", "given": "SAM"})),
        patient(json!({"name": {"family": "NEW"}})),
        patient(json!({"name": [{"use": "Official", "family": "NEW"}, {"family": "OLD"}]})),
        patient(json!({"address": {"use": "home", "city": "Leeds"}})),
        address(json!({"use": "home", "text": "1 New St, Leeds"})),
        address(json!({"text": "1 New St, Leeds", "country": "GB"})),
        address(json!({"use": "Home", "line": ["1 New St"], "city": "Leeds"})),
        address(json!({"use": "home", "line": "1 New St", "city": "Leeds"})),
    ] {
        let said = lost.expect_err("refused");
        assert!(said.len() == 1 && said[0].contains("a person has to look"), "{said:?}");
    }
    let official = json!({"use": "official", "family": "NEW", "given": ["SAM"]});
    for other in [
        json!({"use": "nickname", "text": "SAMMY"}),
        json!({"use": "maiden", "text": "SAM OLD"}),
        json!({"use": "usual", "text": "SAMMY"}),
        json!({"use": "Legal", "text": "SAM NEW"}),
        json!({"text": "SAM NEW"}),
    ] {
        assert_eq!(names(json!([other, official])), Ok([json!("NEW"), json!("SAM")]), "{other}");
    }
    assert!(name(json!({"use": "temp", "text": "SAM"})).is_ok() && name(json!({"use": "official"})).is_ok());
    assert!(name(json!({"use": "official", "text": "NEW", "family": "NEW", "given": []})).is_ok());
    for other in [
        json!({"use": "temp", "text": "2 Away Rd"}),
        json!({"use": "work", "text": "3 Office"}),
        json!({"use": "home", "type": "postal", "text": "PO Box 1"}),
        json!({"use": "home", "country": "GB"}),
    ] {
        assert_eq!(address(other.clone()).expect("taken").get("address"), None, "{other}");
    }
}

#[test]
fn a_number_whose_digits_are_not_kept_is_no_text() {
    let of = |number: &str| {
        let resource = json::read(format!("{{\"t\": {number}}}").as_bytes()).expect("JSON");
        read("\"details.team\" = \"$.t\"", &resource)
    };
    for (number, text) in [("4471920", "4471920"), ("-7", "-7"), ("18446744073709551615", "18446744073709551615")] {
        assert_eq!(of(number), Ok(json!({"details": {"team": text}})));
    }
    for number in ["12345678901234567890123", "7.10", "7.0", "1e5", "-0"] {
        let said = of(number).expect_err(number);
        assert!(said[0].contains("cannot be kept exactly"), "{said:?}");
    }
}

#[test]
fn a_relative_reference_stays_on_the_server_of_the_resource_that_holds_it() {
    let of = |own: &str, patients: &[(&str, &str)]| {
        let mut entries =
            vec![json!({"resource": {"resourceType": "ServiceRequest", "subject": {"reference": "Patient/77"}}})];
        entries[0]["fullUrl"] = own.into();
        entries.extend(patients.iter().map(
            |(full, name)| json!({"fullUrl": full, "resource": {"resourceType": "Patient", "id": "77", "name": name}}),
        ));
        let bundle = json!({"resourceType": "Bundle", "entry": entries});
        let scope = Scope::of_resource(&bundle["entry"][0]["resource"], Some(&bundle));
        let read = read_in("\"details.referrer_name\" = \"$.subject -> $.name\"", scope);
        read.map(|value| value["details"]["referrer_name"].clone()).map_err(|faults| faults.concat())
    };
    let (a, b, nameless) = ("https://trust-a/fhir/Patient/77", "https://trust-b/fhir/Patient/77", "urn:uuid:77");
    let own = "https://trust-a/fhir/ServiceRequest/1";
    for (own, patients, name) in [
        (own, vec![(a, "A")], "A"),
        (own, vec![(b, "B"), (a, "A")], "A"),
        (own, vec![(nameless, "N"), (a, "A"), (b, "B")], "A"),
        (own, vec![(nameless, "N")], "N"),
        (own, vec![("https://trust-a/fhir/Patient/77/_history/2", "A")], "A"),
        ("", vec![(b, "B")], "B"),
        ("urn:uuid:1", vec![(b, "B")], "B"),
    ] {
        assert_eq!(of(own, &patients), Ok(json!(name)), "{own}");
    }
    assert!(of(own, &[(b, "B")]).expect_err("another server's").contains("leads to nothing"));
    assert!(of("urn:uuid:1", &[(a, "A"), (b, "B")]).expect_err("either").contains("2 different resources"));
}

#[test]
fn a_subject_that_is_no_patient_is_refused() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters/fhir-uk-core");
    let pack = Pack::load(&folder).expect("loads");
    let text = std::fs::read_to_string(folder.join("examples/parse-service-request/message.json")).expect("there");
    for kind in [json!("Practitioner"), json!("RelatedPerson"), json!("Group"), json!("Person"), Value::Null] {
        let mut request: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(request["contained"][0]["resourceType"], "Patient");
        request["contained"][0]["resourceType"] = kind.clone();
        let read = pack.parse(request.to_string().as_bytes(), &pack.manifest.settings.examples(), "Europe/London");
        let said = read.map(|p| p.makes).expect_err("refused").to_string();
        assert!(said.contains("its subject is no Patient"), "{kind}: {said}");
    }
}

#[test]
fn a_reference_that_two_resources_could_be_meant_by_is_refused() {
    let rows = "\"details.referrer_name\" = \"$.requester -> $.name[0].text\"";
    let of = |second: Value| {
        let contained = json!([{"id": "p", "name": [{"text": "A B"}]}, second]);
        read(rows, &json!({"contained": contained, "requester": {"reference": "#p"}}))
    };
    assert!(of(json!({"id": "p", "name": [{"text": "A B"}]})).is_ok());
    let said = of(json!({"id": "p", "name": [{"text": "C D"}]})).expect_err("refused");
    assert!(said[0].contains("2 different resources"), "{said:?}");
}

#[test]
fn a_bundle_of_answers_former_versions_or_deletions_makes_nothing() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters/fhir-uk-core");
    let pack = Pack::load(&folder).expect("loads");
    let text = std::fs::read_to_string(folder.join("examples/parse-bundle/message.json")).expect("there");
    let bundle = |kind: &str, event: &str, method: &str| {
        let mut bundle: Value = serde_json::from_str(&text).expect("JSON");
        bundle["type"] = kind.into();
        bundle["entry"][0]["resource"]["eventCoding"]["code"] = event.into();
        bundle["entry"][1]["request"] = json!({"method": method, "url": "ServiceRequest"});
        let read = pack.parse(bundle.to_string().as_bytes(), &pack.manifest.settings.examples(), "Europe/London");
        read.map(|p| p.makes).map_err(|e| e.to_string())
    };
    let request = "servicerequest-request";
    assert_eq!(bundle("message", request, "POST").as_deref(), Ok("CreateReferralRequest"));
    assert!(bundle("message", "servicerequest-response", "POST").expect_err("an answer").contains("answers another"));
    assert!(bundle("history", request, "PUT").is_err() && bundle("transaction", request, "DELETE").is_err());
    let mut deleted: Value = serde_json::from_str(&text).expect("JSON");
    deleted["entry"][0]["resource"]["reason"] = json!({"coding": [{"code": "delete"}]});
    assert_eq!(deleted["entry"][0]["resource"]["resourceType"], "MessageHeader");
    let read = pack.parse(deleted.to_string().as_bytes(), &pack.manifest.settings.examples(), "Europe/London");
    assert!(read.map(|p| p.makes).expect_err("to be deleted").to_string().contains("a person has to look"));
}

#[test]
fn places_that_must_agree_give_one_value_or_none_is_taken() {
    let rows = "\"details.team\" = { agreed = [\"$.a -> $.id\", \"$.b\"], optional = true }";
    let of = |a: &str, b: Value| {
        read(rows, &json!({"contained": [{"id": "x"}, {"id": "y"}], "a": {"reference": a}, "b": b}))
    };
    let said = |value: &str| Ok(json!({"details": {"team": value}}));
    assert_eq!(of("#x", json!("x")), said("x"));
    assert_eq!(of("#none", json!("x")), said("x"));
    assert_eq!(of("#x", Value::Null), said("x"));
    assert_eq!(of("#none", Value::Null), Ok(json!({})));
    assert!(of("#y", json!("x")).expect_err("two")[0].contains("do not say the same"));
}

#[test]
fn what_is_left_out_is_told_in_words_of_the_pack() {
    let rows = "\"details.reason\" = { lines = [\"$.note\"], also = { \"$.supportingInfo\" = \"[also there]\" }, optional = true }";
    let of = |resource: Value| read(rows, &resource).expect("read");
    assert_eq!(of(json!({"note": "a", "supportingInfo": [{}]})), json!({"details": {"reason": "a\n[also there]"}}));
    assert_eq!(of(json!({"supportingInfo": [{}]})), json!({"details": {"reason": "[also there]"}}));
    assert_eq!(of(json!({"note": "a"})), json!({"details": {"reason": "a"}}));
}

#[test]
fn a_reference_to_two_things_is_its_own_reason_and_not_another() {
    let rows =
        "\"details.team\" = \"$.t\"\n[accept]\n\"$.subject -> $.dead\" = { is = \"\", why = \"the patient has died\" }";
    let two =
        json!({"t": "x", "contained": [{"id": "p", "a": 1}, {"id": "p", "a": 2}], "subject": {"reference": "#p"}});
    let faults = read(rows, &two).expect_err("two");
    assert!(faults.iter().all(|f| f.contains("2 different resources") && !f.contains("died")), "{faults:?}");
    let dead = json!({"t": "x", "contained": [{"id": "p", "dead": {"a": 1}}], "subject": {"reference": "#p"}});
    assert!(read(rows, &dead).expect_err("dead")[0].contains("the patient has died"));
}

#[test]
fn a_time_of_another_age_is_no_time() {
    let rows = "\"received_at\" = { from = \"$.t\", as = \"fhir_time\" }";
    for text in ["0226-04-01T09:00:00Z", "0226-04-01", "1879-12-31T00:00:00"] {
        assert!(read(rows, &json!({"t": text})).is_err(), "{text}");
    }
}

#[test]
fn a_reference_that_leads_nowhere_is_told_as_such() {
    let of = |subject: Value| {
        let rows = "\"details.referrer_name\" = { pick = \"name\", from = \"@.family\" }\n\"details.team\" = \"$.subject -> $.t\"\npick.name = \"$.subject -> $.name[*]\"";
        read(rows, &json!({"subject": subject})).expect_err("nothing is there")
    };
    let lost = of(json!({"reference": "#p"}));
    assert!(lost.len() == 2 && lost.iter().all(|f| f.ends_with("leads to nothing in the message")), "{lost:?}");
    assert!(of(json!({"display": "Sam"})).iter().all(|f| f.ends_with("was not sent")));
}
