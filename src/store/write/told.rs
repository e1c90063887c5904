//! What an EPR tells by message of patients and referrals it knows, taken in with the message itself, in one commit.

use super::super::error::WriteError;
use super::super::record::{Actor, Inbound, InboundState, Raw};
use super::super::rows::{Keys, View, external_key};
use super::super::rulebook::Rulebook;
use super::super::writer::{Ctx, Write};
use super::inbound::keep;
use super::referral::put_patient;
use super::{About, audit, merge};
use crate::domain::change::{ChangePlan, PatientChange};
use crate::domain::ids::{PatientId, ReferralId};
use crate::domain::merge::Merge;
use crate::domain::organisation::OdsCode;
use crate::domain::person::Patient;
use crate::domain::referral::{ExternalId, ReferralTold};
use crate::domain::standing::PatientKey;
use crate::domain::text::folded_name;
use jiff::tz::TimeZone;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What the message is about.
pub enum Told {
    Patient(Box<PatientChange>),
    /// It cannot be taken in, and why: nothing of it but what is urgent, and that nobody knows whose is what `doubted` names.
    Unread {
        urgent: Option<Box<PatientChange>>,
        doubted: Vec<PatientKey>,
        /// It is kept also when it is about nobody of ours.
        keeps_strangers: bool,
        why: String,
    },
    /// Each is taken in on its own, in the order told.
    Merges(Vec<Merge>),
    Referral(Box<AboutReferral>),
}

/// A referral that its referrer changes or takes back.
pub struct AboutReferral {
    pub external_ids: Vec<ExternalId>,
    /// Who the message says it is about; none of them may be somebody else.
    pub patient: Vec<PatientKey>,
    pub family: Option<String>,
    pub told: ReferralTold,
    /// What is urgent of the patient: taken whatever becomes of the rest.
    pub urgent: Option<Box<PatientChange>>,
    /// Of what it says who it is about: what was left out, and why.
    pub left_out: Vec<String>,
}

/// Which built-in rule ignored a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    NotOurs,
    Older,
}

impl Because {
    /// As counted and shown; no configured rule can have such a name.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotOurs => "(patient not known)",
            Self::Older => "(older news)",
        }
    }
}

/// What became of a message. Sentences hold rules and field names, no patient data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Became {
    /// With what there is to say of it, if anything.
    Applied(String),
    Ignored(Because, String),
    /// Not possible as it is, and no harm done.
    Refused {
        code: u16,
        what: String,
    },
    /// A person has to look.
    Held {
        code: u16,
        what: String,
    },
}

/// Makes the acknowledgement from what became of the message.
pub type ReplyTo = Box<dyn Fn(&Became) -> Vec<u8> + Send + Sync>;

/// A message about somebody we may know.
pub struct ReceivedTold {
    pub inbound: Inbound,
    pub rules: Arc<Rulebook>,
    pub told: Told,
    /// The accept rule that let it in, by whose name it is counted if its patient is not known.
    pub rule: Option<String>,
    /// Whether the bytes of a message that is ignored are kept for a while.
    pub keeps_ignored: bool,
    pub reply: ReplyTo,
}

impl Write for ReceivedTold {
    type Answer = Vec<u8>;

    fn needs(&self, view: &View, keys: &mut Keys) {
        let trust = &self.inbound.trust;
        keys.inbound.insert(self.inbound.id);
        match &self.told {
            Told::Patient(change) => {
                change_needs(view, keys, trust, change);
                merge::needs(view, keys, &self.rules, trust, &change.replaces);
            }
            Told::Unread { urgent, doubted, .. } => {
                urgent.iter().for_each(|change| change_needs(view, keys, trust, change));
                merge::key_needs(view, keys, trust, doubted);
            }
            Told::Merges(merges) => {
                merge::needs(view, keys, &self.rules, trust, merges);
                let urgent = merges.iter().filter_map(|m| m.urgent.as_ref());
                urgent.for_each(|change| change_needs(view, keys, trust, change));
            }
            Told::Referral(about) => {
                for external in &about.external_ids {
                    let key = external_key(trust, external);
                    keys.referrals.extend(view.referrals_by_external.get(&key));
                    keys.referrals_by_external.insert(key);
                }
                let known = about.referral(view, &self.inbound).and_then(|r| view.referrals.get(&r));
                keys.patients.extend(known.map(|r| r.patient_id));
                merge::key_needs(view, keys, trust, &about.patient);
                about.urgent.iter().for_each(|change| change_needs(view, keys, trust, change));
            }
        }
    }

