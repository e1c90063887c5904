//! Words of ours in packs: a kind that is set is seen, and a misspelt word is found before it does harm.

use crate::adapter_breaks::{copy, pack_folder};
use ips_bridge::adapter::{check::check, examples};
use ips_bridge::verdict::verdict;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A copy of a pack (and of its base) with texts of its files changed.
pub fn changed(id: &str, changes: &[(&str, &str, &str)]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    copy(&pack_folder(id), &folder.path().join(id));
    let pack = folder.path().join(id);
    let manifest = fs::read_to_string(pack.join("adapter.toml")).expect("a manifest");
    if let Some(base) = manifest.lines().find_map(|line| line.strip_prefix("extends")) {
        let base = base.trim_matches([' ', '=', '"']);
        copy(&pack_folder(base), &folder.path().join(base));
    }
    for (file, find, put) in changes {
        let text = fs::read_to_string(pack.join(file)).expect("the file");
        assert!(text.contains(find), "{file} holds no {find}");
        fs::write(pack.join(file), text.replacen(find, put, 1)).expect("written");
    }
    (folder, pack)
}

pub fn faults(pack: &Path) -> Vec<String> {
    check(pack, verdict).faults.iter().map(ToString::to_string).collect()
}

/// What the pack's plainest note becomes, its kind being this one.
fn rendered(pack: &Path, kind: &str) -> Result<String, String> {
    let input = fs::read_to_string(pack.join("examples/render-note/input.json")).expect("an input");
    let mut input: Value = serde_json::from_str(&input).expect("JSON");
    let note = input["entry"]["note"].as_object_mut().expect("a note");
    note.retain(|key, _| matches!(key.as_str(), "occurred_at" | "text" | "sensitivity" | "contact"));
    note.insert(kind.into(), Value::Object(Default::default()));
    let bytes = examples::render(pack, &input.to_string(), &toml::Table::new(), None);
    bytes.map(|(_, made)| String::from_utf8(made.bytes).expect("UTF-8")).map_err(|list| format!("{list:?}"))
}

#[test]
fn a_message_that_is_set_counts_as_true_though_it_has_no_fields() {
    for (line, search, club) in [
        ("{% if entry.note.job_search %}I{% else %}O{% endif %}", "|I", "|O"),
        ("{% if not entry.note.job_search %}I{% else %}O{% endif %}", "|O", "|I"),
        ("{% if entry.note.job_search is none %}I{% else %}O{% endif %}", "|O", "|I"),
        ("{% if entry.note.job_search is not none %}I{% else %}O{% endif %}", "|I", "|O"),
        ("{% set n = entry.note %}{% if n.job_club or n.job_search %}I{% else %}O{% endif %}", "|I", "|I"),
        ("{{ \"I\" if entry.note.job_search else \"O\" }}", "|I", "|O"),
        ("{% if entry.note.kind == \"job_search\" %}I{% else %}O{% endif %}", "|I", "|O"),
    ] {
        let (_folder, pack) = changed("_template", &[("templates/note.hl7", "PV1|1|O", &format!("PV1|1|{line}"))]);
        for (kind, wanted) in [("job_search", search), ("job_club", club)] {
            let text = rendered(&pack, kind).unwrap_or_else(|e| panic!("{line}: {e}"));
            assert!(text.contains(&format!("PV1|1{wanted}\r")), "{line} {kind}: {text}");
        }
    }
}

#[test]
fn a_message_without_fields_is_never_printed() {
    for expression in
        ["entry.note.job_search", "entry.note.job_search | blank", "entry.note.job_search | default(\"x\")"]
    {
        let put = format!("PV1|1|O{{{{ {expression} }}}}");
        let (_folder, pack) = changed("_template", &[("templates/note.hl7", "PV1|1|O", &put)]);
        let said = rendered(&pack, "job_search").expect_err("refused");
        assert!(said.contains("is a group of fields"), "{expression}: {said}");
    }
}

#[test]
fn a_tree_template_sees_a_message_without_fields_too() {
    let status =
        "\"status\": { \"$if\": \"entry.note.job_search\", \"$then\": \"current\", \"$else\": \"superseded\" }";
    let (_folder, pack) = changed("fhir-uk-core", &[("templates/document.json", "\"status\": \"current\"", status)]);
    assert!(rendered(&pack, "job_search").expect("renders").contains("\"status\":\"current\""));
    assert!(rendered(&pack, "job_club").expect("renders").contains("\"status\":\"superseded\""));
}

#[test]
fn the_kind_of_a_note_is_a_word_that_a_table_can_turn_into_theirs() {
    let manifest = "[codes.kind]\nfile = \"codes/kind.csv\"\nmissing = \"error\"\n\n[codes.gender]";
    let line = "PV1|1|O|{{ entry.note.kind | code(\"kind\") }}";
    let (_folder, pack) =
        changed("_template", &[("adapter.toml", "[codes.gender]", manifest), ("templates/note.hl7", "PV1|1|O", line)]);
    fs::write(pack.join("codes/kind.csv"), "ours,theirs,note\njob_search,JS,\njob_clubb,JC,\n").expect("written");
    let said = faults(&pack);
    assert_eq!(
        said,
        ["codes/kind.csv:3: \"job_clubb\" is not a word of kind; did you mean \"job_club\"?"],
        "a row that no note can ever ask for"
    );
    fs::write(pack.join("codes/kind.csv"), "ours,theirs,note\njob_search,JS,\njob_club,JC,\n").expect("written");
    assert!(rendered(&pack, "job_search").expect("renders").contains("PV1|1|O|JS\r"));
    let said = faults(&pack);
    assert!(said[0].starts_with("codes/kind.csv: has no row for action_plan, benefits_advice, "), "{said:?}");
}

