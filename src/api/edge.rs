//! What every call passes through: who calls, whether they may, the limits, the span, and the one way in which errors leave.

use super::endpoint::EndpointFacts;
use super::error::Error;
use super::principal::{Principal, Principals, Role};
use super::request::{self, Changing};
use super::rpc::Rpc;
use super::server::ListPacks;
use super::{Settings, trace};
use crate::adapter::form;
use crate::domain::ambient::{Clock, Entropy};
use crate::domain::ids::{crockford, new_uuid};
use crate::domain::organisation::{EndpointId, OdsCode};
use crate::domain::rule::Violations;
use crate::status::Epr;
use crate::store::record::{Actor, RequestKey};
use crate::store::{Rulebook, Scope, Store, write};
use futures::Stream;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status};
use tracing::{Instrument, Span, field};

/// A server's side of a stream.
pub type Streamed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Shared by all services.
pub struct Edge {
    pub store: Store,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub principals: Principals,
    pub endpoints: BTreeMap<EndpointId, EndpointFacts>,
    /// Endpoints that are served no more and may still have deliveries.
    pub retired: BTreeSet<EndpointId>,
    pub packs: ListPacks,
    pub settings: Settings,
    /// Streams end with it.
    pub shutdown: CancellationToken,
    pub calls: Arc<Semaphore>,
    pub streams: Arc<Semaphore>,
    /// Measures read everything a trust has: one after the other.
    pub measures: Semaphore,
}

impl Edge {
    /// An error as the caller sees it; a fault of ours is logged under the id they are given.
    pub fn refuse(&self, error: &Error) -> Status {
        if !error.is_ours() {
            return error.status("");
        }
        let id = crockford(*new_uuid(self.clock.now(), self.entropy.as_ref()).as_bytes());
        tracing::error!(error_id = id, error = %error, "a call failed by a fault of ours");
        error.status(&id)
    }
}

/// One call by one principal in one role.
#[derive(Clone)]
pub struct Caller {
    pub edge: Arc<Edge>,
    pub principal: Arc<Principal>,
    pub role: Role,
    pub rpc: &'static Rpc,
    pub scope: Scope,
    pub now: Timestamp,
    /// As they are when the call comes in: one call is answered by one set of rules.
    pub rules: Arc<Rulebook>,
    trace: Option<String>,
}

impl Caller {
    pub fn store(&self) -> &Store {
        &self.edge.store
    }

    /// Clinical text is not for those who operate the machinery.
    pub fn is_masked(&self) -> bool {
        self.role == Role::Integrator
    }

    pub fn actor(&self) -> Actor {
        Actor { principal: self.principal.name.clone(), role: self.role.word().to_owned() }
    }

    /// The request's key, or a violation of `request_id`.
    pub fn key(&self, request: &impl Changing, broken: &mut Violations) -> Option<RequestKey> {
        let id = form::request::request_id(request.request_id(), broken)?;
        Some(request::key(self.rpc, &self.principal, id, request))
    }

    /// What the store needs to know of a call that writes.
    pub fn write(&self, request: RequestKey) -> write::Call {
        write::Call {
            actor: self.actor(),
            scope: self.scope.clone(),
            request: Some(request),
            trace: self.trace.clone(),
        }
    }

    /// The trust's time zone; UTC for one that config does not have.
    pub fn time_zone(&self, trust: &OdsCode) -> TimeZone {
        self.rules.trusts.get(trust).map_or(TimeZone::UTC, |t| t.time_zone.clone())
    }

    pub fn today(&self, trust: &OdsCode) -> Date {
        self.now.to_zoned(self.time_zone(trust)).date()
    }

    pub fn epr<'a>(&'a self, endpoint: &'a EndpointId) -> Epr<'a> {
        Epr::of(self.rules.policies.get(endpoint).map(AsRef::as_ref), endpoint)
    }

    /// An endpoint the caller may see, by the id in a request.
    pub fn endpoint(&self, id: &EndpointId) -> Result<&EndpointFacts, Error> {
        let facts = self.edge.endpoints.get(id).filter(|e| self.scope.has_endpoint(&e.trust, id));
        facts.ok_or_else(|| Error::not_found("endpoint"))
    }

    /// An endpoint to choose deliveries by: one the caller may see, or one that is served no more. Which deliveries they see the store decides.
    pub fn endpoint_or_retired(&self, id: &EndpointId) -> Result<(), Error> {
        if self.edge.retired.contains(id) { Ok(()) } else { self.endpoint(id).map(|_| ()) }
    }

    /// A trust the caller may see.
    pub fn trust(&self, trust: &OdsCode) -> Result<(), Error> {
        if self.scope.has_trust(trust) { Ok(()) } else { Err(Error::not_found("trust")) }
    }
}

impl Edge {
    /// A call with one answer. A caller who goes away, or is told that it took too long, does not undo a write that is under way.
    pub async fn unary<Q, A, F>(
        self: &Arc<Self>,
        rpc: &'static Rpc,
        request: Request<Q>,
        answer: impl FnOnce(Caller, Q) -> F + Send,
    ) -> Result<Response<A>, Status>
    where
        F: Future<Output = Result<A, Error>> + Send,
    {
        let (span, trace) = self.span(rpc, &request);
        let limit = self.settings.request_timeout;
        let answered = async {
            let caller = self.caller(rpc, &request, trace, &span)?;
            let _under_way = self.permit(&self.calls, self.settings.max_concurrent_calls)?;
            let in_time = tokio::time::timeout(limit, answer(caller, request.into_inner())).await;
            in_time.unwrap_or_else(|_| {
                Err(if changes(rpc) { Error::TooSlowToWrite(limit) } else { Error::TooSlowToRead(limit) })
            })
        }
        .instrument(span.clone())
        .await;
        self.leave(&span, answered).map(Response::new)
    }

