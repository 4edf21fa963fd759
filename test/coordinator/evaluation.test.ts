/**
 * Evaluations with the shipped coordinator side and the shipped worker's session over real gRPC:
 * the same features whoever extracts them, through lost workers; calibration; a stop.
 */
import '../support/use-small-model.ts';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { folderDataset } from '../../shared/adapters/folder-dataset.ts';
import { parseConfig, methodOf } from '../../shared/core/config.ts';
import { Failure } from '../../shared/core/failures.ts';
import type { ExtractionOptions } from '../../coordinator/evaluation.ts';

const { extractFeatures } = await import('../../coordinator/evaluation.ts');
const { architecture } = await import('../../shared/core/architecture.ts');
const { initialCopy } = await import('../../coordinator/shell/model-state.ts');
const { smallMethod, smallWorker, tinyPhotographs } = await import('../support/small-run.ts');

const images = 150;

async function options(t: TestContext): Promise<ExtractionOptions> {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-evaluation-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const dataset = folderDataset(await tinyPhotographs(join(folder, 'data'), images), null);
  const { samples, fingerprint } = await dataset.index();
  const { config } = parseConfig([{ source: 'flag', values: { ...smallMethod, data: folder } }]);
  const method = methodOf(config, images);
  return {
    ...{ name: 'small', method, fingerprint, samples, dataset, step: 0, calibrate: 0 },
    copy: initialCopy(architecture(method.model), 5),
    config,
    signal: new AbortController().signal,
    onListening: () => undefined,
    onProgress: () => undefined,
    say: () => undefined,
  };
}

test('one worker and three give the same features, in the order of the list', async (t) => {
  const base = await options(t);
  const extracted = async (workers: number) => {
    const joined: Promise<void>[] = [];
    const seen: number[] = [];
    const result = await extractFeatures({
      ...base,
      onProgress: (done, of) => seen.push(done / of),
      onListening(address) {
        for (let i = 0; i < workers; i += 1)
          joined.push(smallWorker(address, `w${i}`, base.signal));
      },
    });
    await Promise.all(joined);
    assert.equal(seen.at(-1), 1, 'the last chunk is told of');
    return result;
  };
  const one = await extracted(1);
  const three = await extracted(3);
  assert.equal(one.features.length, images * one.width);
  assert.deepEqual(one, three);
  assert.equal(one.device, 'exact compute');
  const rows = new Set(Array.from({ length: images }, (_, i) => one.features[i * one.width]));
  assert.ok(rows.size > images / 2, 'images have features of their own');
});

test('a worker that leaves in the middle gives its chunk to the next', async (t) => {
  const base = await options(t);
  const leaving = new AbortController();
  let second: Promise<void> | null = null;
  let first: Promise<void> | null = null;
  let at = '';
  await extractFeatures({
    ...base,
    onListening(address) {
      at = address;
      first = smallWorker(address, 'first', leaving.signal);
    },
    onProgress(done) {
      if (done !== 1) return;
      leaving.abort(new Failure('interrupted', 'it leaves'));
      second ??= smallWorker(at, 'second', base.signal);
    },
  });
  await Promise.all([first, second]);
});

test('calibration measures the running statistics first, and features are of those', async (t) => {
  const base = await options(t);
  const copy = initialCopy(architecture(base.method.model), 5);
  const before = Float32Array.from(copy.statistics);
  const joined: Promise<void>[] = [];
  const result = await extractFeatures({
    ...base,
    copy,
    calibrate: 130,
    onListening: (address) => joined.push(smallWorker(address, 'w', base.signal)),
  });
  await Promise.all(joined);
  assert.notDeepEqual(copy.statistics, before);
  assert.ok(copy.statistics.every((value) => Number.isFinite(value) && value > 0));
  const plain = await extractFeatures({
    ...base,
    copy,
    onListening: (address) => void smallWorker(address, 'w', base.signal),
  });
  assert.equal(result.backbone, plain.backbone, 'the hash covers what was calibrated');
});

test('a stop ends it as interrupted', async (t) => {
  const base = await options(t);
  const stop = new AbortController();
  const extracting = extractFeatures({
    ...base,
    signal: stop.signal,
    onListening: () => stop.abort(new Failure('interrupted', 'SIGINT received')),
  });
  await assert.rejects(extracting, { code: 'interrupted' });
});
