//! A record that answers a create with "several of yours are there": nothing may act on it as if none were.

use crate::e2e_shut_out::over_https;
use crate::e2e_support::{Bridge, Stage, shown};
use crate::support::web_end::{Act, Got, WebEnd, reply, say};
use ips_bridge::wire::v1;
use serde_json::json;
use v1::{DeliveryState as State, ParkReason as Reason};

/// Says 412 to whatever is posted, with an issue or with a page of its own; asked, it shows two.
async fn record(issue: Option<&'static str>) -> WebEnd {
    WebEnd::start(move |_, got: &Got| match (got.line.starts_with("GET "), issue) {
        (true, _) => {
            let id = got.line.split("%7C").nth(1).and_then(|r| r.split(' ').next()).unwrap_or_default();
            let identifier = json!([{ "system": "https://ips-bridge.example/Id/document", "value": id }]);
            let two = ["7", "8"].map(|n| {
                json!({ "resource": { "resourceType": "DocumentReference", "id": n, "status": "current", "identifier": identifier } })
            });
            say(200, &json!({ "resourceType": "Bundle", "type": "searchset", "entry": two }).to_string())
        }
        (false, Some(code)) => {
            let outcome = json!({ "resourceType": "OperationOutcome", "issue": [{ "severity": "error", "code": code }] });
            Act::Say(reply(412, "", &outcome.to_string()))
        }
        (false, None) => say(412, "<html>several</html>"),
    })
    .await
}

fn posts(epr: &WebEnd) -> usize {
    epr.got().iter().filter(|g| g.line.starts_with("POST ")).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_note_of_which_several_are_there_already_is_never_called_absent() {
    let query = "after_unknown = \"query\"\nmax_unknown_resends = 3\nask = { first_after = \"0s\", again_after = \"1s\", max_unclear = 3 }\n";
    for (issue, own) in [
        (Some("multiple-matches"), "after_unknown = \"park\"\nmax_unknown_resends = 0\n"),
        (Some("processing"), "after_unknown = \"resend\"\nmax_unknown_resends = 3\n"),
        (None, query),
        (Some("multiple-matches"), query),
    ] {
        let epr = record(issue).await;
        let stage = Stage::sqlite([over_https(&epr, own)]);
        let bridge = Bridge::start(&stage).await;
        let client = &bridge.client;
        let person = client.person(0, "epr").await;
        let written = client.write(&person, "Rang a garden centre.").await;
        let d = client.parked(written.id(), Reason::MayAlreadyBeFiled).await;
        assert!(d.may_have_been_received && d.attempts == 1, "{}", shown(&d));
        assert!(d.author_sentence.starts_with("Probably in "), "{}", d.author_sentence);
        // What follows it knows that it may stand there.
        let replacement = client.replace(&written, &person, "Rang another one.").await;
        let d = client.delivery(replacement.id()).await;
        assert!(d.attempts == 0 && d.state() != State::Filed, "{}", shown(&d));
        let other = client.write(&client.person(1, "epr").await, "Met at the library.").await;
        client.parked(other.id(), Reason::MayAlreadyBeFiled).await;
        let withdrawn = client.withdraw(&other).await.expect("there may be something to withdraw");
        client.parked(&withdrawn.id, Reason::WithdrawalCannotNameDocument).await;
        assert_eq!(client.delivery(replacement.id()).await.attempts, 0, "a replacement waits for the answer");
        assert_eq!(posts(&epr), 2);
        bridge.stop().await;
    }
}
