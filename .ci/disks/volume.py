"""File systems for `.ci/disk`: on a loop device, or on one whose image fails on command."""
import contextlib
import fcntl
import os
import struct
import subprocess
import sys
import time
from pathlib import Path

DISK_MIB = 512
FS_IOC_FIEMAP, FIEMAP_SYNC, EXTENTS_MAX = 0xC020660B, 1, 512


def run(*command, **options):
    return subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **options)


class Disk:
    """An ext4 file system on a loop device."""

    def __init__(self, base, features=(), errors="remount-ro"):
        self.image, self.mount, self.loop = base / "image", base / "mount", None
        with open(self.image, "wb") as image:
            image.truncate(DISK_MIB << 20)
        options = ["-O", ",".join(features)] if features else []
        run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard", "-e", errors, *options,
            self.image)
        self.mount.mkdir()
        self.attach()

    def backing(self):
        """The file below the loop device."""
        return self.image

    def attach(self):
        loop = subprocess.run(["losetup", "--find", "--show", str(self.backing())], check=True, capture_output=True, text=True)
        self.loop = loop.stdout.strip()
        run("mount", "-o", "nodiscard", self.loop, self.mount)

    def detach(self):
        if self.loop:
            subprocess.run(["umount", str(self.mount)], stderr=subprocess.DEVNULL, check=False)
            subprocess.run(["losetup", "-d", self.loop], stderr=subprocess.DEVNULL, check=False)
            self.loop = None

    def repair(self):
        """Unmounts, checks and mounts the file system: what was only in the page cache is gone."""
        self.detach()
        done = subprocess.run(["e2fsck", "-fy", str(self.image)], capture_output=True, text=True, check=False)
        if done.returncode not in (0, 1):
            raise OSError(f"e2fsck: {done.returncode} {done.stdout[-500:]}")
        self.attach()
        return done.returncode == 1

    def remount(self, how):
        run("mount", "-o", f"remount,{how}", self.mount)

    def free(self):
        stat = os.statvfs(self.mount)
        return stat.f_bavail * stat.f_frsize

    def fill(self):
        """Takes the last byte, as another program does: a large file, then smaller ones."""
        with contextlib.suppress(OSError), open(self.mount / "large", "ab") as large:
            os.posix_fallocate(large.fileno(), 0, os.fstat(large.fileno()).st_size + max(self.free() - (1 << 20), 1))
        for _ in range(3):
            with contextlib.suppress(OSError), open(self.mount / "small", "ab", buffering=0) as small:
                while True:
                    small.write(bytes(4096))

    def give_back(self):
        for name in ("large", "small"):
            with contextlib.suppress(OSError):
                (self.mount / name).unlink()

    def forget_pages(self, folder):
        """Drops the page cache of all files below `folder`, so that they are read from the disk."""
        # The node removes folders meanwhile; os.walk passes over what is gone.
        for parent, _, names in os.walk(folder):
            for name in names:
                with contextlib.suppress(OSError), open(Path(parent, name), "rb") as file:
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class FaultyDisk(Disk):
    """A disk whose image is served by disks/image.py, which fails reads, writes or syncs on command."""

    def __init__(self, base, journal=True):
        self.folder, self.server = base / "fuse", None
        self.folder.mkdir()
        # Without a journal a failed write does not make the file system read-only.
        if journal:
            super().__init__(base)
        else:
            super().__init__(base, features=["^has_journal"], errors="continue")

    def backing(self):
        return self.folder / "image"

    def attach(self):
        program = Path(__file__).parent / "image.py"
        self.server = subprocess.Popen([sys.executable, program, self.folder, self.image], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       text=True)
        if self.server.stdout.readline() != "ok\n":
            raise OSError("the faulty disk does not start")
        super().attach()

    def detach(self):
        super().detach()
        if self.server:
            # The loop device may be released a moment later.
            for _ in range(50):
                if subprocess.run(["umount", str(self.folder)], stderr=subprocess.DEVNULL, check=False).returncode == 0:
                    break
                time.sleep(0.1)
            self.server.stdin.close()
            self.server.wait()
            self.server = None

    def command(self, *words):
        self.server.stdin.write(" ".join(map(str, words)) + "\n")
        self.server.stdin.flush()
        answer = self.server.stdout.readline().split()
        if answer[:1] != ["ok"]:
            raise OSError(f"the faulty disk answered {answer}")
        return [int(word) for word in answer[1:]]

    def fail(self, *kinds):
        self.command("fail", *kinds)

    def heal(self):
        self.command("heal")

    def volatile(self, lying=False):
        """From now on a cut loses what no sync covered; with a lying disk also what one covered."""
        self.command("lie" if lying else "volatile")

    def cut(self, seed):
        """A power cut: the file system must be mounted again."""
        self.command("cut", seed)

    def failed(self):
        """The number of calls that were failed: reads, writes, syncs."""
        return self.command("count")

    def fail_reads_of(self, path):
        """Makes the blocks of a file unreadable, and drops them from the page cache."""
        request = bytearray(struct.pack("<QQ4I", 0, (1 << 64) - 1, FIEMAP_SYNC, 0, EXTENTS_MAX, 0) + bytes(56 * EXTENTS_MAX))
        with open(path, "rb") as file:
            fcntl.ioctl(file.fileno(), FS_IOC_FIEMAP, request)
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        count = struct.unpack_from("<I", request, 20)[0]
        for number in range(count):
            _, start, length = struct.unpack_from("<3Q", request, 32 + 56 * number)
            self.command("fail-range", start, start + length)
