//! Damage that no example would show, or that a blessing would hide: `check` finds it all the same, in little time.

use crate::adapter_words::{changed, faults};
use std::time::{Duration, Instant};

/// A pack, what is changed in which of its files, and what is said of it.
type Break = (&'static str, &'static str, &'static str, String, &'static str);

fn found(breaks: impl IntoIterator<Item = Break>) {
    for (pack, file, find, put, said) in breaks {
        let (_folder, pack) = changed(pack, &[(file, find, put.as_str())]);
        let began = Instant::now();
        let faults = faults(&pack);
        let shown = &put[..put.len().min(60)];
        assert!(
            faults.iter().any(|f| f.contains(file) && f.contains(said)),
            "{file}: {find} -> {shown}: nothing says {said}: {faults:#?}"
        );
        // A debug build on a busy machine; what these are for would take minutes, or end the process.
        assert!(began.elapsed() < Duration::from_secs(60), "{file}: {find} -> {shown}");
    }
}

#[test]
fn a_value_of_an_example_that_is_typed_into_a_template_is_named_without_showing_it() {
    let typed = |pack, file, find, put: &str, said| (pack, file, find, put.to_owned(), said);
    found([
        typed(
            "hl7v2-uk",
            "templates/parts/pid.hl7",
            "{{ patient.date_of_birth | hl7_date }}",
            "19850412",
            "patient.date_of_birth of example",
        ),
        typed(
            "hl7v2-uk",
            "templates/parts/author.hl7",
            "{{ author.author.display_name }}",
            "Grace Okafor",
            "author.author.display_name of example",
        ),
        typed(
            "fhir-uk-core",
            "templates/parts/author.json",
            "{{ author.author.display_name }}",
            "Grace Okafor",
            "author.author.display_name of example",
        ),
        typed(
            "_template",
            "templates/note.hl7",
            "{{ patient.name.family }}",
            "Testpatient",
            "patient.name.family of example",
        ),
        typed(
            "soap-notes",
            "templates/create_note.xml",
            "{{ message.document_id }}",
            "01JNBRZC5M8Q4T7V9XA2E3F4G1",
            "of example",
        ),
    ]);
    let (_folder, pack) = changed("_template", &[("templates/note.hl7", "{{ patient.name.family }}", "Testpatient")]);
    assert!(faults(&pack).iter().filter(|f| f.contains("is typed here")).all(|f| !f.contains("Testpatient")));
}

#[test]
fn a_row_of_accept_that_refuses_nothing_is_named() {
    let lost = |pack, file, find, put: &str, said| (pack, file, find, put.to_owned(), said);
    found([
        lost(
            "hl7v2-uk",
            "maps/ref_i12.toml",
            "accept.\"NTE-2[no_source]",
            "accept.\"NTE-92[no_source]",
            "no example is refused by accept on NTE-92",
        ),
        lost(
            "fhir-uk-core",
            "maps/service_request.toml",
            "\"$.modifierExtension[*]\" =",
            "\"$.modifierExtensions[*]\" =",
            "no example is refused by accept on $.modifierExtensions",
        ),
        lost(
            "fhir-uk-core",
            "maps/patient.toml",
            "\"$.active\" =",
            "\"$.Active\" =",
            "no example is refused by accept on $.Active",
        ),
    ]);
}

#[test]
fn what_says_that_something_failed_is_never_a_proof_of_filing() {
    let positive = |pack, find, put: &str| (pack, "adapter.toml", find, put.to_owned(), "can never be positive");
    found([
        positive("document-folder", "err      = \"refused\"", "err      = \"positive\""),
        positive("document-folder", "REJECTED = \"refused\"", "REJECTED = \"positive\""),
        positive("document-folder", "FILED = \"positive\"", "\"*\" = \"positive\""),
        positive("hl7v2-uk", "206 = \"retry\"", "206 = \"positive\""),
    ]);
}

#[test]
fn what_a_spreadsheet_made_of_a_code_is_told() {
    for damage in ["01/02/2026", "1/2/26", "2026-02-01", "01-Feb-26", "1:02"] {
        found([("fhir-uk-core", "codes/hours_band.csv", "NOT_KNOWN,99", format!("NOT_KNOWN,{damage}"), "into a date")]);
    }
    for damage in ["\"1,000\"", "100%", "'01", "\"=\"\"01\"\"\""] {
        found([(
            "fhir-uk-core",
            "codes/hours_band.csv",
            "NOT_KNOWN,99",
            format!("NOT_KNOWN,{damage}"),
            "as a spreadsheet shows it",
        )]);
    }
    // Two codes in one are not thousands.
    let (_folder, pack) = changed("fhir-uk-core", &[("codes/hours_band.csv", "NOT_KNOWN,99", "NOT_KNOWN,\"1,2\"")]);
    assert!(faults(&pack).iter().all(|f| !f.contains("spreadsheet")));
}

