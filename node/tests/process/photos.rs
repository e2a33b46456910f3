//! Photo files in the data folder of a node, while it is running and afterwards.

use std::time::Instant;

use crate::check::{PICTURE, walk};
use crate::clients::Browser;
use crate::folder::{Folder, PASSWORD};
use crate::node_process::TIMEOUT;

/// Counts the unsealed JPEG files among the blobs.
fn unsealed_pictures(folder: &Folder) -> usize {
    // A file may be removed before it is read.
    let is_picture = |path: &std::path::PathBuf| {
        std::fs::read(path).is_ok_and(|bytes| bytes.starts_with(&[0xff, 0xd8, 0xff]))
    };
    walk(&folder.data().join("blobs")).iter().filter(|path| is_picture(path)).count()
}

#[test]
fn private_photo_is_sealed_and_public_photo_unsealed() {
    let folder = Folder::set_up();
    let running = folder.serve();
    folder.run_ok(&["photo", PICTURE, "--alt", "A boat on the mud at low water"]);
    let mut owner = Browser::at(&running.printed_word("http://ruth.localhost:"));
    assert_eq!(owner.post("/login", &[("password", PASSWORD)]).status, 303);
    let page = owner.get("/home/photos").text();
    let photo = page
        .split('"')
        .find(|part| part.starts_with("/home/photos/") && part.len() > 40)
        .unwrap()
        .to_owned();
    let wait_until = |is_reached: &dyn Fn(usize) -> bool, state: &str| {
        let begun = Instant::now();
        while !is_reached(unsealed_pictures(&folder)) {
            assert!(begun.elapsed() < TIMEOUT, "{state}: {}", unsealed_pictures(&folder));
            std::thread::yield_now();
        }
    };
    wait_until(&|unsealed| unsealed > 0, "public");
    owner.post(&photo, &[("alt", "A boat"), ("audience", "owner")]);
    wait_until(&|unsealed| unsealed == 0, "private");
    owner.post(&photo, &[("alt", "A boat"), ("audience", "public")]);
    wait_until(&|unsealed| unsealed > 0, "public again");
    owner.post(&photo, &[("alt", "A boat"), ("audience", "owner")]);
    wait_until(&|unsealed| unsealed == 0, "private again");
    running.stop();
    // The stop may come between the sizes of the photo: the next start seals those that are left,
    // also the ones that were only in the log.
    let running = folder.serve();
    wait_until(&|unsealed| unsealed == 0, "private after a start");
    running.stop();
    assert_eq!(unsealed_pictures(&folder), 0, "a photo that was in the log is sealed too");
    folder.run_ok(&["check"]);
}
