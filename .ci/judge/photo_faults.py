"""Photos that other programs get wrong, uploaded to the demo by a form: colours, damaged files, files that move, too large ones.
One line each. At its end it deletes the photos that it added: dozens of tiny ones would fill the first page of photos, which later
judges read.

    photo_faults.py DEMO.JSON
"""
import io
import json
import re
import struct
import sys
import time
import zlib

from PIL import Image, ImageCms

from faults.browser import Browser
from faults.report import case, finish

alice = json.load(open(sys.argv[1]))["people"][0]
owner, stranger = Browser(alice["ports"]["web"]), Browser(alice["ports"]["web"])
# The pages of the photos that this judge has added; it deletes them at the end.
added = []


def upload(file, alt="a", audience="public"):
    """The status, and the address of the photo's page or the text of the fault."""
    answer = owner.upload("/home/photos/add", {"alt": alt, "audience": audience}, file)
    if answer.status == 303:
        added.append(answer.headers["Location"].split("?")[0])
        return answer.status, answer.headers["Location"]
    fault = re.search(r'id="file-fault"[^>]*>([^<]*)', answer.text)
    return answer.status, fault[1] if fault else ""


def shown(photo, size):
    """A rendition of the photo with that page of the owner's, as the owner gets it."""
    answer = owner.get(f"/photos/{photo.split('/')[3].split('?')[0]}/{size}.jpg")
    assert answer.status == 200, (photo, size, answer.status)
    return Image.open(io.BytesIO(answer.body)).convert("RGB")


def page(path, browser=owner):
    return browser.get(path).text


def encoded(picture, form="JPEG", **options):
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def noise(width, height, mode="RGB"):
    return Image.effect_noise((width, height), 90).convert(mode)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


assert owner.log_in(alice["password"]), "no login"
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@case("a colour profile is applied")
def _():
    swapped = SRGB.replace(b"rXYZ", b"tmp.").replace(b"bXYZ", b"rXYZ").replace(b"tmp.", b"bXYZ")
    for form in ("JPEG", "PNG", "WEBP"):
        file = encoded(Image.new("RGB", (80, 60), (250, 10, 10)), form, icc_profile=swapped)
        red, _, blue = shown(upload(file)[1], 400).getpixel((40, 30))
        assert blue > 240 and red < 20, (form, red, blue)


@case("a profile of sRGB changes nothing, a broken one is ignored")
def _():
    for profile in (SRGB, SRGB[:100], b"no profile"):
        file = encoded(Image.new("RGB", (80, 60), (200, 90, 30)), icc_profile=profile)
        pixel = shown(upload(file)[1], 400).getpixel((40, 30))
        assert max(abs(a - b) for a, b in zip(pixel, (200, 90, 30))) < 4, pixel


@case("CMYK, grey, palette and 16-bit pictures look right")
def _():
    red = Image.new("RGB", (80, 60), (250, 10, 10))
    deep = Image.new("I;16", (80, 60), 0x8080)
    for file, wanted in (
        (encoded(red.convert("CMYK")), (250, 10, 10)),
        (encoded(red.convert("L")), (82, 82, 82)),
        (encoded(red.quantize(4), "PNG"), (250, 10, 10)),
        (encoded(deep, "PNG"), (128, 128, 128)),
    ):
        pixel = shown(upload(file)[1], 400).getpixel((40, 30))
        assert max(abs(a - b) for a, b in zip(pixel, wanted)) < 8, (pixel, wanted)


@case("sizes 400, 800 and 1600, each width once in srcset")
def _():
    photo = upload(encoded(noise(2400, 1800)), "sizes")[1]
    assert [shown(photo, size).size for size in (400, 800, 1600)] == [(400, 300), (800, 600), (1600, 1200)]
    upload(encoded(noise(300, 200)), "of one size")
    for srcset in re.findall(r'srcset="([^"]*)"', page("/photos", stranger) + page("/home/photos")):
        widths = re.findall(r" (\d+)w", srcset)
        assert len(widths) == len(set(widths)) > 1, srcset


