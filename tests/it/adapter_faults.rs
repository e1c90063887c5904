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
fn a_row_whose_examples_all_fail_is_told_by_what_stops_them() {
    let (_folder, pack) = changed("soap-notes", &[("templates/parts/note.xml", "</When>", "")]);
    let said = faults(&pack);
    assert!(
        said.len() == 1
            && said[0].starts_with("templates/parts/note.xml:")
            && said[0].contains("the tag <When> is not closed, in example render-note-")
            && said[0].contains(", and in 5 other examples: "),
        "{said:?}"
    );
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
    assert!(
        said.out.contains(
            "\n0 of 0 examples of messages would be read differently\n0 of 2 replies would mean something else\n"
        ),
        "{}",
        said.out
    );
    // What is read, and what a reply means, is compared too.
    let (_folder, changed) = changed(
        "soap-notes",
        &[
            ("maps/referral_sent.toml", "{ from = \"//n:Client/n:Sex\", as = \"code:gender\" },", ""),
            ("adapter.toml", "result.OK", "result.OKAY"),
        ],
    );
    let said = run(&["adapter", "diff", &path("soap-notes"), &changed.display().to_string()]).exits(1);
    assert!(
        said.out.contains("parse-referral\n  patient_details.gender  GENDER_NOT_SPECIFIED  ->  GENDER_NOT_KNOWN\n")
            && said.out.contains("  meaning")
            && said.out.contains("positive  ->  unknown"),
        "{}",
        said.out
    );
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
    let told: Vec<&str> = said.out.lines().filter(|l| l.contains("MSH-12")).collect();
    assert!(
        told.len() == 1
            && told[0].starts_with("templates/parts/version.hl7:1: ")
            && told[0].contains("is a version without rules here, in example render-note-")
            && told[0].contains(" other examples: ")
            && said.out.ends_with("\n1 fault\n"),
        "{}",
        said.out
    );
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

#[test]
fn an_example_that_is_meant_to_fail_is_not_quoted_as_what_has_to_be_mended() {
    let (_folder, pack) = changed("hl7v2-uk", &[]);
    for case in fs::read_dir(pack.join("examples")).expect("examples").map(|c| c.expect("a case").path()) {
        let name = case.file_name().expect("a name").to_string_lossy().into_owned();
        if name.starts_with("parse-ref")
            && !name.contains("-i13")
            && !name.contains("-i14")
            && case.join("expected.json").exists()
        {
            fs::remove_dir_all(&case).expect("removed");
        }
    }
    let said = faults(&pack);
    let of_row: Vec<&String> = said.iter().filter(|f| f.contains("REF^I12")).collect();
    assert!(
        of_row.len() == 1
            && of_row[0].contains("REF^I12 has no example that is carried: parse-ref-")
            && of_row[0].contains("are meant to fail; add one that is carried")
            && !of_row[0].contains(" says: "),
        "{said:?}"
    );
    assert!(!said.iter().any(|f| f.starts_with("maps/ref_i12.toml")), "one mistake, one fault: {said:?}");
    // What stops those that should be carried is told where it stands.
    let (_folder, pack) =
        changed("soap-notes", &[("maps/referral_sent.toml", "//n:Client/n:Born", "//n:Client/n:Birth")]);
    let said = faults(&pack);
    assert!(
        said.len() == 1
            && said[0].starts_with("maps/referral_sent.toml:")
            && said[0].contains("\"patient_details.date_of_birth\" taken from //n:Client/n:Birth is not what example"),
        "{said:?}"
    );
}

#[test]
fn a_row_of_a_map_that_no_example_reaches_is_named_with_its_line() {
    let row = "\"patient_details.phone\"            = [\n";
    let added = format!("{row}    {{ from = \"PID-14.1\" }},\n");
    let (_folder, pack) = changed("hl7v2-uk", &[("maps/ref_i12.toml", row, &added)]);
    let text = fs::read_to_string(pack.join("maps/ref_i12.toml")).expect("a map");
    let line = text.lines().position(|l| l.contains("PID-14.1")).expect("the row") + 1;
    let said = faults(&pack);
    assert_eq!(said.len(), 1, "{said:?}");
    let wanted = format!(
        "maps/ref_i12.toml:{line}: no example shows \"patient_details.phone\" taken from PID-14.1; add examples/parse-"
    );
    assert!(said[0].starts_with(&wanted), "{said:?}");
    // In a map of trees too; what a reviewer was told a reason for is left alone.
    let row = "\"received_at\" = { from = \"$.authoredOn\", as = \"fhir_time\" }";
    let more =
        format!("{row}\n\"details.referring_team\" = {{ from = \"$.supportingInfo[*].display\", optional = true }}");
    let (_folder, pack) = changed("fhir-uk-core", &[("maps/service_request.toml", row, &more)]);
    let said = faults(&pack);
    assert!(said.len() == 1 && said[0].contains("no example shows \"details.referring_team\""), "{said:?}");
}

#[test]
fn a_row_with_pick_holds_parts_of_what_was_picked_and_nothing_else() {
    let (_folder, pack) = changed(
        "hl7v2-uk",
        &[(
            "maps/ref_i12.toml",
            "{ pick = \"address\", from = \"3?\" }",
            "{ pick = \"address\", from = \"PID-11.3?\" }",
        )],
    );
    let said = faults(&pack);
    assert!(
        said.len() == 1 && said[0].contains("\"PID-11.3?\" is no component, and a row with `pick` takes components"),
        "{said:?}"
    );
    let (_folder, pack) = changed(
        "fhir-uk-core",
        &[(
            "maps/patient.toml",
            "{ pick = \"address\", from = \"@.city\"",
            "{ pick = \"address\", from = \"$.address[0].city\"",
        )],
    );
    let said = faults(&pack);
    assert!(said.len() == 1 && said[0].contains("does not begin at what was picked; write for example"), "{said:?}");
}

#[test]
fn a_pick_that_no_row_uses_is_a_fault_and_a_misspelt_one_is_told_once() {
    let unused = "pick.referrer = [\"PRD[1.1=RP]-2\"]\npick.others = [\"PRD[1.1=PP]-2\"]\n";
    let (_folder, pack) =
        changed("hl7v2-uk", &[("maps/ref_i13.toml", "pick.referrer = [\"PRD[1.1=RP]-2\"]\n", unused)]);
    let said = faults(&pack);
    assert!(said.len() == 1 && said[0].contains("[pick] \"others\" is used by no row; remove it"), "{said:?}");
    let (_folder, pack) = changed("hl7v2-uk", &[("maps/ref_i13.toml", "pick.referrer =", "pick.referer =")]);
    let said = faults(&pack);
    assert!(said.iter().all(|f| f.contains("there is no [pick] \"referrer\"; did you mean \"referer\"?")), "{said:?}");
    let (_folder, pack) = changed(
        "hl7v2-uk",
        &[("maps/ref_i13.toml", "pick.referrer = [\"PRD[1.1=RP]-2\"]", "pick.referrer = [\"PRD[1.1=RP]-2.1\"]")],
    );
    let said = faults(&pack);
    assert!(said.len() == 1 && said[0].contains("is not a whole repetition"), "{said:?}");
}

#[test]
fn a_flag_by_a_table_of_other_words_is_one_fault_where_the_table_is_named() {
    let (_folder, pack) =
        changed("hl7v2-uk", &[("maps/adt_person.toml", "as = \"flag:death\"", "as = \"flag:priority\"")]);
    let manifest = fs::read_to_string(pack.join("adapter.toml")).expect("a manifest");
    let line = manifest.lines().position(|l| l == "[codes.priority]").expect("the table") + 1;
    let said = faults(&pack);
    let wanted =
        format!("adapter.toml:{line}: [codes.priority] has no row for true or false, and maps/adt_person.toml:");
    assert!(said.len() == 1 && said[0].starts_with(&wanted), "{said:?}");
}

#[test]
fn a_fault_in_repetitions_is_told_once() {
    for (find, put, word) in [
        (
            "nhs_number = \"4.1=NHS|NH",
            "nhs_number = \"4.1:NHS|NH",
            "[repetitions] \"nhs_number\": expected = after the place",
        ),
        ("nhs_number = \"4.1=NHS|NH", "nhs_numbr = \"4.1=NHS|NH", "has no \"nhs_number\""),
        ("not_verified = \"1=", "not-verified = \"1=", "cannot be a name of [repetitions]"),
    ] {
        let (_folder, pack) = changed("hl7v2-uk", &[("adapter.toml", find, put)]);
        let said = faults(&pack);
        assert!(said.len() <= 2 && said.iter().any(|f| f.contains(word)), "{put}: {said:?}");
    }
    let (_folder, pack) =
        changed("hl7v2-uk", &[("adapter.toml", "nhs_number = \"4.1=NHS|NH", "nhs_numbr = \"4.1=NHS|NH")]);
    let said = faults(&pack);
    assert!(
        said.len() == 1
            && said[0].starts_with("maps/")
            && said[0].contains(", and so in ")
            && said[0].contains("more rows"),
        "{said:?}"
    );
}

#[test]
fn a_segment_that_once_misspells_is_written_right_in_the_hint() {
    for (put, hint) in [
        ("[\"pid\", \"RF1?\"]", "once = [\"PID\"]"),
        ("[\"PID-3\", \"RF1?\"]", "once = [\"PID\"]"),
        ("[\"PID\", \"rf1?\"]", "once = [\"RF1?\"]"),
        ("[\"PIDS\", \"RF1?\"]", "write segments, such as"),
    ] {
        let (_folder, pack) = changed("hl7v2-uk", &[("maps/ref_i13.toml", "[\"PID\", \"RF1?\"]", put)]);
        let said = faults(&pack);
        assert!(
            said.len() == 1 && said[0].contains("which is no segment") && said[0].contains(hint),
            "{put}: {said:?}"
        );
    }
}

#[test]
fn what_accept_wants_is_a_word_of_its_table() {
    let (_folder, pack) =
        changed("hl7v2-uk", &[("maps/ref_i13.toml", "is = [\"\", \"waiting\"]", "is = [\"\", \"wating\"]")]);
    let said = faults(&pack);
    let word = "`accept` wants \"wating\", which no row of codes/referral_status.csv gives; did you mean \"waiting\"?";
    assert!(said.len() == 1 && said[0].starts_with("maps/ref_i13.toml:") && said[0].contains(word), "{said:?}");
    let (_folder, pack) =
        changed("hl7v2-uk", &[("maps/ref_i13.toml", "as = \"code:referral_status\"", "as = \"upper\"")]);
    assert!(faults(&pack).iter().any(|f| f.contains("`as` of [accept] names no code table")));
}

#[test]
fn a_tag_that_is_not_closed_is_named_at_its_own_line() {
    for (file, find, put, line, what) in [
        ("templates/parts/note.xml", "</When>", "", 2, "the tag <When> is not closed"),
        (
            "templates/parts/note.xml",
            "</Text>",
            "</Txet>",
            11,
            "</Txet> closes no tag that is open, and <Text> is open",
        ),
        ("templates/create_note.xml", "</CreateNote>", "", 4, "the tag <CreateNote> is not closed"),
        ("templates/create_note.xml", "</soap:Envelope>", "", 2, "the tag <soap:Envelope> is not closed"),
    ] {
        let (_folder, pack) = changed("soap-notes", &[(file, find, put)]);
        let said = faults(&pack);
        let begins = format!("{file}:{line}: makes XML that cannot be read: {what}, in example ");
        assert!(said.len() == 1 && said[0].starts_with(&begins), "{begins}: {said:#?}");
    }
}

#[test]
fn a_line_of_a_page_that_is_no_element_has_its_file_and_line() {
    let (_folder, pack) = changed("document-folder", &[("templates/parts/who.page", "PATIENT|", "PATEINT|")]);
    let said = faults(&pack);
    let begins = "templates/parts/who.page:";
    assert!(
        said.iter().any(|f| f.starts_with(begins)
            && !f.starts_with("templates/parts/who.page: ")
            && f.contains("begins with no kind of element, in example ")),
        "{said:#?}"
    );
}

#[test]
fn a_heading_that_a_readme_lacks_is_told_with_a_line() {
    let (_folder, pack) = changed("hl7v2-uk", &[("README.md", "## Known traps", "## Known trap")]);
    let line = 1 + fs::read_to_string(pack.join("README.md"))
        .expect("a README")
        .lines()
        .position(|l| l == "## Known trap")
        .expect("there");
    let said = faults(&pack);
    assert_eq!(said, [format!("README.md:{line}: has no heading \"## Known traps\"; did you mean \"Known trap\"?")]);
}

#[test]
fn the_schema_of_the_configuration_is_printed_beside_those_of_packs() {
    let config = run(&["adapter", "schema", "config"]).exits(0).out;
    assert_eq!(config, run(&["check-config", "--schema"]).exits(0).out);
}

#[test]
fn a_setting_that_nothing_uses_is_told_with_the_one_that_is_meant() {
    let folder = tempfile::tempdir().expect("a folder");
    for id in ["hl7v2-uk", "rio"] {
        copy(&pack_folder(id), &folder.path().join(id));
    }
    let manifest = folder.path().join("rio/adapter.toml");
    let text = fs::read_to_string(&manifest).expect("a manifest");
    let line = 1 + text.lines().position(|l| l.starts_with("document_type")).expect("a setting");
    fs::write(&manifest, text.replacen("\ndocument_type", "\ndocumet_type", 1)).expect("written");
    let said = faults(&folder.path().join("rio"));
    let wanted = format!(
        "adapter.toml:{line}: the setting \"documet_type\" is used by nothing; did you mean \"document_type\"?"
    );
    assert!(said.contains(&wanted), "{said:#?}");
}
