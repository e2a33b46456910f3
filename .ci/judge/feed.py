"""The Atom feed follows RFC 4287: well-formed XML, unique ids, valid dates, authors, absolute links."""
import datetime
import json
import sys
import urllib.request
import xml.etree.ElementTree as ET

ATOM = "{http://www.w3.org/2005/Atom}"
for person in json.load(open(sys.argv[1]))["people"]:
    request = urllib.request.Request(f"http://127.0.0.1:{person['ports']['web']}/feed.atom")
    with urllib.request.urlopen(request) as response:
        assert response.headers["Content-Type"].startswith("application/atom+xml"), response.headers["Content-Type"]
        feed = ET.fromstring(response.read())
    assert feed.tag == ATOM + "feed"
    for name in ("id", "title", "updated"):
        assert feed.findtext(ATOM + name), f"feed has no {name}"
    entries = feed.findall(ATOM + "entry")
    assert len(entries) >= 3, len(entries)
    ids = [entry.findtext(ATOM + "id") for entry in entries]
    assert len(set(ids)) == len(ids), "an id is used twice"
    for entry in entries:
        assert entry.findtext(ATOM + "title") is not None
        datetime.datetime.fromisoformat(entry.findtext(ATOM + "updated").replace("Z", "+00:00"))
        assert feed.find(ATOM + "author") is not None or entry.find(ATOM + "author") is not None
        for link in entry.findall(ATOM + "link"):
            assert link.get("href").startswith("http"), link.attrib
    print(person["name"], len(entries), "entries")
