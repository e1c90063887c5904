//! Which pack an endpoint works with: what was activated, on this bridge or another, before a restart and after; never what somebody happened to save.

use crate::e2e_support::{Bridge, Client, Stage, TRUST, endpoint, epr, faults, request_id, shown};
use crate::store::raw;
use crate::support::{temp_dir, wait_until};
use ips_bridge::adapter::{examples, scaffold};
use ips_bridge::verdict::verdict;
use ips_bridge::wire::v1;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use v1::DeliveryState as State;
use v1::ParkReason as Reason;

/// A folder with the pack `tiny`, and `top`, which lies over it. What they send begins its TXA with the document type.
struct Packs(TempDir);

impl Packs {
    /// The same, with evidence that lets a live endpoint work with it.
    fn tested() -> Self {
        let packs = Self::new();
        packs.change(
            "tiny/adapter.toml",
            "status  = \"draft\"",
            "status = \"tested\"\nevidence = \"the trust's acceptance test of 2 March 2026\"",
        );
        packs
    }

    fn new() -> Self {
        let packs = Self(temp_dir());
        packs.write("tiny", scaffold::from_template("tiny"));
        let tiny = ips_bridge::adapter::Pack::load(&packs.folder("tiny")).expect("the template is good");
        packs.write("top", scaffold::over("top", &tiny));
        packs.bless("top");
        packs
    }

    fn folder(&self, id: &str) -> PathBuf {
        self.0.path().join(id)
    }

    fn write(&self, id: &str, files: Vec<(String, String)>) {
        for (path, text) in files {
            let file = self.folder(id).join(path);
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            std::fs::write(file, text).expect("written");
        }
    }

    fn bless(&self, id: &str) {
        examples::test(&self.folder(id), true, verdict);
    }

    fn change(&self, file: &str, from: &str, to: &str) {
        let path = self.0.path().join(file);
        let text = std::fs::read_to_string(&path).expect("a file of the pack");
        assert!(text.contains(from), "{file} does not say {from}");
        std::fs::write(path, text.replace(from, to)).expect("saved");
    }

    /// Another document type and version, with the examples that prove it.
    fn save(&self, was: &str, becomes: &str, version: (&str, &str)) {
        self.change("tiny/templates/note.hl7", &format!("TXA|1|{was}|"), &format!("TXA|1|{becomes}|"));
        self.change(
            "tiny/adapter.toml",
            &format!("version = \"{}\"", version.0),
            &format!("version = \"{}\"", version.1),
        );
        self.bless("tiny");
        self.bless("top");
    }
}

/// An endpoint that works with `tiny`, or another of these packs.
fn with(pack: &str, address: std::net::SocketAddr, own: &str) -> toml::Table {
    let mut table = endpoint("epr", address, own);
    table.insert("adapter".into(), pack.into());
    table.insert(
        "settings".into(),
        "receiving_application = 'EPR'\nreceiving_facility = 'RZ9'".parse::<toml::Table>().expect("TOML").into(),
    );
    table
}

fn both(packs: &Packs, endpoint: &toml::Table) -> impl Iterator<Item = Stage> {
    let folder = packs.0.path().to_owned();
    let endpoint = endpoint.clone();
    [Stage::sqlite, Stage::postgres].into_iter().map(move |make: fn([toml::Table; 1]) -> Stage| {
        let mut stage = make([endpoint.clone()]);
        stage.packs(folder.clone());
        stage
    })
}

async fn activate_as(client: &Client, id: &str, version: &str) -> Result<v1::AdapterChange, Status> {
    activate_all_the_same(client, id, version, false).await
}

async fn activate_all_the_same(
    client: &Client,
    id: &str,
    version: &str,
    same_version: bool,
) -> Result<v1::AdapterChange, Status> {
    let request = v1::ActivateAdapterRequest {
        same_version,
        request_id: id.into(),
        endpoint_id: "epr".into(),
        reason: "change 4711".into(),
        version: version.into(),
    };
    Ok(client.adapters().activate_adapter(request).await?.into_inner().change.expect("a change"))
}

async fn activate(client: &Client) -> Result<v1::AdapterChange, Status> {
    activate_as(client, &request_id(), "").await
}

async fn roll_back(client: &Client) -> Result<v1::AdapterChange, Status> {
    let request = v1::RollbackAdapterRequest {
        request_id: request_id(),
        endpoint_id: "epr".into(),
        reason: "change 4711 undone".into(),
        version: String::new(),
    };
    Ok(client.adapters().rollback_adapter(request).await?.into_inner().change.expect("a change"))
}

