"""The peer of `tandem bench`: the same SimSiam step in PyTorch, one step for each line on stdin.

Usage: torch_peer.py '{"model": "resnet18-cifar", "size": 32, "batch": 64, "precision": "f32",
                       "processes": 1, "threads": 2}'

Layers and names are those of shared/core/architecture.ts and worker/compute: torchvision's ResNet v1.5
without classifier, SimSiam's heads. A step is forward, backward and SGD on two fixed random views in
channels_last; `bf16` is PyTorch's autocast. With `processes` > 1 it is DistributedDataParallel over gloo,
`batch` is the global batch, and all processes share the machine's loopback.

Protocol: prints {"ready": true, ...} once warm. A line `step` on stdin: one timed step, answered by
{"ms": ..., "gradientMs": ..., "cpuMs": ...}. A line `end`, or the end of stdin: {"peakBytes": ...}, summed over the
processes, and exit. Needs only torch.
"""
import json
import os
import resource
import socket
import sys
import time

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn as nn
import torch.nn.functional as F

WARM_UP_STEPS = 2


class Basic(nn.Module):
    expansion = 1

    def __init__(self, inputs, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = shortcut(inputs, width, stride)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        y += self.downsample(x)
        return F.relu(y, inplace=True)


class Bottleneck(nn.Module):
    expansion = 4

    def __init__(self, inputs, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = shortcut(inputs, 4 * width, stride)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        y = self.bn3(self.conv3(y))
        y += self.downsample(x)
        return F.relu(y, inplace=True)


def shortcut(inputs, outputs, stride):
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


class Encoder(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.cifar = model.endswith('-cifar')
        block = Bottleneck if model.startswith('resnet50') else Basic
        depths = (2, 2, 2, 2) if model.startswith('resnet18') else (3, 4, 6, 3)
        stem = (3, 1, 1) if self.cifar else (7, 2, 3)
        self.conv1 = nn.Conv2d(3, 64, *stem, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        inputs = 64
        for layer, depth in enumerate(depths):
            blocks, width = [], 64 * 2**layer
            for i in range(depth):
                blocks.append(block(inputs, width, 2 if layer > 0 and i == 0 else 1))
                inputs = width * block.expansion
            setattr(self, f'layer{layer + 1}', nn.Sequential(*blocks))
        self.width = inputs

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        if not self.cifar:
            x = F.max_pool2d(x, 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return x.mean((2, 3))


class SimSiam(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.encoder = Encoder(model)
        width = self.encoder.width
        hidden = [2048] if model.endswith('-cifar') else [width, width]
        layers, inputs = [], width
        for outputs in hidden:
            layers += [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU(inplace=True)]
            inputs = outputs
        layers += [nn.Linear(inputs, 2048, bias=False), nn.BatchNorm1d(2048, affine=False)]
        self.projector = nn.Sequential(*layers)
        self.predictor = nn.Sequential(
            nn.Linear(2048, 512, bias=False), nn.BatchNorm1d(512), nn.ReLU(inplace=True), nn.Linear(512, 2048))

    def forward(self, x1, x2):
        z1, z2 = self.projector(self.encoder(x1)), self.projector(self.encoder(x2))
        p1, p2 = self.predictor(z1), self.predictor(z2)
        return (negative_cosine(p1, z2) + negative_cosine(p2, z1)) / 2


def negative_cosine(p, z):
    return -F.cosine_similarity(p, z.detach(), dim=1).mean()


def say(**message):
    print(json.dumps(message), flush=True)


def peak_bytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def serve(rank, options, port):
    processes = options['processes']
    torch.set_num_threads(options['threads'])
    torch.manual_seed(0)
    model = SimSiam(options['model']).to(memory_format=torch.channels_last)
    if processes > 1:
        os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), GLOO_SOCKET_IFNAME='lo')
        dist.init_process_group('gloo', rank=rank, world_size=processes)
        model = nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=1e-4)
    images, size = options['batch'] // processes, options['size']
    x1, x2 = (torch.rand(images, 3, size, size).to(memory_format=torch.channels_last) for _ in range(2))

    def step():
        start, cpu = time.perf_counter(), time.process_time()
        with torch.autocast('cpu', torch.bfloat16, enabled=options['precision'] == 'bf16'):
            loss = model(x1, x2)
        optimizer.zero_grad()
        loss.backward()
        gradient = time.perf_counter()
        optimizer.step()
        end = time.perf_counter()
        return dict(ms=(end - start) * 1e3, gradientMs=(gradient - start) * 1e3,
                    cpuMs=(time.process_time() - cpu) * 1e3)

    def told():
        """Whether rank 0 was asked for another step; the other ranks hear it from rank 0."""
        go = torch.zeros(1)
        if rank == 0:
            go += sys.stdin.readline().strip() == 'step'
        if processes > 1:
            dist.broadcast(go, 0)
        return go.item() == 1

    for _ in range(WARM_UP_STEPS):
        step()
    if rank == 0:
        say(ready=True, version='torch ' + torch.__version__, threads=torch.get_num_threads())
    while told():
        times = step()
        if rank == 0:
            say(**times)
    peak = torch.tensor([float(peak_bytes())], dtype=torch.float64)
    if processes > 1:
        dist.all_reduce(peak)
        dist.destroy_process_group()
    if rank == 0:
        say(peakBytes=int(peak.item()))


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


if __name__ == '__main__':
    asked = json.loads(sys.argv[1])
    port = free_port()
    others = [
        mp.get_context('spawn').Process(target=serve, args=(rank, asked, port), daemon=True)
        for rank in range(1, asked['processes'])
    ]
    for other in others:
        other.start()
    serve(0, asked, port)
    for other in others:
        other.join()
