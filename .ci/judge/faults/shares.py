"""Faults of the share that a friend's photos have of the disk."""
import os
import re
import struct
import zlib

from faults.browser import Browser
from faults.machines import PASSWORD, in_namespace
from faults.process import within
from faults.report import check

PHOTOS = 6
SIDE = 600


def noise():
    """A PNG that no JPEG makes small."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + os.urandom(SIDE * 3) for _ in range(SIDE))
    head = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")


def logged_in(node, work):
    """The result of `work` with a browser of the owner, on the node's machine."""
    def body():
        browser = Browser(7080)
        return work(browser) if browser.log_in(PASSWORD) else None
    return in_namespace(node.namespace, body)


def write_with_photos(browser):
    form = browser.get("/home/write").text
    fields = dict(re.findall(r'<input type="hidden" name="([a-z]+)" value="([^"]*)"', form))
    photos = [("photo[]", id) for id in dict.fromkeys(re.findall(r'name="photo\[\]" value="([0-9a-f]{32})"', form))]
    fields.update(title="A day of noise", text="All of it.", intent="publish")
    return len(photos), browser.post("/home/write", [*fields.items(), *photos])


def whole_post(browser):
    link = re.search(r'href="(/home/timeline/[0-9a-f]+)"[^>]*>A day of noise', browser.get("/home").text)
    return browser.get(link[1]).text if link else ""


def photo_share(network):
    limit = {"FREEHOLD_FEDERATION_PHOTOS_MIB_PER_FRIEND_DAY": "1"}
    kate, liam = network.node("kate").start(), network.node("liam").start(**limit)
    check("friends-before-the-photos", kate.befriend(liam), liam.friends())
    for number in range(PHOTOS):
        file = network.folder / f"noise-{number}.png"
        file.write_bytes(noise())
        kate.do("photo", file, "--alt", f"noise {number}")
    count, answer = logged_in(kate, write_with_photos)
    check("post-with-photos-is-published", count == PHOTOS and answer.status == 303, answer.text[-1500:])

    def missing():
        return logged_in(liam, whole_post).count('class="await"')

    notice = within(60, lambda: 'data-notice="over-share"' in logged_in(liam, lambda browser: browser.get("/home").text))
    before = missing()
    check("missing-photos-are-explained", notice and 0 < before < PHOTOS, f"{before} of {PHOTOS} are missing")
    liam.stop()
    liam.start(**limit)
    within(30, lambda: re.search(r"Kate +connected", liam.friends()))
    fetched = within(10, lambda: missing() != before)
    check("share-is-not-given-anew-by-a-restart", not fetched, f"{missing()} are missing, {before} before")
    kate.stop()
    liam.stop()
