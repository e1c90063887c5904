//! The pretend EPR's own messages, its record file, its printing, and running it from a command line.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ips_bridge::adapter::hl7::{AckCode, Charset, Message, Path, rules};
use ips_bridge::simulator::control::{self, Options};
use ips_bridge::simulator::messages::{Party, Priority, Referral, Referrer};
use ips_bridge::simulator::record::Address;
use ips_bridge::simulator::{Faults, Record, SendFailure, Settings, Show, Simulator, SimulatorError, show};
use ips_bridge::transport::mllp::{Answer, ClientSettings, ListenerSettings, Received};
use ips_bridge::transport::tls::{
    ClientCertificates, ClientTls, ClientTlsSettings, Identity, PemSource, ServerTls, ServerTlsSettings, TlsMin,
    install_crypto_provider,
};
use jiff::tz::TimeZone;

use crate::simulator_support::{bridge, clock, code, epr, note, sam, send};
use crate::support::{hl7_judges, temp_dir};
use crate::transport_support::{PATIENCE, listen};

fn referral(control_id: &str, text: &str, change: impl FnOnce(&mut ips_bridge::simulator::record::Patient)) -> Vec<u8> {
    let party = |application: &str| Party { application: application.into(), facility: "RZ9".into() };
    let time = clock()().to_zoned(TimeZone::UTC);
    let mut patient = sam();
    change(&mut patient);
    Referral {
        control_id,
        time: &time,
        from: &party("EPR"),
        to: &party("IPSBRIDGE"),
        processing_id: "T",
        referral_id: "REF-88213",
        priority: Priority::Urgent,
        referrer: &Referrer {
            staff_id: "CC4410".into(),
            family: "ADEYEMI".into(),
            given: "TUNDE".into(),
            prefix: "DR".into(),
        },
        team: "IPS-NORTH",
        patient: &patient,
        is_traced: true,
        text,
    }
    .to_bytes()
    .unwrap()
}

fn acknowledge(received: Received) -> Answer {
    let id = Message::read(&received.bytes, Charset::Utf8).unwrap().msh().field(10).raw().to_owned();
    Answer::frame(format!("MSH|^~\\&|||||||ACK|1|T|2.4\rMSA|AA|{id}\r").into_bytes())
}

#[test]
fn a_referral_says_what_it_was_given() {
    let bytes = referral("EPR1", "Wants part-time work & | more.\nTexts only.", |p| {
        p.family = "O'TEST^ÉL".into();
        p.address = Some(Address { line: "1 Example Street".into(), city: "Northtown".into(), ..Address::default() });
    });
    let message = Message::read(&bytes, Charset::Utf8).unwrap();
    assert!(message.set_aside().is_empty());
    let read = |path: &str| Path::parse(path).unwrap().read(&message).unwrap().value().map(str::to_owned);
    for (path, value) in [
        ("MSH-10", "EPR1"),
        ("RF1-2.1", "U"),
        ("RF1-6.1", "REF-88213"),
        ("PRD[1.1=RP]-2.1", "ADEYEMI"),
        ("PRD[1.1=RP]-7.1", "CC4410"),
        ("PRD[1.1=RT]-7.1", "IPS-NORTH"),
        ("PID-3[5=NH].1", "9990000018"),
        ("PID-3[5=MR].4", "RZ9"),
        ("PID-5.1", "O'TEST^ÉL"),
        ("PID-7", "19850412"),
        ("PID-11.3", "Northtown"),
        ("PID-32.1", "NSTS01"),
        ("NTE-3*", "Wants part-time work & | more.\nTexts only."),
    ] {
        assert_eq!(read(path).as_deref(), Some(value), "{path}");
    }
    assert_eq!(rules::check(&bytes, Charset::Utf8, rules::Limits::default()).err(), None);
}

#[test]
fn interop_every_judge_passes_the_referrals() {
    if std::env::var_os("IPS_SHARED").is_none() {
        eprintln!("skipped: IPS_SHARED is not set");
        return;
    }
    let messages = [
        referral("EPR0000000000000001", "Wants part-time retail work.\n\nPrefers contact by text: \\ & ~ ^ |.", |_| {}),
        referral("EPR2", "", |p| {
            p.mrn = None;
            p.gender = None;
        }),
        referral("EPR3", "Café work", |p| {
            p.nhs_number = None;
            p.family = "Ŵilliams".into();
            p.address = Some(Address {
                line: "1 Example Street".into(),
                city: "Northtown".into(),
                county: "Northshire".into(),
                postcode: "ZZ99 9ZZ".into(),
            });
        }),
    ];
    assert_eq!(hl7_judges(&messages), Ok(()));
}

