/**
 * The watching promise under fire: 300 steps, the broker killed and started again five times, the
 * coordinator killed twice, a consumer that goes away and comes back. It must see every event
 * once, in order, equal to `events.jsonl`, with nothing but the broker to read from.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { followEvents } from '../../cli/follow.ts';
import { findNatsServer, startBroker } from '../../cli/nats-broker.ts';
import type { RunEvent } from '../../shared/core/events.ts';
import { freePort, natsBinary, natsSkip, startNats, targetAt } from '../support/nats-server.ts';
import { eventsUntil, scratch, startNode } from '../support/processes.ts';

const writer = fileURLToPath(new URL('../support/event-writer.js', import.meta.url));
const steps = 300;

describe('events through outages', { timeout: 300_000, skip: natsSkip }, () => {
  it('every event once, in order, through five broker and two coordinator deaths', async (t) => {
    const folder = scratch(t);
    const run = join(folder, 'stormy');
    const store = join(folder, 'nats');
    mkdirSync(run);
    mkdirSync(store);
    const port = await freePort();
    let server = await startNats(t, port, { store });
    const begin = () => startNode(t, [writer, run, String(port), String(steps)]);
    let coordinator = begin();

    const seen: RunEvent[] = [];
    let consumers = 0;
    const consume = async (): Promise<void> => {
      while (seen.at(-1)?.kind !== 'run-done') {
        consumers += 1;
        const leave = new AbortController();
        const since = seen.at(-1)?.seq ?? 0;
        // It knows the broker and the run's name; folder and coordinator are out of its reach.
        const signal = AbortSignal.any([leave.signal, AbortSignal.timeout(240_000)]);
        const source = { nats: targetAt(port), run: basename(run), since, signal };
        try {
          for await (const event of followEvents({ ...source, onGap: assert.fail })) {
            seen.push(event);
            // The consumer goes away three times, wherever it is.
            if (consumers < 4 && seen.length > 90 * consumers) leave.abort();
          }
        } catch (error) {
          // The broker is away as this consumer comes.
          if (!/no NATS server answers/.test(String(error))) throw error;
        }
      }
    };
    const consuming = consume();

    const reached = (step: number) =>
      eventsUntil(run, (event) => event.kind === 'step-committed' && event.step === step);
    for (const [step, victim] of [
      [30, 'broker'],
      [70, 'coordinator'],
      [90, 'broker'],
      [140, 'broker'],
      [170, 'coordinator'],
      [190, 'broker'],
      [240, 'broker'],
    ] as const) {
      await reached(step);
      if (victim === 'coordinator') {
        coordinator.process.kill('SIGKILL');
        await coordinator.ended;
        coordinator = begin();
        continue;
      }
      const gone = once(server, 'exit');
      server.kill('SIGKILL');
      await gone;
      await reached(step + 10);
      server = await startNats(t, port, { store });
    }
    assert.equal(await coordinator.ended, 0, coordinator.err());
    await consuming;
    const lines = readFileSync(join(run, 'events.jsonl'), 'utf8').trim().split('\n');
    assert.deepEqual(
      seen,
      lines.map((line) => JSON.parse(line) as RunEvent),
    );
    assert.deepEqual(
      seen.map(({ seq }) => seq),
      lines.map((_, i) => i + 1),
    );
    assert.equal(seen.filter((event) => event.kind === 'run-opened').length, 3);
    assert.ok(consumers >= 4);
  });

  it('a server started by --nats auto keeps a stream, and dies with its parent', async (t) => {
    const said: string[] = [];
    const env = { PATH: join(natsBinary ?? '', '..'), HOME: scratch(t) };
    const broker = await startBroker(env, (line) => said.push(line));
    assert.ok(broker, said.join());
    t.after(() => broker.close());
    const port = Number(new URL(broker.url.replace('nats:', 'http:')).port);
    assert.match(broker.url, /^nats:\/\/127\.0\.0\.1:\d+$/);
    const run = join(scratch(t), 'auto');
    const coordinator = startNode(t, [writer, run, String(port), '5']);
    const seen: RunEvent[] = [];
    const signal = AbortSignal.timeout(60_000);
    const source = { nats: targetAt(port), run: 'auto', since: 0, signal };
    assert.equal(await coordinator.ended, 0, coordinator.err());
    // It comes after the end, and the stream still tells all.
    for await (const event of followEvents(source)) seen.push(event);
    assert.equal(seen.length, 7);
    await broker.close();

    const module = JSON.stringify(new URL('../../cli/nats-broker.js', import.meta.url).href);
    const script =
      `import { startBroker } from ${module};` +
      `const b = await startBroker(${JSON.stringify(env)}, () => {});` +
      'console.log(b.url); setInterval(() => {}, 1000);';
    const parent = startNode(t, ['--input-type=module', '-e', script]);
    while (!parent.out().includes('\n')) await once(parent.process.stdout!, 'data');
    parent.process.kill('SIGKILL');
    await parent.ended;
    const orphan = Number(new URL(parent.out().trim().replace('nats:', 'http:')).port);
    // The same port can be listened on again: whoever had it is gone.
    await startNats(t, orphan);
  });

  it('without a nats-server on PATH --nats auto says so and does nothing', async (t) => {
    const said: string[] = [];
    const env = { PATH: scratch(t), HOME: scratch(t) };
    assert.equal(findNatsServer(env), null);
    assert.equal(await startBroker(env, (line) => said.push(line)), null);
    assert.match(said.join(), /^no nats-server on PATH/);
  });
});
