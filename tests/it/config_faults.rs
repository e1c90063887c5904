//! The example, broken in many ways: each time, every fault with its place and what to do.

use ips_bridge::config::{Config, Fault};
use std::fmt::Write as _;
use std::path::Path;

pub fn copy_of_example() -> tempfile::TempDir {
    let to = tempfile::tempdir().expect("a folder");
    let from = super::config_example::example_folder();
    for sub in ["", "trusts", "staff"] {
        std::fs::create_dir_all(to.path().join(sub)).expect("a folder");
        for entry in
            std::fs::read_dir(from.join(sub)).expect("a folder").filter_map(Result::ok).filter(|e| e.path().is_file())
        {
            std::fs::copy(entry.path(), to.path().join(sub).join(entry.file_name())).expect("a copy");
        }
    }
    to
}

/// One change: in this file, replace this (which must be there, once at least) by that.
struct Breakage {
    file: &'static str,
    from: &'static str,
    to: &'static str,
}

const fn b(file: &'static str, from: &'static str, to: &'static str) -> Breakage {
    Breakage { file, from, to }
}

const MAIN: &str = "example.toml";
const RZ9: &str = "trusts/rz9.toml";
const RY9: &str = "trusts/ry9.toml";
const RX9: &str = "trusts/rx9.toml";

fn load_broken(breakages: &[Breakage], env: &[(&str, &str)]) -> (Result<Config, Vec<Fault>>, String) {
    let folder = copy_of_example();
    for Breakage { file, from, to } in breakages {
        let path = folder.path().join(file);
        let text = std::fs::read_to_string(&path).expect("a file of the example");
        assert!(text.contains(from), "{file} no longer holds {from}");
        std::fs::write(&path, text.replacen(from, to, 1)).expect("written");
    }
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let result = Config::load(&folder.path().join(MAIN), env);
    let faults = match &result {
        Ok(config) => config.warnings.iter().map(|w| format!("warning: {w}")).collect(),
        Err(faults) => faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
    };
    (result, faults.join("\n").replace(&format!("{}/", folder.path().display()), ""))
}

/// Every case on its own, so that no fault hides another.
fn each(cases: &[(&str, &[Breakage])]) -> String {
    let mut all = String::new();
    for (name, breakages) in cases {
        let (_, faults) = load_broken(breakages, &[]);
        writeln!(all, "{name}\n  {}\n", faults.replace('\n', "\n  ")).expect("a string");
    }
    all
}

#[test]
fn everything_wrong_is_said_at_once_and_in_order() {
    let (result, faults) = load_broken(
        &[
            b(MAIN, "development_principal = true", "development_principle = true\nlisten = \"0.0.0.0:50051\""),
            b(MAIN, "roles = [\"integrator\"]", "roles = [\"integrater\"]"),
            b(RZ9, "acknowledged_by = \"record\"", "acknowledged_by = \"engine\""),
            b(RZ9, "max_connections = 8", "max_connections = \"8\"\nreply_timeout = 30"),
            b("staff/rz9.csv", "MP1002", "MP1001"),
            b(RY9, "endpoint = \"ry9-paris\"", "endpoint = \"ry9-pariss\""),
            b(RX9, "after_unknown = \"resend\"\n", ""),
        ],
        &[("IPS_BRIDGE__STORE__URI", "sqlite://x.db")],
    );
    assert!(result.is_err());
    insta::assert_snapshot!(faults);
}

