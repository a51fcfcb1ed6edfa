"""Makes the demo's photos from the data set they come from; the shop itself needs only what this has written.

::

    python -m hansa.demo.preparation FOLDER

FOLDER holds the data set: a folder for each class, with the photos in it. For every line of `photos/manifest.csv` the
photo is cropped to 4:5, given an even light, and written in all its forms as an upload would be; the addresses that
come of it are written into the manifest and the catalogue.
"""

import csv
import sys
from dataclasses import astuple, fields, replace
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageOps, ImageStat

from hansa.demo import CATALOGUE, PHOTOS
from hansa.demo.photographs import MANIFEST, Photograph, files, photographs
from hansa.platform.files.preparing import prepare

HEIGHT_TO_WIDTH = 1.25
FRAME = 16
"""The ground that a garment lies on is judged by a frame of one sixteenth of the width."""
LARGEST_TINT = 0.22
"""A ground of more colour than this is meant to have it: grass, brick, wood."""
TINT_TAKEN_OUT = 0.5
BRIGHTEST_SHARE = 0.05
BRIGHT = 238
LARGEST_GAIN = 1.22


def main(folder: Path) -> None:
    made: list[Photograph] = []
    catalogue = CATALOGUE.read_text(encoding="utf-8")
    for photograph in photographs():
        with Image.open(folder / photograph.source) as opened:
            image = even(cropped(opened.convert("RGB"), photograph))
        out = BytesIO()
        image.save(out, "PNG")
        prepared = prepare(out.getvalue())
        for name, path in files(photograph.photo, prepared.address).items():
            path.write_bytes(prepared.contents[name])
        catalogue = catalogue.replace(photograph.address, prepared.address)
        made.append(replace(photograph, address=prepared.address))
    CATALOGUE.write_text(catalogue, encoding="utf-8")
    with MANIFEST.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(Photograph))
        writer.writerows(astuple(photograph) for photograph in made)
    wanted = {path for each in made for path in files(each.photo, each.address).values()}
    for stray in {*PHOTOS.glob("*.jpg"), *PHOTOS.glob("*.webp")} - wanted:
        stray.unlink()


def cropped(image: Image.Image, box: Photograph) -> Image.Image:
    """The box; where it reaches beyond the picture, the ground there is mirrored."""
    right, bottom = box.left + box.width, box.top + round(box.width * HEIGHT_TO_WIDTH)
    left, top = max(0, -box.left), max(0, -box.top)
    more_right, more_bottom = max(0, right - image.width), max(0, bottom - image.height)
    wide = Image.new("RGB", (image.width + left + more_right, image.height))
    wide.paste(image, (left, 0))
    wide.paste(ImageOps.mirror(image.crop((0, 0, left, image.height))), (0, 0))
    edge = image.crop((image.width - more_right, 0, image.width, image.height))
    wide.paste(ImageOps.mirror(edge), (left + image.width, 0))
    whole = Image.new("RGB", (wide.width, image.height + top + more_bottom))
    whole.paste(wide, (0, top))
    whole.paste(ImageOps.flip(wide.crop((0, 0, wide.width, top))), (0, 0))
    edge = wide.crop((0, wide.height - more_bottom, wide.width, wide.height))
    whole.paste(ImageOps.flip(edge), (0, top + wide.height))
    return whole.crop((box.left + left, box.top + top, right + left, bottom + top))


def even(image: Image.Image) -> Image.Image:
    """Half of a ground's slight tint taken out, and what is bright made bright, so that the photos look alike."""
    ground = _ground(image)
    mean = sum(ground) / 3
    has_tint = max(ground) - min(ground) > LARGEST_TINT * max(ground)
    gains = [1.0 if has_tint else 1 + TINT_TAKEN_OUT * (mean / max(part, 1) - 1) for part in ground]
    gain = min(LARGEST_GAIN, max(1.0, BRIGHT / max(_bright(image), 1)))
    return image.point([min(255, round(value * part * gain)) for part in gains for value in range(256)])


def _ground(image: Image.Image) -> tuple[float, ...]:
    """The median colour of a frame around the picture."""
    mask = Image.new("L", image.size, 255)
    edge = image.width // FRAME
    mask.paste(0, (edge, edge, image.width - edge, image.height - edge))
    return tuple(ImageStat.Stat(image, mask).median)


def _bright(image: Image.Image) -> int:
    """What the brightest twentieth of the picture has at least."""
    counts = image.convert("L").histogram()
    left = BRIGHTEST_SHARE * sum(counts)
    for value in range(255, 0, -1):
        left -= counts[value]
        if left < 0:
            return value
    return 0


if __name__ == "__main__":
    main(Path(sys.argv[1]))
