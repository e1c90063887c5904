//! The record's own id of a document, as lists, result files and reports tell it: what stands there and can be no such id. An id that was damaged
//! on its way names another document, or none; one that is a patient's number names all of that patient's.

use super::ids::EntryId;
use super::nhs_number::NhsNumber;

/// The longest, in characters.
pub const CHARS_MAX: usize = 100;
/// Characters of one of our ids.
const ENTRY_ID_CHARS: usize = 26;
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// Why a text is no record id. It never says what stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotARecordId {
    #[error("an id that is none; at most {CHARS_MAX} characters, and no control characters")]
    TooLong,
    #[error("an id with {0}; was it opened in a spreadsheet? export it anew, and import its columns as text")]
    Damaged(&'static str),
    #[error("an NHS number for a record id; give the record's own id of the document")]
    NhsNumber,
}

/// # Errors
/// What it is instead.
pub fn check(id: &str) -> Result<(), NotARecordId> {
    if !(1..=CHARS_MAX).contains(&id.chars().count()) || id.chars().any(char::is_control) {
        return Err(NotARecordId::TooLong);
    }
    if let Some(what) = of_a_spreadsheet(id) {
        return Err(NotARecordId::Damaged(what));
    }
    // Ten figures in a row may be any record's id: one in eleven passes the check.
    let is_between = |c: char| matches!(c, ' ' | '-' | '.' | '\u{a0}' | '\u{2011}');
    let groups: Vec<&str> = id.split(is_between).collect();
    if groups.iter().map(|g| g.len()).eq([3, 3, 4]) && NhsNumber::parse(&groups.concat()).is_ok() {
        return Err(NotARecordId::NhsNumber);
    }
    Ok(())
}

/// What a spreadsheet does to ids: it takes them for numbers or days, or keeps them from that by marks of its own. Such an id names another
/// document, or none.
pub fn of_a_spreadsheet(id: &str) -> Option<&'static str> {
    let exponent = |(mantissa, exponent): (&str, &str)| {
        let mantissa = mantissa.strip_prefix('-').unwrap_or(mantissa).replacen([',', '.'], "", 1);
        let power = exponent.strip_prefix(['+', '-']);
        // Without the sign it is as good as any id of figures and an E.
        figures(&mantissa) && power.is_some_and(figures)
    };
    if id.split_once(['E', 'e']).is_some_and(exponent) {
        return Some("an exponent (as 1.23E+11)");
    }
    if id.bytes().all(|b| b == b'#') && !id.is_empty() {
        return Some("what a spreadsheet shows where a column is too narrow (#####)");
    }
    if id == "#N/A" || id.starts_with('#') && id.ends_with(['!', '?']) {
        return Some("a spreadsheet's error value (as #N/A)");
    }
    if id.starts_with(['\'', '=']) || id.contains('"') {
        return Some("a spreadsheet's marks around it");
    }
    if is_a_day(id) {
        return Some("a day instead of it (as 02/03/2026)");
    }
    let whole = id.split_once('^').map_or(id, |(id, _)| id);
    let lost = whole.len() + 1 == ENTRY_ID_CHARS && format!("0{whole}").parse::<EntryId>().is_ok();
    lost.then_some("its leading zero lost")
}

fn figures(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// A day as a spreadsheet shows one, with or without a time: 02/03/2026, 2026-03-02, 02.03.2026, 2-Mar-26, Mar-26. Short numbers with hyphens or points
/// (10-11-26) stay ids: too many records number their documents so.
fn is_a_day(id: &str) -> bool {
    let is_time = |text: &str| text.contains(':') && text.bytes().all(|b| b.is_ascii_digit() || b":.Z".contains(&b));
    let day = id.split_once([' ', 'T']).filter(|(_, time)| is_time(time)).map_or(id, |(day, _)| day);
    let parts: Vec<&str> = day.split(['/', '-', '.', ' ']).collect();
    let number = |part: &str| part.parse::<u16>().ok().filter(|_| figures(part) && part.len() <= 4);
    let is_month = |part: &str| {
        let word = part.to_ascii_lowercase();
        MONTHS.iter().any(|month| word == *month || word == month[..3])
    };
    let year = |n: u16| (1900..2100).contains(&n);
    let in_month = |n: u16| (1..=31).contains(&n);
    match parts.as_slice() {
        [a, b] if is_month(a) || is_month(b) => {
            let other = if is_month(a) { b } else { a };
            number(other).is_some_and(|n| (other.len() <= 2 && n < 100) || year(n))
        }
        [a, month, b] if is_month(month) => {
            number(a).is_some_and(in_month) && number(b).is_some_and(|n| b.len() == 2 || year(n))
        }
        [a, b, c] => match (number(a), number(b), number(c)) {
            (Some(n), Some(b), Some(c)) if year(n) => a.len() == 4 && in_month(b) && in_month(c),
            (Some(a), Some(b), Some(n)) if day.contains('/') => in_month(a) && in_month(b) && (c.len() == 2 || year(n)),
            (Some(a), Some(b), Some(n)) => in_month(a) && in_month(b) && year(n),
            _ => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_spreadsheet_made_of_an_id_is_no_id() {
        for damaged in [
            "1.23E+11",
            "4,1E+09",
            "######",
            "#",
            "#N/A",
            "#REF!",
            "#NAME?",
            "'4471",
            "=4471",
            "\"4471\"",
            "02/03/2026",
            "2/3/26",
            "2026-03-02",
            "02.03.2026",
            "02-03-2026",
            "2-Mar-26",
            "02 March 2026",
            "Mar-26",
            "2026/03/02",
            "02/03/2026 00:00:00",
            "2026-03-02T10:00:00Z",
            "1JNBRZC5M8Q4T7V9XA2E3F4G1^IPS",
        ] {
            assert!(matches!(check(damaged), Err(NotARecordId::Damaged(_))), "{damaged}: {:?}", check(damaged));
        }
        for whole in [
            "R-1",
            "4471",
            "D-4471",
            "12E45",
            "10-11-26",
            "10.11.26",
            "1.2.840.113619.2",
            "#4471",
            "2026-03",
            "MARY-26",
            "DEC-12345",
            "31/12",
            "40/40/2026",
            "2026",
            "01JNBRZC5M8Q4T7V9XA2E3F4G1",
            "RIO/2026/0042",
        ] {
            assert_eq!(check(whole), Ok(()), "{whole}");
        }
    }

    #[test]
    fn a_patients_number_is_no_documents_id_however_it_is_written() {
        for number in ["999 000 0018", "999-000-0018", "999.000.0018", "999\u{a0}000\u{a0}0018"] {
            assert_eq!(check(number), Err(NotARecordId::NhsNumber), "{number}");
        }
        assert_eq!(check("9990000019"), Ok(()), "ten figures that are no such number");
        assert_eq!(check("D9990000018"), Ok(()));
        assert_eq!(check("9990000018"), Ok(()), "any record's id may look so");
    }

    #[test]
    fn an_id_has_a_length_and_no_control_characters() {
        assert_eq!(check(""), Err(NotARecordId::TooLong));
        assert_eq!(check(&"x".repeat(CHARS_MAX + 1)), Err(NotARecordId::TooLong));
        assert_eq!(check("a\u{7}"), Err(NotARecordId::TooLong));
        assert_eq!(check(&"x".repeat(CHARS_MAX)), Ok(()));
    }
}
