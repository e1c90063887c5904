//! One fault for one mistake, with its line and what to do about it.

use crate::adapter_breaks::{copy, pack_folder};
use crate::adapter_words::{changed, faults};
use crate::support::binary::run;
use ips_bridge::adapter::Pack;
use ips_bridge::verdict::verdict;
use std::fs;
use std::process::Command;

#[test]
fn a_template_that_is_no_json_is_one_fault() {
    for (find, put, hint) in [
        ("\"status\": \"current\",", "\"status\": \"current\"", "commas"),
        ("{{ entry.title }}", "{{ patient.gender | code(\"gender\") }}", "single quotes, for example | code('gender')"),
    ] {
        let (_folder, pack) = changed("fhir-uk-core", &[("templates/document.json", find, put)]);
        let said = faults(&pack);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(
            said[0].starts_with("templates/document.json:")
                && said[0].contains("cannot be read")
                && said[0].contains(hint),
            "{said:?}"
        );
    }
}

#[test]
fn a_row_whose_examples_all_fail_is_not_told_as_one_without_any() {
    let (_folder, pack) = changed("soap-notes", &[("templates/parts/note.xml", "</When>", "")]);
    let said = faults(&pack);
    assert!(
        said.iter().any(|f| f.starts_with("adapter.toml:")
            && f.contains("note.create with create_note.xml has examples, and none is carried; render-note-")
            && f.contains("templates/parts/note.xml:")
            && f.contains("a tag is closed that is not the one that is open")),
        "{said:?}"
    );
    assert!(!said.iter().any(|f| f.contains("create_note.xml has no example")), "{said:?}");
}

#[test]
fn a_template_of_xml_that_names_no_document_is_found_by_its_examples() {
    let (_folder, pack) =
        changed("soap-notes", &[("templates/create_note.xml", "<Reference>{{ message.document_id }}</Reference>", "")]);
    let said = faults(&pack);
    assert!(
        said.iter().any(|f| f.contains("templates/create_note.xml") && f.contains("does not name its document")),
        "{said:?}"
    );
}

#[test]
fn a_test_that_there_is_not_says_which_there_are() {
    let (_folder, pack) = changed(
        "_template",
        &[("templates/note.hl7", "PV1|1|O", "PV1|1|{% if patient.phone is defined %}I{% endif %}O")],
    );
    let said = faults(&pack);
    assert!(
        said.len() == 1
            && said[0].contains("there is no test \"defined\"; ask {% if path %}")
            && said[0].contains("\"is not none\""),
        "{said:?}"
    );
}

#[test]
fn a_setting_of_an_example_has_its_line() {
    let (_folder, pack) = changed("_template", &[]);
    let file = pack.join("examples/render-note/settings.toml");
    fs::write(&file, "# the site\nreceiving_facility = \"X\"\nrecieving_application = \"X\"\n").expect("written");
    let said = faults(&pack);
    assert!(
        said.iter().any(|f| f.starts_with(
            "examples/render-note/settings.toml:3: the pack has no setting \"recieving_application\"; did you mean"
        )),
        "{said:?}"
    );
    fs::write(&file, "receiving_facility = \"X\"\nreceiving_application = 5\n").expect("written");
    assert!(
        faults(&pack)
            .iter()
            .any(|f| f.starts_with("examples/render-note/settings.toml:2: setting \"receiving_application\" must"))
    );
    fs::write(&file, "receiving_facility = \"X\"\nreceiving_application = X\n").expect("written");
    assert!(faults(&pack).iter().any(|f| f.starts_with("examples/render-note/settings.toml:2: is not TOML")));
}

#[test]
fn an_index_with_semicolons_is_no_csv() {
    let (_folder, pack) = changed("document-folder", &[]);
    let index = pack.join("templates/index.csv");
    let text = fs::read_to_string(&index).expect("an index");
    fs::write(&index, text.replace(',', ";")).expect("written");
    let said = faults(&pack);
    assert!(said.iter().any(|f| f.contains("makes an index with semicolons, and .csv means commas")), "{said:?}");
}

#[test]
fn a_document_is_shown_as_text_and_its_bytes_only_when_asked_for() {
    let folder = pack_folder("document-folder");
    let (pack, input) =
        (folder.display().to_string(), folder.join("examples/render-note/input.json").display().to_string());
    let shown = run(&["adapter", "render", &pack, &input]).exits(0);
    let expected = fs::read_to_string(folder.join("examples/render-note/expected.files")).expect("expected");
    assert_eq!(shown.out.trim_end(), expected.trim_end());
    let raw = Command::new(env!("CARGO_BIN_EXE_ips-bridge"))
        .args(["adapter", "render", &pack, &input, "--raw"])
        .output()
        .expect("the binary runs");
    assert!(raw.status.success() && raw.stdout.windows(5).any(|w| w == b"%PDF-") && !shown.out.contains("%PDF-"));
}

