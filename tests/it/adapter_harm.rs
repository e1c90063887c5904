//! What a pack can do to a patient without breaking any rule of a format: `adapter check` says so before anything is sent or taken in.

use crate::adapter_breaks::copy;
use crate::adapter_words::{changed, faults};
use ips_bridge::adapter::{Pack, check::check, examples};
use ips_bridge::verdict::verdict;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A copy of a pack of `tests/packs` with texts of its files changed; what is put into a file that is not there is the file.
pub fn invented(id: &str, changes: &[(&str, &str, &str)]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let pack = folder.path().join(id);
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packs").join(id), &pack);
    for (file, find, put) in changes {
        let path = pack.join(file);
        if find.is_empty() {
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, put).expect("written");
            continue;
        }
        let text = fs::read_to_string(&path).expect("the file");
        assert!(text.contains(find), "{file} holds no {find}");
        fs::write(path, text.replacen(find, put, 1)).expect("written");
    }
    (folder, pack)
}

/// A fault that begins so and holds each of these.
#[track_caller]
pub fn told(said: &[String], begins: &str, holds: &[&str]) {
    let found = said.iter().any(|f| f.starts_with(begins) && holds.iter().all(|h| f.contains(h)));
    assert!(found, "nothing says {begins} … {holds:?}: {said:#?}");
}

pub fn doubts(pack: &Path) -> Vec<String> {
    check(pack, verdict).done.into_iter().filter(|d| d.contains(": doubt: ")).collect()
}

/// Tarn with a map of patients, read for this event.
fn with_person(event: &str, kind: &str) -> (TempDir, PathBuf) {
    let row = format!("[[parse]]\nmessage = \"{event}\"\nmap = \"maps/person.toml\"\n\n[codes.gender]");
    let map = format!(
        "makes = \"PatientChange\"\n\"kind\" = {kind}\n\"changed_at\" = {{ from = \"MSH-7.1\", as = \"hl7_time\" }}\n\
         \"nhs_number\" = {{ from = \"PID-3[4=NHS].1?\", as = \"nhs_number\" }}\n\"family_name\" = \"PID-5.1?\"\n"
    );
    invented("tarn", &[("adapter.toml", "[codes.gender]", &row), ("maps/person.toml", "", &map)])
}

const UPDATED: &str = "{ value = \"PATIENT_CHANGE_KIND_UPDATED\" }";

#[test]
fn a_merge_is_never_read_as_an_update() {
    for event in ["A18", "A30", "A34", "A35", "A36", "A39", "A40", "A41", "A47", "A24", "A43", "A45", "A49", "A50"] {
        let (_folder, pack) = with_person(&format!("ADT^{event}"), UPDATED);
        told(&faults(&pack), "adapter.toml:", &[event, "makes PatientChange of it", "a map that makes PatientMerge"]);
    }
    let (_folder, pack) = with_person("ADT^A37", UPDATED);
    told(&faults(&pack), "adapter.toml:", &["ADT^A37", "nothing that the bridge takes in says so"]);
    let (_folder, pack) = with_person("ADT^A08", UPDATED);
    assert!(!faults(&pack).iter().any(|f| f.contains("PatientMerge")));
}

#[test]
fn a_removal_is_never_read_as_an_update() {
    let removed = "{ value = \"PATIENT_CHANGE_KIND_REMOVED\" }";
    let by_event = format!("[{{ when = \"MSH-9[2=A29].1\", value = \"PATIENT_CHANGE_KIND_REMOVED\" }}, {UPDATED}]");
    for (kind, good) in [(UPDATED, false), (removed, true), (&by_event, true)] {
        let (_folder, pack) = with_person("ADT^A29", kind);
        let said = faults(&pack);
        assert_eq!(!said.iter().any(|f| f.contains("ADT^A29 takes a record out")), good, "{kind}: {said:#?}");
    }
}

