"""What TensorBoard's own reader makes of event files: makes tensorboard.json.

Usage: python3 tensorboard_read.py DIR > tensorboard.json     (needs tensorboard; made with 2.21)

DIR is what the test writes (TANDEM_KEEP=DIR node --test dist/test/parity/tensorboard.test.js): a run with a
rewind. The fixture has the file's SHA-256 and every scalar that TensorBoard reads from it, so that the test
need not have Python: it makes the same bytes, and the bytes are known to be read so.
"""
import hashlib
import json
import os
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
import tensorboard

folder = sys.argv[1]
path, = [os.path.join(base, name) for base, _, names in os.walk(folder) for name in names if 'tfevents' in name]
accumulator = EventAccumulator(path, size_guidance={'scalars': 0})
accumulator.Reload()
scalars = {
    tag: [[e.step, round(e.wall_time, 3), float(f'{e.value:.7g}')] for e in accumulator.Scalars(tag)]
    for tag in accumulator.Tags()['scalars']
}
with open(path, 'rb') as file:
    digest = hashlib.sha256(file.read()).hexdigest()
print(json.dumps(dict(tensorboard=tensorboard.__version__, name=os.path.basename(path), sha256=digest, scalars=scalars))
      .replace(']], "', ']],\n"'))
