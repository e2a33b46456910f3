"""No published picture has a location or other metadata, as read by exiftool.

    exiftool.py DEMO.JSON FOLDER
"""
import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

PRIVATE = ("EXIF", "GPS", "XMP", "IPTC", "MakerNotes", "Photoshop")


def private_tags(path):
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
        assert not private_tags(file), f"{path} has {private_tags(file)}"
    # The control: the same picture with a location.
    subprocess.check_call(["exiftool", "-q", "-GPSLatitude=47.5", "-GPSLatitudeRef=N", folder / "0.jpg"])
    assert private_tags(folder / "0.jpg"), "exiftool did not find the location of the control"
    print(person["name"], len(pictures), "pictures without a location")
