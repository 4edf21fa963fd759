/** A photograph that disappears under a run: the run says which, and goes on once it is back. */
import '../support/use-small-model.ts';
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

const { smallRun, tinyPhotographs } = await import('../support/small-run.ts');

for (const workers of [1, 2])
  test(`a photograph that is gone stops a run of ${workers} worker(s), and is waited for no longer`, async (t) => {
    const base = mkdtempSync(join(tmpdir(), 'tandem-missing-'));
    t.after(() => rmSync(base, { recursive: true, force: true }));
    const data = await tinyPhotographs(join(base, 'data'), 16);
    const [photograph, elsewhere] = [join(data, '005.png'), join(base, '005.png')];
    const options = { data, epochs: 1, run: join(base, 'run') };
    const gone = smallRun(options, workers, () => renameSync(photograph, elsewhere));
    await assert.rejects(gone, {
      code: 'sample-unavailable',
      message: /005\.png.*Put the file back/,
    });
    const events = readFileSync(join(base, 'run', 'events.jsonl'), 'utf8');
    assert.match(events, /"run-failed"/);
    assert.doesNotMatch(events, /"worker-refused"/, 'the workers did nothing wrong');
    renameSync(elsewhere, photograph);
    const whole = await smallRun(options, workers);
    const undisturbed = await smallRun({ ...options, run: join(base, 'undisturbed') });
    assert.equal(whole.digest, undisturbed.digest);
  });
