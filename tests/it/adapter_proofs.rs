//! What a pack must prove before it is good: the text comes back, the document is named, and no example that was carried turns into one
//! that fails without a person's hand.

use crate::adapter_words::{changed, faults};
use ips_bridge::adapter::{Pack, check::check, examples};
use ips_bridge::verdict::verdict;
use std::fs;
use std::path::Path;

fn tested(pack: &Path, bless: bool) -> Vec<String> {
    examples::test(pack, bless, verdict).faults.iter().map(ToString::to_string).collect()
}

#[test]
fn a_pack_that_does_not_read_the_text_back_says_why() {
    let code = "text_code = \"371532007\"";
    let with = |put: &str| changed("_template", &[("adapter.toml", code, put)]);
    let (_folder, pack) = with("");
    let said = faults(&pack);
    assert!(
        said.len() == 1
            && said[0].starts_with(
                "adapter.toml:17: this [[render]] does not say where the accepted text stands; add text_code"
            ),
        "{said:?}"
    );
    let (_folder, pack) = with("text_exempt = \"the EPR takes a title only; its supplier, 2 March\"");
    let report = check(&pack, verdict);
    assert!(report.is_good(), "{:?}", report.faults);
    assert!(
        report.done.iter().any(|d| d.contains("its text is not read back: the EPR takes a title only")),
        "{:?}",
        report.done
    );
    for (put, word) in [
        ("text_exempt = \"no\"", "text_exempt gives no reason"),
        ("text_code = \"371532007\"\ntext_exempt = \"the EPR takes a title only\"", "and why it does not"),
    ] {
        let (_folder, pack) = with(put);
        assert!(faults(&pack).iter().any(|f| f.contains(word)), "{put}");
    }
    // A withdrawal has no text; the text of a replacement and of an outcome is as much the author's as that of a note.
    for (entry, good) in
        [("note.withdraw", true), ("note.replace", false), ("outcome.create", false), ("outcome.replace", false)]
    {
        let row = format!("[[render]]\nentry = \"{entry}\"\ntemplate = \"templates/note.hl7\"\n\n[codes.gender]");
        let (_folder, pack) = changed("_template", &[("adapter.toml", "[codes.gender]", &row)]);
        assert_eq!(Pack::load(&pack).is_ok(), good, "{entry}");
    }
    let text_at = "text_at  = { path = \"$.content[0].attachment.data\", as = \"base64\", after_head = true }";
    let (_folder, pack) = changed("fhir-uk-core", &[("adapter.toml", text_at, "")]);
    assert!(faults(&pack).iter().any(|f| f.contains("does not say where the accepted text stands; add text_at")));
}

#[test]
fn a_resource_that_is_not_named_by_our_identifier_first_is_never_made() {
    let own = "\"identifier\": [{ \"system\": \"{{ settings.identifier_system }}\", \"value\": \"{{ message.document_id }}\" }],";
    for put in [
        "",
        "\"identifier\": [{ \"system\": \"{{ settings.identifier_system }}\", \"value\": \"{{ message.control_id }}\" }],",
        "\"identifier\": [{ \"system\": \"{{ settings.staff_system }}\", \"value\": \"{{ message.document_id }}\" }],",
        "\"identifier\": [{ \"system\": \"https://other.example\", \"value\": \"1\" }, { \"system\": \"{{ settings.identifier_system }}\", \"value\": \"{{ message.document_id }}\" }],",
    ] {
        let (_folder, pack) = changed("fhir-uk-core", &[("templates/document.json", own, put)]);
        let said = faults(&pack);
        assert!(
            said.iter().any(|f| f.starts_with(
                "templates/document.json: makes a resource whose first identifier is not this document's"
            )),
            "{put}: {said:?}"
        );
        assert!(Pack::load(&pack).expect("loads").render_example("render-note", &Default::default()).is_none());
        assert!(!tested(&pack, true).is_empty(), "and no blessing makes it good");
        assert!(pack.join("examples/render-note/expected.http").is_file());
    }
}

#[test]
fn why_an_example_fails_and_where_it_differs_is_said() {
    let (_folder, pack) = changed("_template", &[("templates/note.hl7", "PV1|1|O", "PV1|1|{{ patient.phone }}")]);
    for said in [faults(&pack), tested(&pack, false)] {
        let wanted = "templates/note.hl7:6: `patient.phone` is empty, in example render-note-kept-from-the-patient, and in 1 other example: render-note; \
                      write | blank if this field may be empty; mend that; if it is right, delete examples/render-note-kept-from-the-patient/expected.hl7 by hand";
        assert!(said.len() == 1 && said[0].starts_with(wanted), "{said:?}");
    }
    let (_folder, pack) = changed("_template", &[("templates/note.hl7", "PV1|1|O", "PV1|1|I")]);
    let said = faults(&pack);
    assert!(
        said.len() == 1
            && said[0].starts_with("templates/note.hl7:6: PV1-2 is not what example render-note-kept-from-the-patient expects: expected \"O\", actual \"I\", and in 1 other"),
        "{said:?}"
    );
}

#[test]
fn what_differs_is_not_shown_where_somebody_may_have_pasted_a_real_message() {
    let (_folder, pack) =
        changed("_template", &[("examples/render-note/input.json", "\"9990000018\"", "\"9434765919\"")]);
    for said in [faults(&pack), tested(&pack, false)] {
        let differs = said.iter().find(|f| f.contains("is not what example render-note expects")).expect("told");
        assert!(differs.contains("what differs is not shown") && differs.contains("begins with 999"), "{differs}");
        assert!(said.iter().all(|f| !f.contains("9434765919") && !f.contains("PID|")), "{said:?}");
    }
}

#[test]
fn a_blessing_never_turns_what_was_carried_into_what_fails() {
    let (_folder, pack) = changed("_template", &[("templates/note.hl7", "PV1|1|O", "PV1|1|{{ patient.phone }}")]);
    let said = tested(&pack, true);
    assert!(said.iter().any(|f| f.contains("not blessed") && f.contains("by hand")), "{said:?}");
    let expected = pack.join("examples/render-note/expected.hl7");
    assert!(expected.is_file() && !pack.join("examples/render-note/expected.err").exists());
    // The other way round costs nobody a message.
    fs::remove_file(expected).expect("by hand");
    fs::remove_file(pack.join("examples/render-note-kept-from-the-patient/expected.hl7")).expect("by hand");
    assert_eq!(tested(&pack, true), [""; 0]);
    assert!(pack.join("examples/render-note/expected.err").is_file());
    fs::write(
        pack.join("templates/note.hl7"),
        fs::read_to_string(pack.join("templates/note.hl7")).expect("read").replace("{{ patient.phone }}", "O"),
    )
    .expect("written");
    assert_eq!(tested(&pack, true), [""; 0]);
    assert!(
        pack.join("examples/render-note/expected.hl7").is_file()
            && !pack.join("examples/render-note/expected.err").exists()
    );
}

#[test]
fn the_values_of_an_input_that_cannot_be_read_are_not_told() {
    let (_folder, pack) = changed("_template", &[("examples/render-note/input.json", "\"Testpatient\"", "9434765919")]);
    let said = faults(&pack);
    assert!(said.iter().any(|f| f.contains("is not a RenderInput: integer stands where a string should")), "{said:?}");
    assert!(said.iter().all(|f| !f.contains("9434765919")), "{said:?}");
}
