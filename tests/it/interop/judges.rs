//! A judge that passes everything proves nothing: these look at the judges themselves.

use crate::support::{hl7_judges, shared};

fn samples(kind: &str) -> Vec<(String, Vec<u8>)> {
    let folder = shared().join("validators/samples").join(kind);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    files
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "hl7"))
        .map(|path| (path.display().to_string(), std::fs::read(&path).unwrap()))
        .collect()
}

#[test]
fn the_judges_pass_every_good_message() {
    let good = samples("good");
    assert!(!good.is_empty());
    let messages: Vec<_> = good.iter().map(|(_, bytes)| bytes).collect();
    assert_eq!(hl7_judges(&messages), Ok(()));
}

#[test]
fn the_judges_refuse_every_broken_message() {
    let broken = samples("broken");
    assert!(broken.len() >= 20);
    let messages: Vec<_> = broken.iter().map(|(_, bytes)| bytes).collect();
    let said = hl7_judges(&messages).expect_err("broken messages were passed");
    let passed: Vec<_> =
        (0..broken.len()).filter(|i| !said.contains(&format!("/{i}.hl7"))).map(|i| &broken[i].0).collect();
    assert!(passed.is_empty(), "not refused: {passed:?}");
}
