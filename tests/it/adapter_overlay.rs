//! A pack laid over another: what it takes over, what it must say itself, and where each fault is.

use crate::adapter_breaks::{copy, pack_folder};
use ips_bridge::adapter::{Fault, Pack, Packs, ReplyRules, check::check, examples, fhir};
use ips_bridge::domain::verdict::Meaning;
use ips_bridge::verdict::verdict;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const HEAD: &str = "schema = 1\nid = \"over\"\nextends = \"hl7v2-uk\"\nname = \"An overlay\"\nversion = \"0.1.0\"\nstatus = \"draft\"\nowners = [\"interfaces@trust.example\"]\n";

/// A folder with the UK pack, and an overlay `over` whose manifest is `HEAD` and `more`.
fn over(more: &str, files: &[(&str, &str)]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    copy(&pack_folder("hl7v2-uk"), &folder.path().join("hl7v2-uk"));
    let pack = write(folder.path(), "over", &format!("{HEAD}{more}"), files);
    (folder, pack)
}

fn write(packs: &Path, id: &str, manifest: &str, files: &[(&str, &str)]) -> PathBuf {
    let pack = packs.join(id);
    for (path, text) in [("adapter.toml", manifest)].iter().chain(files) {
        let file = pack.join(path);
        fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        fs::write(file, text).expect("written");
    }
    pack
}

fn shown(faults: &[Fault]) -> Vec<String> {
    faults.iter().map(ToString::to_string).collect()
}

fn load_faults(more: &str, files: &[(&str, &str)]) -> Vec<String> {
    let (_folder, pack) = over(more, files);
    Pack::load(&pack).err().map(|f| shown(&f)).unwrap_or_default()
}

/// What the first note of the examples becomes.
fn note(pack: &Path) -> String {
    let pack = Pack::load(pack).unwrap_or_else(|f| panic!("{:?}", shown(&f)));
    pack.render_example("render-note", &Default::default()).expect("renders").text_for_display
}

#[test]
fn what_an_overlay_does_not_say_is_the_bases() {
    let (_folder, pack) = over("", &[]);
    assert_eq!(note(&pack), note(&pack_folder("hl7v2-uk")));
    let pack = Pack::load(&pack).expect("loads");
    let base = Pack::load(&pack_folder("hl7v2-uk")).expect("loads");
    assert_eq!((pack.pin().as_str(), pack.renders()), ("over@0.1.0", base.renders()));
    assert_eq!(pack.parses(), base.parses());
    assert_eq!(pack.manifest.extends.as_deref(), Some("hl7v2-uk"));
}

#[test]
fn a_manifest_is_merged_key_by_key() {
    let more = "[settings]\ndocument_type = { default = \"CN\" }\nnote_code = { help = \"said anew\", example = \"1\" }\n[reply]\nAE = \"retry\"\n\"204\" = \"retry\"\n[codes.gender]\nmissing = { replacement = \"GENDER_NOT_KNOWN\" }\n";
    let (_folder, pack) = over(more, &[]);
    let pack = Pack::load(&pack).expect("loads");
    let setting = |name: &str| pack.manifest.settings.get(name).expect("there").clone();
    assert_eq!(setting("document_type").default, Some("CN".into()));
    assert!(setting("document_type").help.contains("TXA-2"), "the base's help stays");
    assert_eq!(setting("note_code").default, None, "a setting with a help of its own is said anew");
    let rules = pack.reply_rules(&toml::Table::new()).expect("rules");
    let ReplyRules::Hl7(rules) = rules else { panic!("an HL7 pack") };
    let row = |code: &str| format!("{:?}", rules.errors.get(code).or(rules.acks.get(code)).expect("a row"));
    assert_eq!((row("AE"), row("204"), row("205")), ("Retry".into(), "Retry".into(), "Duplicate".into()));
}

