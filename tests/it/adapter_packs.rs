//! Every pack under `adapters/`: its check is clean, and every example is a case of its own.

use ips_bridge::adapter::{Pack, Packs, check, examples};
use ips_bridge::verdict::verdict;
use ips_bridge::wire::v1;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub fn packs() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters");
    let folders = std::fs::read_dir(root).expect("adapters/").map(|e| e.expect("readable").path());
    folders.filter(|p| p.join("adapter.toml").is_file()).collect()
}

fn shown(report: &examples::Report) -> String {
    report.faults.iter().map(|f| format!("\n  {f}")).collect()
}

#[test]
fn every_pack_passes_its_check() {
    let all = packs();
    // Side by side: together they make ten thousand messages.
    let reports: Vec<_> = std::thread::scope(|threads| {
        let each: Vec<_> = all.iter().map(|folder| threads.spawn(|| check::check(folder, verdict))).collect();
        each.into_iter().map(|t| t.join().expect("a check ends")).collect()
    });
    let bad: Vec<String> = all
        .iter()
        .zip(reports)
        .filter(|(_, report)| !report.is_good())
        .map(|(folder, report)| format!("{}{}", folder.display(), shown(&report)))
        .collect();
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

#[test]
fn every_example_of_every_pack_is_as_expected() {
    let mut bad = Vec::new();
    for folder in packs() {
        let report = examples::test(&folder, false, verdict);
        assert!(!report.done.is_empty() || !report.is_good());
        if !report.is_good() {
            bad.push(format!("{}{}", folder.display(), shown(&report)));
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

#[test]
fn the_folder_loads_without_the_template_pack() {
    let packs = Packs::load_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters")).expect("every pack loads");
    let pack: &Pack = packs.get("hl7v2-uk").expect("the first pack");
    assert!(packs.get("_template").is_none());
    assert!(packs.pinned(&pack.pin()).is_ok());
    let fault = packs.pinned("hl7v2-uk@99.0.0").expect_err("another version");
    assert!(fault.to_string().contains("hl7v2-uk@"), "{fault}");
}

#[test]
fn every_parsed_message_is_one_of_ours() {
    let mut seen = std::collections::BTreeMap::<String, usize>::new();
    for folder in packs() {
        let examples = std::fs::read_dir(folder.join("examples")).expect("examples");
        for file in examples.map(|e| e.expect("readable").path().join("expected.json")).filter(|f| f.is_file()) {
            let text = std::fs::read_to_string(&file).expect("readable");
            let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            fn read<T: serde::de::DeserializeOwned>(fields: serde_json::Value, file: &Path) -> T {
                serde_json::from_value(fields).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
            }
            let (makes, fields) = (value["makes"].as_str().unwrap_or_default(), value["fields"].clone());
            let whole = match makes {
                "CreateReferralRequest" => {
                    let m: v1::CreateReferralRequest = read(fields, &file);
                    m.details.is_some() && m.patient.is_some() && m.received_at.is_some()
                }
                "ReferralChange" => {
                    let m: v1::ReferralChange = read(fields, &file);
                    !m.external_ids.is_empty() && m.changed_at.is_some()
                }
                "PatientChange" => {
                    let m: v1::PatientChange = read(fields, &file);
                    (m.nhs_number.is_some() || !m.local_identifiers.is_empty()) && m.changed_at.is_some()
                }
                "PatientMerge" => {
                    let m: v1::PatientMerge = read(fields, &file);
                    !m.merges.is_empty() && m.merged_at.is_some()
                }
                other => panic!("{}: makes {other}", file.display()),
            };
            assert!(whole, "{}", file.display());
            *seen.entry(makes.to_owned()).or_default() += 1;
        }
    }
    assert!(seen.len() == 4 && seen.values().all(|n| *n > 2), "{seen:?}");
}

#[test]
fn the_documentation_says_what_the_engine_offers() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters");
    let mut made = BTreeMap::new();
    let files = ["README.md", "template-inputs.md", "map-targets.md"];
    for file in files {
        made.insert(file, std::fs::read_to_string(folder.join(file)).expect("readable"));
    }
    for (name, table) in ips_bridge::adapter::docs::tables() {
        let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->"));
        let text = made.values_mut().find(|t| t.contains(&begin)).unwrap_or_else(|| panic!("no file has {begin}"));
        let from = text.find(&begin).expect("just seen") + begin.len();
        let to = from + text[from..].find(&end).unwrap_or_else(|| panic!("no {end}"));
        text.replace_range(from..to, &table);
    }
    for (file, text) in made {
        committed(&folder.join(file), &text);
    }
}

#[test]
fn the_schemas_are_what_the_readers_ask_for() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (file, schema) in schemas() {
        committed(&root.join(file), &format!("{schema:#}\n"));
    }
}

fn schemas() -> [(&'static str, serde_json::Value); 3] {
    use ips_bridge::{adapter::schema, config};
    [
        ("adapters/schema/adapter.json", schema::manifest()),
        ("adapters/schema/map.json", schema::map()),
        ("config/schema/ips-bridge.json", config::schema()),
    ]
}

/// With IPS_BLESS=1 the file is written instead of compared.
fn committed(path: &Path, text: &str) {
    if std::env::var("IPS_BLESS").is_ok() {
        std::fs::write(path, text).expect("written");
    } else {
        let there = std::fs::read_to_string(path).unwrap_or_default();
        assert!(there == text, "{} is stale: run this test with IPS_BLESS=1 and read the difference", path.display());
    }
}

#[test]
fn every_file_we_ship_keeps_to_its_schema_and_a_misspelt_one_does_not() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let [(_, manifest), (_, map), (_, config)] = schemas();
    let toml = |path: &Path| -> serde_json::Value {
        let table: toml::Table = std::fs::read_to_string(path).expect("readable").parse().expect("TOML");
        serde_json::to_value(table).expect("JSON")
    };
    let files = |folder: PathBuf| -> Vec<PathBuf> {
        let all = std::fs::read_dir(folder).into_iter().flatten().map(|e| e.expect("readable").path());
        all.filter(|p| p.extension().is_some_and(|e| e == "toml")).collect()
    };
    let mut seen = 0;
    for (schema, file) in packs()
        .iter()
        .flat_map(|p| {
            let maps = files(p.join("maps")).into_iter().map(|f| (&map, f));
            maps.chain([(&manifest, p.join("adapter.toml"))])
        })
        .chain(
            ["config", "config/trusts", "config/trusts/nhs"]
                .iter()
                .flat_map(|f| files(root.join(f)))
                .map(|f| (&config, f)),
        )
    {
        assert_eq!(broken(schema, schema, &toml(&file), ""), None, "{}", file.display());
        seen += 1;
    }
    assert!(seen > 20, "{seen}");
    let mut wrong = toml(&root.join("adapters/hl7v2-uk/adapter.toml"));
    wrong["render"][0]["templat"] = "x".into();
    assert_eq!(broken(&manifest, &manifest, &wrong, "").as_deref(), Some("/render/0/templat"));
    let mut wrong = toml(&root.join("config/trusts/rz9.toml"));
    wrong["endpoint"][0]["mllp"]["max_connections"] = "8".into();
    assert_eq!(broken(&config, &config, &wrong, "").as_deref(), Some("/endpoint/0/mllp/max_connections"));
}

/// Where a value does not keep to a schema, by the part of JSON Schema that ours use.
fn broken(root: &serde_json::Value, schema: &serde_json::Value, value: &serde_json::Value, at: &str) -> Option<String> {
    use serde_json::Value;
    let known = ["$schema", "$defs", "title", "description"];
    for (word, rule) in schema.as_object().expect("a schema") {
        let here = || Some(at.to_owned());
        let wrong = match (word.as_str(), value) {
            ("type", v) => {
                let is = match v {
                    Value::Object(_) => "object",
                    Value::Array(_) => "array",
                    Value::String(_) => "string",
                    Value::Bool(_) => "boolean",
                    Value::Number(_) => "integer",
                    Value::Null => "null",
                };
                if rule == is { None } else { here() }
            }
            ("const", v) => {
                if v == rule {
                    None
                } else {
                    here()
                }
            }
            ("enum", v) => {
                if rule.as_array().expect("a list").contains(v) {
                    None
                } else {
                    here()
                }
            }
            ("required", Value::Object(map)) => {
                let lacks =
                    rule.as_array().expect("a list").iter().any(|k| !map.contains_key(k.as_str().expect("a key")));
                if lacks { here() } else { None }
            }
            ("properties", Value::Object(map)) => {
                map.iter().find_map(|(k, v)| broken(root, rule.get(k)?, v, &format!("{at}/{k}")))
            }
            ("additionalProperties", Value::Object(map)) => map.iter().find_map(|(k, v)| {
                let patterns = schema.get("patternProperties").is_some()
                    && (k.contains(|c: char| c.is_ascii_digit()) || k.starts_with("issue."));
                let stands = schema.get("properties").is_some_and(|p| p.get(k).is_some()) || patterns;
                let at = format!("{at}/{k}");
                match rule {
                    _ if stands => None,
                    Value::Bool(allowed) => {
                        if *allowed {
                            None
                        } else {
                            Some(at)
                        }
                    }
                    rule => broken(root, rule, v, &at),
                }
            }),
            ("items", Value::Array(list)) => {
                list.iter().enumerate().find_map(|(i, v)| broken(root, rule, v, &format!("{at}/{i}")))
            }
            ("anyOf", v) => {
                let good = rule.as_array().expect("a list").iter().any(|s| broken(root, s, v, at).is_none());
                if good { None } else { here() }
            }
            ("$ref", v) => {
                let to = rule
                    .as_str()
                    .and_then(|r| r.strip_prefix('#'))
                    .and_then(|p| root.pointer(p))
                    .expect("a definition");
                broken(root, to, v, at)
            }
            ("patternProperties" | "required" | "properties" | "additionalProperties" | "items", _) => None,
            (other, _) => {
                assert!(known.contains(&other), "{other} is not looked at here");
                None
            }
        };
        if wrong.is_some() {
            return wrong;
        }
    }
    None
}
