//! The power is cut before every call of a run, in every mode; and the same tests must fail if a part of the work is left out.
//! `FREEHOLD_POWER_STEPS` makes the run longer than the suite has time for (`.ci/long` does).

use super::*;
use crate::engine::Harm;
use crate::fs::PowerCut;

/// How many steps the usual run has; the first snapshot is after the fourteenth.
const STEPS: u32 = 25;
const CUTS: [PowerCut; 3] = [PowerCut::Nothing, PowerCut::Prefix, PowerCut::Subset];

/// What there is to see after each acknowledged step, and how many calls had been made then.
struct Run {
    /// The first is the empty store.
    steps: Vec<(usize, Seen)>,
    calls: usize,
}

/// Step `n` of a run that writes, overwrites, deletes, attaches and fails.
fn step(store: &Store, blobs: &Option<Blobs>, n: u32) -> Result<(), StoreError> {
    let blobs = blobs.as_ref().filter(|_| n.is_multiple_of(3));
    let small = blobs.map(|blobs| blobs.put(&n.to_be_bytes().repeat(100), Form::Private)).transpose()?;
    store.commit_blocking(move |tx| {
        let last = tx.get(T, b"last")?.map_or(0, |row| u32::from_be_bytes(row.value.try_into().unwrap()));
        assert_eq!(last + 1, n);
        tx.put(T, b"last", &n.to_be_bytes())?;
        for row in 0..n % 4 {
            tx.put(U, &[u8::try_from(row + n % 7).unwrap()], &vec![u8::try_from(n).unwrap(); usize::try_from(n * 53 % 900).unwrap()])?;
        }
        if n.is_multiple_of(5) {
            tx.delete(U, &[u8::try_from(n % 7).unwrap()]);
        }
        if let Some(small) = &small {
            tx.put_referring(T, &[b"blob", &n.to_be_bytes()[..]].concat(), b"", &[small.id])?;
        }
        Ok(())
    })
}

/// Runs on `options`; the faults are in its file system. `calls` tells how far that is.
fn run(options: StoreOptions, calls: &dyn Fn() -> usize) -> Run {
    run_for(STEPS, options, calls)
}

fn run_for(length: u32, options: StoreOptions, calls: &dyn Fn() -> usize) -> Run {
    let blobs = options.blobs.clone();
    let store = Store::open(options).unwrap();
    let mut steps = vec![(0, seen(&store))];
    for n in 1..=length {
        step(&store, &blobs, n).unwrap();
        steps.push((calls(), seen(&store)));
        match n {
            9 => store.checkpoint().unwrap(),
            14.. if n % 5 == 4 => store.snapshot().unwrap(),
            _ => {}
        }
    }
    drop(store);
    Run { steps, calls: calls() }
}

/// Checks that a store opened after a cut before call `call` holds all that was acknowledged, and the next step whole or not at all.
fn check(run: &Run, call: usize, options: StoreOptions) -> Result<(), String> {
    let blobs = options.blobs.clone();
    let store = Store::open(options).map_err(|e| format!("does not open: {e}"))?;
    let now = seen(&store);
    let acknowledged = run.steps.iter().rposition(|(calls, _)| *calls <= call).unwrap();
    let allowed = &run.steps[acknowledged..run.steps.len().min(acknowledged + 2)];
    if !allowed.iter().any(|(_, seen)| *seen == now) {
        return Err(format!("of {acknowledged} acknowledged steps something is lost or half there"));
    }
    for row in now.values() {
        for id in &row.blobs {
            let bytes =
                blobs.as_ref().unwrap().open(id).and_then(|blob| blob.read_all(4096)).map_err(|e| format!("a blob is lost: {e}"))?;
            if blake3::hash(&bytes).as_bytes() != &id.0 {
                return Err("a blob is damaged".into());
            }
        }
    }
    // And it goes on from there.
    let last = now.get(&("t".into(), b"last".to_vec())).map_or(0, |row| u32::from_be_bytes(row.value.clone().try_into().unwrap()));
    step(&store, &blobs, last + 1).map_err(|e| e.to_string())
}

/// Cuts the power before every call and gives the first thing that goes wrong.
fn cut_everywhere(run: &Run, fs: &MemoryFs, options: &dyn Fn(&MemoryFs) -> StoreOptions) -> Result<usize, String> {
    let mut states = 0;
    for call in 0..run.calls {
        for how in CUTS {
            let left = fs.power_cut_before(call, how, call as u64).unwrap();
            check(run, call, options(&left)).map_err(|e| format!("cut before call {call}, {how:?}: {e}"))?;
            states += 1;
        }
    }
    Ok(states)
}

