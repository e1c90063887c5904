//! AdapterService: packs, which of them an endpoint works with, and dry runs through them.

mod change;
mod compare;

use change::{activate_adapter, rollback_adapter};
use compare::compare_adapter;

use super::edge::{Caller, service, whole};
use super::endpoint::{EndpointFacts, Rendering};
use super::error::Error;
use super::principal::Role;
use super::rpc;
use crate::adapter::compose::{Composition, compose, job_of};
use crate::adapter::form::{message, request};
use crate::adapter::{Fault, Fitted, Pack, ParseError, Parsed, RenderError, Status, masked};
use crate::domain::chain;
use crate::domain::delivery::Delivery;
use crate::domain::ids::{DeliveryId, random_80_bits};
use crate::domain::organisation::EndpointId;
use crate::domain::rule::{Violation, Violations};
use crate::store::record::{ActivePack, PackKept, Rendering as Made};
use crate::wire::v1::{self, preview_entry_request::What};
use std::sync::Arc;

service! {
    adapter_service_server::AdapterService for Adapters {
        list_adapters(ListAdaptersRequest) -> ListAdaptersResponse = LIST_ADAPTERS;
        preview_entry(PreviewEntryRequest) -> PreviewEntryResponse = PREVIEW_ENTRY;
        preview_message(PreviewMessageRequest) -> PreviewMessageResponse = PREVIEW_MESSAGE;
        compare_adapter(CompareAdapterRequest) -> CompareAdapterResponse = COMPARE_ADAPTER;
        activate_adapter(ActivateAdapterRequest) -> ActivateAdapterResponse = ACTIVATE_ADAPTER;
        rollback_adapter(RollbackAdapterRequest) -> RollbackAdapterResponse = ROLLBACK_ADAPTER;
    }
}

/// A message to preview, in bytes.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

async fn list_adapters(c: Caller, _: v1::ListAdaptersRequest) -> Result<v1::ListAdaptersResponse, Error> {
    let list = c.edge.packs.clone();
    let packs = tokio::task::spawn_blocking(move || list()).await;
    let packs = packs.map_err(|_| Error::Internal("the packs' folder could not be read".into()))?;
    let ids: Vec<EndpointId> = c.edge.endpoints.keys().cloned().collect();
    let states = c.store().endpoint_states(&ids).await?;
    let used = |e: &EndpointFacts| in_use(e, states.iter().find(|s| s.id == e.id).and_then(|s| s.pack.as_ref()));
    Ok(v1::ListAdaptersResponse { adapters: packs.iter().map(|pack| adapter(&c, pack, &used)).collect() })
}

/// What an endpoint works with, beside what the folder holds.
pub fn in_use(facts: &EndpointFacts, recorded: Option<&ActivePack>) -> v1::AdapterInUse {
    let standing = facts.packs.standing();
    let fitted = facts.rendering.in_use.now();
    let pack = &fitted.pack;
    let now = PackKept {
        id: pack.manifest.id.clone(),
        version: pack.manifest.version.clone(),
        fingerprint: pack.fingerprint().to_owned(),
    };
    // What is recorded belongs to what is in use only while the two are the same.
    let recorded = recorded.filter(|r| r.number == fitted.activation);
    v1::AdapterInUse {
        endpoint_id: facts.id.as_str().to_owned(),
        activation: fitted.activation,
        activated_at: recorded.map(|r| r.at.into()),
        activated_by: recorded.map(|r| r.by.clone()).unwrap_or_default(),
        activated_because: recorded.map(|r| r.why.0.clone()).unwrap_or_default(),
        folder_differs: standing.in_folder.as_ref() != Some(&now),
        in_folder: standing.in_folder.as_ref().map(show_version),
        faults: standing.faults.iter().map(show_fault).collect(),
        pinned_version: standing.pinned.unwrap_or_default(),
        held_because: standing.held.unwrap_or_default(),
        former: recorded.iter().flat_map(|r| &r.former).map(show_version).collect(),
        reloads_on_save: standing.reloads,
        version: Some(show_version(&now)),
    }
}

fn show_version(kept: &PackKept) -> v1::AdapterVersion {
    v1::AdapterVersion { id: kept.id.clone(), version: kept.version.clone(), fingerprint: kept.fingerprint.clone() }
}

/// Only the endpoints that the caller may see.
fn adapter(c: &Caller, pack: &Arc<Pack>, used: &dyn Fn(&EndpointFacts) -> v1::AdapterInUse) -> v1::Adapter {
    let manifest = &pack.manifest;
    let uses = |e: &&EndpointFacts| {
        e.rendering.in_use.now().pack.manifest.id == manifest.id && c.scope.has_endpoint(&e.trust, &e.id)
    };
    v1::Adapter {
        id: manifest.id.clone(),
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        status: i32::from(match manifest.status {
            Status::Draft => v1::PackStatus::Draft,
            Status::Tested => v1::PackStatus::Tested,
            Status::Live => v1::PackStatus::Live,
        }),
        format: pack.format().name().to_owned(),
        renders: pack.renders().into_iter().map(str::to_owned).collect(),
        parses: pack.parses().into_iter().map(str::to_owned).collect(),
        endpoint_ids: c.edge.endpoints.values().filter(uses).map(|e| e.id.as_str().to_owned()).collect(),
        in_use: c.edge.endpoints.values().filter(uses).map(used).collect(),
    }
}

