//! The documented file and the code say the same.

use super::schema::everything;
use super::*;
use std::collections::BTreeSet;
use tree::{Node, Value};

/// Each is `{ file = "…" }` or `{ env = "…" }`.
const SECRETS: &[&str] = &[
    "store.password",
    "endpoint.https.auth.password",
    "endpoint.https.auth.client_secret",
    "endpoint.https.auth.private_key",
    "endpoint.listen_https.bearer",
    "endpoint.mesh.password",
    "endpoint.mesh.shared_key",
];

/// Every key a file holds, with its value as TOML text.
fn flatten(path: &str, node: &Node, into: &mut BTreeMap<String, String>) {
    let free =
        ["endpoint.settings", "endpoint.reply", "endpoint.https.headers"].contains(&path) || SECRETS.contains(&path);
    match &node.value {
        Value::Table(entries) if !free => {
            into.insert(path.to_owned(), String::new());
            entries.iter().for_each(|e| flatten(&fault::join(path, &e.key), &e.node, into));
        }
        Value::List(items) if items.iter().any(|i| matches!(i.value, Value::Table(_))) => {
            items.iter().for_each(|item| flatten(path, item, into));
        }
        _ => {
            into.insert(path.to_owned(), node.to_toml().to_string());
        }
    }
}

fn values(text: &str) -> BTreeMap<String, String> {
    let findings = Findings::default();
    let tree = tree::parse(text, &files::source(0, Path::new("documented")), &findings);
    assert_eq!(findings.count(), 0);
    let mut values = BTreeMap::new();
    flatten("", &tree, &mut values);
    values.remove("");
    values
}

fn read_everything() -> (Result<Config, Vec<Fault>>, Keys) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir_all(folder.path().join("tls")).expect("tls");
    std::fs::create_dir_all(folder.path().join("staff")).expect("staff");
    for name in [
        "server.pem",
        "server.key",
        "callers-ca.pem",
        "tie-ca.pem",
        "bridge.pem",
        "bridge.key",
        "mesh-ca.pem",
        "mesh.pem",
        "mesh.key",
    ] {
        std::fs::write(folder.path().join("tls").join(name), "").expect("a file");
    }
    std::fs::write(folder.path().join("staff/rz9.csv"), "staff_id,endpoint,epr_id,epr_name\n").expect("a file");
    let names = [
        "IPS_BRIDGE_STORE_PASSWORD",
        "EPR_PASSWORD",
        "EPR_CLIENT_SECRET",
        "EPR_PRIVATE_KEY",
        "EPR_BEARER",
        "MESH_PASSWORD",
        "MESH_SHARED_KEY",
    ];
    let env = names.map(|name| (name.to_owned(), "opensesame-opensesame".to_owned()));
    let (read, settled, keys) = read(&everything(), &folder.path().join("ips-bridge.toml"), env);
    let config = |warnings| Config { warnings, ..read.expect("it is TOML").0 };
    (settled.map(config), keys)
}

#[test]
fn the_documented_file_holds_every_key_of_the_code_and_no_other() {
    let (config, keys) = read_everything();
    assert!(config.is_ok(), "{config:#?}");
    let in_code: BTreeSet<String> =
        keys.into_keys().filter(|k| !SECRETS.iter().any(|s| k.starts_with(&format!("{s}.")))).collect();
    let in_file: BTreeSet<String> = values(&everything()).into_keys().collect();
    let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect::<Vec<_>>();
    assert_eq!(only(&in_code, &in_file), Vec::<String>::new(), "keys of the code that the file does not document");
    assert_eq!(only(&in_file, &in_code), Vec::<String>::new(), "keys of the file that the code does not know");
}

#[test]
fn every_default_in_the_documented_file_is_the_default_of_the_code() {
    let (_, keys) = read_everything();
    let file = values(&everything());
    let source = files::source(0, Path::new("code"));
    let mut compared = 0;
    for (key, default) in keys.iter().filter_map(|(key, default)| Some((key, (*default)?))) {
        let default = tree::parse_value(default, &source).expect("TOML").to_toml().to_string();
        assert_eq!(file.get(key), Some(&default), "{key}");
        compared += 1;
    }
    assert!(compared > 50, "only {compared} defaults were found");
}

#[test]
fn what_stands_in_the_documented_file_without_a_hash_has_a_default() {
    let (_, keys) = read_everything();
    for key in values(DOCUMENTED).into_keys().filter(|key| key.contains('.') || *key == "include") {
        assert!(keys.get(&key).is_some_and(Option::is_some), "{key} has no default: put a hash before it");
    }
}

#[test]
fn the_documented_file_as_it_stands_changes_nothing() {
    let documented = Config::from_text(DOCUMENTED, Path::new("ips-bridge.toml"), []).expect("no fault");
    let shown = |c: &Config| format!("{:?}", Config { warnings: vec![], ..c.clone() });
    assert_eq!(shown(&documented), shown(&Config::defaults()));
}

#[test]
fn a_secret_shows_itself_to_nobody() {
    let config = read_everything().0.expect("no fault");
    assert_eq!(config.store.password.as_ref().map(Secret::expose), Some("opensesame-opensesame"));
    assert!(!format!("{config:?}").contains("opensesame"));
}
