//! Commands that need no running bridge, and what every command's exit code says.

use crate::support::binary::run;
use crate::support::{free_addr, temp_dir};
use std::path::Path;

fn file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("the test's own folder");
    path.display().to_string()
}

#[test]
fn exit_codes_are_what_help_says() {
    let help = run(&["help"]).exits(0);
    for line in [
        "0  done",
        "1  something was refused",
        "2  the command line or the configuration",
        "3  the bridge cannot be reached",
    ] {
        assert!(help.out.contains(line), "{}", help.out);
    }
    run(&[]).exits(2);
    run(&["outbox", "list", "--state", "no-such-state"]).exits(2);
    run(&["outbox", "retry", "--because", "x"]).exits(2);
    run(&["status", "--server", "https://127.0.0.1:1"]).exits(2);
    let nobody = run(&["status", "--server", &free_addr().to_string()]).exits(3);
    assert!(nobody.err.contains("no bridge answers at http://127.0.0.1:"), "{}", nobody.err);
    run(&["adapter", "check", "no/such/folder"]).exits(2);
    run(&["serve", "--config", "no/such/file.toml"]).exits(2);
}

#[test]
fn completions_name_the_commands_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&["completions", shell]).exits(0).out;
        assert!(script.contains("simulate-epr") && script.contains("check-config"), "{shell}");
    }
    assert!(run(&["completions", "bash"]).out.contains("text-too-long"), "park reasons can be completed");
}

#[test]
fn bash_completes_what_stands_below_the_first_word() {
    let script = run(&["completions", "bash"]).exits(0).out;
    let ask =
        "COMP_WORDS=(ips-bridge outbox ''); COMP_CWORD=2; _ips__bridge ips-bridge '' outbox; echo ${COMPREPLY[@]}";
    let bash = std::process::Command::new("bash").args(["--norc", "-c", &format!("{script}\n{ask}")]).output();
    let said = String::from_utf8(bash.expect("bash").stdout).expect("text");
    assert!(said.contains("rerender") && said.contains("export"), "{said}");
}

#[test]
fn every_fault_of_a_configuration_is_said_at_once_by_check_config_and_by_serve() {
    let folder = temp_dir();
    let broken = file(
        folder.path(),
        "broken.toml",
        "[server]\nlisten = \"0.0.0.0:1\"\nlissen = 1\n[limits]\nmin_free_disk_bytes = -1\n",
    );
    let checked = run(&["check-config", &broken]).exits(2);
    for fault in ["broken.toml:2: ", "broken.toml:3: ", "broken.toml:5: "] {
        assert!(checked.out.contains(fault), "{fault} is not in\n{}", checked.out);
    }
    let json = run(&["check-config", &broken, "--json"]).exits(2).json();
    assert_eq!((json["good"].as_bool(), json["faults"].as_array().map(Vec::len)), (Some(false), Some(3)));

    let served = run(&["serve", "--config", &broken]).exits(2);
    let lines = served.err.lines().filter(|l| l.contains("broken.toml:")).count();
    assert_eq!(lines, 3, "one fault a line:\n{}", served.err);
}

#[test]
fn what_config_and_pack_say_of_each_other_is_checked_too() {
    let folder = temp_dir();
    let example = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/trusts/rz9.toml"))
        .expect("the example");
    let without_staff =
        example.replace("staff_file = \"../staff/rz9.csv\"", "").replace("require_mapped_staff = true", "");
    let packs = format!(
        "[packs]\nfolder = \"{}/adapters\"\n[server]\ndevelopment_principal = true\n",
        env!("CARGO_MANIFEST_DIR")
    );
    let unlike = without_staff.replace("withdraw_as = \"T11\"", "withdraw_as = \"T99\"");
    let config = file(folder.path(), "c.toml", &(packs.clone() + &unlike));
    let checked = run(&["check-config", &config]).exits(2);
    assert!(checked.out.contains("rz9-rio") && checked.out.contains("withdraw_as"), "{}", checked.out);
    // What no rule lists is answered AA and thrown away: a merge must not be, for want of a letter.
    let misspelt = without_staff.replace("\"ADT^A40\"", "\"ATD^A40\"");
    let config = file(folder.path(), "m.toml", &(packs + &misspelt));
    let checked = run(&["check-config", &config]).exits(2);
    for said in ["lists ATD^A40", "did you mean \"ADT^A40\"?", "no rule lists ADT^A40: merges would be ignored"] {
        assert!(checked.out.contains(said), "{said} is not in\n{}", checked.out);
    }
}