#[test]
fn nothing_acknowledged_is_lost_by_a_power_cut_at_any_moment() {
    let fs = MemoryFs::new();
    fs.record();
    let length = std::env::var("FREEHOLD_POWER_STEPS").map_or(STEPS, |steps| steps.parse().unwrap());
    let done = run_for(length, options(&fs), &|| usize::try_from(fs.calls()).unwrap());
    let states = cut_everywhere(&done, &fs, &|left| StoreOptions { boot: [2; 32], ..options(left) }).unwrap();
    assert!(states > 500, "{states}");
    println!("power cuts in memory: {} moments, {states} states, 0 lost, 0 partial, 0 that did not open", done.calls);
}

#[test]
fn nothing_is_lost_by_a_second_cut_while_the_first_is_being_recovered_from() {
    let fs = MemoryFs::new();
    fs.record();
    let done = run(options(&fs), &|| usize::try_from(fs.calls()).unwrap());
    for call in (3..done.calls).step_by(43) {
        let left = fs.power_cut_before(call, PowerCut::Prefix, call as u64).unwrap();
        left.record();
        drop(Store::open(options(&left)).unwrap());
        for second in (0..usize::try_from(left.calls()).unwrap()).step_by(3) {
            let how = CUTS[second % 3];
            let left = left.power_cut_before(second, how, second as u64).unwrap();
            check(&done, call, options(&left)).unwrap_or_else(|e| panic!("cut before {call}, then before {second}, {how:?}: {e}"));
        }
    }
}

/// An engine with a life of its own: what it kept through the cut must not matter.
#[test]
fn an_engine_that_loses_reverts_or_refuses_is_rebuilt() {
    for harm in [Harm::LoseUnflushed, Harm::Tear(0x5a5a_1234_9876_cafe), Harm::Revert(1), Harm::Refuse] {
        let (fs, engines) = (MemoryFs::new(), Engines::default());
        let with = |fs: &MemoryFs, boot| StoreOptions { engine: engines.source(), boot: [boot; 32], ..options(fs) };
        let options = with(&fs, 1);
        let blobs = options.blobs.clone();
        let store = Store::open(options).unwrap();
        for n in 1..=20 {
            step(&store, &blobs, n).unwrap();
            if n == 11 {
                store.snapshot().unwrap();
            }
        }
        let before = seen(&store);
        engines.current().power_cut(harm);
        let left = fs.power_cut(PowerCut::Nothing, 1);
        drop(store);
        let store = Store::open(with(&left, 2)).unwrap();
        assert_eq!(seen(&store), before, "{harm:?}");
    }
}

#[test]
fn a_crash_on_the_same_boot_applies_the_log_again() {
    let (fs, engines) = (MemoryFs::new(), Engines::default());
    let with = |fs: &MemoryFs| StoreOptions { engine: engines.source(), ..options(fs) };
    let options = with(&fs);
    let blobs = options.blobs.clone();
    let store = Store::open(options).unwrap();
    (1..=20).for_each(|n| step(&store, &blobs, n).unwrap());
    let before = seen(&store);
    // The process is gone: what it wrote is seen, what its engine had not flushed is torn.
    let left = fs.crash();
    engines.current().power_cut(Harm::Tear(0x1234_5678_9abc_def1));
    drop(store);
    let store = Store::open(with(&left)).unwrap();
    assert_eq!(seen(&store), before);
}

mod breaks {
    //! Breaks seeded on purpose. If these tests could not tell, they would prove nothing.

    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::fs::{Entry, File, Lock, Space, Volume};

    /// A file system that leaves out a part of the work.
    #[derive(Clone, Debug)]
    struct Careless {
        fs: MemoryFs,
        skip_sync: Option<&'static str>,
        skip_folder: Option<&'static str>,
        /// Files of this name are synced only when written to again, after the answer was given.
        sync_late: Option<&'static str>,
    }

    #[derive(Debug)]
    struct CarelessFile {
        file: Box<dyn File>,
        skip: bool,
        late: bool,
        owed: AtomicBool,
    }