#[tokio::test]
async fn a_referral_sent_is_kept_with_its_acknowledgement() {
    let (address, _stop, _) = listen(ListenerSettings::default(), |received| async { acknowledge(received) }).await;
    let epr = epr(|s| s.partner = Some(ClientSettings::new(address))).await;
    let id = epr.next_control_id();
    assert!(id.len() <= 20 && id != epr.next_control_id());
    let reply = epr.send(&referral(&id, "Wants part-time work.", |_| {})).await.unwrap();
    assert_eq!(reply.code, AckCode::AA);
    let record = epr.record();
    let kept = record.referral("REF-88213").unwrap();
    assert_eq!((kept.sent.len(), &*kept.sent[0].acknowledged), (1, "AA"));
    assert_eq!(record.patient("9990000018").unwrap().patient.family, "TESTPATIENT");
    assert!(matches!(epr.send(b"not HL7").await, Err(SendFailure::NotAMessage)));
}

#[tokio::test]
async fn without_a_partner_or_with_one_that_is_away_sending_says_so() {
    let alone = epr(|_| {}).await;
    assert!(matches!(alone.send(&referral("E1", "", |_| {})).await, Err(SendFailure::NoPartner)));
    let away = crate::support::free_addr();
    let epr = epr(|s| s.partner = Some(ClientSettings::new(away.to_string()))).await;
    assert!(matches!(epr.send(&referral("E1", "", |_| {})).await, Err(SendFailure::NotSent(_))));
    assert_eq!(epr.record().referral("REF-88213").unwrap().sent[0].acknowledged, "");
}

#[tokio::test]
async fn what_was_acknowledged_is_in_the_file_and_a_new_epr_goes_on_from_it() {
    let folder = temp_dir();
    let file = folder.path().join("record.json");
    let start = || epr(|s| s.record_file = Some(file.clone()));
    let first = start().await;
    let (pool, _strays) = bridge(&first);
    for n in 1..=20 {
        assert_eq!(code(&pool, &note(n)).await, AckCode::AA);
        let kept = Record::from_json(&std::fs::read_to_string(&file).unwrap(), Default::default()).unwrap();
        assert_eq!(kept.copies(&format!("D{n}^IPS")), 1, "the answer came before the file");
    }
    first.shutdown().await;
    let second = start().await;
    let (pool, _strays) = bridge(&second);
    assert_eq!(code(&pool, &note(1)).await, AckCode::AA);
    let record = second.record();
    assert_eq!((record.copies("D1^IPS"), record.arrivals_of("C1").len(), record.documents().count()), (1, 2, 20));
}

#[tokio::test]
async fn a_file_that_is_no_record_or_cannot_be_written_stops_the_start() {
    let folder = temp_dir();
    let file = folder.path().join("record.json");
    std::fs::write(&file, "{ \"patients\": 7 }").unwrap();
    let start = |file: std::path::PathBuf| {
        let mut settings = Settings::new(clock());
        settings.record_file = Some(file);
        Simulator::start(settings)
    };
    assert!(matches!(start(file).await, Err(SimulatorError::NotARecord { .. })));
    assert!(matches!(start(folder.path().join("no/such/folder")).await, Err(SimulatorError::RecordFile { .. })));
}

