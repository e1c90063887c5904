//! The rules of `fuzz/`, each held for a while against the packs' own files and seeded damage of them: `make fuzz` goes on from there.

use rand::{Rng, SeedableRng, rngs::StdRng};
use std::fs;
use std::path::{Path, PathBuf};

#[path = "../../fuzz/rules/fhir_map.rs"]
mod fhir_map;
#[path = "../../fuzz/rules/hl7_map.rs"]
mod hl7_map;
#[path = "../../fuzz/rules/hl7_message.rs"]
mod hl7_message;
#[path = "../../fuzz/rules/mllp_frames.rs"]
mod mllp_frames;
#[path = "../../fuzz/rules/note_text.rs"]
mod note_text;
#[path = "../../fuzz/rules/pack_text.rs"]
mod pack_text;
#[path = "../../fuzz/rules/read.rs"]
mod read;
#[path = "../../fuzz/rules/xml.rs"]
mod xml;

/// Files of the packs with one of these names, HL7 with its own line ends.
fn files(names: &[&str]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters")];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).expect("a folder").map(|e| e.expect("an entry").path()));
        } else if names.iter().any(|n| path.file_name().is_some_and(|f| f == *n)) {
            let bytes = fs::read(&path).expect("readable");
            let is_hl7 = path.extension().is_some_and(|e| e == "hl7");
            found.push(if is_hl7 {
                bytes.iter().map(|b| if *b == b'\n' { b'\r' } else { *b }).collect()
            } else {
                bytes
            });
        }
    }
    found.sort();
    found
}

/// What breaks readers: bytes that mean something to one, put where they mean something else.
const PIECES: [&[u8]; 16] = [
    b"|",
    b"^",
    b"~",
    b"&",
    b"\\",
    b"\r",
    b"\n",
    b"\\F\\",
    b"\\X0D\\",
    b"{{",
    b"%}",
    b"\"",
    b"\x0b",
    b"\x1c\r",
    "\u{2019}".as_bytes(),
    b"null",
];

fn damage(bytes: &mut Vec<u8>, rng: &mut StdRng) {
    for _ in 0..rng.random_range(1..6) {
        let at = rng.random_range(0..=bytes.len());
        let to = (at + rng.random_range(0..12)).min(bytes.len());
        match rng.random_range(0..4) {
            0 => drop(bytes.drain(at..to)),
            1 => drop(bytes.splice(at..at, PIECES[rng.random_range(0..PIECES.len())].iter().copied())),
            2 => bytes[at..to].iter_mut().for_each(|b| *b = rng.random()),
            _ => drop(bytes.splice(at..at, bytes[at..to].to_vec())),
        }
    }
}

fn held(names: &[&str], head: usize, rounds: usize, hold: fn(&[u8])) {
    let mut rng = StdRng::seed_from_u64(20_261_126);
    let seeds = files(names);
    assert!(!seeds.is_empty());
    for round in 0..rounds {
        let mut bytes: Vec<u8> = (0..head).map(|_| rng.random()).collect();
        let mut file = seeds[round % seeds.len()].clone();
        if round >= seeds.len() {
            damage(&mut file, &mut rng);
        }
        bytes.append(&mut file);
        hold(&bytes);
    }
}

#[test]
fn any_bytes_are_a_message_or_refused_and_whoever_sent_them_can_be_answered() {
    held(&["message.hl7", "expected.hl7", "reply.hl7"], 0, 600, hl7_message::hold);
}

#[test]
fn the_frames_of_any_stream_are_the_same_however_it_was_split() {
    held(&["expected.hl7"], 2, 1500, mllp_frames::hold);
}

#[test]
fn what_a_map_reads_of_any_message_keeps_our_rules_or_is_refused_by_name() {
    held(&["message.hl7"], 0, 600, hl7_map::hold);
    held(&["message.json"], 0, 600, fhir_map::hold);
    held(&["message.xml"], 0, 600, xml::hold);
}

#[test]
fn no_damaged_reply_of_xml_files_without_its_proofs() {
    held(&["reply.http"], 0, 600, xml::hold);
}

#[test]
fn any_text_reads_back_as_it_was_written_or_the_message_is_not_made() {
    held(&["expected.hl7", "README.md"], 2, 400, note_text::hold);
}

#[test]
fn a_pack_with_any_file_damaged_is_checked_within_its_limits_or_refused_with_a_place() {
    held(
        &["adapter.toml", "note.hl7", "document.json", "gender.csv", "input.json", "create_note.xml"],
        3,
        60,
        pack_text::hold,
    );
}
