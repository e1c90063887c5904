//! What a message says that config alone knows, beside the pack's settings: as whom the EPR knows the author, what the trust is called, and by
//! which clock its times are told. When that is mended, a message that says it is another one; any other stays as it is.

use super::in_use::Fitted;
use super::manifest::RenderEntry;
use super::pack::Pack;
use crate::domain::entry::{EntryAction, EntryKind};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// Characters of a digest: 128 bits.
const KEPT: usize = 32;

/// What a message says that only config knows.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Speaks {
    staff_id: bool,
    staff_name: bool,
    trust_name: bool,
}

impl Fitted {
    /// A digest of what a message for such an entry takes from config now: `staff` is the author's id and name in the EPR. What its templates do not
    /// speak of changes nothing.
    pub fn from_config(&self, kind: EntryKind, action: EntryAction, staff: Option<&(String, String)>) -> String {
        let speaks = self.pack.speaks(kind, action, &self.settings);
        let (id, name) = staff.map_or((None, None), |(id, name)| (Some(id.as_str()), Some(name.as_str())));
        let site = &self.site.trust;
        let says = [
            (speaks.staff_id, id),
            (speaks.staff_name, name),
            (speaks.trust_name, Some(site.name.as_str())),
            // Every message tells times.
            (true, Some(site.time_zone.as_str())),
        ];
        let mut hash = Sha256::new();
        for (said, value) in says {
            let value = value.filter(|_| said);
            hash.update([u8::from(said), u8::from(value.is_some())]);
            hash.update(value.unwrap_or_default().len().to_be_bytes());
            hash.update(value.unwrap_or_default());
        }
        format!("{:x}", hash.finalize()).chars().take(KEPT).collect()
    }
}

impl Pack {
    /// Whether a setting can change what is made: a template speaks of it, or a row is chosen by it. One that only the maps use changes nothing of it.
    pub fn makes_by(&self, setting: &str) -> bool {
        let of_rows = self.manifest.render.iter().flat_map(|row| &row.when);
        let mut chosen_by = of_rows.chain(self.manifest.lookups.iter().flat_map(|l| &l.when));
        let names_it =
            |row: &RenderEntry| row.text_code.as_deref().and_then(|c| c.strip_prefix("settings.")) == Some(setting);
        self.templates.speak_of(setting)
            || chosen_by.any(|(name, _)| name == setting)
            || self.manifest.render.iter().any(names_it)
    }

    /// Looked up once for each row of the pack: every message asks.
    fn speaks(&self, kind: EntryKind, action: EntryAction, settings: &Map<String, Value>) -> Speaks {
        let rows = &self.manifest.render;
        let all = self.speaks.get_or_init(|| rows.iter().map(|row| self.row_speaks(row)).collect());
        let of = |name: &&str| {
            let row = self.manifest.render_entry(name, settings)?;
            let at = rows.iter().position(|r| std::ptr::eq(r, row))?;
            all.get(at).copied()
        };
        names_of(kind, action).iter().filter_map(of).fold(Speaks::default(), |a, b| Speaks {
            staff_id: a.staff_id | b.staff_id,
            staff_name: a.staff_name | b.staff_name,
            trust_name: a.trust_name | b.trust_name,
        })
    }

    fn row_speaks(&self, row: &RenderEntry) -> Speaks {
        let of = |word: &str| self.row_speaks_of(row, word);
        // A field that a template speaks of under another name is given that name by `= trust`.
        let trust_name = of("trust.name") || of("= trust");
        Speaks { staff_id: of("epr_id"), staff_name: of("epr_name"), trust_name }
    }

    /// Its own templates, or those of the questions it asks first.
    fn row_speaks_of(&self, row: &RenderEntry, word: &str) -> bool {
        let parts = row.request.iter().flat_map(|r| r.parts()).map(|p| p.name.as_str());
        let page = row.document.iter().map(|d| d.page.as_str());
        let roots: Vec<&str> = parts.chain(page).chain([row.template.as_str()]).collect();
        let says = |root: &str, word: &str| self.templates.mentions(root, word);
        let asked = self.manifest.lookups.iter().filter(|lookup| {
            let answer = format!("lookup.{}.", lookup.name);
            roots.iter().any(|root| says(root, &answer))
        });
        let mut asks = asked.flat_map(|lookup| lookup.parts());
        roots.iter().any(|root| says(root, word)) || asks.any(|part| says(&part.name, word))
    }
}