#[test]
fn evidence_that_cannot_come_is_refused_with_what_to_choose_instead() {
    let rz9 = |from, to| b(RZ9, from, to);
    let said = each(&[
        (
            "an engine's AA is no application_ack",
            &[rz9("acknowledged_by = \"record\"", "acknowledged_by = \"engine\"")],
        ),
        ("nothing is read back over mllp", &[rz9("filed_by = \"application_ack\"", "filed_by = \"read_back\"")]),
        ("nothing is asked over mllp", &[rz9("after_unknown = \"resend\"", "after_unknown = \"query\"")]),
        (
            "less than proof without a name",
            &[b(RX9, "approved_by = \"J. Example, Medical Director\"\napproved_on = 2026-02-16\n", "")],
        ),
        (
            "less than proof where proof comes",
            &[b(RX9, "acknowledged_by = \"engine\"", "acknowledged_by = \"record\"")],
        ),
        ("an approval without a day", &[b(RX9, "approved_on = 2026-02-16", "approved_on = \"16/02/2026\"")]),
        ("parking never resends", &[rz9("after_unknown = \"resend\"", "after_unknown = \"park\"")]),
        ("resending needs a number", &[rz9("max_unknown_resends = 5", "max_unknown_resends = 0")]),
        (
            "the late acknowledgement has no way in",
            &[b(
                RY9,
                "[endpoint.listen]\naddress = \"127.0.0.1:2613\"\nack_mode = \"enhanced\"\ndefault_team = \"estuary-ei\"\n",
                "",
            )],
        ),
        ("nothing comes late in original mode", &[rz9("max_connections = 8", "late_replies_on_connection = true")]),
        (
            "what only the trust knows has no default",
            &[
                rz9("environment = \"test\"\n", ""),
                rz9("filed_by = \"application_ack\"\n", ""),
                rz9("acknowledged_by = \"record\"\n", ""),
                rz9("after_unknown = \"resend\"\n", ""),
                rz9("max_unknown_resends = 5\n", ""),
            ],
        ),
        (
            "a vendor's report nobody may send",
            &[
                b(MAIN, "development_principal = true\n", ""),
                b(RY9, "filed_by = \"reconciled\"", "filed_by = \"vendor_report\""),
            ],
        ),
        ("whoever pulls confirms only that they have it", &[rz9("transport = \"mllp\"", "transport = \"feed\"")]),
        (
            "a feed nobody may pull",
            &[
                b(MAIN, "development_principal = true\n", ""),
                rz9("transport = \"mllp\"", "transport = \"feed\""),
                rz9("filed_by = \"application_ack\"", "filed_by = \"vendor_report\""),
            ],
        ),
        (
            "a live endpoint needs a pin and known callers",
            &[b(
                RY9,
                "adapter = \"paris\"\ntransport = \"mllp\"\nenvironment = \"test\"",
                "adapter = \"paris\"\ntransport = \"mllp\"\nenvironment = \"live\"",
            )],
        ),
    ]);
    insta::assert_snapshot!(said);
}

#[test]
fn values_of_the_wrong_kind_say_what_to_write() {
    let rz9 = |from, to| b(RZ9, from, to);
    let said = each(&[
        ("a time without a unit", &[rz9("release_after = \"5m\"", "release_after = \"5\"")]),
        ("a time that is too long", &[rz9("release_after = \"5m\"", "release_after = \"2h\"")]),
        ("a number in quotes", &[rz9("max_unknown_resends = 5", "max_unknown_resends = \"5\"")]),
        ("a number out of range", &[rz9("max_connections = 8", "max_connections = 0")]),
        ("an ODS code in small letters", &[rz9("ods = \"RZ9\"", "ods = \"rz9\"")]),
        ("a word that is no choice", &[rz9("environment = \"test\"", "environment = \"Test\"")]),
        ("a transport that there is not", &[rz9("transport = \"mllp\"", "transport = \"pigeon\"")]),
        ("an address without a port", &[rz9("127.0.0.1:2601", "127.0.0.1")]),
        ("a name to listen on", &[rz9("127.0.0.1:2611", "localhost:2611")]),
        ("a time zone nobody knows", &[rz9("release_after = \"5m\"", "time_zone = \"Europe/Londn\"")]),
        ("a prefix in small letters", &[rz9("control_id_prefix = \"RZ9\"", "control_id_prefix = \"rz9\"")]),
        ("a pack without a version", &[rz9("rio@0.1.0", "rio")]),
        ("another pack pinned", &[rz9("rio@0.1.0", "hl7v2-uk@1.0.0")]),
        ("a list that is none", &[rz9("endpoint = \"rz9-rio\"", "endpoint = \"rz9-rio\"\nteams = \"moor-north\"")]),
        ("one bracket too few", &[rz9("[[route]]", "[route]")]),
        (
            "windows",
            &[rz9(
                "from = \"22:00\", to = \"04:00\" }",
                "from = \"22.00\", to = \"25:00\" }, { days = [], from = \"01:00\", to = \"02:00\" }, { from = \"01:00\", to = \"01:00\" }",
            )],
        ),
        (
            "never open",
            &[rz9("{ days = [\"sun\"], from = \"22:00\", to = \"04:00\" }", "{ from = \"00:00\", to = \"24:00\" }")],
        ),
        (
            "a lease that runs out too soon",
            &[rz9("control_id_prefix = \"RZ9\"", "control_id_prefix = \"RZ9\"\nlease = \"30s\"")],
        ),
        (
            "more lanes than connections",
            &[rz9("control_id_prefix = \"RZ9\"", "control_id_prefix = \"RZ9\"\nmax_in_flight_lanes = 9")],
        ),
        (
            "waits upside down",
            &[rz9("control_id_prefix = \"RZ9\"", "control_id_prefix = \"RZ9\"\nback_off = { first = \"10m\" }")],
        ),
    ]);
    insta::assert_snapshot!(said);
}

