//! Dates and times of the fields that a receiver sorts and searches by: what it cannot read as a day it drops, or takes for another one
//! (`03/04/1985`), and the note lies under the wrong birthday or in the wrong week.

use super::super::message::{Message, Repeat, Segment};
use super::{Fault, at, fault};
use jiff::civil::Date;

/// Fields of type DT, TS and DTM, by segment.
const FIELDS: &[(&str, &[usize])] = &[
    ("MSH", &[7]),
    ("EVN", &[2, 3, 6]),
    ("PID", &[7, 29, 33]),
    ("PV1", &[44, 45]),
    ("RF1", &[7, 8, 9]),
    ("ORC", &[9, 15]),
    ("OBR", &[6, 7, 8, 14, 22]),
    ("OBX", &[14]),
    ("TXA", &[4, 6, 7, 8]),
];

/// Years of which anything is told. A year of two digits makes another one of a month: `850412`.
const YEARS: std::ops::RangeInclusive<i16> = 1800..=2200;

const HINT: &str = "write YYYYMMDD, or YYYYMMDDHHMMSS with +0100 behind it: | hl7_date or | hl7_time";

pub fn of_message(message: &Message, faults: &mut Vec<Fault>) {
    for segment in message.segments() {
        let fields = FIELDS.iter().find(|(id, _)| *id == segment.id()).map_or(&[][..], |(_, fields)| fields);
        for field in fields {
            if !segment.field(*field).repeats().all(|repeat| is_time(first(&repeat))) {
                faults.push(fault(at(segment, *field), "is no date or time of HL7", HINT));
            }
        }
        if segment.id() == "OBX" {
            value(segment, faults);
        }
    }
}

/// What OBX-2 calls a number or a date is one.
fn value(obx: Segment<'_>, faults: &mut Vec<Fault>) {
    let all = |holds: &dyn Fn(&str) -> bool| obx.field(5).repeats().all(|repeat| holds(first(&repeat)));
    match obx.field(2).raw().trim() {
        "NM" if !all(&is_number) => faults.push(fault(
            at(obx, 5),
            "is called a number (NM) in OBX-2, and is none",
            "a text has the type FT, TX or ST there",
        )),
        "DT" | "TS" | "DTM" if !all(&is_time) => {
            faults.push(fault(at(obx, 5), "is called a date in OBX-2, and is none", HINT));
        }
        _ => {}
    }
}

fn first<'m>(repeat: &Repeat<'m>) -> &'m str {
    repeat.component(1).raw()
}

/// HL7 NM: digits with a sign before them and a point among them. Empty is no value.
fn is_number(text: &str) -> bool {
    let bare = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, part) = bare.split_once('.').unwrap_or((bare, "0"));
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    matches!(text, "" | "\"\"") || (digits(whole) && digits(part))
}

/// `YYYY[MM[DD[HHMM[SS[.S{1,4}]]]]][+/-ZZZZ]`, of a day that there was. Empty is no value.
fn is_time(text: &str) -> bool {
    if matches!(text, "" | "\"\"") {
        return true;
    }
    let (time, zone) = match text.find(['+', '-']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let (whole, fraction) = match time.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (time, None),
    };
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    let number = |from: usize, to: usize| whole.get(from..to).and_then(|t| t.parse::<i8>().ok()).unwrap_or_default();
    if !digits(whole) || !matches!(whole.len(), 4 | 6 | 8 | 12 | 14) {
        return false;
    }
    let year: i16 = whole[..4].parse().unwrap_or_default();
    let month = if whole.len() >= 6 { number(4, 6) } else { 1 };
    let day = if whole.len() >= 8 { number(6, 8) } else { 1 };
    let clock = number(8, 10) < 24 && number(10, 12) < 60 && number(12, 14) < 60;
    let zone = zone.is_none_or(|z| z.len() == 4 && digits(z) && z <= "1400" && &z[2..] < "60");
    let fraction = fraction.is_none_or(|f| whole.len() == 14 && (1..=4).contains(&f.len()) && digits(f));
    YEARS.contains(&year) && Date::new(year, month, day).is_ok() && clock && zone && fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_of_hl7_is_a_day_that_there_was() {
        for good in [
            "",
            "\"\"",
            "1985",
            "198504",
            "19850412",
            "202603021015",
            "20260302101500",
            "20260302101500.1234",
            "20260302101500+0000",
            "20260302101500.1-0530",
            "19850412+0100",
            "20240229",
        ] {
            assert!(is_time(good), "{good}");
        }
        for bad in [
            "1985-04-12",
            "12-Apr-1985",
            "12/04/1985",
            "850412",
            "1985041",
            "19850230",
            "19851301",
            "20230229",
            "2026030210",
            "202603022415",
            "202603021060",
            "20260302101560",
            "2026030210150",
            "2026-03-02T10:15:00Z",
            "20260302101500Z",
            "20260302101500.12345",
            "202603021015.1",
            "20260302101500+01",
            "20260302101500+0160",
            "20260302101500+1500",
            "x",
            "00000000",
            " 19850412",
        ] {
            assert!(!is_time(bad), "{bad}");
        }
        assert!(["", "7", "-7.5", "+0.1"].iter().all(|n| is_number(n)));
        assert!(["7,5", "1.", ".5", "7 h", "1e5", "-"].iter().all(|n| !is_number(n)));
    }
}
