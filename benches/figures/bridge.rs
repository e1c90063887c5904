//! A bridge in this process, with config as a trust would write it.

use ips_bridge::app::{Running, SystemClock, SystemEntropy, start};
use ips_bridge::config::Config;
use ips_bridge::wire::v1;
use ips_bridge::wire::v1::referral_service_client::ReferralServiceClient;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

/// A fresh store of each kind: name and URL.
pub fn stores() -> Vec<(&'static str, String)> {
    let folder = tempfile::tempdir().expect("a folder").keep();
    let mut stores = vec![("sqlite", format!("sqlite://{}", folder.join("bench.db").display()))];
    match std::env::var("IPS_TEST_POSTGRES_URL") {
        Ok(url) => stores.push(("postgres", url)),
        Err(_) => panic!("IPS_TEST_POSTGRES_URL is not set; run `make bench`, which brings its own PostgreSQL"),
    }
    stores
}

/// A database of its own for one figure.
pub async fn fresh(url: &str, figure: &str) -> String {
    if let Some(path) = url.strip_prefix("sqlite://") {
        return format!("sqlite://{path}-{figure}");
    }
    let pool = sqlx::PgPool::connect(url).await.expect("PostgreSQL");
    let name = format!("bench_{figure}_{}", std::process::id());
    let _ = sqlx::query(sqlx::AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name}"))).execute(&pool).await;
    sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&pool).await.expect("a database");
    let (base, _) = url.rsplit_once('/').expect("a database in the URL");
    format!("{base}/{name}")
}

/// Config text; `epr` is where notes go.
pub fn config(store: &str, epr: SocketAddr) -> String {
    let adapters = concat!(env!("CARGO_MANIFEST_DIR"), "/adapters");
    format!(
        r#"
[server]
listen = "127.0.0.1:0"
development_principal = true
[store]
url = "{store}"
[telemetry]
log_level = "error"
[packs]
folder = "{adapters}"
[[trust]]
ods = "RZ9"
name = "Bench Trust"
teams = [{{ id = "IPS-NORTH", name = "North" }}]
[[endpoint]]
id = "epr"
trust = "RZ9"
name = "EPR"
adapter = "hl7v2-uk"
transport = "mllp"
environment = "test"
filed_by = "application_ack"
acknowledged_by = "record"
after_unknown = "resend"
max_unknown_resends = 5
control_id_prefix = "B"
require_verified_nhs_number = false
back_off = {{ first = "100ms", cap = "1s" }}
probe = {{ first = "1s", cap = "60s" }}
[endpoint.settings]
sending_facility = "RZ9"
receiving_application = "EPR"
receiving_facility = "RZ9"
withdraw_as = "T11"
[endpoint.mllp]
address = "{epr}"
max_connections = 8
[endpoint.listen]
address = "127.0.0.1:0"
default_team = "IPS-NORTH"
[[route]]
trust = "RZ9"
entries = ["note", "outcome"]
endpoint = "epr"
"#
    )
}

pub async fn bridge(store: &str, epr: SocketAddr) -> Running {
    let text = config(store, epr);
    let config =
        Config::from_text(&text, std::path::Path::new("bench.toml"), []).unwrap_or_else(|faults| panic!("{faults:#?}"));
    start(config, Arc::new(SystemClock), Arc::new(SystemEntropy), CancellationToken::new()).await.expect("a bridge")
}

pub async fn channels(address: SocketAddr, count: usize) -> Vec<Channel> {
    let mut channels = Vec::new();
    for _ in 0..count {
        let endpoint =
            tonic::transport::Endpoint::from_shared(format!("http://{address}")).expect("an address").tcp_nodelay(true);
        channels.push(endpoint.connect().await.expect("connected"));
    }
    channels
}

pub fn uuid() -> String {
    use rand::RngCore;
    let mut bytes = [0u8; 16];
    rand::rng().fill_bytes(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

/// The n-th valid number of the 999 range.
pub fn nhs_number(n: u32) -> String {
    let mut found = 0;
    for i in 0.. {
        let stem = format!("999{:06}", i);
        let sum: u32 = stem.bytes().zip((2..=10).rev()).map(|(d, w)| u32::from(d - b'0') * w).sum();
        let check = match 11 - sum % 11 {
            11 => 0,
            c => c,
        };
        let whole = format!("{stem}{check}");
        if check < 10 && whole.bytes().any(|d| d != b'9') {
            if found == n {
                return whole;
            }
            found += 1;
        }
    }
    panic!("there are plenty")
}

pub fn author() -> v1::Author {
    v1::Author {
        staff_id: "ES1042".into(),
        display_name: "Grace Okafor".into(),
        role_title: "Employment Specialist".into(),
        organisation_ods: "A8JX".into(),
    }
}

/// So many referrals of so many patients; their ids and numbers.
pub async fn referrals(channel: Channel, count: u32) -> Vec<(String, String)> {
    let mut made = Vec::new();
    for n in 0..count {
        let number = nhs_number(n);
        let mut client = ReferralServiceClient::new(channel.clone());
        let request = v1::CreateReferralRequest {
            request_id: uuid(),
            trust_ods: "RZ9".into(),
            patient: Some(v1::create_referral_request::Patient::PatientDetails(v1::PatientDetails {
                nhs_number: Some(number.clone()),
                nhs_number_status: v1::NhsNumberStatus::Verified.into(),
                local_identifiers: vec![v1::LocalIdentifier {
                    assigning_authority: "RZ9".into(),
                    value: format!("M{n}"),
                    r#type: "MR".into(),
                }],
                name: Some(v1::PersonName { family: "Testpatient".into(), given: "Sam".into(), prefix: None }),
                date_of_birth: "1985-04-12".into(),
                gender: v1::Gender::NotSpecified.into(),
                address: None,
                phone: None,
            })),
            details: Some(v1::ReferralDetails {
                source_code: "P1".into(),
                priority: v1::ReferralPriority::Routine.into(),
                referrer_name: "Tunde Adeyemi".into(),
                team: "IPS-NORTH".into(),
                ..v1::ReferralDetails::default()
            }),
            received_at: None,
            other_family_names: Vec::new(),
            location_shielded: false,
            patient_deceased: false,
        };
        let referral =
            client.create_referral(request).await.expect("a referral").into_inner().referral.expect("a referral");
        made.push((referral.id, number));
    }
    made
}

/// A note of about 1 KB.
pub fn note(referral: &(String, String)) -> v1::WriteProgressNoteRequest {
    v1::WriteProgressNoteRequest {
        request_id: uuid(),
        referral_id: referral.0.clone(),
        expected_patient: Some(v1::ExpectedPatient {
            nhs_number: referral.1.clone(),
            date_of_birth: "1985-04-12".into(),
            family_name: "Testpatient".into(),
        }),
        author: Some(author()),
        content: Some(v1::NoteContent {
            occurred_at: Some((jiff::Timestamp::now() - jiff::SignedDuration::from_mins(30)).into()),
            text: "Met Sam at the job centre. CV updated & two applications sent.\n".repeat(16),
            contact: Some(v1::Contact {
                mechanism: v1::ContactMechanism::FaceToFace.into(),
                attendance: v1::Attendance::AttendedOnTime.into(),
                mode: v1::ContactMode::Individual.into(),
                duration_minutes: Some(45),
                location_code: None,
                others_present: None,
            }),
            sensitivity: None,
            risk_disclosed: None,
            kind: Some(v1::note_content::Kind::JobSearch(v1::JobSearch {})),
        }),
        release_after: None,
    }
}
