/**
 * The run's events to NATS, where a server is named: what is said about it becomes a warning in the
 * events themselves, so that whoever watches the file knows that others see less.
 */
import { natsTarget } from '../../shared/adapters/nats-connection.ts';
import { type EventPublisher, natsPublisher } from '../../shared/adapters/nats-publisher.ts';
import { recordEvent } from './record-event.ts';
import type { RunContext } from './run-context.ts';

/** Null where no server is named. Throws `bad-option` where a file of secrets cannot be used. */
export function openPublisher(
  context: RunContext,
  say: (line: string) => void,
  env: NodeJS.ProcessEnv = process.env,
): EventPublisher | null {
  const { config, name, events, plan } = context;
  // `auto` is the supervisor's business; where it started a server it names it here.
  const nats = config.nats === 'auto' ? env['TANDEM_NATS'] : config.nats;
  if (!nats) return null;
  return natsPublisher({
    target: natsTarget({ ...config, nats }, `tandem ${name}`, env),
    run: name,
    source: events,
    beat: () => ({
      run: name,
      generation: plan.generation,
      seq: events.seq,
      step: context.model.step,
      time: new Date().toISOString(),
    }),
    say: (state, message) => {
      say(message);
      if (state === 'connected') return;
      const because = 'watchers refill from the coordinator; training does not wait';
      const body = { kind: 'warning', code: 'nats', message } as const;
      recordEvent(context, body, because).catch(() => undefined);
    },
  });
}
