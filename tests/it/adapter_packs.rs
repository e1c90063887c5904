//! Every pack under `adapters/`: its check is clean, and every example is a case of its own.

use ips_bridge::adapter::{Pack, Packs, check, examples};
use ips_bridge::verdict::verdict;
use ips_bridge::wire::v1;
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
fn every_parsed_message_is_one_of_ours() {
    let mut seen = std::collections::BTreeMap::<String, usize>::new();
    for folder in packs() {
        let examples = std::fs::read_dir(folder.join("examples")).expect("examples");
        for file in examples.map(|e| e.expect("readable").path().join("expected.json")).filter(|f| f.is_file()) {
            let text = std::fs::read_to_string(&file).expect("readable");
            let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            fn read<T: serde::de::DeserializeOwned>(fields: serde_json::Value, file: &Path) -> T {
                serde_json::from_value(fields).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
            }
            let (makes, fields) = (value["makes"].as_str().unwrap_or_default(), value["fields"].clone());
            let whole = match makes {
                "CreateReferralRequest" => {
                    let m: v1::CreateReferralRequest = read(fields, &file);
                    m.details.is_some() && m.patient.is_some() && m.received_at.is_some()
                }
                "ReferralChange" => {
                    let m: v1::ReferralChange = read(fields, &file);
                    !m.external_ids.is_empty() && m.changed_at.is_some()
                }
                "PatientChange" => {
                    let m: v1::PatientChange = read(fields, &file);
                    !m.local_identifiers.is_empty() && m.changed_at.is_some()
                }
                "PatientMerge" => {
                    let m: v1::PatientMerge = read(fields, &file);
                    !m.merges.is_empty() && m.merged_at.is_some()
                }
                other => panic!("{}: makes {other}", file.display()),
            };
            assert!(whole, "{}", file.display());
            *seen.entry(makes.to_owned()).or_default() += 1;
        }
    }
    assert!(seen.len() == 4 && seen.values().all(|n| *n > 2), "{seen:?}");
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
