//! How much memory this process may still take.
//!
//! Work that needs much memory asks first and is refused. Without that, the kernel ends the whole
//! process, and the same work ends it again after the restart.
//!
//! Linux only: elsewhere nothing is known, and nothing is refused.

use std::fs;
use std::path::Path;

/// The memory that this process may still take, in bytes: the least of what the machine has, what
/// the control groups of the process allow, and what its limit of address space allows. `None` if
/// the system does not say.
///
/// Blocks for some 100 microseconds.
pub fn free_memory() -> Option<u64> {
    below(Path::new("/"))
}

/// [`free_memory`] as the files below `root` say.
fn below(root: &Path) -> Option<u64> {
    [machine(root), groups(root), address_space(root)].into_iter().flatten().min()
}

fn read(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// The number after `name` at the beginning of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// `MemAvailable` of proc(5): free memory, and what the kernel takes back from its caches.
fn machine(root: &Path) -> Option<u64> {
    let text = read(&root.join("proc/meminfo"))?;
    field(&text, "MemAvailable:")?.checked_mul(1024)
}

/// The least that any control group of the process allows (cgroups(7), version 2 and 1).
fn groups(root: &Path) -> Option<u64> {
    let groups = read(&root.join("proc/self/cgroup"))?;
    groups.lines().filter_map(|line| group(root, line)).min()
}

/// The memory that one line of `/proc/self/cgroup` allows: `number:controllers:path`.
fn group(root: &Path, line: &str) -> Option<u64> {
    let mut fields = line.splitn(3, ':').skip(1);
    let (controllers, path) = (fields.next()?, fields.next()?.trim_start_matches('/'));
    let (mount, files) = if controllers.is_empty() {
        (root.join("sys/fs/cgroup"), VERSION_2)
    } else if controllers.split(',').any(|name| name == "memory") {
        (root.join("sys/fs/cgroup/memory"), VERSION_1)
    } else {
        return None;
    };
    // A group is limited by each group above it. In a container, the path may not exist here.
    Path::new(path).ancestors().filter_map(|group| files.allowed(&mount.join(group))).min()
}

/// The names of a control group's files.
struct GroupFiles {
    limit: &'static str,
    used: &'static str,
    /// The prefix of the fields in `memory.stat` that include the groups below.
    prefix: &'static str,
    mapped: &'static str,
}

const VERSION_2: GroupFiles =
    GroupFiles { limit: "memory.max", used: "memory.current", prefix: "", mapped: "file_mapped " };
const VERSION_1: GroupFiles = GroupFiles {
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    prefix: "total_",
    mapped: "mapped_file ",
};

impl GroupFiles {
    /// The limit less what is used and can't be taken back. A group without a limit says "max" or a
    /// number that is larger than any memory.
    fn allowed(&self, group: &Path) -> Option<u64> {
        let number = |name: &str| read(&group.join(name))?.trim().parse::<u64>().ok();
        let (limit, used) = (number(self.limit)?, number(self.used)?);
        let stat = read(&group.join("memory.stat")).unwrap_or_default();
        let of = |name: &str| field(&stat, &format!("{}{name}", self.prefix)).unwrap_or(0);
        // The cache of files is counted as used, and the kernel takes it back when it must; but not
        // what the process has mapped, above all its own program.
        let cached = of("inactive_file ").saturating_add(of("active_file "));
        let reclaimable = cached.saturating_sub(of(self.mapped));
        Some(limit.saturating_sub(used.saturating_sub(reclaimable)))
    }
}

/// The rest of `RLIMIT_AS` (setrlimit(2)).
fn address_space(root: &Path) -> Option<u64> {
    let limit = field(&read(&root.join("proc/self/limits"))?, "Max address space")?;
    let status = read(&root.join("proc/self/status"))?;
    Some(limit.saturating_sub(field(&status, "VmSize:")?.checked_mul(1024)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn system(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    const MACHINE: (&str, &str) =
        ("proc/meminfo", "MemTotal:  2000 kB\nMemAvailable:  1000 kB\nCached: 7 kB\n");

    #[test]
    fn available_memory_of_the_machine_is_read() {
        assert_eq!(below(system(&[MACHINE]).path()), Some(1_024_000));
        assert_eq!(below(system(&[]).path()), None);
        assert_eq!(below(system(&[("proc/meminfo", "MemAvailable: many kB\n")]).path()), None);
    }

    #[test]
    fn smallest_control_group_of_version_2_counts() {
        let files = [
            MACHINE,
            ("proc/self/cgroup", "0::/a/b\n"),
            ("sys/fs/cgroup/a/memory.max", "500000\n"),
            ("sys/fs/cgroup/a/memory.current", "300000\n"),
            (
                "sys/fs/cgroup/a/memory.stat",
                "anon 1\nfile_mapped 10000\ninactive_file 50000\nactive_file 20000\n",
            ),
            ("sys/fs/cgroup/a/b/memory.max", "max\n"),
            ("sys/fs/cgroup/a/b/memory.current", "300000\n"),
        ];
        assert_eq!(below(system(&files).path()), Some(260_000));
    }

    #[test]
    fn control_group_of_version_1_is_read() {
        let files = [
            MACHINE,
            ("proc/self/cgroup", "5:devices:/x\n4:cpu,memory:/x\n0::/\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "400000\n"),
            ("sys/fs/cgroup/memory/x/memory.limit_in_bytes", "300000\n"),
            ("sys/fs/cgroup/memory/x/memory.usage_in_bytes", "310000\n"),
            ("sys/fs/cgroup/memory/x/memory.stat", "inactive_file 1\ntotal_inactive_file 40000\n"),
        ];
        assert_eq!(below(system(&files).path()), Some(30_000));
    }

    #[test]
    fn limit_of_address_space_counts() {
        let files = [
            MACHINE,
            (
                "proc/self/limits",
                "Limit  Soft  Hard\nMax address space  900000  unlimited  bytes\n",
            ),
            ("proc/self/status", "Name: x\nVmSize:\t     800 kB\n"),
        ];
        assert_eq!(below(system(&files).path()), Some(80_800));
        let unlimited = [MACHINE, ("proc/self/limits", "Max address space  unlimited  bytes\n")];
        assert_eq!(below(system(&unlimited).path()), Some(1_024_000));
    }
}
