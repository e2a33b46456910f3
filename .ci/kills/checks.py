"""The checks of `.ci/kill` after the last kill: each acknowledged change is there, once."""
import collections
import hashlib
import re
import time

from loads import failures, uid_names


def inbox(node, deadline):
    """The messages of the inbox, once all acknowledged ones are there or the deadline has passed."""
    while True:
        imap = node.imap()
        found = uid_names(imap)
        imap.logout()
        names = {name for name, _ in found.values()}
        if node.mail - node.expunged - node.pending_expunges <= names or time.monotonic() > deadline:
            return found
        time.sleep(0.5)


def check_mail(node, deadline):
    found = inbox(node, deadline)
    count = collections.Counter(name for name, _ in found.values())
    for name in node.mail - set(count) - node.expunged - node.pending_expunges:
        failures.append(f"{node.login}: {name} was acknowledged and is missing")
    for name, times in count.items():
        if times > 1:
            failures.append(f"{node.login}: {name} is there {times} times")
        if name not in node.sent_mail:
            failures.append(f"{node.login}: {name} was never sent")
        if name in node.expunged:
            failures.append(f"{node.login}: {name} was expunged and exists again")
    for name, flags in found.values():
        if name in node.flags and name not in node.pending_flags and node.flags[name] != (r"\Flagged" in flags):
            failures.append(f"{node.login}: {name} has flags {flags}; the acknowledged state is flagged: {node.flags[name]}")
    return len(found)


def timeline(node):
    """Every title in the node's timeline, read page by page as its owner."""
    cookie, titles, path = node.log_in(), set(), "/home?write=1"
    while path:
        status, page = node.get(path, cookie)
        page = page.decode()
        if status != 200:
            failures.append(f"{node.login}: the timeline got status {status}")
            return titles
        titles |= set(re.findall(r"Entry \d+", page))
        older = re.search(r'href="(/home\?before=[^"]+)"', page)
        path = older.group(1).replace("&amp;", "&") if older else None
    return titles


def check_posts(node, friend, deadline):
    for title, path in node.posts.items():
        status, page = node.get(path)
        if status != 200 or title.encode() not in page:
            failures.append(f"{node.login}: the post {title!r} has status {status}")
    while missing := set(node.posts) - timeline(friend):
        if time.monotonic() > deadline:
            failures.extend(f"{node.login}: the post {title!r} is not in the timeline of {friend.login}" for title in missing)
            break
        time.sleep(0.5)


def check_photos(node):
    cookie = node.log_in()
    for path, digest in node.photos.items():
        status, data = node.get(f"{path}/original", cookie)
        if status != 200 or hashlib.sha256(data).hexdigest() != digest:
            failures.append(f"{node.login}: the photo {path} has status {status} or other bytes")