#[test]
fn a_pack_that_would_hang_or_overflow_its_reader_is_refused_with_a_place() {
    let appended = format!("PV1|1|O{{% set a = entry.headings %}}{}", "{% set a = a | append(a) %}".repeat(30));
    let branches = format!("PV1|1|O{{% if entry %}}{}{{% endif %}}", "{% elif entry %}".repeat(8000));
    let filters = format!("PV1|1|O{{{{ entry.title{} }}}}", " | upper".repeat(8000));
    let nested = format!("$.name[?{}@.use == 'official'{}]", "(".repeat(2000), ")".repeat(2000));
    let negated = format!("$.name[?{}@.use]", "!".repeat(2000));
    found([
        ("_template", "templates/note.hl7", "PV1|1|O", appended, "makes a list of more than"),
        ("_template", "templates/note.hl7", "PV1|1|O", branches, "has more than"),
        ("_template", "templates/note.hl7", "PV1|1|O", filters, "a tag is longer than"),
        ("fhir-uk-core", "maps/patient.toml", "$.name[?@.use == 'official']", nested, "longer than 1000"),
        ("fhir-uk-core", "maps/patient.toml", "$.name[?@.use == 'official']", negated, "longer than 1000"),
        (
            "fhir-uk-core",
            "maps/patient.toml",
            "$.name[?@.use == 'official']",
            format!("$.name[?{}@.use{}]", "(".repeat(30), ")".repeat(30)),
            "nests more than",
        ),
        (
            "fhir-uk-core",
            "maps/patient.toml",
            "match(@.system, '(?i) *(https?://fhir[.]nhs[.](uk",
            "match(@.system, '(?i) *(https?://fhir[.nhs[.](uk".to_owned(),
            "is no regular expression",
        ),
    ]);
}

/// What people do write passes: many comparisons, and an expression with an escape.
#[test]
fn a_long_path_that_means_something_is_no_fault() {
    let many = (0..30).map(|n| format!("@.use != 'x{n}'")).collect::<Vec<_>>().join(" && ");
    for path in [format!("$.name[?{many}]"), "$.name[?match(@.use, 'it\\\\\\\\.s')]".to_owned()] {
        let (_folder, pack) =
            changed("fhir-uk-core", &[("maps/patient.toml", "$.name[?@.use == 'usual']", path.as_str())]);
        let said = faults(&pack);
        assert!(said.iter().all(|f| !f.contains("nests more than") && !f.contains("regular expression")), "{said:#?}");
    }
}

#[test]
fn a_file_that_a_row_names_otherwise_is_never_guessed_at() {
    let named = |put: &str, said| ("hl7v2-uk", "adapter.toml", "maps/ref_i12.toml", put.to_owned(), said);
    found([
        named("maps/REF_I12.toml", "maps/ref_i12.toml is there: capitals count"),
        named("maps/ref_12.toml", "maps/ref_12.toml is missing; add the file"),
    ]);
    let (_folder, pack) = changed("hl7v2-uk", &[("adapter.toml", "maps/ref_i12.toml", "maps/ref_12.toml")]);
    assert!(faults(&pack).iter().all(|f| !f.contains("did you mean \"maps/")));
    found([(
        "fhir-uk-core",
        "adapter.toml",
        "\"Patient?identifier=",
        "\"https://elsewhere.example/Patient?identifier=".to_owned(),
        "is not a path below the endpoint's address",
    )]);
}

/// A code that the sender wrote and the table lacks is none of those that are accepted, whatever the table writes for it elsewhere.
#[test]
fn a_replacement_turns_no_refusal_round() {
    let replaced =
        "\n[codes.referral_status]\nfile = \"codes/referral_status.csv\"\nmissing = { replacement = \"waiting\" }\n";
    let (_folder, pack) = changed("hl7v2-uk", &[("adapter.toml", "[codes.referral_status]\n", "[codes.gone]\n")]);
    let text = std::fs::read_to_string(pack.join("adapter.toml")).expect("the manifest");
    let start = text.find("[codes.gone]").expect("changed");
    let end = text[start + 1..].find("\n[").map_or(text.len(), |n| start + 1 + n);
    let mended = format!("{}{}{replaced}", &text[..start], &text[end..]);
    std::fs::write(pack.join("adapter.toml"), mended).expect("written");
    let said = faults(&pack);
    assert!(said.iter().all(|f| !f.contains("parse-ref") || !f.contains("expected.err")), "{said:#?}");
}