#[test]
fn a_misspelt_word_of_ours_is_found_wherever_it_stands() {
    let uk = "hl7v2-uk";
    let priority = "missing = { replacement = \"ROUTINE\" }";
    let table = |text: &str| text.replace("missing = \"error\"", priority);
    let manifest = fs::read_to_string(pack_folder(uk).join("adapter.toml")).expect("a manifest");
    let at = manifest.find("[codes.priority]").expect("the table");
    let codes = &manifest[at..at + manifest[at..].find("\n\n").expect("its end")];
    for (file, find, put, wanted) in [
        (
            "templates/parts/outcome.hl7",
            "\"HOURS_BAND_UNSPECIFIED\"",
            "\"HOURS_BAND_UNSPECIFED\"",
            "\"HOURS_BAND_UNSPECIFED\" is not a word of HoursBand",
        ),
        // Not the beginning of any word of ours: found by what it is compared with.
        (
            "templates/parts/outcome.hl7",
            "\"HOURS_BAND_UNSPECIFIED\"",
            "\"HOUR_BAND_UNSPECIFIED\"",
            "\"HOUR_BAND_UNSPECIFIED\" is not a word of HoursBand",
        ),
        (
            "templates/parts/outcome.hl7",
            "{% if entry.hours_band != \"HOURS_BAND_UNSPECIFIED\" %}",
            "{% if entry.hours_band not in [\"HOURS_BAND_UNSPECIFIED\", \"unspecified\"] %}",
            "\"unspecified\" is not a word of HoursBand",
        ),
        (
            "templates/parts/outcome.hl7",
            "{% if o.job_offer %}",
            "{% if \"job_ofer\" == o.kind %}",
            "\"job_ofer\" is not a word of kind; did you mean \"job_offer\"?",
        ),
        (
            "templates/parts/outcome.hl7",
            "\"job_offer\" | code",
            "\"job_ofer\" | code",
            "code table \"outcome_kind\" has no row for \"job_ofer\"; did you mean \"job_offer\"?",
        ),
        (
            "maps/ref_i12.toml",
            "\"REFERRAL_PRIORITY_ROUTINE\"",
            "\"REFERRAL_PRIORITY_ROUTIN\"",
            "\"REFERRAL_PRIORITY_ROUTIN\" is not a word of ReferralPriority; did you mean \"REFERRAL_PRIORITY_ROUTINE\"?",
        ),
        (
            "maps/ref_i12.toml",
            "setting = \"referral_source\"",
            "setting = \"referal_source\"",
            "there is no setting \"referal_source\"; did you mean \"referral_source\"?",
        ),
        (
            "maps/ref_i12.toml",
            "code:gender",
            "code:gendr",
            "there is no code table \"gendr\"; did you mean \"gender\"?",
        ),
        (
            "adapter.toml",
            codes,
            &table(codes),
            "the replacement of [codes.priority] is read as ours, and \"ROUTINE\" is not a word of ReferralPriority",
        ),
    ] {
        let (_folder, pack) = changed(uk, &[(file, find, put)]);
        let text = fs::read_to_string(pack_folder(uk).join(file)).expect("the file");
        let line = 1 + text[..text.find(find).expect("there")].matches('\n').count();
        let said = faults(&pack);
        let place = format!("{file}:{line}: {wanted}");
        assert!(said.iter().any(|f| f.starts_with(&place)), "{place}\n{said:?}");
    }
    let (_folder, pack) =
        changed("fhir-uk-core", &[("maps/service_request.toml", "\"GENDER_NOT_KNOWN\"", "\"GENDER_UNKNOWN\"")]);
    let said = faults(&pack);
    assert!(
        said.iter()
            .any(|f| f.starts_with("maps/service_request.toml:")
                && f.contains("\"GENDER_UNKNOWN\" is not a word of Gender")),
        "{said:?}"
    );
}

#[test]
fn a_word_that_a_table_lacks_is_named_unless_the_pack_says_why() {
    let row = ("codes/gender.csv", "GENDER_NOT_KNOWN,U,\n", "");
    let (_folder, pack) = changed("_template", &[row]);
    assert_eq!(
        faults(&pack),
        ["codes/gender.csv: has no row for GENDER_NOT_KNOWN, which templates/note.hl7 may have to write; \
          add rows; or say why there is none, in [codes.gender]: without = { GENDER_NOT_KNOWN = \"why\" }"]
    );
    let with = |without: &str| {
        let (_folder, pack) = changed(
            "_template",
            &[row, ("adapter.toml", "missing = \"error\"", &format!("missing = \"error\"\n{without}\n#"))],
        );
        faults(&pack)
    };
    assert_eq!(with("without = { GENDER_NOT_KNOWN = \"the EPR has no such value; its supplier, 2 March\" }"), [""; 0]);
    for (without, word) in [
        ("without = { GENDER_NOT_KNOWN = \"none\" }", "does not say why"),
        ("without = { GENDER_NOT_KNWN = \"the EPR has no such value\" }", "did you mean \"GENDER_NOT_KNOWN\"?"),
        (
            "without = { GENDER_NOT_KNOWN = \"the EPR has no such value\", GENDER_MALE = \"the EPR has no such value\" }",
            "names \"GENDER_MALE\", which has a row",
        ),
    ] {
        let said = with(without);
        assert!(said.iter().any(|f| f.starts_with("adapter.toml:") && f.contains(word)), "{without}: {said:?}");
    }
}
