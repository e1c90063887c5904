//! An API that lets nobody in, or has a gateway's page for everybody: an outage parks nothing, and one note's own trouble comes to an end.

use crate::e2e_support::{Bridge, Stage, endpoint, nobody, shown};
use crate::support::web_end::{Act, Got, WebEnd, reply, say};
use ips_bridge::wire::v1;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use v1::DeliveryState as State;

pub fn over_https(epr: &WebEnd, own: &str) -> toml::Table {
    let quick = "max_refused_retries = 3\n";
    let mut endpoint = endpoint("epr", nobody(), &format!("{quick}{own}"));
    for key in ["mllp", "settings", "listen"] {
        endpoint.remove(key);
    }
    let https = format!(
        "adapter = \"fhir-uk-core\"\ntransport = \"https\"\n[https]\nbase_url = \"http://{}/api\"\nreply_timeout = \"2s\"\n[settings]\n\
         identifier_system = \"https://ips-bridge.example/Id/document\"\nstaff_system = \"https://ips-bridge.example/Id/staff\"\n\
         outcome_as = \"observation\"\nreferral_system = \"https://epr.example/Id/referral\"\n",
        epr.addr()
    );
    endpoint.extend(https.parse::<toml::Table>().expect("TOML"));
    endpoint
}

fn filed() -> Act {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    Act::Say(reply(201, &format!("Location: DocumentReference/doc-{id}\r\n"), ""))
}

fn page(status: u16) -> Act {
    say(status, "<html><body>a gateway's page</body></html>")
}

fn is_question(got: &Got) -> bool {
    got.line.starts_with("GET ")
}

/// A record that keeps what is posted, and can be read while it is not shut. It drops so many of the first posts without an answer, having kept them.
async fn record(shut: Arc<AtomicUsize>, status: u16, drops: usize) -> WebEnd {
    let posted = std::sync::Mutex::new(Vec::<serde_json::Value>::new());
    WebEnd::start(move |_, got| match (is_question(got), shut.load(Ordering::SeqCst)) {
        (false, _) => {
            let mut resource: serde_json::Value = serde_json::from_slice(&got.body).expect("what was posted is JSON");
            let mut posted = posted.lock().expect("whole");
            let id = format!("doc-{}", posted.len());
            resource["id"] = id.clone().into();
            posted.push(resource);
            match posted.len() <= drops {
                true => Act::SayAndClose(Vec::new()),
                false => Act::Say(reply(201, &format!("Location: DocumentReference/{id}\r\n"), "")),
            }
        }
        (true, 0) => {
            let asked_for = |resource: &&serde_json::Value| {
                let id = resource["identifier"][0]["value"].as_str().unwrap_or("-");
                got.line.contains(id.split('^').next().unwrap_or("-"))
            };
            let posted = posted.lock().expect("whole");
            let entries: Vec<_> =
                posted.iter().filter(asked_for).map(|r| serde_json::json!({ "resource": r })).collect();
            let bundle = serde_json::json!({ "resourceType": "Bundle", "type": "searchset", "total": entries.len(), "entry": entries });
            say(200, &bundle.to_string())
        }
        (true, _) => page(status),
    })
    .await
}

/// How often a note is tried at most before it would be parked, many times over.
const TRIES: usize = 40;

async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..600 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("in vain: {what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_that_lets_nobody_in_parks_no_note_and_files_all_when_it_does() {
    for status in [401, 503, 429] {
        let shut: Arc<AtomicUsize> = Arc::new(AtomicUsize::new(1));
        let is_shut = shut.clone();
        let epr = WebEnd::start(move |_, _| match is_shut.load(Ordering::SeqCst) {
            0 => filed(),
            _ => page(status),
        })
        .await;
        let stage = Stage::sqlite([over_https(&epr, "")]);
        let bridge = Bridge::start(&stage).await;
        let client = &bridge.client;
        let mut written = Vec::new();
        for nth in 0..4 {
            let person = client.person(nth, "epr").await;
            written.push(client.write(&person, "Rang a garden centre.").await);
        }
        until("it is tried", || epr.got().len() >= TRIES).await;
        assert_eq!(client.endpoint("epr").await.parked, 0, "{status}: an outage parks nothing");
        assert_ne!(client.endpoint("epr").await.gate(), v1::EndpointGate::Open, "{status}: whoever looks sees it");
        shut.store(0, Ordering::SeqCst);
        for one in &written {
            let d = client.filed(one.id()).await;
            assert!(!d.record_id.is_empty(), "{status}: {}", shown(&d));
        }
        bridge.stop().await;
    }
}

