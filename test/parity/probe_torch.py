"""Makes probe-torch.json: probes, kNN votes and std of features by numpy and PyTorch, inputs included.

    python test/parity/probe_torch.py > test/parity/probe-torch.json

Everything is float64 over float32 features. Adam and SGD are torch.optim's own; LARS scales the
gradient as apex's LARC without clipping does (facebookresearch/simsiam, main_lincls.py).
"""
import json
import math

import numpy as np
import torch

rng = np.random.default_rng(20201120)
CLASSES, WIDTH, LEARNED, STOPPED, MEASURED = 3, 10, 37, 14, 12
ROWS = LEARNED + STOPPED + MEASURED

labels = rng.integers(0, CLASSES, ROWS)
features = np.abs(rng.normal(0.4, 0.5, (ROWS, WIDTH)) + np.eye(CLASSES, WIDTH)[labels] * 0.6)
features = np.round(features, 3).astype(np.float32)
learned = np.arange(LEARNED)
stopped = np.arange(LEARNED, LEARNED + STOPPED)
measured = np.arange(LEARNED + STOPPED, ROWS)


def tensor(rows):
    return torch.tensor(features[rows], dtype=torch.float64), torch.tensor(labels[rows])


def larc(parameters, trust=0.001, epsilon=1e-8):
    for p in parameters:
        w, g = p.norm().item(), p.grad.norm().item()
        if w != 0 and g != 0:
            p.grad.mul_(trust * w / (g + epsilon))


def probe(name, epochs, batch, rate, patience):
    scale = 0.01 if name == "paper" else 0.3
    first = np.round(rng.normal(0, scale, (CLASSES, WIDTH)), 5)
    orders = [rng.permutation(LEARNED) for _ in range(epochs)]
    layer = torch.nn.Linear(WIDTH, CLASSES, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(first))
        layer.bias.zero_()
    loss_of = torch.nn.CrossEntropyLoss()
    if name == "paper":
        optimizer = torch.optim.SGD(layer.parameters(), rate, momentum=0.9, weight_decay=0)
    else:
        optimizer = torch.optim.Adam(layer.parameters(), rate, eps=1e-7)
    losses, best, kept, weights = [], math.inf, 0, None
    for epoch in range(epochs):
        if name == "paper":
            peak = rate * batch / 256
            optimizer.param_groups[0]["lr"] = peak * 0.5 * (1 + math.cos(math.pi * epoch / epochs))
        for at in range(0, LEARNED, batch):
            x, y = tensor(learned[orders[epoch][at : at + batch]])
            optimizer.zero_grad()
            loss_of(layer(x), y).backward()
            if name == "paper":
                larc(layer.parameters())
            optimizer.step()
        with torch.no_grad():
            x, y = tensor(stopped)
            loss = loss_of(layer(x), y).item()
        losses.append(loss)
        if patience is None or loss < best:
            best, kept = loss, epoch + 1
            weights = [layer.weight.tolist(), layer.bias.tolist()]
        elif epoch + 1 - kept >= patience:
            break
    w, b = (np.array(part) for part in weights)
    predictions = (features[measured].astype(np.float64) @ w.T + b).argmax(1)
    return {
        "protocol": {"name": name, "epochs": epochs, "batch": batch, "learningRate": rate,
                     "patience": patience, "standardised": False},
        "first": first.tolist(),
        "orders": [order.tolist() for order in orders],
        "losses": losses,
        "kept": kept,
        "weights": weights[0],
        "bias": weights[1],
        "predictions": predictions.tolist(),
        "accuracy": float((predictions == labels[measured]).mean()),
    }


def knn(k, temperature):
    unit = torch.nn.functional.normalize(torch.tensor(features, dtype=torch.float64), dim=1)
    similarities = unit[measured] @ unit[learned].T
    values, indices = similarities.topk(k, dim=1)
    votes = torch.zeros(MEASURED, CLASSES, dtype=torch.float64)
    near = torch.tensor(labels[learned])[indices]
    votes.scatter_add_(1, near, (values / temperature).exp())
    predictions = votes.argmax(1)
    return {
        "k": k,
        "temperature": temperature,
        "scores": votes.tolist(),
        "predictions": predictions.tolist(),
        "accuracy": float((predictions.numpy() == labels[measured]).mean()),
    }


unit = torch.nn.functional.normalize(torch.tensor(features, dtype=torch.float64), dim=1)
seen = torch.tensor(features[learned], dtype=torch.float64)
scaled = (torch.tensor(features, dtype=torch.float64) - seen.mean(0)) / seen.std(0, unbiased=False)
print(json.dumps({
    "script": "probe_torch.py",
    "torch": torch.__version__,
    "width": WIDTH,
    "classes": CLASSES,
    "features": [[float(str(value)) for value in row] for row in features],
    "labels": labels.tolist(),
    "learned": learned.tolist(),
    "stopped": stopped.tolist(),
    "measured": measured.tolist(),
    "std": unit.std(0, unbiased=True).mean().item(),
    "standardised": scaled.tolist(),
    "probes": [
        probe("simsiam-tf", 60, 16, 0.05, 5),
        probe("simsiam-tf", 8, 64, 0.01, 5),
        probe("paper", 12, 8, 3.2, None),
    ],
    "knn": [knn(1, 0.07), knn(5, 0.07), knn(20, 0.5)],
}))
