//! SIGKILL, and the start after it.

use crate::clients::Browser;
use crate::folder::Folder;

#[test]
fn acknowledged_post_survives_a_kill() {
    let folder = Folder::set_up();
    let running = folder.serve();
    let file = folder.write("post.md", "# Quince jelly\n\nIt set at the third try.\n");
    folder.run_ok(&["post", file.to_str().unwrap()]);
    running.kill();
    assert!(folder.data().join("control.sock").exists(), "a killed node leaves its socket");
    let restarted = folder.serve();
    let front = Browser::at(&restarted.printed_word("http://ruth.localhost:")).get("/");
    assert!(front.text().contains("Quince jelly"), "{}", front.text());
    folder.run_ok(&["check"]);
    restarted.stop();
}

#[test]
fn kill_before_setup_leaves_a_node_to_set_up() {
    let folder = Folder::new();
    let first = folder.serve();
    let old = first.printed_word("/setup?token=");
    first.kill();
    let second = folder.serve();
    let new = second.printed_word("/setup?token=");
    let page =
        |link: &str| Browser::at(&new).get(link.split_at(link.find("/setup").unwrap()).1).status;
    assert_eq!((page(&old), page(&new)), (403, 200));
    second.stop();
}
