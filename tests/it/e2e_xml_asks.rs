//! A record that speaks XML is asked, by the pack `beck`: for its own id of the client before a note is made, and for what became of one that was never
//! answered. One answer that shows it as it was sent files it; a Fault, another's note or silence never does.

use crate::e2e_support::{Bridge, Stage, endpoint, nobody, shown};
use crate::store::raw;
use crate::support::binary::run;
use crate::support::web_end::{Act, Got, WebEnd, reply};
use ips_bridge::adapter::check::check;
use ips_bridge::verdict::verdict;
use ips_bridge::wire::v1;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use v1::ParkReason as Reason;

fn packs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packs")
}

fn over_xml(epr: &WebEnd, own: &str) -> toml::Table {
    let asks = "ask = { first_after = \"0s\", again_after = \"1s\", not_found_times = 2, not_found_over = \"1s\", max_unclear = 3 }\n";
    let mut endpoint = endpoint("epr", nobody(), &format!("{asks}{own}"));
    for key in ["mllp", "settings", "listen"] {
        endpoint.remove(key);
    }
    let https = format!(
        "adapter = \"beck\"\ntransport = \"https\"\n[https]\nbase_url = \"http://{}/api\"\nreply_timeout = \"1s\"\n[settings]\nsystem = \"IPS\"\n",
        epr.addr()
    );
    endpoint.extend(https.parse::<toml::Table>().expect("TOML"));
    endpoint
}

fn stage(make: fn([toml::Table; 1]) -> Stage, endpoint: toml::Table) -> Stage {
    let mut stage = make([endpoint]);
    stage.packs(packs());
    stage
}

/// An element's text or an attribute of the root.
fn said(got: &Got, name: &str) -> String {
    let body = String::from_utf8(got.body.clone()).expect("UTF-8");
    let document = roxmltree::Document::parse(&body).expect("well-formed");
    let element = document.descendants().find(|n| n.tag_name().name() == name).and_then(|n| n.text());
    element.or(document.root_element().attribute(name)).unwrap_or_default().to_owned()
}

fn xml(inner: &str) -> Act {
    Act::Say(reply(200, "", inner))
}

/// The client of that NHS number: whoever the tests make is born so.
fn client(got: &Got, count: usize) -> Act {
    let one = format!("<Client id=\"c-17\"><Nhs>{}</Nhs><Born>1990-05-17</Born></Client>", said(got, "Nhs"));
    xml(&format!("<Clients xmlns=\"urn:example:beck\">{}</Clients>", one.repeat(count)))
}

fn filed(got: &Got, id: &str) -> Act {
    xml(&format!("<Filed xmlns=\"urn:example:beck\" id=\"{id}\" ref=\"{}\"/>", said(got, "Ref")))
}

fn notes(inner: &str) -> Act {
    xml(&format!("<Notes xmlns=\"urn:example:beck\">{inner}</Notes>"))
}

fn is(got: &Got, line: &str) -> bool {
    got.line.starts_with(line)
}

fn posts(epr: &WebEnd) -> Vec<Got> {
    epr.got().into_iter().filter(|g| is(g, "POST /api/notes ")).collect()
}

fn asks(epr: &WebEnd) -> Vec<Got> {
    epr.got().into_iter().filter(|g| is(g, "GET /api/notes?ref=")).collect()
}

