//! Two windows with one post, and a form sent twice: no text is lost, and no post is published
//! twice.

use super::*;

fn draft_replacing(post: &Post, text: &str) -> Draft {
    Draft {
        id: Some(post.id),
        precondition: Precondition::Revision(post.revision),
        ..draft(&post.title, text)
    }
}

#[tokio::test]
async fn second_of_two_windows_is_refused_as_changed() {
    let alice = TestNode::new("alice").await;
    let opened = save_draft(&alice, draft("The hill", "We walked.")).await.unwrap();
    let saved = save_draft(&alice, draft_replacing(&opened, "We ran.")).await.unwrap();
    assert_eq!(
        save_draft(&alice, draft_replacing(&opened, "We flew.")).await,
        Err(PostError::ChangedMeanwhile)
    );
    assert_eq!(
        save_draft(&alice, draft_replacing(&opened, "We ran.")).await,
        Ok(saved.clone()),
        "the same text sent twice"
    );
    let post = publish::saved_post(&alice, saved.id).await.unwrap();
    assert_eq!(
        save_draft(&alice, draft_replacing(&saved, "We sat.")).await,
        Err(PostError::ChangedMeanwhile)
    );

    let edited = publish::edit(&alice, post.id, draft_replacing(&post, "We swam.")).await.unwrap();
    assert_eq!(
        publish::edit(&alice, post.id, draft_replacing(&post, "We drove.")).await,
        Err(PostError::ChangedMeanwhile)
    );
    let head = outbox::durable_head(&alice).unwrap();
    assert_eq!(
        publish::edit(&alice, post.id, draft_replacing(&post, "We swam.")).await,
        Ok(edited.clone())
    );
    assert_eq!(outbox::durable_head(&alice).unwrap(), head, "no second entry for friends");
    assert_eq!(post_at(&alice, "the-hill"), Some(edited.clone()));
    publish::edit(&alice, post.id, draft_replacing(&edited, "We drove.")).await.unwrap();
}

#[tokio::test]
async fn draft_saved_twice_under_one_id_is_one_post() {
    let alice = TestNode::new("alice").await;
    let long = "words ".repeat(3000);
    for (number, text) in [(1, "We walked."), (2, long.as_str())] {
        let begun = Draft {
            id: Some(PostId([number; 16])),
            precondition: Precondition::Absent,
            ..draft("The hill", text)
        };
        let saved = save_draft(&alice, begun.clone()).await.unwrap();
        assert_eq!(save_draft(&alice, begun.clone()).await, Ok(saved.clone()));
        let post = publish::saved_post(&alice, saved.id).await.unwrap();
        assert_eq!(save_draft(&alice, begun.clone()).await, Ok(post), "a published one, too");
        let other = Draft { text: "Something else.".to_owned(), ..begun };
        assert_eq!(
            save_draft(&alice, other).await,
            Err(PostError::ChangedMeanwhile),
            "another text is not dropped silently"
        );
    }
    assert_eq!(published(&alice, &Visitor::Owner, None, 10).unwrap().len(), 2);
}
