//! What becomes of what waits when config is mended: it says what config says now, and of two bridges that read different ones only one sends.

use crate::e2e_support::{Bridge, Client, Stage, endpoint, epr, faults, shown};
use crate::store::raw;
use crate::support::wait_until;
use ips_bridge::domain::organisation::EndpointId;
use ips_bridge::store::record::ActiveConfig;
use ips_bridge::wire::v1;
use std::time::Duration;
use v1::DeliveryState as State;
use v1::ParkReason as Reason;

/// Its next turn never comes by itself.
const AN_HOUR: &str = "back_off = { first = \"1h\", cap = \"1h\" }";

fn stages(endpoint: &toml::Table) -> impl Iterator<Item = Stage> {
    let endpoint = endpoint.clone();
    [Stage::sqlite, Stage::postgres]
        .into_iter()
        .map(move |make: fn([toml::Table; 1]) -> Stage| make([endpoint.clone()]))
}

/// Whom each message of a delivery names as its author (TXA-9.1), in order.
async fn authors(client: &Client, delivery: &str) -> Vec<String> {
    let author = |a: v1::Attempt| {
        let sent = String::from_utf8(a.sent.expect("its bytes")).expect("UTF-8");
        let (_, txa) = sent.split_once("\rTXA|").expect("a TXA");
        let field = txa.split('|').nth(8).unwrap_or_default();
        field.split('^').next().unwrap_or_default().to_owned()
    };
    client.attempts(delivery).await.into_iter().map(author).collect()
}

