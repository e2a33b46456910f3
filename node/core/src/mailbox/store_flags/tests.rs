use super::*;
use crate::mailbox::tests::filled;
use crate::mailbox::{changes_since, expunge, folder, message, view};

fn keywords(keywords: &[&str]) -> Flags {
    Flags { bits: 0, keywords: keywords.iter().map(|k| (*k).to_owned()).collect() }
}

#[tokio::test]
async fn stored_flags_change_modseq_and_counts() {
    let (alice, inbox) = filled(3).await;
    let seen = FlagChange::Add(Flags::of(Flags::SEEN | Flags::FLAGGED));
    let outcome = store_flags(&alice, inbox, &[1, 3, 9], seen.clone(), None).await.unwrap();
    assert_eq!(
        outcome.changed.iter().map(|(uid, modseq, _)| (*uid, *modseq)).collect::<Vec<_>>(),
        [(1, 5), (3, 5)]
    );
    assert_eq!(folder(&alice, inbox).unwrap().unwrap().unseen, 1);
    // Storing the same flags changes no modseq.
    let again = store_flags(&alice, inbox, &[1], seen, None).await.unwrap();
    assert_eq!(
        (again.changed[0].1, folder(&alice, inbox).unwrap().unwrap().highest_modseq),
        (5, 5)
    );
    store_flags(&alice, inbox, &[1], FlagChange::Remove(Flags::of(Flags::SEEN)), None)
        .await
        .unwrap();
    store_flags(&alice, inbox, &[3], FlagChange::Set(keywords(&["$Forwarded"])), None)
        .await
        .unwrap();
    assert_eq!(message(&alice, inbox, 1).unwrap().unwrap().flags, Flags::of(Flags::FLAGGED));
    assert_eq!(message(&alice, inbox, 3).unwrap().unwrap().flags, keywords(&["$Forwarded"]));
    assert_eq!(folder(&alice, inbox).unwrap().unwrap().unseen, 3);
}

#[tokio::test]
async fn first_unseen_uid_is_found_in_every_page() {
    let (alice, inbox) = filled(1_200).await;
    let mark = async |uids: Vec<u32>, change: fn(Flags) -> FlagChange| {
        store_flags(&alice, inbox, &uids, change(Flags::of(Flags::SEEN)), None).await.unwrap();
        view(&alice, inbox).unwrap().first_unseen
    };
    assert_eq!(view(&alice, inbox).unwrap().first_unseen, Some(1));
    assert_eq!(mark((1..=1_150).collect(), FlagChange::Add).await, Some(1_151));
    assert_eq!(mark(vec![3], FlagChange::Remove).await, Some(3));
    assert_eq!(mark((1..=1_200).collect(), FlagChange::Add).await, None);
    assert!(view(&alice, inbox).unwrap().uids.into_iter().eq(1..=1_200));
    store_flags(&alice, inbox, &[1, 2, 1_200], FlagChange::Add(Flags::of(Flags::DELETED)), None)
        .await
        .unwrap();
    expunge(&alice, inbox, None).await.unwrap();
    assert!(view(&alice, inbox).unwrap().uids.into_iter().eq(3..1_200));
}

#[tokio::test]
async fn keywords_ignore_case_and_have_limits() {
    let (alice, inbox) = filled(1).await;
    let all = Flags { bits: 0, keywords: vec!["Work".into(), "WORK".into(), "$Junk".into()] };
    store_flags(&alice, inbox, &[1], FlagChange::Set(all), None).await.unwrap();
    assert_eq!(message(&alice, inbox, 1).unwrap().unwrap().flags, keywords(&["Work", "$Junk"]));
    store_flags(&alice, inbox, &[1], FlagChange::Remove(keywords(&["work"])), None).await.unwrap();
    assert_eq!(message(&alice, inbox, 1).unwrap().unwrap().flags, keywords(&["$Junk"]));
    assert_eq!(folder(&alice, inbox).unwrap().unwrap().keywords, ["Work", "$Junk"]);
    for bad in ["", "a b", "\\Seen", "a(", "ä", "x\r\n", &"k".repeat(51)] {
        let refused =
            store_flags(&alice, inbox, &[1], FlagChange::Add(keywords(&[bad])), None).await;
        assert_eq!(refused, Err(FlagError::BadKeyword), "{bad:?}");
    }
    let many: Vec<String> = (0..51).map(|n| format!("k{n}")).collect();
    let many = Flags { bits: 0, keywords: many };
    assert_eq!(
        store_flags(&alice, inbox, &[1], FlagChange::Add(many), None).await,
        Err(FlagError::TooManyKeywords)
    );
}