#[test]
fn a_message_that_names_a_record_that_goes_is_kept_for_a_person_unless_it_is_read_as_a_merge() {
    let (_folder, pack) = with_person("ADT^A08", UPDATED);
    let pack = Pack::load(&pack).expect("loads");
    let read = |mrg: &str| {
        let message = format!(
            "MSH|^~\\&|TARN|RZZ|IPSBRIDGE|RZZ|20260302101500||ADT^A08|T1|T|2.5.1\rPID|1||9990000018^^^NHS^NH||TESTPATIENT^SAM\r{mrg}"
        );
        let settings =
            pack.manifest.settings.resolve(&pack.manifest.settings.examples(), "settings").expect("settings");
        pack.read(message.as_bytes(), &settings, "Europe/London").expect("can be read").1
    };
    assert_eq!(read(""), []);
    assert_eq!(read("MRG|\r"), []);
    let faults = read("MRG|4471921^^^TARN\r");
    assert!(
        faults.len() == 1 && faults[0].from == "MRG" && faults[0].what.contains("a person has to look"),
        "{faults:?}"
    );
}

#[test]
fn a_map_that_makes_a_referral_looks_at_whether_it_is_still_wanted() {
    let asked = "accept.\"RF1-1.1\" = { is = [\"\", \"P\"], why = \"the referral does not wait for an answer\" }\n";
    let none = ("maps/referral.toml", asked, "");
    let (_folder, pack) = invented("tarn", &[none]);
    told(
        &faults(&pack),
        "adapter.toml:",
        &["maps/referral.toml makes a referral of REF^I12", "never looks at RF1-1", "add accept."],
    );
    let order = ("adapter.toml", "message = \"REF^I12\"", "message = \"ORM^O01\"");
    let (_folder, pack) = invented("tarn", &[order]);
    told(&faults(&pack), "adapter.toml:", &["of ORM^O01", "never looks at ORC-1"]);
    let (_folder, pack) = invented("tarn", &[order, ("maps/referral.toml", asked, "accept.\"ORC-1\" = [\"NW\"]\n")]);
    assert!(!faults(&pack).iter().any(|f| f.contains("never looks at")));
    told(&doubts(&pack), "adapter.toml:", &["of ORM^O01", "never looks at ORC-5"]);
    let (_folder, pack) = invented("tarn", &[("adapter.toml", "message = \"REF^I12\"", "message = \"REF^I14\"")]);
    told(&faults(&pack), "adapter.toml:", &["REF^I14 cancels a referral"]);
    let (_folder, pack) =
        changed("fhir-uk-core", &[("maps/service_request.toml", "\"$.status\" = [\"active\"]\n", "")]);
    told(&faults(&pack), "adapter.toml:", &["makes a referral of ServiceRequest", "never looks at $.status"]);
}

#[test]
fn a_map_that_reads_no_death_and_no_shielding_is_doubted() {
    let death = "\"patient_deceased\"                  = { from = \"PID-29.1?\", as = \"told\" }\n";
    let shield =
        "\"location_shielded\"                 = { when = \"PD1-12[1=Y].1\", value = true, optional = true }\n";
    for (row, field, place) in [(death, "patient_deceased", "PID-29"), (shield, "location_shielded", "PD1-12")] {
        let (_folder, pack) = invented("tarn", &[("maps/referral.toml", row, "")]);
        told(&doubts(&pack), "adapter.toml:", &[&format!("has no row for {field}"), place]);
    }
    let (_folder, pack) = with_person("ADT^A08", UPDATED);
    told(&doubts(&pack), "adapter.toml:", &["maps/person.toml has no row for deceased", "PID-29"]);
    let (_folder, pack) = invented("tarn", &[]);
    assert!(!doubts(&pack).iter().any(|d| d.contains("has no row for")));
}

#[test]
fn a_text_of_a_referral_that_would_be_cut_unseen_is_doubted() {
    let asked = "accept.\"NTE-4\"   = { is = \"\", why = \"something stands behind the text of NTE-3: it may be the rest of it\" }\n";
    let (_folder, pack) = invented("tarn", &[("maps/referral.toml", asked, "")]);
    told(&doubts(&pack), "maps/referral.toml:", &["from NTE-3 and never looks at NTE-4", "does not escape a |"]);
    let (_folder, pack) = invented("tarn", &[]);
    assert!(!doubts(&pack).iter().any(|d| d.contains("NTE-4")));
}

fn refused_rows(pack: &Path, rows: &[&str], why: &str) {
    let pack = Pack::load(pack).expect("loads");
    for row in rows {
        let said = pack.reply_rules(&row.parse().expect("TOML")).expect_err(row);
        assert!(said.iter().any(|f| f.what.contains(why)), "{row}: {said:?}");
    }
}

