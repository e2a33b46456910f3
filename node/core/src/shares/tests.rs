use super::*;
use crate::testing::TestNode;

const BOB: PersonId = PersonId([2; 32]);
const CAROL: PersonId = PersonId([3; 32]);

fn entries(person: PersonId) -> Allowance {
    Allowance { share: Share::Entries(person), limit: Limit { bytes: 1000, count: 3 } }
}

fn take(node: &Node, allowance: Allowance, bytes: u64, count: u64) {
    let now = node.clock.now();
    node.store.commit_blocking(move |tx| charge(tx, now, &allowance, bytes, count)).unwrap();
}

fn is_left(node: &Node, allowance: Allowance) -> bool {
    has_room(&node.store, node.clock.now(), &allowance).unwrap()
}

#[tokio::test]
async fn share_is_per_person_in_bytes_and_number() {
    let alice = TestNode::new("alice").await;
    take(&alice, entries(BOB), 999, 2);
    assert!(is_left(&alice, entries(BOB)));
    take(&alice, entries(BOB), 0, 1);
    assert!(!is_left(&alice, entries(BOB)) && is_left(&alice, entries(CAROL)));
    take(&alice, entries(CAROL), 1000, 1);
    assert!(!is_left(&alice, entries(CAROL)));
    let photos = Allowance { share: Share::Photos(BOB), ..entries(BOB) };
    assert!(is_left(&alice, photos));
    let nothing = Allowance { limit: Limit::mib(0), ..photos };
    assert!(!is_left(&alice, nothing), "a share of zero allows nothing");
}

#[tokio::test]
async fn used_share_survives_a_restart_until_tomorrow() {
    let alice = TestNode::new("alice").await;
    take(&alice, entries(BOB), 5000, 1);
    let again = alice.restarted();
    assert!(!is_left(&again, entries(BOB)));
    let now = || alice.clock.now();
    assert!(is_used_up(&again.store, now(), Share::Entries(BOB)).unwrap());
    alice.clock.advance(DAY_MS);
    assert!(is_left(&again, entries(BOB)));
    assert!(!is_used_up(&again.store, now(), Share::Entries(BOB)).unwrap());
}

#[tokio::test]
async fn used_up_share_has_room_under_a_higher_limit() {
    let alice = TestNode::new("alice").await;
    take(&alice, entries(BOB), 400, 1);
    use_up(&alice, entries(BOB)).await.unwrap();
    let again = alice.restarted();
    assert!(!is_left(&again, entries(BOB)));
    assert!(is_used_up(&again.store, again.clock.now(), Share::Entries(BOB)).unwrap());
    let more = Allowance { limit: Limit { bytes: 2000, count: 3 }, ..entries(BOB) };
    assert!(is_left(&again, more));
    take(&again, more, 1, 1);
    assert!(!is_used_up(&again.store, again.clock.now(), Share::Entries(BOB)).unwrap());
}

#[tokio::test]
async fn rows_of_earlier_days_are_deleted() {
    let alice = TestNode::new("alice").await;
    let network = |n: u8| Allowance { share: Share::MailOfNetwork([n; 16]), limit: Limit::mib(1) };
    (0..20).for_each(|n| take(&alice, network(n), 1, 1));
    let rows = || alice.store.keys(UsedRow::TABLE, &Scan::prefix(&[2], 100)).unwrap().len();
    assert_eq!(rows(), 20);
    alice.clock.advance(DAY_MS);
    (0..6).for_each(|n| take(&alice, network(n), 1, 1));
    assert_eq!(rows(), 6);
}

#[tokio::test]
async fn cost_counts_copies_of_rows_and_sealed_blobs() {
    const T: Table = Table::referring("t");
    let alice = TestNode::new("alice").await;
    let [small, long] = [1000, 300_000].map(|len| alice.blobs.put(&vec![7; len]).unwrap());
    let costs = alice.store.commit_blocking(move |tx| {
        let nothing = cost(tx, &[]);
        tx.put(T, b"key", &[1; 97])?;
        let row = cost(tx, &[]);
        tx.put_referring(T, b"key", &[1; 97], &[small.id, long.id])?;
        let blobs = cost(tx, &[small.len, long.len]);
        row::delete::<UsedRow>(tx, b"");
        tx.delete(T, b"key");
        Ok::<_, StoreError>([nothing, row, blobs])
    });
    let [nothing, row, blobs] = costs.unwrap();
    assert_eq!(nothing, 0);
    assert!((4 * 100..2000).contains(&row), "{row}");
    assert!((row + 302_000..row + 304_000).contains(&blobs), "{blobs}");
}

fn grow(node: &Node, part: &mut Reservation, bytes: u64) -> Result<Result<(), Share>, StoreError> {
    part.grow(&node.store, node.clock.now(), bytes)
}

#[tokio::test]
async fn arriving_content_holds_its_part_of_a_share() {
    let alice = TestNode::new("alice").await;
    let (bob, carol) = (entries(BOB), entries(CAROL));
    let mut first = Reservation::new(&alice.arriving, vec![bob]);
    assert_eq!(grow(&alice, &mut first, 5000), Ok(Ok(())), "the first of a day always fits");
    assert_eq!(grow(&alice, &mut first, 700), Ok(Ok(())));
    let mut second = Reservation::new(&alice.arriving, vec![carol, bob]);
    assert_eq!(grow(&alice, &mut second, 301), Ok(Err(bob.share)));
    assert_eq!(grow(&alice, &mut second, 300), Ok(Ok(())));
    take(&alice, carol, 701, 1);
    assert_eq!(grow(&alice, &mut second, 300), Ok(Err(carol.share)), "what was used counts too");
    assert_eq!((first.bytes(), second.bytes()), (700, 300));
    drop(first);
    let mut third = Reservation::new(&alice.arriving, vec![bob]);
    assert_eq!(grow(&alice, &mut third, 700), Ok(Ok(())));
    drop((second, third));
    assert!(alice.arriving.lock().is_empty());
    let mut without = Reservation::new(&alice.arriving, Vec::new());
    assert_eq!(grow(&alice, &mut without, u64::MAX), Ok(Ok(())));
}
