//! Every pack under `adapters/`: its check is clean, and every example is a case of its own.

use ips_bridge::adapter::{Pack, Packs, check, examples};
use ips_bridge::verdict::verdict;
use std::path::{Path, PathBuf};

pub fn packs() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters");
    let folders = std::fs::read_dir(root).expect("adapters/").map(|e| e.expect("readable").path());
    folders.filter(|p| p.join("adapter.toml").is_file()).collect()
}

fn shown(report: &examples::Report) -> String {
    report.faults.iter().map(|f| format!("\n  {f}")).collect()
}

#[test]
fn every_pack_passes_its_check() {
    let bad: Vec<String> = packs()
        .iter()
        .map(|folder| (folder, check::check(folder, verdict)))
        .filter(|(_, report)| !report.is_good())
        .map(|(folder, report)| format!("{}{}", folder.display(), shown(&report)))
        .collect();
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

#[test]
fn every_example_of_every_pack_is_as_expected() {
    let mut bad = Vec::new();
    for folder in packs() {
        let report = examples::test(&folder, false, verdict);
        assert!(!report.done.is_empty() || !report.is_good());
        if !report.is_good() {
            bad.push(format!("{}{}", folder.display(), shown(&report)));
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

#[test]
fn the_folder_loads_without_the_template_pack() {
    let packs = Packs::load_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters")).expect("every pack loads");
    let pack: &Pack = packs.get("hl7v2-uk").expect("the first pack");
    assert!(packs.get("_template").is_none());
    assert!(packs.pinned(&pack.pin()).is_ok());
    let fault = packs.pinned("hl7v2-uk@99.0.0").expect_err("another version");
    assert!(fault.to_string().contains("hl7v2-uk@"), "{fault}");
}

#[test]
fn every_parsed_referral_is_a_create_referral_request() {
    let mut seen = 0;
    for folder in packs() {
        let examples = std::fs::read_dir(folder.join("examples")).expect("examples");
        for file in examples.map(|e| e.expect("readable").path().join("expected.json")).filter(|f| f.is_file()) {
            let text = std::fs::read_to_string(&file).expect("readable");
            let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            assert_eq!(value["makes"], "CreateReferralRequest");
            let request: ips_bridge::wire::v1::CreateReferralRequest =
                serde_json::from_value(value["fields"].clone()).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
            assert!(
                request.details.is_some() && request.patient.is_some() && request.received_at.is_some(),
                "{}",
                file.display()
            );
            seen += 1;
        }
    }
    assert!(seen > 5);
}

#[test]
fn the_readme_says_what_the_engine_offers() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters/README.md");
    let text = std::fs::read_to_string(&path).expect("README");
    let mut wanted = text.clone();
    for (name, table) in ips_bridge::adapter::docs::tables() {
        let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->"));
        let from = wanted.find(&begin).unwrap_or_else(|| panic!("README lacks {begin}")) + begin.len();
        let to = from + wanted[from..].find(&end).unwrap_or_else(|| panic!("README lacks {end}"));
        wanted.replace_range(from..to, &table);
    }
    if std::env::var("IPS_BLESS").is_ok() {
        std::fs::write(&path, &wanted).expect("written");
    } else {
        assert!(text == wanted, "its tables are stale: run this test with IPS_BLESS=1 and read the difference");
    }
}
