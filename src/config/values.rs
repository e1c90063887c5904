//! The kinds of value a key can have. Each says what is wrong and what to write instead; the key's name is put before it.

use super::fault::nearest;
use super::tree::{Node, Value};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// Why a value is not of its kind: `what` continues "key …".
pub(super) struct Wrong {
    pub what: String,
    pub hint: String,
}

pub(super) type Parsed<T> = Result<T, Wrong>;

pub(super) fn wrong<T>(what: impl Into<String>, hint: impl Into<String>) -> Parsed<T> {
    Err(Wrong { what: what.into(), hint: hint.into() })
}

fn quoted(node: &Node) -> Parsed<&str> {
    node.text().map_or_else(|| wrong("must be text", "put it in double quotes"), Ok)
}

/// Not empty, no control characters, no blanks at the ends.
pub(super) fn text(max_chars: usize) -> impl Fn(&Node) -> Parsed<String> {
    move |node| {
        let text = quoted(node)?;
        if text.is_empty() || text.trim() != text || text.chars().any(char::is_control) {
            return wrong(
                "must not be empty, begin or end with a blank, or hold control characters",
                "write it out plainly",
            );
        }
        if text.chars().count() > max_chars {
            return wrong(format!("is longer than {max_chars} characters"), "shorten it");
        }
        Ok(text.to_owned())
    }
}

pub(super) fn boolean(node: &Node) -> Parsed<bool> {
    match &node.value {
        Value::Bool(b) => Ok(*b),
        Value::Loose(s) if s == "true" => Ok(true),
        Value::Loose(s) if s == "false" => Ok(false),
        _ => wrong("must be true or false", "write true or false without quotes"),
    }
}

pub(super) fn int<T: TryFrom<i64>>(range: RangeInclusive<i64>) -> impl Fn(&Node) -> Parsed<T> {
    move |node| {
        let n = match &node.value {
            Value::Int(n) => Some(*n),
            Value::Loose(s) => s.parse().ok(),
            _ => None,
        };
        let hint = format!("write a number from {} to {}", range.start(), range.end());
        match n {
            None => wrong("must be a whole number without quotes", hint),
            Some(n) if !range.contains(&n) => wrong(format!("is out of range: {n}"), hint),
            Some(n) => T::try_from(n).or_else(|_| wrong("is out of range", hint)),
        }
    }
}

/// "500ms", "30s", "5m", "2h", "7d".
pub(super) fn duration(range: RangeInclusive<Duration>) -> impl Fn(&Node) -> Parsed<Duration> {
    move |node| {
        let hint = "write a number and a unit in quotes: \"500ms\", \"30s\", \"5m\", \"2h\" or \"7d\"";
        let Some(d) = node.text().and_then(parse_duration) else {
            return wrong("must be a length of time", hint);
        };
        if !range.contains(&d) {
            let what = format!("is out of range: {}", show_duration(d));
            return wrong(
                what,
                format!("choose from \"{}\" to \"{}\"", show_duration(*range.start()), show_duration(*range.end())),
            );
        }
        Ok(d)
    }
}

fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let n: u64 = text[..digits].parse().ok()?;
    let millis = match &text[digits..] {
        "ms" => n,
        "s" => n.checked_mul(1000)?,
        "m" => n.checked_mul(60_000)?,
        "h" => n.checked_mul(3_600_000)?,
        "d" => n.checked_mul(86_400_000)?,
        _ => return None,
    };
    Some(Duration::from_millis(millis))
}

/// In the largest unit that divides it.
pub(super) fn show_duration(d: Duration) -> String {
    let millis = d.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")];
    let (size, unit) =
        units.into_iter().find(|(size, _)| millis >= *size && millis.is_multiple_of(*size)).unwrap_or((1000, "s"));
    format!("{}{unit}", millis / size)
}

pub(super) const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(super) const fn minutes(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}

pub(super) const fn days(n: u64) -> Duration {
    Duration::from_secs(n * 86_400)
}

