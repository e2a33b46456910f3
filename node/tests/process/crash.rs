//! Kill -9, and the start after it.

use crate::folder::Folder;
use crate::wire::Browser;

#[test]
fn what_was_posted_before_a_kill_is_on_the_front_page_after_it() {
    let folder = Folder::of_ruth();
    let running = folder.serve();
    let file = folder.write("post.md", "# Quince jelly\n\nIt set at the third try.\n");
    folder.ask(&["post", file.to_str().unwrap()]);
    running.kill();
    assert!(folder.data().join("control.sock").exists(), "a dead node's socket is left behind");
    let again = folder.serve();
    let front = Browser::at(&again.word("http://ruth.localhost:")).get("/");
    assert!(front.text().contains("Quince jelly"), "{}", front.text());
    assert!(folder.ask(&["check"]).contains("Everything is whole."));
    again.stop();
}

#[test]
fn a_kill_before_the_set_up_leaves_a_house_that_can_be_set_up() {
    let folder = Folder::new();
    let first = folder.serve();
    let old = first.word("/setup?token=");
    first.kill();
    let second = folder.serve();
    let new = second.word("/setup?token=");
    let page =
        |link: &str| Browser::at(&new).get(link.split_at(link.find("/setup").unwrap()).1).status;
    assert_eq!((page(&old), page(&new)), (403, 200));
    second.stop();
}