@case("a JPEG of each scale and kind is whole")
def _():
    for width, height in ((1600, 1200), (1700, 1275), (3200, 800), (6500, 488), (13_000, 320)):
        for options in ({}, {"progressive": True}, {"subsampling": 2, "optimize": True}):
            file = encoded(noise(width // 8, height // 8).resize((width, height)), quality=80, **options)
            status, photo = upload(file)
            assert status == 303, (width, options, status, photo)
            assert shown(photo, 1600).size[0] == 1600, width
            assert 'id="flaw"' not in page(photo), (width, options)


@case("a picture damaged inside is said to be, and kept for its owner")
def _():
    whole = encoded(noise(900, 700), quality=60)
    middle = len(whole) // 2
    status, photo = upload(whole[:middle] + whole[middle + 5000:], "damaged inside")
    assert status == 303 and "damaged" in page(photo), (status, photo)
    assert "damaged inside" not in page("/photos", stranger)


@case("truncated and damaged pictures are refused without debris")
def _():
    for form in ("JPEG", "PNG", "WEBP"):
        whole = encoded(noise(900, 700), form)
        for file in (whole[: len(whole) // 2], whole[:100]):
            status, fault = upload(file)
            assert status == 422 and "damaged" in fault, (form, status, fault)
            assert not re.search(r"[{}\[\]_:]|0x|Error|chunk", fault.replace("damaged: its", "")), fault


@case("a picture with too many pixels is refused in megapixels")
def _():
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(10_000))) + chunk(b"IEND", b"")
    status, fault = upload(bomb)
    assert status == 422 and "900 megapixels" in fault, (status, fault)


@case("pictures that take much memory for their size are refused, and memory comes back")
def _():
    def memory():
        return int(re.search(r"RssAnon:\s+(\d+)", open(f"/proc/{alice['pid']}/status").read())[1]) // 1024

    before = memory()
    icc = b"profile\0\0" + zlib.compress(bytes(200_000_000))
    header = struct.pack(">IIBBBBB", 10, 10, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"iCCP", icc) + chunk(b"IDAT", zlib.compress(bytes(310))) + chunk(b"IEND", b"")
    assert upload(bomb)[0] in (303, 422)
    header = struct.pack(">IIBBBBB", 1, 20_000_000, 8, 0, 0, 0, 0)
    tall = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(40_000_000))) + chunk(b"IEND", b"")
    status, fault = upload(tall)
    assert status == 422 and "65535" in fault, (status, fault)
    for number in range(6):
        assert upload(encoded(noise(3000, 2000)), f"one of many large ones {number}")[0] == 303
    for _ in range(45):
        if memory() < before + 24:
            return
        time.sleep(1)
    raise AssertionError(f"{before} MiB before, {memory()} afterwards")


@case("a progressive picture without its end is told as damaged")
def _():
    whole = encoded(noise(900, 700), progressive=True)
    status, photo = upload(whole[: len(whole) * 2 // 3], "cut")
    assert status == 422 or "damaged" in page(photo), (status, photo)


@case("a moving picture is told to become a still")
def _():
    frames = [Image.new("RGB", (60, 40), (shade, 0, 90)) for shade in (10, 120, 240)]
    for form in ("GIF", "PNG", "WEBP"):
        still = upload(encoded(frames[0], form))[1]
        moving = upload(encoded(frames[0], form, save_all=True, append_images=frames[1:], duration=100))[1]
        assert "moves" in page(moving) and "moves" not in page(still), form


@case("the file field does not ask phones for HEIC")
def _():
    accept = re.search(r'type="file" accept="([^"]*)"', page("/home/photos/add"))[1]
    assert "image/jpeg" in accept and "hei" not in accept, accept


@case("AVIF and HEIC are kept under their names")
def _():
    for brand, name in ((b"avif", "AVIF"), (b"heic", "HEIC")):
        file = b"\0\0\0\x1cftyp" + brand + b"\0\0\0\0mif1miaf" + brand + b" of the judge"
        assert upload(file)[0] == 422
        kept = re.findall(r'<li><span><b>[^<]*</b> ([A-Z]+),.*?href="([^"]*)"', page("/home/photos"))
        path = dict(kept)[name]
        media_type = owner.get(path).headers["Content-Type"]
        assert (media_type == "image/avif") == (name == "AVIF"), media_type
        assert stranger.ask("GET", path).status != 200


@case("a private photo is marked for its owner")
def _():
    photo = upload(encoded(noise(60, 40)), "mine alone", "owner")[1].split("?")[0]
    item = re.search(rf'<a href="{photo}">.*?</a>', page("/home/photos"))[0]
    assert "Only me" in item, item
    assert "mine alone" not in page("/photos", stranger)


@case("the previous photo is found beyond the 40th")
def _():
    upload(encoded(noise(60, 40)), "the oldest of many")
    for number in range(42):
        assert upload(encoded(noise(8, 8)), f"one of many {number}")[0] == 303
    oldest = page("/photos/the-oldest-of-many", stranger)
    assert 'href="/photos/one-of-many-0">Previous' in oldest
    back = re.search(r'href="(/photos\?before=[^"]*)"', oldest)[1]
    assert "the-oldest-of-many" in page(back, stranger)


@case("pages of photos have a description")
def _():
    for path in ("/photos", "/photos/the-oldest-of-many", "/about"):
        assert re.search(r'<meta name="description" content="[^"]+">', page(path, stranger)), path


@case("deleted photos are gone")
def _():
    kept = re.findall(r'href="(/home/photos/kept/[^"]*)" download', page("/home/photos"))
    for path in added + kept:
        assert owner.post(path + "/delete", {}).status == 303, path
    for path in ("/photos/the-oldest-of-many", "/photos/one-of-many-0"):
        assert stranger.get(path).status == 404, path


sys.exit(finish())
