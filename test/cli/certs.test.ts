/** `tandem certs` again: what is not named anew stays as it was, and what was kept is said. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { command } from '../support/command.ts';
import { scratch } from '../support/processes.ts';

const hosts = ['10.0.0.1', 'coordinator.example', '2001:db8::1'];

test('a renewal without hosts and workers keeps those that are there', async (t) => {
  const out = join(scratch(t), 'certs');
  const read = (file: string) => new X509Certificate(readFileSync(join(out, `${file}.crt`)));
  const workers = ['--workers', 'gpu-1,gpu-2'];
  const first = await command(['certs', '--out', out, '--hosts', hosts.join(','), ...workers]);
  assert.doesNotMatch(first.out, /kept without/);
  const before = ['ca', 'coordinator', 'worker-gpu-1', 'worker-gpu-2'].map(read);

  const { code, out: said } = await command(['certs', '--out', out, '--days', '30']);
  assert.equal(code, 0);
  const after = ['ca', 'coordinator', 'worker-gpu-1', 'worker-gpu-2'].map(read);
  assert.equal(after[0]?.serialNumber, before[0]?.serialNumber, 'the authority stays');
  for (const i of [1, 2, 3])
    assert.notEqual(after[i]?.serialNumber, before[i]?.serialNumber, 'the others are new');
  for (const host of hosts.slice(0, 1).concat('127.0.0.1'))
    assert.equal(after[1]?.checkIP(host), host);
  assert.equal(after[1]?.checkHost('coordinator.example'), 'coordinator.example');
  assert.equal(after[1]?.subjectAltName, before[1]?.subjectAltName);
  assert.match(after[2]?.subject ?? '', /CN=gpu-1/);
  assert.match(said, /kept without --hosts, from .*coordinator\.crt: 10\.0\.0\.1, .*2001:db8::1\n/);
  assert.match(said, /kept without --workers, from .*worker-NAME\.crt: gpu-1, gpu-2\n/);
});

test('named hosts and workers take the place of those that were', async (t) => {
  const out = join(scratch(t), 'certs');
  await command(['certs', '--out', out, '--hosts', hosts.join(','), '--workers', 'gpu-1']);
  const old = readFileSync(join(out, 'worker-gpu-1.crt'), 'utf8');
  const argv = ['certs', '--out', out, '--hosts', 'other.example', '--workers', 'gpu-3'];
  const { out: said } = await command(argv);
  assert.doesNotMatch(said, /kept without/);
  const { subjectAltName } = new X509Certificate(readFileSync(join(out, 'coordinator.crt')));
  assert.match(subjectAltName ?? '', /other\.example/);
  assert.doesNotMatch(subjectAltName ?? '', /10\.0\.0\.1|coordinator\.example/);
  assert.equal(readFileSync(join(out, 'worker-gpu-1.crt'), 'utf8'), old);
});

test('a coordinator.crt that says nothing is refused, and nothing is renewed', async (t) => {
  const out = join(scratch(t), 'certs');
  await command(['certs', '--out', out, '--hosts', hosts.join(',')]);
  const worker = readFileSync(join(out, 'worker.crt'), 'utf8');
  writeFileSync(join(out, 'coordinator.crt'), 'garbage');
  const { code, err } = await command(['certs', '--out', out]);
  assert.equal(code, 78);
  assert.match(
    err,
    /coordinator\.crt does not say .*Give --hosts, or another --out.*certificate\)/,
  );
  assert.equal(readFileSync(join(out, 'worker.crt'), 'utf8'), worker);
  assert.equal((await command(['certs', '--out', out, '--hosts', 'a.example'])).code, 0);
});
