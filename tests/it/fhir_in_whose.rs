//! Whom a resource is about: records that became one, Bundles that name several, resources under an id.

use crate::fhir_in::{listening, patient, service_request, source, start};
use crate::support::bridge::trust;
use crate::support::stores;
use ips_bridge::domain::accept::Accept;
use ips_bridge::domain::organisation::TeamId;
use ips_bridge::domain::person::LocalIdentifier;
use ips_bridge::domain::text::Private;
use ips_bridge::inbound::{Source, receive_fhir};
use ips_bridge::store::Scope;
use ips_bridge::store::read::{Page, PatientBy};
use ips_bridge::store::record::InboundState;
use ips_bridge::transport::https::Arrived;
use serde_json::{Value, json};

fn mrn(value: &str) -> Value {
    json!({ "system": "https://epr.example/Id/mrn", "value": value })
}

/// A record that went into another one, which is named so.
fn replaced(loser: &str, at: &str, other: Value, contained: Value) -> Value {
    json!({
        "resourceType": "Patient", "active": false, "meta": { "lastUpdated": at }, "identifier": [mrn(loser)],
        "link": [{ "type": "replaced-by", "other": other }], "contained": contained
    })
}

#[tokio::test]
async fn a_patient_that_another_one_replaced_is_merged_where_both_are_named_and_else_held() {
    for test in stores() {
        let fhir = start(&test, listening()).await;
        let post = async |kind, id: &str, body: &Value| {
            let reply = fhir.post(kind, &format!("X-Request-Id: {id}\n"), body.to_string().as_bytes()).await;
            (reply.status, fhir.became(id).await.0)
        };
        let with_number =
            json!([{ "system": "https://fhir.nhs.uk/Id/nhs-number", "value": "9990000026" }, mrn("1001")]);
        for (id, referral, identifiers) in [("a", "R-1", with_number.clone()), ("b", "R-2", json!([mrn("1002")]))] {
            let mut request = service_request(referral);
            request["contained"][0]["identifier"] = identifiers;
            assert_eq!(post("ServiceRequest", id, &request).await.0, 201);
        }
        let known = async |value: &str| {
            let (value, assigning_authority) = (Private(value.to_owned()), "RZZ-EPR".to_owned());
            let local = LocalIdentifier { value, assigning_authority, kind: "MR".into() };
            let by = PatientBy::Local(local);
            let page = Page { size: 10, after: None };
            let found = fhir.bridge.store.find_patients(&Scope::system(), &trust(), &by, page).await.expect("read");
            found.iter().map(|p| p.id).collect::<Vec<_>>()
        };
        let (one, two) = (known("1001").await, known("1002").await);
        assert!(one.len() == 1 && two.len() == 1 && one != two);
        let standing =
            async |id| fhir.bridge.store.patient(&Scope::system(), id).await.expect("read").expect("known").standing;

        let survivor = json!([{
            "resourceType": "Patient", "id": "s", "identifier": with_number, "name": [{ "family": "Othertest" }],
            "birthDate": "1990-01-31"
        }]);
        let (inside, bare) = (json!({ "reference": "#s" }), json!({ "reference": "Patient/2" }));
        let by_number =
            json!({ "identifier": { "system": "https://fhir.nhs.uk/Id/nhs-number", "value": "9990000026" } });
        let first = "2026-03-02T09:00:00Z";
        // What names no second record for certain, or says more than the merge, is for a person.
        let mut both = replaced("1002", first, inside.clone(), survivor.clone());
        let other = json!({ "type": "replaces", "other": bare.clone() });
        both["link"].as_array_mut().expect("links").push(other);
        for (id, body) in [("bare", replaced("1002", first, bare, json!([]))), ("both", both)] {
            assert_eq!(post("Patient", id, &body).await, (422, InboundState::Parked), "{id}");
            assert_eq!(known("1002").await, two, "{id}");
            assert!(standing(two[0]).await.doubt.is_some(), "{id}: nothing goes to a record that may be gone");
        }
        // Which of the two says that the person has died is all the same.
        assert!(!standing(one[0]).await.deceased());
        let mut merge = replaced("1002", first, inside, survivor);
        merge["deceasedBoolean"] = json!(true);
        assert_eq!(post("Patient", "merge", &merge).await, (200, InboundState::Applied));
        assert_eq!(known("1001").await, one);
        assert!(standing(one[0]).await.deceased());
        assert_ne!(known("1002").await, two, "its identifier leads to nobody else any more");
        // It was done before: taken as done, also by the NHS number that the link itself names.
        let again = replaced("1002", first, by_number.clone(), json!([]));
        assert_eq!(post("Patient", "again", &again).await.0, 200);
        // With itself, and the other way round.
        let itself = replaced("1001", "2026-03-03T09:00:00Z", json!({ "identifier": mrn("1001") }), json!([]));
        assert_eq!(post("Patient", "itself", &itself).await, (422, InboundState::Parked));
        let reversed = replaced("1001", "2026-03-04T09:00:00Z", json!({ "identifier": mrn("1002") }), json!([]));
        assert_eq!(post("Patient", "reversed", &reversed).await, (422, InboundState::Parked));
        // Of two whom nobody here knows nothing is kept.
        let strangers = replaced("8001", first, json!({ "identifier": mrn("8002") }), json!([]));
        assert_eq!(post("Patient", "strangers", &strangers).await, (200, InboundState::Ignored));
        fhir.end().await;
    }
}

