/** `tandem import --size` below what the network in the file takes makes no folder. */
import assert from 'node:assert/strict';
import { existsSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { encoderTensors } from '../../shared/core/encoder-naming.ts';
import { byName, encodeHeader } from '../../shared/wire/safetensors.ts';
import { command } from '../support/command.ts';
import { scratch } from '../support/processes.ts';

test('a resnet18 takes images of 32 pixels or more', async (t) => {
  const folder = scratch(t);
  const file = join(folder, 'resnet18.safetensors');
  const entries = encoderTensors('resnet18').map(({ name, shape }) => ({ name, shape }));
  const { header, tensors } = encodeHeader(entries.sort(byName));
  writeFileSync(file, header);
  // Zeros that take no room on the disk.
  truncateSync(file, Math.max(...tensors.map(({ offset, length }) => offset + length)));
  const out = join(folder, 'encoder');
  const { code, err } = await command(['import', file, '--out', out, '--size', '16']);
  assert.equal(
    err,
    'tandem: --size expects at least 32 pixels for a resnet18, not 16. (bad-option)\n',
  );
  assert.deepEqual([code, existsSync(out)], [64, false]);
  assert.equal((await command(['import', file, '--out', out, '--size', '32'])).code, 0);
});
