/** `data preview`: a real picture by a real process; what TensorFlow says of itself stays inside. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import sharp from 'sharp';
import { isChatter, withoutStamp } from '../../cli/tensorflow-lines.ts';
import { scratch, startTandem } from '../support/processes.ts';

test('a preview is a picture, said in one line; an image that is cut short is named', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-preview-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const noise = { type: 'gaussian', mean: 128, sigma: 40 } as const;
  const image = sharp({
    create: { width: 40, height: 30, channels: 3, background: '#555', noise },
  });
  const jpeg = await image.jpeg().toBuffer();
  writeFileSync(join(folder, 'a.jpg'), jpeg);
  writeFileSync(join(folder, 'cut.jpg'), jpeg.subarray(0, 700));
  const out = join(scratch(t), 'sheet.png');
  const small = ['--size', '32', '--model', 'resnet18-cifar'];
  const preview = startTandem(t, ['data', 'preview', '--data', folder, '--out', out, ...small]);
  assert.equal(await preview.ended, 0, preview.err());
  assert.match(preview.out(), /sheet\.png: 2 pairs: each image, its view 1 and its view 2\n$/);
  assert.match(preview.err(), /^cut\.jpg: [^\n]+\n$/, 'nothing else is said');
  const { format, width = 0 } = await sharp(out).metadata();
  assert.equal(format, 'png');
  assert.ok(width > 3 * 32);
});

test("TensorFlow's chatter is told from its warnings and errors", () => {
  const stamp = '0000 00:00:1795500945.105850   32249';
  assert.ok(isChatter(`I${stamp} port.cc:153] oneDNN custom operations are on.`));
  assert.ok(isChatter('WARNING: All log messages before absl::InitializeLog() is called are'));
  const uint8 =
    'util.cc:131] oneDNN supports DT_UINT8 only on platforms with AVX-512. Falling back';
  assert.ok(isChatter(`E${stamp} ${uint8}`));
  const cuda = 'cuda.cc:1] failed call to cuInit';
  assert.ok(!isChatter(`E${stamp} ${cuda}`));
  assert.equal(withoutStamp(`E${stamp} ${cuda}`), `E ${cuda}`);
  assert.equal(withoutStamp('tandem: a line of ours'), 'tandem: a line of ours');
});
