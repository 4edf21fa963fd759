/** The sample list as text: there and back, and no silent loss. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseLeftOut, parseSamples, samplesToJsonl } from '../../../shared/wire/samples.ts';

const samples = [
  { index: 0, path: 'rose/"1".jpg', sha256: 'a'.repeat(64), bytes: 12, label: 'rose' },
  { index: 1, path: 'ü\n\u2028.png', sha256: 'b'.repeat(64), bytes: 0, label: null },
];
const leftOut = [{ path: '.DS_Store', reason: 'hidden' }];

test('a list comes back as it went, left-out files apart', () => {
  const text = samplesToJsonl(samples, leftOut);
  assert.deepEqual(parseSamples(text), samples);
  assert.deepEqual(parseLeftOut(text), leftOut);
  assert.deepEqual(parseSamples(''), []);
});

test('a list cut anywhere but at a line end is refused, naming the line', () => {
  const text = samplesToJsonl(samples);
  const first = text.indexOf('\n') + 1;
  for (let end = first + 1; end < text.length; end++) {
    assert.throws(() => parseSamples(text.slice(0, end)), {
      code: 'bad-message',
      message: /Line 2/,
    });
  }
});

test('a line with a wrong field is refused', () => {
  const line = { path: 'a.jpg', sha256: 'a'.repeat(64), bytes: 1, label: null };
  const wrong = [
    { path: '' },
    { sha256: 'A'.repeat(64) },
    { bytes: -1 },
    { bytes: 0.5 },
    { label: 3 },
  ];
  for (const change of wrong) {
    const text = `${JSON.stringify({ ...line, ...change })}\n`;
    assert.throws(() => parseSamples(text), { code: 'bad-message' }, text);
  }
  for (const text of ['\n', '7\n', 'null\n', '{"path":1,"leftOut":"x"}\n']) {
    assert.throws(() => [parseSamples(text), parseLeftOut(text)], { code: 'bad-message' }, text);
  }
});

test('stretches of a list join to the whole list', () => {
  const parts = samples.map((sample) => samplesToJsonl([sample]));
  assert.equal(parts.join(''), samplesToJsonl(samples));
  assert.deepEqual(parseSamples(parts.join('')), samples);
});

test('samples out of their order are never written', () => {
  assert.throws(() => samplesToJsonl([samples[1]!, samples[0]!]), /stands at 2/);
  assert.throws(() => samplesToJsonl([samples[0]!, samples[0]!]), /stands at 1/);
});
