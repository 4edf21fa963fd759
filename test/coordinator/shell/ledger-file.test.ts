/** The ledger on disk: a chain that is appended to, compared on replay, and never guessed at. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { type LedgerFile, openLedger, sha256Text } from '../../../coordinator/shell/ledger-file.ts';
import { Failure } from '../../../shared/core/failures.ts';
import { type LedgerBody, type LedgerRecord, sealRecord } from '../../../shared/core/ledger.ts';
import { runFolder } from '../../support/tiny-run.ts';

const identity = 'an identity';

const recordOf = (step: number, previous: string, some: Partial<LedgerBody> = {}): LedgerRecord =>
  sealRecord(
    {
      step,
      learningRate: { base: 0.1, predictor: 0.1 },
      inputHashes: ['i0', 'i1'],
      leafHashes: ['l0', 'l1'],
      gradient: `g${step}`,
      weights: `w${step}`,
      momentum: `m${step}`,
      statistics: `s${step}`,
      loss: 'bff0000000000000',
      std: '3f94000000000000',
      previous,
      ...some,
    },
    sha256Text,
  );

async function fill(ledger: LedgerFile, steps: number): Promise<void> {
  for (let step = ledger.length; step < steps; step += 1)
    await ledger.commit(recordOf(step, ledger.previousOf(step)));
}

const failing = (code: string, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof Failure, String(error));
  assert.equal(error.code, code);
  assert.match(error.message, message);
  return true;
};

test('records come back after a restart and the chain goes on', async (t) => {
  const path = join(await runFolder(t), 'ledger.jsonl');
  const first = await openLedger(path, 1, identity);
  assert.equal(first.previousOf(0), identity);
  await fill(first, 3);
  await first.close();
  const second = await openLedger(path, 2, identity);
  assert.equal(second.length, 3);
  assert.equal(second.at(1)?.weights, 'w1');
  await fill(second, 5);
  await second.close();
  const text = await readFile(path, 'utf8');
  assert.equal(text.split('\n').length, 6);
  const whole = await openLedger(path, 3, identity);
  assert.equal(whole.length, 5);
  await whole.close();
});

test('a step computed again appends nothing and has to equal its record', async (t) => {
  const path = join(await runFolder(t), 'ledger.jsonl');
  const ledger = await openLedger(path, 1, identity);
  await fill(ledger, 3);
  const before = await readFile(path, 'utf8');
  await ledger.commit(recordOf(1, ledger.previousOf(1)));
  await assert.rejects(
    ledger.commit(recordOf(1, ledger.previousOf(1), { weights: 'other', std: 'other' })),
    failing('not-deterministic', /step 1 .*weights, std differ.*All files are kept/s),
  );
  await assert.rejects(
    ledger.commit(recordOf(1, ledger.previousOf(1), { leafHashes: ['l0', 'x'] })),
    failing('not-deterministic', /its inputs or leaves differ/),
  );
  assert.equal(await readFile(path, 'utf8'), before);
  assert.equal(ledger.length, 3);
  await ledger.close();
});

test('a torn last record is cut and the step is committed anew', async (t) => {
  const path = join(await runFolder(t), 'ledger.jsonl');
  const ledger = await openLedger(path, 1, identity);
  await fill(ledger, 3);
  await ledger.close();
  const text = await readFile(path, 'utf8');
  await writeFile(path, text.slice(0, -40));
  const again = await openLedger(path, 2, identity);
  assert.equal(again.length, 2);
  await fill(again, 3);
  await again.close();
  assert.equal(await readFile(path, 'utf8'), text);
});

test('a last record whose end came to the disk before its beginning is cut like a torn one', async (t) => {
  const path = join(await runFolder(t), 'ledger.jsonl');
  const ledger = await openLedger(path, 1, identity);
  await fill(ledger, 3);
  await ledger.close();
  const text = await readFile(path, 'utf8');
  const lines = text.split('\n');
  const last = lines[2] ?? '';
  for (const hole of ['\0'.repeat(60) + last.slice(60), last.replace('"w2"', '"w7"'), '\0\0\0']) {
    await writeFile(path, [lines[0], lines[1], hole, ''].join('\n'));
    const again = await openLedger(path, 2, identity);
    assert.equal(again.length, 2);
    await fill(again, 3);
    await again.close();
    assert.equal(await readFile(path, 'utf8'), text);
  }
});

test('damage in the middle is refused, and the file is left as it was', async (t) => {
  const path = join(await runFolder(t), 'ledger.jsonl');
  const ledger = await openLedger(path, 1, identity);
  await fill(ledger, 4);
  await ledger.close();
  const text = await readFile(path, 'utf8');
  const lines = text.split('\n');
  const swapped = [lines[0], lines[2], lines[1], lines[3], ''].join('\n');
  const gap = [lines[0], lines[2], lines[3], ''].join('\n');
  for (const [damaged, message] of [
    [text.replace('"w1"', '"w7"'), /record 2 does not hold: its hash/],
    [text.replace('{', ''), /record 1 does not hold: it is not JSON/],
    [swapped, /record 2 does not hold: it is step 2/],
    [gap, /record 2 does not hold/],
    [`null\n${text}`, /record 1 does not hold/],
  ] as const) {
    await writeFile(path, damaged);
    await assert.rejects(openLedger(path, 2, identity), failing('ledger-damaged', message));
    assert.equal(await readFile(path, 'utf8'), damaged);
  }
});

test('a ledger of another identity is refused', async (t) => {
  const path = join(await runFolder(t), 'ledger.jsonl');
  const ledger = await openLedger(path, 1, identity);
  await fill(ledger, 1);
  await ledger.close();
  await assert.rejects(
    openLedger(path, 2, 'another identity'),
    failing('ledger-damaged', /does not follow the record before/),
  );
});

test('a record that leaves a gap is a broken invariant', async (t) => {
  const path = join(await runFolder(t), 'ledger.jsonl');
  const ledger = await openLedger(path, 1, identity);
  await assert.rejects(ledger.commit(recordOf(2, identity)), /does not follow 0 records/);
  await ledger.close();
});
