//! What an endpoint asks for that is asked too much: Retry-After, in seconds or as a date (RFC 9110, 10.2.3).

use crate::store::write::Feeling;
use crate::transport::http_message::Reply;
use jiff::Timestamp;
use std::time::Duration;

/// It is never left alone for longer, whatever it asks for: it may have meant another unit, or its clock may be wrong.
const WAIT_MAX: Duration = Duration::from_secs(60 * 60);

/// What a reply of 429 or 503 says of the endpoint, where it says how long to wait.
pub fn told_to_wait(reply: &[u8], now: Timestamp) -> Option<Feeling> {
    // Only the head is looked at; other transports have none.
    let reply = Reply::parse(reply).ok().filter(|r| matches!(r.status, 429 | 503))?;
    let said = reply.headers.get("retry-after")?.trim();
    let wait = match said.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than fit are a long time too.
        true => said.parse().map_or(WAIT_MAX, Duration::from_secs),
        false => {
            let until = jiff::fmt::rfc2822::parse(said).ok()?.timestamp();
            Duration::try_from(until.duration_since(now)).unwrap_or_default()
        }
    };
    let wait = wait.min(WAIT_MAX);
    let why = format!("it answers {} and asks to be left alone for {} s", reply.status, wait.as_secs());
    (!wait.is_zero()).then_some(Feeling::ToldToWait { why, wait })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(status: u16, retry_after: &str) -> Option<u64> {
        let now: Timestamp = "2026-03-02T10:00:00Z".parse().expect("a time");
        match told_to_wait(format!("HTTP {status}\nretry-after: {retry_after}\n\nbody").as_bytes(), now)? {
            Feeling::ToldToWait { wait, .. } => Some(wait.as_secs()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn how_long_to_wait_is_taken_from_seconds_or_a_date_and_capped() {
        for (status, said, seconds) in [
            (429, "120", Some(120)),
            (503, "7", Some(7)),
            (503, "86400", Some(3600)),
            (429, "99999999999999999999999", Some(3600)),
            (429, "Mon, 02 Mar 2026 10:05:00 GMT", Some(300)),
            (429, "Mon, 02 Mar 2099 10:05:00 GMT", Some(3600)),
            (429, "Mon, 02 Mar 2026 09:00:00 GMT", None),
            (429, "0", None),
            (429, "-5", None),
            (429, "soon", None),
            (500, "120", None),
            (200, "120", None),
        ] {
            assert_eq!(wait(status, said), seconds, "{status} {said}");
        }
        let now = Timestamp::UNIX_EPOCH;
        assert!(told_to_wait(b"HTTP 429\n\n", now).is_none() && told_to_wait(b"MSH|^~", now).is_none());
    }
}
