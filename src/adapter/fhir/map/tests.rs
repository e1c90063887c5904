use super::*;
use crate::adapter::fault::Faults;
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
    let zone = TimeZone::get("Europe/London").expect("bundled");
    let around = Around { settings: &JsonMap::new(), tables: &BTreeMap::new(), zone: &zone };
    let scope = Scope::of_resource(resource, None);
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