    fn decide(&mut self, view: &mut View, ctx: &Ctx<'_>) -> Result<Vec<u8>, WriteError> {
        let mut inbound = self.inbound.clone();
        let actor = Actor { principal: format!("endpoint:{}", inbound.endpoint), role: "epr_system".into() };
        let became = match &self.told {
            Told::Patient(change) => match self.change(view, ctx, &actor, change) {
                became @ (Became::Held { .. } | Became::Refused { .. }) if change.is_urgent() => {
                    self.and_urgent(view, ctx, &actor, became, Some(change))
                }
                became => became,
            },
            Told::Unread { urgent, doubted, keeps_strangers, why } => {
                match self.unread(view, ctx, &actor, urgent.as_deref(), doubted, why) {
                    Became::Ignored(..) if *keeps_strangers => Became::Held { code: 102, what: why.clone() },
                    became => became,
                }
            }
            Told::Merges(merges) => worst(merges.iter().map(|m| self.merge(view, ctx, &actor, m)).collect()),
            Told::Referral(about) => {
                inbound.referral_id = about.referral(view, &inbound);
                let became = match about.decide(view, ctx, &actor, &inbound) {
                    Became::Applied(note) => {
                        let said =
                            Some(note).filter(|n| !n.is_empty()).into_iter().chain(about.left_out.iter().cloned());
                        Became::Applied(said.collect::<Vec<_>>().join("; "))
                    }
                    other => other,
                };
                self.and_urgent(view, ctx, &actor, became, about.urgent.as_deref())
            }
        };
        (inbound.state, inbound.reason) = match &became {
            Became::Applied(note) => (InboundState::Applied, note.clone()),
            Became::Ignored(because, why) => {
                let rule = self.rule.clone().filter(|_| *because == Because::NotOurs);
                inbound.rule = Some(rule.unwrap_or_else(|| because.name().to_owned()));
                if *because == Because::NotOurs && !self.keeps_ignored {
                    inbound.bytes = Raw::default();
                }
                (InboundState::Ignored, why.clone())
            }
            Became::Refused { what, .. } | Became::Held { what, .. } => (InboundState::Parked, what.clone()),
        };
        let reply = (self.reply)(&became);
        inbound.reply = Raw(reply.clone());
        keep(view, ctx, inbound);
        Ok(reply)
    }
}

/// What a message of several merges became: what needs a person outweighs what was done, and that outweighs what is not ours.
fn worst(all: Vec<Became>) -> Became {
    let several = all.len() > 1;
    let done = all.iter().filter(|b| matches!(b, Became::Applied(_))).count();
    let weight = |b: &Became| match b {
        Became::Ignored(..) => 0,
        Became::Applied(_) => 1,
        Became::Refused { .. } => 2,
        Became::Held { .. } => 3,
    };
    let total = all.len();
    let said = |what: String| if several { format!("{done} of {total} merges done; {what}") } else { what };
    match all.into_iter().max_by_key(weight) {
        Some(Became::Refused { code, what }) => Became::Refused { code, what: said(what) },
        Some(Became::Held { code, what }) => Became::Held { code, what: said(what) },
        Some(other) => other,
        None => Became::Refused { code: 101, what: "it names no merge".into() },
    }
}

impl ReceivedTold {
    fn change(&self, view: &mut View, ctx: &Ctx<'_>, actor: &Actor, change: &PatientChange) -> Became {
        let trust = &self.inbound.trust;
        for merge in &change.replaces {
            let became = self.merge(view, ctx, actor, merge);
            if matches!(became, Became::Held { .. } | Became::Refused { .. }) {
                return became;
            }
        }
        let zone = ctx.rules.trusts.get(trust).map_or(TimeZone::UTC, |t| t.time_zone.clone());
        let today = ctx.now.to_zoned(zone).date();
        let found = |key: &PatientKey| merge::patient(view, trust, key);
        let plan = change.plan(&self.inbound.source, ctx.now, today, found, |near| merge::nearly(view, trust, near));
        let changed = match plan {
            ChangePlan::NotOurs => {
                return unknown();
            }
            ChangePlan::Nothing(why) => return Became::Ignored(Because::Older, why.into()),
            ChangePlan::Hold(why) => return Became::Held { code: 204, what: why.into() },
            ChangePlan::Broken(broken) => {
                let list: Vec<String> = broken.0.iter().map(|v| format!("{}: {}", v.field, v.rule)).collect();
                return Became::Refused { code: 102, what: list.join("; ") };
            }
            ChangePlan::Heard(patient) => {
                view.patients.put(patient.id, *patient);
                return Became::Applied(noted("nothing in it was new", change));
            }
            ChangePlan::Changed(changed) => *changed,
        };
        if taken(view, &changed) {
            let what = "another patient of the trust has this NHS number or local identifier";
            return Became::Held { code: 205, what: what.into() };
        }
        self.put(view, ctx, actor, &changed);
        Became::Applied(noted("", change))
    }

