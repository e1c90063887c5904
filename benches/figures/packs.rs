//! Rendering and parsing, one core, beside code written by hand for the one message.

use super::report::{Figure, Report};
use super::{bridge, mllp};
use ips_bridge::adapter::{Pack, RenderOptions};
use ips_bridge::wire::v1;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

fn per_second(mut once: impl FnMut()) -> f64 {
    for _ in 0..200 {
        once();
    }
    let start = Instant::now();
    let mut count = 0u64;
    while start.elapsed() < Duration::from_secs(2) {
        for _ in 0..100 {
            once();
        }
        count += 100;
    }
    count as f64 / start.elapsed().as_secs_f64()
}

pub fn measure(report: &mut Report) {
    let pack = Pack::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters/hl7v2-uk"))
        .unwrap_or_else(|f| panic!("{f:?}"));
    let input = input();
    let options = RenderOptions::default();
    let value = per_second(|| {
        black_box(pack.render(black_box(&input), &options).expect("rendered"));
    });
    let limit = per_second(|| {
        black_box(by_hand(black_box(&input)));
    });
    report.add(&Figure {
        name: "render_mdm",
        value,
        unit: "msgs/s",
        better: "higher",
        limit,
        limit_name: "format! by hand with escaping",
        mark: "none",
    });

    let message = mllp::referral_message(1, 1, &bridge::nhs_number(41));
    let settings = settings();
    let settings = pack.settings(&settings).unwrap_or_else(|f| panic!("{f:?}"));
    let value = per_second(|| {
        black_box(pack.parse(black_box(&message), &settings, "Europe/London").expect("parsed"));
    });
    let limit = per_second(|| {
        black_box(read_by_hand(black_box(&message)));
    });
    report.add(&Figure {
        name: "parse_ref",
        value,
        unit: "msgs/s",
        better: "higher",
        limit,
        limit_name: "split by hand into owned fields",
        mark: "none",
    });
}

fn settings() -> toml::Table {
    "sending_facility = \"RZ9\"\nreceiving_application = \"EPR\"\nreceiving_facility = \"RZ9\"\nwithdraw_as = \"T11\"\ndefault_team = \"IPS-NORTH\"".parse().expect("TOML")
}

fn input() -> v1::RenderInput {
    let note = bridge::note(&("0".repeat(26), bridge::nhs_number(0))).content.expect("content");
    let now: ips_bridge::wire::Timestamp = jiff::Timestamp::now().into();
    let settings = serde_json::to_value(settings()).expect("JSON");
    v1::RenderInput {
        document: None,
        lookup: None,
        entry: Some(v1::Entry {
            id: "01JNBRZC5M8Q4T7V9XA2E3F4G1".into(),
            kind: v1::EntryKind::Note.into(),
            action: v1::EntryAction::Create.into(),
            version: 1,
            occurred_at: note.occurred_at,
            recorded_at: Some(now),
            title: "Job search".into(),
            headings: vec!["IPS employment support: Job search".into(), "Face to face, attended, 45 minutes".into()],
            text: note.text.clone(),
            activity_type: v1::ActivityType::DirectContact.into(),
            sensitivity: Some(v1::Sensitivity::default()),
            note: Some(note),
            ..v1::Entry::default()
        }),
        patient: Some(v1::PatientDetails {
            nhs_number: Some(bridge::nhs_number(0)),
            nhs_number_status: v1::NhsNumberStatus::Verified.into(),
            local_identifiers: vec![v1::LocalIdentifier {
                assigning_authority: "RZ9".into(),
                value: "M1".into(),
                r#type: "MR".into(),
            }],
            name: Some(v1::PersonName { family: "Testpatient".into(), given: "Sam".into(), prefix: None }),
            date_of_birth: "1985-04-12".into(),
            gender: v1::Gender::NotSpecified.into(),
            address: None,
            phone: None,
        }),
        patient_id: "01JNBRZC5M8Q4T7V9XA2E3F4G2".into(),
        referral: Some(v1::Referral {
            id: "01JNBRZC5M8Q4T7V9XA2E3F4G3".into(),
            details: Some(v1::ReferralDetails::default()),
            ..v1::Referral::default()
        }),
        author: Some(v1::EntryAuthor { author: Some(bridge::author()), epr_id: None, epr_name: None }),
        trust: Some(v1::Trust { ods: "RZ9".into(), name: "Bench".into(), time_zone: "Europe/London".into() }),
        settings: serde_json::from_value(settings).ok(),
        message: Some(v1::MessageFacts {
            control_id: "B0000000000000000001".into(),
            document_id: "01JNBRZC5M8Q4T7V9XA2E3F4G1".into(),
            first_document_id: "01JNBRZC5M8Q4T7V9XA2E3F4G1".into(),
            time: Some(now),
            processing_id: "T".into(),
            ..v1::MessageFacts::default()
        }),
    }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '|' => out.push_str("\\F\\"),
            '^' => out.push_str("\\S\\"),
            '~' => out.push_str("\\R\\"),
            '\\' => out.push_str("\\E\\"),
            '&' => out.push_str("\\T\\"),
            '\n' => out.push_str("\\.br\\"),
            c => out.push(c),
        }
    }
    out
}