    /// A call with a stream of answers: what comes before its first one is under the same limit of time, the stream itself is not.
    pub async fn streaming<Q, A, F>(
        self: &Arc<Self>,
        rpc: &'static Rpc,
        request: Request<Q>,
        answer: impl FnOnce(Caller, Q) -> F + Send,
    ) -> Result<Response<Streamed<A>>, Status>
    where
        A: 'static,
        F: Future<Output = Result<Streamed<A>, Error>> + Send,
    {
        let (span, trace) = self.span(rpc, &request);
        let limit = self.settings.request_timeout;
        let answered = async {
            let caller = self.caller(rpc, &request, trace, &span)?;
            let under_way = self.permit(&self.streams, self.settings.max_streams)?;
            let in_time = tokio::time::timeout(limit, answer(caller, request.into_inner())).await;
            let stream = in_time.unwrap_or(Err(Error::TooSlowToRead(limit)))?;
            Ok::<Streamed<A>, Error>(Box::pin(Held { stream, _under_way: under_way }))
        }
        .instrument(span.clone())
        .await;
        self.leave(&span, answered).map(Response::new)
    }

    /// Names only: opaque ids and words of ours, never what is asked about.
    fn span<Q>(&self, rpc: &'static Rpc, request: &Request<Q>) -> (Span, Option<String>) {
        let span = tracing::info_span!(
            "call",
            rpc = rpc.name,
            principal = field::Empty,
            role = field::Empty,
            code = field::Empty
        );
        let trace = trace::join(&span, request.metadata());
        (span, trace)
    }

    fn caller<Q>(
        self: &Arc<Self>,
        rpc: &'static Rpc,
        request: &Request<Q>,
        trace: Option<String>,
        span: &Span,
    ) -> Result<Caller, Error> {
        let principal = self.principals.caller(request.extensions()).ok_or(Error::NotAuthenticated)?;
        span.record("principal", &principal.name);
        let role = rpc.role_of(&principal).ok_or(Error::RoleMissing(rpc.roles))?;
        span.record("role", role.word());
        let scope = principal.scope(role);
        let rules = self.store.rules();
        Ok(Caller { edge: self.clone(), principal, role, rpc, scope, now: self.clock.now(), rules, trace })
    }

    fn permit(&self, of: &Arc<Semaphore>, limit: usize) -> Result<OwnedSemaphorePermit, Error> {
        of.clone().try_acquire_owned().map_err(|_| Error::Busy(limit))
    }

    fn leave<A>(&self, span: &Span, answered: Result<A, Error>) -> Result<A, Status> {
        let _entered = span.enter();
        let left = answered.map_err(|e| self.refuse(&e));
        let code = left.as_ref().err().map_or(Code::Ok, Status::code);
        span.record("code", field::debug(code));
        match code {
            Code::Ok => tracing::debug!("answered"),
            Code::PermissionDenied | Code::Unauthenticated => tracing::warn!("refused: not allowed"),
            _ => tracing::info!("refused"),
        }
        left
    }
}

/// A call with a request id.
fn changes(rpc: &Rpc) -> bool {
    let call = rpc.name.rsplit('/').next().unwrap_or_default();
    !["Get", "Find", "List", "Watch", "Export", "Preview", "Compare", "Stream"]
        .iter()
        .any(|reading| call.starts_with(reading))
}

/// A stream that counts as under way until it is dropped.
struct Held<A> {
    stream: Streamed<A>,
    _under_way: OwnedSemaphorePermit,
}

impl<A> Stream for Held<A> {
    type Item = Result<A, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<Option<Self::Item>> {
        self.stream.as_mut().poll_next(cx)
    }
}

/// Every value that was read, or all violations at once: `whole!(broken; id, key)` makes `id` and `key` plain values.
macro_rules! whole {
    ($broken:ident; $($name:ident),+ $(,)?) => {
        let ($(Some($name),)+) = ($($name,)+) else { return Err($crate::api::error::Error::Broken($broken)) };
        if !$broken.is_empty() {
            return Err($crate::api::error::Error::Broken($broken));
        }
    };
}
pub(super) use whole;

/// A service's trait, each call handed to the function of the same name beside it.
macro_rules! service {
    ($server:ident :: $trait:ident for $us:ident { $($call:ident($request:ident) -> $response:ident = $rpc:ident;)* } $(streams { $($sname:ident: $scall:ident($srequest:ident) -> $sresponse:ident = $srpc:ident;)* })?) => {
        pub struct $us(pub std::sync::Arc<$crate::api::edge::Edge>);

        #[tonic::async_trait]
        impl $crate::wire::v1::$server::$trait for $us {
            $(
                async fn $call(&self, request: tonic::Request<v1::$request>) -> Result<tonic::Response<v1::$response>, tonic::Status> {
                    self.0.unary($crate::api::rpc::$rpc, request, $call).await
                }
            )*
            $($(
                type $sname = $crate::api::edge::Streamed<v1::$sresponse>;
                async fn $scall(&self, request: tonic::Request<v1::$srequest>) -> Result<tonic::Response<Self::$sname>, tonic::Status> {
                    self.0.streaming($crate::api::rpc::$srpc, request, $scall).await
                }
            )*)?
        }
    };
}
pub(super) use service;
