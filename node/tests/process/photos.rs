//! Photo files in the data folder of a node, while it is running and afterwards.

use crate::check::{PICTURE, walk};
use crate::clients::Browser;
use crate::folder::{Folder, PASSWORD};

/// Counts the unsealed JPEG files among blobs and packs.
fn unsealed_pictures(folder: &Folder) -> usize {
    // A file may be removed before it is read.
    let is_picture = |path: &std::path::PathBuf| {
        std::fs::read(path).is_ok_and(|bytes| {
            bytes.windows(4).any(|part| part.starts_with(&[0xff, 0xd8, 0xff]) && part[3] >= 0xe0)
        })
    };
    let folders = ["blobs", "packs"].map(|name| walk(&folder.data().join(name)));
    folders.iter().flatten().filter(|path| is_picture(path)).count()
}

#[test]
fn photo_is_sealed_on_the_disk_for_any_audience() {
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
    for audience in ["public", "owner", "public"] {
        owner.post(&photo, &[("alt", "A boat"), ("audience", audience)]);
        assert_eq!(unsealed_pictures(&folder), 0, "{audience}");
    }
    running.stop();
    assert_eq!(unsealed_pictures(&folder), 0, "a photo that was in the log is sealed too");
    folder.run_ok(&["check"]);
}