#[test]
fn rows_are_replaced_by_their_key_and_new_ones_stand_first() {
    let t02 = "template = \"templates/mdm_t02.hl7\"\ntext_code = \"settings.note_code\"\n";
    let t11 = "template = \"templates/mdm_t11.hl7\"\n";
    let count = |more: &str, entry: &str| -> Vec<(String, usize)> {
        let (_folder, pack) = over(more, &[]);
        let pack = Pack::load(&pack).unwrap_or_else(|f| panic!("{:?}", shown(&f)));
        let rows = pack.manifest.render.iter().filter(|r| r.entry == entry);
        rows.map(|r| (r.template.clone(), r.when.len())).collect()
    };
    // The same entry and `when`: replaced in its place.
    let same = format!("[[render]]\nentry = \"note.replace\"\nwhen = {{ replace_as = \"T08\" }}\n{t02}");
    assert_eq!(count(&same, "note.replace"), [("mdm_t10.hl7".into(), 1), ("mdm_t02.hl7".into(), 1)]);
    // Another `when`: first.
    let new = format!("[[render]]\nentry = \"note.create\"\nwhen = {{ send_address = true }}\n{t02}");
    assert_eq!(count(&new, "note.create"), [("mdm_t02.hl7".into(), 1), ("mdm_t02.hl7".into(), 0)]);
    // None: for all of them.
    let all = format!("[[render]]\nentry = \"note.withdraw\"\n{t11}");
    assert_eq!(count(&all, "note.withdraw"), [("mdm_t11.hl7".into(), 0)]);
    // A choice that is taken away takes its rows with it.
    let less = "[settings]\nreplace_as = { choices = [\"T10\"] }\n";
    assert_eq!(count(less, "note.replace"), [("mdm_t10.hl7".into(), 1)]);
    assert_eq!(count("[without]\nentries = [\"referral_reply.create\"]\n", "referral_reply.create"), []);
}

/// An overlay of the FHIR pack, with these lines behind its head.
fn over_fhir(more: &str) -> (TempDir, Result<Pack, Vec<String>>) {
    let folder = tempfile::tempdir().expect("a folder");
    copy(&pack_folder("fhir-uk-core"), &folder.path().join("fhir-uk-core"));
    let manifest = format!("{}{more}", HEAD.replace("hl7v2-uk", "fhir-uk-core"));
    let pack = Pack::load(&write(folder.path(), "over", &manifest, &[])).map_err(|f| shown(&f));
    (folder, pack)
}

#[test]
fn what_the_record_is_asked_and_what_replies_mean_can_be_left_out_whole() {
    let rules = |pack: &Pack| match pack.reply_rules(&toml::Table::new()).expect("rules") {
        ReplyRules::Http(rules) => rules,
        _ => panic!("a FHIR pack"),
    };
    let (_folder, plain) = over_fhir("");
    let plain = plain.expect("loads");
    assert!(plain.manifest.reads_back && !plain.manifest.lookups.is_empty());
    assert!(rules(&plain).issue("transient").is_some());

    let more =
        "[without]\nread_back = true\nreply = true\n[reply]\n\"5xx\" = \"unknown\"\n\"issue.lock-error\" = \"retry\"\n";
    let (_folder, pack) = over_fhir(more);
    let pack = pack.expect("loads");
    assert!(!pack.manifest.reads_back);
    let rules = rules(&pack);
    assert_eq!((rules.issue("transient"), rules.issue("duplicate")), (None, None), "none of the base's rows");
    assert_eq!(rules.status(500), rules.status(599), "its own");
    assert!(rules.issue("lock-error").is_some(), "its own");
    assert_eq!(rules.status(429), fhir::HttpRules::default().status(429), "under them the usual ones");

    // What is left out is not there for templates either: the one that uses it is named.
    let (_folder, pack) = over_fhir("[without]\nlookups = [\"patient\"]\n");
    let faults = pack.expect_err("the subject is looked up");
    assert!(faults.iter().any(|f| f.starts_with("../fhir-uk-core/templates/parts/subject.json:")), "{faults:?}");
}

#[test]
fn what_millennium_may_have_filed_is_never_tried_again_whatever_the_base_says_of_replies() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters/oracle-millennium");
    let pack = Pack::load(&folder).expect("loads");
    assert!(pack.manifest.lookups.is_empty() && !pack.manifest.reads_back && pack.parses().is_empty());
    assert!(!pack.renders().iter().any(|entry| entry.starts_with("referral_reply")));
    let rules = pack.reply_rules(&toml::Table::new()).expect("rules");
    let sent = fs::read(folder.join("examples/reply-500/request.http")).expect("a request");
    let issue = |code: &&str| {
        format!(r#"{{"resourceType":"OperationOutcome","issue":[{{"severity":"error","code":"{code}"}}]}}"#)
    };
    let bodies: Vec<String> = fhir::ISSUE_TYPES.iter().map(issue).chain([String::new()]).collect();
    for status in 100..600 {
        for body in &bodies {
            let said = verdict(format!("HTTP {status}\n\n{body}").as_bytes(), &rules, "", &sent);
            let expected = match status {
                // Some say so of what they have already: it may be in the record.
                _ if body.contains("\"duplicate\"") => Meaning::Unknown,
                202 if body.is_empty() => Meaning::Positive,
                401 | 425 | 429 | 503 => Meaning::Retry,
                408 => Meaning::Unknown,
                400..500 => Meaning::Refused,
                _ => Meaning::Unknown,
            };
            assert_eq!((said.meaning, said.duplicate), (expected, false), "{status} {body}");
        }
    }
}

