//! One trace from the caller's metadata to the EPR's reply, across restarts: the traceparent is stored with the delivery.

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use std::collections::HashMap;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Hangs the span under the call that wrote the delivery.
pub fn continue_from(span: &Span, traceparent: Option<&str>) {
    let Some(traceparent) = traceparent else { return };
    let carrier = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
    // Without a tracer there is nothing to hang it under.
    let _ = span.set_parent(TraceContextPropagator::new().extract(&carrier));
}