/// One of a few words.
pub(super) fn choice<T: Copy>(options: &'static [(&'static str, T)]) -> impl Fn(&Node) -> Parsed<T> {
    move |node| {
        let words = || options.iter().map(|(word, _)| *word);
        let list = words().map(|w| format!("\"{w}\"")).collect::<Vec<_>>().join(", ");
        let Some(text) = node.text() else { return wrong("must be text", format!("choose one of {list}")) };
        if let Some((_, value)) = options.iter().find(|(word, _)| *word == text) {
            return Ok(*value);
        }
        let meant = nearest(text, words()).map(|w| format!("did you mean \"{w}\"? ")).unwrap_or_default();
        wrong(format!("is \"{text}\", which is none of the choices"), format!("{meant}choose one of {list}"))
    }
}

/// A name of the domain, by its own rule.
pub(super) fn named<T, E: std::fmt::Display>(parse: fn(&str) -> Result<T, E>) -> impl Fn(&Node) -> Parsed<T> {
    move |node| parse(quoted(node)?).or_else(|rule| wrong(rule.to_string(), "check spelling and capitals"))
}

pub(super) fn socket(node: &Node) -> Parsed<SocketAddr> {
    let hint = "write address:port in quotes, e.g. \"127.0.0.1:50051\" or \"[::1]:50051\"; names such as localhost are not looked up here";
    quoted(node)?.parse().or_else(|_| wrong("must be a numeric address and a port", hint))
}

/// A host and a port to connect to. The host may be a name, looked up at every new connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    pub host: String,
    pub port: u16,
}

impl Address {
    pub(super) fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

pub(super) fn address(node: &Node) -> Parsed<Address> {
    let hint = "write host:port in quotes, e.g. \"tie.trust.example:2575\", \"10.1.2.3:2575\" or \"[fd00::1]:2575\"";
    let text = quoted(node)?;
    if let Ok(socket) = text.parse::<SocketAddr>()
        && socket.port() != 0
    {
        return Ok(Address { host: socket.ip().to_string(), port: socket.port() });
    }
    let good = |h: &str| {
        !h.is_empty()
            && h.len() <= 253
            && h.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_'))
    };
    match text.rsplit_once(':').map(|(host, port)| (host, port.parse::<u16>())) {
        Some((host, Ok(port))) if port != 0 && good(host) => Ok(Address { host: host.to_owned(), port }),
        _ => wrong("must be a host and a port", hint),
    }
}

/// A path, starting from the folder of the file it stands in.
pub(super) fn path(node: &Node) -> Parsed<PathBuf> {
    let text = quoted(node)?;
    if text.is_empty() {
        return wrong("must be a path", "name a file");
    }
    Ok(node.place.source.base.join(text))
}

/// However a folder is written, by one name: a slash more, `./` and `..` are the same place. By its letters alone: a share whose server is gone would hold up
/// whoever looks at it, and a start with it.
pub(super) fn same_place(path: &Path) -> String {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut cleaned = PathBuf::new();
    for part in whole.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                cleaned.pop();
            }
            part => cleaned.push(part),
        }
    }
    cleaned.display().to_string()
}

/// A path to a file that is there.
pub(super) fn file(node: &Node) -> Parsed<PathBuf> {
    let path = path(node)?;
    if path.is_file() {
        return Ok(path);
    }
    wrong(
        format!("names a file that is not there: {}", super::files::shown(&path)),
        "paths start from the folder of the file they are written in; correct it or put the file there",
    )
}

pub(super) fn date(node: &Node) -> Parsed<Date> {
    let text = match &node.value {
        Value::Other(toml::Value::Datetime(d)) => d.to_string(),
        _ => quoted(node)?.to_owned(),
    };
    let strict = text.len() == 10;
    text.parse()
        .ok()
        .filter(|_| strict)
        .map_or_else(|| wrong("must be a date", "write year-month-day, e.g. 2026-03-31"), Ok)
}

/// A name of the IANA time zone database. The database is built in, so that a bare container knows Europe/London too.
pub(super) fn time_zone(node: &Node) -> Parsed<TimeZone> {
    TimeZone::get(quoted(node)?).or_else(|_| wrong("is not a time zone", "write its IANA name, e.g. \"Europe/London\""))
}