/// The record that went on says it, in each of its updates from then on: they are taken all the same, and so is a death.
#[tokio::test]
async fn a_patient_that_replaced_another_is_merged_first_and_changed_then() {
    for test in stores() {
        let fhir = start(&test, listening()).await;
        let post = async |kind, id: &str, body: &Value| {
            let reply = fhir.post(kind, &format!("X-Request-Id: {id}\n"), body.to_string().as_bytes()).await;
            (reply.status, fhir.became(id).await.0)
        };
        for (id, value) in [("a", "1001"), ("b", "1002"), ("c", "1003")] {
            let mut request = service_request(&format!("R-{id}"));
            request["contained"][0]["identifier"] = json!([mrn(value)]);
            assert_eq!(post("ServiceRequest", id, &request).await.0, 201);
        }
        let known = async |value: &str| {
            let (value, assigning_authority) = (Private(value.to_owned()), "RZZ-EPR".to_owned());
            let by = PatientBy::Local(LocalIdentifier { value, assigning_authority, kind: "MR".into() });
            let page = Page { size: 10, after: None };
            fhir.bridge.store.find_patients(&Scope::system(), &trust(), &by, page).await.expect("read").pop()
        };
        let survivor = |at: &str, phone: &str, losers: &[Value]| {
            let links: Vec<Value> = losers.iter().map(|other| json!({ "type": "replaces", "other": other })).collect();
            let former =
                json!([{ "resourceType": "Patient", "id": "f", "active": false, "identifier": [mrn("1002")] }]);
            json!({
                "resourceType": "Patient", "meta": { "lastUpdated": at }, "identifier": [mrn("1001")], "link": links, "contained": former,
                "name": [{ "family": "Othertest" }], "birthDate": "1990-01-31", "telecom": [{ "system": "phone", "value": phone }]
            })
        };
        let (one, two) = (known("1001").await.expect("known").id, known("1002").await.expect("known").id);
        let (inside, named) = (json!({ "reference": "#f" }), json!({ "identifier": mrn("1003") }));

        // What is named by nothing but a reference waits for a person; who has died does not.
        let mut bare = survivor("2026-03-02T09:00:00Z", "07700 900100", &[json!({ "reference": "Patient/7" })]);
        assert_eq!(post("Patient", "bare", &bare).await, (422, InboundState::Parked));
        assert!(known("1001").await.expect("known").details.phone.is_none());
        bare["deceasedBoolean"] = json!(true);
        assert_eq!(post("Patient", "bare-died", &bare).await, (422, InboundState::Parked));
        assert!(known("1001").await.expect("known").standing.deceased());

        for (id, at, losers) in [
            ("merge", "2026-03-03T09:00:00Z", vec![inside.clone()]),
            ("again", "2026-03-04T09:00:00Z", vec![inside.clone(), named.clone()]),
            ("itself", "2026-03-05T09:00:00Z", vec![inside, json!({ "identifier": mrn("1001") }), named]),
        ] {
            assert_eq!(post("Patient", id, &survivor(at, at, &losers)).await, (200, InboundState::Applied), "{id}");
            let now = known("1001").await.expect("known");
            assert_eq!((now.id, now.details.phone), (one, Some(Private(at.to_owned()))), "{id}");
            assert!(two != one && known("1002").await.is_some_and(|p| p.id == one), "{id}");
        }
        assert!(known("1003").await.is_some_and(|p| p.id == one));

        // A record that went into this one before cannot go on by itself, nor take it in.
        let mut reversed = survivor("2026-03-06T09:00:00Z", "07700 900300", &[json!({ "identifier": mrn("1001") })]);
        reversed["identifier"] = json!([mrn("1002")]);
        assert_eq!(post("Patient", "reversed", &reversed).await, (422, InboundState::Parked));
        assert!(known("1001").await.expect("known").standing.doubt.is_some());
        fhir.end().await;
    }
}

