/** Which GPU each worker of this machine gets. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { visibleGpus } from '../../cli/worker-children.ts';

test('workers share out the GPUs that a scheduler left, and else all of the machine', () => {
  assert.deepEqual(visibleGpus(undefined, 3), ['0', '1', '2']);
  assert.deepEqual(visibleGpus('2,5', 8), ['2', '5']);
  assert.deepEqual(visibleGpus(' GPU-ab12 , GPU-cd34', 8), ['GPU-ab12', 'GPU-cd34']);
  for (const none of ['', '-1']) assert.deepEqual(visibleGpus(none, 8), []);
  assert.deepEqual(visibleGpus('3,-1,4', 8), ['3'], 'as CUDA reads it');
});
