//! `[[trust]]`: whose record it is, its teams, its people.

use super::fault::Place;
use super::files::read_text;
use super::section::Section;
use super::staff::{StaffTable, read_staff};
use super::values::{days, duration, file, minutes, named, secs, text, time_zone};
use crate::domain::organisation::{EndpointId, OdsCode, TeamId};
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// One `[[trust]]`.
#[derive(Debug, Clone)]
pub struct Trust {
    pub ods: OdsCode,
    pub name: String,
    /// How long a new note can still be taken back without a trace. At most 60 minutes.
    pub release_after: Duration,
    /// A referral nobody touched for so long is shown as forgotten.
    pub untouched_after: Duration,
    pub time_zone: TimeZone,
    pub teams: Vec<Team>,
    pub staff: StaffTable,
    /// Whether all of the staff file could be read (or there is none to read).
    pub(super) staff_sound: bool,
    pub(super) place: Place,
}

/// An IPS team of a trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Team {
    pub id: TeamId,
    pub name: String,
    /// Where it works.
    pub site: Option<OdsCode>,
}

/// What the files name, as far as names could be read: a trust or endpoint with a fault of its own is still there for those that speak of it.
pub(super) struct Declared {
    pub trusts: BTreeSet<OdsCode>,
    /// With the trust each belongs to, where that could be read.
    pub endpoints: BTreeMap<EndpointId, Option<OdsCode>>,
    pub retired: Vec<EndpointId>,
    /// Every file is there and could be read. Else a name that nobody declares may stand in one that is missing, and is no fault of its own.
    pub is_whole: bool,
}

impl Declared {
    /// Silent about what is wrong: the readers of trusts and endpoints say it.
    pub fn new(trusts: &[Section<'_>], endpoints: &[Section<'_>], retired: Vec<EndpointId>, is_whole: bool) -> Self {
        let ods = |s: &Section<'_>, key| s.peek(key).and_then(|text| OdsCode::parse(text).ok());
        let endpoint = |s: &Section<'_>| Some((EndpointId::parse(s.peek("id")?).ok()?, ods(s, "trust")));
        Self {
            trusts: trusts.iter().filter_map(|s| ods(s, "ods")).collect(),
            endpoints: endpoints.iter().filter_map(endpoint).collect(),
            retired,
            is_whole,
        }
    }

    /// Whether a trust of this code is there, or may be.
    pub fn may_have(&self, ods: &OdsCode) -> bool {
        self.trusts.contains(ods) || !self.is_whole
    }
}

pub(super) fn read(s: &mut Section<'_>, declared: &Declared) -> Option<Trust> {
    let ods = s.required("ods", "write the trust's ODS code", named(OdsCode::parse));
    let name = s.required("name", "write the trust's name as people know it", text(100));
    let release_after = s.or("release_after", "\"0s\"", duration(secs(0)..=minutes(60)));
    let untouched_after = s.or("untouched_after", "\"7d\"", duration(minutes(60)..=days(365)));
    let time_zone = s.or("time_zone", "\"Europe/London\"", time_zone);
    let teams = teams(s);
    let staff_file = s.optional("staff_file", file);
    let staff_given = staff_file.is_some();
    let ods = ods?;
    let before = s.reading.findings.count();
    let staff = staff_file
        .and_then(|path| Some((read_text(&path, &s.place_of("staff_file"), &s.reading.findings)?, path)))
        .map(|(text, path)| read_staff(&text, &path, &s.place, &ods, declared, &s.reading.findings))
        .unwrap_or_default();
    let staff_sound = !s.has("staff_file") || (staff_given && s.reading.findings.count() == before);
    Some(Trust {
        ods,
        name: name?,
        release_after,
        untouched_after,
        time_zone,
        teams,
        staff,
        staff_sound,
        place: s.place_of("ods"),
    })
}

fn teams(trust: &mut Section<'_>) -> Vec<Team> {
    let mut teams: Vec<(Team, Place)> = Vec::new();
    for mut s in trust.tables("teams") {
        let id = s.required("id", "give the team a short id that never changes", named(TeamId::parse));
        let name = s.required("name", "write the team's name as people know it", text(100));
        let site = s.optional("site_ods", named(OdsCode::parse));
        let (Some(id), Some(name)) = (id, name) else { continue };
        if let Some((_, first)) = teams.iter().find(|(team, _)| team.id == id) {
            s.fault("id", format!("\"{id}\" is already used in {}", first.shown()), "give each team its own id");
        }
        teams.push((Team { id, name, site }, s.place_of("id")));
    }
    teams.into_iter().map(|(team, _)| team).collect()
}
