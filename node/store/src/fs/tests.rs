use std::path::Path;

use super::*;

fn a_file_system_keeps_what_it_is_given(fs: &dyn Fs, root: &Path) {
    let folder = root.join("a");
    fs.create_folder(&folder).unwrap();
    fs.create_folder(&folder).unwrap();
    let path = folder.join("x");
    let file = fs.create(&path).unwrap();
    file.write_all_at(b"hello", 3).unwrap();
    assert_eq!(file.len().unwrap(), 8);
    assert_eq!(read(fs, &path, 100).unwrap(), b"\0\0\0hello");
    assert_eq!(fs.create(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(fs.open(&folder.join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
    file.set_len(4).unwrap();
    file.allocate(16).unwrap();
    file.sync_data().unwrap();
    replace(fs, &folder.join("y"), b"one").unwrap();
    replace(fs, &folder.join("y"), b"two").unwrap();
    assert_eq!(read(fs, &folder.join("y"), 3).unwrap(), b"two");
    assert!(read(fs, &folder.join("y"), 2).is_err());
    let names: Vec<_> = fs.list(&folder).unwrap().into_iter().map(|e| e.name).collect();
    assert_eq!(names, ["x", "y"]);
    fs.rename(&path, &folder.join("y")).unwrap();
    assert!(!fs.exists(&path).unwrap());
    fs.remove(&folder.join("y")).unwrap();
    assert_eq!(fs.remove(&folder.join("y")).unwrap_err().kind(), io::ErrorKind::NotFound);
    fs.sync_folder(&folder).unwrap();
    assert!(fs.space(root).unwrap().free > 0);
    let held = fs.lock(&folder).unwrap();
    assert_eq!(fs.lock(&folder).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    drop(held);
    drop(fs.lock(&folder).unwrap());
    fs.remove_folder(&folder).unwrap();
    assert!(!fs.exists(&folder).unwrap());
}

#[test]
fn the_machines_and_the_tests_file_system_behave_alike() {
    let folder = tempfile::tempdir().unwrap();
    a_file_system_keeps_what_it_is_given(&OsFs, folder.path());
    a_file_system_keeps_what_it_is_given(&MemoryFs::new(), Path::new("/"));
}

#[test]
fn a_power_cut_leaves_what_was_synced_and_perhaps_more() {
    for (how, seed) in [PowerCut::Nothing, PowerCut::Prefix, PowerCut::Subset]
        .into_iter()
        .flat_map(|h| (0..64).map(move |s| (h, s)))
    {
        let fs = MemoryFs::new();
        let file = fs.create(Path::new("/kept")).unwrap();
        file.write_all_at(&[1; 10_000], 0).unwrap();
        file.sync_data().unwrap();
        fs.sync_folder(Path::new("/")).unwrap();
        file.write_all_at(&[2; 10_000], 10_000).unwrap();
        let _unnamed = fs.create(Path::new("/new")).unwrap();
        let after = fs.power_cut(how, seed);
        assert!(file.write_at(b"x", 0).is_err(), "the old one is dead");
        let left = read(&after, Path::new("/kept"), 20_000).unwrap();
        assert!(left.starts_with(&[1; 10_000]));
        if how == PowerCut::Nothing {
            assert_eq!(left.len(), 10_000);
            assert!(!after.exists(Path::new("/new")).unwrap());
        }
    }
}

#[test]
fn a_failed_sync_leaves_bytes_that_are_seen_and_never_durable() {
    let fs = MemoryFs::new();
    let file = fs.create(Path::new("/x")).unwrap();
    fs.sync_folder(Path::new("/")).unwrap();
    file.write_all_at(b"lost", 0).unwrap();
    fs.fail_at(1, Fault::Io);
    assert!(file.sync_data().is_err());
    file.sync_data().unwrap();
    assert_eq!(read(&fs, Path::new("/x"), 9).unwrap(), b"lost");
    assert_eq!(read(&fs.power_cut(PowerCut::Nothing, 0), Path::new("/x"), 9).unwrap(), b"");
}

#[test]
fn a_write_back_that_failed_is_told_by_the_next_sync_of_everything_and_once() {
    let fs = MemoryFs::new();
    let (early, path) = (fs.volume(Path::new("/")).unwrap(), Path::new("/x"));
    fs.create(path).unwrap().write_all_at(b"lost", 0).unwrap();
    fs.lose_writes();
    let late = fs.volume(Path::new("/")).unwrap();
    assert!(early.sync().is_err());
    early.sync().unwrap();
    late.sync().unwrap();
    assert_eq!(read(&fs.power_cut(PowerCut::Nothing, 0), path, 9).unwrap(), b"");
}
