/**
 * The composition root of an evaluation: serves one network to workers until they have extracted
 * the features of every image, and gives them back.
 *
 * `calibrate` first measures the backbone's running statistics over the images that come first: the
 * mean over chunks of their batch moments, in f64 in the order of the list. An untrained network
 * has none of its own, and without them its features are not what anybody would measure.
 */
import { TrainingService, tunedServer } from '../shared/adapters/grpc.ts';
import { architecture } from '../shared/core/architecture.ts';
import type { Architecture } from '../shared/core/architecture-types.ts';
import type { Config } from '../shared/core/config.ts';
import { asFailure, Failure } from '../shared/core/failures.ts';
import type { Method } from '../shared/core/method.ts';
import type { Sample } from '../shared/core/sample.ts';
import type { Dataset } from '../shared/ports/dataset.ts';
import { protoVersion, silenceMs } from '../shared/wire/limits.ts';
import { initialState, type SurveyPlan } from './core/state.ts';
import { bind, closeServer, listenAddress } from './main.ts';
import { type Door, openDoor } from './shell/door.ts';
import { earlyWeights } from './shell/early-weights.ts';
import { startEvaluationLoop } from './shell/evaluation-loop.ts';
import { backboneHash, type ModelCopy, modelState } from './shell/model-state.ts';
import type { Served } from './shell/run-context.ts';
import { stepMeter } from './shell/step-meter.ts';
import { surveyImagesMax } from './shell/survey-features.ts';
import { trainingService } from './shell/training-service.ts';

export interface ExtractionOptions {
  /** Name of the run, for workers' words. */
  name: string;
  /** With the size of the evaluation's images. */
  method: Method;
  fingerprint: string;
  /** Calibrated statistics take the place of its own. */
  copy: ModelCopy;
  step: number;
  /** Numbered from 0; the first `calibrate` of them measure the running statistics. */
  samples: Sample[];
  dataset: Dataset;
  calibrate: number;
  /** Where it listens, and who is let in. */
  config: Config;
  signal: AbortSignal;
  onListening: (address: string) => void;
  onProgress: (done: number, total: number) => void;
  say: (line: string) => void;
}

export interface Extraction {
  /** [samples, width] */
  features: Float32Array;
  width: number;
  /** SHA-256 over the backbone's weights and statistics, as served to every worker. */
  backbone: string;
  /** What the first worker said of itself. */
  device: string;
}

/** Rejects with a `Failure`; `interrupted` where the signal fires. */
export async function extractFeatures(options: ExtractionOptions): Promise<Extraction> {
  const { samples, calibrate, method, signal } = options;
  if (samples.length > surveyImagesMax)
    throw new Failure(
      'bad-option',
      `an evaluation keeps the features of at most ${surveyImagesMax} images in memory; found ` +
        `${samples.length}. Evaluate a part of them`,
    );
  const net = architecture(method.model, method.classes?.length);
  const features: SurveyPlan = { work: 'features', images: samples.length };
  const moments: SurveyPlan = { work: 'moments', images: calibrate };
  const listen = listenAddress(options.config);
  const door = openDoor(options.config, options.say);
  const served = servedFrom(options, net, door, calibrate > 0 ? [moments, features] : [features]);
  const { model } = served;
  let extracted: Float32Array | null = null;
  let backbone = backboneHash(net, model.current);
  const state = initialState(served.plan, options.step, null, null, false);
  const loop = startEvaluationLoop(served, state, {
    say: options.say,
    onTurn: ({ survey }) => {
      if (survey?.work !== 'features') return;
      options.onProgress(
        survey.chunks.filter((chunk) => chunk === '').length,
        survey.chunks.length,
      );
    },
    use(work, values) {
      if (work === 'features') {
        extracted = values;
        return;
      }
      calibrated(net, values, model.current.statistics);
      options.copy.statistics.set(model.current.statistics);
      backbone = backboneHash(net, model.current);
    },
  });
  const server = tunedServer(door.guard);
  server.addService(
    TrainingService.service,
    trainingService(served, () => loop),
  );
  const { host } = listen;
  const port = await bind(server, listen, door.credentials);
  const tick = setInterval(() => loop.dispatch({ kind: 'tick' }), 1000);
  const stop = () =>
    loop.dispatch({ kind: 'stop-requested', reason: asFailure(signal.reason).message });
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  try {
    options.onListening(`${host.includes(':') ? `[${host}]` : host}:${port}`);
    await loop.ended;
  } finally {
    clearInterval(tick);
    signal.removeEventListener('abort', stop);
    for (const link of served.links.values()) link.close('the evaluation ended');
    await closeServer(server);
    door.close();
  }
  if (extracted === null) throw new Error('an evaluation without features');
  if (backboneHash(net, model.current) !== backbone)
    throw new Failure('internal', 'the backbone changed while its features were extracted');
  const device = served.run.deviceClass?.description ?? '';
  return { features: extracted, width: net.featureWidth, backbone, device };
}

function servedFrom(
  { name, method, fingerprint, copy, step, samples, dataset }: ExtractionOptions,
  net: Architecture,
  door: Door,
  surveys: readonly SurveyPlan[],
): Served {
  return {
    name,
    plan: {
      // Nothing is committed, so there is nothing to fence.
      generation: 1,
      protoVersion,
      leaves: method.batch / method.microBatch,
      totalSteps: method.totalSteps,
      stopAt: null,
      minWorkers: 1,
      checkpointEvery: 1,
      mixedDevices: false,
      knn: false,
      samples: samples.length,
      silenceMs,
      seed: method.seed,
      audit: 0,
      surveys,
    },
    run: {
      version: 1,
      method,
      fingerprint,
      samples: samples.length,
      deviceClass: null,
      identity: null,
      reproducible: true,
    },
    samples,
    dataset,
    model: modelState(net, copy, step, undefined, method.precision),
    early: earlyWeights(),
    meter: stepMeter(),
    door,
    links: new Map(),
    byHash: null,
    survey: null,
  };
}

/** Means over the chunks become the backbone's running statistics; those of the heads stay. */
function calibrated(net: Architecture, moments: Float32Array, statistics: Float32Array): void {
  const chunks = moments.length / net.statisticCount;
  for (const { name, offset, length } of net.statistics) {
    if (!name.startsWith('encoder.')) continue;
    for (let i = offset; i < offset + length; i += 1) {
      let sum = 0;
      for (let chunk = 0; chunk < chunks; chunk += 1)
        sum += moments[chunk * net.statisticCount + i] ?? 0;
      statistics[i] = sum / chunks;
    }
  }
}
