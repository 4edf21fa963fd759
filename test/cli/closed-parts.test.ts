/** A run whose older records and events are in parts: proven, watched and resumed like any other. */
import '../support/use-small-model.ts';
import assert from 'node:assert/strict';
import { readFile, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { scratch } from '../support/processes.ts';

const { openEventLog } = await import('../../coordinator/shell/event-log.ts');
const { openLedger } = await import('../../coordinator/shell/ledger-file.ts');
const { partsOf, readNumberedLines, recordNumber } = await import(
  '../../coordinator/shell/line-parts.ts'
);
const { readRun, takeGeneration } = await import('../../coordinator/shell/run-folder.ts');
const { command } = await import('../support/command.ts');
const { smallRun, tinyPhotographs } = await import('../support/small-run.ts');

const method = { steps: 8, 'checkpoint-every': 3 };

test('closed records and events: the proof holds, a resume ends the same, damage is found', async (t) => {
  const folder = scratch(t);
  const options = { ...method, data: await tinyPhotographs(join(folder, 'photos'), 16) };
  const whole = join(folder, 'whole');
  const { digest } = await smallRun({ ...options, run: whole });
  const run = join(folder, 'parts');
  await smallRun({ ...options, run, 'stop-at': 6 });

  const generation = await takeGeneration(run);
  const identity = (await readRun(run))?.identity ?? '';
  const path = join(run, 'ledger.jsonl');
  const ledger = await openLedger(path, generation, identity);
  await ledger.closePart(3);
  await ledger.close();
  const log = await openEventLog(run, generation, () => undefined, 1);
  await log.append({ kind: 'warning', code: 'test', message: 'closes' }, 6, 'a test');
  await log.close();
  for (const name of ['ledger.jsonl', 'events.jsonl'])
    assert.equal((await partsOf(join(run, name))).length, 1, name);

  const proven = await command(['verify', run, '--json']);
  assert.equal(proven.code, 0, proven.err);
  assert.equal(JSON.parse(proven.out).steps, 6);
  const watched = await command(['watch', run, '--json']);
  const seqs = watched.out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).seq);
  assert.deepEqual(
    seqs,
    Array.from({ length: seqs.length }, (_, i) => i + 1),
  );

  const resumed = await smallRun({ ...options, run });
  assert.equal(resumed.digest, digest);
  let records = '';
  for await (const line of readNumberedLines(path, recordNumber)) records += `${line}\n`;
  assert.equal(records, await readFile(join(whole, 'ledger.jsonl'), 'utf8'));

  const [part] = await partsOf(path);
  await truncate(part?.path ?? '', 100);
  const damaged = await command(['verify', run]);
  assert.equal(damaged.code, 65);
  assert.match(damaged.out + damaged.err, /step/);
  await assert.rejects(smallRun({ ...options, run }), {
    code: 'ledger-damaged',
  });
});
