//! The record is asked for its own id of the patient before a message is made: one answer about that patient is used, of none and of several nothing
//! is chosen, and asking is no attempt.

use crate::e2e_support::{self, Bridge, Stage, endpoint, nobody, request_id, shown};
use crate::store::raw;
use crate::support::web_end::{Act, Got, WebEnd, reply, say};
use ips_bridge::wire::v1;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use v1::DeliveryState as State;
use v1::ParkReason as Reason;

fn over_https(base: &WebEnd, own: &str) -> toml::Table {
    let mut endpoint = endpoint("epr", nobody(), own);
    for key in ["mllp", "settings", "listen"] {
        endpoint.remove(key);
    }
    let https = format!(
        "adapter = \"fhir-uk-core\"\ntransport = \"https\"\n[https]\nbase_url = \"http://{}/fhir\"\nreply_timeout = \"1s\"\n[settings]\n\
         identifier_system = \"https://ips-bridge.example/Id/document\"\nstaff_system = \"https://ips-bridge.example/Id/staff\"\n\
         outcome_as = \"document\"\nreferral_system = \"https://epr.example/Id/referral\"\nsubject_by = \"lookup\"\n",
        base.addr()
    );
    endpoint.extend(https.parse::<toml::Table>().expect("TOML"));
    endpoint
}

/// The answer to a search for patients: one with this id for the number that was asked for.
fn found(got: &Got, ids: &[&str]) -> Act {
    let number = got.line.split("%7C").nth(1).and_then(|rest| rest.split(' ').next()).expect("a number is asked for");
    let entry = |id: &&str| {
        let number = format!("{{\"system\":\"https://fhir.nhs.uk/Id/nhs-number\",\"value\":\"{number}\"}}");
        format!(
            "{{\"resource\":{{\"resourceType\":\"Patient\",\"id\":\"{id}\",\"birthDate\":\"1990-05-17\",\"identifier\":[{number}]}}}}"
        )
    };
    let entries = ids.iter().map(entry).collect::<Vec<_>>().join(",");
    say(
        200,
        &format!(
            "{{\"resourceType\":\"Bundle\",\"type\":\"searchset\",\"total\":{},\"entry\":[{entries}]}}",
            ids.len()
        ),
    )
}

/// Under an id of its own, as a record does.
fn filed() -> Act {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    let id = NEXT.fetch_add(1, Ordering::SeqCst);
    Act::Say(reply(201, &format!("Location: DocumentReference/doc-{id}\r\n"), ""))
}

fn is_lookup(got: &Got) -> bool {
    got.line.starts_with("GET /fhir/Patient?identifier=")
}