/// The one resource that no other of them refers to is what a Bundle without a header is about.
#[tokio::test]
async fn a_bundle_of_a_referral_and_its_patient_is_that_referral_and_one_of_two_is_none() {
    for test in stores() {
        let fhir = start(&test, listening()).await;
        let post = async |id: &str, body: &Value| {
            let reply = fhir.post("Bundle", &format!("X-Request-Id: {id}\n"), body.to_string().as_bytes()).await;
            (reply.status, fhir.became(id).await.0)
        };
        let mut request = service_request("R-1");
        let mut person = request["contained"][0].clone();
        request["contained"].as_array_mut().expect("contained").remove(0);
        request["subject"] = json!({ "reference": "urn:uuid:p" });
        person["id"] = json!("p");
        let bundle = |resources: &[(&str, &Value)]| {
            let entries: Vec<Value> =
                resources.iter().map(|(id, r)| json!({ "fullUrl": format!("urn:uuid:{id}"), "resource": r })).collect();
            json!({ "resourceType": "Bundle", "type": "collection", "entry": entries })
        };
        assert_eq!(post("one", &bundle(&[("p", &person), ("r", &request)])).await, (201, InboundState::Applied));
        let mut second = request.clone();
        second["identifier"][0]["value"] = json!("R-2");
        let two = bundle(&[("r", &request), ("p", &person), ("s", &second)]);
        assert_eq!(post("two", &two).await, (400, InboundState::Parked));
        // What a subscription sends under its id is what it would be by POST.
        person["telecom"] = json!([{ "system": "phone", "value": "07700 900300" }]);
        person["meta"] = json!({ "lastUpdated": "2026-03-03T09:00:00Z" });
        let put = |path: &str| Arrived {
            method: "PUT".into(),
            path: path.into(),
            content_type: "application/fhir+json".into(),
            request_id: None,
            body: person.to_string().into_bytes(),
        };
        let source = source(&fhir.bridge, Accept::default());
        assert_eq!(receive_fhir(&source, put("Patient/p")).await.status, 200);
        assert_eq!(fhir.known().await[0].phone, Some(Private("07700 900300".to_owned())));
        for (path, status) in [("Patient", 405), ("Patient/", 404), ("Patient/p/x", 404), ("Task/1", 404)] {
            assert_eq!(receive_fhir(&source, put(path)).await.status, status, "{path}");
        }
        drop(source);
        fhir.end().await;
    }
}

#[tokio::test]
async fn a_team_in_words_is_ours_or_has_a_person_look() {
    let test = stores().next().expect("SQLite");
    let fhir = start(&test, listening()).await;
    let ours = TeamId::parse("IPS-NORTH").expect("a team");
    let source =
        Source { teams: vec![ours.clone()], default_team: Some(ours), ..source(&fhir.bridge, Accept::default()) };
    let id = |value: &str| json!({ "identifier": { "value": value } });
    for (n, performer, status) in [
        (1, json!({ "display": "Cardiology" }), 422),
        (2, json!({ "display": "IPS South team" }), 422),
        (3, json!({ "display": "ips north" }), 201),
        // An id is a code of theirs, which config's default stands for.
        (4, id("CMHT-WEST"), 201),
    ] {
        let mut request = service_request(&format!("R-{n}"));
        request["performer"] = json!([performer]);
        let arrived = Arrived {
            method: "POST".into(),
            path: "ServiceRequest".into(),
            content_type: "application/fhir+json".into(),
            request_id: Some(format!("t{n}")),
            body: request.to_string().into_bytes(),
        };
        let reply = receive_fhir(&source, arrived).await;
        assert_eq!(reply.status, status, "{n}: {}", String::from_utf8_lossy(&reply.body));
    }
    drop(source);
    fhir.end().await;
}

#[tokio::test]
async fn a_change_whose_number_is_of_no_system_is_looked_at_where_it_is_somebodys_we_know() {
    for test in stores() {
        let fhir = start(&test, listening()).await;
        let post = async |kind, id: &str, body: &Value| {
            let reply = fhir.post(kind, &format!("X-Request-Id: {id}\n"), body.to_string().as_bytes()).await;
            (reply.status, fhir.became(id).await.0)
        };
        assert_eq!(post("ServiceRequest", "a", &service_request("R-1")).await.0, 201);
        let change = |number: Value| {
            let identifiers = json!([{ "value": number }, mrn("unheard of")]);
            let name = json!([{ "family": "Elsewhere", "given": ["Ada"] }]);
            patient(json!({ "identifier": identifiers, "name": name, "birthDate": "1971-02-03" }))
        };
        assert_eq!(post("Patient", "known", &change(json!("9990000026"))).await.1, InboundState::Parked);
        assert_eq!(post("Patient", "figures", &change(json!(9_990_000_026_u64))).await.1, InboundState::Parked);
        assert_eq!(post("Patient", "stranger", &change(json!("9990000077"))).await.1, InboundState::Ignored);
        fhir.end().await;
    }
}
