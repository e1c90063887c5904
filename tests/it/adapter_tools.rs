//! The pack tools of the command line: new, diff; and a pack that somebody wrote with them.

use crate::adapter_breaks::{copy, pack_folder};
use crate::support::binary::run;
use ips_bridge::adapter::check::check;
use ips_bridge::verdict::verdict;
use std::fs;
use std::path::Path;

#[test]
fn a_new_pack_passes_its_check_whether_from_nothing_or_over_another() {
    let folder = tempfile::tempdir().expect("a folder");
    for base in ["hl7v2-uk", "hl7v2-251"] {
        copy(&pack_folder(base), &folder.path().join(base));
    }
    let at = folder.path().display().to_string();
    let made = |args: &[&str]| run(&[&["adapter", "new"], args, &["--in", &at]].concat());
    for args in [&["my-epr"][..], &["my-layer", "--extends", "hl7v2-251"]] {
        let said = made(args).exits(0);
        assert!(said.out.ends_with("good\n"), "{}", said.out);
        assert!(check(&folder.path().join(args[0]), verdict).is_good());
    }
    assert!(folder.path().join("my-layer/examples/render-note-my-layer/expected.hl7").is_file());
    let text = |path: &str| fs::read_to_string(folder.path().join(path)).expect("written");
    assert!(
        text("my-epr/adapter.toml").contains("id      = \"my-epr\"") && !text("my-epr/README.md").contains("_template")
    );
    let nowhere = folder.path().join("nowhere").display().to_string();
    let said = run(&["adapter", "new", "my-epr", "--in", &nowhere]).exits(2).err;
    assert!(said.contains("there is no folder") && said.contains("name their folder with --in"), "{said}");
    made(&["my-epr"]).exits(2);
    made(&["../odd"]).exits(2);
    assert!(made(&["other", "--extends", "nobody"]).exits(2).err.contains("not a pack's folder"));
}

#[test]
fn two_packs_are_compared_example_by_example_and_each_difference_has_its_field() {
    let path = |id: &str| pack_folder(id).display().to_string();
    let (uk, newer) = (path("hl7v2-uk"), path("hl7v2-251"));
    let same = run(&["adapter", "diff", &uk, &uk]).exits(0);
    assert!(same.out.starts_with("0 of "), "{}", same.out);
    let other = run(&["adapter", "diff", &uk, &newer]).exits(1);
    assert!(other.out.contains("render-note\n  MSH-12  2.4  ->  2.5.1\n"), "{}", other.out);
    let json = run(&["adapter", "diff", &uk, &newer, "--json"]).exits(1).json();
    assert_eq!(json["masked"], false);
    assert!(json["different"].as_u64().expect("a number") > 30);
    for message in json["messages"].as_array().expect("messages") {
        for change in message["changes"].as_array().expect("changes") {
            assert_eq!(
                (change["place"].as_str(), change["new"].as_str()),
                (Some("MSH-12"), Some("2.5.1")),
                "{message}"
            );
        }
    }

    // What one pack can carry and the other cannot is a difference too.
    let folder = tempfile::tempdir().expect("a folder");
    copy(&pack_folder("hl7v2-uk"), &folder.path().join("hl7v2-uk"));
    let manifest = folder.path().join("hl7v2-uk/adapter.toml");
    let text = fs::read_to_string(&manifest).expect("a manifest");
    fs::write(&manifest, text.replace("default = \"UNICODE UTF-8\"", "default = \"ASCII\"")).expect("written");
    let changed = folder.path().join("hl7v2-uk").display().to_string();
    let poorer = run(&["adapter", "diff", &uk, &changed]).exits(1);
    assert!(poorer.out.contains("a message  ->  no message: "), "{}", poorer.out);
    run(&["adapter", "diff", &uk]).exits(2);
    run(&["adapter", "diff", &uk, &newer, "--endpoint", "rz9-rio"]).exits(2);
}

#[test]
fn a_pack_for_an_invented_epr_written_from_the_readme_alone_passes_its_check() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packs/tarn");
    let report = check(&folder, verdict);
    assert!(report.is_good(), "{:?}", report.faults);
    let json = run(&[
        "adapter",
        "parse",
        &folder.display().to_string(),
        &folder.join("examples/parse-referral/message.hl7").display().to_string(),
    ]);
    assert_eq!(json.exits(0).json()["fields"]["details"]["priority"], "REFERRAL_PRIORITY_URGENT");
}

#[test]
fn the_example_of_real_trusts_can_be_used() {
    let said = run(&["check-config", "config/nhs-example.toml"]).exits(0);
    assert!(said.out.contains("no fault: 10 trusts, 11 endpoints"), "{}", said.out);
    assert!(run(&["check-config", "--schema"]).exits(0).json()["properties"]["endpoint"].is_object());
    assert!(run(&["adapter", "schema", "map"]).exits(0).json()["$defs"].is_object());
}
