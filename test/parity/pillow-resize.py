"""Writes pillow-resize.json: the weights of Pillow's antialiased bilinear resize.

A row of n pixels with a single 1 is resized to the asked width, in mode F (no rounding to bytes);
the n results are the columns of the [size, length] matrix. Made with Pillow 13 by
    python test/parity/pillow-resize.py > test/parity/pillow-resize.json
"""
import json

from PIL import Image

CASES = [(20, 8), (7, 8), (33, 8), (1, 4), (16, 16), (5, 3), (3, 5), (100, 7), (17, 16)]


def column(length, size, at):
    image = Image.new("F", (length, 1))
    image.putpixel((at, 0), 1.0)
    resized = image.resize((size, 1), Image.Resampling.BILINEAR)
    return [resized.getpixel((x, 0)) for x in range(size)]


cases = []
for length, size in CASES:
    columns = [column(length, size, at) for at in range(length)]
    rows = [[round(columns[x][i], 8) for x in range(length)] for i in range(size)]
    cases.append({"length": length, "size": size, "rows": rows})
print(json.dumps(cases, separators=(",", ":")))