const UNTOLD: &str = "nobody can tell whether the note was filed before";

#[test]
fn what_may_have_been_filed_is_never_called_refused_and_never_sent_again_by_a_status() {
    let statuses = ["500", "502", "504", "408", "\"5xx\"", "\"3xx\""];
    let rows = |meaning: &str| statuses.map(|s| format!("{s} = \"{meaning}\""));
    let (refused, retried) = (rows("refused"), rows("retry"));
    let (_folder, xml) = invented("beck", &[]);
    let (_other, fhir) = changed("fhir-uk-core", &[]);
    refused_rows(&xml, &refused.each_ref().map(String::as_str), UNTOLD);
    refused_rows(&xml, &retried.each_ref().map(String::as_str), UNTOLD);
    refused_rows(&fhir, &refused.each_ref().map(String::as_str), UNTOLD);
    for pack in [&xml, &fhir] {
        refused_rows(pack, &["202 = \"refused\"", "\"2xx\" = \"refused\"", "202 = \"retry\""], "can never be");
        let pack = Pack::load(pack).expect("loads");
        assert!(pack.reply_rules(&"503 = \"retry\"\n409 = \"refused\"".parse().expect("TOML")).is_ok());
    }
    // By FHIR's own rules a repeat under the same identifier is told from a second note.
    assert!(Pack::load(&fhir).expect("loads").reply_rules(&retried.join("\n").parse().expect("TOML")).is_ok());
}

#[test]
fn a_fault_that_soap_says_of_whatever_went_wrong_proves_nothing() {
    let (_folder, pack) = invented("beck", &[]);
    for code in ["Server", "Receiver", "\"env:Receiver\"", "\"soap:Server\""] {
        let rows = ["refused", "retry"].map(|meaning| format!("fault.{code} = \"{meaning}\""));
        refused_rows(&pack, &rows.each_ref().map(String::as_str), UNTOLD);
    }
    let rules = |rows: &str| Pack::load(&pack).expect("loads").reply_rules(&rows.parse().expect("TOML"));
    assert!(rules("fault.Server = \"unknown\"\nfault.\"Server.Locked\" = \"retry\"").is_ok());
    let over = "over          = { at = \"/Envelope/Body/Fault/faultcode\", is = [\"Server\"] }";
    let session = "[session]\npath = \"session\"\nxml = \"<L><P>{{ login.password }}</P></L>\"\ntoken = \"/L/T\"\nlasts_seconds = 60\n\
                   send = { header = \"Authorization\", value = \"S {{ token }}\" }\n";
    let (_folder, pack) = invented("beck", &[("adapter.toml", "[reply]\n", &format!("{session}{over}\n\n[reply]\n"))]);
    told(&faults(&pack), "adapter.toml:", &["\"Server\" ends a session", UNTOLD]);
}

#[test]
fn a_code_is_a_code_and_no_pattern_and_a_word_of_what_went_wrong_is_no_proof() {
    let (_folder, pack) = invented("beck", &[]);
    refused_rows(&pack, &["result.\"*\" = \"positive\"", "fault.\"*\" = \"refused\""], "there is no wildcard");
    let (_folder, pack) = invented("tarn", &[]);
    refused_rows(&pack, &["NOPAT = \"positive\"", "204 = \"positive\""], "can never be positive");
    assert!(Pack::load(&pack).expect("loads").reply_rules(&"I001 = \"positive\"".parse().expect("TOML")).is_ok());
}

