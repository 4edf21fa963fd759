"""Writes augment-torchvision.json: whole views of painted images by torchvision and by Pillow.

Usage: python test/parity/augment_torchvision.py > test/parity/augment-torchvision.json
Made with torch 2.15, torchvision 0.29 and Pillow 13.

Each case is an image and the numbers drawn for a view of it. `torchvision`: on floats of 0 to 1,
resized_crop (bilinear, antialiased), flip, brightness, contrast, saturation, hue, gray, and a
Gaussian blur cut off at 4 sigma with the border repeated outwards; in thousandths of a 255th, rounded.
`pillow`: what SimSiam's reference code does, on bytes, each step rounded to a byte, the blur Pillow's
own (three box blurs).

The images are painted: soft light, a grid of hard edges, a disc, grain. Bytes go as base64.
"""
import base64
import json
import math
import random

import torch
import torchvision.transforms.functional as F
from PIL import Image, ImageFilter
from torchvision.transforms import InterpolationMode

SIZE = 24


def paint(seed, height, width):
    dice = random.Random(seed)
    base = [[dice.uniform(20, 200), dice.uniform(-1.5, 1.5), dice.uniform(-1.5, 1.5)] for _ in range(3)]
    cy, cx, r = dice.uniform(0, height), dice.uniform(0, width), dice.uniform(5, 14)
    disc = [dice.randrange(256) for _ in range(3)]
    pixels = bytearray()
    for y in range(height):
        for x in range(width):
            for c in range(3):
                b, down, across = base[c]
                v = b + down * y + across * x + 30 * ((x // 7 + y // 5) % 2)
                if (y - cy) ** 2 + (x - cx) ** 2 < r * r:
                    v = disc[c]
                pixels.append(max(0, min(255, int(v + dice.uniform(-12, 12)))))
    return bytes(pixels)


def blurred(x, sigma):
    if sigma == 0:
        return x
    radius = max(1, math.floor(4 * sigma + 0.5))
    # torchvision reflects at the border: give it a border that is repeated already.
    wide = torch.nn.functional.pad(x[None], (radius,) * 4, mode='replicate')[0]
    done = F.gaussian_blur(wide, [2 * radius + 1] * 2, [sigma] * 2)
    return done[:, radius:-radius, radius:-radius]


def by_torchvision(x, d):
    x = F.resized_crop(x, d['top'], d['left'], d['height'], d['width'], [SIZE, SIZE],
                       InterpolationMode.BILINEAR, antialias=True)
    if d['flip']:
        x = F.hflip(x)
    x = F.adjust_brightness(x, d['brightness'])
    x = F.adjust_contrast(x, d['contrast'])
    x = F.adjust_saturation(x, d['saturation'])
    x = F.adjust_hue(x, d['hue'])
    if d['gray']:
        x = F.rgb_to_grayscale(x, 3)
    return blurred(x, d['sigma'])


def by_pillow(image, d):
    image = F.resized_crop(image, d['top'], d['left'], d['height'], d['width'], [SIZE, SIZE],
                           InterpolationMode.BILINEAR)
    if d['flip']:
        image = F.hflip(image)
    image = F.adjust_brightness(image, d['brightness'])
    image = F.adjust_contrast(image, d['contrast'])
    image = F.adjust_saturation(image, d['saturation'])
    image = F.adjust_hue(image, d['hue'])
    if d['gray']:
        image = F.to_grayscale(image, 3)
    return image.filter(ImageFilter.GaussianBlur(d['sigma'])) if d['sigma'] else image


neutral = dict(flip=False, brightness=1, contrast=1, saturation=1, hue=0, gray=False, sigma=0)
DRAWS = [
    (40, 36, dict(top=3, left=5, height=31, width=27, **neutral)),  # made smaller
    (40, 36, dict(top=10, left=8, height=13, width=17, **{**neutral, 'flip': True})),  # made larger
    (33, 48, dict(top=0, left=7, height=33, width=40, **{**neutral, 'brightness': 1.38, 'contrast': 0.63})),
    (48, 30, dict(top=9, left=0, height=36, width=30, **{**neutral, 'saturation': 1.4, 'hue': -0.1})),
    (44, 44, dict(top=2, left=2, height=40, width=40, **{**neutral, 'saturation': 0.6, 'hue': 0.1})),
    (40, 40, dict(top=0, left=0, height=40, width=40, **{**neutral, 'gray': True})),
    (36, 40, dict(top=4, left=1, height=30, width=37, **{**neutral, 'sigma': 1.7})),
    (48, 48, dict(top=6, left=11, height=35, width=29, flip=True, brightness=0.75, contrast=1.3,
                  saturation=0.8, hue=0.06, gray=False, sigma=0.4)),
    (47, 41, dict(top=1, left=3, height=44, width=38, flip=False, brightness=1.2, contrast=0.9,
                  saturation=1.25, hue=-0.04, gray=True, sigma=1.1)),
]

cases = []
for seed, (height, width, draws) in enumerate(DRAWS):
    raw = paint(seed, height, width)
    image = Image.frombytes('RGB', (width, height), raw)
    x = torch.tensor(list(raw), dtype=torch.float64).reshape(height, width, 3).permute(2, 0, 1) / 255
    exact = by_torchvision(x.float(), draws).permute(1, 2, 0).flatten()
    cases.append(dict(
        height=height, width=width, draws=draws, pixels=base64.b64encode(raw).decode(),
        torchvision=[round(v * 255_000) for v in exact.tolist()],
        pillow=base64.b64encode(by_pillow(image, draws).tobytes()).decode(),
    ))
print(json.dumps(dict(size=SIZE, cases=cases), separators=(',', ':')))
