use super::*;
use crate::mailbox::{create_folder, delete_folder, folders, initialise, rename_folder};
use crate::testing::TestNode;

fn names(node: &Node) -> Vec<String> {
    subscriptions(node).unwrap().into_iter().collect()
}

#[tokio::test]
async fn subscription_outlives_its_folder() {
    let alice = TestNode::new("alice").await;
    let special = ["Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash"];
    assert_eq!(names(&alice), special);
    let folder = create_folder(&alice, "x").await.unwrap();
    assert_eq!(names(&alice), special);
    subscribe(&alice, "x/").await.unwrap();
    rename_folder(&alice, folder.id, "y").await.unwrap();
    delete_folder(&alice, folder.id).await.unwrap();
    assert_eq!(names(&alice).last().unwrap(), "x");
    unsubscribe(&alice, "x").await.unwrap();
    unsubscribe(&alice, "inbox").await.unwrap();
    unsubscribe(&alice, &"x".repeat(10_000)).await.unwrap();
    assert_eq!(names(&alice), ["Archive", "Drafts", "Junk", "Sent", "Trash"]);
    assert_eq!(subscribe(&alice, "../x").await, Err(FolderError::BadName));
}

#[tokio::test]
async fn subscriptions_are_bounded() {
    let alice = TestNode::new("alice").await;
    let all: Vec<usize> = (0..SUBSCRIPTIONS_MAX - 6).collect();
    for batch in all.chunks(NAMES_PER_COMMIT) {
        let batch = batch.to_vec();
        let filled = alice.store.commit(move |tx| {
            batch.iter().try_for_each(|number| insert(tx, &format!("n{number}")))
        });
        filled.await.unwrap();
    }
    assert_eq!(subscribe(&alice, "one").await, Err(FolderError::TooManySubscriptions));
    subscribe(&alice, "n1").await.unwrap();
    unsubscribe(&alice, "n1").await.unwrap();
    subscribe(&alice, "one").await.unwrap();
}

#[tokio::test]
async fn subscription_in_a_folder_row_is_carried_over() {
    let alice = TestNode::new("alice").await;
    create_folder(&alice, "x").await.unwrap();
    // The rows of an earlier version: a field of the folder, and no row of its own.
    let earlier = alice.store.commit(|tx| {
        for mut folder in load_all(tx)? {
            row::delete::<SubscriptionRow>(tx, folder.name.as_bytes());
            folder.was_subscribed = folder.name != "Junk";
            row::put(tx, &folder.id.0.to_be_bytes(), &folder)?;
        }
        let mut numbers = row::get::<NumbersRow>(tx, NUMBERS)?.unwrap();
        numbers.has_subscription_rows = false;
        row::put(tx, NUMBERS, &numbers)
    });
    earlier.await.unwrap();
    initialise(&alice).await.unwrap();
    assert_eq!(names(&alice), ["Archive", "Drafts", "INBOX", "Sent", "Trash", "x"]);
    unsubscribe(&alice, "x").await.unwrap();
    initialise(&alice).await.unwrap();
    assert!(!names(&alice).contains(&"x".to_owned()));
    assert_eq!(folders(&alice).unwrap().len(), 7);
}
