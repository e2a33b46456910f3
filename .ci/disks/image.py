"""A disk image that fails on command: a file system with one file, served over FUSE, below a loop device.

    image.py FOLDER IMAGE

Mounts a file system at FOLDER whose only file, `image`, has the bytes of the file IMAGE. It works where the kernel lacks dm-flakey and
nbd. Commands come as lines on standard input, and each is answered with `ok`:

    fail KIND...     fails calls of these kinds with EIO: read, write, sync
    fail-range A B   fails reads that touch the bytes A to B (exclusive), as a bad sector does
    heal             ends all failures
    volatile         keeps what is written in memory until the next sync, as the cache of a disk does
    lie              as `volatile`, and answers syncs without keeping anything
    cut SEED         loses what no sync covered, except of a random set of blocks of 4 KiB; from then on every call fails
    count            answers `ok READ WRITE SYNC` instead: the calls failed so far

Root only; Python's standard library only. Ends when the file system is unmounted or its input ends.
"""
import ctypes
import errno
import os
import random
import stat
import struct
import sys
import threading

LOOKUP, FORGET, GETATTR, SETATTR, OPEN, READ, WRITE, STATFS, RELEASE = 1, 2, 3, 4, 14, 15, 16, 17, 18
FSYNC, FLUSH, INIT, OPENDIR, READDIR, RELEASEDIR, ACCESS, INTERRUPT, DESTROY, BATCH_FORGET = 20, 25, 26, 27, 28, 29, 34, 36, 38, 42
ASYNC_READ, BIG_WRITES, MAX_PAGES, DIRECT_IO = 1, 1 << 5, 1 << 22, 1
IN, OUT = struct.Struct("<IIQQIIII"), struct.Struct("<IiQ")
ROOT, IMAGE = 1, 2
WRITE_MAX = 1 << 20
LAZY, FORCE, BLOCK = 2, 1, 4096