#[test]
fn what_names_a_message_is_no_id_of_a_document() {
    let (_folder, pack) = invented("tarn", &[]);
    refused_rows(&pack, &["record_id = \"MSH-10\"", "record_id = \"MSA-2\""], "names a message and no document");
    let (_folder, pack) =
        invented("beck", &[("adapter.toml", "record_id = \"/b:Filed/@id\"", "record_id = \"/b:Filed/@ref\"")]);
    told(&faults(&pack), "adapter.toml:", &["one place for record_id and echo_at"]);
    let own = ("examples/reply-aa/reply.hl7", "ZTA|", "ZTA|1|01JNBRZC5M8Q4T7V9XA2E3F4G1\nZTX|");
    let (_folder, pack) = invented("tarn", &[own]);
    told(&faults(&pack), "examples/reply-aa/expected.verdict", &["an id that we gave for the record's own"]);
    let rows = (
        "adapter.toml",
        "record_id = \"/b:Filed/@id\"\necho_at   = \"/b:Filed/@ref\"\necho_of   = \"/*/b:Ref\"\n",
        "result_at = \"/b:Filed/@ok\"\nresult.1 = \"positive\"\n",
    );
    let (_folder, pack) = invented("beck", &[rows]);
    told(&doubts(&pack), "adapter.toml", &["neither record_id nor echo_at"]);
}

#[test]
fn an_id_of_a_message_or_a_patient_is_none_of_a_referral_and_a_visit_is_no_patient() {
    for (field, whose) in [("MSH-10", "names a message"), ("PID-3", "names a patient")] {
        let (_folder, pack) =
            invented("tarn", &[("maps/referral.toml", "field    = \"RF1-6\"", &format!("field = \"{field}\""))]);
        told(&faults(&pack), "maps/referral.toml:", &["the id of a referral from", whose]);
    }
    for field in ["PID-18", "PV1-19"] {
        let (_folder, pack) =
            invented("tarn", &[("maps/referral.toml", "field  = \"PID-3\"", &format!("field = \"{field}\""))]);
        told(&doubts(&pack), "maps/referral.toml:", &[&format!("takes {field} for a number of the patient")]);
    }
}

#[test]
fn a_number_of_a_patient_that_is_typed_into_a_template_or_a_map_is_a_fault() {
    let print = "{{ patient.nhs_number | nhs_number }}";
    for put in [
        "{{ patient.nhs_number | default(\"9990000042\") | nhs_number }}",
        "{{ patient.nhs_number | default(\"999 000 0042\") }}",
    ] {
        let (_folder, pack) = invented("tarn", &[("templates/parts/head.hl7", print, put)]);
        told(&faults(&pack), "templates/parts/head.hl7:3: an NHS number is typed here", &["print it"]);
    }
    let row = "{ from = \"PID-3[4=NHS].1\", as = \"nhs_number\" }";
    let (_folder, pack) = invented("tarn", &[("maps/referral.toml", row, "{ value = \"9990000042\" }")]);
    told(&faults(&pack), "maps/referral.toml:", &["an NHS number is typed here"]);
    let (_folder, pack) = invented(
        "beck",
        &[("templates/note.xml", "{{ lookup.client.id }}", "{{ lookup.client.id | default(\"4471920\") }}")],
    );
    told(&faults(&pack), "templates/note.xml:1: patient.local_identifiers.value of example", &["is typed here"]);
}

#[test]
fn a_date_that_is_none_of_hl7_and_a_text_that_is_called_a_number_are_never_sent() {
    let born = "{{ patient.date_of_birth | hl7_date }}";
    for (find, put, field) in [
        (born, "{{ patient.date_of_birth | uk_date }}", "PID-7"),
        (born, "{{ patient.date_of_birth }}", "PID-7"),
        ("PN|TX|{{ entry.occurred_at | hl7_time }}", "PN|TX|{{ entry.occurred_at | uk_time }}", "TXA-4"),
        ("EVN||{{ message.time | hl7_time }}", "EVN||{{ message.time }}", "EVN-2"),
    ] {
        let (_folder, pack) = changed("_template", &[("templates/note.hl7", find, put)]);
        told(&faults(&pack), "templates/note.hl7:", &[field, "is no date or time of HL7", "render-note"]);
        assert!(Pack::load(&pack).expect("loads").render_example("render-note", &Default::default()).is_none());
    }
    let (_folder, pack) = changed("_template", &[("templates/note.hl7", "FT|371532007", "NM|371532007")]);
    told(&faults(&pack), "templates/note.hl7:", &["OBX-5", "is called a number (NM) in OBX-2"]);
}