#[test]
fn the_pack_that_asks_passes_its_check() {
    let report = check(&packs().join("beck"), verdict);
    assert!(report.is_good(), "{:?}", report.faults);
    run(&["adapter", "test", &packs().join("beck").display().to_string()]).exits(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_note_that_was_never_answered_is_filed_when_the_record_shows_it_and_is_not_sent_again() {
    for make in [Stage::sqlite, Stage::postgres] as [fn([toml::Table; 1]) -> Stage; 2] {
        let sent: Arc<std::sync::Mutex<Option<Got>>> = Arc::default();
        let took = sent.clone();
        let epr = WebEnd::start(move |_, got| {
            if is(got, "POST /api/clients/find ") {
                return client(got, 1);
            }
            if is(got, "POST /api/notes ") {
                *took.lock().expect("not poisoned") = Some(got.clone());
                return Act::SayAndClose(Vec::new());
            }
            let note = took.lock().expect("not poisoned").clone().expect("it was sent");
            notes(&format!(
                "<Note id=\"n-7\" client=\"c-17\" state=\"current\"><Ref>{}</Ref><Text>{}</Text></Note>",
                said(&note, "Ref"),
                said(&note, "Text")
            ))
        })
        .await;
        let stage = stage(make, over_xml(&epr, "after_unknown = \"query\""));
        let bridge = Bridge::start(&stage).await;
        let d = bridge.client.write(&bridge.client.person(0, "epr").await, "Rang a garden centre.").await;
        let d = bridge.client.filed(d.id()).await;
        assert_eq!((d.record_id.as_str(), d.attempts, posts(&epr).len()), ("n-7", 1, 1), "{}", shown(&d));
        assert_eq!(d.evidence.last().map(v1::Evidence::kind), Some(v1::EvidenceKind::ReadBack));
        assert_eq!(said(&posts(&epr)[0], "client"), "c-17");
        let kept = raw::texts(stage.store_url(), "SELECT payload FROM rendering").await;
        assert!(kept.len() == 1 && kept[0].contains("\"looked_up\""), "the answer is kept with the bytes");
        bridge.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_goes_again_with_the_same_bytes_and_what_is_answered_by_a_fault_waits_for_a_person() {
    // Not there, twice over a second: the same bytes go, and are answered.
    let tries = AtomicUsize::new(0);
    let epr = WebEnd::start(move |_, got| match got.line.as_str() {
        _ if is(got, "POST /api/clients/find ") => client(got, 1),
        _ if is(got, "POST /api/notes ") && tries.fetch_add(1, Ordering::SeqCst) == 0 => Act::SayAndClose(Vec::new()),
        _ if is(got, "POST /api/notes ") => filed(got, "n-8"),
        _ => notes(""),
    })
    .await;
    let stage_one = stage(Stage::sqlite, over_xml(&epr, "after_unknown = \"query\""));
    let bridge = Bridge::start(&stage_one).await;
    let written = bridge.client.write(&bridge.client.person(0, "epr").await, "Rang a garden centre.").await;
    let d = bridge.client.filed(written.id()).await;
    assert_eq!((d.record_id.as_str(), d.attempts), ("n-8", 2), "{}", shown(&d));
    let sent = posts(&epr);
    assert!(sent.len() == 2 && sent[0].body == sent[1].body, "the same bytes");
    assert!(asks(&epr).len() >= 2);
    bridge.stop().await;

    // A Fault, a page and another client's note say neither: a person looks, and nothing is filed or sent again.
    let answers: [fn(&Got) -> Act; 3] = [
        |_| xml("<Fault xmlns=\"urn:example:beck\"><Code>Busy</Code></Fault>"),
        |_| xml("<html><body>Welcome</body></html>"),
        |got| {
            let reference = got.line.split("ref=").nth(1).and_then(|r| r.split(' ').next()).unwrap_or_default();
            notes(&format!(
                "<Note id=\"n-9\" client=\"c-99\" state=\"current\"><Ref>{}</Ref><Text>Rang a garden centre.</Text></Note>",
                reference.replace("%5E", "^")
            ))
        },
    ];
    for answer in answers {
        let epr = WebEnd::start(move |_, got| match got.line.as_str() {
            _ if is(got, "POST /api/clients/find ") => client(got, 1),
            _ if is(got, "POST /api/notes ") => Act::SayAndClose(Vec::new()),
            _ => answer(got),
        })
        .await;
        let stage = stage(Stage::sqlite, over_xml(&epr, "after_unknown = \"query\""));
        let bridge = Bridge::start(&stage).await;
        let written = bridge.client.write(&bridge.client.person(0, "epr").await, "Rang a garden centre.").await;
        let d = bridge.client.parked(written.id(), Reason::OutcomeUnknown).await;
        assert_eq!((d.record_id.as_str(), d.attempts, posts(&epr).len()), ("", 1, 1), "{}", shown(&d));
        assert_eq!(asks(&epr).len(), 3, "asked max_unclear times");
        bridge.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_no_client_and_of_two_none_is_chosen_and_a_page_is_no_word_about_the_client() {
    let count: Arc<AtomicUsize> = Arc::default();
    let now = count.clone();
    let epr = WebEnd::start(move |_, got| match now.load(Ordering::SeqCst) {
        9 if is(got, "POST /api/clients/find ") => {
            now.store(1, Ordering::SeqCst);
            xml("<html><body>Welcome</body></html>")
        }
        n if is(got, "POST /api/clients/find ") => client(got, n),
        _ => filed(got, "n-1"),
    })
    .await;
    let stage = stage(Stage::sqlite, over_xml(&epr, "after_unknown = \"park\"\nmax_unknown_resends = 0"));
    let bridge = Bridge::start(&stage).await;
    let client = &bridge.client;
    for (nth, found) in [0, 2].into_iter().enumerate() {
        count.store(found, Ordering::SeqCst);
        let written = client.write(&client.person(nth, "epr").await, "Rang a garden centre.").await;
        let d = client.parked(written.id(), Reason::LookupUnclear).await;
        assert_eq!((d.attempts, d.may_have_been_received), (0, false), "{}", shown(&d));
    }
    assert!(posts(&epr).is_empty(), "nothing was sent");
    // A gateway's page is an outage: asked again, no attempt counted.
    count.store(9, Ordering::SeqCst);
    let written = client.write(&client.person(2, "epr").await, "Rang a garden centre.").await;
    let d = client.filed(written.id()).await;
    assert_eq!(d.attempts, 1, "{}", shown(&d));
    bridge.stop().await;
}