#[test]
fn a_mailbox_without_its_secrets_or_that_would_double_a_note_is_refused() {
    const GOOD: &str = "[endpoint.mesh]\nurl = \"http://127.0.0.1:1\"\nmailbox = \"X26ABC1\"\npassword = { env = \"PW\" }\nshared_key = { env = \"KEY\" }\nto_mailbox = \"X26ABC2\"\nworkflow = \"W\"\nack_workflow = \"W_ACK\"\n";
    let query = |text: &str| text.replace("after_unknown = \"resend\"", "after_unknown = \"query\"");
    let load = |section: &str, change: &dyn Fn(&str) -> String| {
        let folder = copy_of_example();
        let file = folder.path().join(RZ9);
        let text = std::fs::read_to_string(&file).expect("a trust");
        let mllp = "[endpoint.mllp]\naddress = \"127.0.0.1:2601\"\nmax_connections = 8\n";
        assert!(text.contains(mllp) && text.contains("after_unknown = \"resend\""));
        let text = text.replace("transport = \"mllp\"", "transport = \"mesh\"").replace(mllp, section);
        std::fs::write(&file, change(&text)).expect("written");
        let env = [("PW", "opensesame"), ("KEY", "sesameopen")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        let result = Config::load(&folder.path().join("example.toml"), env);
        let said = match &result {
            Ok(config) => format!("{config:?}"),
            Err(faults) => faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        };
        assert!(!said.contains("opensesame") && !said.contains("sesameopen"), "{said}");
        (result.is_ok(), said)
    };
    let (good, said) = load(GOOD, &query);
    assert!(good, "{said}");
    let as_it_was = |text: &str| text.to_owned();
    let filed_by = |text: &str| query(text).replace("filed_by = \"application_ack\"", "filed_by = \"read_back\"");
    for (section, change, word) in [
        (GOOD.to_owned(), &as_it_was as &dyn Fn(&str) -> String, "MESH carries the same message twice"),
        (GOOD.to_owned(), &filed_by, "nothing can be read back over mesh"),
        (String::new(), &query, "endpoint.mesh is missing"),
        (GOOD.replace("password = { env = \"PW\" }\n", ""), &query, "password is missing"),
        (GOOD.replace("{ env = \"KEY\" }", "\"sesameopen\""), &query, "secrets never stand in this file"),
        (GOOD.replace("X26ABC2", "X26ABC1"), &query, "is our own mailbox"),
        (GOOD.replace("X26ABC2", "../X26"), &query, "letters, digits"),
        (GOOD.replace("http://127.0.0.1:1", "https://mesh.example"), &query, "tls is missing"),
        (GOOD.replace("http://127.0.0.1:1", "http://mesh.example"), &query, "in the clear"),
        (format!("{GOOD}message_timeout = \"10s\"\n"), &query, "not even one chunk"),
        (format!("{GOOD}default_team = \"nobody\"\n"), &query, "no team of RZ9"),
    ] {
        let (good, said) = load(&section, change);
        assert!(!good && said.contains(word), "{word}: {said}");
    }
}

#[test]
fn an_api_that_is_reached_in_the_clear_or_without_its_secrets_is_refused() {
    let mut said = String::new();
    for (what, more) in [
        ("in the clear", "[endpoint.https]\nbase_url = \"http://epr.example/fhir\""),
        ("whom to believe", "[endpoint.https]\nbase_url = \"https://epr.example/fhir\""),
        ("no address", "[endpoint.https]\nbase_url = \"https://user:pw@epr.example/\""),
        ("no section", ""),
        (
            "half a login",
            "[endpoint.https]\nbase_url = \"http://127.0.0.1:1\"\nauth = { kind = \"basic\", user = \"ips\" }",
        ),
        (
            "a secret in the file",
            "[endpoint.https]\nbase_url = \"http://127.0.0.1:1\"\nauth = { kind = \"basic\", user = \"ips\", password = \"opensesame\" }",
        ),
        ("half a gateway", "[endpoint.https]\nbase_url = \"http://127.0.0.1:1\"\nauth = { kind = \"signed_jwt\" }"),
        (
            "credentials among the headers",
            "[endpoint.https]\nbase_url = \"http://127.0.0.1:1\"\nheaders = { Authorization = \"Bearer x\", \"X Y\" = \"z\", X-Z = 1 }",
        ),
        (
            "waits that would double a note",
            "[endpoint.https]\nbase_url = \"http://127.0.0.1:1\"\n[endpoint.ask]\nnot_found_over = \"30s\"\nnot_found_times = 1",
        ),
        (
            "an open door",
            "[endpoint.https]\nbase_url = \"http://127.0.0.1:1\"\n[endpoint.listen_https]\naddress = \"0.0.0.0:8443\"",
        ),
    ] {
        let folder = copy_of_example();
        let file = folder.path().join(RZ9);
        let text = std::fs::read_to_string(&file).expect("a trust");
        let mllp = "[endpoint.mllp]\naddress = \"127.0.0.1:2601\"\nmax_connections = 8\n";
        assert!(text.contains(mllp));
        let text = text.replace("transport = \"mllp\"", "transport = \"https\"").replace(mllp, &format!("{more}\n"));
        std::fs::write(&file, text).expect("written");
        let result = Config::load(&folder.path().join("example.toml"), []);
        let faults = result.map_or_else(|faults| faults, |config| config.warnings);
        let shown: Vec<String> =
            faults.iter().map(|f| f.to_string().replace(&format!("{}/", folder.path().display()), "")).collect();
        assert!(!shown.join("").contains("opensesame"), "{shown:?}");
        said.push_str(&format!("-- {what}\n{}\n", shown.join("\n")));
    }
    insta::assert_snapshot!(said);
}

#[test]
fn a_credential_among_the_headers_stands_elsewhere_and_is_shown_to_nobody() {
    let with = |headers: &str| {
        let folder = copy_of_example();
        let file = folder.path().join(RZ9);
        let text = std::fs::read_to_string(&file).expect("a trust");
        let mllp = "[endpoint.mllp]\naddress = \"127.0.0.1:2601\"\nmax_connections = 8\n";
        let https = format!("[endpoint.https]\nbase_url = \"http://127.0.0.1:1\"\nheaders = {headers}\n");
        std::fs::write(&file, text.replace("transport = \"mllp\"", "transport = \"https\"").replace(mllp, &https))
            .expect("written");
        std::fs::write(folder.path().join("trusts/key"), "opensesame-file\n").expect("written");
        let env = [("GATEWAY_KEY".to_owned(), "opensesame-env".to_owned())];
        Config::load(&folder.path().join(MAIN), env)
    };
    let good = "{ X-Api-Key = { env = \"GATEWAY_KEY\" }, X-Token = { file = \"key\" }, NHSD-Target = \"e30=\" }";
    let config = with(good).expect("no fault");
    let endpoint = config.endpoints.iter().find(|e| e.id.as_str() == "rz9-rio").expect("it is there");
    let ips_bridge::config::Transport::Https(https) = &endpoint.transport else { panic!("it is https") };
    let sent: Vec<(&str, &str)> = https.headers.iter().map(|h| (h.name.as_str(), h.value.expose())).collect();
    assert_eq!(sent, [("X-Api-Key", "opensesame-env"), ("X-Token", "opensesame-file"), ("NHSD-Target", "e30=")]);
    assert!(!format!("{config:?}").contains("opensesame"));
    for (headers, word) in [
        ("{ X-Api-Key = \"opensesame\" }", "secrets never stand in this file; write X-Api-Key = { file = \"path\" }"),
        ("{ Proxy-Authorization = \"opensesame\" }", "looks like a credential"),
        ("{ Ocp-Apim-Subscription-Key = \"opensesame\" }", "looks like a credential"),
        ("{ X-Api-Key = { env = \"NOT_THERE\" } }", "names NOT_THERE, which is not set"),
        ("{ X-Api-Key = { file = \"none\" } }", "endpoint.https.headers.X-Api-Key.file"),
        ("{ X-Api-Key = {} }", "must name exactly one place"),
        (
            "{ X-Api-Key = { env = \"GATEWAY_KEY\", fiel = \"x\" } }",
            "unknown key endpoint.https.headers.X-Api-Key.fiel",
        ),
    ] {
        let faults = with(headers).expect_err(headers);
        let said = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert!(said.contains(word) && !said.contains("opensesame"), "{headers}: {said}");
    }
}

#[test]
fn unknown_keys_are_refused_with_what_was_probably_meant() {
    let rz9 = |from, to| b(RZ9, from, to);
    let said = each(&[
        ("a slip", &[rz9("max_connections = 8", "max_conections = 8")]),
        ("below the wrong header", &[rz9("max_connections = 8", "max_connections = 8\nmax_per_minute = 60")]),
        ("an unknown section", &[b(MAIN, "[store]", "[storage]")]),
        ("a main section in a trust's file", &[rz9("[[trust]]", "[limits]\nmin_free_disk_bytes = 10\n[[trust]]")]),
        ("nothing like it", &[b(MAIN, "url = ", "zebra = 1\nurl = ")]),
        ("in an inline table", &[rz9("site_ods = \"RZ901\"", "site = \"RZ901\"")]),
    ]);
    insta::assert_snapshot!(said);
}

#[test]
fn names_that_lead_nowhere_or_two_ways_are_refused() {
    let said = each(&[
        ("the same endpoint id twice", &[b(RY9, "id = \"ry9-paris\"", "id = \"ry9-systmone\"")]),
        ("the same prefix twice", &[b(RY9, "\"RY9P\"", "\"RZ9\"")]),
        ("the same trust twice", &[b(RX9, "ods = \"RX9\"", "ods = \"RY9\"")]),
        ("the same team twice", &[b(RZ9, "id = \"moor-south\"", "id = \"moor-north\"")]),
        (
            "an endpoint of an unknown trust",
            &[b(RZ9, "id = \"rz9-rio\"\ntrust = \"RZ9\"", "id = \"rz9-rio\"\ntrust = \"RZ8\"")],
        ),
        (
            "a rule that another one leaves nothing to",
            &[b(
                RZ9,
                "[[endpoint.listen.accept]]\nname = \"patients\"",
                "[[endpoint.listen.accept]]\nname = \"south\"\nmessages = [\"REF^I12\"]\n[[endpoint.listen.accept]]\nname = \"patients\"",
            )],
        ),
        (
            "a team whose referrals would be ignored",
            &[b(RZ9, "teams = [\"moor-north\", \"moor-south\"]", "teams = [\"moor-north\"]")],
        ),
        ("configured and retired", &[b(MAIN, "rx9-old-rio", "rx9-carenotes")]),
        (
            "a route to a retired endpoint",
            &[b(
                RX9,
                "entries = [\"note\"]\nendpoint = \"rx9-carenotes\"",
                "entries = [\"note\"]\nendpoint = \"rx9-old-rio\"",
            )],
        ),
        (
            "a route to another trust",
            &[b(
                RX9,
                "entries = [\"note\"]\nendpoint = \"rx9-carenotes\"",
                "entries = [\"note\"]\nendpoint = \"rz9-rio\"",
            )],
        ),
        (
            "a route for an unknown team and site",
            &[b(RX9, "teams = [\"weald\"]", "teams = [\"wealds\"]\nsites = [\"RX901\"]")],
        ),
        ("a route for replies", &[b(RX9, "entries = [\"note\"]", "entries = [\"note\", \"referral_reply\"]")]),
        (
            "a copy to itself",
            &[b(RX9, "entries = [\"note\"]", "entries = [\"note\"]\ncopies_to = [\"rx9-carenotes\"]")],
        ),
        ("routes that claim the same", &[b(RY9, "teams = [\"estuary-ei\"]\n", "")]),
        ("a listener's unknown team", &[b(RZ9, "default_team = \"moor-north\"", "default_team = \"north\"")]),
        (
            "two listeners on one port",
            &[b(RZ9, "127.0.0.1:2611", "127.0.0.1:2614"), b(MAIN, "127.0.0.1:9464", "127.0.0.1:50051")],
        ),
        (
            "an endpoint that is the bridge's own listener",
            &[b(RZ9, "address = \"127.0.0.1:2601\"", "address = \"localhost:2611\"")],
        ),
        (
            "principals",
            &[
                b(MAIN, "[\"ips_worker\"]", "[\"epr_system\"]"),
                b(
                    MAIN,
                    "name = \"operations\"\nsan = \"spiffe://ips-provider.example/operations\"",
                    "name = \"ips-app\"\nsan = \"APP.ips-provider.example\"\nendpoints = [\"rz9-rio\"]",
                ),
            ],
        ),
        (
            "a principal for nobody",
            &[b(
                MAIN,
                "roles = [\"ips_worker\"]\ntrusts = [\"RZ9\", \"RY9\", \"RX9\"]",
                "roles = []\ntrusts = [\"RQ1\"]",
            )],
        ),
        ("a principal under the bridge's own name", &[b(MAIN, "name = \"operations\"", "name = \"bridge\"")]),
        ("a principal under an endpoint's name", &[b(MAIN, "name = \"operations\"", "name = \"endpoint:rz9-rio\"")]),
        ("a wildcard certificate", &[b(MAIN, "app.ips-provider.example", "*.ips-provider.example")]),
        ("staff must be mapped but nobody is", &[b(RZ9, "staff_file = \"../staff/rz9.csv\"\n", "")]),
    ]);
    insta::assert_snapshot!(said);
}

#[test]
fn what_others_can_reach_needs_tls_and_callers_who_say_who_they_are() {
    let said = each(&[
        ("open to the network", &[b(MAIN, "development_principal = true", "listen = \"[::]:50051\"")]),
        (
            "open to the network, everyone let in",
            &[b(MAIN, "development_principal = true", "listen = \"10.0.0.5:50051\"\ndevelopment_principal = true")],
        ),
        (
            "everyone let in despite TLS",
            &[b(MAIN, "[store]", "[server.tls]\ncert_file = \"staff/rz9.csv\"\nkey_file = \"no.key\"\n[store]")],
        ),
        ("metrics for everyone", &[b(MAIN, "127.0.0.1:9464", "0.0.0.0:9464")]),
        (
            "metrics for everyone, meant so",
            &[b(
                MAIN,
                "metrics_listen = \"127.0.0.1:9464\"",
                "metrics_listen = \"0.0.0.0:9464\"\nmetrics_beyond_loopback = true",
            )],
        ),
        ("nobody can call", &[b(MAIN, "development_principal = true\n", "")]),
        (
            "patient data in the clear",
            &[b(RZ9, "127.0.0.1:2601", "tie.rz9.example:2601"), b(RZ9, "127.0.0.1:2611", "0.0.0.0:2611")],
        ),
        (
            "an old TLS",
            &[b(
                RZ9,
                "[endpoint.listen]",
                "[endpoint.mllp.tls]\nca_file = \"rz9.toml\"\nmin_version = \"1.2\"\n[endpoint.listen]",
            )],
        ),
        (
            "half a client certificate",
            &[b(
                RZ9,
                "[endpoint.listen]",
                "[endpoint.mllp.tls]\nca_file = \"rz9.toml\"\ncert_file = \"rz9.toml\"\n[endpoint.listen]",
            )],
        ),
    ]);
    insta::assert_snapshot!(said);
}

#[test]
fn a_secret_is_never_in_the_file_and_never_in_a_fault() {
    let store = |to| b(MAIN, "url = \"sqlite://example.db\"", to);
    let said = each(&[
        ("in the file", &[store("password = \"opensesame\"")]),
        ("in the address", &[store("url = \"postgres://bridge:opensesame@db/ips\"")]),
        ("in the address, otherwise", &[store("url = \"postgres://db/ips?user=bridge&password=opensesame\"")]),
        ("from a variable that is not set", &[store("password = { env = \"NOBODY_SETS_THIS\" }")]),
        ("from a file that is not there", &[store("password = { file = \"secret.txt\" }")]),
        ("from two places", &[store("password = { file = \"staff/rz9.csv\", env = \"NOBODY_SETS_THIS\" }")]),
        ("from nowhere", &[store("password = {}")]),
        ("for SQLite", &[store("password = { file = \"staff/rz9.csv\" }")]),
        ("neither store", &[store("url = \"mysql://opensesame\"")]),
    ]);
    assert!(!said.contains("opensesame"), "{said}");
    insta::assert_snapshot!(said);
}

#[test]
fn damage_done_by_spreadsheets_is_refused_with_its_line() {
    let csv = |from, to| b("staff/rz9.csv", from, to);
    let said = each(&[
        (
            "ids turned into something else",
            &[csv("004417", "4.4E+05"), csv("004418", "4418.0"), csv("012091", "01-Mar")],
        ),
        ("errors and formulas", &[csv("MP1001", "#N/A"), csv("MP1002", "=A2"), csv("\"Okafor-Lowe, Sam\"", "#NAME?")]),
        (
            "blanks and lost letters",
            &[csv("MP1001", " MP1001"), csv("\"Pryce, Gethin\"", "PryceÃ©"), csv("012091", "")],
        ),
        ("a comma too many", &[csv("\"Achebe, Nneka\"", "Achebe, Nneka")]),
        ("semicolons", &[csv("staff_id,endpoint,epr_id,epr_name", "staff_id;endpoint;epr_id;epr_name")]),
        ("the same person twice", &[csv("MP1002", "MP1001")]),
        (
            "an endpoint nobody knows, and another trust's",
            &[csv("MP1002,rz9-rio", "MP1002,rz9-rioo"), csv("MP1003,rz9-rio", "MP1003,ry9-paris")],
        ),
        ("one name for two", &[csv("004418", "004417")]),
        ("lost zeros", &[csv("004418", "4418")]),
        ("no file", &[b(RZ9, "rz9.csv", "rz8.csv")]),
    ]);
    for name in ["Achebe", "Pryce", "Okafor"] {
        assert!(!said.contains(name), "{said}");
    }
    insta::assert_snapshot!(said);
}

#[test]
fn what_is_not_toml_is_said_for_every_file() {
    let said = each(&[
        (
            "in two files",
            &[
                b(RZ9, "name = \"RiO\"", "name = RiO"),
                b(RY9, "name = \"Paris\"", "name = \"Paris"),
                b(RY9, "[endpoint.mllp]", "[endpoint.mllp"),
            ],
        ),
        ("a key twice", &[b(RZ9, "name = \"RiO\"", "name = \"RiO\"\nname = \"RiO\"")]),
        ("in the main file", &[b(MAIN, "[server]", "[server")]),
        ("an include that matches nothing", &[b(MAIN, "trusts/*.toml", "trust/*.toml")]),
        ("a star in a folder's name", &[b(MAIN, "trusts/*.toml", "*/rz9.toml")]),
    ]);
    insta::assert_snapshot!(said);
    let missing = Config::load(Path::new("/nonexistent/ips-bridge.toml"), []).expect_err("it is not there");
    insta::assert_snapshot!(missing[0]);
}

#[test]
fn a_wrong_variable_is_named() {
    let (_, said) = load_broken(
        &[],
        &[
            ("IPS_BRIDGE__LIMITS__MIN_FREE_DISK_BYTES", "many"),
            ("IPS_BRIDGE__SERVER__LISTN", "127.0.0.1:1"),
            ("IPS_BRIDGE__ENDPOINT__RZ9_RIO__NAME", "Rio"),
            ("IPS_BRIDGE__SERVER", "x"),
        ],
    );
    insta::assert_snapshot!(said);
}

#[test]
fn relations_between_limits_hold() {
    let said = each(&[
        ("one endpoint may fill everything", &[b(MAIN, "[store]", "[limits]\nmax_open_deliveries = 1000\n[store]")]),
        ("stopping sooner than a send ends", &[b(MAIN, "[store]", "[limits]\nshutdown_grace = \"10s\"\n[store]")]),
        ("an endpoint that gets nothing", &[b(RY9, "endpoint = \"ry9-systmone\"", "endpoint = \"ry9-paris\"")]),
        (
            "a trust whose notes go nowhere",
            &[
                b(
                    RX9,
                    "entries = [\"note\"]\nendpoint = \"rx9-carenotes\"",
                    "entries = [\"outcome\"]\nsites = []\nreferral_sources = [\"A1\"]\nendpoint = \"rx9-carenotes\"",
                ),
                b(RX9, "teams = [\"weald\"]\nendpoint", "teams = [\"weald\"]\nreferral_sources = [\"B1\"]\nendpoint"),
            ],
        ),
    ]);
    insta::assert_snapshot!(said);
}

/// Two endpoints that look into one mailbox, or one folder, take each other's messages away.
#[test]
fn what_comes_back_has_a_box_of_its_own_for_each_endpoint() {
    let mesh = |id: &str, mailbox: &str| {
        format!(
            "[[endpoint]]\nid = \"{id}\"\ntrust = \"RX9\"\nadapter = \"mesh-fhir\"\npack = \"mesh-fhir@0.1.0\"\ntransport = \"mesh\"\n\
             environment = \"test\"\nfiled_by = \"application_ack\"\nacknowledged_by = \"record\"\nafter_unknown = \"park\"\n\
             max_unknown_resends = 0\ncontrol_id_prefix = \"{id}\"\nname = \"EPR\"\n[endpoint.mesh]\nurl = \"https://mesh.example\"\n\
             mailbox = \"{mailbox}\"\nto_mailbox = \"X26{id}\"\nworkflow = \"W\"\nack_workflow = \"A\"\npassword = {{ env = \"P\" }}\n\
             shared_key = {{ env = \"K\" }}\n"
        )
        .replace("id = \"M", "id = \"m")
    };
    let folder = |id: &str, path: &str, results: &str| {
        format!(
            "[[endpoint]]\nid = \"{}\"\ntrust = \"RX9\"\nadapter = \"document-folder\"\npack = \"document-folder@0.2.1\"\ntransport = \"folder\"\n\
             environment = \"test\"\nfiled_by = \"vendor_report\"\nacknowledged_by = \"record\"\nafter_unknown = \"park\"\n\
             max_unknown_resends = 0\ncontrol_id_prefix = \"{id}\"\nname = \"EPR\"\n[endpoint.folder]\npath = \"{path}\"\nresults = \"{results}\"\n",
            id.to_ascii_lowercase()
        )
    };
    let said = |more: &[String]| {
        let copy = copy_of_example();
        let file = copy.path().join(RX9);
        let text = std::fs::read_to_string(&file).expect("a file of the example");
        std::fs::write(&file, format!("{text}\n{}", more.concat())).expect("written");
        let env = [("P", "a password"), ("K", "a shared key")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        match Config::load(&copy.path().join(MAIN), env) {
            Ok(_) => String::new(),
            Err(faults) => faults.iter().map(|f| format!("{f}\n")).collect(),
        }
    };
    let shared = said(&[mesh("M1", "X26OT1"), mesh("M2", "x26ot1")]);
    assert!(shared.contains("endpoint \"m2\" has the mailbox of \"m1\""), "{shared}");
    let shared = said(&[folder("F1", "/out/a", "/in/a"), folder("F2", "/out/b", "/in/a")]);
    assert!(shared.contains("endpoint \"f2\" has the results of \"f1\""), "{shared}");
    // However it is written.
    let shared = said(&[folder("F1", "/out/a", "/in/a/"), folder("F2", "/out/b", "/in/./b/../a")]);
    assert!(shared.contains("endpoint \"f2\" has the results of \"f1\""), "{shared}");
    let own = said(&[folder("F1", "/in/a", "/in/x/../a/")]);
    assert!(own.contains("is the folder that files are written into"), "{own}");
    let crossed = said(&[folder("F1", "/out/a", "/out/b"), folder("F2", "/out/b", "/in/b")]);
    assert!(crossed.contains("endpoint \"f1\" has the results of \"f2\""), "{crossed}");
    let apart = said(&[mesh("M1", "X26OT1"), mesh("M2", "X26OT2"), folder("F1", "/out/a", "/in/a")]);
    assert!(!apart.contains("each would take away"), "{apart}");
}
