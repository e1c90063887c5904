//! What a pack read of a message goes on to the fields' rules, as it does when it comes in.

use ips_bridge::adapter::form::{change, message};
use ips_bridge::adapter::{Pack, Parsed};
use std::path::Path;

pub fn pack(id: &str) -> Pack {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join("adapters").join(id);
    let folder = if folder.exists() { folder } else { Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters").join(id) };
    Pack::load(&folder).unwrap_or_else(|faults| panic!("{}", faults[0]))
}

pub fn is_taken_or_refused(pack: &Pack, bytes: &[u8]) {
    let settings = pack.manifest.settings.examples();
    if let Ok(parsed) = pack.parse(bytes, &settings, "Europe/London") {
        by_the_rules(&parsed);
    }
    if let Ok((parsed, faults)) = pack.read(bytes, &settings, "Europe/London") {
        by_the_rules(&parsed);
        for fault in faults {
            assert!(!fault.to_string().chars().any(char::is_control), "a fault is one line");
        }
    }
}

fn by_the_rules(parsed: &Parsed) {
    let now = jiff::Timestamp::UNIX_EPOCH;
    let _ = message::referral(&parsed.value, now.to_zoned(jiff::tz::TimeZone::UTC).date());
    let _ = change::patient(&parsed.value, &parsed.nulls, now);
    let _ = change::merges(&parsed.value, now);
    let _ = change::referral(&parsed.value, &parsed.nulls, now);
}
