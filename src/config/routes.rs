//! `[[route]]`: which endpoint an entry goes to.

use super::endpoint::Endpoint;
use super::fault::{Place, nearest};
use super::section::Section;
use super::tree::Node;
use super::trust::{Declared, Trust};
use super::values::{Parsed, choice, named, text, wrong};
use crate::domain::organisation::{EndpointId, OdsCode, TeamId};
use crate::domain::route::{RouteRule, RoutedKind, Routes};

pub(super) fn read(sections: Vec<Section<'_>>, trusts: &[Trust], declared: &Declared) -> Routes {
    let mut rules: Vec<RouteRule> = Vec::new();
    let mut places: Vec<Place> = Vec::new();
    let findings = sections.first().map(|s| &s.reading.findings);
    for mut s in sections {
        if let Some(rule) = one(&mut s, trusts, declared) {
            rules.push(rule);
            places.push(s.place.clone());
        }
    }
    Routes::new(rules).unwrap_or_else(|clashes| {
        for clash in clashes {
            let what = format!(
                "this route and the one in {} claim the same entries with equal right",
                places[clash.first].shown()
            );
            let hint =
                "narrow one of them by teams, sites or referral_sources, or add a narrower route for what both claim";
            if let Some(findings) = findings {
                findings.fault(&places[clash.second], what, hint);
            }
        }
        Routes::default()
    })
}

fn one(s: &mut Section<'_>, trusts: &[Trust], declared: &Declared) -> Option<RouteRule> {
    let trust = s.required("trust", "write the trust's ODS code", named(OdsCode::parse));
    let kinds = s.list("entries", "[\"note\", \"outcome\"]", kind);
    let teams = s.list("teams", "[]", named(TeamId::parse));
    let sites = s.list("sites", "[]", named(OdsCode::parse));
    let referral_sources = s.list("referral_sources", "[]", text(60));
    let endpoint = s.required("endpoint", "name the id of an [[endpoint]]", named(EndpointId::parse));
    let copies_to = s.list("copies_to", "[]", named(EndpointId::parse));
    let trust = trust?;
    match trusts.iter().find(|t| t.ods == trust) {
        None if declared.may_have(&trust) => {}
        None => s.fault(
            "trust",
            format!("is \"{trust}\", and there is no such [[trust]]"),
            "correct the code, or add the trust",
        ),
        Some(owner) => {
            for team in teams.iter().filter(|team| !owner.teams.iter().any(|t| t.id == **team)) {
                let near = nearest(team.as_str(), owner.teams.iter().map(|t| t.id.as_str()));
                let hint = near.map_or_else(
                    || format!("use the id of one of {trust}'s teams"),
                    |n| format!("did you mean \"{n}\"?"),
                );
                s.fault("teams", format!("names \"{team}\", which is no team of {trust}"), hint);
            }
            for site in sites.iter().filter(|site| !owner.teams.iter().any(|t| t.site.as_ref() == Some(*site))) {
                s.fault(
                    "sites",
                    format!("names \"{site}\", where no team of {trust} works"),
                    "use the site_ods of one of its teams",
                );
            }
        }
    }
    let endpoint = endpoint?;
    for (key, id) in std::iter::once(("endpoint", &endpoint)).chain(copies_to.iter().map(|id| ("copies_to", id))) {
        target(s, key, id, &trust, declared);
    }
    for (i, copy) in copies_to.iter().enumerate() {
        if *copy == endpoint || copies_to[..i].contains(copy) {
            s.fault(
                "copies_to",
                format!("names \"{copy}\" twice, so the same entry would be filed there twice"),
                "name each endpoint once",
            );
        }
    }
    if s.is_empty_list("entries") {
        s.fault("entries", "names nothing to send", "write [\"note\", \"outcome\"], or leave it out for both");
    }
    Some(RouteRule { trust, kinds, teams, sites, referral_sources, endpoint, copies_to })
}

fn target(s: &Section<'_>, key: &str, id: &EndpointId, trust: &OdsCode, declared: &Declared) {
    match declared.endpoints.get(id) {
        Some(None) => {}
        Some(Some(owner)) if owner == trust => {}
        Some(Some(owner)) => s.fault(
            key,
            format!("is \"{id}\" of {owner}, and {trust}'s entries never go to another trust"),
            format!("name an endpoint of {trust}"),
        ),
        None if !declared.is_whole => {}
        None if declared.retired.contains(id) => {
            s.fault(key, format!("is \"{id}\", which is retired"), "name the endpoint that took its place")
        }
        None => {
            let near = nearest(id.as_str(), declared.endpoints.keys().map(EndpointId::as_str));
            let hint =
                near.map_or_else(|| "name the id of an [[endpoint]]".to_owned(), |n| format!("did you mean \"{n}\"?"));
            s.fault(key, format!("is \"{id}\", and there is no such endpoint"), hint);
        }
    }
}

fn kind(node: &Node) -> Parsed<RoutedKind> {
    if node.text() == Some("referral_reply") {
        return wrong(
            "holds \"referral_reply\", which needs no route",
            "remove it: a reply goes back to where the referral came from",
        );
    }
    choice(&[("note", RoutedKind::Note), ("outcome", RoutedKind::Outcome)])(node)
}

/// Entries and endpoints that no route connects.
pub(super) fn gaps(routes: &Routes, trusts: &[Trust], endpoints: &[Endpoint], root: &Section<'_>) {
    for trust in trusts {
        for (kind, plural) in [(RoutedKind::Note, "notes"), (RoutedKind::Outcome, "outcomes")] {
            if !routes.rules().iter().any(|rule| rule.trust == trust.ods && rule.kinds.contains(&kind)) {
                let what = format!(
                    "trust \"{}\" has no [[route]] for {plural}, so every one is refused (NO_ENDPOINT)",
                    trust.ods
                );
                root.reading.findings.warn(&trust.place, what, "add a route for them");
            }
        }
    }
    for endpoint in endpoints {
        let routed = |rule: &RouteRule| rule.endpoint == endpoint.id || rule.copies_to.contains(&endpoint.id);
        let listens = endpoint.listen.is_some() || endpoint.listen_https.is_some();
        if !listens && !routes.rules().iter().any(routed) {
            let what =
                format!("endpoint \"{}\" gets nothing: no [[route]] names it and it does not listen", endpoint.id);
            root.reading.findings.warn(&endpoint.places.id, what, "add a route to it");
        }
    }
}
