//! Every example that renders is shown to judges we did not write. Runs where IPS_SHARED names the folder with the validators
//! and VAL_DIR (or its usual place) holds their installs.

use crate::adapter_packs::packs;
use ips_bridge::adapter::{Pack, RenderOptions, Rendered};
use std::{path::Path, process::Command};

/// UK numbers for gender are not in HL7 table 0001: the pack's README says so.
fn excused(settings: &str, line: &str) -> bool {
    settings.contains("gender_form = \"number\"") && line.contains("HL70001")
}

fn judge(shared: &str, file: &Path) -> (bool, String) {
    let python = Path::new(&std::env::var("VAL_DIR").unwrap_or_else(|_| "/tmp/val".into())).join("venv/bin/python");
    let run = Command::new(python).arg(Path::new(shared).join("validators/hl7_validate.py")).arg("-q").arg(file).output().expect("the judge runs");
    (run.status.success(), String::from_utf8_lossy(&run.stdout).into_owned())
}

#[test]
fn every_rendered_example_passes_every_judge() {
    let Ok(shared) = std::env::var("IPS_SHARED") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let mut bad = Vec::new();
    let mut judged = 0;
    for pack in packs() {
        let loaded = Pack::load(&pack).expect("the pack loads");
        for case in loaded.examples() {
            let settings = std::fs::read_to_string(pack.join("examples").join(&case).join("settings.toml")).unwrap_or_default();
            let Some(Rendered { bytes, .. }) = loaded.render_example(&case, &RenderOptions::default()) else { continue };
            let file = folder.path().join(format!("{case}.hl7"));
            std::fs::write(&file, bytes).expect("written");
            let (good, said) = judge(&shared, &file);
            judged += 1;
            let faults: Vec<&str> = said.lines().filter(|l| l.starts_with("FAIL") && !excused(&settings, l)).collect();
            if !good && (!faults.is_empty() || said.is_empty()) {
                bad.push(format!("{case}: {}", faults.join("; ")));
            }
        }
    }
    assert!(judged > 30, "only {judged} messages were judged");
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

#[test]
fn every_message_of_the_corpus_is_parsed_or_refused_with_a_reason() {
    let Ok(shared) = std::env::var("IPS_SHARED") else { return };
    let pack = Pack::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters/hl7v2-uk")).expect("the pack loads");
    let mut folders = vec![Path::new(&shared).join("corpus/hl7v2")];
    let (mut files, mut referrals) = (0, 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).expect("readable");
            files += 1;
            for message in ips_bridge::adapter::hl7::Batch::split(&bytes).unwrap_or_else(|_| vec![&bytes]) {
                match pack.parse(message, &serde_json::Map::new(), "Europe/London") {
                    Ok(_) => referrals += 1,
                    Err(e) => assert!(!e.to_string().is_empty()),
                }
            }
        }
    }
    assert!(files > 50, "only {files} files");
    println!("{files} files, {referrals} referrals read");
}