    /// It is kept for a person, and what it says beside waits for them; what is urgent does not, nor does what may go to the wrong record.
    fn unread(
        &self,
        view: &mut View,
        ctx: &Ctx<'_>,
        actor: &Actor,
        urgent: Option<&PatientChange>,
        doubted: &[PatientKey],
        why: &str,
    ) -> Became {
        let trust = &self.inbound.trust;
        let whose: BTreeSet<PatientId> =
            doubted.iter().filter_map(|key| merge::patient(view, trust, key)).map(|p| p.id).collect();
        merge::doubt(view, ctx, actor, "a merge that names it could not be read", &whose);
        let in_doubt = Some("nothing is sent for those it names until a person has said who they are")
            .filter(|_| !whose.is_empty());
        let news = urgent.map(|change| self.urgent(view, ctx, actor, change));
        let told = match news {
            None | Some(Urgent::NotOurs) if whose.is_empty() => return unknown(),
            None | Some(Urgent::NotOurs) => None,
            Some(Urgent::Taken(what)) => Some(format!("{what}, and nothing else")),
            Some(Urgent::Unsure(why) | Urgent::OneOfThem(why) | Urgent::Nothing(why)) => Some(why.to_owned()),
        };
        let parts = [Some(why.to_owned()), told, in_doubt.map(str::to_owned)];
        Became::Held { code: 102, what: parts.into_iter().flatten().collect::<Vec<_>>().join("; ") }
    }

    /// What is urgent holds whether or not the merge can be followed.
    fn merge(&self, view: &mut View, ctx: &Ctx<'_>, actor: &Actor, merge: &Merge) -> Became {
        let became = merge::decide(view, ctx, actor, &self.inbound.trust, merge);
        self.and_urgent(view, ctx, actor, became, merge.urgent.as_deref())
    }

    /// What became of it, with what is urgent beside.
    fn and_urgent(
        &self,
        view: &mut View,
        ctx: &Ctx<'_>,
        actor: &Actor,
        became: Became,
        urgent: Option<&PatientChange>,
    ) -> Became {
        let news = urgent.map(|change| self.urgent(view, ctx, actor, change));
        let and = |what: String, more: &str| if what.is_empty() { more.to_owned() } else { format!("{what}; {more}") };
        match (news, became) {
            (Some(Urgent::Taken(more)), became) => match became {
                Became::Applied(what) | Became::Ignored(_, what) => Became::Applied(and(what, more)),
                Became::Held { code, what } => Became::Held { code, what: and(what, more) },
                Became::Refused { code, what } => Became::Refused { code, what: and(what, more) },
            },
            (Some(Urgent::Unsure(why)), Became::Applied(what) | Became::Ignored(_, what)) => {
                Became::Held { code: 204, what: and(what, &format!("it tells of a death or a shielding, and {why}")) }
            }
            (Some(Urgent::OneOfThem(why)), became) => match became {
                Became::Applied(what) | Became::Ignored(_, what) => Became::Held { code: 204, what: and(what, why) },
                Became::Held { code, what } => Became::Held { code, what: and(what, why) },
                Became::Refused { code, what } => Became::Refused { code, what: and(what, why) },
            },
            (_, became) => became,
        }
    }

    fn urgent(&self, view: &mut View, ctx: &Ctx<'_>, actor: &Actor, change: &PatientChange) -> Urgent {
        let trust = &self.inbound.trust;
        let found = |key: &PatientKey| merge::patient(view, trust, key);
        match change.plan_urgent(ctx.now, found, |near| merge::nearly(view, trust, near)) {
            ChangePlan::Changed(now) => {
                let before = view.patients.get(&now.id).map(|p| p.standing.clone());
                let died = before.as_ref().is_none_or(|b| b.death != now.standing.death);
                let shielded = before.is_none_or(|b| b.location_shielded != now.standing.location_shielded);
                self.put(view, ctx, actor, &now);
                Urgent::Taken(match (died, shielded) {
                    (true, true) => {
                        "that the patient has died, and that nobody may learn where they live, was taken from it"
                    }
                    (true, false) => "that the patient has died was taken from it",
                    _ => "that nobody may learn where the patient lives was taken from it",
                })
            }
            ChangePlan::NotOurs => Urgent::NotOurs,
            ChangePlan::Hold(why) => {
                let found = |key: &PatientKey| merge::patient(view, trust, key);
                let whose = change.one_has_died(found, |near| merge::nearly(view, trust, near));
                if whose.is_empty() {
                    return Urgent::Unsure(why);
                }
                merge::doubt(view, ctx, actor, "one of several whom a message names has died", &whose);
                Urgent::OneOfThem(
                    "one of several of ours whom it names has died: nothing is sent for them until a person has said who",
                )
            }
            ChangePlan::Nothing(why) => Urgent::Nothing(why),
            ChangePlan::Heard(_) | ChangePlan::Broken(_) => Urgent::Nothing("nothing in it was new"),
        }
    }