/// A replacement of what never arrived goes as a create.
fn names_of(kind: EntryKind, action: EntryAction) -> &'static [&'static str] {
    match (kind, action) {
        (EntryKind::Note, EntryAction::Create) => &["note.create"],
        (EntryKind::Note, EntryAction::Replace) => &["note.replace", "note.create"],
        (EntryKind::Note, EntryAction::Withdraw) => &["note.withdraw"],
        (EntryKind::Outcome, EntryAction::Create) => &["outcome.create"],
        (EntryKind::Outcome, EntryAction::Replace) => &["outcome.replace", "outcome.create"],
        (EntryKind::Outcome, EntryAction::Withdraw) => &["outcome.withdraw"],
        (EntryKind::ReferralReply, _) => &["referral_reply.create"],
    }
}

#[cfg(test)]
mod tests {
    use super::super::compose::Site;
    use super::*;
    use crate::domain::organisation::{EndpointId, OdsCode};
    use crate::domain::policy::{EndpointPolicy, Environment};
    use crate::wire::v1;
    use std::path::Path;
    use std::sync::Arc;

    fn fitted(pack: &str) -> Fitted {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters").join(pack);
        let pack = Pack::load(&folder).expect("our own pack has no fault");
        let of = |s: &super::super::Setting| (s.name.clone(), s.default.clone().unwrap_or_else(|| s.example.clone()));
        let (trust, id) = (OdsCode::parse("RZ9").expect("a code"), EndpointId::parse("epr").expect("an id"));
        Fitted {
            activation: 0,
            settings: pack.manifest.settings.0.iter().map(of).collect(),
            reply_rules: pack.reply_rules(&toml::Table::new()).expect("the pack's own"),
            site: Site {
                trust: v1::Trust { ods: "RZ9".into(), name: "Riverside".into(), time_zone: "Europe/London".into() },
                time_zone: jiff::tz::TimeZone::UTC,
                environment: Environment::Test,
                late_after: std::time::Duration::from_secs(86_400),
                in_place: false,
            },
            policy: Arc::new(EndpointPolicy::retired(id, trust)),
            pack: Arc::new(pack),
        }
    }

    fn digest(of: &Fitted, staff: (&str, &str)) -> String {
        of.from_config(EntryKind::Note, EntryAction::Create, Some(&(staff.0.to_owned(), staff.1.to_owned())))
    }

    #[test]
    fn only_what_the_templates_of_a_message_speak_of_makes_another_one() {
        // The author's id in the EPR, their name there, the trust's name.
        for (pack, says) in [
            ("hl7v2-uk", [true, true, false]),
            ("fhir-uk-core", [false, false, true]),
            ("oracle-millennium", [true, false, false]),
        ] {
            let before = fitted(pack);
            let mut named = before.clone();
            named.site.trust.name = "Riverside NHS".into();
            let one = digest(&before, ("E1", "Morgan A"));
            let others = [
                digest(&before, ("E2", "Morgan A")),
                digest(&before, ("E1", "Morgan B")),
                digest(&named, ("E1", "Morgan A")),
            ];
            assert_eq!(others.map(|other| other != one), says, "{pack}");
            let mut moved = before.clone();
            moved.site.trust.time_zone = "Europe/Lisbon".into();
            assert_ne!(digest(&moved, ("E1", "Morgan A")), one, "every message tells times");
            let unknown = before.from_config(EntryKind::Note, EntryAction::Create, None);
            assert_eq!(unknown != one, says[0] || says[1], "{pack}");
        }
    }

    #[test]
    fn a_setting_that_only_maps_use_makes_no_message_another_one() {
        for (pack, of_messages) in [("hl7v2-uk", "receiving_facility"), ("fhir-uk-core", "staff_system")] {
            let pack = fitted(pack).pack;
            assert!(!pack.makes_by("default_team") && pack.makes_by(of_messages), "{}", pack.pin());
        }
    }
}
