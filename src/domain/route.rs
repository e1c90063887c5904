//! Routes: which endpoint an entry goes to. Exactly one, unless copies are asked for in so many words.
//!
//! A rule names its trust and entry kinds, and may narrow itself by team, site and referral source. The rule with the most
//! of these three wins; two rules with equally many that could match the same entry are refused when the routes are made.
//! Referral replies are not routed: they go back to where the referral came from.

use super::organisation::{EndpointId, OdsCode, TeamId};

/// The entries that routes send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoutedKind {
    Note,
    Outcome,
}

/// One `[[route]]`. An empty list of teams, sites or referral sources does not narrow the rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteRule {
    pub trust: OdsCode,
    pub kinds: Vec<RoutedKind>,
    pub teams: Vec<TeamId>,
    /// ODS codes of the places where teams work.
    pub sites: Vec<OdsCode>,
    pub referral_sources: Vec<String>,
    pub endpoint: EndpointId,
    /// Further endpoints that each get the entry too.
    pub copies_to: Vec<EndpointId>,
}

/// What is known about an entry that looks for its endpoint. What is not known matches only rules that do not ask for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteQuery<'q> {
    pub trust: &'q OdsCode,
    pub kind: RoutedKind,
    pub team: Option<&'q TeamId>,
    pub site: Option<&'q OdsCode>,
    pub referral_source: Option<&'q str>,
}

/// Where an entry goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Routed<'r> {
    pub endpoint: &'r EndpointId,
    pub copies: &'r [EndpointId],
}

/// Two rules (by position) that claim the same entry with equal right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clash {
    pub first: usize,
    pub second: usize,
}

/// Rules that give at most one answer to every query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routes(Vec<RouteRule>);

impl Routes {
    /// All clashes at once.
    pub fn new(rules: Vec<RouteRule>) -> Result<Self, Vec<Clash>> {
        let pairs =
            (0..rules.len()).flat_map(|first| (first + 1..rules.len()).map(move |second| Clash { first, second }));
        let clashes: Vec<Clash> = pairs.filter(|c| clash(&rules, &rules[c.first], &rules[c.second])).collect();
        if clashes.is_empty() { Ok(Self(rules)) } else { Err(clashes) }
    }

    /// `None` means nobody said where such an entry goes: it is refused, not guessed.
    pub fn route(&self, query: &RouteQuery<'_>) -> Option<Routed<'_>> {
        let rule = self.0.iter().filter(|rule| rule.matches(query)).max_by_key(|rule| rule.narrowness())?;
        Some(Routed { endpoint: &rule.endpoint, copies: &rule.copies_to })
    }

    pub fn rules(&self) -> &[RouteRule] {
        &self.0
    }
}

impl RouteRule {
    /// How many of team, site and referral source the rule asks for: 0 to 3.
    pub fn narrowness(&self) -> usize {
        [self.teams.is_empty(), self.sites.is_empty(), self.referral_sources.is_empty()]
            .iter()
            .filter(|empty| !**empty)
            .count()
    }

    fn matches(&self, q: &RouteQuery<'_>) -> bool {
        self.trust == *q.trust
            && self.kinds.contains(&q.kind)
            && (self.teams.is_empty() || q.team.is_some_and(|t| self.teams.contains(t)))
            && (self.sites.is_empty() || q.site.is_some_and(|s| self.sites.contains(s)))
            && (self.referral_sources.is_empty()
                || q.referral_source.is_some_and(|s| self.referral_sources.iter().any(|r| r == s)))
    }
}

/// Whether some entry exists that both rules match and no narrower rule decides.
fn clash(rules: &[RouteRule], a: &RouteRule, b: &RouteRule) -> bool {
    if a.trust != b.trust || a.narrowness() != b.narrowness() {
        return false;
    }
    let narrower: Vec<&RouteRule> =
        rules.iter().filter(|r| r.trust == a.trust && r.narrowness() > a.narrowness()).collect();
    // What neither rule asks for can only matter where a narrower rule does: those values, and none at all, stand for every other.
    let teams = shared(&a.teams, &b.teams, narrower.iter().flat_map(|r| &r.teams));
    let sites = shared(&a.sites, &b.sites, narrower.iter().flat_map(|r| &r.sites));
    let sources = shared(&a.referral_sources, &b.referral_sources, narrower.iter().flat_map(|r| &r.referral_sources));
    a.kinds.iter().filter(|kind| b.kinds.contains(kind)).any(|kind| {
        teams.iter().any(|team| {
            sites.iter().any(|site| {
                sources.iter().any(|source| {
                    let referral_source = source.map(String::as_str);
                    let q = RouteQuery { trust: &a.trust, kind: *kind, team: *team, site: *site, referral_source };
                    !narrower.iter().any(|r| r.matches(&q))
                })
            })
        })
    })
}

/// The values that can match both lists; `None` is an entry of which the value is not known (or is named by no rule).
fn shared<'v, T: Ord>(a: &'v [T], b: &'v [T], narrower: impl Iterator<Item = &'v T>) -> Vec<Option<&'v T>> {
    match (a.is_empty(), b.is_empty()) {
        (false, false) => a.iter().filter(|v| b.contains(v)).map(Some).collect(),
        (false, true) => a.iter().map(Some).collect(),
        (true, false) => b.iter().map(Some).collect(),
        (true, true) => {
            let named: std::collections::BTreeSet<&T> = narrower.collect();
            std::iter::once(None).chain(named.into_iter().map(Some)).collect()
        }
    }
}

#[cfg(test)]
#[path = "route_tests.rs"]
mod tests;