#[tokio::test]
async fn unused_keyword_is_replaced_by_a_new_one() {
    let (alice, inbox) = filled(2).await;
    let set = async |uid, keyword: &str| {
        store_flags(&alice, inbox, &[uid], FlagChange::Set(keywords(&[keyword])), None).await
    };
    set(2, "stays").await.unwrap();
    for number in 0..120 {
        set(1, &format!("k{number}")).await.unwrap();
    }
    let known = folder(&alice, inbox).unwrap().unwrap().keywords;
    assert_eq!(
        (known.len(), known.contains(&"stays".to_owned()), known.contains(&"k119".to_owned())),
        (50, true, true)
    );
    // Keywords in use are never replaced, even if there are fifty.
    let many: Vec<String> = (0..49).map(|n| format!("m{n}")).collect();
    store_flags(
        &alice,
        inbox,
        &[1],
        FlagChange::Set(Flags { bits: 0, keywords: many.clone() }),
        None,
    )
    .await
    .unwrap();
    assert_eq!(set(2, "stays").await.unwrap().modified, Vec::<u32>::new());
    let refused =
        store_flags(&alice, inbox, &[2], FlagChange::Add(keywords(&["one-more"])), None).await;
    assert_eq!(refused, Err(FlagError::TooManyKeywords));
    store_flags(&alice, inbox, &[1], FlagChange::Add(Flags::of(Flags::DELETED)), None)
        .await
        .unwrap();
    expunge(&alice, inbox, None).await.unwrap();
    store_flags(&alice, inbox, &[2], FlagChange::Add(keywords(&["one-more"])), None).await.unwrap();
    assert!(folder(&alice, inbox).unwrap().unwrap().keywords.contains(&"stays".to_owned()));
}

#[tokio::test]
async fn unchangedsince_refuses_each_message_changed_later() {
    let (alice, inbox) = filled(2).await;
    let known = folder(&alice, inbox).unwrap().unwrap().highest_modseq;
    store_flags(&alice, inbox, &[2], FlagChange::Add(Flags::of(Flags::SEEN)), None).await.unwrap();
    let outcome = store_flags(
        &alice,
        inbox,
        &[1, 2],
        FlagChange::Add(Flags::of(Flags::FLAGGED)),
        Some(known),
    )
    .await
    .unwrap();
    assert_eq!((outcome.changed.len(), outcome.modified), (1, vec![2]));
}

#[tokio::test]
async fn expunged_uids_are_reported_as_vanished() {
    let (alice, inbox) = filled(250).await;
    let uids: Vec<u32> = (1..=250).collect();
    let since = folder(&alice, inbox).unwrap().unwrap().highest_modseq;
    store_flags(&alice, inbox, &uids, FlagChange::Add(Flags::of(Flags::DELETED)), None)
        .await
        .unwrap();
    store_flags(&alice, inbox, &[7], FlagChange::Remove(Flags::of(Flags::DELETED)), None)
        .await
        .unwrap();
    assert_eq!(expunge(&alice, inbox, Some(&[7, 8, 900])).await.unwrap(), [8]);
    assert_eq!(expunge(&alice, inbox, None).await.unwrap().len(), 248);
    let changes = changes_since(&alice, inbox, since).unwrap();
    assert_eq!((changes.changed.len(), changes.vanished.len()), (1, 249));
    let left = folder(&alice, inbox).unwrap().unwrap();
    assert_eq!((left.total, left.unseen, left.deleted, left.uid_next), (1, 1, 0, 251));
    assert_eq!(expunge(&alice, inbox, None).await.unwrap(), [0; 0]);
    assert_eq!(expunge(&alice, FolderId(99), None).await, Err(FlagError::NoSuchFolder));
}
