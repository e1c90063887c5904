//! `[[principal]]`: the systems that may call, known by their client certificate.

use super::fault::Place;
use super::section::Section;
use super::tree::Node;
use super::trust::Declared;
use super::values::{Parsed, choice, named, text, wrong};
use crate::domain::organisation::{EndpointId, OdsCode};

/// One `[[principal]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    pub name: String,
    pub san: San,
    pub roles: Vec<Role>,
    pub trusts: Vec<OdsCode>,
    /// For `epr_system`: the endpoints it speaks for.
    pub endpoints: Vec<EndpointId>,
}

/// The subject alternative name of a client certificate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum San {
    /// In lower case; never a wildcard.
    Dns(String),
    Uri(String),
}

impl std::fmt::Display for San {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            San::Dns(name) | San::Uri(name) => f.write_str(name),
        }
    }
}

/// What a principal may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Writes and reads notes, outcomes and referrals.
    IpsWorker,
    /// An EPR: sends messages in, reads its feed, reports what it filed.
    EprSystem,
    /// Operates deliveries, with clinical text masked.
    Integrator,
    /// Reads the audit.
    Auditor,
}

const ROLES: &[(&str, Role)] = &[
    ("ips_worker", Role::IpsWorker),
    ("epr_system", Role::EprSystem),
    ("integrator", Role::Integrator),
    ("auditor", Role::Auditor),
];

pub(super) fn read_all(sections: Vec<Section<'_>>, declared: &Declared) -> Vec<Principal> {
    let mut principals: Vec<(Principal, Place)> = Vec::new();
    for mut s in sections {
        let Some(principal) = one(&mut s, declared) else { continue };
        for (first, place) in &principals {
            if first.name == principal.name {
                s.fault(
                    "name",
                    format!("\"{}\" is already used in {}", first.name, place.shown()),
                    "give each principal its own name: the audit shows it",
                );
            }
            if first.san == principal.san {
                let what = format!(
                    "is the same as \"{}\"'s in {}, so one certificate would be two principals",
                    first.name,
                    place.shown()
                );
                s.fault("san", what, "give each its own certificate, or join the two");
            }
        }
        principals.push((principal, s.place.clone()));
    }
    principals.into_iter().map(|(principal, _)| principal).collect()
}

fn one(s: &mut Section<'_>, declared: &Declared) -> Option<Principal> {
    let name = s.required("name", "name the system, as the audit is to show it", own_name);
    let san = s.required("san", "write the DNS or URI name in the system's client certificate", san);
    let roles = s.required_list(
        "roles",
        "write one or more of \"ips_worker\", \"epr_system\", \"integrator\", \"auditor\"",
        choice(ROLES),
    );
    let for_trusts = s.required_list("trusts", "list the ODS codes of the trusts it may see", named(OdsCode::parse));
    let endpoints = s.list("endpoints", "[]", named(EndpointId::parse));
    for ods in for_trusts.iter().filter(|ods| !declared.may_have(ods)) {
        s.fault(
            "trusts",
            format!("names \"{ods}\", and there is no such [[trust]]"),
            "correct the code, or add the trust",
        );
    }
    let epr = roles.contains(&Role::EprSystem);
    if epr && (!s.has("endpoints") || s.is_empty_list("endpoints")) {
        s.fault(
            "endpoints",
            "is missing, and an epr_system may only speak for endpoints it is given",
            "list their ids",
        );
    }
    if !epr && !endpoints.is_empty() {
        s.fault("endpoints", "has no effect without the role \"epr_system\"", "add the role, or remove endpoints");
    }
    for id in &endpoints {
        match declared.endpoints.get(id) {
            None if !declared.is_whole => {}
            None => s.fault(
                "endpoints",
                format!("names \"{id}\", and there is no such endpoint"),
                "name the id of an [[endpoint]]",
            ),
            Some(Some(owner)) if !for_trusts.contains(owner) => {
                s.fault(
                    "endpoints",
                    format!("names \"{id}\" of {owner}, which is not among its trusts"),
                    format!("add \"{owner}\" to trusts, or remove the endpoint"),
                );
            }
            Some(_) => {}
        }
    }
    Some(Principal { name: name?, san: san?, roles, trusts: for_trusts, endpoints })
}

fn san(node: &Node) -> Parsed<San> {
    let san = text(255)(node)?;
    let hint = "write e.g. \"ips.provider.example\" or \"spiffe://provider.example/ips\"";
    if san.contains('*') {
        return wrong("holds a *, which would let in more than one system", hint);
    }
    if san.contains("://") || san.starts_with("urn:") {
        let plain = san.bytes().all(|b| b.is_ascii_graphic());
        return if plain { Ok(San::Uri(san)) } else { wrong("must be a URI in ASCII", hint) };
    }
    let label = |l: &str| {
        !l.is_empty() && l.len() <= 63 && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if san.split('.').all(label) {
        Ok(San::Dns(san.to_ascii_lowercase()))
    } else {
        wrong("must be a DNS name or a URI", hint)
    }
}

/// The bridge itself and its endpoints stand in the audit under names of their own.
fn own_name(node: &Node) -> Parsed<String> {
    let name = text(60)(node)?;
    if name == "bridge" || name.starts_with("endpoint:") {
        return wrong(format!("is \"{name}\", which the audit keeps for the bridge itself"), "choose another name");
    }
    Ok(name)
}
