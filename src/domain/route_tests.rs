use super::*;
use proptest::prelude::*;

fn ods(s: &str) -> OdsCode {
    OdsCode::parse(s).expect("an ODS code")
}
fn team(s: &str) -> TeamId {
    TeamId::parse(s).expect("a team id")
}
fn endpoint(s: &str) -> EndpointId {
    EndpointId::parse(s).expect("an endpoint id")
}

/// "team,team|site|source" narrows the rule; empty parts do not.
fn rule(to: &str, narrowing: &str) -> RouteRule {
    let mut parts = narrowing.split('|').map(|p| p.split(',').filter(|s| !s.is_empty()).collect::<Vec<_>>());
    let mut next = || parts.next().unwrap_or_default();
    RouteRule {
        trust: ods("RZ9"),
        kinds: vec![RoutedKind::Note, RoutedKind::Outcome],
        teams: next().into_iter().map(team).collect(),
        sites: next().into_iter().map(ods).collect(),
        referral_sources: next().into_iter().map(str::to_owned).collect(),
        endpoint: endpoint(to),
        copies_to: vec![],
    }
}

fn ask<'r>(routes: &'r Routes, t: Option<&str>, s: Option<&str>, source: Option<&str>) -> Option<&'r str> {
    let (team, site) = (t.map(team), s.map(ods));
    let trust = ods("RZ9");
    let q = RouteQuery {
        trust: &trust,
        kind: RoutedKind::Note,
        team: team.as_ref(),
        site: site.as_ref(),
        referral_source: source,
    };
    routes.route(&q).map(|r| r.endpoint.as_str())
}

#[test]
fn a_narrower_rule_wins_wherever_it_stands() {
    let mut rules = vec![rule("rio", ""), rule("paris", "north"), rule("old", "north|RZ901")];
    for _ in 0..rules.len() {
        rules.rotate_left(1);
        let routes = Routes::new(rules.clone()).expect("no clash");
        assert_eq!(ask(&routes, None, None, None), Some("rio"));
        assert_eq!(ask(&routes, Some("south"), Some("RZ901"), None), Some("rio"));
        assert_eq!(ask(&routes, Some("north"), None, None), Some("paris"));
        assert_eq!(ask(&routes, Some("north"), Some("RZ901"), Some("A1")), Some("old"));
    }
}

#[test]
fn an_entry_no_rule_names_goes_nowhere() {
    let routes = Routes::new(vec![rule("rio", "north")]).expect("no clash");
    assert_eq!(ask(&routes, Some("south"), None, None), None);
    assert_eq!(ask(&routes, None, None, None), None);
    let other = ods("RX9");
    let north = team("north");
    let q = RouteQuery { trust: &other, kind: RoutedKind::Note, team: Some(&north), site: None, referral_source: None };
    assert_eq!(routes.route(&q), None, "another trust's rule never matches");
}

#[test]
fn entry_kinds_are_routed_apart() {
    let notes = RouteRule { kinds: vec![RoutedKind::Note], ..rule("rio", "") };
    let outcomes = RouteRule { kinds: vec![RoutedKind::Outcome], ..rule("paris", "") };
    let routes = Routes::new(vec![notes, outcomes]).expect("no clash");
    let trust = ods("RZ9");
    let q = RouteQuery { trust: &trust, kind: RoutedKind::Outcome, team: None, site: None, referral_source: None };
    assert_eq!(routes.route(&q).map(|r| r.endpoint.as_str()), Some("paris"));
    assert_eq!(ask(&routes, None, None, None), Some("rio"));
}

#[test]
fn copies_come_only_where_they_were_asked_for() {
    let with_copies = RouteRule { copies_to: vec![endpoint("archive")], ..rule("rio", "north") };
    let routes = Routes::new(vec![with_copies, rule("rio", "")]).expect("no clash");
    let (trust, north) = (ods("RZ9"), team("north"));
    let mut q =
        RouteQuery { trust: &trust, kind: RoutedKind::Note, team: Some(&north), site: None, referral_source: None };
    assert_eq!(routes.route(&q).map(|r| r.copies.to_vec()), Some(vec![endpoint("archive")]));
    q.team = None;
    assert_eq!(routes.route(&q).map(|r| r.copies.len()), Some(0));
}

