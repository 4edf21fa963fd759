/**
 * Where an evaluation is kept: `evaluations/KIND-step-STEP-HASH.json` in its run folder, the picture of
 * its confusion beside it.
 */
import { join } from 'node:path';
import { sha256Text } from '../coordinator/shell/ledger-file.ts';
import { makeFolder, replaceFile } from '../shared/adapters/durable.ts';
import { canonicalJson } from '../shared/core/canonical-json.ts';
import { confusionPlot } from '../shared/core/confusion-plot.ts';
import { type Evaluation, evaluationsFolder } from '../shared/core/evaluation.ts';

/** The same question has the same name: asked again, its answer replaces the one before. */
export async function keepEvaluation(folder: string, evaluation: Evaluation): Promise<string> {
  const { kind, digest, data, protocol, probes, checkpoint } = evaluation;
  const seeds = probes.map(({ seed }) => seed);
  const { calibrated } = checkpoint;
  const question = sha256Text(
    canonicalJson({ digest, data: { ...data }, protocol: { ...protocol }, seeds, calibrated }),
  );
  const step = String(checkpoint.step).padStart(8, '0');
  const place = join(folder, evaluationsFolder);
  const file = join(place, `${kind}-step-${step}-${question.slice(0, 12)}.json`);
  await makeFolder(place);
  await replaceFile(file, `${JSON.stringify(evaluation, null, 2)}\n`);
  const picture = confusionPlot(evaluation);
  if (picture !== null) await replaceFile(file.replace(/json$/, 'svg'), picture);
  return file;
}