async fn in_use(client: &Client) -> v1::AdapterInUse {
    client.endpoint("epr").await.pack.expect("what it works with")
}

fn version(of: &Option<v1::AdapterVersion>) -> &str {
    of.as_ref().map_or("", |v| v.version.as_str())
}

/// The document type of every message that was sent for a delivery, in order.
async fn sent(client: &Client, delivery: &str) -> Vec<String> {
    let kind = |a: v1::Attempt| {
        let sent = String::from_utf8(a.sent.expect("its bytes")).expect("UTF-8");
        let (_, rest) = sent.split_once("TXA|1|").expect("a TXA");
        rest.chars().take_while(|c| *c != '|').collect::<String>()
    };
    client.attempts(delivery).await.into_iter().map(kind).collect()
}

/// What the audit says of packs, oldest first.
async fn audited(url: &str) -> Vec<String> {
    raw::texts(url, "SELECT principal || ' ' || action || ' ' || trust || ' ' || why FROM audit WHERE action LIKE 'adapter.%' ORDER BY seq").await
}

/// Longer than two looks at the folder.
async fn looked_at_again(client: &Client, what: impl Fn(&v1::AdapterInUse) -> bool) {
    wait_until(Duration::from_secs(20), "a look at the packs' folder", async || what(&in_use(client).await)).await;
}