    impl File for CarelessFile {
        fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
            self.file.read_at(buf, offset)
        }
        fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
            if self.owed.swap(false, Ordering::Relaxed) {
                self.file.sync_data()?;
            }
            self.file.write_at(bytes, offset)
        }
        fn len(&self) -> io::Result<u64> {
            self.file.len()
        }
        fn set_len(&self, len: u64) -> io::Result<()> {
            self.file.set_len(len)
        }
        fn allocate(&self, len: u64) -> io::Result<()> {
            self.file.allocate(len)
        }
        fn sync_data(&self) -> io::Result<()> {
            self.owed.store(self.late, Ordering::Relaxed);
            if self.skip || self.late { Ok(()) } else { self.file.sync_data() }
        }
    }

    #[derive(Debug)]
    struct CarelessVolume;

    impl Volume for CarelessVolume {
        fn sync(&self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Careless {
        fn file(&self, path: &Path, file: Box<dyn File>) -> Box<dyn File> {
            let named = |part: Option<&str>| part.is_some_and(|part| path.to_str().unwrap().contains(part));
            let (skip, late) = (named(self.skip_sync), named(self.sync_late));
            Box::new(CarelessFile { file, skip, late, owed: AtomicBool::new(false) })
        }
    }

    impl Fs for Careless {
        fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
            self.fs.open(path)
        }
        fn edit(&self, path: &Path) -> io::Result<Box<dyn File>> {
            Ok(self.file(path, self.fs.edit(path)?))
        }
        fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
            Ok(self.file(path, self.fs.create(path)?))
        }
        fn create_folder(&self, path: &Path) -> io::Result<()> {
            self.fs.create_folder(path)
        }
        fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            self.fs.rename(from, to)
        }
        fn remove(&self, path: &Path) -> io::Result<()> {
            self.fs.remove(path)
        }
        fn remove_folder(&self, path: &Path) -> io::Result<()> {
            self.fs.remove_folder(path)
        }
        fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
            self.fs.list(path)
        }
        fn exists(&self, path: &Path) -> io::Result<bool> {
            self.fs.exists(path)
        }
        fn sync_folder(&self, path: &Path) -> io::Result<()> {
            if self.skip_folder.is_some_and(|name| path.ends_with(name)) { Ok(()) } else { self.fs.sync_folder(path) }
        }
        fn volume(&self, path: &Path) -> io::Result<Box<dyn Volume>> {
            if self.skip_sync == Some("blobs") { Ok(Box::new(CarelessVolume)) } else { self.fs.volume(path) }
        }
        fn space(&self, path: &Path) -> io::Result<Space> {
            self.fs.space(path)
        }
        fn lock(&self, folder: &Path) -> io::Result<Box<dyn Lock>> {
            self.fs.lock(folder)
        }
    }

    /// Without blobs no sync of the whole file system makes good what was left out.
    fn careless_without_blobs(skip_sync: &'static str) -> Result<usize, String> {
        let fs = MemoryFs::new();
        fs.record();
        let broken = Careless { fs: fs.clone(), skip_sync: Some(skip_sync), skip_folder: None, sync_late: None };
        let with = StoreOptions { fs: Arc::new(broken), blobs: None, ..options(&fs) };
        let done = run(with, &|| usize::try_from(fs.calls()).unwrap());
        cut_everywhere(&done, &fs, &|left| StoreOptions { boot: [2; 32], blobs: None, ..options(left) })
    }

    fn careless(skip_sync: Option<&'static str>, skip_folder: Option<&'static str>) -> Result<usize, String> {
        broken(skip_sync, skip_folder, None)
    }

    fn broken(
        skip_sync: Option<&'static str>,
        skip_folder: Option<&'static str>,
        sync_late: Option<&'static str>,
    ) -> Result<usize, String> {
        let fs = MemoryFs::new();
        fs.record();
        let broken = Careless { fs: fs.clone(), skip_sync, skip_folder, sync_late };
        let broken: Arc<dyn Fs> = Arc::new(broken);
        let done = run(options_on(&fs, broken), &|| usize::try_from(fs.calls()).unwrap());
        cut_everywhere(&done, &fs, &|left| StoreOptions { boot: [2; 32], ..options(left) })
    }

    #[test]
    fn the_tests_notice_a_log_that_is_not_synced() {
        careless(Some("spare"), None).unwrap_err();
    }

    #[test]
    fn the_tests_notice_rows_applied_and_acknowledged_before_the_sync() {
        broken(None, None, Some("spare")).unwrap_err();
    }

    /// After a failed sync the page cache shows a record that the disk lacks. A start that trusts what it reads, and does not write
    /// it again durably, shows rows that the next power cut takes back.
    #[test]
    fn the_tests_notice_a_tail_that_is_trusted() {
        let taken_back = (1..40).any(|call| {
            let fs = MemoryFs::new();
            let store = Store::open(options(&fs)).unwrap();
            step(&store, &None, 1).unwrap();
            // The disk fails for good, so that nothing voids what it was given last.
            (call..call + 64).for_each(|call| fs.fail_at(call, crate::fs::Fault::Io));
            (2..9).take_while(|n| step(&store, &None, *n).is_ok()).count();
            let left = fs.crash();
            drop(store);
            let trusting = Careless { fs: left.clone(), skip_sync: Some("spare"), skip_folder: None, sync_late: None };
            let shown = seen(&Store::open(options_on(&left, Arc::new(trusting))).unwrap());
            let cut = left.power_cut(PowerCut::Nothing, 0);
            Store::open(options(&cut)).map_or(true, |store| seen(&store) != shown)
        });
        assert!(taken_back);
    }

    #[test]
    fn the_tests_notice_a_log_folder_that_is_not_synced() {
        careless(None, Some("log")).unwrap_err();
    }

    #[test]
    fn even_a_checkpoint_that_is_not_synced_loses_nothing() {
        careless(Some("checkpoint"), None).unwrap();
    }

    #[test]
    fn the_tests_notice_blobs_that_are_not_synced() {
        careless(Some("blobs"), None).unwrap_err();
    }

    #[test]
    fn the_tests_notice_a_snapshot_that_is_not_synced() {
        careless_without_blobs("merge").unwrap_err();
    }
}