#[test]
fn what_says_whose_note_it_is_changes_with_the_patient() {
    let family = "{{ patient.name.family }}";
    let born = "{{ patient.date_of_birth | hl7_date }}";
    let gender = "{{ patient.gender | code(\"gender\") }}";
    for (find, put, said) in [
        (family, "{{ author.author.display_name }}", "PID-5.1 is not the patient's family name"),
        ("^{{ patient.name.given }}^", "^Client^", "PID-5.2 is not the patient's given name"),
        (born, "19010101", "PID-7 is not the patient's date of birth"),
        (born, "{{ entry.occurred_at | hl7_date }}", "PID-7 is not the patient's date of birth"),
        (gender, "F", "PID-8 says the same of every patient"),
    ] {
        let (_folder, pack) = changed("_template", &[("templates/note.hl7", find, put)]);
        told(&faults(&pack), "templates/note.hl7:5: note.create: ", &[said]);
        // Who means it so says why, and a reviewer sees that.
        let why = "patient_exempt = \"the receiver takes no names; its supplier, 2 March\"\ntext_code = ";
        let (_folder, pack) =
            changed("_template", &[("templates/note.hl7", find, put), ("adapter.toml", "text_code = ", why)]);
        assert!(!faults(&pack).iter().any(|f| f.contains(said)));
        told(&doubts(&pack), "adapter.toml:", &[said, "its supplier, 2 March"]);
    }
    for (put, good) in [
        ("{{ patient.name.family | upper }}", true),
        ("{{ patient.name.family }}&van", true),
        ("van&{{ patient.name.family }}", false),
    ] {
        let (_folder, pack) = changed("_template", &[("templates/note.hl7", family, put)]);
        assert_eq!(!faults(&pack).iter().any(|f| f.contains("PID-5.1 is not")), good, "{put}");
    }
    let no_lookup = ("templates/note.xml", "{{ lookup.client.id }}", "{{ patient.local_identifiers[0].value }}");
    let (_folder, pack) = invented("beck", &[no_lookup]);
    told(
        &faults(&pack),
        "templates/note.xml: note.create: ",
        &["neither the patient's family name nor the date of birth"],
    );
}

#[test]
fn a_number_that_another_organisation_gave_is_never_passed_off_as_the_records_own() {
    let nhs = "{{ patient.nhs_number | nhs_number }}^^^NHS^NH";
    let each = |inner: &str| format!("{nhs}{{% for id in patient.local_identifiers %}}~{inner}{{% endfor %}}");
    for (inner, good) in [
        ("{{ id.value }}^^^RZZ^MR", false),
        ("{{ id.value }}", false),
        ("{{ id.value }}^^^{{ id.assigning_authority }}^MR", true),
    ] {
        let (_folder, pack) = changed("_template", &[("templates/note.hl7", nhs, &each(inner))]);
        let said = faults(&pack).iter().any(|f| f.contains("printed as if this record had given it"));
        assert_eq!(!said, good, "{inner}");
    }
    let (_folder, pack) =
        changed("_template", &[("templates/note.hl7", nhs, &each("{{ id.value }}^^^{{ id.assigning_authority }}^MR"))]);
    told(&doubts(&pack), "adapter.toml:", &["one of the same kind (PID-3.5)"]);
    let first = ("templates/note.xml", "<Ref>", "<Local>{{ patient.local_identifiers[0].value }}</Local><Ref>");
    let (_folder, pack) = invented("beck", &[first]);
    told(&faults(&pack), "templates/note.xml: note.create: ", &["printed as if this record had given it"]);
}

#[test]
fn what_msh_and_obx_say_of_the_bytes_is_so_under_every_setting() {
    for (find, put, said) in [
        ("||||||UNICODE UTF-8", "", "MSH-18 is empty, and the bytes are UNICODE UTF-8"),
        ("UNICODE UTF-8", "8859/1", "made of a text with £, é"),
        ("FT|371532007", "ST|371532007", "OBX-2 is ST beside the author's text"),
        ("FT|371532007", "CE|371532007", "OBX-2 is CE beside the author's text"),
    ] {
        let (_folder, pack) = changed("_template", &[("templates/note.hl7", find, put)]);
        told(&faults(&pack), "templates/note.hl7:", &[said]);
    }
    let set = "receiving_facility    = ";
    let row = format!(
        "charset = {{ help = \"MSH-18\", example = \"UNICODE UTF-8\", choices = [\"UNICODE UTF-8\", \"8859/15\"] }}\n{set}"
    );
    let (_folder, pack) = changed("_template", &[("adapter.toml", set, &row)]);
    let said = faults(&pack);
    assert!(said.iter().any(|f| f.starts_with("templates/note.hl7:") && f.contains("note.create")), "{said:#?}");
    let follows = ("templates/note.hl7", "UNICODE UTF-8", "{{ settings.charset }}");
    let (_folder, pack) = changed("_template", &[("adapter.toml", set, &row), follows]);
    assert!(!faults(&pack).iter().any(|f| f.starts_with("templates/note.hl7")));
}

