/**
 * An encoder folder with TensorFlow: a report shows what it holds for alike, pictures in the page.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { importEncoder } from '../../cli/import-encoder.ts';
import { writeEncoderFolder } from '../../shared/adapters/encoder-folder.ts';
import { architecture } from '../../shared/core/architecture.ts';
import { encoderTensors } from '../../shared/core/encoder-naming.ts';
import { encoderVersion } from '../../shared/core/encoder-record.ts';
import { initialStatistics, initialWeights } from '../../shared/core/initialise.ts';
import { preprocessingAt } from '../../shared/core/preprocessing.ts';
import { toTorch } from '../../shared/core/torch-layout.ts';
import { scratch, startTandem, tandem } from '../support/processes.ts';
import { tinyPhotographs } from '../support/small-run.ts';

const model = 'resnet18-cifar';

/** Drawn weights in PyTorch's layout, exported and imported again. */
async function encoder(folder: string): Promise<string> {
  const net = architecture(model);
  const [weights, statistics] = [initialWeights(net, 3), initialStatistics(net)];
  const tensors = encoderTensors(model).map(({ name, shape, spec, kind }) => {
    const from = kind === 'parameter' ? weights : statistics;
    const values = from.subarray(spec.offset, spec.offset + spec.length);
    return { name, shape, values: toTorch(values, spec.shape) };
  });
  const source = {
    kind: 'file',
    file: 'x',
    sha256: '0'.repeat(64),
    naming: 'torchvision',
  } as const;
  const { featureWidth } = net;
  await writeEncoderFolder(join(folder, 'made'), {
    ...{ tensors, heads: [], card: () => '' },
    record: {
      version: encoderVersion,
      model,
      featureWidth,
      preprocessing: preprocessingAt(16),
      source,
    },
  });
  const out = join(folder, 'drawn');
  const file = join(folder, 'made', 'encoder.safetensors');
  await importEncoder({ file, out, size: 16, signal: new AbortController().signal });
  return out;
}

describe('an imported encoder', { timeout: 600_000 }, () => {
  it('is shown by what it holds for alike', async (t: TestContext) => {
    const folder = scratch(t);
    const target = await encoder(folder);
    const out = join(folder, 'report.html');
    await tandem(t, ['report', target, '--out', out, '--gallery', '--data', 'synthetic:48']);
    const page = readFileSync(out, 'utf8');
    const rows = page.match(/<div class="nearest"/g) ?? [];
    const pictures = page.match(/<img src="data:image\/jpeg;base64,[A-Za-z0-9+/=]{200,}"/g) ?? [];
    assert.deepEqual([rows.length, pictures.length], [8, 8 * 7]);
    assert.match(page, /drawn, encoder: nearest of 48 images/);
    assert.doesNotMatch(page, /<section id="losses"/);

    const refused = startTandem(t, ['report', target, '--out', out, '--gallery']);
    assert.equal(await refused.ended, 64);
    assert.match(refused.err(), /has no images of its own: give --data DIR/);

    // What nobody can decode is gray, and told in one line.
    const torn = await tinyPhotographs(join(folder, 'torn'), 12, [3, 4, 5, 6, 7]);
    const page2 = join(folder, 'torn.html');
    const gray = startTandem(t, ['report', target, '--out', page2, '--gallery', '--data', torn]);
    assert.equal(await gray.ended, 0);
    const told = gray.err().match(/^.*gray.*$/gm) ?? [];
    assert.deepEqual(told, [
      'tandem: 5 of 12 images cannot be decoded and are gray: 003.png, 004.png, 005.png and 2 more',
    ]);
    assert.doesNotMatch(gray.err(), /do not decode/);
  });
});
