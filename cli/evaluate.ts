/**
 * An evaluation from its request to its file: network, data, split; features by workers on this
 * machine (and any that join); the probe or the vote here; `evaluations/….json` in the run folder.
 */
import { setImmediate as yieldLoop } from 'node:timers/promises';
import { openDataset } from '../shared/adapters/open-dataset.ts';
import { checkSize } from '../shared/core/config.ts';
import {
  type EvaluatedData,
  type Evaluation,
  evaluationVersion,
  type Protocol,
} from '../shared/core/evaluation.ts';
import {
  type Measured,
  type MeasureProgress,
  measureClassifier,
  measureKnn,
  measureLinear,
} from '../shared/core/evaluate-features.ts';
import { evaluationSplit, type SplitChoice } from '../shared/core/evaluation-split.ts';
import { Failure } from '../shared/core/failures.ts';
import { featureStd } from '../shared/core/feature-statistics.ts';
import { type Labels, labelled } from '../shared/core/labels.ts';
import { classifierOf } from './classifier.ts';
import { type EvaluatedNetwork, evaluatedNetwork } from './evaluated-network.ts';
import {
  type EvaluatedImages,
  type EvaluationWatcher,
  extract,
  type ExtractRequest,
} from './extract.ts';
import { keepEvaluation } from './keep-evaluation.ts';

export interface EvaluationRequest extends ExtractRequest {
  /** Run folder, or one of its checkpoint folders. */
  target: string;
  /** Null: the newest, or the one that `target` names. */
  step: number | null;
  /** Another data set than the run's; null: the run's, where it lay. */
  data: string | null;
  split: SplitChoice['split'];
  stopOn: SplitChoice['stopOn'];
  /** Null: what the run held out, or 0.15. */
  share: number | null;
  /** Of the split; null: the run's. */
  splitSeed: number | null;
  protocol: Protocol;
  seeds: readonly number[];
}

const presetShare = 0.15;

/** The images of the request: the run's own, or another data set. */
async function imagesOf(
  network: EvaluatedNetwork,
  asked: string | null,
  signal: AbortSignal,
  watcher: EvaluationWatcher,
): Promise<EvaluatedImages> {
  if (asked !== null) {
    const onProgress = ({ done, total }: { done: number; total: number }) =>
      watcher.progress('indexing', done, total);
    const { samples, fingerprint } = await openDataset(asked).index(onProgress, signal);
    return { samples, fingerprint, data: asked };
  }
  const { samples, fingerprint, data, folder } = network;
  if (samples === null || fingerprint === null || data === null)
    throw new Failure(
      'bad-option',
      `${folder} does not say where its images lie: give --data DIR.`,
    );
  return { samples, fingerprint, data };
}

/** Runs a measure, yielding to the loop between its steps. */
async function measured(
  steps: Generator<MeasureProgress, Measured>,
  signal: AbortSignal,
  watcher: EvaluationWatcher,
): Promise<Measured> {
  for (;;) {
    const turn = steps.next();
    if (turn.done === true) return turn.value;
    const { seed, done, of } = turn.value;
    watcher.progress(seed === undefined ? 'votes' : `probe of seed ${seed}, epochs`, done, of);
    await yieldLoop();
    signal.throwIfAborted();
  }
}

function classesOf({ samples, data }: EvaluatedImages): Labels {
  const labels = labelled(samples);
  if (labels !== null) return labels;
  throw new Failure(
    'data-unlabelled',
    `an evaluation needs classes: the first folder of each path of ${data} must name one, and ` +
      'there must be two or more. Give such a folder with --data',
  );
}

/** Runs it; the evaluation and the file in which it lies now. */
export async function evaluate(
  request: EvaluationRequest,
  signal: AbortSignal,
  watcher: EvaluationWatcher,
): Promise<{ evaluation: Evaluation; file: string }> {
  const network = await evaluatedNetwork(request.target, request.step, signal, watcher.note);
  if (request.size !== null) checkSize(network.method.model, request.size);
  const images = await imagesOf(network, request.data, signal, watcher);
  const labels = classesOf(images);
  const { method } = network;
  const choice: SplitChoice = {
    split: request.split,
    stopOn: kindOf(request.protocol) === 'linear' ? request.stopOn : 'measured',
    share: request.share ?? (method.validation || presetShare),
    seed: request.splitSeed ?? method.seed,
  };
  warnOfSeen(choice, network, images, watcher);
  const split = evaluationSplit(choice, images.samples.length);
  const rows = await extract(request, network, images, split, signal, watcher);
  const { features, width, backbone, device } = rows;
  const measurable = { features, width, labels, split };
  const { protocol } = request;
  const result =
    protocol.name === 'classifier'
      ? measureClassifier(measurable, classifierOf(network, labels))
      : await measured(
          protocol.name === 'knn'
            ? measureKnn(measurable, protocol)
            : measureLinear(measurable, protocol, request.seeds),
          signal,
          watcher,
        );
  const data: EvaluatedData = {
    name: images.data.split(/[\\/]/).findLast((part) => part !== '') ?? images.data,
    fingerprint: images.fingerprint,
    images: images.samples.length,
    size: request.size ?? method.size,
    split: choice.split,
    share: choice.share,
    seed: choice.seed,
    learned: split.learned.length,
    stoppedOn: split.stopped === split.measured ? 0 : split.stopped.length,
  };
  const { model, precision } = method;
  const { digest, step, epoch } = network;
  const evaluation: Evaluation = {
    version: evaluationVersion,
    kind: kindOf(protocol),
    ...result,
    digest,
    checkpoint: {
      ...{ run: network.name, step, epoch, digest, model, precision, backbone },
      calibrated: request.calibrate,
      ...(network.imported === undefined ? {} : { imported: network.imported }),
    },
    data,
    protocol,
    featureStd: featureStd(features, width),
    featureWidth: width,
    features: rows.sha256,
    device,
    time: new Date().toISOString(),
  };
  return { evaluation, file: await keepEvaluation(network.folder, evaluation) };
}

const kindOf = ({ name }: Protocol): Evaluation['kind'] =>
  name === 'knn' || name === 'classifier' ? name : 'linear';

/**
 * Measured images that training saw are no lie, but the reader should know; nor is a choice on images
 * that the run held out for its result.
 */
function warnOfSeen(
  choice: SplitChoice,
  network: EvaluatedNetwork,
  images: EvaluatedImages,
  { note }: EvaluationWatcher,
): void {
  const { validation = 0, seed } = network.method;
  if (images.fingerprint !== network.fingerprint || network.step === 0) return;
  const labels = network.sawLabels ? 'with their labels' : 'without labels';
  const sameSeed = choice.seed === seed;
  if (choice.split === 'training') {
    if (validation > 0 && !(sameSeed && choice.share >= validation))
      note('warning: this split is not the run’s: it may measure images that the run held out');
    return;
  }
  // The last share of one permutation: a smaller one lies within it.
  if (validation > 0 && sameSeed && choice.share <= validation) return;
  note(
    validation > 0
      ? `warning: training held out other images than those measured here; it saw some (${labels})`
      : `warning: training saw the images measured here (${labels}): train with --validation to ` +
          'hold some out',
  );
}