class Image:
    def __init__(self, path):
        self.file = os.open(path, os.O_RDWR)
        self.len = os.fstat(self.file).st_size
        self.failing, self.bad, self.failed = set(), [], dict(read=0, write=0, sync=0)
        # The blocks that no sync covers, in a disk with a volatile cache.
        self.cache, self.is_volatile, self.is_lying = {}, False, False
        # Commands come on a thread of their own.
        self.lock = threading.Lock()

    def allow(self, kind):
        if kind in self.failing:
            self.failed[kind] += 1
            raise OSError(errno.EIO, kind)

    def read(self, offset, length):
        self.allow("read")
        if any(offset < end and begin < offset + length for begin, end in self.bad):
            self.failed["read"] += 1
            raise OSError(errno.EIO, "read")
        data = os.pread(self.file, length, offset)
        if not self.cache:
            return data
        data = bytearray(data)
        for block in range(offset // BLOCK, (offset + length - 1) // BLOCK + 1):
            if cached := self.cache.get(block):
                begin, end = max(offset, block * BLOCK), min(offset + len(data), (block + 1) * BLOCK)
                data[begin - offset:end - offset] = cached[begin - block * BLOCK:end - block * BLOCK]
        return bytes(data)

    def write(self, offset, data):
        self.allow("write")
        if not self.is_volatile:
            return os.pwrite(self.file, data, offset)
        for block in range(offset // BLOCK, (offset + len(data) - 1) // BLOCK + 1):
            begin, end = max(offset, block * BLOCK), min(offset + len(data), (block + 1) * BLOCK)
            cached = self.cache.get(block) or bytearray(os.pread(self.file, BLOCK, block * BLOCK))
            cached[begin - block * BLOCK:end - block * BLOCK] = data[begin - offset:end - offset]
            self.cache[block] = cached
        return len(data)

    def sync(self):
        self.allow("sync")
        if not self.is_lying:
            self.keep(self.cache)

    def keep(self, blocks):
        for block in blocks:
            os.pwrite(self.file, self.cache[block], block * BLOCK)
        self.cache = {}

    def cut(self, seed):
        rng = random.Random(seed)
        share = rng.choice((0, 0.1, 0.5, 0.9))
        self.keep([block for block in self.cache if rng.random() < share])
        self.failing = {"read", "write", "sync"}

    def command(self, word, *rest):
        if word == "fail":
            self.failing = set(rest)
        elif word == "fail-range":
            self.bad.append(tuple(map(int, rest)))
        elif word == "heal":
            self.failing, self.bad = set(), []
        elif word in ("volatile", "lie"):
            self.is_volatile, self.is_lying = True, word == "lie"
        elif word == "cut":
            self.cut(int(rest[0]))
        elif word == "count":
            return "ok {read} {write} {sync}".format(**self.failed)
        else:
            return f"unknown: {word}"
        return "ok"


class Server:
    """Answers the kernel's requests."""

    def __init__(self, device, image):
        self.device, self.image = device, image

    def attributes(self, node):
        is_root = node == ROOT
        mode = stat.S_IFDIR | 0o700 if is_root else stat.S_IFREG | 0o600
        size = 0 if is_root else self.image.len
        return struct.pack("<6Q10I", node, size, size // 512, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)

    def answer(self, opcode, node, body):
        if opcode == INIT:
            major, minor, ahead, _ = struct.unpack_from("<4I", body)
            flags = ASYNC_READ | BIG_WRITES | MAX_PAGES
            return struct.pack("<4IHHIIHHII6I", 7, min(minor, 31), ahead, flags, 64, 48, WRITE_MAX, 1, WRITE_MAX // 4096, 0, 0, 0, *[0] * 6)
        if opcode == LOOKUP:
            if body.rstrip(b"\0") != b"image":
                raise OSError(errno.ENOENT, "lookup")
            return struct.pack("<4Q2I", IMAGE, 0, 3600, 3600, 0, 0) + self.attributes(IMAGE)
        if opcode in (GETATTR, SETATTR):
            return struct.pack("<Q2I", 3600, 0, 0) + self.attributes(node)
        if opcode in (OPEN, OPENDIR):
            return struct.pack("<QIi", 0, DIRECT_IO if opcode == OPEN else 0, 0)
        if opcode == READ:
            _, offset, length = struct.unpack_from("<QQI", body)
            return self.image.read(offset, length)
        if opcode == WRITE:
            _, offset, length = struct.unpack_from("<QQI", body)
            return struct.pack("<II", self.image.write(offset, memoryview(body)[40:40 + length]), 0)
        if opcode == FSYNC:
            self.image.sync()
            return b""
        if opcode == STATFS:
            return struct.pack("<5Q4I6I", 0, 0, 0, 0, 0, 4096, 255, 4096, 0, *[0] * 6)
        if opcode in (RELEASE, RELEASEDIR, FLUSH, ACCESS, DESTROY, READDIR):
            return b""
        raise OSError(errno.ENOSYS, "unknown")

    def run(self):
        while True:
            try:
                request = os.read(self.device, WRITE_MAX + 65536)
            except OSError as error:
                if error.errno in (errno.ENODEV, errno.ECONNABORTED):
                    return
                if error.errno in (errno.ENOENT, errno.EINTR, errno.EAGAIN):
                    continue
                raise
            _, opcode, unique, node, _, _, _, _ = IN.unpack_from(request)
            if opcode in (FORGET, BATCH_FORGET, INTERRUPT):
                continue
            try:
                with self.image.lock:
                    status, answer = 0, self.answer(opcode, node, request[IN.size:])
            except OSError as error:
                status, answer = -error.errno, b""
            try:
                os.write(self.device, OUT.pack(OUT.size + len(answer), status, unique) + answer)
            except OSError as error:
                # The request was given up meanwhile.
                if error.errno != errno.ENOENT:
                    raise


def main():
    folder, image = sys.argv[1], Image(sys.argv[2])
    libc = ctypes.CDLL(None, use_errno=True)
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other"
    if libc.mount(b"image", folder.encode(), b"fuse", 0, options.encode()):
        sys.exit(f"image: no mount: {os.strerror(ctypes.get_errno())}")

    def commands():
        print("ok", flush=True)
        for line in sys.stdin:
            with image.lock:
                answer = image.command(*line.split())
            print(answer, flush=True)
        libc.umount2(folder.encode(), FORCE | LAZY)
        os._exit(0)

    threading.Thread(target=commands, daemon=True).start()
    Server(device, image).run()


main()
