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
