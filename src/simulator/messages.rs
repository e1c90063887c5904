//! Messages that the EPR sends of its own accord: referrals. Times and control ids come in.

use jiff::Zoned;

use super::record::Patient;
use crate::adapter::hl7::Delimiters;
use crate::adapter::hl7::escape::{LineFeeds, Unescapable, escape};

/// A sending or receiving application at a trust: MSH-3 and MSH-4, or MSH-5 and MSH-6.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    pub application: String,
    /// The trust's ODS code.
    pub facility: String,
}

/// RF1-2 (HL7 table 0280).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Priority {
    #[default]
    Routine,
    Urgent,
}

/// Who refers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referrer {
    /// The trust's id of the person.
    pub staff_id: String,
    pub family: String,
    pub given: String,
    /// Such as `DR`; may be empty.
    pub prefix: String,
}

/// A new referral to the employment service: REF^I12, HL7 2.4.
#[derive(Debug, Clone)]
pub struct Referral<'a> {
    /// MSH-10, at most 20 characters.
    pub control_id: &'a str,
    /// MSH-7 and RF1-7, written in its own zone.
    pub time: &'a Zoned,
    pub from: &'a Party,
    pub to: &'a Party,
    /// MSH-11: T, or P for live.
    pub processing_id: &'a str,
    /// The EPR's id of the referral, at most 15 characters (RF1-6 has 30 with its namespace).
    pub referral_id: &'a str,
    pub priority: Priority,
    pub referrer: &'a Referrer,
    /// The team referred to, by the trust's id.
    pub team: &'a str,
    pub patient: &'a Patient,
    /// Whether the patient's NHS number was traced and verified: NSTS01, else NSTS03.
    pub is_traced: bool,
    /// One NTE a line.
    pub text: &'a str,
}

impl Referral<'_> {
    /// The message in UTF-8, each segment ended by CR.
    ///
    /// # Errors
    /// A text holds a control character other than tab, or a line feed where only one line may stand.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Unescapable> {
        let e = |text: &str| escape(text, &Delimiters::STANDARD, LineFeeds::Refuse).map(|t| t.into_owned());
        let (from, to, referrer) = (self.from, self.to, self.referrer);
        let (facility, application) = (e(&from.facility)?, e(&from.application)?);
        let time = self.time.strftime("%Y%m%d%H%M%S");
        let head = format!(
            "MSH|^~\\&|{application}|{facility}|{}|{}|{time}||REF^I12^REF_I12|{}|{}|2.4|||||GBR|UNICODE UTF-8|EN",
            e(&to.application)?,
            e(&to.facility)?,
            e(self.control_id)?,
            e(self.processing_id)?,
        );
        let priority = match self.priority {
            Priority::Routine => "R^Routine^HL70280",
            Priority::Urgent => "U^Urgent^HL70280",
        };
        let rf1 = format!(
            "RF1|P^Pending^HL70283|{priority}|Psy^Psychiatric^HL70281||O^Outpatient^HL70284|{}^{application}|{time}",
            e(self.referral_id)?,
        );
        let by = format!(
            "PRD|RP^Referring Provider^HL70286|{}^{}^^^{}||^^^{facility}|||{}^^{facility}",
            e(&referrer.family)?,
            e(&referrer.given)?,
            e(&referrer.prefix)?,
            e(&referrer.staff_id)?,
        );
        let towards = format!("PRD|RT^Referred to Provider^HL70286|||^^^{facility}|||{}^^{facility}", e(self.team)?);
        let mut segments = vec![head, rf1, by, towards, self.pid()?];
        for (index, line) in self.text.lines().enumerate() {
            segments.push(format!("NTE|{}|L|{}", index + 1, e(line)?));
        }
        let lines = segments.iter().map(|s| s.trim_end_matches('|'));
        Ok(lines.flat_map(|line| [line.as_bytes(), b"\r"].concat()).collect())
    }

    fn pid(&self) -> Result<String, Unescapable> {
        let e = |text: &str| escape(text, &Delimiters::STANDARD, LineFeeds::Refuse).map(|t| t.into_owned());
        let patient = self.patient;
        let mut ids = Vec::new();
        if let Some(mrn) = &patient.mrn {
            ids.push(format!("{}^^^{}^MR", e(mrn.value.as_str())?, e(&mrn.authority)?));
        }
        if let Some(number) = &patient.nhs_number {
            ids.push(format!("{}^^^NHS^NH", e(number.as_str())?));
        }
        let address = match &patient.address {
            Some(a) => format!(
                "{}^^{}^{}^{}^GBR^H",
                e(a.line.as_str())?,
                e(a.city.as_str())?,
                e(a.county.as_str())?,
                e(a.postcode.as_str())?
            ),
            None => String::new(),
        };
        Ok(format!(
            "PID|1||{}||{}^{}^^^^^L||{}|{}|||{address}{}{}",
            ids.join("~"),
            e(patient.family.as_str())?,
            e(patient.given.as_str())?,
            patient.date_of_birth.map(|d| d.strftime("%Y%m%d").to_string()).unwrap_or_default(),
            e(patient.gender.as_ref().map_or("", |g| g.as_str()))?,
            // PID-11 to PID-32.
            "|".repeat(21),
            if self.is_traced { "NSTS01" } else { "NSTS03" },
        ))
    }
}
