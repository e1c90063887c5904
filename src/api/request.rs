//! Request ids: by which a repeated call is recognised, whatever became of the first.

use super::principal::Principal;
use super::rpc::Rpc;
use crate::store::record::RequestKey;
use crate::wire::v1;
use prost::Message;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// A request that changes something.
pub trait Changing: Message + Clone {
    fn request_id(&self) -> &str;
    /// What is left when the request id is taken away.
    fn without_id(&self) -> Self;
}

macro_rules! changing {
    ($($request:ident),+ $(,)?) => {$(
        impl Changing for v1::$request {
            fn request_id(&self) -> &str {
                &self.request_id
            }
            fn without_id(&self) -> Self {
                Self { request_id: String::new(), ..self.clone() }
            }
        }
    )+};
}

changing! {
    UpdatePatientRequest,
    CreateReferralRequest, AcceptReferralRequest, DeclineReferralRequest, AssignReferralRequest, CloseReferralRequest,
    WriteProgressNoteRequest, ReplaceProgressNoteRequest, WithdrawProgressNoteRequest,
    RecordOutcomeRequest, CorrectOutcomeRequest, WithdrawOutcomeRequest,
    RetryDeliveriesRequest, RerenderDeliveryRequest, ParkDeliveryRequest, CancelDeliveryRequest, BackfillDeliveriesRequest,
    ReconcileDocumentsRequest,
    PauseEndpointRequest, ResumeEndpointRequest,
    ActivateAdapterRequest, RollbackAdapterRequest,
    ReprocessInboundMessageRequest,
    ConfirmReceivedRequest, ReportFiledRequest, ReportRefusedRequest,
}

/// Key: principal, call and request id. Content: the decoded request, so that unknown fields, field order and defaults make no difference.
pub fn key(rpc: &Rpc, principal: &Principal, id: Uuid, request: &impl Changing) -> RequestKey {
    let mut key = Sha256::new();
    for part in [principal.name.as_bytes(), rpc.name.as_bytes(), id.as_bytes()] {
        key.update((part.len() as u64).to_be_bytes());
        key.update(part);
    }
    let content = Sha256::digest(request.without_id().encode_to_vec());
    RequestKey { key: key.finalize().into(), content: content.into() }
}

/// The key of one part of a call that is carried out in several commits.
pub fn part(whole: &RequestKey, number: u32) -> RequestKey {
    let mut key = Sha256::new();
    key.update(whole.key);
    key.update(number.to_be_bytes());
    RequestKey { key: key.finalize().into(), content: whole.content }
}

#[cfg(test)]
mod tests {
    use super::super::rpc;
    use super::*;
    use std::collections::BTreeSet;

    fn principal(name: &str) -> Principal {
        Principal { name: name.into(), roles: BTreeSet::new(), trusts: BTreeSet::new(), endpoints: BTreeSet::new() }
    }

    fn request(id: &str, why: &str) -> v1::ParkDeliveryRequest {
        v1::ParkDeliveryRequest { request_id: id.into(), delivery_id: "d".into(), reason: why.into(), dry_run: false }
    }

    #[test]
    fn the_key_is_the_callers_own_and_the_content_leaves_the_request_id_out() {
        let id = Uuid::from_u128(1);
        let one = key(rpc::PARK_DELIVERY, &principal("a"), id, &request("1", "x"));
        assert_eq!(one, key(rpc::PARK_DELIVERY, &principal("a"), id, &request("one, spelt otherwise", "x")));
        assert_ne!(one.content, key(rpc::PARK_DELIVERY, &principal("a"), id, &request("1", "y")).content);
        for other in [
            key(rpc::PARK_DELIVERY, &principal("b"), id, &request("1", "x")),
            key(rpc::CANCEL_DELIVERY, &principal("a"), id, &request("1", "x")),
            key(rpc::PARK_DELIVERY, &principal("a"), Uuid::from_u128(2), &request("1", "x")),
            part(&one, 0),
        ] {
            assert_ne!(one.key, other.key);
        }
        assert_ne!(part(&one, 0).key, part(&one, 1).key);
    }

    /// A decoded message has forgotten what it does not know, and the order it came in.
    #[test]
    fn unknown_fields_and_their_order_are_no_content() {
        let known = request("1", "x");
        let mut bytes = vec![0xf8, 0x07, 0x01]; // field 127, a varint
        bytes.extend(known.encode_to_vec());
        let decoded = v1::ParkDeliveryRequest::decode(&bytes[..]).expect("protobuf");
        let of = |r: &v1::ParkDeliveryRequest| key(rpc::PARK_DELIVERY, &principal("a"), Uuid::from_u128(1), r).content;
        assert_eq!(of(&known), of(&decoded));
    }
}
