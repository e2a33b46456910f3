"""No picture that leaves a node says where it was taken, by the reader that knows most formats: exiftool.

    exiftool.py DEMO.JSON FOLDER
"""
import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

PRIVATE = ("EXIF", "GPS", "XMP", "IPTC", "MakerNotes", "Photoshop")


def told(path):
    [tags] = json.loads(subprocess.check_output(["exiftool", "-json", "-a", "-G0", "-s", path]))
    return [tag for tag in tags if tag.split(":")[0] in PRIVATE or "GPS" in tag]


for person in json.load(open(sys.argv[1]))["people"]:
    base = f"http://127.0.0.1:{person['ports']['web']}"
    page = urllib.request.urlopen(base + "/photos").read().decode()
    folder = Path(sys.argv[2], "exif-" + person["login"])
    folder.mkdir()
    pictures = sorted(set(re.findall(r'(?:src|href)="(/[^"]+\.jpg)"', page)))
    assert len(pictures) >= 3, f"{person['name']}: only {len(pictures)} pictures found"
    for number, path in enumerate(pictures):
        file = folder / f"{number}.jpg"
        file.write_bytes(urllib.request.urlopen(base + path).read())
        assert not told(file), f"{path} says {told(file)}"
    # The control: the same picture, once somebody has written a place into it.
    subprocess.check_call(["exiftool", "-q", "-GPSLatitude=47.5", "-GPSLatitudeRef=N", folder / "0.jpg"])
    assert told(folder / "0.jpg"), "the control was not found"
    print(person["name"], len(pictures), "pictures without a place")
