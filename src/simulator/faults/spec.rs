//! Faults as they are written on a command line: `refuse:AE:206@3`, `drop-ack@10%`, `late-ack:2s@MDM^T10#1`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{Chance, Fault, Faults, Scripted, When};
use crate::adapter::hl7::AckCode;

/// What is wrong with a fault as written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{written:?} is no fault: {what}")]
pub struct BadFault {
    pub written: String,
    pub what: &'static str,
}

const KINDS: &str = "write refuse:AE:206, delay:500ms, late-ack:2s, drop-ack, silence, close, file-and-close, \
    close-mid-frame, ack-twice, wrong-id, foreign-id, garbage, noise, late-application-ack:1s, commit-only, go-away or go-away:5s";
const WHENS: &str = "after @ write all, a number (the nth message), every:10, 5%, a type such as MDM^T11, or id:<MSH-10 or TXA-12>; \
    behind it #2 means at most twice";

impl Faults {
    /// Reads `<fault>[@<when>][#<at most>]`, each with its own meaning of when; without `@`, every message.
    ///
    /// # Errors
    /// The first that cannot be read, or probabilities that add up to more than 100 %.
    pub fn parse<S: AsRef<str>>(written: &[S], seed: u64) -> Result<Self, BadFault> {
        let mut faults = Self { seed, ..Self::default() };
        for text in written.iter().map(S::as_ref) {
            let bad = |what| BadFault { written: text.to_owned(), what };
            let (rest, at_most) = match text.split_once('#') {
                Some((rest, times)) => (rest, Some(times.parse().map_err(|_| bad(WHENS))?)),
                None => (text, None),
            };
            let (fault, when) = rest.split_once('@').unwrap_or((rest, "all"));
            let fault: Fault = fault.parse().map_err(bad)?;
            if let Some(percent) = when.strip_suffix('%') {
                let percent: f64 = percent.parse().map_err(|_| bad(WHENS))?;
                if !(0.0..=100.0).contains(&percent) || at_most.is_some() {
                    return Err(bad("a probability lies between 0% and 100% and takes no #"));
                }
                faults.chances.push(Chance { fault, probability: percent / 100.0 });
                continue;
            }
            let when = parse_when(when).ok_or(bad(WHENS))?;
            faults.script.push(Scripted { when, fault, at_most });
        }
        if faults.chances.iter().map(|c| c.probability).sum::<f64>() > 1.0 + 1e-9 {
            let written = written.iter().map(S::as_ref).collect::<Vec<_>>().join(" ");
            return Err(BadFault { written, what: "the probabilities add up to more than 100%" });
        }
        Ok(faults)
    }
}

fn parse_when(text: &str) -> Option<When> {
    let positive = |n: &str| n.parse().ok().filter(|n| *n > 0);
    Some(match text.split_once(':') {
        Some(("every", n)) => When::Every(positive(n)?),
        Some(("id", id)) if !id.is_empty() => When::Id(id.to_owned()),
        Some(_) => return None,
        None if text == "all" => When::All,
        None if text.contains('^') => When::Kind(text.to_owned()),
        None => When::Nth(positive(text)?),
    })
}

impl FromStr for Fault {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split(':');
        let name = parts.next().unwrap_or_default();
        let (first, second) = (parts.next(), parts.next());
        if parts.next().is_some() {
            return Err(KINDS);
        }
        let time = || first.and_then(parse_time).ok_or("write a time behind it, such as 500ms, 2s or 1m");
        let fault = match name {
            "refuse" => {
                let code = AckCode::parse(first.unwrap_or("AE")).filter(|code| !code.is_positive());
                let error = second.map(|e| e.parse().map_err(|_| "write refuse:<AE, AR, CE or CR>:<error number>"));
                return Ok(Self::Refuse {
                    code: code.ok_or("refuse with AE, AR, CE or CR")?,
                    error: error.transpose()?,
                });
            }
            _ if second.is_some() => return Err(KINDS),
            "delay" => return time().map(Self::Delay),
            "late-ack" => return time().map(Self::LateAck),
            "late-application-ack" => return time().map(Self::LateApplicationAck),
            "go-away" if first.is_some() => return time().map(|t| Self::GoAway(Some(t))),
            "go-away" => Self::GoAway(None),
            "drop-ack" => Self::DropAck,
            "silence" => Self::Silence,
            "close" => Self::Close,
            "file-and-close" => Self::FileAndClose,
            "close-mid-frame" => Self::CloseMidFrame,
            "ack-twice" => Self::AckTwice,
            "wrong-id" => Self::WrongId,
            "foreign-id" => Self::ForeignId,
            "garbage" => Self::Garbage,
            "noise" => Self::Noise,
            "commit-only" => Self::CommitOnly,
            _ => return Err(KINDS),
        };
        if first.is_some() { Err(KINDS) } else { Ok(fault) }
    }
}

fn parse_time(text: &str) -> Option<Duration> {
    let unit = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit);
    let number: u64 = number.parse().ok()?;
    Some(match unit {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(number.checked_mul(60)?),
        _ => return None,
    })
}

/// As [`FromStr`] reads it.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refuse { code, error: None } => write!(f, "refuse:{}", code.as_str()),
            Self::Refuse { code, error: Some(error) } => write!(f, "refuse:{}:{error}", code.as_str()),
            Self::Delay(time) => write!(f, "delay:{}ms", time.as_millis()),
            Self::LateAck(time) => write!(f, "late-ack:{}ms", time.as_millis()),
            Self::LateApplicationAck(time) => write!(f, "late-application-ack:{}ms", time.as_millis()),
            Self::GoAway(Some(time)) => write!(f, "go-away:{}ms", time.as_millis()),
            Self::GoAway(None) => f.write_str("go-away"),
            Self::DropAck => f.write_str("drop-ack"),
            Self::Silence => f.write_str("silence"),
            Self::Close => f.write_str("close"),
            Self::FileAndClose => f.write_str("file-and-close"),
            Self::CloseMidFrame => f.write_str("close-mid-frame"),
            Self::AckTwice => f.write_str("ack-twice"),
            Self::WrongId => f.write_str("wrong-id"),
            Self::ForeignId => f.write_str("foreign-id"),
            Self::Garbage => f.write_str("garbage"),
            Self::Noise => f.write_str("noise"),
            Self::CommitOnly => f.write_str("commit-only"),
        }
    }
}
