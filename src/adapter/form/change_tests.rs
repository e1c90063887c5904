//! What an EPR tells keeps the rules of the API's fields, and what breaks them still says whom it is about.

use super::*;
use serde_json::json;

fn now() -> Timestamp {
    "2026-03-03T10:00:00Z".parse().expect("a time")
}

fn id(value: &str) -> Value {
    json!({ "assigning_authority": "RZZ", "value": value, "type": "MR" })
}

fn change(more: Value) -> Value {
    let mut value = json!({
        "kind": "PATIENT_CHANGE_KIND_UPDATED", "changed_at": "2026-03-03T09:00:00Z", "local_identifiers": [id("A1")],
    });
    let (Value::Object(base), Value::Object(more)) = (&mut value, more) else { panic!("objects") };
    base.extend(more);
    value
}

fn fields<T>(read: &Read<T>) -> Vec<String> {
    match &read.message {
        Err(NotRead::Broken(broken)) => broken.0.iter().map(|v| v.field.clone()).collect(),
        Err(NotRead::Shape) => vec!["shape".into()],
        Ok(_) => Vec::new(),
    }
}

#[test]
fn what_is_sent_as_null_is_cleared_and_what_a_record_needs_stays() {
    let nulls = ["phone".to_owned(), "address.lines".to_owned(), "gender".to_owned()];
    let read = patient(&change(json!({})), &nulls, now());
    let told = read.message.unwrap_or_else(|_| panic!("fine"));
    assert_eq!((&told.phone, &told.address, told.gender), (&Sent::Null, &Sent::Null, Some(Gender::NotKnown)));
    assert_eq!((told.prefix, told.nhs_number), (Sent::Absent, Sent::Absent));
    let nulls = ["family_name".to_owned(), "date_of_birth".to_owned()];
    let told = patient(&change(json!({})), &nulls, now()).message.unwrap_or_else(|_| panic!("fine"));
    assert_eq!((told.family, told.date_of_birth, told.kept), (None, None, vec!["family_name", "date_of_birth"]));
}

#[test]
fn every_broken_field_is_told_and_who_it_is_about_is_known_all_the_same() {
    let broken = change(json!({
        "nhs_number": "9990000019", "date_of_birth": "1985-02-30", "phone": "0".repeat(41),
        "local_identifiers": [id("A1"), id("with space")], "kind": "PATIENT_CHANGE_KIND_UNSPECIFIED",
    }));
    let read = patient(&broken, &[], now());
    let fields = fields(&read);
    for field in ["nhs_number", "date_of_birth", "phone", "kind"] {
        assert!(fields.iter().any(|f| f == field), "{field} in {fields:?}");
    }
    let known_by_another = change(json!({ "local_identifiers": [id("A1"), id("with space")] }));
    let left_out = patient(&known_by_another, &[], now()).message.map(|m| (m.local_identifiers.len(), m.left_out));
    assert!(
        matches!(left_out, Ok((1, why)) if why.len() == 1 && why[0].starts_with("local_identifiers[1].value was left out"))
    );
    let by_no_other = change(json!({ "local_identifiers": [id("with space")] }));
    assert_eq!(self::fields(&patient(&by_no_other, &[], now())), ["local_identifiers[0].value"]);
    assert_eq!((read.keys.len(), read.names_somebody), (1, true));
    let nobody = patient(&change(json!({ "local_identifiers": [] })), &[], now());
    assert!(!nobody.names_somebody && self::fields(&nobody) == ["local_identifiers"]);
    assert_eq!(self::fields(&patient(&json!({ "no_such_field": 1 }), &[], now())), ["shape"]);
}

#[test]
fn a_clock_that_runs_ahead_counts_as_now_and_no_clock_at_all_is_refused() {
    let ahead = |by: i64| json!({ "changed_at": (now() + jiff::SignedDuration::from_hours(by)).to_string() });
    assert_eq!(patient(&change(ahead(24)), &[], now()).message.map(|m| m.at).ok(), Some(now()));
    assert_eq!(fields(&patient(&change(ahead(25)), &[], now())), ["changed_at"], "nobody's clock");
    let mut none = change(json!({}));
    none.as_object_mut().expect("an object").remove("changed_at");
    assert_eq!(fields(&patient(&none, &[], now())), ["changed_at"]);
}

#[test]
fn a_merge_names_both_sides() {
    let one = |losing: Value| {
        json!({ "kind": "PATIENT_MERGE_KIND_MERGE", "merged_at": "2026-03-03T09:00:00Z",
            "merges": [{ "surviving_identifiers": [id("A1")], "losing_identifiers": losing }] })
    };
    let read = merges(&one(json!([id("B2")])), now());
    assert_eq!((read.keys.len(), read.message.map(|m| m.len()).ok()), (2, Some(1)));
    assert_eq!(fields(&merges(&one(json!([])), now())), ["merges[0].losing_identifiers"]);
    let none = json!({ "kind": "PATIENT_MERGE_KIND_MERGE", "merged_at": "2026-03-03T09:00:00Z" });
    assert_eq!(fields(&merges(&none, now())), ["merges"]);
}

#[test]
fn a_referral_taken_back_says_why_and_one_modified_need_not() {
    let about = |kind: &str| json!({ "kind": kind, "changed_at": "2026-03-03T09:00:00Z", "external_ids": [{ "system": "EPR", "value": "X1" }] });
    assert!(fields(&referral(&about("REFERRAL_CHANGE_KIND_MODIFIED"), &[], now())).is_empty());
    assert_eq!(fields(&referral(&about("REFERRAL_CHANGE_KIND_CANCELLED"), &[], now())), ["close_reason"]);
    let team = ["team".to_owned()];
    assert_eq!(fields(&referral(&about("REFERRAL_CHANGE_KIND_MODIFIED"), &team, now())), ["team"]);
}

#[test]
fn nothing_that_is_told_prints_itself() {
    let told = change(json!({ "family_name": "Secretname", "nhs_number": "9990000018", "phone": "07700900123" }));
    let read = patient(&told, &[], now());
    let shown = format!("{:?}", read.message.unwrap_or_else(|_| panic!("fine")));
    assert!(!["Secretname", "9990000018", "07700900123", "A1"].iter().any(|s| shown.contains(s)), "{shown}");
}
