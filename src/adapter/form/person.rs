//! Authors, names, identifiers, and whom the caller believes the patient to be.

use super::codes::Code;
use super::field::{Fields, stand_in};
use super::whole;
use crate::domain::nhs_number::NhsNumber;
use crate::domain::organisation::{OdsCode, StaffId};
use crate::domain::person::{Address, Author, ExpectedPatient, LocalIdentifier, PersonName};
use crate::domain::referral::ExternalId;
use crate::domain::rule::Violations;
use crate::domain::text::{self, Private};
use crate::wire::v1;

/// The longest name of a person, in characters.
const NAME_MAX: usize = 80;

pub fn read_author(message: &v1::Author, at: &str, broken: &mut Violations) -> Option<Author> {
    let mut f = Fields::new(at, broken);
    let staff_id = f.parsed("staff_id", &message.staff_id, StaffId::parse);
    let display_name = f.keep("display_name", text::line(&message.display_name, 100));
    let role_title = f.keep("role_title", text::line(&message.role_title, 100));
    let organisation = f.parsed("organisation_ods", &message.organisation_ods, OdsCode::parse);
    Some(Author {
        staff_id: staff_id?,
        display_name: display_name?,
        role_title: role_title?,
        organisation: organisation?,
    })
}

pub fn show_author(author: &Author) -> v1::Author {
    v1::Author {
        staff_id: author.staff_id.as_str().to_owned(),
        display_name: author.display_name.0.clone(),
        role_title: author.role_title.0.clone(),
        organisation_ods: author.organisation.as_str().to_owned(),
    }
}

/// Whether the three facts agree with the record is for the domain: `ExpectedPatient::agrees_with`.
pub fn read_expected_patient(
    message: &v1::ExpectedPatient,
    at: &str,
    broken: &mut Violations,
) -> Option<ExpectedPatient> {
    let mut f = Fields::new(at, broken);
    let nhs_number = match message.nhs_number.trim() {
        "" => Some(None),
        n => f.keep("nhs_number", NhsNumber::parse(n)).map(Some),
    };
    let date_of_birth = f.day("date_of_birth", &message.date_of_birth);
    let family = f.keep("family_name", text::family_name(&message.family_name, NAME_MAX));
    Some(ExpectedPatient { nhs_number: nhs_number?, date_of_birth: Private(date_of_birth?), family: family? })
}

pub fn read_local_identifier(
    message: &v1::LocalIdentifier,
    at: &str,
    broken: &mut Violations,
) -> Option<LocalIdentifier> {
    whole(broken, |b| draft_local_identifier(message, at, b))
}

pub(super) fn draft_local_identifier(
    message: &v1::LocalIdentifier,
    at: &str,
    broken: &mut Violations,
) -> LocalIdentifier {
    let mut f = Fields::new(at, broken);
    let authority = f.name(
        "assigning_authority",
        &message.assigning_authority,
        40,
        |c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b':' | b'/' | b'-' | b' '),
        "must be 1 to 40 characters of A-Z a-z 0-9 . _ : / - and spaces",
    );
    if message.assigning_authority.trim() != message.assigning_authority {
        f.add("assigning_authority", "must have no space at either end");
    }
    let kind = match message.r#type.as_str() {
        "" => Some("MR".to_owned()),
        t => f.name(
            "type",
            t,
            20,
            |c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-'),
            "must be 0 to 20 characters of A-Z a-z 0-9 . _ -",
        ),
    };
    LocalIdentifier {
        value: f.token("value", &message.value, 40),
        // The path is different for each: two stand-ins are never "the same authority and type".
        assigning_authority: authority.unwrap_or_else(|| at.to_owned()),
        kind: kind.unwrap_or_else(|| at.to_owned()),
    }
}

pub fn show_local_identifier(id: &LocalIdentifier) -> v1::LocalIdentifier {
    v1::LocalIdentifier {
        assigning_authority: id.assigning_authority.clone(),
        value: id.value.0.clone(),
        r#type: id.kind.clone(),
    }
}

pub fn read_external_id(message: &v1::ExternalId, at: &str, broken: &mut Violations) -> Option<ExternalId> {
    whole(broken, |b| draft_external_id(message, at, b))
}

pub(super) fn draft_external_id(message: &v1::ExternalId, at: &str, broken: &mut Violations) -> ExternalId {
    let mut f = Fields::new(at, broken);
    let system = f.name(
        "system",
        &message.system,
        60,
        |c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b':' | b'/' | b'-'),
        "must be 1 to 60 characters of A-Z a-z 0-9 . _ : / -",
    );
    let value = f.keep("value", text::token(&message.value, 100));
    // As above: stand-ins are all different.
    ExternalId {
        system: system.unwrap_or_else(|| at.to_owned()),
        value: value.unwrap_or_else(|| Private(at.to_owned())),
    }
}

pub fn show_external_id(id: &ExternalId) -> v1::ExternalId {
    v1::ExternalId { system: id.system.clone(), value: id.value.0.clone() }
}

pub(super) fn draft_name(message: &v1::PersonName, at: &str, broken: &mut Violations) -> PersonName {
    let mut f = Fields::new(at, broken);
    PersonName {
        family: f.keep("family", text::family_name(&message.family, NAME_MAX)).unwrap_or_else(stand_in),
        given: f.line("given", &message.given, NAME_MAX),
        prefix: f.optional_line("prefix", message.prefix.as_deref(), 20),
    }
}

pub(super) fn no_name() -> PersonName {
    PersonName { family: stand_in(), given: stand_in(), prefix: None }
}

pub(super) fn show_name(name: &PersonName) -> v1::PersonName {
    v1::PersonName {
        family: name.family.0.clone(),
        given: name.given.0.clone(),
        prefix: name.prefix.as_ref().map(|p| p.0.clone()),
    }
}

/// Blank lines are dropped, before they are counted.
pub(super) fn draft_address(message: &v1::Address, at: &str, broken: &mut Violations) -> Address {
    let mut f = Fields::new(at, broken);
    let lines: Vec<(usize, &String)> = not_blank(&message.lines).collect();
    if lines.len() > 4 {
        f.add("lines", "at most 4");
    }
    Address {
        lines: lines.iter().take(4).map(|(i, l)| f.line(&format!("lines[{i}]"), l, 100)).collect(),
        city: f.optional_line("city", message.city.as_deref(), 100),
        county: f.optional_line("county", message.county.as_deref(), 100),
        postcode: f.optional_line("postcode", message.postcode.as_deref(), 10),
    }
}

/// Texts of a list where blank ones are left out, each with its place in it.
pub(super) fn not_blank(all: &[String]) -> impl Iterator<Item = (usize, &String)> {
    all.iter().enumerate().filter(|(_, text)| !text.trim().is_empty())
}

pub(super) fn show_address(address: &Address) -> v1::Address {
    let text = |t: &Option<Private<String>>| t.as_ref().map(|t| t.0.clone());
    v1::Address {
        lines: address.lines.iter().map(|l| l.0.clone()).collect(),
        city: text(&address.city),
        county: text(&address.county),
        postcode: text(&address.postcode),
    }
}

/// `code`, or what stands in for it.
pub(super) fn code_or<C: Code>(f: &mut Fields<'_>, name: &str, number: i32, stand_in: C) -> C {
    f.code(name, number).unwrap_or(stand_in)
}
