use super::*;

fn feed(confirm_timeout: Duration) -> Feed {
    Feed::new(FeedSettings { confirm_timeout, max_unconfirmed: 2 })
}

const SHORT: Duration = Duration::from_millis(50);
/// Long enough that no test waits for it.
const LONG: Duration = Duration::from_secs(60);

async fn sending(feed: &Feed, id: &'static str) -> tokio::task::JoinHandle<Sent> {
    let way = feed.open().await.expect("somebody pulls");
    tokio::spawn(async move { way.send(b"a message", id).await.sent })
}

#[tokio::test]
async fn what_is_handed_out_and_confirmed_has_a_receipt() {
    let feed = feed(LONG);
    let mut line = feed.attach();
    let sent = sending(&feed, "C1").await;
    let offered = line.next().await.expect("a message");
    assert_eq!((offered.id.as_str(), offered.bytes.as_slice()), ("C1", b"a message".as_slice()));
    assert!(!feed.confirm("C2") && feed.confirm("C1") && !feed.confirm("C1"));
    let Sent::Reply(receipt) = sent.await.expect("it ends") else { panic!("no receipt") };
    assert_eq!(Receipt::decode(&receipt), Some(Receipt { id: "C1".into(), outcome: Outcome::Confirmed }));
}

#[tokio::test]
async fn without_a_line_nothing_is_sent() {
    let feed = feed(LONG);
    assert!(matches!(feed.open().await, Err(NotSent::NobodyPulls)));
    drop(feed.attach());
    assert!(!feed.is_attached());
    assert!(matches!(feed.open().await, Err(NotSent::NobodyPulls)));
    let line = feed.attach();
    let way = feed.open().await.expect("a line");
    drop(line);
    assert!(matches!(way.send(b"x", "C1").await.sent, Sent::NotSent(NotSent::NobodyPulls)));
}

#[tokio::test]
async fn what_was_handed_out_when_the_line_ends_may_have_been_received_and_the_rest_was_not() {
    let feed = feed(LONG);
    let mut line = feed.attach();
    let (first, second) = (sending(&feed, "C1").await, sending(&feed, "C2").await);
    let handed = line.next().await.expect("a message");
    drop(line);
    let (first, second) = (first.await.expect("it ends"), second.await.expect("it ends"));
    let (handed, not) = if handed.id == "C1" { (first, second) } else { (second, first) };
    assert!(matches!(handed, Sent::Unsure(Unsure::ClosedBeforeReply)), "{handed:?}");
    assert!(matches!(not, Sent::NotSent(NotSent::NobodyPulls)), "{not:?}");
    assert!(!feed.confirm("C1"), "the line that handed it out is gone: its word counts as a late one");
}

#[tokio::test]
async fn a_second_line_ends_the_first() {
    let feed = feed(LONG);
    let mut first = feed.attach();
    let sent = sending(&feed, "C1").await;
    let _ = first.next().await.expect("a message");
    let mut second = feed.attach();
    assert!(first.next().await.is_none());
    assert!(matches!(sent.await.expect("it ends"), Sent::Unsure(_)));
    // The end of the first is no end of the second.
    drop(first);
    let again = sending(&feed, "C1").await;
    assert_eq!(second.next().await.map(|o| o.id).as_deref(), Some("C1"));
    assert!(feed.confirm("C1"));
    assert!(matches!(again.await.expect("it ends"), Sent::Reply(_)));
}

#[tokio::test]
async fn what_nobody_took_in_time_was_not_sent_and_is_never_handed_out_later() {
    let feed = feed(SHORT);
    let mut line = feed.attach();
    let sent = sending(&feed, "C1").await.await.expect("it ends");
    assert!(matches!(sent, Sent::NotSent(NotSent::NotPulled(_))), "{sent:?}");
    let later = sending(&feed, "C2").await;
    assert_eq!(line.next().await.map(|o| o.id).as_deref(), Some("C2"));
    let sent = later.await.expect("it ends");
    assert!(matches!(sent, Sent::Unsure(Unsure::ReplyTimeout(_))), "{sent:?}");
}

#[tokio::test]
async fn what_was_taken_late_has_its_whole_time_to_be_confirmed() {
    let patience = Duration::from_secs(2);
    let feed = feed(patience);
    let mut line = feed.attach();
    let sent = sending(&feed, "C1").await;
    tokio::time::sleep(patience * 3 / 5).await;
    let _ = line.next().await.expect("a message");
    tokio::time::sleep(patience * 3 / 5).await;
    assert!(feed.confirm("C1"));
    assert!(matches!(sent.await.expect("it ends"), Sent::Reply(_)));
}

#[tokio::test]
async fn whoever_no_longer_waits_takes_the_message_off_the_line() {
    let feed = feed(LONG);
    let mut line = feed.attach();
    let given_up = sending(&feed, "C1").await;
    tokio::task::yield_now().await;
    given_up.abort();
    let _ = given_up.await;
    let sent = sending(&feed, "C2").await;
    assert_eq!(line.next().await.map(|o| o.id).as_deref(), Some("C2"));
    sent.abort();
}

#[tokio::test]
async fn no_more_are_out_than_there_is_room_for() {
    let feed = feed(LONG);
    let _line = feed.attach();
    let (first, _second) = (feed.open().await.expect("room"), feed.open().await.expect("room"));
    assert!(tokio::time::timeout(Duration::from_millis(50), feed.open()).await.is_err());
    drop(first);
    assert!(feed.open().await.is_ok());
}
