"""Three SimSiam training steps of real networks in PyTorch, in float64: makes resnet-torch.json.

Usage: python3 resnet_torch.py > resnet-torch.json      (needs torch and numpy; made with torch 2.15.0)

The model is that of the benchmark's peer (../bench/torch_peer.py), so this also shows that both sides
of the benchmark have the same layers. Weights, pixels and directions come from a hash of (tensor,
element), so none of them is stored; the test makes the same ones.

The biases before a ReLU are several times as large as what they are added to, half of them negative: a
channel is on or off. With small biases there is always an input of a ReLU within f32's rounding of zero
(two to twelve million of them here); it comes out on the other side, and the gradients behind it jump by
1e-4 to 1e-2 of their norm, which says nothing about the program. (simsiam-torch.json has small biases.)

Of each tensor five numbers are kept: its norm, its product with a hashed direction, three elements spread
over it. Kept are: gradients and batch moments of the first step, weights and momentum buffers after the
third. How far PyTorch's own f32 lies from float64, as the norm of the difference in units of the tensor's
norm, is a gradient's and a buffer's sixth number; `own` has the root mean square over the tensors, for f32
and for bf16 (autocast). A gradient that a norm further on makes zero has no norm to be compared with:
below FLOOR of all tensors' norm, that takes its place.
"""
import json
import os
import sys

import numpy as np
import torch
import torch.nn as nn

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'bench'))
from torch_peer import SimSiam  # noqa: E402

STEPS, RATE, MOMENTUM, DECAY = 3, 0.02, 0.9, 1e-4
FLOOR = 1e-3
CASES = [('resnet18-cifar', 32, 8), ('resnet50', 64, 8)]


def uniform(tensor, length):
    """Numbers in [0, 1), multiples of 2^-24."""
    x = np.arange(length, dtype=np.uint32) * np.uint32(2654435761) + np.uint32((tensor * 2246822519 + 12345) % 2**32)
    x ^= x >> np.uint32(15)
    x *= np.uint32(2246822519)
    x ^= x >> np.uint32(13)
    x *= np.uint32(3266489917)
    x ^= x >> np.uint32(16)
    return (x >> np.uint32(8)).astype(np.float64) / 2**24


def to_ours(t):
    """PyTorch's layout to ours: OIHW to HWIO, [out, in] to [in, out]."""
    return t.permute(2, 3, 1, 0) if t.ndim == 4 else t.t() if t.ndim == 2 else t


def fill(model, name):
    last = '.bn3.' if name.startswith('resnet50') else '.bn2.'
    for index, (name, p) in enumerate(sorted(model.named_parameters())):
        ours = to_ours(p)
        u = uniform(index, p.numel())
        if p.ndim > 1:
            values = (2 * u - 1) * np.sqrt(6 / np.prod(ours.shape[:-1]))
        elif name == 'predictor.3.bias':  # no norm, no ReLU
            values = u - 0.5
        elif name.endswith('.weight'):
            values = 0.05 + 0.1 * u if last in name else 0.5 + 0.5 * u
        else:
            values = np.where(u < 0.5, 1, -1) * (0.8 if last in name else 7 if '.downsample.' in name else 5)
        values = values.astype(np.float32).astype(np.float64).reshape(ours.shape)
        with torch.no_grad():
            ours.copy_(torch.from_numpy(values))


def view(tensor, m, size):
    pixels = np.floor(uniform(tensor, m * size * size * 3) * 256).reshape(m, size, size, 3) / 255
    pixels = (pixels - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def flat(t):
    return to_ours(t.detach()).contiguous().flatten().double()


def train(name, size, m, dtype, autocast=False):
    model = SimSiam(name).double()
    fill(model, name)
    model.to(dtype)
    x1, x2 = view(2000, m, size).to(dtype), view(2001, m, size).to(dtype)
    # Momentum 1: the running statistics are the last batch's. View 1 is encoded first, so its moments
    # are taken by a forward pass of its own.
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.momentum = 1
    moments = []
    parameters = dict(sorted(model.named_parameters()))
    optimizer = torch.optim.SGD(model.parameters(), RATE, momentum=MOMENTUM, weight_decay=DECAY)
    losses, gradients = [], {}

    def keep_moments():
        moments.append({n: flat(b).clone() for n, b in sorted(model.named_buffers()) if 'running' in n})

    for step in range(STEPS):
        with torch.autocast('cpu', torch.bfloat16, enabled=autocast):
            if step == 0:
                with torch.no_grad():
                    model.predictor(model.projector(model.encoder(x1)))
                keep_moments()
            loss = model(x1, x2)
        if step == 0:
            keep_moments()
        optimizer.zero_grad()
        loss.backward()
        losses.append(loss.item())
        if step == 0:
            gradients = {n: flat(p.grad).clone() for n, p in parameters.items()}
        optimizer.step()
    weights = {n: flat(p).clone() for n, p in parameters.items()}
    momentum = {n: flat(optimizer.state[p]['momentum_buffer']).clone() for n, p in parameters.items()}
    return dict(losses=losses, gradients=gradients, moments=moments, weights=weights, momentum=momentum)


def digits(value):
    return float(f'{value:.9g}')


def probes(tensors, first):
    kept = {}
    for index, (name, t) in enumerate(tensors.items()):
        direction = torch.from_numpy(2 * uniform(first + index, t.numel()) - 1)
        spread = [t[(t.numel() * k) // 4].item() for k in (1, 2, 3)]
        kept[name] = [digits(v) for v in [t.norm().item(), (t @ direction).item(), *spread]]
    return kept


def errors(found, expected):
    floor = FLOOR * torch.stack([t.norm() for t in expected.values()]).norm()
    return [((found[n] - t).norm() / max(t.norm(), floor)).item() for n, t in expected.items()]


def short(value):
    return float(f'{value:.2g}')


def case(name, size, m):
    exact = train(name, size, m, torch.float64)
    kept = {key: probes(exact[key], 3000) for key in ('gradients', 'momentum', 'weights')}
    own = {}
    for precision, autocast in (('f32', False), ('bf16', True)):
        found = train(name, size, m, torch.float32, autocast)
        own[precision] = dict(loss=short(max(abs(a - b) for a, b in zip(found['losses'], exact['losses']))))
        for key in ('gradients', 'momentum'):
            off = errors(found[key], exact[key])
            own[precision][key] = short(np.sqrt(np.mean(np.square(off))))
            if precision == 'f32':
                for probe, error in zip(kept[key].values(), off):
                    probe.append(short(error))
    return dict(model=name, size=size, microBatch=m, losses=exact['losses'], own=own, **kept,
                moments1=probes(exact['moments'][0], 4000), moments2=probes(exact['moments'][1], 4000))


if __name__ == '__main__':
    torch.set_num_threads(1)
    made = dict(torch=torch.__version__.split('+')[0], steps=STEPS, rate=RATE, momentum=MOMENTUM, decay=DECAY, floor=FLOOR)
    # A tensor a line.
    text = json.dumps(dict(made, cases=[case(*c) for c in CASES]))
    print(text.replace('], "', '],\n"'))
