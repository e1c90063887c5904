//! A broken pack names each fault with file, line and remedy; and no fault holds patient data.

use ips_bridge::adapter::{Fault, check::check, examples};
use ips_bridge::verdict::verdict;
use std::fs;
use std::path::{Path, PathBuf};

pub fn pack_folder(id: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters").join(id)
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("readable") {
        let entry = entry.expect("readable");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}

/// A copy of the UK pack with one text of one file changed; the line that was changed, and what `check` says.
fn broken(file: &str, find: &str, put: &str) -> (u32, Vec<Fault>) {
    let folder = tempfile::tempdir().expect("a folder");
    let pack = folder.path().join("hl7v2-uk");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters/hl7v2-uk"), &pack);
    let text = fs::read_to_string(pack.join(file)).expect("the file");
    let at = text.find(find).unwrap_or_else(|| panic!("{file} holds no {find}"));
    let line = 1 + text[..at].matches('\n').count() + put.len() - put.trim_start_matches('\n').len();
    fs::write(pack.join(file), text.replacen(find, put, 1)).expect("written");
    let report = check(&pack, verdict);
    (u32::try_from(line).expect("small"), report.faults)
}

#[test]
fn each_of_many_breaks_is_named_with_file_line_and_remedy() {
    for (file, find, put, word) in [
        // templates
        (
            "maps/ref_i12.toml",
            "\"PID-7.1\", as = \"hl7_date\"",
            "\"PDI-7.1\", as = \"hl7_date\"",
            "\"PDI\" is no segment of HL7",
        ),
        ("templates/parts/pid.hl7", "patient.name.family", "patient.name.familly", "familly"),
        ("templates/parts/pid.hl7", "patient.date_of_birth |", "pateint.date_of_birth |", "pateint"),
        ("templates/parts/pid.hl7", "| nhs_number }}", "| nhs_numbr }}", "nhs_numbr"),
        ("templates/parts/pid.hl7", "code(\"gender\")", "code(\"gendr\")", "gendr"),
        ("templates/parts/pid.hl7", "id.value", "id.valeu", "valeu"),
        ("templates/parts/head.hl7", "{{ message.control_id }}", "{{ message.control_id }", "not closed"),
        ("templates/parts/head.hl7", "settings.evn1", "settings.evn2", "evn2"),
        ("templates/parts/content.hl7", "{% if message.is_late %}", "{% if message.is_late", "not closed"),
        ("templates/parts/content.hl7", "{% if message.is_late %}", "{% unless message.is_late %}", "unless"),
        ("templates/parts/outcome.hl7", "job.weekly_minutes", "job.weekly_minutes * 60", "calculate"),
        ("templates/mdm_t02.hl7", "parts/txa.hl7", "parts/txe.hl7", "txe"),
        ("templates/rri_i12.hl7", "{% if message.in_reply_to %}", "{% if message.in_reply_to is nothing %}", "nothing"),
        ("templates/rri_i12.hl7", "referral.details.team", "range(1000000)", "range"),
        // the manifest
        ("adapter.toml", "owners  =", "owner   =", "owner"),
        ("adapter.toml", "id      = \"hl7v2-uk\"", "id      = \"hl7v2\"", "folder"),
        ("adapter.toml", "status  = \"draft\"", "status  = \"drafft\"", "drafft"),
        ("adapter.toml", "version = \"0.1.0\"", "version = \"1\"", "three numbers"),
        ("adapter.toml", "entry     = \"note.create\"", "entry     = \"note.creat\"", "note.creat"),
        ("adapter.toml", "{ replace_as = \"T10\" }", "{ replace_as = \"T12\" }", "T12"),
        ("adapter.toml", "AE = \"refused\"", "AE = \"positive\"", "positive"),
        ("adapter.toml", "206 = \"retry\"", "206 = \"rety\"", "rety"),
        ("adapter.toml", "format  = \"hl7v2\"", "format  = hl7v2", "TOML"),
        ("adapter.toml", "type = \"flag\" }", "type = \"bool\" }", "bool"),
        // code tables
        ("codes/gender.csv", "GENDER_MALE,M,", "GENDER_MAIL,M,", "GENDER_MAIL"),
        ("codes/hours_band.csv", "HOURS_BAND_5_TO_15,03^", "HOURS_BAND_5_TO_15, 03^", "space"),
        ("codes/gender_letter.csv", "GENDER_NOT_KNOWN,U,", "GENDER_FEMALE,F,", "same row"),
        ("codes/gender_letter.csv", "GENDER_MALE,M,", "GENDER_MALE,female,", "stands for GENDER_FEMALE"),
        (
            "codes/nhs_number_status.csv",
            "NHS_NUMBER_STATUS_NOT_TRACED,NSTS02,",
            "NHS_NUMBER_STATUS_NOT_TRACED,2.00E+00,",
            "exponent",
        ),
        ("codes/confirmed_by.csv", "ours,theirs,note", "ours;theirs;note", "first line"),
        // maps
        ("maps/ref_i12.toml", "\"patient_details.date_of_birth\"", "\"patient_details.birth_date\"", "birth_date"),
        ("maps/ref_i12.toml", "as = \"hl7_date\"", "as = \"hl7_dat\"", "hl7_dat"),
        ("maps/ref_i12.toml", "\"PRD[1.1=RT]-7.1\"", "\"PRD(1)-7.1\"", "place"),
        ("maps/ref_i12.toml", "once  = [\"PID\"", "once  = [\"PIDS\"", "no segment"),
        ("maps/ref_i12.toml", "pick = \"name\", from = \"1.1\"", "pick = \"nam\", from = \"1.1\"", "nam"),
        ("maps/ref_i12.toml", "[\"PRD[1.1=RP]-2\"]", "[\"PRD[1.1=RP]-2.1\"]", "whole repetition"),
        ("maps/ref_i12.toml", "PID-3[nhs_number].1?", "PID-3[nhs_numbr].1?", "[repetitions]"),
        ("maps/ref_i12.toml", "unless = \"nhs_number\"", "unless = \"4:NHS\"", "unless"),
        ("maps/adt_person.toml", "unknown = \"absent\"", "unknown = \"male\"", "absent"),
        ("maps/adt_merge.toml", "once  = [\"MRG\"]", "once  = [\"mrg\"]", "no segment"),
        ("adapter.toml", "nhs_number = \"4.1=NHS", "nhs_number = \"4.1:NHS", "[repetitions]"),
        ("adapter.toml", "any_case = true", "any_case = 1", "any_case"),
        ("codes/death.csv", "absent,U,", "perhaps,U,", "absent"),
        ("maps/ref_i12.toml", "setting = \"referral_source\"", "seting = \"referral_source\"", "seting"),
        ("maps/ref_i12.toml", "makes = \"CreateReferralRequest\"", "makes = \"Referal\"", "Referal"),
        ("maps/ref_i12.toml", "field  = \"PID-3\"", "field  = \"PID3\"", "PID-3"),
    ] {
        let (line, faults) = broken(file, find, put);
        let hit = faults.iter().find(|f| f.file == file && f.line == line && format!("{f}").contains(word));
        let shown: Vec<String> = faults.iter().map(ToString::to_string).collect();
        let hit = hit.unwrap_or_else(|| panic!("{file}:{line} {put}\n  {}", shown.join("\n  ")));
        assert!(!hit.hint.is_empty(), "{hit}");
        assert!(
            // What differs in an example is told: examples hold test data only.
            shown
                .iter()
                .filter(|f| !f.starts_with("examples/"))
                .all(|f| !f.contains("Testpatient") && !f.contains("9990000018") && !f.contains("job centre")),
            "{shown:?}"
        );
    }
}

#[test]
fn what_only_a_message_shows_is_found_by_the_examples() {
    for (file, find, put, word) in [
        // a missing row is found where an example needs it
        (
            "codes/employment_status.csv",
            "EMPLOYMENT_STATUS_EMPLOYED,",
            "EMPLOYMENT_STATUS_STUDENT,",
            "stands in 2 rows",
        ),
        ("codes/gender_letter.csv", "GENDER_NOT_SPECIFIED,O,\n", "", "no row for this code (GENDER_NOT_SPECIFIED)"),
        // a segment out of place, a required field, a length, a line that is none
        ("templates/mdm_t02.hl7", "{% include \"parts/txa.hl7\" %}\n", "", "TXA"),
        ("templates/parts/txa.hl7", "{{ settings.completion_status }}", "", "TXA-17"),
        ("templates/parts/pid.hl7", "PID|1|", "pid|1|", "segment"),
        // an escaping of one's own
        ("templates/parts/content.hl7", "{% endif %}|{{ row }}|", "{% endif %}|{{ row }}\\oops\\|", "escape"),
        // the accepted text is not alone in its rows
        (
            "templates/parts/content.hl7",
            "IPS-HEADING^Entry details^L",
            "{{ settings.note_code }}^Entry details^L",
            "read back exactly",
        ),
    ] {
        let said = reason(file, find, put);
        assert!(said.contains(word), "{file} {put}: {said}");
    }
}

/// What the cases of a broken pack give now, in one text.
fn reason(file: &str, find: &str, put: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let pack = folder.path().join("hl7v2-uk");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters/hl7v2-uk"), &pack);
    let text = fs::read_to_string(pack.join(file)).expect("the file");
    fs::write(pack.join(file), text.replacen(find, put, 1)).expect("written");
    let report = examples::test(&pack, true, verdict);
    let mut all: String = report.faults.iter().map(|f| format!("{f}\n")).collect();
    for case in fs::read_dir(pack.join("examples")).expect("examples") {
        all.push_str(&fs::read_to_string(case.expect("readable").path().join("expected.err")).unwrap_or_default());
    }
    all
}

#[test]
fn a_word_for_nothing_is_caught_by_leaf_drop() {
    let (line, faults) = broken(
        "templates/parts/pid.hl7",
        "{{ patient.name.prefix | blank }}",
        "{{ patient.name.prefix | default(\"None\") }}",
    );
    let hit = faults
        .iter()
        .find(|f| f.line == line && f.what.contains("prints a word for nothing when patient.name.prefix is null"));
    assert!(hit.is_some(), "{faults:?}");
}

#[test]
fn what_the_bridge_must_have_and_no_row_gives_is_named() {
    for (row, field) in [
        ("\"details.source_code\" = { setting = \"referral_source\" }\n", "details.source_code"),
        (
            "[each.\"details.external_ids\"]\nfield    = \"RF1-6\"\n\"value\"  = \"1\"\n\"system\" = { from = [\"2\", \"3\", \"MSH-3.1\"] }\n",
            "details.external_ids",
        ),
    ] {
        let (_, faults) = broken("maps/ref_i12.toml", row, "");
        let hit = faults.iter().find(|f| f.what.contains(&format!("maps/ref_i12.toml has no row for {field}, which")));
        assert!(hit.is_some_and(|f| f.file == "adapter.toml" && f.line > 0), "{field}: {faults:?}");
    }
}

#[test]
fn files_that_nothing_uses_and_real_looking_numbers_are_found() {
    let (_, faults) = broken("templates/mdm_t11.hl7", "{% include \"parts/txa.hl7\" %}", "{# 943 #}9434765919");
    let shown: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert!(
        shown.iter().any(|f| f.starts_with("templates/mdm_t11.hl7:5:")
            && f.contains("real NHS number")
            && !f.contains("9434765919")),
        "{shown:?}"
    );
    let (_, faults) = broken("templates/parts/content.hl7", "{% include \"parts/outcome.hl7\" %}", "");
    assert!(faults.iter().any(|f| f.file == "templates/parts/outcome.hl7" && f.what.contains("nothing")), "{faults:?}");
}

#[test]
fn what_is_rendered_must_come_back_where_the_pack_reads_it_too() {
    let parse = "[[parse]]\nmessage = \"RRI^I12\"\nmap     = \"maps/ref_i12.toml\"\nexempt  = \"the examples of the reply are read back\"\n\n# A code that a table lacks";
    let (_, faults) = broken("adapter.toml", "# A code that a table lacks", parse);
    let mut shown: Vec<String> = faults.iter().map(ToString::to_string).collect();
    // What declines a referral is no referral, and the map refuses it.
    shown.retain(|f| {
        !f.contains("render-reply-declined renders: 1 of its fields cannot be used: accept (from RF1-1.1 else RF1-1.2")
    });
    // HL7 has no word for "very urgent": it goes out as stat, and stat is read as an emergency.
    let map = include_str!("../../adapters/hl7v2-uk/maps/ref_i12.toml");
    let line = map.lines().position(|l| l.starts_with("\"details.priority\"")).expect("its row") + 1;
    let what = "details.priority does not come back as example render-reply-not-asked-for renders it; map and templates must agree";
    assert_eq!(shown, [format!("maps/ref_i12.toml:{line}: {what}")]);
}

/// One fault at this line says all of this.
fn told_once(faults: &[Fault], file: &str, line: u32, words: &[&str]) {
    let shown: Vec<String> = faults.iter().map(ToString::to_string).collect();
    let hits =
        faults.iter().filter(|f| f.file == file && f.line == line && words.iter().all(|w| f.to_string().contains(w)));
    assert_eq!(hits.count(), 1, "{file}:{line} {words:?}\n  {}", shown.join("\n  "));
}

#[test]
fn a_wrong_path_that_is_possible_is_one_fault_at_its_row() {
    for (file, find, put, words) in [
        (
            "maps/adt_person.toml",
            "\"date_of_birth\" = { from = \"PID-7.1?\"",
            "\"date_of_birth\" = { from = \"PID-6.1?\"",
            ["takes date_of_birth from PID-6", "parse-adt-a01", "PID-7 is the date of birth"],
        ),
        (
            "maps/ref_i12.toml",
            "{ from = \"PID-7.1\", as = \"hl7_date\" }",
            "{ from = \"PID-6.1\", as = \"hl7_date\" }",
            ["takes patient_details.date_of_birth from PID-6", "parse-ref-", "PID-7 is the date of birth"],
        ),
        // The component of a list's element is told with the field it is of.
        (
            "maps/adt_person.toml",
            "= \"5?\"\n",
            "= \"6?\"\n",
            ["\"local_identifiers.type\"", "taken from PID-3.6 ", "\"MR\""],
        ),
        // An alternative that gives a value later does not hide the row that should have.
        (
            "maps/adt_person.toml",
            "{ pick = \"address\", from = \"3?\" }",
            "{ pick = \"address\", from = \"9?\" }",
            ["\"address.city\" taken from", "component 9 ", "parse-adt-"],
        ),
    ] {
        let (line, faults) = broken(file, find, put);
        // Where a text ends its file, the replacement begins on the same line.
        told_once(&faults, file, line, &words);
        assert!(faults.len() <= 2, "{faults:#?}");
        assert!(faults.iter().any(|f| f.what.contains(" other examples: ")), "{faults:#?}");
    }
}

#[test]
fn a_wrong_choice_is_one_fault_and_not_one_for_each_part_of_it() {
    let (line, faults) = broken("maps/adt_person.toml", "\"PID-11[7=H|HOME]\"", "\"PID-12[7=H|HOME]\"");
    told_once(&faults, "maps/adt_person.toml", line - 1, &["what pick.address chooses (address.city, ", "parse-adt-"]);
    assert_eq!(faults.len(), 1, "{faults:#?}");
}

#[test]
fn a_wrong_field_of_a_template_is_one_fault_at_the_line_that_writes_it() {
    let pid = "templates/parts/pid.hl7";
    let (line, faults) = broken(pid, "{{ patient.name.family }}^", "{{ patient.name.given }}^");
    told_once(
        &faults,
        pid,
        line,
        &["PID-5.1 is not the patient's family name", "note.create, note.replace", "render-note"],
    );
    assert!(faults.len() <= 2, "{faults:#?}");
    let (line, faults) = broken(pid, "^^L||", "^^N||");
    told_once(&faults, pid, line, &["PID-5 is not what example render-note", "and in ", " other examples: "]);
    assert!(faults.len() <= 2, "{faults:#?}");
}

#[test]
fn what_a_message_lacks_is_named_at_the_line_that_writes_the_segment() {
    for (file, find, put, words) in [
        (
            "templates/parts/txa.hl7",
            "{{ settings.completion_status }}",
            "",
            "TXA-17 (segment 5): is required and empty",
        ),
        ("templates/parts/pid.hl7", "PID|1|", "pid|1|", "a line is no segment"),
        ("templates/parts/head.hl7", "{{ message.processing_id }}", "P", "MSH-11"),
        (
            "templates/parts/pid.hl7",
            "{{ id.value }}^",
            "X1^",
            "PID-3 holds an identifier that is none of the patient's",
        ),
    ] {
        let (line, faults) = broken(file, find, put);
        told_once(&faults, file, line, &[words, "in example render-note-"]);
        assert!(faults.len() <= 3, "{faults:#?}");
    }
}
