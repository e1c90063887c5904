//! Maintenance windows: hours in local time when an endpoint is known to be away.
//!
//! A window holds from the first instant at which the clock on the wall has reached `from` until the last at which it has not
//! yet reached `to`. On the two nights a year when clocks change this errs towards waiting: an hour that comes twice counts
//! as one long window, an hour that never comes is passed over.

use super::section::Section;
use super::tree::Node;
use super::values::{Parsed, choice, wrong};
use jiff::civil::{DateTime, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Span, Timestamp};

/// Windows per endpoint.
const MAX_WINDOWS: usize = 20;
const DAY: u16 = 24 * 60;

/// A window that begins on some days of the week and may cross midnight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// The days on which it begins, Monday first.
    days: [bool; 7],
    /// Minutes of the day.
    from: u16,
    /// Minutes of the day; at or before `from` means the next day.
    to: u16,
}

/// All windows of an endpoint, in its time zone.
#[derive(Debug, Clone)]
pub struct Maintenance {
    time_zone: TimeZone,
    windows: Vec<Window>,
}

impl Maintenance {
    /// When the maintenance under way at `now` ends, windows that follow on without a gap included; `None` outside maintenance.
    pub fn until(&self, now: Timestamp) -> Option<Timestamp> {
        let mut end = None;
        let mut at = now;
        // Each step ends a window; windows that leave no gap all week are refused when they are read.
        for _ in 0..=8 * MAX_WINDOWS {
            match self.latest_end(at) {
                Some(later) if later > at => {
                    at = later;
                    end = Some(later);
                }
                _ => break,
            }
        }
        end
    }

    fn latest_end(&self, now: Timestamp) -> Option<Timestamp> {
        let today = self.time_zone.to_datetime(now).date();
        let mut latest = None;
        for window in &self.windows {
            for offset in -1..=1 {
                let Ok(day) = today.checked_add(Span::new().days(offset)) else { continue };
                if !window.days[weekday_index(day.weekday())] {
                    continue;
                }
                let midnight = day.to_datetime(jiff::civil::Time::midnight());
                let minutes = |m: u16| midnight.checked_add(Span::new().minutes(i64::from(m))).ok();
                let start = minutes(window.from).and_then(|dt| self.instant(dt, Edge::Start));
                let end = minutes(window.to + if window.to <= window.from { DAY } else { 0 })
                    .and_then(|dt| self.instant(dt, Edge::End));
                if let (Some(start), Some(end)) = (start, end)
                    && start <= now
                    && now < end
                {
                    latest = latest.max(Some(end));
                }
            }
        }
        latest
    }

    fn instant(&self, wall: DateTime, edge: Edge) -> Option<Timestamp> {
        match self.time_zone.to_ambiguous_timestamp(wall).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(wall).ok(),
            // The clock jumps over this time: the instant of the jump.
            AmbiguousOffset::Gap { after, .. } => {
                let before_the_jump = after.to_timestamp(wall).ok()?;
                self.time_zone.following(before_the_jump).next().map(|t| t.timestamp())
            }
            // The clock shows this time twice.
            AmbiguousOffset::Fold { before, after } => match edge {
                Edge::Start => before.to_timestamp(wall).ok(),
                Edge::End => after.to_timestamp(wall).ok(),
            },
        }
    }
}

#[derive(Clone, Copy)]
enum Edge {
    Start,
    End,
}

fn weekday_index(day: Weekday) -> usize {
    usize::from(day.to_monday_zero_offset().unsigned_abs())
}

const DAYS: &[(&str, usize)] = &[("mon", 0), ("tue", 1), ("wed", 2), ("thu", 3), ("fri", 4), ("sat", 5), ("sun", 6)];

pub(super) fn read(endpoint: &mut Section<'_>, time_zone: TimeZone) -> Maintenance {
    let mut windows = Vec::new();
    for mut s in endpoint.tables("maintenance") {
        let days = s.list("days", r#"["mon", "tue", "wed", "thu", "fri", "sat", "sun"]"#, choice(DAYS));
        let from = s.required("from", "write when it begins in local time, e.g. \"22:00\"", clock_time);
        let to = s.required("to", "write when it ends in local time, e.g. \"04:00\"", clock_time);
        let (Some(from), Some(to)) = (from, to) else { continue };
        if from == DAY {
            s.fault("from", "is \"24:00\"", "write \"00:00\" and the next day");
        } else if from == to {
            s.fault("to", "is the same as from", "for a whole day write from = \"00:00\", to = \"24:00\"");
        } else if !days.is_empty() {
            let mut on = [false; 7];
            days.iter().for_each(|d| on[*d] = true);
            windows.push(Window { days: on, from, to });
        } else if s.is_empty_list("days") {
            s.fault("days", "names no day", "leave it out for every day");
        }
    }
    if windows.len() > MAX_WINDOWS {
        endpoint.fault("maintenance", format!("has more than {MAX_WINDOWS} windows"), "join some of them");
        windows.truncate(MAX_WINDOWS);
    }
    if never_open(&windows) {
        endpoint.fault(
            "maintenance",
            "covers the whole week, so nothing would ever be sent",
            "shorten it; to stop an endpoint for a while use endpoint pause",
        );
        windows.clear();
    }
    Maintenance { time_zone, windows }
}

/// "22:00"; "24:00" is the end of the day.
fn clock_time(node: &Node) -> Parsed<u16> {
    let two = |s: &str| {
        (s.len() == 2).then(|| s.parse::<u16>().ok().filter(|_| s.bytes().all(|b| b.is_ascii_digit()))).flatten()
    };
    match node.text().and_then(|t| t.split_once(':')).map(|(h, m)| (two(h), two(m))) {
        Some((Some(h), Some(m))) if h < 24 && m < 60 || h == 24 && m == 0 => Ok(h * 60 + m),
        _ => wrong("must be a time of day", "write hours and minutes in quotes, e.g. \"22:00\""),
    }
}

fn never_open(windows: &[Window]) -> bool {
    let week = 7 * usize::from(DAY);
    let mut closed = vec![false; week];
    for window in windows {
        let length = (usize::from(window.to) + usize::from(DAY) - usize::from(window.from) - 1) % usize::from(DAY) + 1;
        for day in (0..7).filter(|d| window.days[*d]) {
            let start = day * usize::from(DAY) + usize::from(window.from);
            (start..start + length).for_each(|minute| closed[minute % week] = true);
        }
    }
    closed.iter().all(|c| *c)
}

#[cfg(test)]
#[path = "maintenance_tests.rs"]
mod tests;