fn read_endpoint(id: &str, broken: &mut Violations) -> Option<EndpointId> {
    if id.is_empty() {
        broken.add("endpoint_id", "is required");
        return None;
    }
    broken.check("endpoint_id", EndpointId::parse(id))
}

async fn preview_entry(c: Caller, m: v1::PreviewEntryRequest) -> Result<v1::PreviewEntryResponse, Error> {
    let mut broken = Violations::default();
    let endpoint = read_endpoint(&m.endpoint_id, &mut broken);
    let what = match m.what {
        None => {
            broken.add("what", "is required: delivery_id or input");
            None
        }
        Some(What::DeliveryId(id)) => request::id::<DeliveryId>(&id, "delivery_id", &mut broken).map(Preview::Stored),
        Some(What::Input(input)) => Some(Preview::Invented(Box::new(input))),
    };
    whole!(broken; endpoint, what);
    let rendering = &c.endpoint(&endpoint)?.rendering;
    let fitted = rendering.in_use.now();
    let rendering = Fixed { rendering, fitted: &fitted };
    let answer = preview(&c, m.with_input, &endpoint, what, &rendering).await?;
    Ok(v1::PreviewEntryResponse { adapter: fitted.pack.pin(), ..answer })
}

/// How an endpoint's messages are made, by one pack from beginning to end.
struct Fixed<'a> {
    rendering: &'a Rendering,
    fitted: &'a Fitted,
}

async fn preview(
    c: &Caller,
    with_input: bool,
    endpoint: &EndpointId,
    what: Preview,
    rendering: &Fixed<'_>,
) -> Result<v1::PreviewEntryResponse, Error> {
    match what {
        // To invent entries is the integrators' work alone.
        Preview::Invented(_) if !c.principal.roles.contains(&Role::Integrator) => {
            Err(Error::RoleMissing(rpc::LIST_ADAPTERS.roles))
        }
        Preview::Invented(input) => Ok(rendered(rendering, &input)),
        Preview::Stored(id) => {
            let delivery = c.store().delivery(&c.scope, id).await?.ok_or_else(|| Error::not_found("delivery"))?;
            if delivery.endpoint != *endpoint {
                return Err(Error::not_found("delivery"));
            }
            // As it was sent, where another pack is to be tried on it; else as it would be sent now.
            let made =
                if with_input { c.store().attempts(&delivery).await?.pop().and_then(|a| a.rendering) } else { None };
            let input = stored(c, rendering, &delivery, made.as_ref()).await?;
            c.audit("delivery.preview", [&delivery]).await?;
            let Some(mut input) = input else {
                return Ok(fault(
                    "the document it speaks of is not known here",
                    "wait until its predecessor is settled",
                ));
            };
            if let Err(why) = as_looked_up(rendering.fitted, made.as_ref(), &mut input) {
                return Ok(fault(&why, "look at a delivery that was sent with this pack, with_input"));
            }
            if with_input {
                let seen = if c.is_masked() { masked(&input) } else { Some(input) };
                let seen = seen.ok_or_else(|| Error::Internal("an input that cannot be masked".into()))?;
                let shown = rendered(rendering, &seen);
                return Ok(v1::PreviewEntryResponse { input: Some(seen), masked: c.is_masked(), ..shown });
            }
            let shown = rendered(rendering, &input);
            // The message holds the clinical text; whether it can be made at all does not.
            let message = if c.is_masked() { Default::default() } else { shown.message };
            Ok(v1::PreviewEntryResponse { message, ..shown })
        }
    }
}

/// What the record was asked for a message that was made; nobody asks it for a preview.
fn as_looked_up(fitted: &Fitted, made: Option<&Made>, input: &mut v1::RenderInput) -> Result<(), String> {
    for question in fitted.pack.lookups(input, &fitted.settings).map_err(|e| e.to_string())? {
        let answers = made.map(|m| m.looked_up.as_slice()).unwrap_or_default();
        let answer = answers.iter().find(|a| a.name == question.name);
        let answer =
            answer.ok_or_else(|| format!("the record is asked first ([lookup.{}]), and was not yet", question.name))?;
        fitted.pack.looked_up(&question.name, &answer.answer.0, input).map_err(|e| e.to_string())?;
    }
    Ok(())
}

enum Preview {
    Stored(DeliveryId),
    Invented(Box<v1::RenderInput>),
}

fn rendered(r: &Fixed<'_>, input: &v1::RenderInput) -> v1::PreviewEntryResponse {
    match r.fitted.pack.render(input, &r.rendering.options) {
        Ok(rendered) => v1::PreviewEntryResponse { message: rendered.bytes, ..Default::default() },
        Err(RenderError::NotRenderable(faults)) => {
            v1::PreviewEntryResponse { faults: faults.iter().map(show_fault).collect(), ..Default::default() }
        }
        Err(other) => fault(&other.to_string(), ""),
    }
}

