/**
 * Our safetensors files as Python's reader reads them, and Python's as ours does
 * (safetensors_python.py). TANDEM_KEEP=DIR keeps what is written, for the script.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { writeEncoderFolder } from '../../shared/adapters/encoder-folder.ts';
import { openSafetensors } from '../../shared/adapters/safetensors-file.ts';
import { encoderVersion } from '../../shared/core/encoder-record.ts';
import { preprocessingAt } from '../../shared/core/preprocessing.ts';
import { toTorch, torchShape } from '../../shared/core/torch-layout.ts';

const path = new URL('../../../test/parity/safetensors-python.json', import.meta.url);
const fixture = JSON.parse(readFileSync(path, 'utf8')) as {
  ours: Record<
    string,
    {
      sha256: string;
      metadata: Record<string, string>;
      tensors: Record<string, [number[], string, number[]]>;
    }
  >;
  theirs: string;
};
const base = mkdtempSync(join(tmpdir(), 'tandem-safetensors-'));
after(() => rmSync(base, { recursive: true }));

/** A tensor of ours whose values tell their places, in PyTorch's layout. */
function tensor(name: string, ours: number[]) {
  const length = ours.reduce((a, b) => a * b, 1);
  const values = Float32Array.from({ length }, (_, i) => i / 8 - 1);
  return { name, shape: torchShape(ours), values: toTorch(values, ours) };
}

test("Python's safetensors reads an encoder folder's files: names, shapes, values", async () => {
  const folder = process.env['TANDEM_KEEP'] ?? join(base, 'folder');
  await writeEncoderFolder(folder, {
    tensors: [tensor('conv1.weight', [1, 2, 3, 2]), tensor('bn1.running_mean', [3])],
    heads: [tensor('projector.0.weight', [2, 3])],
    record: {
      ...{ version: encoderVersion, model: 'resnet18', featureWidth: 512 },
      preprocessing: preprocessingAt(64),
      source: { kind: 'file', file: 'x', sha256: '', naming: 'torchvision' },
    },
    card: () => '',
  });
  for (const [name, read] of Object.entries(fixture.ours)) {
    const bytes = readFileSync(join(folder, name));
    assert.equal(createHash('sha256').update(bytes).digest('hex'), read.sha256);
    assert.deepEqual(read.metadata, { format: 'pt' });
  }
  const { 'encoder.safetensors': encoder, 'heads.safetensors': heads } = fixture.ours;
  assert.deepEqual(Object.keys(encoder?.tensors ?? {}), ['bn1.running_mean', 'conv1.weight']);
  const [shape, dtype, values] = encoder?.tensors['conv1.weight'] ?? [];
  assert.deepEqual([shape, dtype], [[2, 3, 1, 2], 'F32']);
  // Ours is [height 1, width 2, in 3, out 2]: output 0 has the even places.
  assert.deepEqual(
    values?.map((value) => (value + 1) * 8),
    [0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11],
  );
  assert.deepEqual(heads?.tensors['projector.0.weight']?.[0], [3, 2]);
});

test('a file that Python wrote is read: types, metadata, a name beyond ASCII, no elements', async () => {
  const file = join(base, 'theirs.safetensors');
  writeFileSync(file, Buffer.from(fixture.theirs, 'base64'));
  const opened = await openSafetensors(file);
  const told = opened.tensors.map(({ name, dtype, shape }) => [name, dtype, shape] as const);
  assert.deepEqual(
    told.sort(([a], [b]) => (a < b ? -1 : 1)),
    [
      ['count', 'I64', []],
      ['flags', 'BOOL', [2]],
      ['größe', 'F32', [2]],
      ['half', 'F16', [3]],
      ['none', 'F32', [0, 4]],
      ['scalar', 'F32', []],
      ['weight', 'F32', [2, 3]],
    ],
  );
  const values = async (name: string) => {
    const found = opened.tensors.find((each) => each.name === name);
    return found && [...(await opened.read(found))];
  };
  assert.deepEqual(await values('weight'), [0, 0.25, 0.5, 0.75, 1, 1.25]);
  assert.deepEqual(await values('größe'), [1.5, -2.25]);
  assert.deepEqual(await values('scalar'), [7]);
  assert.deepEqual(await values('none'), []);
  await opened.close();
});