fn lookups(epr: &WebEnd) -> usize {
    epr.got().iter().filter(|g| is_lookup(g)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_records_own_id_is_asked_for_first_and_the_answer_kept_with_the_bytes() {
    for make in [Stage::sqlite, Stage::postgres] as [fn([toml::Table; 1]) -> Stage; 2] {
        // The first post breaks off: its outcome is unknown, and the same bytes go again.
        let posts = AtomicUsize::new(0);
        let epr = WebEnd::start(move |_, got| match is_lookup(got) {
            true => found(got, &["pat-4711"]),
            false if posts.fetch_add(1, Ordering::SeqCst) == 0 => Act::SayAndClose(Vec::new()),
            false => filed(),
        })
        .await;
        let stage = make([over_https(&epr, "")]);
        let bridge = Bridge::start(&stage).await;
        let client = &bridge.client;
        let person = client.person(0, "epr").await;
        let written = client.write(&person, "Rang a garden centre.").await;
        let d = client.filed(written.id()).await;
        assert!(d.attempts == 2 && d.record_id.starts_with("doc-"), "{}", shown(&d));
        assert_eq!(lookups(&epr), 1, "what was made once is not asked for again");
        let [first, again] = &client.attempts(written.id()).await[..] else { panic!("two attempts") };
        let sent = String::from_utf8(first.sent.clone().expect("bytes")).expect("UTF-8");
        assert!(sent.contains("\"reference\":\"Patient/pat-4711\""), "{sent}");
        assert_eq!((&again.control_id, &again.sent), (&first.control_id, &None), "the same bytes, told once");
        let kept = raw::texts(stage.store_url(), "SELECT payload FROM rendering").await;
        let answer: String = "pat-4711".bytes().map(|b| format!("{b:02x}")).collect();
        assert!(kept.len() == 1 && kept[0].contains("\"looked_up\"") && kept[0].contains(&answer));
        bridge.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_found_or_two_stops_it_for_a_person_and_nothing_is_sent() {
    let ids: Arc<AtomicUsize> = Arc::default();
    let says = ids.clone();
    let epr = WebEnd::start(move |_, got| match (is_lookup(got), says.load(Ordering::SeqCst)) {
        (true, n) => found(got, &["pat-1", "pat-2"][..n]),
        (false, _) => filed(),
    })
    .await;
    let stage = Stage::sqlite([over_https(&epr, "")]);
    let bridge = Bridge::start(&stage).await;
    let client = &bridge.client;
    for (n, count) in [0, 2].into_iter().enumerate() {
        ids.store(count, Ordering::SeqCst);
        let person = client.person(n, "epr").await;
        let written = client.write(&person, "Rang a garden centre.").await;
        let d = client.parked(written.id(), Reason::LookupUnclear).await;
        assert_eq!((d.attempts, d.may_have_been_received, d.waiting_for()), (0, false, v1::WaitingFor::Integrator));
        assert!(d.author_sentence.contains("does not show exactly this one"), "{}", d.author_sentence);
        assert!(epr.got().iter().all(|g| is_lookup(g) || n > 0), "something was sent without the record's id");
        let heard = raw::number(stage.store_url(), "SELECT COUNT(*) FROM reply").await;
        assert_eq!(heard, 2 * i64::try_from(n).unwrap() + 1, "what the record said is kept for the person who looks");
        // Put in order there, and retried.
        ids.store(1, Ordering::SeqCst);
        let retry = v1::RetryDeliveriesRequest {
            request_id: request_id(),
            selection: Some(v1::DeliverySelection { delivery_ids: vec![written.id().into()], ..Default::default() }),
            reason: "the record has one patient of that number now".into(),
            ..Default::default()
        };
        client.deliveries().retry_deliveries(retry).await.expect("retried");
        let d = client.filed(written.id()).await;
        assert_eq!(d.attempts, 1, "{}", shown(&d));
    }
    bridge.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_cannot_be_asked_is_an_outage_and_no_attempt() {
    let asked: Arc<AtomicUsize> = Arc::default();
    let count = asked.clone();
    let epr = WebEnd::start(move |_, got| match is_lookup(got) {
        true => match count.fetch_add(1, Ordering::SeqCst) {
            0 => say(503, ""),
            1 => Act::SayAndClose(Vec::new()),
            2 => Act::Hang,
            _ => found(got, &["pat-4711"]),
        },
        false => filed(),
    })
    .await;
    let stage = Stage::sqlite([over_https(&epr, "after_unknown = \"park\"\nmax_unknown_resends = 0")]);
    let bridge = Bridge::start(&stage).await;
    let client = &bridge.client;
    let person = client.person(0, "epr").await;
    let written = client.write(&person, "Rang a garden centre.").await;
    let d = client.filed(written.id()).await;
    assert_eq!(d.attempts, 1, "{}", shown(&d));
    assert!(asked.load(Ordering::SeqCst) >= 4);
    assert_ne!(d.state(), State::Parked);
    bridge.stop().await;
}

/// One patient's record is locked there: its question is answered with a fault for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_is_never_answered_for_one_patient_holds_up_no_other() {
    let locked = crate::e2e_support::details(0).nhs_number.expect("a number");
    let epr = WebEnd::start(move |_, got| match is_lookup(got) {
        true if got.line.contains(&locked) => say(500, ""),
        true => found(got, &["pat-4711"]),
        false => filed(),
    })
    .await;
    let stage = Stage::sqlite([over_https(&epr, "")]);
    let bridge = Bridge::start(&stage).await;
    let client = &bridge.client;
    let locked = client.person(0, "epr").await;
    let first = client.write(&locked, "Rang a garden centre.").await;
    for nth in 1..4 {
        let other = client.person(nth, "epr").await;
        let written = client.write(&other, "Rang another one.").await;
        client.filed(written.id()).await;
    }
    let d = client.delivery(first.id()).await;
    assert!(matches!(d.state(), State::Queued | State::Sending) && d.attempts == 0, "{}", shown(&d));
    // Nor is it tried for ever, while others are answered each time.
    let other = client.person(4, "epr").await;
    for _ in 0..300 {
        let written = client.write(&other, "Rang one more.").await;
        client.filed(written.id()).await;
        if client.delivery(first.id()).await.state() == State::Parked {
            break;
        }
    }
    let d = client.parked(first.id(), Reason::LookupUnclear).await;
    assert_eq!((d.attempts, client.endpoint("epr").await.gate()), (0, v1::EndpointGate::Open), "{}", shown(&d));
    bridge.stop().await;
}

/// What stands before the record answers in its place: that says nothing of any patient.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_the_record_did_not_give_parks_nobody() {
    let asked: Arc<AtomicUsize> = Arc::default();
    let count = asked.clone();
    let epr = WebEnd::start(move |_, got| match is_lookup(got) {
        true => match count.fetch_add(1, Ordering::SeqCst) {
            0 => say(404, "<html>no such page</html>"),
            1 => say(200, "<html>please log in</html>"),
            2 => say(403, ""),
            _ => found(got, &["pat-4711"]),
        },
        false => filed(),
    })
    .await;
    let stage = Stage::sqlite([over_https(&epr, "")]);
    let bridge = Bridge::start(&stage).await;
    let person = bridge.client.person(0, "epr").await;
    let written = bridge.client.write(&person, "Rang a garden centre.").await;
    let d = bridge.client.filed(written.id()).await;
    assert_eq!(d.attempts, 1, "{}", shown(&d));
    bridge.stop().await;
}

/// What is found, with a death.
fn dead(got: &Got) -> Act {
    let Act::Say(said) = found(got, &["pat-1"]) else { panic!("it is said") };
    let said = String::from_utf8(said).expect("UTF-8");
    let body = said.split_once("\r\n\r\n").expect("a head and a body").1;
    say(200, &body.replace("\"birthDate\"", "\"deceasedDateTime\":\"2026-01-09T04:00:00Z\",\"birthDate\""))
}

async fn known_dead(bridge: &Bridge, patient_id: &str) -> Option<String> {
    let request = v1::GetPatientRequest { patient_id: patient_id.into() };
    let patient = bridge.client.patients().get_patient(request).await.expect("the patient").into_inner().patient;
    let patient = patient.expect("the patient");
    patient.deceased.then(|| patient.died_on.unwrap_or_default())
}

/// The record knows of a death before anybody has told us.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_that_the_record_tells_of_when_it_is_asked_holds_all_that_speaks_of_care() {
    for make in [Stage::sqlite, Stage::postgres] as [fn([toml::Table; 2]) -> Stage; 2] {
        let epr = WebEnd::start(move |_, got| if is_lookup(got) { dead(got) } else { filed() }).await;
        let other = e2e_support::epr(|_| {}).await;
        let stage = make([over_https(&epr, ""), endpoint("other", other.addr(), "")]);
        let bridge = Bridge::start(&stage).await;
        let client = &bridge.client;
        let person = client.person(0, "epr").await;
        let elsewhere = client.person(0, "other").await;
        assert_eq!(person.patient_id, elsewhere.patient_id);
        client.pause("other").await;
        let waits = client.write(&elsewhere, "Waits where nobody is asked.").await;
        let written = client.write(&person, "Rang a garden centre.").await;
        let held = client.parked(written.id(), Reason::Deceased).await;
        assert_eq!(held.attempts, 0, "{}", shown(&held));
        assert_eq!(known_dead(&bridge, &person.patient_id).await.as_deref(), Some("2026-01-09"));
        let asked = lookups(&epr);
        bridge.stop().await;
        // It was the patient's from that moment on: nothing forgets it, and nobody has to be asked again.
        let bridge = Bridge::start(&stage).await;
        let client = &bridge.client;
        let later = client.write(&person, "Rang another one.").await;
        client.parked(later.id(), Reason::Deceased).await;
        assert_eq!(lookups(&epr), asked);
        client.resume("other").await;
        let waited = client.parked(waits.id(), Reason::Deceased).await;
        assert_eq!(waited.attempts, 0, "{}", shown(&waited));
        let audited = "SELECT COUNT(*) FROM audit WHERE action = 'patient.update'";
        assert_eq!(raw::number(stage.store_url(), audited).await, 1);
        // A person has looked: it belongs there.
        let anew = v1::RerenderDeliveryRequest {
            dry_run: false,
            request_id: request_id(),
            delivery_id: written.id().into(),
            reason: "of the day before".into(),
            ..Default::default()
        };
        client.deliveries().rerender_delivery(anew).await.expect("made anew");
        client.filed(written.id()).await;
        assert_eq!(raw::number(stage.store_url(), audited).await, 1, "said again, it is no news");
        bridge.stop().await;
    }
}

/// What goes into the record of somebody who has died all the same tells of it too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_told_to_a_withdrawal_holds_the_notes_and_not_the_withdrawal() {
    let died = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let has = died.clone();
    let epr = WebEnd::start(move |_, got| match (is_lookup(got), has.load(Ordering::SeqCst)) {
        (true, true) => dead(got),
        (true, false) => found(got, &["pat-1"]),
        (false, _) if got.line.starts_with("POST") => filed(),
        (false, _) => Act::Say(reply(200, "", &String::from_utf8_lossy(&got.body))),
    })
    .await;
    let stage = Stage::sqlite([over_https(&epr, "")]);
    let bridge = Bridge::start(&stage).await;
    let client = &bridge.client;
    let person = client.person(0, "epr").await;
    let written = client.write(&person, "Rang a garden centre.").await;
    client.filed(written.id()).await;
    died.store(true, Ordering::SeqCst);
    let withdrawal = client.withdraw(&written).await.expect("a withdrawal");
    client.filed(&withdrawal.id).await;
    assert!(known_dead(&bridge, &person.patient_id).await.is_some());
    let asked = lookups(&epr);
    let later = client.write(&person, "Rang another one.").await;
    client.parked(later.id(), Reason::Deceased).await;
    assert_eq!(lookups(&epr), asked);
    bridge.stop().await;
}

/// Under the same id another record holds somebody else's document.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pointed_at_another_record_nothing_names_a_document_by_the_id_that_the_former_gave() {
    let record = || {
        WebEnd::start(|_, got| match is_lookup(got) {
            true => found(got, &["pat-4711"]),
            false => filed(),
        })
    };
    let (former, other) = (record().await, record().await);
    let mut stage = Stage::sqlite([over_https(&former, "")]);
    let bridge = Bridge::start(&stage).await;
    let (one, two) = (bridge.client.person(0, "epr").await, bridge.client.person(1, "epr").await);
    let replaced = bridge.client.write(&one, "Rang a garden centre.").await;
    let withdrawn = bridge.client.write(&two, "Rang a garden centre.").await;
    for written in [&replaced, &withdrawn] {
        bridge.client.filed(written.id()).await;
    }
    bridge.stop().await;

    stage.change("epr", &format!("[https]\nbase_url = \"http://{}/fhir\"", other.addr()));
    let bridge = Bridge::start(&stage).await;
    let replacement = bridge.client.replace(&replaced, &one, "Rang a nursery.").await;
    let withdrawal = bridge.client.withdraw(&withdrawn).await.expect("there is something to withdraw");
    for id in [replacement.id(), withdrawal.id.as_str()] {
        let d = bridge.client.parked(id, Reason::EndpointChangedAfterSend).await;
        assert_eq!(d.attempts, 0, "{}", shown(&d));
    }
    assert!(other.got().iter().all(is_lookup), "nothing was written there");
    bridge.stop().await;

    // It is the same record, somebody knows, and has only moved.
    stage.change("epr", &format!("same_record_as = [\"http://{}/fhir/\"]", former.addr()));
    let bridge = Bridge::start(&stage).await;
    let retry = v1::RetryDeliveriesRequest {
        request_id: request_id(),
        selection: Some(v1::DeliverySelection { delivery_ids: vec![replacement.id().into()], ..Default::default() }),
        reason: "It moved".into(),
        dry_run: false,
        acknowledge_may_be_in_record: false,
    };
    bridge.client.deliveries().retry_deliveries(retry).await.expect("retried");
    bridge.client.filed(replacement.id()).await;
    bridge.stop().await;
}