/// The same message, by somebody who writes one program for one EPR.
fn by_hand(i: &v1::RenderInput) -> Vec<u8> {
    let (e, p, m, a) = (
        i.entry.as_ref().expect("entry"),
        i.patient.as_ref().expect("patient"),
        i.message.as_ref().expect("message"),
        i.author.as_ref().expect("author"),
    );
    let (a, n) = (a.author.as_ref().expect("author"), p.name.as_ref().expect("name"));
    let time = |t: &Option<ips_bridge::wire::Timestamp>| {
        let t: jiff::Timestamp = t.as_ref().expect("a time").try_into().expect("a time");
        t.strftime("%Y%m%d%H%M%S+0000").to_string()
    };
    format!(
        "MSH|^~\\&|IPSBRIDGE|RZ9|EPR|RZ9|{t}||MDM^T02^MDM_T02|{c}|T|2.4|||||GBR|UNICODE UTF-8|EN\rEVN||{t}\rPID|1||{nhs}^^^NHS^NH~{mrn}^^^RZ9^MR||{f}^{g}||{b}|9\rPV1|1|O\r\
         TXA|1|PN|FT|{o}|{s}^{an}|{t}|||{s}^{an}|||{d}^IPS|||||AU|U|AV\rOBX|1|FT|IPS-HEADING^^L||{h}||||||F\rOBX|2|FT|371532007^Progress report^SCT||{text}||||||F\r",
        t = time(&m.time), c = m.control_id, nhs = p.nhs_number.as_deref().unwrap_or_default(), mrn = escape(&p.local_identifiers[0].value), f = escape(&n.family),
        g = escape(&n.given), b = p.date_of_birth.replace('-', ""), o = time(&e.occurred_at), s = escape(&a.staff_id), an = escape(&a.display_name), d = m.document_id,
        h = escape(&e.headings.join("\n")), text = escape(&e.text),
    )
    .into_bytes()
}

/// The same fields, by somebody who trusts every message.
fn read_by_hand(message: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(message).expect("UTF-8");
    let mut out = Vec::with_capacity(24);
    for segment in text.split('\r') {
        let fields: Vec<&str> = segment.split('|').collect();
        match fields[0] {
            "MSH" => out.extend([fields[6], fields[8], fields[9]].map(str::to_owned)),
            "RF1" => out.extend([fields[2], fields[6], fields[7]].map(str::to_owned)),
            "PRD" => out.extend([fields[2], fields[7]].map(|f| f.split('^').next().unwrap_or_default().to_owned())),
            "PID" => {
                out.extend(fields[3].split('~').map(|r| r.split('^').next().unwrap_or_default().to_owned()));
                out.extend(fields[5].split('^').map(str::to_owned));
                out.extend([fields[7], fields[8]].map(str::to_owned));
            }
            "NTE" => out.push(fields[3].replace("\\T\\", "&")),
            _ => {}
        }
    }
    out
}
