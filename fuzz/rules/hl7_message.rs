//! Whatever comes in by HL7 is read or refused: no panic, and no line lost.

use ips_bridge::adapter::hl7::{
    Ack, AckCode, AckError, Batch, Charset, Envelope, Location, Message, Path, Reply, rules,
};
use jiff::{Timestamp, tz::TimeZone};

/// Paths of every shape, read from whatever was readable.
const PATHS: [&str; 7] = [
    "MSH-9.2",
    "PID-3[4=NHS|NH or 5=NH].1",
    "PID-5[7=L|''].1.1",
    "PRD[1.1=RP]-2.1",
    "OBX[3.1=371532007]-5*",
    "PV1-19.1?",
    "NTE-3",
];

pub fn hold(bytes: &[u8]) {
    for charset in [Charset::Utf8, Charset::Iso8859_1, Charset::Windows1252] {
        let Ok(message) = Message::read(bytes, charset) else { continue };
        assert_eq!(message.segments().len() + message.set_aside().len(), lines_sent(bytes), "a line was lost");
        for segment in message.segments() {
            for number in 0..=segment.field_count() + 1 {
                let field = segment.field(number);
                let _ = field.reading();
                for repeat in field.repeats() {
                    for component in 0..4 {
                        let _ = (repeat.component(component).reading(), repeat.component(component).subcomponent(1));
                    }
                }
            }
        }
        for path in PATHS.iter().filter_map(|p| Path::parse(p).ok()) {
            let _ = (path.read(&message), path.read_all(message.segments()));
        }
    }
    let _ = rules::check(bytes, Charset::Utf8, rules::Limits::default());
    let _ = (Reply::read(bytes), Reply::answers(bytes));
    for one in Batch::split(bytes).unwrap_or_default() {
        let _ = Envelope::peek(one);
    }
    if let Some(envelope) = Envelope::peek(bytes) {
        is_answered(&envelope);
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(path) = Path::parse(text)
    {
        assert!(Path::parse(&path.to_string()).is_ok(), "a path that is shown is not a path");
    }
}

/// Whoever can be peeked at can be answered, in one message, and recognises the answer by its own id.
fn is_answered(envelope: &Envelope) {
    let location = Location { segment: "PID".into(), sequence: Some(1), field: Some(3) };
    let errors = [AckError { code: 101, location: Some(location), text: Some("PID-3: is missing") }];
    let time = Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
    for code in [AckCode::AA, AckCode::AE, AckCode::CR] {
        let ack =
            Ack { to: envelope, code, control_id: "IPS0000000000000000A", time: &time, errors: &errors }.to_bytes();
        assert!(ack.starts_with(b"MSH") && ack.ends_with(b"\r"), "an answer is a message");
        assert_eq!(ack.split(|b| *b == b'\r').filter(|l| l.starts_with(b"MSA")).count(), 1, "one MSA");
        assert!(!ack.iter().any(|b| matches!(b, 0x0B | 0x1C)), "an answer breaks its frame");
    }
}

/// Lines with something on them; what is wrapped round a message is none of its lines.
fn lines_sent(bytes: &[u8]) -> usize {
    let mut bytes = bytes;
    loop {
        bytes = match bytes {
            [0xEF, 0xBB, 0xBF, rest @ ..] | [b' ' | b'\t' | b'\r' | b'\n' | 0x0B, rest @ ..] => rest,
            _ => break,
        };
    }
    let is_text = |b: &u8| !matches!(b, b' ' | b'\t' | 0x0B | 0x1C);
    bytes.split(|b| matches!(b, b'\r' | b'\n')).filter(|line| line.iter().any(is_text)).count()
}
