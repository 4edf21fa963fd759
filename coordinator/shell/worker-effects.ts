/**
 * The effects that are a word to one worker: the same for a run that trains and for an evaluation.
 */
import { sha256Of } from '../../shared/adapters/fingerprint.ts';
import { failures } from '../../shared/core/failures.ts';
import { heartbeatMs } from '../../shared/wire/limits.ts';
import { bytesOf } from '../../shared/wire/tensors.ts';
import { type Effect, surveyChunk } from '../core/state.ts';
import type { Served } from './run-context.ts';
import { surveyLength } from './survey-features.ts';

/** Sends what the effect says, the open step being `step`; false where it is no such effect. */
export function tellWorker(served: Served, effect: Effect, step: number): boolean {
  const { plan, model, run } = served;
  if (!('worker' in effect)) return false;
  const link = served.links.get(effect.worker);
  switch (effect.kind) {
    case 'welcome':
      link?.send({
        welcome: {
          generation: plan.generation,
          run: served.name,
          method: JSON.stringify(run.method),
          fingerprint: run.fingerprint,
          samples: plan.samples,
          heartbeatMs,
          step,
          session: link?.session ?? '',
          protoVersion: effect.protoVersion,
        },
      });
      return true;
    case 'admit':
      link?.send({ admitted: { identity: run.identity ?? '' } });
      return true;
    case 'refuse': {
      const { code, message } = effect;
      link?.send({ refused: { code, message, remedy: failures[code].remedy } });
      dropLink(served, effect.worker, message);
      return true;
    }
    case 'disconnect':
      dropLink(served, effect.worker, effect.reason);
      return true;
    case 'survey-lease': {
      const { work, chunk, gray } = effect;
      served.survey ??= new Float32Array(surveyLength(served, work));
      link?.send({
        surveyLease: {
          ...{ generation: plan.generation, step: model.step, work, chunk, gray },
          chunkSize: surveyChunk,
          weightsHash: model.sent.hash,
          statisticsHash: sha256Of(bytesOf(model.current.statistics)),
        },
      });
      return true;
    }
    case 'drain':
      link?.send({ drain: { reason: 'it is asked to leave' } });
      return true;
    case 'release':
      link?.send({ released: {} });
      dropLink(served, effect.worker, 'it was drained');
      return true;
    default:
      return false;
  }
}

function dropLink(served: Served, id: string, reason: string): void {
  served.links.get(id)?.close(reason);
  served.links.delete(id);
}
