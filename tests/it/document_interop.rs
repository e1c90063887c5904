//! What other programs read in our documents. Needs pdftotext (poppler-utils).

use crate::adapter_breaks::pack_folder;
use crate::adapter_packs::packs;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ips_bridge::adapter::{Format, Pack, RenderOptions};
use ips_bridge::transport::file_set::FileSet;
use std::process::Command;

/// The PDF that a rendered example carries.
fn pdf(pack: &Pack, bytes: &[u8]) -> Option<Vec<u8>> {
    if pack.format() == Format::Document {
        let files = FileSet::decode(bytes).expect("files").files;
        return files.into_iter().find(|f| f.name.ends_with(".pdf")).map(|f| f.bytes);
    }
    // Some are in Latin-1; a document in base64 is ASCII in all of them.
    let message = String::from_utf8_lossy(bytes);
    let rows = message.split('\r').filter(|l| l.starts_with("OBX|") && l.contains("|ED|"));
    let pieces = rows.map(|l| l.split('|').nth(5).and_then(|f| f.split('^').nth(4)).expect("OBX-5.5"));
    let whole: Vec<u8> = pieces.flat_map(|p| STANDARD.decode(p).expect("base64")).collect();
    (!whole.is_empty()).then_some(whole)
}

fn text_of(pdf: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), pdf).expect("written");
    let out = Command::new("pdftotext").args(["-raw", "-enc", "UTF-8"]).arg(file.path()).arg("-").output();
    let out = out.expect("pdftotext of poppler-utils is installed");
    assert!(out.status.success() && out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).expect("UTF-8")
}

#[test]
fn interop_another_program_reads_every_document_as_it_was_accepted() {
    let mut seen = 0;
    for folder in packs() {
        let pack = Pack::load(&folder).expect("the pack loads");
        for name in pack.examples() {
            let Some(rendered) = pack.render_example(&name, &RenderOptions::default()) else { continue };
            let Some(pdf) = pdf(&pack, &rendered.bytes) else { continue };
            // A case may be the base's.
            let base = pack.manifest.extends.iter().map(|id| pack_folder(id));
            let inputs = std::iter::once(folder.clone()).chain(base).map(|f| f.join("examples").join(&name));
            let input = inputs.map(|f| f.join("input.json")).find(|f| f.is_file()).expect("input");
            let input = std::fs::read_to_string(input).expect("input");
            let input: serde_json::Value = serde_json::from_str(&input).expect("JSON");
            let accepted = input["entry"]["text"].as_str().unwrap_or_default();
            let read = text_of(&pdf);
            // Lines are broken where the page ends; no line of these examples' texts is so long, but those of headings are.
            let lines: Vec<&str> = accepted.lines().map(str::trim_end).filter(|l| !l.is_empty()).collect();
            let mut rest = read.lines().map(str::trim_end);
            for line in lines {
                let short = line.chars().count() < 80;
                let found = if short { rest.any(|l| l == line) } else { true };
                assert!(found, "{name}: a line of the text is not there as it was accepted\n{read}");
            }
            let bare = |t: &str| t.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            assert!(bare(&read).contains(&bare(accepted)), "{name}: characters differ\n{read}");
            seen += 1;
        }
    }
    assert!(seen >= 15, "only {seen} documents");
}
