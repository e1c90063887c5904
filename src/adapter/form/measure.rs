//! Measures and their periods.

use super::codes::Code;
use super::field::Fields;
use crate::domain::measure::{Counted, MeasureKind, MeasureSide, Measured, Period};
use crate::domain::rule::Violations;
use crate::wire::{count, v1};

/// Two required days, both included.
pub fn read_period(from: &str, to: &str, broken: &mut Violations) -> Option<Period> {
    let mut f = Fields::new("", broken);
    let (from, to) = (f.day("from", from), f.day("to", to));
    f.keep("to", Period::new(from?, to?))
}

pub fn read_kind(number: i32, broken: &mut Violations) -> Option<MeasureKind> {
    Fields::new("", broken).code("kind", number)
}

/// Plain counts have no denominator: asking for it is a violation.
pub fn read_side(number: i32, kind: Option<MeasureKind>, broken: &mut Violations) -> Option<MeasureSide> {
    let mut f = Fields::new("", broken);
    let side = f.code("side", number)?;
    if side == MeasureSide::Denominator && kind.is_some_and(|k| !k.has_denominator()) {
        f.add("side", "this measure is a plain count and has no denominator");
        return None;
    }
    Some(side)
}

pub fn show(measured: &Measured) -> v1::Measure {
    v1::Measure {
        kind: measured.kind.wire(),
        numerator: count(measured.numerator.len()),
        denominator: measured.denominator.as_ref().map(|d| count(d.len())),
        definition: measured.kind.definition().to_owned(),
        breakdown: measured
            .breakdown
            .iter()
            .map(|part| v1::MeasurePart {
                staff_id: part.staff_id.as_str().to_owned(),
                display_name: part.display_name.0.clone(),
                count: count(part.count),
            })
            .collect(),
    }
}

pub fn show_counted(counted: &Counted) -> v1::MeasureReferral {
    v1::MeasureReferral {
        referral_id: counted.referral_id.to_string(),
        patient_id: counted.patient_id.to_string(),
        job_id: counted.job_id.map(|j| j.to_string()),
        on: counted.on.to_string(),
    }
}
