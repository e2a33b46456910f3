"""No JPEG on the public pages has metadata, as read by Pillow."""
import json
import re
import sys
import urllib.request
from io import BytesIO

from PIL import Image

for person in json.load(open(sys.argv[1]))["people"]:
    base = f"http://127.0.0.1:{person['ports']['web']}"
    seen = 0
    page = urllib.request.urlopen(base + "/photos").read().decode()
    for path in sorted(set(re.findall(r'(?:src|href)="(/[^"]+\.jpg)"', page))):
        picture = Image.open(BytesIO(urllib.request.urlopen(base + path).read()))
        picture.load()
        assert not picture.getexif(), f"{path} has EXIF"
        assert not {"exif", "xmp", "photoshop", "comment"} & set(picture.info), picture.info.keys()
        seen += 1
    assert seen >= len("abc"), f"{person['name']}: only {seen} pictures found"
    print(person["name"], seen, "pictures without metadata")