#[tokio::test]
async fn many_connections_at_once_lose_nothing() {
    let epr = Arc::new(epr(|_| {}).await);
    let senders: Vec<_> = (0..8)
        .map(|part| {
            let epr = epr.clone();
            tokio::spawn(async move {
                let (pool, _strays) = bridge(&epr);
                for n in 0..25 {
                    assert_eq!(code(&pool, &note(part * 100 + n)).await, AckCode::AA);
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.unwrap();
    }
    let record = epr.record();
    assert_eq!((record.documents().count(), record.arrivals().len(), record.duplicates().len()), (200, 200, 0));
}

/// Paper that a test can read while it is being written on.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Paper {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

#[tokio::test]
async fn a_run_prints_each_message_as_it_comes_and_the_record_at_the_end() {
    let paper = Paper::default();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let options = Options {
        settings: Settings::new(clock()),
        faults: vec!["ack-twice@2".into()],
        seed: 0,
        send: vec![],
        print_messages: false,
        print_record: Some(Show::default()),
    };
    let mut out = paper.clone();
    let run = tokio::spawn(async move { control::run(options, &mut out, async { stopped.await.unwrap() }).await });
    crate::support::wait_until(PATIENCE, "its address", async || paper.text().contains('\n')).await;
    let text = paper.text();
    let address = text.trim().rsplit(' ').next().unwrap();
    let (pool, _strays) = crate::transport_support::pool(ClientSettings::new(address));
    assert_eq!(code(&pool, &note(1)).await, AckCode::AA);
    assert_eq!(code(&pool, &note(2)).await, AckCode::AA);
    crate::support::wait_until(PATIENCE, "two lines", async || paper.text().lines().count() >= 3).await;
    stop.send(()).unwrap();
    let record = tokio::time::timeout(PATIENCE, run).await.unwrap().unwrap().unwrap();
    assert_eq!(record.documents().count(), 2);
    let text = paper.text();
    assert!(text.contains("received MDM^T02 C1, filed: AA to C1\n"), "{text}");
    assert!(text.contains("received MDM^T02 C2, filed: AA to C2 + AA to C2  [fault: ack-twice]\n"), "{text}");
    assert!(text.contains("Met Sam at the job centre. Note 2."), "{text}");
}

#[tokio::test]
async fn a_fault_that_cannot_be_read_stops_the_run_before_it_listens() {
    let options = Options {
        settings: Settings::new(clock()),
        faults: vec!["drop".into()],
        seed: 0,
        send: vec![],
        print_messages: false,
        print_record: None,
    };
    let ended = control::run(options, &mut std::io::sink(), std::future::pending()).await;
    assert!(ended.unwrap_err().to_string().contains("drop-ack"));
}

fn later(message: Vec<u8>, from: &str, to: &str) -> Vec<u8> {
    String::from_utf8(message).unwrap().replace(from, to).into_bytes()
}

#[tokio::test]
async fn the_record_on_paper() {
    let (address, _stop, _) = listen(ListenerSettings::default(), |received| async { acknowledge(received) }).await;
    let epr = epr(|s| {
        s.partner = Some(ClientSettings::new(address));
        s.faults = Faults::parse(&["refuse:AE:206@id:C9"], 0).unwrap();
    })
    .await;
    epr.send(&referral("EPR1", "Wants part-time retail work, near home, mornings only at first; has a CV from 2019 and a reference.\nTexts only.", |_| {})).await.unwrap();
    let (pool, _strays) = bridge(&epr);
    let rri = "MSH|^~\\&|IPSBRIDGE|RZ9|EPR|RZ9|20260302101530||RRI^I12^RRI_I12|C0|T|2.4\rMSA|AA|EPR1\r\
         RF1|A^Accepted^HL70283|U^Urgent^HL70280|||O|REF-88213^EPR\rPRD|RT^Referred to Provider^HL70286\r\
         PID|1||4471920^^^RZ9^MR~9990000018^^^NHS^NH||TESTPATIENT^SAM\r";
    let outcome = "OBX|2|CE|IPS-KIND^Outcome kind^L||01^Job start^L||||||F\r\
         OBX|3|DT|IPS-STARTED-ON^Started on^L||20260309||||||F\rOBX|4|NM|IPS-MINUTES^Minutes worked a week^L||960|min|||||F\r";
    let messages = [
        rri.as_bytes().to_vec(),
        note(1),
        note(1),
        later(later(note(2), "^T02", "^T10"), "D2^IPS|", "D2^IPS|D1^IPS"),
        later(
            note(3),
            "Met Sam",
            &format!("A long day.\\.br\\\\.br\\{}Met Sam", "Sam and I went through every advert. ".repeat(5)),
        ),
        later(
            later(later(note(4), "D4", "D3"), "MDM^T02^MDM_T02", "MDM^T11^MDM_T01"),
            "|AV\r",
            "|CA||Filed in error\r",
        )
        .split(|b| *b == b'\r')
        .filter(|s| !s.is_empty() && !s.starts_with(b"OBX"))
        .flat_map(|s| [s, b"\r"].concat())
        .collect(),
        [note(5), outcome.as_bytes().to_vec()].concat(),
    ];
    for message in &messages {
        assert_eq!(code(&pool, message).await, AckCode::AA);
    }
    assert_eq!(code(&pool, &note(9)).await, AckCode::AE);
    let how = Show { time_zone: TimeZone::get("Europe/London").unwrap(), ..Show::default() };
    let text = show(&epr.record(), &how);
    assert!(text.lines().all(|l| l.chars().count() <= 100 && l.trim_end() == l), "{text}");
    insta::assert_snapshot!(text);
    let short = show(&epr.record(), &Show { lines_max: Some(1), ids: false, ..how });
    assert!(short.contains("more") && !short.contains("D1^IPS") && short.lines().count() < text.lines().count());
    tokio::time::timeout(Duration::from_secs(5), epr.shutdown()).await.unwrap();
}

#[tokio::test]
async fn it_listens_over_tls_like_any_listener() {
    install_crypto_provider();
    let made = rcgen::generate_simple_self_signed(vec!["epr.example".to_owned()]).unwrap();
    let pem = |text: String| PemSource::Bytes(text.into_bytes());
    let identity = Identity { chain: pem(made.cert.pem()), key: pem(made.signing_key.serialize_pem()) };
    let clients = ClientCertificates::NotAsked;
    let server = ServerTlsSettings { identity, clients, min: TlsMin::V1_3, alpn: Vec::new() };
    let server = Arc::new(ServerTls::load(server).unwrap());
    let epr = epr(|s| s.listener.tls = Some(server)).await;
    let client = ClientTlsSettings {
        roots: pem(made.cert.pem()),
        identity: None,
        server_name: Some("epr.example".to_owned()),
        min: TlsMin::V1_3,
    };
    let tls = Some(Arc::new(ClientTls::load(client).unwrap()));
    let settings = ClientSettings { tls, ..ClientSettings::new(epr.addr().to_string()) };
    let (over_tls, _strays) = crate::transport_support::pool(settings);
    assert_eq!(code(&over_tls, &note(1)).await, AckCode::AA);
    let (plain, _strays) = bridge(&epr);
    assert!(!matches!(send(&plain, &note(2)).await.sent, ips_bridge::transport::Sent::Reply(_)));
    assert_eq!(epr.record().documents().count(), 1);
}
