//! One trace from the caller's metadata to the EPR's reply: the call's span hangs under the caller's, the delivery's under the call's.

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use std::collections::HashMap;
use tonic::metadata::MetadataMap;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

const TRACEPARENT: &str = "traceparent";

/// Hangs the span under the caller's, and gives the traceparent to store with what the call writes: the span's own where traces are kept, else the
/// caller's. A traceparent that is none (W3C Trace Context, version 00) is passed over.
pub fn join(span: &Span, metadata: &MetadataMap) -> Option<String> {
    let given = metadata.get(TRACEPARENT).and_then(|v| v.to_str().ok()).filter(|t| is_traceparent(t));
    let propagator = TraceContextPropagator::new();
    if let Some(given) = given {
        let carrier = HashMap::from([(TRACEPARENT.to_owned(), given.to_owned())]);
        // Without a tracer there is nothing to hang it under.
        let _ = span.set_parent(propagator.extract(&carrier));
    }
    let mut carrier: HashMap<String, String> = HashMap::new();
    propagator.inject_context(&span.context(), &mut carrier);
    carrier.remove(TRACEPARENT).or_else(|| given.map(str::to_owned))
}

fn is_traceparent(text: &str) -> bool {
    let hex =
        |t: &str, len: usize| t.len() == len && t.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c));
    let some = |t: &str| t.bytes().any(|c| c != b'0');
    match text.split('-').collect::<Vec<_>>()[..] {
        ["00", trace, span, flags] => hex(trace, 32) && hex(span, 16) && hex(flags, 2) && some(trace) && some(span),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_trace_is_kept_and_garbage_is_not() {
        let joined = |text: &str| {
            let mut metadata = MetadataMap::new();
            metadata.insert(TRACEPARENT, text.parse().expect("ASCII"));
            join(&Span::none(), &metadata)
        };
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(joined(good).as_deref(), Some(good));
        for bad in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "Robert Testpatient",
        ] {
            assert_eq!(joined(bad), None, "{bad}");
        }
        assert_eq!(join(&Span::none(), &MetadataMap::new()), None);
    }
}
