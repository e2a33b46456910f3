use std::path::Path;

use super::*;

fn check_file_system(fs: &dyn Fs, root: &Path) {
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
    let lock = fs.lock(&folder).unwrap();
    assert_eq!(fs.lock(&folder).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    drop(lock);
    drop(fs.lock(&folder).unwrap());
    fs.remove_folder(&folder).unwrap();
    assert!(!fs.exists(&folder).unwrap());
}

#[test]
fn memory_fs_behaves_like_os_fs() {
    let folder = tempfile::tempdir().unwrap();
    check_file_system(&OsFs, folder.path());
    check_file_system(&MemoryFs::new(), Path::new("/"));
}

#[test]
fn synced_writes_survive_a_power_cut() {
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
        assert!(file.write_at(b"x", 0).is_err(), "the old file system fails every call");
        let remaining = read(&after, Path::new("/kept"), 20_000).unwrap();
        assert!(remaining.starts_with(&[1; 10_000]));
        if how == PowerCut::Nothing {
            assert_eq!(remaining.len(), 10_000);
            assert!(!after.exists(Path::new("/new")).unwrap());
        }
    }
}

#[test]
fn replaced_file_is_old_or_new_after_power_cut() {
    let (fs, path) = (MemoryFs::new(), Path::new("/file"));
    replace(&fs, path, b"old").unwrap();
    fs.record();
    let before = usize::try_from(fs.calls()).unwrap();
    replace(&fs, path, b"newer").unwrap();
    let calls = usize::try_from(fs.calls()).unwrap() - before;
    for (call, seed) in (0..calls).flat_map(|call| (0..16).map(move |seed| (call, seed))) {
        for how in [PowerCut::Nothing, PowerCut::Prefix, PowerCut::Subset] {
            let left = fs.power_cut_before(call, how, seed).unwrap();
            let found = read(&left, path, 9).unwrap();
            assert!(found == b"old" || found == b"newer", "before {call}: {found:?}");
        }
    }
    assert_eq!(read(&fs.power_cut(PowerCut::Nothing, 0), path, 9).unwrap(), b"newer");
}

#[test]
fn failed_sync_leaves_visible_bytes_that_are_never_durable() {
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
fn failed_write_back_is_reported_once_by_volume_sync() {
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

/// A directory block whose write failed is clean afterwards: the next sync does not write it.
#[test]
fn name_of_a_failed_folder_sync_is_never_durable() {
    let fs = MemoryFs::new();
    let root = Path::new("/");
    fs.create(Path::new("/early")).unwrap();
    fs.fail_at(1, Fault::Io);
    fs.sync_folder(root).unwrap_err();
    fs.create(Path::new("/late")).unwrap();
    fs.sync_folder(root).unwrap();
    assert!(fs.exists(Path::new("/early")).unwrap());
    let after = fs.power_cut(PowerCut::Nothing, 0);
    assert!(!after.exists(Path::new("/early")).unwrap());
    assert!(after.exists(Path::new("/late")).unwrap());
}

#[test]
fn folder_is_durable_after_failed_sync_and_restart() {
    let (folder, file) = (Path::new("/folder"), Path::new("/folder/file"));
    // The creation or its sync fails, alone or with all calls after it.
    for (first, last) in [(1, 1), (2, 2), (1, 9), (2, 9)] {
        let fs = MemoryFs::new();
        (first..=last).for_each(|call| fs.fail_at(call, Fault::Io));
        create_folder_durably(&fs, folder).unwrap_err();
        create_folder_durably(&fs, folder).err();
        fs.heal();
        // The next process, on the same boot.
        let fs = fs.crash();
        create_folder_durably(&fs, folder).unwrap();
        replace(&fs, file, b"a row").unwrap();
        let fs = fs.power_cut(PowerCut::Nothing, 0);
        assert_eq!(read(&fs, file, 9).unwrap(), b"a row", "calls {first} to {last} failed");
        // A folder with files in it is neither moved nor removed.
        fs.fail_at(1, Fault::Io);
        create_folder_durably(&fs, folder).unwrap_err();
        fs.heal();
        assert_eq!(read(&fs, file, 9).unwrap(), b"a row");
    }
}

#[test]
fn folder_is_durable_after_a_stop_before_its_sync() {
    let (fs, folder) = (MemoryFs::new(), Path::new("/folder"));
    fs.create_folder(folder).unwrap();
    let fs = fs.crash();
    create_folder_durably(&fs, folder).unwrap();
    assert!(fs.power_cut(PowerCut::Nothing, 0).exists(folder).unwrap());
}

#[test]
fn empty_folder_survives_a_failed_change_of_its_name() {
    for call in 1..=3 {
        let (fs, folder) = (MemoryFs::new(), Path::new("/folder"));
        create_folder_durably(&fs, folder).unwrap();
        fs.fail_at(call, Fault::Io);
        create_folder_durably(&fs, folder).unwrap_err();
        fs.heal();
        create_folder_durably(&fs, folder).unwrap();
        assert!(fs.power_cut(PowerCut::Nothing, 0).exists(folder).unwrap(), "call {call}");
    }
}

#[test]
fn existing_folder_among_names_of_others_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for _ in 0..2 {
        create_folder_durably(&OsFs, &data).unwrap();
        assert_eq!(OsFs.list(folder.path()).unwrap().len(), 1);
    }
    // A file system is mounted there.
    create_folder_durably(&OsFs, Path::new("/proc")).unwrap();
    create_folder_durably(&OsFs, Path::new("/")).unwrap();
    let absent = Path::new("/proc/freehold-absent");
    create_folder_durably(&OsFs, absent).unwrap_err();
}
