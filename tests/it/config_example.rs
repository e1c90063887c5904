//! The example configuration loads, and says what it seems to say.

use ips_bridge::adapter::Packs;
use ips_bridge::config::{Config, HOLDS_FOR_LIVE, Secret, StoreUrl, Transport, missing_for_live};
use ips_bridge::domain::organisation::{EndpointId, OdsCode, StaffId, TeamId};
use ips_bridge::domain::policy::{AckMode, FiledBy, Names};
use ips_bridge::domain::route::{RouteQuery, RoutedKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub fn example_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config")
}

fn load(env: &[(&str, &str)]) -> Result<Config, Vec<ips_bridge::config::Fault>> {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::load(&example_folder().join("example.toml"), env)
}

fn endpoint(id: &str) -> EndpointId {
    EndpointId::parse(id).expect("an endpoint id")
}

#[test]
fn the_example_has_three_trusts_and_four_endpoints_and_no_fault() {
    let config = load(&[]).expect("no fault");
    assert_eq!(config.warnings, vec![], "and no warning");
    let trusts: Vec<&str> = config.trusts.iter().map(|t| t.ods.as_str()).collect();
    assert_eq!(trusts, ["RX9", "RY9", "RZ9"]);
    let endpoints: Vec<&str> = config.endpoints.iter().map(|e| e.id.as_str()).collect();
    assert_eq!(endpoints, ["rx9-carenotes", "ry9-systmone", "ry9-paris", "rz9-rio"]);
    assert_eq!(config.retired_endpoints, [endpoint("rx9-old-rio")]);
    assert_eq!(config.principals.len(), 2);
}

#[test]
fn an_endpoint_carries_what_its_trust_decided() {
    let config = load(&[]).expect("no fault");
    let paris = config.endpoint(&endpoint("ry9-paris")).expect("there");
    let Transport::Mllp(mllp) = &paris.transport else { panic!("over mllp") };
    assert_eq!(mllp.address.to_string(), "127.0.0.1:2603");
    assert_eq!(paris.longest_send(), Duration::from_secs(3 + 10 + 45));
    assert_eq!(paris.lease, Duration::from_secs(3 + 10 + 45 + 15), "computed: longer than any send");
    assert_eq!(paris.max_in_flight_lanes, 1, "as many as connections");
    let policy = paris.policy("abc".to_owned(), Names::OwnId, false);
    assert_eq!((policy.ack_mode, policy.filed_by), (AckMode::Enhanced, FiledBy::ApplicationAck));
    assert_eq!((policy.max_text_chars, policy.fingerprint.as_str()), (30_000, "abc"));
    let carenotes = config.endpoint(&endpoint("rx9-carenotes")).expect("there");
    assert_eq!(carenotes.approval.as_ref().map(|a| a.on.to_string()).as_deref(), Some("2026-02-16"));
    assert_eq!(carenotes.settings.get("receiving_facility").and_then(|v| v.as_str()), Some("RX9"));
    // 2026-06-06 is a Saturday; British Summer Time.
    let at = |text: &str| text.parse().expect("a timestamp");
    assert_eq!(carenotes.in_maintenance(at("2026-06-06T19:30:00Z")), Some(at("2026-06-07T07:00:00Z")));
    assert_eq!(carenotes.in_maintenance(at("2026-06-06T18:30:00Z")), None);
}

#[test]
fn one_person_has_an_id_in_each_epr() {
    let config = load(&[]).expect("no fault");
    let staff = &config.trust(&OdsCode::parse("RY9").expect("a code")).expect("there").staff;
    let rosa = StaffId::parse("EC201").expect("a staff id");
    let id = |at: &str| staff.find(&rosa, &endpoint(at)).map(|row| row.epr_id.as_str());
    assert_eq!((id("ry9-systmone"), id("ry9-paris"), id("rz9-rio")), (Some("S1-88201"), Some("PLINDR"), None));
    assert!(!format!("{staff:?}").contains("Rosa"), "names do not show");
}

#[test]
fn the_early_intervention_team_writes_in_paris_and_everyone_else_in_systmone() {
    let config = load(&[]).expect("no fault");
    let trust = OdsCode::parse("RY9").expect("a code");
    let to = |team: &str| {
        let team = TeamId::parse(team).expect("a team");
        let query =
            RouteQuery { trust: &trust, kind: RoutedKind::Note, team: Some(&team), site: None, referral_source: None };
        config.route(&query).map(|r| r.endpoint.as_str().to_owned())
    };
    assert_eq!(to("estuary-ei").as_deref(), Some("ry9-paris"));
    assert_eq!(to("estuary-east").as_deref(), Some("ry9-systmone"));
}