/// What is wrong in one place hides nothing that is wrong in another.
#[test]
fn a_missing_include_a_wrong_setting_and_an_unknown_adapter_hide_no_other_fault() {
    let folder = temp_dir();
    let example = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/trusts/rz9.toml"))
        .expect("the example");
    let (before, route) = example.split_once("[[route]]").expect("a route");
    let (trust, endpoint) = before.split_once("[[endpoint]]").expect("an endpoint");
    let trust = trust.replace("staff_file = \"../staff/rz9.csv\"", "");
    let endpoint = endpoint.replace("require_mapped_staff = true", "").replace("\"T11\"", "\"T99\"");
    // One with a fault of its own, one whose adapter nobody knows, and a route and a principal that speak of what may stand in the missing file.
    let half = endpoint.replace("environment = \"test\"", "environment = \"tset\"");
    let unknown = endpoint
        .replace("rz9-rio", "rz9-two")
        .replace("\"rio", "\"riio")
        .replace(":2611", ":2612")
        .replace("\"RZ9\"\nmaint", "\"RZ8\"\nmaint");
    let text = format!(
        "include = [\"nothing/*.toml\"]\n[packs]\nfolder = \"{}/adapters\"\n[server]\ndevelopment_principal = true\n{trust}\n[[endpoint]]{half}\n\
         [[endpoint]]{unknown}\n[[route]]{route}\n[[route]]\ntrust = \"RY9\"\nendpoint = \"ry9-paris\"\nmisspelt = 1\n",
        env!("CARGO_MANIFEST_DIR")
    );
    let checked = run(&["check-config", &file(folder.path(), "c.toml", &text)]).exits(2);
    for said in [
        "matches no file",
        "endpoint.environment",
        "endpoint rz9-rio: ",
        "endpoint rz9-two: pack: there is no pack \"riio\"; did you mean \"rio\"?",
        "endpoint rz9-two: held against rio@",
        "unknown key route.misspelt",
    ] {
        assert!(checked.out.contains(said), "{said} is not in\n{}", checked.out);
    }
    assert_eq!(checked.out.matches("withdraw_as").count(), 2, "one for each of the two\n{}", checked.out);
    for unsaid in ["RY9", "ry9-paris"] {
        assert!(!checked.out.contains(unsaid), "{unsaid} may stand in the missing file\n{}", checked.out);
    }
}

#[test]
fn a_store_that_is_late_ends_a_start_with_what_a_supervisor_tries_again() {
    let folder = temp_dir();
    // A port of ours on which nobody will listen.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback");
    let place = taken.local_addr().expect("an address");
    drop(taken);
    let text =
        |host: &str| format!("[server]\ndevelopment_principal = true\n[store]\nurl = \"postgres://ips@{host}/ips\"\n");
    let away = run(&["serve", "--config", &file(folder.path(), "c.toml", &text(&place.to_string()))]).exits(1);
    for said in [place.to_string(), "cannot be reached".into(), "refused".into()] {
        assert!(away.err.contains(&said), "{said} is not in\n{}", away.err);
    }
    let both = ["check-config", "a.toml", "--config", "b.toml"];
    assert!(run(&both).exits(2).err.contains("cannot be used with"));
}

#[test]
fn a_pin_that_the_packs_folder_does_not_hold_is_a_doubt_until_the_record_is_asked() {
    let root = env!("CARGO_MANIFEST_DIR");
    let (folder, listener) = (temp_dir(), std::net::TcpListener::bind("127.0.0.1:0").expect("loopback"));
    let there = listener.local_addr().expect("an address").to_string();
    let example = std::fs::read_to_string(Path::new(root).join("config/trusts/rz9.toml")).expect("the example");
    let text = example
        .replace("staff_file = \"../staff/rz9.csv\"", "")
        .replace("require_mapped_staff = true", "")
        .replace("127.0.0.1:2601", &there)
        .replace("rio@0.1.0", "rio@9.9.9");
    let db = folder.path().join("r.db").display().to_string();
    let head = format!(
        "[packs]\nfolder = \"{root}/adapters\"\n[store]\nurl = \"sqlite://{db}\"\n[server]\ndevelopment_principal = true\n"
    );
    let config = file(folder.path(), "c.toml", &(head.clone() + &text));
    let checked = run(&["check-config", &config]).exits(0);
    for word in ["endpoint rz9-rio pins rio@9.9.9", "holds rio@0.1.0", "a first start is refused", "--connect"] {
        assert!(checked.out.contains(word), "{word} is not in\n{}", checked.out);
    }
    // What else is wrong with it may be so of the folder's pack only.
    let unlike =
        file(folder.path(), "d.toml", &(head + &text.replace("withdraw_as = \"T11\"", "withdraw_as = \"T99\"")));
    let checked = run(&["check-config", &unlike]).exits(0);
    assert!(checked.out.contains("withdraw_as") && checked.out.contains("not the pinned one"), "{}", checked.out);
    // A record in which nothing is active: a start is refused for certain, and so it is.
    let checked = run(&["check-config", &config, "--connect"]).exits(2);
    assert!(checked.out.contains("fault") && checked.out.contains("nothing is active for it"), "{}", checked.out);
    let served = run(&["serve", "--config", &config]).exits(2);
    assert!(served.err.contains("not at version 9.9.9"), "{}", served.err);
}