#[test]
fn what_withdraws_a_note_names_the_version_that_is_there() {
    let former = "{{ message.replaces.document_id }}";
    let first = "{{ message.first_document_id }}";
    let (_folder, pack) = invented("tarn", &[("templates/withdrawn.hl7", former, first)]);
    told(
        &faults(&pack),
        "templates/withdrawn.hl7: note.withdraw of a note that was replaced before names the wrong version",
        &["first version's"],
    );
    let (_folder, pack) = invented("beck", &[("templates/withdrawn.xml", former, first)]);
    told(
        &faults(&pack),
        "templates/withdrawn.xml: note.withdraw of a note that was replaced before names the wrong version",
        &[],
    );
}

#[test]
fn a_blessing_under_which_nothing_is_carried_says_so() {
    let (_folder, pack) = changed("_template", &[("templates/note.hl7", "PV1|1|O", "PV1|1|{{ patient.phone }}")]);
    for case in fs::read_dir(pack.join("examples")).expect("examples").map(|c| c.expect("a case").path()) {
        let _ = fs::remove_file(case.join("expected.hl7"));
    }
    let done = examples::test(&pack, true, verdict).done;
    assert!(done.iter().any(|d| d.contains("none of the 3 render examples is carried")), "{done:?}");
    let (_folder, pack) = changed("_template", &[]);
    assert!(!examples::test(&pack, true, verdict).done.iter().any(|d| d.contains("is carried")));
}

#[test]
fn an_each_over_a_whole_list_says_what_is_missing() {
    let of = (
        "maps/service_request.toml",
        "from = [\"$.subject -> $.identifier[?@.value]\"",
        "from = [\"$.subject -> $.identifier\"",
    );
    let (_folder, pack) = changed("fhir-uk-core", &[of]);
    assert!(faults(&pack).iter().any(|f| f.contains("write [*] behind it")));
}

#[test]
fn who_somebody_is_and_when_it_was_are_taken_from_where_hl7_says_them() {
    let born = "\"patient_details.date_of_birth\"     = { from = \"PID-7\"";
    let (_folder, pack) = invented("tarn", &[("maps/referral.toml", born, &born.replace("PID-7", "PID-6"))]);
    told(
        &faults(&pack),
        "maps/referral.toml:",
        &["takes patient_details.date_of_birth from PID-6", "PID-7 is the date of birth"],
    );
    let at = "\"changed_at\" = { from = \"MSH-7.1\"";
    for (from, good) in [("PID-7.1", false), ("PID-33.1", true), ("EVN-6.1", true), ("ZTI-2.1", true)] {
        let (_folder, pack) = with_person("ADT^A08", UPDATED);
        let map = fs::read_to_string(pack.join("maps/person.toml")).expect("the map");
        fs::write(pack.join("maps/person.toml"), map.replace(at, &at.replace("MSH-7.1", from))).expect("written");
        let said = faults(&pack);
        assert_eq!(!said.iter().any(|f| f.contains("takes changed_at from")), good, "{from}: {said:#?}");
    }
}

#[test]
fn nothing_is_said_of_every_patient_that_is_true_of_one() {
    let (_folder, pack) = with_person("ADT^A08", UPDATED);
    let map = fs::read_to_string(pack.join("maps/person.toml")).expect("the map");
    for (row, good) in [
        ("\"deceased\" = { value = true }\n", false),
        ("\"deceased\" = [{ when = \"PID-29\", value = true }, { value = false }]\n", false),
        ("\"deceased\" = { when = \"PID-29\", value = true, optional = true }\n", true),
    ] {
        fs::write(pack.join("maps/person.toml"), format!("{map}{row}")).expect("written");
        let said = faults(&pack);
        assert_eq!(!said.iter().any(|f| f.contains("of every patient of whom")), good, "{row}: {said:#?}");
    }
    let family = "{{ patient.name.family }}";
    let other = "{{ patient.name.family | default(\"TESTPATIENT\") }}";
    let template = "templates/parts/pid.hl7";
    let (_folder, pack) = changed("hl7v2-uk", &[(template, family, other)]);
    told(&faults(&pack), "templates/parts/pid.hl7:", &["gives patient.name.family a default", "somebody else"]);
}

