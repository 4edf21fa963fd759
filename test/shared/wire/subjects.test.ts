/** NATS subjects of a run: one token for its name, whatever the name. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventSubject, runSubjects, subjectToken } from '../../../shared/wire/subjects.ts';

test('an event goes to tandem.<run>.<kind>, which the subject of the run covers', () => {
  assert.equal(eventSubject('0003', 'step-committed'), 'tandem.0003.step-committed');
  assert.equal(runSubjects('0003'), 'tandem.0003.>');
});

test('no name breaks out of its token', () => {
  for (const name of ['a.b', 'a b', '*', '>', 'a>b', 'é', 'x\r\ny', '', '\u2028'])
    assert.match(subjectToken(name), /^[A-Za-z0-9_-]+$/, JSON.stringify(name));
  assert.equal(subjectToken('Flowers-64_px'), 'Flowers-64_px');
});