#[test]
fn packs_of_two_formats_are_not_compared_and_what_is_compared_is_said() {
    let path = |id: &str| pack_folder(id).display().to_string();
    let said = run(&["adapter", "diff", &path("hl7v2-uk"), &path("fhir-uk-core")]).exits(1);
    assert!(
        said.err.contains("only packs of one format can be compared") && said.out.is_empty(),
        "{} {}",
        said.out,
        said.err
    );
    let said = run(&["adapter", "diff", &path("_template"), &path("_template")]).exits(0);
    assert!(said.out.ends_with("what the packs read (maps) and what replies mean to them is not\n"), "{}", said.out);
}

#[test]
fn one_changed_line_of_an_overlay_is_not_told_once_an_example() {
    let folder = tempfile::tempdir().expect("a folder");
    for id in ["hl7v2-uk", "hl7v2-251"] {
        copy(&pack_folder(id), &folder.path().join(id));
    }
    let version = folder.path().join("hl7v2-251/templates/parts/version.hl7");
    let text = fs::read_to_string(&version).expect("a part");
    fs::write(&version, text.replace("2.5.1", "2.6")).expect("written");
    let said = run(&["adapter", "test", &folder.path().join("hl7v2-251").display().to_string()]).exits(1);
    let told = said.out.lines().filter(|l| l.contains("is not what the pack gives now")).count();
    assert!(told < 60 && said.out.contains("  the same in "), "{}", said.out);
}

#[test]
fn a_new_pack_names_its_commands_with_its_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    copy(&pack_folder("hl7v2-uk"), &folder.path().join("hl7v2-uk"));
    let at = folder.path().display().to_string();
    run(&["adapter", "new", "my-layer", "--extends", "hl7v2-uk", "--in", &at]).exits(0);
    run(&["adapter", "new", "my-epr", "--in", &at]).exits(0);
    for (id, commands) in [
        (
            "my-layer",
            vec![
                format!("adapter check {at}/my-layer`"),
                format!("adapter diff {at}/hl7v2-uk {at}/my-layer`"),
                format!("adapter test {at}/my-layer --bless`"),
            ],
        ),
        ("my-epr", vec![format!("adapter check {at}/my-epr`"), format!("adapter test {at}/my-epr --bless`")]),
    ] {
        let text = fs::read_to_string(folder.path().join(id).join("README.md")).expect("a README");
        for command in commands {
            assert!(text.contains(&command), "{command}\n{text}");
        }
    }
}

#[test]
fn a_word_can_be_an_error_code_where_the_pack_lists_it() {
    let folder = pack_folder("hl7v2-uk");
    let pack = Pack::load(&folder).expect("loads");
    let rules = |rows: &str| pack.reply_rules(&rows.parse().expect("TOML"));
    let reply = |rest: &str| format!("MSH|^~\\&|EPR|RZZ|IPS|RZZ|2026||ACK|9|P|2.5\rMSA|AE|C1\r{rest}\r").into_bytes();
    let own = rules("LOCKED = 'retry'\nNoSuchPatient = 'refused'").expect("rules");
    let judged = |rest: &str| {
        let v = verdict(&reply(rest), &own, "C1", b"");
        (format!("{:?}", v.meaning), v.code)
    };
    for place in ["ERR|||LOCKED^Record is open elsewhere|E", "ERR|||207|E|LOCKED", "ERR|||LOCKED|E|207"] {
        let (meaning, code) = judged(place);
        assert_eq!(meaning, "Retry", "{place}");
        assert!(code.contains("LOCKED"), "{place}: {code}");
    }
    assert_eq!(judged("ERR|||LOCKED|E|NoSuchPatient").0, "Refused", "what never mends itself outweighs what may");
    for other in ["ERR|||Locked|E", "ERR|||LOCKE|E", "ERR|||UNLOCKED|E", "ERR|||SMITH|E"] {
        let (meaning, code) = judged(other);
        assert_eq!(meaning, "Refused", "{other}: only the very word");
        assert!(code.ends_with("other"), "{other}: a word that nobody listed could be a name: {code}");
    }
    for (row, word) in [
        ("AEE = 'retry'", "did you mean \"AE\"?"),
        ("ae_without_cod = 'retry'", "did you mean \"ae_without_code\"?"),
        ("locked = 'retry'", "begins with a capital"),
        ("'RECORD IS LOCKED' = 'retry'", "begins with a capital"),
    ] {
        let said = rules(row).expect_err("refused").iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        assert!(said.contains(word), "{row}: {said}");
    }
}