#[test]
fn a_template_of_the_base_that_nothing_uses_is_not_looked_at() {
    let settings = "settings = [\"outcome_code\", \"outcome_code_text\"]\n";
    let (_folder, pack) = over_fhir(&format!("[without]\n{settings}"));
    let faults = pack.expect_err("outcomes print them");
    let used = "../fhir-uk-core/templates/parts/observation_code.json:";
    assert!(faults.iter().all(|f| f.starts_with(used)) && !faults.is_empty(), "{faults:?}");
    let entries = "entries = [\"outcome.create\", \"outcome.replace\", \"outcome.withdraw\"]\n";
    let (_folder, pack) = over_fhir(&format!("[without]\n{settings}{entries}"));
    assert!(pack.is_ok(), "{pack:?}");
    // A pack's own is looked at, used or not.
    let faults = load_faults("", &[("templates/parts/zzz.hl7", "ZZZ|{{ settings.nothing }}\n")]);
    assert!(faults.iter().any(|f| f.starts_with("templates/parts/zzz.hl7:1:") && f.contains("nothing")), "{faults:?}");
}

#[test]
fn cases_are_left_out_by_name_or_by_how_they_begin() {
    let done = |more: &str| -> Vec<String> {
        let (_folder, pack) = over(more, &[("examples/parse-ref-mine/message.hl7", "x")]);
        let report = examples::test(&pack, false, verdict);
        let names = report.done.iter().chain(&shown(&report.faults)).cloned().collect::<Vec<_>>();
        ["parse-ref:", "parse-ref-full:", "parse-ref-mine", "parse-adt-a01:"]
            .into_iter()
            .filter(|case| names.iter().any(|line| line.contains(case)))
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(done(""), ["parse-ref:", "parse-ref-full:", "parse-ref-mine", "parse-adt-a01:"]);
    assert_eq!(
        done("[without]\nexamples = [\"parse-ref\"]\n"),
        ["parse-ref-full:", "parse-ref-mine", "parse-adt-a01:"]
    );
    assert_eq!(done("[without]\nexamples = [\"parse-ref*\"]\n"), ["parse-ref-mine", "parse-adt-a01:"], "its own stays");
}

/// It would choose nothing, and the base's own go on being chosen.
#[test]
fn a_misspelt_repetition_is_a_fault_on_its_own_line() {
    let (_folder, pack) = over("[repetitions]\nother_number = \"4=NH\"\nnhs_numbr = \"4=NHS\"\n", &[]);
    let faults = shown(&check(&pack, verdict).faults);
    let said: Vec<_> = faults.iter().filter(|f| f.contains("[repetitions]")).collect();
    let line = HEAD.lines().count() + 3;
    assert_eq!(said.len(), 1, "{faults:?}");
    assert!(said[0].starts_with(&format!("adapter.toml:{line}: ")) && said[0].contains("nhs_number"), "{}", said[0]);
}

#[test]
fn a_doubt_names_the_file_and_line_where_its_row_stands() {
    let doubts = |id: &str| -> Vec<String> {
        let done = check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters").join(id), verdict).done;
        done.into_iter().filter(|line| line.contains(" is a POST without If-None-Exist")).collect()
    };
    let manifest = fs::read_to_string("adapters/oracle-millennium/adapter.toml").expect("readable");
    let said = doubts("oracle-millennium");
    assert_eq!(said.len(), 2, "{said:?}");
    for (doubt, entry) in said.iter().zip(["note.create", "outcome.create"]) {
        let line = doubt.split(':').nth(1).and_then(|n| n.parse::<usize>().ok()).expect("a line");
        let row: Vec<&str> = manifest.lines().skip(line - 1).take(2).collect();
        assert!(doubt.starts_with("adapter.toml:") && doubt.contains(entry), "{doubt}");
        assert!(row[0] == "[[render]]" && row[1].contains(entry), "{doubt}: {row:?}");
    }
}

#[test]
fn a_file_replaces_the_bases_of_the_same_path() {
    let (_folder, pack) = over("", &[("templates/parts/version.hl7", "2.5.1\n")]);
    assert!(note(&pack).starts_with("MSH|^~\\&|IPSBRIDGE|RZZ|EPR|RZZ|") && note(&pack).contains("|2.5.1|"));
    let csv = "ours,theirs,note\nGENDER_MALE,X,\n";
    let faults = load_faults("", &[("codes/gender_letter.csv", csv)]);
    assert_eq!(faults, Vec::<String>::new());
    let (_folder, pack) = over("", &[("codes/gender_letter.csv", csv)]);
    let report = examples::test(&pack, false, verdict);
    assert!(
        shown(&report.faults).iter().any(|f| f.contains("codes/gender_letter.csv") || f.contains("render-note")),
        "a table is replaced whole"
    );
}

#[test]
fn an_overlay_says_what_it_gives_otherwise_and_inherits_the_rest() {
    let (_folder, pack) =
        over("[settings]\ndocument_type = { default = \"CN\" }\n", &[("examples/render-note/expected.hl7", "")]);
    // Its settings alone change nothing of the base's cases, which run with the base's.
    let report = examples::test(&pack, false, verdict);
    assert_eq!(shown(&report.faults).len(), 1, "{:?}", shown(&report.faults));
    assert!(shown(&report.faults)[0].contains("is not what example render-note expects"), "{:?}", report.faults);
    assert!(examples::test(&pack, true, verdict).is_good());
    let expected = fs::read_to_string(pack.join("examples/render-note/expected.hl7")).expect("written");
    assert!(expected.contains("TXA|1|CN|"), "its own case runs with its own settings");
    assert_eq!(fs::read_dir(pack.join("examples")).expect("examples").count(), 1, "and only that case is its own");

    // A template changes them: each then needs an expected file of the overlay's own.
    let (_folder, pack) = over("", &[("templates/parts/version.hl7", "2.5.1\n")]);
    let faults = examples::test(&pack, false, verdict).faults;
    assert!(faults.len() == 1 && faults[0].what.contains(" other examples: "), "{faults:?}");
    assert!(faults.iter().all(|f| f.hint.contains("this pack's own")), "{faults:?}");
    assert!(examples::test(&pack, true, verdict).is_good());
    assert!(examples::test(&pack, false, verdict).is_good(), "one blessing is enough");
    assert!(pack.join("examples/render-note/expected.hl7").is_file());
    assert!(!pack.join("examples/reply-aa").exists() && !pack.join("examples/render-note/input.json").exists());
}

#[test]
fn one_blessing_is_enough_where_settings_and_templates_differ() {
    let more = "[settings]\ndocument_type = { default = \"CN\" }\n";
    let (_folder, pack) = over(more, &[("templates/parts/version.hl7", "2.5.1\n")]);
    assert!(examples::test(&pack, true, verdict).is_good());
    assert_eq!(shown(&examples::test(&pack, false, verdict).faults), [""; 0]);
    let expected = fs::read_to_string(pack.join("examples/render-note/expected.hl7")).expect("written");
    assert!(
        expected.contains("|2.5.1|") && expected.contains("TXA|1|CN|"),
        "with its own settings, as it counts from now on"
    );
}

#[test]
fn what_the_base_carries_and_the_overlay_cannot_must_be_said() {
    let more = "[settings]\ncharset = { default = \"8859/1\" }\n";
    let (_folder, pack) = over(more, &[]);
    let faults = shown(&examples::test(&pack, false, verdict).faults);
    assert!(
        faults
            .iter()
            .any(|f| f.contains("render-note-welsh") && f.contains("cannot be made with this pack's settings")),
        "{faults:?}"
    );
    // What was carried and is carried no longer is said by hand, case by case.
    let refused = shown(&examples::test(&pack, true, verdict).faults);
    assert!(refused.iter().any(|f| f.contains("render-note-welsh") && f.contains("by hand")), "{refused:?}");
    for fault in &refused {
        let case = fault.split("examples/").nth(1).and_then(|rest| rest.split('/').next()).expect("a case");
        fs::create_dir_all(pack.join("examples").join(case)).expect("made");
        fs::write(pack.join("examples").join(case).join("expected.err"), "").expect("written");
    }
    assert!(examples::test(&pack, true, verdict).is_good());
    assert!(
        fs::read_to_string(pack.join("examples/render-note-welsh/expected.err"))
            .expect("there")
            .contains("cannot be carried")
    );
    assert!(examples::test(&pack, false, verdict).is_good(), "the base's expected.hl7 no longer counts");
}

#[test]
fn chains_are_bounded_and_cycles_and_missing_bases_are_named_with_their_line() {
    assert!(load_faults("", &[]).is_empty());
    let of = |base: &str| HEAD.replace("\"hl7v2-uk\"", &format!("\"{base}\""));
    let folder = tempfile::tempdir().expect("a folder");
    copy(&pack_folder("hl7v2-uk"), &folder.path().join("hl7v2-uk"));
    let at =
        |id: &str, manifest: &str| write(folder.path(), id, &manifest.replace("\"over\"", &format!("\"{id}\"")), &[]);
    let said = |pack: &Path| Pack::load(pack).err().map(|f| shown(&f)).unwrap_or_default();
    assert_eq!(
        said(&at("a", &of("hl7v2-ku"))),
        ["adapter.toml:3: extends \"hl7v2-ku\", and there is no such pack beside it; did you mean \"hl7v2-uk\"?"]
    );
    at("b", &of("a"));
    let a = at("a", &of("b"));
    let cycle = said(&a);
    assert!(
        cycle.len() == 1 && cycle[0].starts_with("../b/adapter.toml:3: extends \"a\", and so itself: a over b over a"),
        "{cycle:?}"
    );
    assert!(said(&at("me", &of("me")))[0].starts_with("adapter.toml:3: extends \"me\", and so itself"));
    for (id, base) in [("c1", "hl7v2-uk"), ("c2", "c1"), ("c3", "c2"), ("c4", "c3")] {
        assert_eq!(said(&at(id, &of(base))), Vec::<String>::new(), "{id}");
    }
    assert!(said(&at("c5", &of("c4"))).iter().any(|f| f.contains("one pack too many")));
    for bad in ["../hl7v2-uk", "", "HL7", "a/b"] {
        let faults = said(&at("odd", &of(bad)));
        assert!(
            faults.len() == 1 && faults[0].starts_with("adapter.toml:3: extends is not the id of a pack"),
            "{bad} {faults:?}"
        );
    }
    let faults = said(&at("pinned", &of("hl7v2-uk@99.0.0")));
    assert!(faults[0].starts_with("adapter.toml:3: extends hl7v2-uk@99.0.0, and the folder holds "), "{faults:?}");
    let there = Pack::load(&folder.path().join("hl7v2-uk")).expect("loads").pin();
    assert_eq!(said(&at("pinned", &of(&there))), Vec::<String>::new());
}

#[test]
fn a_changed_base_changes_the_fingerprint_of_what_lies_over_it() {
    let (folder, pack) = over("", &[]);
    let fingerprint = || Pack::load(&pack).expect("loads").fingerprint().to_owned();
    let before = fingerprint();
    let file = folder.path().join("hl7v2-uk/codes/priority.csv");
    let text = fs::read_to_string(&file).expect("a table");
    fs::write(&file, format!("{text}\n")).expect("written");
    assert_ne!(before, fingerprint());
    fs::write(&file, text).expect("written");
    assert_eq!(before, fingerprint());
    fs::write(folder.path().join("hl7v2-uk/README.md"), "other words").expect("written");
    assert_eq!(before, fingerprint(), "a README shapes no bytes");
}

#[test]
fn each_break_of_an_overlay_is_named_where_it_is() {
    let own = "../hl7v2-uk/";
    for (more, files, place, word) in [
        (
            "[settings]\ndocument_typ = { default = \"CN\" }\n",
            vec![],
            "adapter.toml:9:",
            "did you mean \"document_type\"?",
        ),
        ("[settings]\nreplace_as = { default = \"T12\" }\n", vec![], "adapter.toml:9:", "must be one of"),
        ("[reply]\nAE = \"positive\"\n", vec![], "adapter.toml:9:", "never be positive"),
        ("[reply]\n206 = \"rety\"\n", vec![], "adapter.toml:9:", "rety"),
        ("[setings]\n", vec![], "adapter.toml:8:", "unknown key \"setings\""),
        ("extend = \"x\"\n", vec![], "adapter.toml:8:", "did you mean \"extends\"?"),
        ("format = \"fhir\"\n", vec![], "adapter.toml:8:", "not the base's"),
        (
            "[codes.gender]\nfile = \"codes/gendre.csv\"\n",
            vec![],
            "adapter.toml:8:",
            "did you mean \"codes/gender.csv\"",
        ),
        (
            "[[render]]\nentry = \"note.creat\"\ntemplate = \"templates/mdm_t02.hl7\"\n",
            vec![],
            "adapter.toml:9:",
            "note.creat",
        ),
        (
            "[[render]]\nentry = \"note.create\"\ntemplate = \"templates/mdm_t03.hl7\"\n",
            vec![],
            "adapter.toml:8:",
            "mdm_t02.hl7",
        ),
        ("[[parse]]\nmessage = \"REF^I12\"\nmap = \"maps/ref_i99.toml\"\n", vec![], "adapter.toml:8:", "ref_i12"),
        ("[without]\nentries = [\"note.crate\"]\n", vec![], "adapter.toml:9:", "which the base does not have"),
        ("[without]\nsettings = [\"document_tipe\"]\n", vec![], "adapter.toml:9:", "document_type"),
        ("[without]\nexamples = [\"render-notes\"]\n", vec![], "adapter.toml:9:", "render-note"),
        ("[without]\nexamples = [\"render-nota*\"]\n", vec![], "adapter.toml:9:", "which the base does not have"),
        (
            "[without]\nexamples = [\"*\"]\n",
            vec![],
            "adapter.toml:9:",
            "cases of any kind; begin it with one of render-",
        ),
        ("[without]\nlookups = [\"patient\"]\n", vec![], "adapter.toml:9:", "which the base does not have"),
        ("[without]\ncodes = []\nread_back = true\n", vec![], "adapter.toml:10:", "the base has no [read_back]"),
        ("[without]\nreply = false\n", vec![], "adapter.toml:9:", "takes nothing away"),
        ("[without]\nreply = [\"AE\"]\n", vec![], "adapter.toml:9:", "must be true or false"),
        ("[without]\nmesages = [\"REF^I12\"]\n", vec![], "adapter.toml:9:", "unknown key \"mesages\""),
        ("[without]\nsettings = [\"msh93\"]\n", vec![], "../hl7v2-uk/templates/parts/head.hl7:1:", "msh93"),
        ("[settings\n", vec![], "adapter.toml:8:", "is not TOML"),
        (
            "",
            vec![("templates/parts/pid.hl7", "PID|1||{{ patient.name.familly }}\n")],
            "templates/parts/pid.hl7:1:",
            "familly",
        ),
        ("", vec![("codes/gender.csv", "ours,theirs,note\nGENDER_MAIL,1,\n")], "codes/gender.csv:2:", "GENDER_MALE"),
        ("", vec![("maps/ref_i12.toml", "makes = \"Referal\"\n")], "maps/ref_i12.toml:1:", "Referal"),
    ] {
        let faults = load_faults(more, &files);
        let hit = faults.iter().find(|f| f.starts_with(place) && f.contains(word));
        assert!(hit.is_some(), "{more}{files:?}\n  {}", faults.join("\n  "));
        assert!(faults.iter().all(|f| !f.contains("Testpatient") && !f.contains("9990000018")), "{faults:?}");
        assert!(faults.iter().all(|f| !f.contains(own) || f.starts_with(own)), "{faults:?}");
    }
}

#[test]
fn what_an_overlay_has_too_much_or_too_little_of_is_found() {
    let (folder, pack) = over(
        "[settings]\ndocument_type = { default = \"CN\" }\n",
        &[
            ("README.md", "# over\n## What it connects\n"),
            ("templates/parts/version.hl7", "2.4\n"),
            ("templates/parts/zzz.hl7", "ZZZ|1\n"),
        ],
    );
    let faults = shown(&check(&pack, verdict).faults);
    for (place, word) in [
        ("README.md:", "What is known, and from where"),
        ("README.md:", "What is assumed"),
        ("README.md:", "setting `document_type`"),
        ("templates/parts/version.hl7:", "is the same as the base's"),
        ("templates/parts/zzz.hl7:", "is used by nothing"),
        ("examples:", "with its own settings"),
    ] {
        assert!(faults.iter().any(|f| f.starts_with(place) && f.contains(word)), "{place} {word}: {faults:?}");
    }
    assert!(
        !faults.iter().any(|f| f.contains("`charset`")),
        "the base's README explains the base's settings: {faults:?}"
    );
    // A broken base is told once, in the base's file.
    let map = folder.path().join("hl7v2-uk/maps/ref_i12.toml");
    fs::write(&map, "makes = \"Referal\"\n").expect("written");
    let faults = shown(&Packs::load_folder(folder.path()).expect_err("broken"));
    assert!(faults.len() == 1 && faults[0].starts_with("hl7v2-uk/maps/ref_i12.toml:1:"), "{faults:?}");
}