const NO_RELOAD: &str = "reload_on_save = false";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_save_changes_nothing_and_an_activation_changes_the_next_note_and_is_audited() {
    let epr = epr(|_| {}).await;
    let packs = Packs::new();
    let mut from = "PN".to_owned();
    for (stage, to) in both(&packs, &with("tiny", epr.addr(), NO_RELOAD)).zip(["CN", "DS"]) {
        let bridge = Bridge::start(&stage).await;
        let client = &bridge.client;
        let person = client.person(0, "epr").await;
        let first = client.write(&person, "Rang a garden centre.").await;
        client.filed(first.id()).await;
        let before = in_use(client).await;
        assert_eq!((before.activation, before.activated_by.as_str(), before.folder_differs), (1, "bridge", false));
        let was = version(&before.version).to_owned();
        let next = if was == "0.1.0" { "0.2.0" } else { "0.3.0" };
        packs.save(&from, to, (&was, next));
        looked_at_again(client, |p| p.folder_differs && version(&p.in_folder) == next).await;
        let second = client.write(&person, "Rang another.").await;
        client.filed(second.id()).await;
        assert_eq!(sent(client, second.id()).await, [from.clone()], "a save changed what is sent");

        // Another version than the one that is meant is refused, and so is a call with the same id and other content.
        let refused = activate_as(client, &request_id(), "9.9.9").await.expect_err("another version");
        assert_eq!(refused.code(), Code::FailedPrecondition);
        assert_eq!(refused.get_error_details().error_info().expect("a reason").reason, "PACK_REFUSED");
        let id = request_id();
        let change = activate_as(client, &id, next).await.expect("it is good");
        assert_eq!(
            (version(&change.from), version(&change.to), change.changed, change.activation),
            (was.as_str(), next, true, 2)
        );
        assert_eq!(
            activate_as(client, &id, next).await.expect("a repeat"),
            change,
            "the same request, the same answer"
        );
        let reused = activate_as(client, &id, "").await.expect_err("other content");
        assert_eq!(reused.code(), Code::AlreadyExists);
        let again = activate(client).await.expect("there already");
        assert!(!again.changed && again.activation == 2, "{again:?}");

        let third = client.write(&person, "Rang a third.").await;
        client.filed(third.id()).await;
        assert_eq!(sent(client, third.id()).await, [to]);
        let preview = v1::PreviewEntryRequest {
            endpoint_id: "epr".into(),
            what: Some(v1::preview_entry_request::What::DeliveryId(third.id().into())),
            with_input: false,
        };
        let preview = client.adapters().preview_entry(preview).await.expect("a preview").into_inner();
        assert_eq!(preview.adapter, format!("tiny@{next}"));
        let listed = client.adapters().list_adapters(v1::ListAdaptersRequest {}).await.expect("a list").into_inner();
        let tiny = listed.adapters.into_iter().find(|a| a.id == "tiny").expect("it is there");
        assert_eq!(tiny.in_use.iter().map(|u| version(&u.version)).collect::<Vec<_>>(), [next]);
        let said = audited(stage.store_url()).await;
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].starts_with(&format!("bridge adapter.activate {TRUST} epr: none -> tiny@{was} (")), "{said:?}");
        assert!(said[1].contains(&format!("adapter.activate {TRUST} epr: tiny@{was} (")), "{said:?}");
        assert!(said[1].contains(&format!(" -> tiny@{next} (")) && said[1].ends_with("): change 4711"), "{said:?}");
        bridge.stop().await;
        from = to.to_owned();
    }
    epr.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_pack_never_replaces_one_that_works_and_its_faults_name_their_lines() {
    let epr = epr(|_| {}).await;
    let packs = Packs::new();
    for stage in both(&packs, &with("tiny", epr.addr(), "")) {
        let bridge = Bridge::start(&stage).await;
        let client = &bridge.client;
        let person = client.person(0, "epr").await;
        // It loads, and an example says otherwise; then it does not even load.
        for (from, to) in [("TXA|1|PN|", "TXA|1|CN|"), ("{{ message.control_id }}", "{{ message.control_ix }}")] {
            packs.change("tiny/templates/note.hl7", from, to);
            looked_at_again(client, |p| !p.faults.is_empty()).await;
            let refused = activate(client).await.expect_err("it is broken");
            let details = refused.get_error_details();
            let faults: Vec<String> = details
                .bad_request()
                .expect("places")
                .field_violations
                .iter()
                .map(|v| format!("{}: {}", v.field, v.description))
                .collect();
            let place = if from.starts_with("TXA") { "templates/note.hl7:7: TXA-2 " } else { "templates/note.hl7:3: " };
            assert!(faults.iter().any(|f| f.starts_with(place) && f.contains("; ")), "{faults:?}");
            let written = client.write(&person, "Rang a garden centre.").await;
            client.filed(written.id()).await;
            assert_eq!(sent(client, written.id()).await, ["PN"]);
            assert_eq!(in_use(client).await.activation, 1);
        }
        bridge.stop().await;
        // Not at a restart either: what is broken in the folder stops nobody who works with what was activated.
        let bridge = Bridge::start(&stage).await;
        let written = bridge.client.write(&person, "Rang a garden centre.").await;
        bridge.client.filed(written.id()).await;
        assert_eq!(sent(&bridge.client, written.id()).await, ["PN"]);
        bridge.stop().await;
        packs.change("tiny/templates/note.hl7", "{{ message.control_ix }}", "{{ message.control_id }}");
        packs.change("tiny/templates/note.hl7", "TXA|1|CN|", "TXA|1|PN|");
    }
    epr.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restart_the_activated_bytes_are_used_though_a_base_was_saved_and_rollback_brings_the_former_back() {
    let epr = epr(|_| {}).await;
    for make in [Stage::sqlite, Stage::postgres] as [fn([toml::Table; 1]) -> Stage; 2] {
        let packs = Packs::new();
        let mut stage = make([with("top", epr.addr(), NO_RELOAD)]);
        stage.packs(packs.0.path().to_owned());
        let bridge = Bridge::start(&stage).await;
        let person = bridge.client.person(0, "epr").await;
        let none = roll_back(&bridge.client).await.expect_err("there was no other");
        assert_eq!(none.code(), Code::FailedPrecondition);
        packs.save("PN", "CN", ("0.1.0", "0.2.0"));
        // Under a version that it had here with other bytes nobody could say afterwards which of the two made a message.
        let refused = activate(&bridge.client).await.expect_err("it has the version of the one that works");
        let details = refused.get_error_details();
        assert_eq!(details.error_info().expect("a reason").reason, "PACK_REFUSED");
        let said = &details.bad_request().expect("a place").field_violations[0].description;
        assert!(said.contains("other bytes under that version; raise version"), "{said}");
        let change = activate_all_the_same(&bridge.client, &request_id(), "", true).await.expect("it is good");
        assert!(change.changed && version(&change.to) == "0.1.0", "a pack over a changed one is another: {change:?}");
        bridge.stop().await;

        packs.save("CN", "DS", ("0.2.0", "0.3.0"));
        let bridge = Bridge::start(&stage).await;
        let client = &bridge.client;
        let second = client.write(&person, "Rang a garden centre.").await;
        client.filed(second.id()).await;
        assert_eq!(sent(client, second.id()).await, ["CN"], "a restart took what was saved");
        let now = in_use(client).await;
        assert!(now.folder_differs && now.activation == 2 && now.former.len() == 1, "{now:?}");
        let change = roll_back(client).await.expect("there is one");
        assert_eq!(change.activation, 3);
        let third = client.write(&person, "Rang another.").await;
        client.filed(third.id()).await;
        assert_eq!(sent(client, third.id()).await, ["PN"]);
        assert!(roll_back(client).await.is_err(), "there is none before that");
        bridge.stop().await;
        let bridge = Bridge::start(&stage).await;
        let fourth = bridge.client.write(&person, "Rang a third.").await;
        bridge.client.filed(fourth.id()).await;
        assert_eq!(sent(&bridge.client, fourth.id()).await, ["PN"]);
        let said = audited(stage.store_url()).await;
        assert!(said.len() == 3 && said[2].contains("adapter.rollback"), "{said:?}");
        // What can be gone back to is kept, and nothing else.
        assert_eq!(raw::number(stage.store_url(), "SELECT COUNT(*) FROM pack_content").await, 1);
        bridge.stop().await;
    }
    epr.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_is_made_with_the_new_pack_and_what_may_have_been_seen_is_not() {
    for make in [Stage::sqlite, Stage::postgres] as [fn([toml::Table; 1]) -> Stage; 2] {
        let epr = epr(|s| s.faults = faults(&["drop-ack"])).await;
        let packs = Packs::new();
        let own = "reload_on_save = false\nmax_unknown_resends = 100\nback_off = { first = \"1h\", cap = \"1h\" }\n[mllp]\nreply_timeout = \"200ms\"";
        let mut stage = make([with("tiny", epr.addr(), own)]);
        stage.packs(packs.0.path().to_owned());
        let bridge = Bridge::start(&stage).await;
        let client = &bridge.client;
        let people = client.people(0..2, "epr").await;
        let seen = client.write(&people[0], "Rang a garden centre.").await;
        client.until_state(seen.id(), State::BackingOff).await;
        client.pause("epr").await;
        let waits = client.write(&people[1], "Rang a garden centre.").await;
        packs.save("PN", "CN", ("0.1.0", "0.2.0"));
        let change = activate(client).await.expect("it is good");
        assert_eq!((change.waiting_unmade, change.made_anew, change.held), (1, 0, 1), "{change:?}");
        assert_eq!(change.held_delivery_ids, [seen.id()]);
        epr.set_faults(faults(&[]));
        client.resume("epr").await;
        client.filed(waits.id()).await;
        assert_eq!(sent(client, waits.id()).await, ["CN"]);
        raw::execute(stage.store_url(), "UPDATE lane SET next_at = 0 WHERE next_at IS NOT NULL").await;
        bridge.stop().await;
        // Its next turn, without the hour.
        stage.change("epr", "back_off = { first = \"20ms\", cap = \"20ms\" }");
        raw::due_now(stage.store_url()).await;
        let bridge = Bridge::start(&stage).await;
        let d = bridge.client.parked(seen.id(), Reason::EndpointChangedAfterSend).await;
        assert!(d.may_have_been_received, "{}", shown(&d));
        assert_eq!(sent(&bridge.client, seen.id()).await, ["PN"], "made anew in silence");
        bridge.stop().await;
        epr.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_save_on_a_test_endpoint_is_taken_by_itself() {
    let epr = epr(|_| {}).await;
    let packs = Packs::new();
    let mut stage = Stage::sqlite([with("tiny", epr.addr(), "")]);
    stage.packs(packs.0.path().to_owned());
    let bridge = Bridge::start(&stage).await;
    let person = bridge.client.person(0, "epr").await;
    packs.save("PN", "CN", ("0.1.0", "0.2.0"));
    looked_at_again(&bridge.client, |p| p.activation == 2).await;
    let written = bridge.client.write(&person, "Rang a garden centre.").await;
    bridge.client.filed(written.id()).await;
    assert_eq!(sent(&bridge.client, written.id()).await, ["CN"]);
    // Rolled back, it stays so until the next save, also over a restart.
    roll_back(&bridge.client).await.expect("there is one");
    bridge.stop().await;
    let bridge = Bridge::start(&stage).await;
    let written = bridge.client.write(&person, "Rang another.").await;
    bridge.client.filed(written.id()).await;
    assert_eq!(sent(&bridge.client, written.id()).await, ["PN"]);
    bridge.stop().await;
    // Saved while no bridge ran.
    packs.save("CN", "DS", ("0.2.0", "0.3.0"));
    let bridge = Bridge::start(&stage).await;
    let written = bridge.client.write(&person, "Rang a third.").await;
    bridge.client.filed(written.id()).await;
    assert_eq!(sent(&bridge.client, written.id()).await, ["DS"]);
    bridge.stop().await;
    epr.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_activates_rolls_back_and_tells_where_folder_and_record_differ() {
    let epr = epr(|_| {}).await;
    let packs = Packs::new();
    let mut stage = Stage::sqlite([with("tiny", epr.addr(), NO_RELOAD)]);
    stage.packs(packs.0.path().to_owned());
    let bridge = Bridge::start(&stage).await;
    packs.save("PN", "CN", ("0.1.0", "0.2.0"));
    looked_at_again(&bridge.client, |p| p.folder_differs).await;
    let server = format!("http://{}", bridge.grpc());
    let run = async |args: &[&str]| {
        let output =
            tokio::process::Command::new(env!("CARGO_BIN_EXE_ips-bridge")).args(args).output().await.expect("it runs");
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let (good, said) = run(&["status", "--server", &server]).await;
    assert!(good && said.contains("the folder holds tiny@0.2.0 ("), "{said}");
    let file = stage.folder().join("bridge.toml");
    let (good, said) = run(&["check-config", file.to_str().expect("UTF-8"), "--connect"]).await;
    assert!(good && said.contains("works with tiny@0.1.0 (") && said.contains("holds tiny@0.2.0 ("), "{said}");
    // The record goes on with what is active: a pin of it is no fault though the folder holds another.
    let text = std::fs::read_to_string(&file).expect("a configuration");
    let pinned = stage.folder().join("pinned.toml");
    let text = text.replacen("adapter = \"tiny\"", "adapter = \"tiny\"\npack = \"tiny@0.1.0\"", 1);
    std::fs::write(&pinned, text).expect("written");
    let (good, said) = run(&["check-config", pinned.to_str().expect("UTF-8"), "--connect"]).await;
    assert!(good && said.contains("works with tiny@0.1.0 (") && !said.contains("pins"), "{said}");
    let change = ["--endpoint", "epr", "--because", "change 4711", "--yes", "--server", &server];
    let (good, said) = run(&[&["adapter", "activate", "--version", "9.9.9"][..], &change].concat()).await;
    assert!(!good && said.contains("PACK_REFUSED") && said.contains("version 9.9.9 is wanted"), "{said}");
    let (good, said) = run(&[&["adapter", "activate", "--version", "0.2.0"][..], &change].concat()).await;
    assert!(good && said.contains("tiny@0.1.0 (") && said.contains("-> tiny@0.2.0 ("), "{said}");
    let (good, said) = run(&[&["adapter", "rollback"][..], &change].concat()).await;
    assert!(good && said.contains("-> tiny@0.1.0 ("), "{said}");
    bridge.stop().await;
    epr.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comparison_with_history_tells_what_the_new_pack_changes_from_what_changed_since() {
    let epr = epr(|_| {}).await;
    let packs = Packs::new();
    let mut stage = Stage::sqlite([with("tiny", epr.addr(), NO_RELOAD)]);
    stage.packs(packs.0.path().to_owned());
    let bridge = Bridge::start(&stage).await;
    let person = bridge.client.person(0, "epr").await;
    let written = bridge.client.write(&person, "Rang a garden centre.").await;
    bridge.client.filed(written.id()).await;
    let (server, folder) = (format!("http://{}", bridge.grpc()), packs.folder("tiny").display().to_string());
    let diff = async || {
        let args = ["adapter", "diff", &folder, "--endpoint", "epr", "--server", &server];
        let output =
            tokio::process::Command::new(env!("CARGO_BIN_EXE_ips-bridge")).args(args).output().await.expect("it runs");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let said = diff().await;
    assert!(said.contains("0 of 1 sent messages would be sent differently") && !said.contains("since"), "{said}");
    // Saved, and active: what was sent was made by the former one, which is nobody's fault and no change to come.
    packs.save("PN", "CN", ("0.1.0", "0.2.0"));
    let said = diff().await;
    assert!(said.contains("1 of 1 sent messages") && !said.contains("since"), "{said}");
    activate(&bridge.client).await.expect("it is good");
    let said = diff().await;
    for word in ["0 of 1 sent messages", "1 was sent otherwise than tiny@0.2.0", "made by tiny@0.1.0"] {
        assert!(said.contains(word), "{word} is not in:\n{said}");
    }
    assert!(!said.contains("the patient"), "{said}");
    // A pack that goes back to what was sent changes what the active one makes.
    packs.save("CN", "PN", ("0.2.0", "0.3.0"));
    let said = diff().await;
    assert!(said.contains("1 of 1 sent messages would be sent differently") && said.contains("TXA"), "{said}");
    bridge.stop().await;
    epr.shutdown().await;
}

/// Two bridges on one PostgreSQL, each with a packs folder of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_bridge_on_the_same_record_works_with_what_this_one_activated() {
    let epr = epr(|_| {}).await;
    let (packs, others) = (Packs::new(), Packs::new());
    let mut stage = Stage::postgres([with("tiny", epr.addr(), NO_RELOAD)]);
    stage.packs(packs.0.path().to_owned());
    let here = Bridge::start(&stage).await;
    stage.packs(others.0.path().to_owned());
    let there = Bridge::start(&stage).await;
    let person = here.client.person(0, "epr").await;
    packs.save("PN", "CN", ("0.1.0", "0.2.0"));
    activate(&here.client).await.expect("it is good");
    // Whichever of the two takes it: from the answer on nothing is begun with the former pack.
    for n in 0..10 {
        let client = if n % 2 == 0 { &here.client } else { &there.client };
        let written = client.write(&person, &format!("Rang garden centre {n}.")).await;
        client.filed(written.id()).await;
        assert_eq!(sent(client, written.id()).await, ["CN"]);
    }
    wait_until(Duration::from_secs(20), "the other bridge", async || {
        let pack = in_use(&there.client).await;
        pack.activation == 2 && pack.folder_differs && version(&pack.version) == "0.2.0"
    })
    .await;
    there.stop().await;
    here.stop().await;
    epr.shutdown().await;
}

#[tokio::test]
async fn a_live_endpoint_starts_with_what_was_activated_whatever_was_saved_and_only_with_a_pack_that_passes_its_check()
{
    let packs = Packs::tested();
    let own = "environment = \"live\"\npack = \"tiny@0.1.0\"";
    let mut stage = Stage::sqlite([with("tiny", crate::e2e_support::nobody(), own)]);
    stage.packs(packs.0.path().to_owned());
    stage.live();
    packs.change("tiny/templates/note.hl7", "TXA|1|PN|", "TXA|1|CN|");
    let Err(refused) = start(&stage).await else { panic!("a pack that fails its check went live") };
    assert!(refused.to_string().contains("templates/note.hl7:7: TXA-2 is not what example render-note"), "{refused}");
    packs.bless("tiny");
    let activated = activation(&stage).await;
    packs.change("tiny/templates/note.hl7", "TXA|1|CN|", "TXA|1|DS|");
    packs.bless("tiny");
    assert_eq!(activation(&stage).await, activated, "a restart took what was saved");
    std::fs::write(packs.folder("tiny").join("adapter.toml"), "not even TOML").expect("saved");
    assert_eq!(activation(&stage).await, activated, "a broken save changed something");
    std::fs::remove_dir_all(packs.folder("tiny")).expect("removed");
    assert_eq!(activation(&stage).await, activated, "a missing folder changed something");
    // A change behind the record's back is noticed, not used.
    raw::execute(
        stage.store_url(),
        "UPDATE pack_content SET bytes = CAST(replace(CAST(bytes AS TEXT), 'TXA', 'TXB') AS BLOB)",
    )
    .await;
    let Err(refused) = start(&stage).await else { panic!("changed bytes were used") };
    assert!(refused.to_string().contains("fingerprint"), "{refused}");
}

/// Config asks for a setting that what is active does not have.
#[tokio::test]
async fn where_what_is_active_cannot_be_used_any_more_a_live_endpoint_takes_the_folders_pack_only_by_its_new_version() {
    let packs = Packs::tested();
    packs.bless("tiny");
    let own = "environment = \"live\"\npack = \"tiny@0.1.0\"";
    let mut stage = Stage::sqlite([with("tiny", crate::e2e_support::nobody(), own)]);
    stage.packs(packs.0.path().to_owned());
    stage.live();
    let first = activation(&stage).await;
    packs.change("tiny/adapter.toml", "[settings]\n", "[settings]\nward = { help = \"PV1-3\", example = \"W1\" }\n");
    packs.change("tiny/README.md", "## Settings\n", "## Settings\n\n`ward`: where the patient lies.\n");
    packs.change("tiny/templates/note.hl7", "TXA|1|PN|", "TXA|1|{{ settings.ward }}|");
    stage.change("epr", "[settings]\nward = \"W7\"");
    let Err(refused) = start(&stage).await else { panic!("a save went live by itself") };
    let said = refused.to_string();
    assert!(said.contains("ward") && said.contains("pin it in config"), "{said}");

    packs.change("tiny/adapter.toml", "version = \"0.1.0\"", "version = \"0.2.0\"");
    stage.change("epr", "pack = \"tiny@0.2.0\"");
    let Err(refused) = start(&stage).await else { panic!("a pack that fails its check went live") };
    let said = refused.to_string();
    assert!(said.contains("nor can what the packs' folder holds be taken"), "{said}");
    packs.bless("tiny");
    let second = activation(&stage).await;
    assert_eq!((first.0, second.0), (1, 2));
    assert_ne!(first.1, second.1);
}

/// The port is taken.
#[tokio::test]
async fn a_start_that_fails_activates_nothing() {
    let packs = Packs::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let own = format!("[listen]\naddress = \"{}\"", taken.local_addr().expect("an address"));
    let mut stage = Stage::sqlite([with("tiny", crate::e2e_support::nobody(), "")]);
    stage.packs(packs.0.path().to_owned());
    let first = activation(&stage).await;
    stage.change("epr", &format!("adapter = \"top\"\n{own}"));
    let Err(refused) = start(&stage).await else { panic!("the port was not taken") };
    assert!(refused.to_string().contains("cannot listen"), "{refused}");
    drop(taken);
    stage.change("epr", "adapter = \"tiny\"\n[listen]\naddress = \"127.0.0.1:0\"");
    assert_eq!(activation(&stage).await, first, "the start that failed changed the pack");
}

async fn start(stage: &Stage) -> Result<ips_bridge::app::Running, ips_bridge::app::StartError> {
    use ips_bridge::app::{SystemClock, SystemEntropy};
    use std::sync::Arc;
    let stop = tokio_util::sync::CancellationToken::new();
    ips_bridge::app::start(stage.config(), Arc::new(SystemClock), Arc::new(SystemEntropy), stop).await
}

/// Starts, looks which pack is active, and stops.
async fn activation(stage: &Stage) -> (i64, String) {
    let running = start(stage).await.unwrap_or_else(|e| panic!("{e}"));
    let id = ips_bridge::domain::organisation::EndpointId::parse("epr").expect("an id");
    let states = running.store.endpoint_states(&[id]).await.expect("states");
    let pack = states[0].pack.clone().expect("one is active");
    running.stop().await;
    (pack.number, pack.now.fingerprint)
}

/// Where packs lie.
#[test]
fn the_packs_of_these_tests_pass_their_check() {
    let packs = Packs::new();
    for id in ["tiny", "top"] {
        let report = ips_bridge::adapter::check::check(Path::new(&packs.folder(id)), verdict);
        assert!(report.is_good(), "{:?}", report.faults);
    }
}

#[tokio::test]
async fn what_was_written_for_tests_never_goes_live() {
    let packs = Packs::tested();
    packs.bless("tiny");
    let tiny = || with("tiny", crate::e2e_support::nobody(), "");
    for used in [false, true] {
        let mut stage = Stage::sqlite([tiny()]);
        stage.packs(packs.0.path().to_owned());
        let bridge = Bridge::start(&stage).await;
        if used {
            let person = bridge.client.person(0, "epr").await;
            bridge.client.write(&person, "A try.").await;
        }
        bridge.stop().await;
        stage.change("epr", "environment = \"live\"\npack = \"tiny@0.1.0\"");
        stage.live();
        match start(&stage).await {
            Ok(running) => {
                running.stop().await;
                assert!(!used, "what was written for tests goes into the live record");
            }
            Err(refused) => {
                assert!(used && refused.to_string().contains("was for tests and config calls it live"), "{refused}")
            }
        }
    }
}
