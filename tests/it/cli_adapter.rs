//! `adapter diff --endpoint`: what was sent, rendered with a new pack.

use crate::adapter_breaks::{copy, pack_folder};
use crate::cli_operate::{Epr, referral, until, write};
use crate::support::binary::Serving;
use crate::support::free_addr;
use std::fs;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_is_held_against_a_new_pack_before_it_goes_live() {
    let address = free_addr();
    let bridge = Serving::start(address).await;
    let inbound = bridge.inbound.to_string();
    let epr = Epr::start(&address.to_string(), &["--bridge", &inbound, "--send-referral", "1"]);
    let referral = referral(&bridge).await;
    let id = write(&bridge, &referral).await;
    until(&bridge, &id, "FILED").await;
    assert_eq!(epr.stop().1, Some(0));

    let uk = pack_folder("hl7v2-uk").display().to_string();
    let same = bridge.run(&["adapter", "diff", &uk, "--endpoint", "rz9-epr"]).exits(0);
    assert!(same.out.contains("0 of 1 sent messages would be sent differently"), "{}", same.out);

    let folder = tempfile::tempdir().expect("a folder");
    let changed = folder.path().join("hl7v2-uk");
    copy(&pack_folder("hl7v2-uk"), &changed);
    let part = changed.join("templates/parts/content.hl7");
    let text = fs::read_to_string(&part).expect("a template");
    fs::write(&part, text.replace("IPS-HEADING^Entry details^L", "IPS-HEADING^Details^L")).expect("written");
    let changed = changed.display().to_string();
    let json = bridge.run(&["adapter", "diff", &changed, "--endpoint", "rz9-epr", "--json"]).exits(1).json();
    assert_eq!(
        (json["compared"].as_u64(), json["different"].as_u64(), &json["masked"]),
        (Some(1), Some(1), &false.into())
    );
    let changes = json["messages"][0]["changes"].as_array().expect("changes");
    assert!(!changes.is_empty());
    for change in changes {
        assert!(change["place"].as_str().is_some_and(|p| p.starts_with("OBX[") && p.ends_with("]-3.2")), "{change}");
        assert_eq!((&change["old"], &change["new"]), (&"Entry details".into(), &"Details".into()));
    }
    let later = ["--since", "2999-01-01T00:00:00Z"];
    let none = bridge.run(&[&["adapter", "diff", &*changed, "--endpoint", "rz9-epr"][..], &later].concat()).exits(0);
    assert!(none.out.contains("0 of 0 sent messages"), "{}", none.out);
    let nobody = bridge.run(&["adapter", "diff", &changed, "--endpoint", "nobody"]).exits(1);
    assert!(nobody.err.contains("NOT_FOUND"), "{}", nobody.err);
    assert_eq!(bridge.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_is_read_and_judged_by_a_new_pack_before_it_goes_live() {
    let address = free_addr();
    let bridge = Serving::start(address).await;
    let inbound = bridge.inbound.to_string();
    let epr = Epr::start(&address.to_string(), &["--bridge", &inbound, "--send-referral", "1"]);
    let referral = referral(&bridge).await;
    let id = write(&bridge, &referral).await;
    until(&bridge, &id, "FILED").await;
    assert_eq!(epr.stop().1, Some(0));

    let uk = pack_folder("hl7v2-uk").display().to_string();
    let same = bridge.run(&["adapter", "diff", &uk, "--endpoint", "rz9-epr"]).exits(0);
    for counted in ["0 of 1 messages that came would be read differently", "0 of 1 replies would mean something else"] {
        assert!(same.out.contains(counted), "{counted} is not in {}", same.out);
    }
    let changed_in = |changes: &[(&str, &str, &str)]| {
        let folder = tempfile::tempdir().expect("a folder");
        let pack = folder.path().join("hl7v2-uk");
        copy(&pack_folder("hl7v2-uk"), &pack);
        for (file, find, put) in changes {
            let text = fs::read_to_string(pack.join(file)).expect("a file of the pack");
            assert!(text.contains(find), "{file} holds no {find}");
            fs::write(pack.join(file), text.replacen(find, put, 1)).expect("written");
        }
        let path = pack.display().to_string();
        (folder, path)
    };
    // A row that says something else, and a reply that is no yes any more.
    let team = ("maps/ref_i12.toml", "{ from = \"PRD[1.1=RT]-7.1\" },", "{ value = \"IPS-ELSEWHERE\" },");
    let (_folder, pack) = changed_in(&[team, ("adapter.toml", "AA = \"positive\"", "AA = \"unknown\"")]);
    let json = bridge.run(&["adapter", "diff", &pack, "--endpoint", "rz9-epr", "--json"]).exits(1).json();
    assert_eq!((json["different"].as_u64(), json["masked"].as_bool()), (Some(0), Some(false)));
    assert_eq!((json["read"]["compared"].as_u64(), json["read"]["different"].as_u64()), (Some(1), Some(1)), "{json}");
    let changes = &json["read"]["messages"][0]["changes"];
    assert_eq!(changes.as_array().map(Vec::len), Some(1), "{changes}");
    assert_eq!((&changes[0]["place"], &changes[0]["new"]), (&"details.team".into(), &"IPS-ELSEWHERE".into()));
    let judged = &json["judged"]["replies"][0];
    assert!(judged["name"].as_str().is_some_and(|n| n.starts_with(&id) && n.ends_with("reply AA")), "{judged}");
    assert_eq!((&judged["changes"][0]["old"], &judged["changes"][0]["new"]), (&"positive".into(), &"unknown".into()));
    // One that was taken would be refused.
    let over = ("maps/ref_i12.toml", "is = [\"\", \"waiting\"]", "is = [\"over\"]");
    let (_folder, pack) = changed_in(&[over]);
    let said = bridge.run(&["adapter", "diff", &pack, "--endpoint", "rz9-epr"]).exits(1);
    assert!(
        said.out.contains("REF^I12")
            && said.out.contains("is read  ->  is refused: accept (from RF1-1.1 else")
            && said.out.contains("1 of 1 messages that came would be read differently"),
        "{}",
        said.out
    );
    // Nothing was changed by looking, and a pack with a fault is told with its place.
    let (_folder, broken) = changed_in(&[("maps/ref_i12.toml", "PID-7", "PID.7")]);
    let refused = bridge.run(&["adapter", "diff", &broken, "--endpoint", "rz9-epr"]);
    assert!(refused.err.contains("maps/ref_i12.toml:"), "{}", refused.err);
    bridge.run(&["adapter", "diff", &uk, "--endpoint", "rz9-epr"]).exits(0);
    assert_eq!(bridge.stop(), Some(0));
}