#[test]
fn the_example_fits_the_packs_it_names() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/example.toml");
    let checked = run(&["check-config", &example.display().to_string()]).exits(0);
    assert!(checked.out.contains("4 endpoints"), "{}", checked.out);
    // As serve takes it, and as the README says it.
    let named = run(&["check-config", "--config", &example.display().to_string()]).exits(0);
    assert_eq!(named.out, checked.out);
}

#[test]
fn connections_are_tried_when_asked_for() {
    let (folder, listener) = (temp_dir(), std::net::TcpListener::bind("127.0.0.1:0").expect("loopback"));
    let there = listener.local_addr().expect("an address").to_string();
    let config = |name: &str, address: &str| {
        let text = format!(
            "[packs]\nfolder = \"{root}/adapters\"\n[store]\nurl = \"sqlite://{db}\"\n[server]\ndevelopment_principal = true\n\
             [[trust]]\nods = \"RZ9\"\nname = \"T\"\nteams = [{{ id = \"n\", name = \"N\" }}]\n\
             [[endpoint]]\nid = \"rz9-epr\"\ntrust = \"RZ9\"\nname = \"RiO\"\nadapter = \"hl7v2-uk\"\ntransport = \"mllp\"\nenvironment = \"test\"\n\
             filed_by = \"application_ack\"\nacknowledged_by = \"record\"\nafter_unknown = \"park\"\nmax_unknown_resends = 0\n\
             [endpoint.mllp]\naddress = \"{address}\"\n[endpoint.settings]\nsending_facility = \"RZ9\"\nreceiving_application = \"E\"\n\
             receiving_facility = \"RZ9\"\nwithdraw_as = \"T11\"\n[[route]]\ntrust = \"RZ9\"\nendpoint = \"rz9-epr\"\n",
            root = env!("CARGO_MANIFEST_DIR"),
            db = folder.path().join("r.db").display(),
        );
        file(folder.path(), name, &text)
    };
    let good = run(&["check-config", &config("good.toml", &there), "--connect"]).exits(0);
    assert!(good.out.contains("ok: reached, without TLS"), "{}", good.out);
    assert!(!folder.path().join("r.db").exists(), "checking makes no store");
    let bad =
        run(&["check-config", &config("bad.toml", &free_addr().to_string()), "--connect", "--json"]).exits(1).json();
    let endpoint = &bad["connections"][1];
    assert_eq!((endpoint["what"].as_str(), endpoint["good"].as_bool()), (Some("endpoint rz9-epr"), Some(false)));
}

#[test]
fn a_pack_is_checked_tested_rendered_and_parsed_without_a_bridge() {
    let tested = run(&["adapter", "test", "adapters/hl7v2-uk", "--json"]).exits(0).json();
    assert_eq!(tested["good"], true);
    let list = run(&["adapter", "list", "--json"]).exits(0).json();
    assert!(list.as_array().into_iter().flatten().any(|p| p["id"] == "hl7v2-uk"));
    let case = "adapters/hl7v2-uk/examples/render-note";
    let rendered = run(&["adapter", "render", "adapters/hl7v2-uk", &format!("{case}/input.json")]).exits(0);
    let expected = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(case).join("expected.hl7"))
        .expect("the example");
    assert_eq!(rendered.out, expected);
    let parsed = run(&["adapter", "parse", "adapters/hl7v2-uk", "adapters/hl7v2-uk/examples/parse-ref/message.hl7"])
        .exits(0)
        .json();
    assert_eq!(parsed["message"], "REF^I12");
    assert_eq!(parsed["not_read"], serde_json::json!([]));
    let refused = run(&[
        "adapter",
        "parse",
        "adapters/hl7v2-uk",
        "adapters/hl7v2-uk/examples/parse-ref-bad-check-digit/message.hl7",
    ])
    .exits(1);
    assert!(refused.out.is_empty() && !refused.err.is_empty());

    let folder = temp_dir();
    let message = std::fs::read_to_string("adapters/hl7v2-uk/examples/parse-ref/message.hl7").expect("the example");
    let of = |second: &str| format!("FHS|^~\\&\nBHS|^~\\&\n{message}{second}BTS|2\nFTS|1\n");
    file(folder.path(), "batch.hl7", &of(&message));
    let batch = folder.path().join("batch.hl7").display().to_string();
    let both = run(&["adapter", "parse", "adapters/hl7v2-uk", &batch]).exits(0).json();
    assert_eq!(both, serde_json::json!([parsed, parsed]), "each of a batch");
    file(folder.path(), "batch.hl7", &of(&message.replace("9990000018", "9990000019")));
    let refused = run(&["adapter", "parse", "adapters/hl7v2-uk", &batch]).exits(1);
    assert!(refused.err.contains("message 2: "), "{}", refused.err);

    let pack = folder.path().join("broken");
    std::fs::create_dir(&pack).expect("the test's own folder");
    file(&pack, "adapter.toml", "schema = 1\nid = \"other\"\n");
    let checked = run(&["adapter", "check", &pack.display().to_string()]).exits(1);
    assert!(checked.out.contains("adapter.toml:"), "{}", checked.out);
}
