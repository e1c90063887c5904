//! NHS NUMBER (NHS Data Dictionary): ten digits, the last a modulus 11 check digit.

/// A number that passes the check. Its `Debug` shows nothing of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NhsNumber([u8; 10]);

/// Why a text is not an NHS number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAnNhsNumber {
    #[error("must be ten digits; only spaces and hyphens may stand between them")]
    NotTenDigits,
    #[error("is not an NHS number: the check digit (modulus 11) is wrong; check it was typed correctly")]
    WrongCheckDigit,
    #[error("is not an NHS number: ten equal digits are never issued")]
    TenEqualDigits,
}

impl NhsNumber {
    /// Spaces and hyphens are removed. Ten equal digits pass modulus 11 by accident and are refused by name.
    pub fn parse(text: &str) -> Result<Self, NotAnNhsNumber> {
        let mut digits = [0u8; 10];
        let mut count = 0;
        for c in text.bytes().filter(|c| !matches!(c, b' ' | b'-')) {
            if !c.is_ascii_digit() || count == 10 {
                return Err(NotAnNhsNumber::NotTenDigits);
            }
            digits[count] = c;
            count += 1;
        }
        if count != 10 {
            return Err(NotAnNhsNumber::NotTenDigits);
        }
        if digits.iter().all(|d| *d == digits[0]) {
            return Err(NotAnNhsNumber::TenEqualDigits);
        }
        let sum: u32 = digits[..9].iter().zip((2..=10).rev()).map(|(d, weight)| u32::from(d - b'0') * weight).sum();
        // 11 stands for 0; 10 is no check digit at all, and equals no digit.
        let check = match 11 - sum % 11 {
            11 => 0,
            c => c,
        };
        if check == u32::from(digits[9] - b'0') { Ok(Self(digits)) } else { Err(NotAnNhsNumber::WrongCheckDigit) }
    }

    /// Whether a valid one stands anywhere in a text: ten digits in a row, or in groups of 3, 3 and 4 with one space, hyphen or point between them.
    pub fn stands_in(text: &str) -> bool {
        let is_digit = |c: char| c.is_ascii_digit();
        // Runs of digits, and whether one character that may stand inside a number is all that parts it from the run before.
        let mut runs: Vec<(&str, bool)> = Vec::new();
        let (mut rest, mut joined) = (text, false);
        while let Some(start) = rest.find(is_digit) {
            let between = &rest[..start];
            joined = joined && matches!(between, " " | "-" | "." | "\u{a0}" | "\u{2011}");
            rest = &rest[start..];
            let end = rest.find(|c: char| !is_digit(c)).unwrap_or(rest.len());
            runs.push((&rest[..end], joined));
            (rest, joined) = (&rest[end..], true);
        }
        let is_one = |text: &str| Self::parse(text).is_ok();
        let grouped = |three: &[(&str, bool)]| match three {
            [(a, _), (b, true), (c, true)] => (a.len(), b.len(), c.len()) == (3, 3, 4) && is_one(&format!("{a}{b}{c}")),
            _ => false,
        };
        runs.iter().any(|(run, _)| is_one(run)) || runs.windows(3).any(grouped)
    }

    /// Ten digits without spaces, as it goes on the wire.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("ten ASCII digits")
    }

    /// Grouped 3-3-4 for people.
    pub fn display(&self) -> String {
        let n = self.as_str();
        format!("{} {} {}", &n[..3], &n[3..6], &n[6..])
    }

    /// 999 000 0000 to 999 999 9999 is never issued: numbers for tests and examples.
    pub fn is_test_range(&self) -> bool {
        self.0.starts_with(b"999")
    }
}

impl std::fmt::Debug for NhsNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NhsNumber(..)")
    }
}

impl TryFrom<String> for NhsNumber {
    type Error = NotAnNhsNumber;
    fn try_from(text: String) -> Result<Self, NotAnNhsNumber> {
        Self::parse(&text)
    }
}

impl From<NhsNumber> for String {
    fn from(number: NhsNumber) -> String {
        number.as_str().to_owned()
    }
}

/// Whether somewhere in a text stand ten digits that pass the check and are not of the test range: they may be somebody's.
pub fn may_hold_a_real_one(text: &str) -> bool {
    let mut runs = text.split(|c: char| !c.is_ascii_digit()).filter(|r| r.len() == 10);
    runs.any(|r| NhsNumber::parse(r).is_ok_and(|n| !n.is_test_range()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_numbers_pass_and_lose_their_spaces() {
        for text in ["9990000018", "999 000 0026", "999-000-0034", "9434765919", "9000000009"] {
            assert!(NhsNumber::parse(text).is_ok(), "{text}");
        }
        assert_eq!(NhsNumber::parse("999 000 0018").map(|n| n.as_str().to_owned()), Ok("9990000018".into()));
    }

    #[test]
    fn ten_equal_digits_are_refused_although_they_pass_modulus_11() {
        for text in ["0000000000", "1111111111", "9999999999"] {
            assert_eq!(NhsNumber::parse(text), Err(NotAnNhsNumber::TenEqualDigits));
        }
    }

    #[test]
    fn a_wrong_check_digit_is_refused() {
        for text in ["9991234560", "4587578542", "9990000019"] {
            assert_eq!(NhsNumber::parse(text), Err(NotAnNhsNumber::WrongCheckDigit));
        }
        // prefixes whose check would be 10 have no valid last digit at all
        for prefix in ["999000000", "999000014"] {
            assert!((0..10).all(|d| NhsNumber::parse(&format!("{prefix}{d}")).is_err()));
        }
    }

    #[test]
    fn what_is_not_ten_digits_is_refused() {
        for text in ["", "999000001", "99900000180", "999000001X", "９９９００００１８"] {
            assert_eq!(NhsNumber::parse(text), Err(NotAnNhsNumber::NotTenDigits));
        }
    }

    #[test]
    fn a_number_is_found_wherever_it_stands_in_a_text_and_other_figures_are_none() {
        for text in [
            "9990000018",
            "for NHS9990000018, again",
            "number 999 000 0018.",
            "(999-000-0018)",
            "999\u{a0}000\u{a0}0018",
            "12 999 000 0018",
            "é9990000018",
        ] {
            assert!(NhsNumber::stands_in(text), "{text}");
        }
        for text in [
            "",
            "change 4711",
            "9990000019",
            "99900000180",
            "999 000 00180",
            "999  000 0018",
            "999 0000 018",
            "2026-03-02 10:15",
            "RiO mended, incident 20260302101530",
            "01JNBRZC5M8Q4T7V9XA2E3F4G1",
        ] {
            assert!(!NhsNumber::stands_in(text), "{text}");
        }
    }

    #[test]
    fn debug_shows_nothing_of_the_number() {
        let shown = format!("{:?}", NhsNumber::parse("9990000018").expect("valid"));
        assert!(!shown.contains("999"));
    }
}