#[test]
fn a_variable_stands_for_one_setting() {
    let config = load(&[
        ("IPS_BRIDGE__STORE__URL", "postgres://bridge@db.example/ips"),
        ("IPS_BRIDGE__STORE__PASSWORD", "opensesame"),
        ("IPS_BRIDGE__LIMITS__MAX_OPEN_DELIVERIES_PER_ENDPOINT", "20"),
        ("IPS_BRIDGE__LIMITS__SHUTDOWN_GRACE", "90s"),
        ("IPS_BRIDGE__SERVER__GRPC_WEB", "false"),
        ("IPS_BRIDGE__RETIRED_ENDPOINTS", "rx9-old-rio, rx9-older"),
        ("IPS_BRIDGE_CONFIG", "not one of ours"),
        ("PATH", "/bin"),
    ])
    .expect("no fault");
    assert_eq!(config.store.url, StoreUrl::Postgres("postgres://bridge@db.example/ips".to_owned()));
    assert_eq!(config.store.password.as_ref().map(Secret::expose), Some("opensesame"));
    assert_eq!((config.limits.max_open_deliveries_per_endpoint, config.server.grpc_web), (20, false));
    assert_eq!(config.limits.shutdown_grace, Duration::from_secs(90));
    assert_eq!(config.retired_endpoints.len(), 2);
}

#[test]
fn a_live_endpoint_is_refused_while_a_safety_hold_is_missing() {
    let done: Vec<&str> = HOLDS_FOR_LIVE.into_iter().filter(|hold| !["deceased", "merged"].contains(hold)).collect();
    assert_eq!(missing_for_live(&done), ["deceased", "merged"]);
    let text = std::fs::read_to_string(example_folder().join("example.toml")).expect("the example");
    let folder = super::config_faults::copy_of_example();
    let rz9 = folder.path().join("trusts/rz9.toml");
    let live =
        std::fs::read_to_string(&rz9).expect("a trust").replace("environment = \"test\"", "environment = \"live\"");
    std::fs::write(&rz9, live).expect("written");
    let text = text.replace("development_principal = true", "");
    let config = Config::from_text(&text, &folder.path().join("example.toml"), []).expect("live can be said");
    assert_eq!(config.live_endpoints().map(|e| e.id.as_str()).collect::<Vec<_>>(), ["rz9-rio"]);
    let faults: Vec<String> = config.check_live(&done).iter().map(ToString::to_string).collect();
    assert_eq!(faults.len(), 1);
    assert!(
        faults[0].contains("rz9.toml:20: endpoint \"rz9-rio\" is live") && faults[0].contains("deceased, merged"),
        "{faults:?}"
    );
    assert_eq!(config.check_live(&HOLDS_FOR_LIVE), vec![]);
    assert_eq!(load(&[]).expect("no fault").check_live(&done), vec![], "test endpoints may start");
}

#[test]
fn each_trust_of_the_nhs_example_has_its_code_and_a_pack_that_its_settings_fit() {
    let config = Config::load(&example_folder().join("nhs-example.toml"), []).expect("no fault");
    let trusts: Vec<&str> = config.trusts.iter().map(|t| t.ods.as_str()).collect();
    assert_eq!(trusts, ["R1A", "RHA", "RP1", "RQY", "RV3", "RV9", "RW1", "RWR", "RX2", "TAD"]);
    let packs = Packs::load_folder(&example_folder().join("../adapters")).expect("every pack loads");
    for endpoint in &config.endpoints {
        let pin = format!("{}@{}", endpoint.adapter, endpoint.pack_version.as_ref().expect("each is pinned"));
        let pack = packs.pinned(&pin).unwrap_or_else(|f| panic!("{}: {f}", endpoint.id));
        assert_eq!(pack.check_settings(&endpoint.settings), vec![], "{}", endpoint.id);
        let what = (endpoint.environment, endpoint.filed_by);
        assert_eq!(
            what,
            (ips_bridge::domain::policy::Environment::Test, FiledBy::Reconciled),
            "{}: nothing is claimed",
            endpoint.id
        );
    }
    for file in std::fs::read_dir(example_folder().join("trusts/nhs")).expect("a folder") {
        let text = std::fs::read_to_string(file.expect("readable").path()).expect("readable");
        assert!(text.lines().any(|l| l.starts_with("# EPR: ")), "each says how sure it is");
    }
}
