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
