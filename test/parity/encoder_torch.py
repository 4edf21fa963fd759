"""torchvision's ResNets in inference mode in PyTorch: makes encoder-torch.json, and checks an export.

Usage: python3 encoder_torch.py > encoder-torch.json      (needs torch, torchvision, numpy; made with torch 2.15.0)
       python3 encoder_torch.py check DIR INPUT FEATURES  (needs safetensors too)

The fixture holds, for each model, the names and shapes of torchvision's state dict and the pooled features
of a few pictures. Weights and pixels come from a hash of (tensor, element), as in resnet_torch.py, so none
of them is stored; the test makes the same ones, writes them as a safetensors file, imports that, and
compares features. Batch norms have running statistics that are not 0 and 1.

`check` loads the encoder of an export as its card says (all names, nothing missing) and compares features
of pictures that Tandem prepared: INPUT is f32 [n, size, size, 3] in [0, 1], FEATURES f32 [n, width].
"""
import json
import os
import sys

import numpy as np
import torch
import torch.nn as nn
import torchvision

CASES = [('resnet18', 64, 6), ('resnet18-cifar', 32, 6), ('resnet50', 64, 3)]
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def uniform(tensor, length):
    """Numbers in [0, 1), multiples of 2^-24."""
    x = np.arange(length, dtype=np.uint32) * np.uint32(2654435761) + np.uint32((tensor * 2246822519 + 12345) % 2**32)
    x ^= x >> np.uint32(15)
    x *= np.uint32(2246822519)
    x ^= x >> np.uint32(13)
    x *= np.uint32(3266489917)
    x ^= x >> np.uint32(16)
    return (x >> np.uint32(8)).astype(np.float64) / 2**24


def network(name):
    model = getattr(torchvision.models, name.replace('-cifar', ''))(weights=None)
    if name.endswith('-cifar'):
        model.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        model.maxpool = nn.Identity()
    return model


def fill(name, shape, index):
    u = uniform(index, int(np.prod(shape)))
    if len(shape) > 1:
        values = (2 * u - 1) * np.sqrt(6 / np.prod(shape[1:]))
    elif name.endswith('running_var'):
        values = 0.5 + u
    elif name.endswith('.weight'):
        values = 0.4 + 0.4 * u
    else:
        values = u - 0.5
    return torch.from_numpy(values.astype(np.float32).reshape(shape))


def case(name, size, m):
    model = network(name).eval()
    state = {k: v for k, v in model.state_dict().items() if v.is_floating_point()}
    for index, (key, value) in enumerate(sorted(state.items())):
        value.copy_(fill(key, tuple(value.shape), index))
    shapes = {k: list(v.shape) for k, v in model.state_dict().items()}
    model.fc = nn.Identity()
    pixels = np.floor(uniform(2000, m * size * size * 3) * 256).reshape(m, size, size, 3) / 255
    x = torch.from_numpy((pixels - MEAN) / STD).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        features = model(x)
    rows = [[float(f'{v:.7g}') for v in row] for row in features.tolist()]
    return dict(model=name, size=size, pictures=m, shapes=shapes, features=rows)


def check(folder, input_file, features_file):
    from safetensors.torch import load_file
    with open(os.path.join(folder, 'encoder.json')) as file:
        record = json.load(file)
    size, width = record['preprocessing']['size'], record['featureWidth']
    model = network(record['model'])
    model.fc = nn.Identity()
    model.load_state_dict(load_file(os.path.join(folder, 'encoder.safetensors')))
    model.eval()
    pictures = np.fromfile(input_file, dtype='<f4').reshape(-1, size, size, 3).astype(np.float64)
    ours = np.fromfile(features_file, dtype='<f4').reshape(-1, width)
    x = torch.from_numpy((pictures - MEAN) / STD).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        theirs = model(x).numpy()
    off = np.abs(ours - theirs)
    print(f'{len(ours)} pictures, {width} features from {theirs.min():.4f} to {theirs.max():.4f}, '
          f'largest difference {off.max():.2e}, torch {torch.__version__}')
    return 0 if off.max() <= 1e-4 else 1


if __name__ == '__main__':
    torch.set_num_threads(1)
    if sys.argv[1:2] == ['check']:
        sys.exit(check(*sys.argv[2:5]))
    made = dict(torch=torch.__version__.split('+')[0], cases=[case(*c) for c in CASES])
    # A picture or a tensor a line.
    print(json.dumps(made).replace('], [', '],\n[').replace('], "', '],\n"'))
