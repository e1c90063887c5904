//! Whether a message about somebody known by an identifier means that person: hospital numbers are given out twice, and written down wrongly.

use super::nhs_number::NhsNumber;
use super::person::PatientDetails;
use super::text::{Private, folded_name};
use jiff::civil::Date;

/// What it says of the person, as far as it does.
pub struct Likeness<'a> {
    /// Present and former names, aliases: one that agrees is enough.
    pub families: Vec<&'a Private<String>>,
    pub born: Option<Private<Date>>,
    /// Where it tells no more of the birth. Another year is another birth; the same year proves nothing.
    pub birth_year: Option<i16>,
    pub number: Option<NhsNumber>,
}

impl Likeness<'_> {
    /// Name and birth are both others; or one of them is, and so is the NHS number, or neither the other one nor the number agrees. What it does not say disagrees
    /// with nothing.
    pub fn is_of_somebody_else(&self, known: &PatientDetails) -> bool {
        let (name, birth) = self.agreement(known);
        let same_number = self.number.is_some() && self.number == known.nhs_number;
        let other_number = matches!((self.number, known.nhs_number), (Some(a), Some(b)) if a != b);
        match (name, birth) {
            (Some(false), Some(false)) => true,
            (Some(false), _) | (_, Some(false)) if other_number => true,
            (Some(false), None) | (None, Some(false)) => !same_number,
            _ => false,
        }
    }

    /// Name and birth are told, and both are others.
    pub fn is_clearly_another(&self, known: &PatientDetails) -> bool {
        self.agreement(known) == (Some(false), Some(false))
    }

    /// Of name and birth; `None`: not told.
    fn agreement(&self, known: &PatientDetails) -> (Option<bool>, Option<bool>) {
        let own = folded_name(&known.name.family.0);
        let name = (!self.families.is_empty()).then(|| self.families.iter().any(|f| folded_name(&f.0) == own));
        let birth = match (self.born, self.birth_year) {
            (Some(born), _) => Some(born == known.date_of_birth),
            (None, Some(year)) if year != known.date_of_birth.0.year() => Some(false),
            (None, _) => None,
        };
        (name, birth)
    }
}

#[cfg(test)]
mod tests {
    use super::super::merge::tests::patient;
    use super::*;

    #[test]
    fn somebody_with_another_name_or_birth_is_somebody_else_unless_the_rest_agrees() {
        let mut known = patient(1, "A").details;
        known.nhs_number = NhsNumber::parse("9990000018").ok();
        let name = |n: &str| Private(n.to_owned());
        let is_other = |families: &[&str], born: Option<&str>, year: Option<i16>, number: &str| {
            let families: Vec<_> = families.iter().map(|f| name(f)).collect();
            Likeness {
                families: families.iter().collect(),
                born: born.map(|b| Private(b.parse().expect("a date"))),
                birth_year: year,
                number: NhsNumber::parse(number).ok(),
            }
            .is_of_somebody_else(&known)
        };
        let (same, other) = (Some("1985-04-12"), Some("1960-01-01"));
        assert!(is_other(&["Wrong"], other, None, "9990000018"), "two others are another person, whatever the number");
        assert!(is_other(&["Wrong", "Older"], other, None, ""));
        assert!(is_other(&["Wrong"], None, None, "") && is_other(&[], other, None, ""), "nothing agrees");
        assert!(is_other(&["Wrong"], None, Some(1960), ""));
        assert!(is_other(&["Wrong"], None, Some(1985), ""), "a year proves nothing");
        assert!(is_other(&["Test"], other, None, "9990000026") && is_other(&["Wrong"], same, None, "9990000026"));
        assert!(!is_other(&["Wrong"], same, None, ""), "married");
        assert!(!is_other(&["TEST"], other, None, ""), "a date put right");
        assert!(!is_other(&["Wrong", "Test"], other, None, ""), "the former name is known");
        assert!(!is_other(&["Wrong"], None, None, "9990000018") && !is_other(&[], other, None, "9990000018"));
        assert!(is_other(&["Wrong"], None, None, "9990000026"));
        assert!(!is_other(&[], None, None, ""), "what says nothing disagrees with nothing");
    }
}
