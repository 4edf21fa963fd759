/**
 * The promise with real processes, real gRPC and TensorFlow: one digest and one ledger, byte for
 * byte, at any number of workers, through kills of anything, and across a stop and a resume.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { runClient } from '../../shared/adapters/run-client.ts';
import { cpuFlags, precisionRefusal } from '../../worker/compute/precision.ts';
import {
  addressOf,
  eventsUntil,
  rogueWorker,
  scratch,
  startNode,
  startTandem,
  tandem,
} from '../support/processes.ts';

const method = [
  ...['--data', 'synthetic:160', '--model', 'resnet18', '--size', '32', '--seed', '7'],
  ...['--batch', '16', '--micro-batch', '4', '--steps', '8'],
];

interface Outcome {
  digest: string;
  ledger: Buffer;
}

const steps = 8;

function outcomeOf(run: string, last = steps): Outcome {
  const checkpoint = `step-${String(last).padStart(8, '0')}`;
  const model = join(run, 'checkpoints', checkpoint, 'model.safetensors');
  const digest = createHash('sha256').update(readFileSync(model)).digest('hex');
  return { digest, ledger: readFileSync(join(run, 'ledger.jsonl')) };
}

function assertSame(found: Outcome, expected: Outcome): void {
  assert.equal(found.digest, expected.digest);
  assert.ok(found.ledger.equals(expected.ledger), 'the ledgers differ');
}

/** Trains to the end with so many workers. */
async function trained(t: TestContext, args: string[]): Promise<{ run: string; json: Result }> {
  const run = join(scratch(t), 'run');
  const out = await tandem(t, ['train', ...method, '--run', run, '--json', ...args]);
  return { run, json: JSON.parse(out.trim().split('\n').at(-1) ?? '') as Result };
}

interface Result {
  step: number;
  digest: string;
  loss: number;
  std: number;
}

let quiet: Outcome;

describe('the result is a function of the run, not of the cluster', {
  concurrency: 1,
  timeout: 1_500_000,
}, () => {
  it('one worker: the digest is the SHA-256 of the checkpoint', async (t) => {
    const { run, json } = await trained(t, ['--workers', '1']);
    quiet = outcomeOf(run);
    assert.equal(json.step, steps);
    assert.equal(json.digest, quiet.digest);
    assert.equal(quiet.ledger.toString().trim().split('\n').length, steps);
    const model = join(run, 'checkpoints', 'step-00000008', 'model.safetensors');
    assert.ok(execFileSync('sha256sum', [model]).toString().startsWith(quiet.digest));
  });

  for (const workers of [2, 3, 4])
    it(`${workers} workers give the digest and the ledger of one`, async (t) => {
      const { run } = await trained(t, ['--workers', String(workers)]);
      assertSame(outcomeOf(run), quiet);
    });

  // tf32 is refused without an NVIDIA GPU, bf16 without instructions for it (precision.ts).
  const refusal = precisionRefusal(
    'bf16',
    { backend: 'tensorflow', device: 'CPU' },
    'compiled',
    cpuFlags(),
  );
  it('the same holds in bf16', { skip: refusal ?? false }, async (t) => {
    const few = ['--precision', 'bf16', '--steps', '2'];
    const { run } = await trained(t, [...few, '--workers', '1']);
    const alone = outcomeOf(run, 2);
    const together = await trained(t, [...few, '--workers', '3']);
    assertSame(outcomeOf(together.run, 2), alone);
    const first = (outcome: Outcome) => outcome.ledger.toString().split('\n')[0];
    assert.notEqual(first(alone), first(quiet), 'bf16 computes something else than f32');
  });

  it('a worker killed in the middle of a step changes nothing', async (t) => {
    const run = join(scratch(t), 'run');
    const training = startTandem(t, ['train', ...method, '--run', run, '--workers', '2']);
    await eventsUntil(run, (event) => event.kind === 'step-committed' && event.step === 3);
    const { address } = JSON.parse(readFileSync(join(run, 'coordinator.json'), 'utf8'));
    const status = await runClient(address).status();
    const victim = status.workers.find((worker) => worker.state === 'computing');
    assert.ok(victim, `a worker computes: ${JSON.stringify(status)}`);
    process.kill(victim.pid, 'SIGKILL');
    assert.equal(await training.ended, 0, training.err());
    assertSame(outcomeOf(run), quiet);
    const events = await eventsUntil(run, (event) => event.kind === 'run-done');
    assert.ok(events.some((event) => event.kind === 'worker-left' && event.worker === victim.id));
    assert.ok(events.some((event) => event.kind === 'lease-moved' && event.from === victim.id));
  });

  it('the coordinator killed in the middle of a step loses that step only', async (t) => {
    const run = join(scratch(t), 'run');
    const training = startTandem(t, ['train', ...method, '--run', run, '--workers', '2']);
    await eventsUntil(run, (event) => event.kind === 'step-committed' && event.step === 4);
    const { pid } = JSON.parse(readFileSync(join(run, 'coordinator.json'), 'utf8'));
    process.kill(pid, 'SIGKILL');
    assert.equal(await training.ended, 0, training.err());
    assertSame(outcomeOf(run), quiet);
    const events = await eventsUntil(run, (event) => event.kind === 'run-done');
    const opened = events.filter((event) => event.kind === 'run-opened');
    assert.deepEqual(
      opened.map((event) => event.generation),
      [1, 2],
    );
    assert.match(await tandem(t, ['verify', run]), /every claim holds up to step 8/);
    // Killed between commit and warm slot, it computes that commit again: one step back at most.
    assert.ok((opened[1]?.step ?? 0) >= 3, 'it went on from a warm slot');
    assert.deepEqual(
      events.map((event) => event.seq),
      events.map((_, i) => i + 1),
    );
  });

  it('a run stopped at step 5 and resumed by another number of workers is the same run', async (t) => {
    const { run, json } = await trained(t, ['--workers', '3', '--stop-at', '5']);
    assert.equal(json.step, 5);
    const out = await tandem(t, ['train', ...method, '--run', run, '--workers', '1', '--json']);
    assert.equal((JSON.parse(out.trim()) as Result).digest, quiet.digest);
    assertSame(outcomeOf(run), quiet);
  });

  it('another seed gives another digest', async (t) => {
    const { run } = await trained(t, ['--workers', '2', '--seed', '8']);
    assert.notEqual(outcomeOf(run).digest, quiet.digest);
  });

  it('one bit of one worker’s gradients gives another digest', async (t) => {
    const run = join(scratch(t), 'run');
    const coordinator = startTandem(t, ['coordinator', ...method, '--run', run]);
    const address = await addressOf(coordinator);
    const rogue = startNode(t, [rogueWorker, address, 'flip']);
    assert.equal(await coordinator.ended, 0, coordinator.err());
    assert.equal(await rogue.ended, 0, rogue.err());
    assert.notEqual(outcomeOf(run).digest, quiet.digest);
  });

  it('a finished run prints its result again and exits 0', async (t) => {
    const { run, json } = await trained(t, ['--workers', '2']);
    const out = await tandem(t, ['train', ...method, '--run', run, '--json']);
    assert.deepEqual(JSON.parse(out.trim()), json);
  });
});
