//! Rows of a code table whose codes were exchanged: a column that was sorted by itself, or two lines mixed up. The table reads well then, every code in it is a
//! code, and each means somebody else's.

use super::fault::Faults;
use std::collections::BTreeSet;

/// NHS Data Dictionary, PERSON STATED GENDER CODE.
const NATIONAL: &[(&str, &str)] =
    &[("GENDER_MALE", "1"), ("GENDER_FEMALE", "2"), ("GENDER_NOT_SPECIFIED", "9"), ("GENDER_NOT_KNOWN", "0")];

/// One row: ours, theirs, and where it stands.
pub(super) type Row<'t> = (&'t str, &'t str, u32);

/// Rows that say, in words or by the national code, what another row of the table is for, and that row does not say it.
pub(super) fn check(file: &str, rows: &[Row<'_>], faults: &mut Faults) {
    let ours: Vec<&str> = rows.iter().map(|r| r.0).collect();
    // Words of anything else than an enum of ours say nothing of what theirs is.
    let start = common(&ours);
    if start == 0 {
        return;
    }
    for (mine, theirs, line) in rows {
        let words = words(theirs);
        let own = rest(mine, start);
        if own.is_empty() || own.is_subset(&words) {
            continue;
        }
        let other = rows.iter().map(|r| r.0).find(|other| {
            let said = rest(other, start);
            let is_its =
                (!said.is_empty() && said == words) || (letter(&words).is_some() && letter(&words) == initial(&said));
            let national = NATIONAL.contains(&(*other, *theirs)) && NATIONAL.iter().any(|(o, _)| o == mine);
            let both = rows.iter().any(|(o, t, _)| o == other && t == theirs);
            other != mine
                && !both
                && (national || is_its && (letter(&words).is_none() || crossed(rows, mine, other, start)))
        });
        if let Some(other) = other {
            let hint = "compare the two rows with the supplier's list: a column may have been sorted by itself, or two lines mixed up";
            faults.add(file, *line, format!("\"theirs\" of {mine} is what stands for {other}"), hint);
        }
    }
}

/// By their letters alone each has the other's.
fn crossed(rows: &[Row<'_>], mine: &str, other: &str, start: usize) -> bool {
    let own = initial(&rest(mine, start));
    own.is_some() && rows.iter().any(|(o, theirs, _)| *o == other && letter(&words(theirs)) == own)
}

/// How many bytes all of them begin with, up to an underscore: the name of our enum.
fn common(ours: &[&str]) -> usize {
    let Some((first, others)) = ours.split_first() else { return 0 };
    let shared = first.bytes().enumerate().take_while(|(i, b)| others.iter().all(|o| o.as_bytes().get(*i) == Some(b)));
    first.get(..shared.count()).and_then(|s| s.rfind('_')).map_or(0, |at| at + 1)
}

fn rest(ours: &str, start: usize) -> BTreeSet<String> {
    words(ours.get(start..).unwrap_or(ours))
}

/// Words of letters, in capitals.
fn words(text: &str) -> BTreeSet<String> {
    let parts = text.split(|c: char| !c.is_alphanumeric()).filter(|w| w.chars().any(char::is_alphabetic));
    parts.map(str::to_uppercase).collect()
}

/// The one letter that a code is.
fn letter(words: &BTreeSet<String>) -> Option<char> {
    let mut letters = words.iter().flat_map(|w| w.chars());
    letters.next().filter(|_| letters.next().is_none())
}

/// What a single word begins with.
fn initial(words: &BTreeSet<String>) -> Option<char> {
    words.first().filter(|_| words.len() == 1).and_then(|w| w.chars().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(rows: &[(&str, &str)]) -> Vec<u32> {
        let mut faults = Faults::default();
        let rows: Vec<Row<'_>> = (2..).zip(rows).map(|(line, (ours, theirs))| (*ours, *theirs, line)).collect();
        check("codes/t.csv", &rows, &mut faults);
        faults.0.iter().map(|f| f.line).collect()
    }

    #[test]
    fn codes_that_were_exchanged_are_told_by_their_words_letters_and_national_numbers() {
        let genders =
            |male, female| told(&[("GENDER_MALE", male), ("GENDER_FEMALE", female), ("GENDER_NOT_KNOWN", "U")]);
        for (male, female) in [("F", "M"), ("female", "male"), ("2", "1"), ("f", "m")] {
            assert_eq!(genders(male, female), [2, 3], "{male}");
        }
        for (male, female) in
            [("M", "F"), ("male", "female"), ("1", "2"), ("01^Male^X", "02^Female^X"), ("7", "8"), ("H", "F")]
        {
            assert_eq!(genders(male, female), Vec::<u32>::new(), "{male}");
        }
        assert_eq!(told(&[("CONFIRMED_BY_PAY_SLIP", "employer"), ("CONFIRMED_BY_EMPLOYER", "pay-slip")]), [2, 3]);
    }

    #[test]
    fn two_of_ours_for_one_of_theirs_are_no_exchange() {
        let priorities = [
            ("REFERRAL_PRIORITY_ROUTINE", "ROUTINE"),
            ("REFERRAL_PRIORITY_URGENT", "URGENT"),
            ("REFERRAL_PRIORITY_VERY_URGENT", "URGENT"),
            ("REFERRAL_PRIORITY_EMERGENCY", "S"),
        ];
        assert_eq!(told(&priorities), Vec::<u32>::new());
        assert_eq!(told(&[("WH123", "F"), ("WH124", "M"), ("WH125", "WH123")]), Vec::<u32>::new());
    }
}
