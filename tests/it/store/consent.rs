//! Whether employers may be approached: what the decisions say that stand.

use super::*;
use ips_bridge::domain::ids::NoteId;
use ips_bridge::domain::note::{EmployerApproachConsent, NoteContent, NoteKind};
use ips_bridge::store::Scope;
use ips_bridge::store::write::ReplaceNote;

fn decides(given: bool, day: i8) -> NoteContent {
    let mut content = disclosure();
    if let NoteKind::DisclosureDecision { employer_approach, scope, decided_on, .. } = &mut content.kind {
        *decided_on = jiff::civil::date(2025, 2, day);
        if !given {
            (*employer_approach, *scope) = (EmployerApproachConsent::Refused, None);
        }
    }
    content
}

#[tokio::test]
async fn consent_to_approach_employers_stands_on_the_latest_decision_that_stands() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let consents = async || {
            let referral = bridge.store.referral(&Scope::system(), of.referral).await.unwrap().unwrap();
            referral.employer_approach.map(|e| e.consented)
        };
        let write = async |content: NoteContent| {
            NoteId(bridge.store.write_note(bridge.note(&of, content)).await.unwrap().answer().subject)
        };
        let replace = async |id: NoteId, content: NoteContent| {
            let new = ReplaceNote { content, ..bridge.replacement(&of, id, 1, "") };
            bridge.store.replace_note(new).await.unwrap();
        };
        let given = write(decides(true, 10)).await;
        assert_eq!(consents().await, Some(true));
        replace(given, decides(false, 9)).await;
        assert_eq!(consents().await, Some(false), "its own correction, though of an earlier day");
        let mistaken = write(decides(true, 12)).await;
        assert_eq!(consents().await, Some(true));
        replace(mistaken, note("It was no decision.")).await;
        assert_eq!(consents().await, Some(false), "the one that is left");
        let earlier = write(decides(true, 5)).await;
        assert_eq!(consents().await, Some(false), "a later one stands");
        bridge.withdraw(&of, given).await.unwrap();
        assert_eq!(consents().await, Some(true), "of those that stand it is the latest");
        replace(earlier, note("Nor was this.")).await;
        assert_eq!(consents().await, None);
        bridge.close().await;
    }
}