    fn put(&self, view: &mut View, ctx: &Ctx<'_>, actor: &Actor, changed: &Patient) {
        let known = view.patients.get(&changed.id).cloned();
        put_patient(view, known.as_ref(), changed);
        let about = About {
            trust: &self.inbound.trust,
            action: "patient.update",
            kind: "patient",
            id: changed.id.0,
            patient: Some(changed.id),
            why: &self.inbound.message_type,
        };
        audit(view, actor, ctx.now, &about);
    }
}

/// What became of what is urgent.
enum Urgent {
    Taken(&'static str),
    /// A person has to say whom it is about.
    Unsure(&'static str),
    /// The same, and each of those it may be about is in doubt.
    OneOfThem(&'static str),
    Nothing(&'static str),
    NotOurs,
}

fn unknown() -> Became {
    Became::Ignored(Because::NotOurs, "its patient is not known here".into())
}

fn change_needs(view: &View, keys: &mut Keys, trust: &OdsCode, change: &PatientChange) {
    merge::key_needs(view, keys, trust, &change.keys());
    merge::near_needs(view, keys, trust, &change.near);
}

/// What there is to say, with what was sent as null and stays, and what was left out.
fn noted(what: &str, change: &PatientChange) -> String {
    let stays = |field: &&str| format!("{field} was sent as null and stays as it is: no record can be without it");
    let said = Some(what).filter(|w| !w.is_empty()).map(str::to_owned);
    let more = change.kept.iter().map(stays).chain(change.left_out.iter().cloned());
    said.into_iter().chain(more).collect::<Vec<_>>().join("; ")
}

/// Whether another patient is recognised by what this one is to have.
pub(super) fn taken(view: &View, patient: &Patient) -> bool {
    patient.keys().iter().any(|key| merge::patient(view, &patient.trust, key).is_some_and(|p| p.id != patient.id))
}

impl AboutReferral {
    /// The one referral that its external ids name.
    fn referral(&self, view: &View, inbound: &Inbound) -> Option<ReferralId> {
        let mut named =
            self.external_ids.iter().filter_map(|e| view.referrals_by_external.get(&external_key(&inbound.trust, e)));
        let first = *named.next()?;
        named.all(|other| *other == first).then_some(first)
    }

    fn decide(&self, view: &mut View, ctx: &Ctx<'_>, actor: &Actor, inbound: &Inbound) -> Became {
        let held = |code, what: &str| Became::Held { code, what: what.into() };
        let referral = self.referral(view, inbound).and_then(|id| view.referrals.get(&id)).cloned();
        let Some(referral) = referral else {
            // A change of something we never got: somebody has to find out where the referral itself is.
            return held(204, "no referral, or more than one, has these external ids");
        };
        let Some(patient) = view.patients.get(&referral.patient_id) else {
            return held(207, "the referral's patient could not be read");
        };
        let someone = |key: &PatientKey| merge::patient(view, &inbound.trust, key);
        let other = self.patient.iter().filter_map(someone).any(|p| p.id != patient.id);
        let nobody = !self.patient.iter().any(|key| patient.holds(key) || patient.standing.former_since(key).is_some());
        let name = self.family.as_ref().is_some_and(|f| folded_name(f) != folded_name(&patient.details.name.family.0));
        if other || (nobody && name) {
            return held(204, "the referral is another patient's here");
        }
        // A family name is many people's: where it calls its patient by an identifier, that must be one of ours.
        if nobody && !self.patient.is_empty() {
            return held(204, "none of the identifiers it gives is of the referral's patient here");
        }
        let changed = match referral.told(&self.told, ctx.now) {
            Ok(Some(changed)) => changed,
            Ok(None) => {
                return Became::Ignored(Because::Older, "older than what was told of the referral before".into());
            }
            Err(wrong) => return held(207, &wrong.to_string()),
        };
        if changed == referral {
            return Became::Applied("it was so already".into());
        }
        let action = match &self.told {
            ReferralTold::Modified { .. } => "referral.modify",
            ReferralTold::Cancelled { .. } => "referral.cancel",
        };
        let about = About {
            trust: &referral.trust,
            action,
            kind: "referral",
            id: referral.id.0,
            patient: Some(referral.patient_id),
            why: &inbound.message_type,
        };
        audit(view, actor, ctx.now, &about);
        view.put_referral(changed);
        Became::Applied(String::new())
    }
}