fn fault(what: &str, hint: &str) -> v1::PreviewEntryResponse {
    let fault = v1::Fault { file: String::new(), line: 0, what: what.to_owned(), hint: hint.to_owned() };
    v1::PreviewEntryResponse { faults: vec![fault], ..Default::default() }
}

fn show_fault(f: &Fault) -> v1::Fault {
    let line = i32::try_from(f.line).unwrap_or(i32::MAX);
    v1::Fault { file: f.file.clone(), line, what: f.what.clone(), hint: f.hint.clone() }
}

/// What the template would see if the delivery were sent now, or under the control id and the time of a rendering of it.
async fn stored(
    c: &Caller,
    r: &Fixed<'_>,
    delivery: &Delivery,
    made: Option<&Made>,
) -> Result<Option<v1::RenderInput>, Error> {
    let (store, scope) = (c.store(), &c.scope);
    let lost = || Error::Internal(format!("delivery {} lacks a row it rests on", delivery.id));
    let entry = store.entry(scope, delivery.entry_id).await?.ok_or_else(lost)?;
    let patient = store.patient(scope, delivery.patient_id).await?.ok_or_else(lost)?;
    let referral = store.referral(scope, delivery.referral_id).await?.ok_or_else(lost)?;
    let chain = store.deliveries_of(scope, [delivery.subject.uuid()]).await?;
    let mut before: Vec<Delivery> =
        chain.into_iter().filter(|d| d.endpoint == delivery.endpoint && d.lane_seq < delivery.lane_seq).collect();
    before.sort_by_key(|d| d.lane_seq);
    let spoken_of = match chain::speaks_of(&before, entry.action()) {
        Some(d) => store.entry(scope, d.entry_id).await?,
        None => None,
    };
    let job = match job_of(&entry) {
        Some(id) => store.outcome(scope, id).await?.and_then(|o| o.current),
        None => None,
    };
    let control_id = made.map_or_else(|| random_80_bits(c.edge.entropy.as_ref()), |m| m.control_id.clone());
    let input = compose(&Composition {
        entry: &entry,
        spoken_of: spoken_of.as_ref(),
        job: job.as_ref(),
        patient: &patient,
        referral: &referral,
        before: &before,
        epr_staff: (r.rendering.staff)(&entry.author.staff_id),
        site: &r.fitted.site,
        control_id: &control_id,
        time: made.map_or(c.now, |m| m.created_at),
    });
    let settings = || serde_json::from_value(serde_json::Value::Object(r.fitted.settings.clone())).ok();
    Ok(input.map(|input| v1::RenderInput { settings: settings(), ..input }))
}

async fn preview_message(c: Caller, m: v1::PreviewMessageRequest) -> Result<v1::PreviewMessageResponse, Error> {
    let mut broken = Violations::default();
    let endpoint = read_endpoint(&m.endpoint_id, &mut broken);
    if m.message.is_empty() {
        broken.add("message", "is required");
    }
    if m.message.len() > MESSAGE_BYTES_MAX {
        broken.add("message", "at most 1 MiB");
    }
    whole!(broken; endpoint);
    let r = c.endpoint(&endpoint)?.rendering.in_use.now();
    Ok(match r.pack.parse(&m.message, &r.settings, &r.site.trust.time_zone) {
        Ok(parsed) => {
            let faults = rules_broken(&c, &r, &parsed);
            let value = serde_json::from_value(parsed.value);
            let parsed = value.map_err(|_| Error::Internal("a parsed message that is no object".into()))?;
            v1::PreviewMessageResponse { parsed: Some(parsed), faults }
        }
        Err(ParseError::Fields(fields)) => {
            let fault = |f: &crate::adapter::FieldFault| v1::Fault {
                file: f.from.clone(),
                line: 0,
                what: format!("{}: {}", f.field, f.what),
                hint: String::new(),
            };
            v1::PreviewMessageResponse { parsed: None, faults: fields.iter().map(fault).collect() }
        }
        Err(ParseError::Settings(faults)) => {
            v1::PreviewMessageResponse { parsed: None, faults: faults.iter().map(show_fault).collect() }
        }
        Err(other @ (ParseError::Unreadable(_) | ParseError::NoMap(_))) => {
            let fault = v1::Fault { file: String::new(), line: 0, what: other.to_string(), hint: String::new() };
            v1::PreviewMessageResponse { parsed: None, faults: vec![fault] }
        }
    })
}

/// What the message would be refused for, though the map could read it.
fn rules_broken(c: &Caller, fitted: &Fitted, parsed: &Parsed) -> Vec<v1::Fault> {
    let now = c.edge.clock.now();
    let broken = message::broken(&parsed.makes, &parsed.value, &parsed.nulls, now, &fitted.site.time_zone);
    let fault = |b: Violation| v1::Fault { what: format!("{}: {}", b.field, b.rule), ..v1::Fault::default() };
    broken.into_iter().map(fault).collect()
}
