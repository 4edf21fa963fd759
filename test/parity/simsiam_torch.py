"""Reference values of a SimSiam leaf from PyTorch, in float64: makes simsiam-torch.json.

Usage: python3 simsiam_torch.py > simsiam-torch.json       (needs torch and numpy; made with torch 1.12.1)

Two narrow networks: ResNet-18's layout with the CIFAR stem, and ResNet-50's blocks with the 7x7 stem. Not at
ResNet-50's depth: so narrow, it amplifies rounding until PyTorch's own f32 gradients are 1 % off its f64 ones.
Weights, running statistics and pixels come from a hash of (tensor, element), so none of them is
stored; the test makes the same ones. Of each gradient the norm, the product with a hashed direction
and the first values are kept.
"""
import json
import sys

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)


def uniform(tensor, length):
    """Numbers in [0, 1), multiples of 2^-24."""
    x = np.arange(length, dtype=np.uint32) * np.uint32(2654435761) + np.uint32((tensor * 2246822519 + 12345) % 2**32)
    x ^= x >> np.uint32(15)
    x *= np.uint32(2246822519)
    x ^= x >> np.uint32(13)
    x *= np.uint32(3266489917)
    x ^= x >> np.uint32(16)
    return (x >> np.uint32(8)).astype(np.float64) / 2**24


class Basic(nn.Module):
    expansion = 1

    def __init__(self, i, w, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(i, w, 3, stride, 1, bias=False), nn.BatchNorm2d(w)
        self.conv2, self.bn2 = nn.Conv2d(w, w, 3, 1, 1, bias=False), nn.BatchNorm2d(w)
        self.downsample = shortcut(i, w, stride)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class Bottleneck(nn.Module):
    expansion = 4

    def __init__(self, i, w, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(i, w, 1, bias=False), nn.BatchNorm2d(w)
        self.conv2, self.bn2 = nn.Conv2d(w, w, 3, stride, 1, bias=False), nn.BatchNorm2d(w)
        self.conv3, self.bn3 = nn.Conv2d(w, 4 * w, 1, bias=False), nn.BatchNorm2d(4 * w)
        self.downsample = shortcut(i, 4 * w, stride)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + self.downsample(x))


def shortcut(i, o, stride):
    if stride == 1 and i == o:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))


class Encoder(nn.Module):
    def __init__(self, plan):
        super().__init__()
        block, i = (Basic if plan['block'] == 'basic' else Bottleneck), plan['width']
        self.cifar = plan['stem'] == 'cifar'
        self.conv1 = nn.Conv2d(3, i, 3, 1, 1, bias=False) if self.cifar else nn.Conv2d(3, i, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(i)
        self.layers = len(plan['depths'])
        for k, depth in enumerate(plan['depths']):
            blocks = []
            for j in range(depth):
                blocks.append(block(i, plan['width'] * 2**k, 2 if k and not j else 1))
                i = plan['width'] * 2**k * block.expansion
            setattr(self, f'layer{k + 1}', nn.Sequential(*blocks))
        self.width = i

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        if not self.cifar:
            x = F.max_pool2d(x, 3, 2, 1)
        for k in range(self.layers):
            x = getattr(self, f'layer{k + 1}')(x)
        return x.mean((2, 3))


class SimSiam(nn.Module):
    def __init__(self, plan):
        super().__init__()
        self.encoder = Encoder(plan)
        layers, i = [], self.encoder.width
        for k, o in enumerate(plan['projector']):
            last = k == len(plan['projector']) - 1
            layers += [nn.Linear(i, o, bias=False), nn.BatchNorm1d(o, affine=not last)] + ([] if last else [nn.ReLU()])
            i = o
        self.projector = nn.Sequential(*layers)
        h = plan['predictorHidden']
        self.predictor = nn.Sequential(nn.Linear(i, h, bias=False), nn.BatchNorm1d(h), nn.ReLU(), nn.Linear(h, i))

    def forward(self, x1, x2):
        z1, z2 = self.projector(self.encoder(x1)), self.projector(self.encoder(x2))
        p1, p2 = self.predictor(z1), self.predictor(z2)
        loss = -(F.cosine_similarity(p1, z2.detach()).mean() + F.cosine_similarity(p2, z1.detach()).mean()) / 2
        std = sum(F.normalize(z, dim=1).std(0).mean() for z in (z1, z2)) / 2
        return loss, std


def to_ours(t):
    """PyTorch's layout to ours: OIHW to HWIO, [out, in] to [in, out]."""
    return t.permute(2, 3, 1, 0) if t.ndim == 4 else t.t() if t.ndim == 2 else t


def fill(model):
    for index, (name, p) in enumerate(sorted(model.named_parameters())):
        ours = to_ours(p)
        u = uniform(index, p.numel())
        if p.ndim > 1:
            values = (2 * u - 1) * np.sqrt(6 / np.prod(ours.shape[:-1]))
        else:
            values = u + 0.5 if name.endswith('.weight') else u - 0.5
        values = values.astype(np.float32).astype(np.float64).reshape(ours.shape)
        with torch.no_grad():
            ours.copy_(torch.from_numpy(values))
    for index, (name, b) in enumerate(sorted((n, b) for n, b in model.named_buffers() if 'running' in n)):
        u = uniform(1000 + index, b.numel())
        b.copy_(torch.from_numpy((u - 0.5 if name.endswith('mean') else u + 0.5).astype(np.float32)))


def view(tensor, m, size):
    pixels = np.floor(uniform(tensor, m * size * size * 3) * 256).reshape(m, size, size, 3) / 255
    pixels = (pixels - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def case(name, plan, m, size):
    model = SimSiam(plan)
    fill(model)
    x1, x2 = view(2000, m, size), view(2001, m, size)
    model.eval()
    with torch.no_grad():
        features = model.encoder(x1).flatten()
    model.train()
    # Momentum 1: the running statistics are the last batch's. View 1 is encoded first, so its moments
    # are taken by a forward pass of its own.
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.momentum = 1
    with torch.no_grad():
        model.predictor(model.projector(model.encoder(x1)))
    moments = {n: brief(b) for n, b in sorted(model.named_buffers()) if 'running' in n}
    loss, std = model(x1, x2)
    loss.backward()
    gradients = {}
    for index, (n, p) in enumerate(sorted(model.named_parameters())):
        g = to_ours(p.grad).contiguous().flatten()
        direction = torch.from_numpy(2 * uniform(3000 + index, g.numel()) - 1)
        gradients[n] = dict(length=g.numel(), norm=g.norm().item(), along=(g @ direction).item(), first=brief(g))
    return dict(name=name, plan=plan, microBatch=m, size=size, loss=loss.item(), std=std.item(), gradients=gradients,
                momentsOfView1=moments, features=brief(features, 16))


def brief(t, n=3):
    return [float(f'{v:.9g}') for v in t[:n].tolist()]


cases = [
    case('ResNet-18, CIFAR stem', dict(block='basic', depths=[2, 2, 2, 2], width=8, stem='cifar', projector=[32, 32], predictorHidden=16), 8, 16),
    case('bottlenecks, ImageNet stem', dict(block='bottleneck', depths=[1, 2, 2, 1], width=4, stem='imagenet', projector=[32, 32, 48], predictorHidden=16), 8, 64),
]
json.dump(dict(torch=torch.__version__, cases=cases), sys.stdout, indent=1)