/// It went twice, under one control id: a message that is made anew has another one.
async fn same_bytes_twice(client: &Client, delivery: &str) -> bool {
    let ids: Vec<String> = client.attempts(delivery).await.into_iter().map(|a| a.control_id).collect();
    ids.len() == 2 && ids[0] == ids[1]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mended_staff_table_says_who_wrote_what_was_refused_and_holds_what_may_have_been_received() {
    let own = format!("{AN_HOUR}\n[mllp]\nreply_timeout = \"200ms\"\n[settings]\nauthor_id = \"epr\"");
    let epr = epr(|_| {}).await;
    for mut stage in stages(&endpoint("epr", epr.addr(), &own)) {
        let staff = stage.folder().join("staff.csv");
        stage.trust("staff_file = \"staff.csv\"");
        let table = |mine: &str, of_other: &str| {
            format!("staff_id,endpoint,epr_id,epr_name\nS1,epr,{mine},Morgan A\nS2,epr,{of_other},Doe J\n")
        };
        std::fs::write(&staff, table("WRONG66", "OTHER1")).expect("the staff table");
        let bridge = Bridge::start(&stage).await;
        let people = bridge.client.people(0..3, "epr").await;
        epr.set_faults(faults(&["refuse:AE:207"]));
        let refused = bridge.client.write(&people[0], "Rang a garden centre.").await;
        bridge.client.until_state(refused.id(), State::BackingOff).await;
        let mut by_another = bridge.client.note(&people[1], "Rang a bakery.");
        by_another.author = Some(v1::Author { staff_id: "S2".into(), ..crate::e2e_support::author() });
        let others = bridge.client.try_write(by_another).await.expect("the note breaks no rule");
        bridge.client.until_state(others.id(), State::BackingOff).await;
        epr.set_faults(faults(&["drop-ack"]));
        let unknown = bridge.client.write(&people[2], "Rang a florist.").await;
        bridge.client.until_state(unknown.id(), State::BackingOff).await;
        bridge.stop().await;

        epr.set_faults(faults(&[]));
        std::fs::write(&staff, table("RIGHT77", "OTHER1")).expect("the staff table");
        raw::due_now(stage.store_url()).await;
        let bridge = Bridge::start(&stage).await;
        let client = &bridge.client;
        client.filed(refused.id()).await;
        assert_eq!(authors(client, refused.id()).await, ["WRONG66", "RIGHT77"]);
        client.filed(others.id()).await;
        assert!(same_bytes_twice(client, others.id()).await, "another's row changed nothing of it");
        let held = client.parked(unknown.id(), Reason::EndpointChangedAfterSend).await;
        assert!(held.may_have_been_received && held.attempts == 1, "{}", shown(&held));
        bridge.stop().await;
    }
    epr.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_team_for_referrals_changes_nothing_of_what_may_have_been_received() {
    let listen = |team: &str| format!("[listen]\naddress = \"127.0.0.1:0\"\ndefault_team = \"{team}\"");
    let own = format!("{AN_HOUR}\n[mllp]\nreply_timeout = \"200ms\"\n{}", listen("epr"));
    let epr = epr(|s| s.faults = faults(&["drop-ack"])).await;
    let mut stage = Stage::sqlite([endpoint("epr", epr.addr(), &own)]);
    let bridge = Bridge::start(&stage).await;
    let person = bridge.client.person(0, "epr").await;
    let unknown = bridge.client.write(&person, "Rang a garden centre.").await;
    bridge.client.until_state(unknown.id(), State::BackingOff).await;
    bridge.stop().await;

    epr.set_faults(faults(&[]));
    stage.team("another");
    stage.change("epr", &listen("another"));
    raw::due_now(stage.store_url()).await;
    let bridge = Bridge::start(&stage).await;
    bridge.client.filed(unknown.id()).await;
    assert!(same_bytes_twice(&bridge.client, unknown.id()).await);
    bridge.stop().await;
    epr.shutdown().await;
}

async fn in_force(bridge: &Bridge) -> ActiveConfig {
    let id = EndpointId::parse("epr").expect("an id");
    let states = bridge.store().endpoint_states(&[id]).await.expect("states");
    states[0].config.clone().expect("one is in force")
}

async fn held(client: &Client) -> String {
    client.endpoint("epr").await.pack.expect("what it works with").held_because
}

/// Two bridges on one PostgreSQL: a mended address, and only one of them restarted with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_bridges_that_read_different_config_only_the_one_that_started_last_sends() {
    let (former, mended) = (epr(|_| {}).await, epr(|_| {}).await);
    let mut stage = Stage::postgres([endpoint("epr", former.addr(), "")]);
    let stale = Bridge::start(&stage).await;
    stage.change("epr", &format!("[mllp]\naddress = \"{}\"", mended.addr()));
    let current = Bridge::start(&stage).await;
    assert_eq!(in_force(&current).await.number, 2);
    let people = current.client.people(0..10, "epr").await;
    let mut written = Vec::new();
    for (n, person) in people.iter().enumerate() {
        let client = if n % 2 == 0 { &stale.client } else { &current.client };
        written.push(client.write(person, "Rang a garden centre.").await);
    }
    for note in &written {
        current.client.filed(note.id()).await;
        assert!(former.ask(|r| r.document(&note.document()).is_none()), "it went by what was in force before");
        assert!(mended.ask(|r| r.document(&note.document()).is_some()));
    }
    let told = async || held(&stale.client).await.contains("restart this one with the same config");
    wait_until(Duration::from_secs(20), "the one that is held says so", told).await;
    assert_eq!(held(&current.client).await, "");

    // The other one ends: nothing is sent by the wrong config, and nothing is lost.
    current.stop().await;
    let waits = stale.client.write(&people[0], "Rang a bakery.").await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(stale.client.delivery(waits.id()).await.attempts, 0);
    let current = Bridge::start(&stage).await;
    current.client.filed(waits.id()).await;
    assert_eq!(in_force(&current).await.number, 2, "a restart with the same config changes nothing");
    current.stop().await;

    // Somebody takes the change back: what reads the former config sends again.
    stage.change("epr", &format!("[mllp]\naddress = \"{}\"", former.addr()));
    let back = Bridge::start(&stage).await;
    assert_eq!(in_force(&back).await.number, 3);
    wait_until(Duration::from_secs(20), "the first one goes on", async || held(&stale.client).await.is_empty()).await;
    back.stop().await;
    let last = stale.client.write(&people[1], "Rang a florist.").await;
    stale.client.filed(last.id()).await;
    assert!(former.ask(|r| r.document(&last.document()).is_some()));
    stale.stop().await;
    former.shutdown().await;
    mended.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_writes_which_config_is_in_force_only_where_that_is_another_one() {
    let epr = epr(|_| {}).await;
    for mut stage in stages(&endpoint("epr", epr.addr(), "")) {
        let audited = async |stage: &Stage| {
            raw::number(stage.store_url(), "SELECT COUNT(*) FROM audit WHERE action = 'endpoint.config'").await
        };
        let started = async |stage: &Stage| {
            let bridge = Bridge::start(stage).await;
            let config = in_force(&bridge).await;
            // An answer of the endpoint, which makes its state anew, leaves it.
            let person = bridge.client.person(0, "epr").await;
            let note = bridge.client.write(&person, "Rang a garden centre.").await;
            bridge.client.filed(note.id()).await;
            assert_eq!(in_force(&bridge).await, config);
            bridge.stop().await;
            config
        };
        let first = started(&stage).await;
        assert_eq!((first.number, audited(&stage).await), (1, 0));
        stage.change("epr", "max_per_minute = 6000\nprobe = { first = \"30ms\", cap = \"100ms\" }");
        assert_eq!(started(&stage).await, first, "how fast is another matter");
        stage.change("epr", "max_unknown_resends = 4");
        let second = started(&stage).await;
        assert_eq!((second.number, audited(&stage).await), (2, 1));
        assert_ne!(first.digest, second.digest);
    }
    epr.shutdown().await;
}
