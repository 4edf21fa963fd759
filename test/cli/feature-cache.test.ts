/** Features that are kept: found again by their question, and by nothing else. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { keepFeatures, keptFeatures } from '../../cli/feature-cache.ts';

test('what was kept comes back, a damaged or another one does not', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-features-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const question = 'a'.repeat(64);
  const extraction = {
    features: Float32Array.of(1, 2.5, -3, 0),
    ...{ width: 2, backbone: 'b'.repeat(64), device: 'one' },
  };
  assert.equal(await keptFeatures(question, 4, folder), null);
  await keepFeatures(question, extraction, folder);
  assert.deepEqual(await keptFeatures(question, 4, folder), extraction);
  assert.equal(await keptFeatures(question, 6, folder), null, 'of so many values');
  assert.equal(await keptFeatures(`${'a'.repeat(63)}b`, 4, folder), null, 'of another question');
  const [name = ''] = readdirSync(folder);
  const file = readFileSync(join(folder, name));
  file[file.length - 1] = (file.at(-1) ?? 0) ^ 1;
  writeFileSync(join(folder, name), file);
  assert.equal(await keptFeatures(question, 4, folder), null, 'damaged');
});

test('at most so many files are kept, and a folder that cannot be written is no fault', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-features-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const extraction = { features: Float32Array.of(1), width: 1, backbone: '', device: '' };
  for (let i = 0; i < 70; i += 1)
    await keepFeatures(
      String(i).padStart(64, '0').split('').reverse().join(''),
      extraction,
      folder,
    );
  assert.equal(readdirSync(folder).length, 64);
  const blocked = join(folder, 'file');
  writeFileSync(blocked, '');
  await keepFeatures('c'.repeat(64), extraction, join(blocked, 'below'));
});