#[test]
fn equally_narrow_rules_that_can_meet_clash() {
    for (a, b) in
        [("", ""), ("north", "north,south"), ("north", "|RZ901"), ("north|RZ901", "north||A1"), ("|RZ901", "||A1")]
    {
        let clashes = Routes::new(vec![rule("rio", a), rule("paris", b)]).expect_err("they clash");
        assert_eq!(clashes, vec![Clash { first: 0, second: 1 }], "{a:?} {b:?}");
    }
    for (a, b) in [("north", "south"), ("north|RZ901", "north|RZ902"), ("", "north"), ("north|RZ901", "south||A1")] {
        assert!(Routes::new(vec![rule("rio", a), rule("paris", b)]).is_ok(), "{a:?} {b:?}");
    }
}

#[test]
fn a_narrower_rule_over_the_whole_overlap_settles_a_clash() {
    let over = |narrow: &[&str]| {
        let mut rules = vec![rule("rio", "north"), rule("paris", "|RZ901,RZ902")];
        rules.extend(narrow.iter().map(|n| rule("third", n)));
        Routes::new(rules)
    };
    assert!(over(&["north|RZ901"]).is_err(), "north at RZ902 is still claimed twice");
    assert!(over(&["north|RZ901", "north|RZ902"]).is_ok());
    assert!(over(&["north|RZ901,RZ902"]).is_ok());
    assert!(over(&["north|RZ901,RZ902|A1"]).is_err(), "only for source A1");
}

#[test]
fn all_clashes_are_reported_at_once() {
    let clashes = Routes::new(vec![rule("a", ""), rule("b", ""), rule("c", "")]).expect_err("they clash");
    assert_eq!(clashes.len(), 3);
}

fn any_rule() -> impl Strategy<Value = RouteRule> {
    let some = |names: &'static [&'static str]| proptest::sample::subsequence(names, 0..=names.len());
    (some(&["t1", "t2"]), some(&["S01", "S02"]), some(&["A", "B"]), 1u8..4, 0u8..4).prop_map(|(t, s, r, kinds, to)| {
        RouteRule {
            kinds: [RoutedKind::Note, RoutedKind::Outcome]
                .into_iter()
                .enumerate()
                .filter(|(i, _)| kinds & (1 << i) != 0)
                .map(|(_, k)| k)
                .collect(),
            teams: t.into_iter().map(team).collect(),
            sites: s.into_iter().map(ods).collect(),
            referral_sources: r.into_iter().map(str::to_owned).collect(),
            endpoint: endpoint(&format!("e{to}")),
            ..rule("x", "")
        }
    })
}

proptest! {
    /// The clash check against the plain definition: try every query there is.
    #[test]
    fn routes_are_refused_exactly_when_some_entry_has_two_answers(rules in proptest::collection::vec(any_rule(), 0..6)) {
        let (t, s, r) = ([team("t1"), team("t2"), team("t3")], [ods("S01"), ods("S02"), ods("S03")], ["A", "B", "C"]);
        let with_none = |n: usize| (0..n).map(Some).chain([None]);
        let trust = ods("RZ9");
        let mut torn = false;
        for kind in [RoutedKind::Note, RoutedKind::Outcome] {
            for (i, j, k) in with_none(3).flat_map(|i| with_none(3).flat_map(move |j| with_none(3).map(move |k| (i, j, k)))) {
                let q = RouteQuery { trust: &trust, kind, team: i.map(|i| &t[i]), site: j.map(|j| &s[j]), referral_source: k.map(|k| r[k]) };
                let matching: Vec<_> = rules.iter().filter(|rule| rule.matches(&q)).collect();
                let best = matching.iter().map(|rule| rule.narrowness()).max();
                torn |= matching.iter().filter(|rule| Some(rule.narrowness()) == best).count() > 1;
            }
        }
        prop_assert_eq!(Routes::new(rules).is_err(), torn);
    }
}
