//! Every example that renders is shown to judges we did not write, and messages that others wrote to the pack.

use crate::adapter_packs::packs;
use crate::support::{hl7_judges, shared};
use ips_bridge::adapter::{Format, Pack, RenderOptions};
use std::path::Path;

#[test]
fn every_rendered_example_passes_every_judge() {
    let mut cases = Vec::new();
    for folder in packs() {
        let pack = Pack::load(&folder).expect("the pack loads");
        if pack.format() != Format::Hl7v2 {
            continue;
        }
        for name in pack.examples() {
            // A case may be the base's.
            let settings = [&folder, &crate::adapter_breaks::pack_folder("hl7v2-uk")]
                .map(|f| std::fs::read_to_string(f.join("examples").join(&name).join("settings.toml")));
            // HL7 table 0001 lacks the NHS's numbers for gender; the pack's README says so.
            let excused = settings.into_iter().flatten().any(|s| s.contains("gender_form = \"number\""));
            if let Some(rendered) = pack.render_example(&name, &RenderOptions::default()).filter(|_| !excused) {
                cases.push((format!("{} {name}", pack.manifest.id), rendered.bytes));
            }
        }
    }
    assert!(cases.len() > 250, "only {} messages", cases.len());
    let messages: Vec<&[u8]> = cases.iter().map(|(_, bytes)| bytes.as_slice()).collect();
    let names: Vec<String> = cases.iter().enumerate().map(|(i, (name, _))| format!("{i} {name}")).collect();
    assert_eq!(hl7_judges(&messages), Ok(()), "{}", names.join(", "));
}

#[test]
fn every_message_of_the_corpus_is_parsed_or_refused_with_a_reason() {
    let pack = Pack::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters/hl7v2-uk")).expect("the pack loads");
    let given =
        "sending_facility = 'RZZ'\nreceiving_application = 'EPR'\nreceiving_facility = 'RZZ'\nwithdraw_as = 'T11'";
    let settings = pack.settings(&given.parse().expect("TOML")).expect("good settings");
    let mut folders = vec![shared().join("corpus/hl7v2")];
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
                match pack.parse(message, &settings, "Europe/London") {
                    Ok(_) => referrals += 1,
                    Err(e) => assert!(!e.to_string().is_empty()),
                }
            }
        }
    }
    assert!(files > 50, "only {files} files");
    assert!(referrals > 0, "no referral of others could be read");
}