#[test]
fn an_update_is_never_read_as_a_removal() {
    let (_folder, pack) = with_person("ADT^A08", "{ value = \"PATIENT_CHANGE_KIND_REMOVED\" }");
    told(&faults(&pack), "adapter.toml:", &["ADT^A08 leaves the record where it is", "would be held"]);
}

#[test]
fn a_late_mark_that_stands_the_wrong_way_round_is_doubted() {
    let wrong = ("templates/parts/content.hl7", "{% if message.is_late %}", "{% if not message.is_late %}");
    let (_folder, pack) = changed("hl7v2-uk", &[wrong]);
    told(&doubts(&pack), "adapter.toml:", &["says less of an entry that is late than of one in time"]);
}

#[test]
fn a_message_never_says_the_opposite_of_what_became_of_its_entry() {
    for (pack, file, find, put, what) in [
        (
            "hl7v2-uk",
            "templates/parts/txa.hl7",
            "%}CA||",
            "%}AV||",
            "TXA-19 does not say that the document is cancelled",
        ),
        (
            "hl7v2-uk",
            "templates/rri_i12.hl7",
            "{% if reply.accepted %}A^",
            "{% if not reply.accepted %}A^",
            "RF1-1 says the opposite",
        ),
        (
            "fhir-uk-core",
            "templates/task.json",
            "\"$if\": \"entry.referral_reply.accepted\"",
            "\"$if\": \"not entry.referral_reply.accepted\"",
            "status says the opposite",
        ),
        (
            "fhir-uk-core",
            "templates/document_replaces.json",
            "\"code\": \"replaces\"",
            "\"code\": \"appends\"",
            "both would stand",
        ),
        (
            "fhir-uk-core",
            "templates/document.json",
            "\"docStatus\": \"final\"",
            "\"docStatus\": \"entered-in-error\"",
            "docStatus says that the document is not to be read",
        ),
        (
            "fhir-uk-core",
            "templates/parts/author.json",
            "\"type\": \"Practitioner\"",
            "\"type\": \"Pracitioner\"",
            "leads to no resource of FHIR R4",
        ),
        (
            "hl7v2-uk",
            "templates/mdm_t10.hl7",
            "{% set event = \"T10\" %}",
            "{% set event = \"T02\" %}",
            "what it replaces would stand beside it",
        ),
        (
            "hl7v2-oru-pdf",
            "templates/oru_r01.hl7",
            "{% set status = \"C\" %}",
            "{% set status = \"F\" %}",
            "OBR-25 says final of what corrects another",
        ),
    ] {
        let (_folder, pack) = changed(pack, &[(file, find, put)]);
        told(&faults(&pack), "templates/", &[what]);
    }
}

#[test]
fn a_record_that_goes_is_named_by_what_a_merge_says_of_it_and_a_person_by_their_own_name() {
    for (file, find, put, what) in [
        (
            "maps/adt_merge.toml",
            "field  = \"MRG-1\"",
            "field  = \"PID-3\"",
            "takes merges.losing_identifiers.value from PID-3",
        ),
        ("maps/adt_person.toml", "pick.name    = [", "pick.name    = [\"NK1-2\", ", "from NK1-2"),
        (
            "maps/ref_i12.toml",
            "\"patient_details.date_of_birth\" = { from = \"PID-7.1\", as = \"hl7_date\" }",
            "\"patient_details.date_of_birth\" = { value = \"1900-01-01\" }",
            "says the same patient_details.date_of_birth of every patient",
        ),
    ] {
        let (_folder, pack) = changed("hl7v2-uk", &[(file, find, put)]);
        told(&faults(&pack), "maps/", &[what]);
    }
}
