"""Python's safetensors and ours, each reading what the other wrote: makes safetensors-python.json.

Usage: python3 safetensors_python.py DIR > safetensors-python.json   (needs safetensors, numpy; made with 0.8)

DIR holds the encoder folder that the test writes (TANDEM_KEEP=DIR). `ours`: what Python reads from its two files,
with their SHA-256, so that the test need not have Python. `theirs`: a file of Python's own, with metadata,
tensors of several types, one without elements and a name beyond ASCII.
"""
import base64
import hashlib
import json
import os
import sys

import numpy as np
import safetensors
from safetensors import safe_open
from safetensors.numpy import save

folder = sys.argv[1]
ours = {}
for name in ('encoder.safetensors', 'heads.safetensors'):
    path = os.path.join(folder, name)
    with safe_open(path, framework='np') as file:
        tensors = {key: [list(file.get_slice(key).get_shape()), file.get_slice(key).get_dtype(),
                         [float(v) for v in file.get_tensor(key).flatten()]] for key in sorted(file.keys())}
        metadata = file.metadata()
    with open(path, 'rb') as file:
        ours[name] = dict(sha256=hashlib.sha256(file.read()).hexdigest(), metadata=metadata, tensors=tensors)

theirs = save({
    'weight': np.arange(6, dtype=np.float32).reshape(2, 3) / 4,
    'größe': np.array([1.5, -2.25], dtype=np.float32),
    'none': np.zeros((0, 4), dtype=np.float32),
    'scalar': np.array(7.0, dtype=np.float32),
    'half': np.array([1, 2, 3], dtype=np.float16),
    'count': np.array(5, dtype=np.int64),
    'flags': np.array([True, False]),
}, metadata={'format': 'np', 'quote': 'say "hi" \\ \u00fc'})
print(json.dumps(dict(safetensors=safetensors.__version__, ours=ours, theirs=base64.b64encode(theirs).decode()), indent=1))