/// A gateway may have taken against what one note says: that is for a person, and holds up nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateways_page_to_one_note_alone_ends_in_front_of_a_person_and_to_everybody_it_parks_no_more() {
    let all: Arc<AtomicUsize> = Arc::default();
    let shut = all.clone();
    let odd = crate::e2e_support::nhs_number(0);
    let epr = WebEnd::start(move |_, got| {
        let blocked = shut.load(Ordering::SeqCst) > 0 || String::from_utf8_lossy(&got.body).contains(&odd);
        if blocked { page(403) } else { filed() }
    })
    .await;
    let stage = Stage::sqlite([over_https(&epr, "")]);
    let bridge = Bridge::start(&stage).await;
    let client = &bridge.client;
    let people = client.people(0..4, "epr").await;
    let odd = client.write(&people[0], "Applied as <script writer>.").await;
    client.parked(odd.id(), v1::ParkReason::Refused).await;
    let other = client.write(&people[1], "Rang a garden centre.").await;
    client.filed(other.id()).await;

    all.store(1, Ordering::SeqCst);
    let mut written = Vec::new();
    for person in &people[1..] {
        written.push(client.write(person, "Rang another one.").await);
    }
    let before = epr.got().len();
    until("it is tried", || epr.got().len() >= before + TRIES).await;
    let parked = client.endpoint("epr").await.parked;
    assert!(parked <= 2, "the odd one, and the one by which it was found out: {parked}");
    all.store(0, Ordering::SeqCst);
    let going = written.iter().map(|w| w.id().to_owned());
    let mut filed = 0;
    for id in going {
        let d = client.delivery(&id).await;
        if d.state() != State::Parked {
            client.filed(&id).await;
            filed += 1;
        }
    }
    assert!(filed >= 2);
    bridge.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_received_is_filed_when_the_record_can_be_read_again_however_often_it_could_not() {
    for status in [503, 401] {
        let shut: Arc<AtomicUsize> = Arc::new(AtomicUsize::new(1));
        let epr = record(shut.clone(), status, 0).await;
        let ask = "filed_by = \"read_back\"\nask = { first_after = \"0s\", again_after = \"1s\", max_unclear = 3 }\n";
        let stage = Stage::sqlite([over_https(&epr, ask)]);
        let bridge = Bridge::start(&stage).await;
        let client = &bridge.client;
        let person = client.person(0, "epr").await;
        let written = client.write(&person, "Rang a garden centre.").await;
        client.until_state(written.id(), State::Accepted).await;
        until("it is asked", || epr.got().iter().filter(|g| is_question(g)).count() >= 12).await;
        assert_eq!(client.delivery(written.id()).await.state(), State::Accepted);
        // What cannot be read can be written all the same.
        assert_eq!(client.endpoint("epr").await.gate(), v1::EndpointGate::Open, "{status}");
        let other = client.write(&client.person(1, "epr").await, "Rang another one.").await;
        client.until_state(other.id(), State::Accepted).await;
        shut.store(0, Ordering::SeqCst);
        client.filed(written.id()).await;
        bridge.stop().await;
    }
}

/// Whoever drops posts and then has a page for everybody is away: nobody is called for what it may have.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_knows_of_is_asked_about_while_everybody_is_turned_away_and_parked_by_no_outage() {
    for status in [503, 502, 401] {
        let shut: Arc<AtomicUsize> = Arc::new(AtomicUsize::new(1));
        let epr = record(shut.clone(), status, 1).await;
        let ask = "after_unknown = \"query\"\nmax_unknown_resends = 3\nask = { first_after = \"0s\", again_after = \"1s\", max_unclear = 3 }\n";
        let stage = Stage::sqlite([over_https(&epr, ask)]);
        let bridge = Bridge::start(&stage).await;
        let client = &bridge.client;
        let written = client.write(&client.person(0, "epr").await, "Rang a garden centre.").await;
        let questions = || epr.got().iter().filter(|g| is_question(g)).count();
        // That others are written says nothing of whether anybody is read.
        let other = client.person(1, "epr").await;
        for n in 1..=8 {
            until("it is asked", || questions() >= n).await;
            client.filed(client.write(&other, "Rang another one.").await.id()).await;
        }
        until("it is asked", || questions() >= 12).await;
        let d = client.delivery(written.id()).await;
        assert!(matches!(d.state(), State::BackingOff | State::Sending), "{status}: {}", shown(&d));
        shut.store(0, Ordering::SeqCst);
        let d = client.filed(written.id()).await;
        assert_eq!(d.attempts, 1, "{status}: {}", shown(&d));
        bridge.stop().await;
    }
}
