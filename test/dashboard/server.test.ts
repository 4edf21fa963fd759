/** The dashboard's server: what it gives, to whom, and what it never gives. */
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { type TestContext, test } from 'node:test';
import { type Dashboard, serveDashboard } from '../../dashboard/server.ts';
import type { RunEvent } from '../../shared/core/events.ts';
import { emptySummary, fold } from '../../shared/core/summary.ts';
import { type EventList, eventList } from '../support/event-list.ts';

interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: string;
}

function ask(
  dashboard: Dashboard,
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Answer> {
  const { method = 'GET', headers = {}, body = '' } = options;
  return new Promise((resolve, reject) => {
    const url = new URL(dashboard.url);
    const at = { host: '127.0.0.1', port: url.port, path, method, headers, agent: false };
    const asked = request(at, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }),
      );
      response.on('error', reject);
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

async function serve(
  t: TestContext,
  events: EventList,
  access: { host?: string; token?: string } = {},
): Promise<Dashboard> {
  const dashboard = await serveDashboard({
    listen: { host: access.host ?? '127.0.0.1', port: 0 },
    token: access.token ?? null,
    source: { summary: () => events.events.reduce(fold, emptySummary), after: events.after },
  });
  t.after(() => dashboard.close());
  return dashboard;
}

/** The messages of a stream that has ended. */
const messages = (body: string) =>
  body
    .split('\n\n')
    .filter((part) => part.includes('event: '))
    .map((part) => ({
      kind: /^event: (.*)$/m.exec(part)?.[1],
      id: Number(/^id: (.*)$/m.exec(part)?.[1]),
      value: JSON.parse(/^data: (.*)$/m.exec(part)?.[1] ?? 'null') as RunEvent,
    }));

test('the page, its scripts and the fold are there, under a policy that allows nothing else', async (t) => {
  const dashboard = await serve(t, eventList(3));
  for (const path of ['/', '/page/app.js', '/page/style.css', '/core/summary.js']) {
    const { status, headers, body } = await ask(dashboard, path);
    assert.equal(status, 200, path);
    assert.ok(body.length > 100);
    assert.match(String(headers['content-security-policy']), /default-src 'none'/);
    assert.equal(headers['x-content-type-options'], 'nosniff');
    // Every script that a script imports is served too.
    for (const [, from = ''] of body.matchAll(/from '(\.[^']+)'/g)) {
      const file = new URL(from, new URL(path, dashboard.url)).pathname;
      assert.equal((await ask(dashboard, file)).status, 200, `${path} imports ${file}`);
    }
  }
});

test('nothing but the closed list of files is served', async (t) => {
  const dashboard = await serve(t, eventList(3));
  for (const path of [
    '/package.json',
    '/page/../../package.json',
    '/page/%2e%2e/server.ts',
    '/core/../../../etc/passwd',
    '//etc/passwd',
    '/page/',
  ])
    assert.ok([404, 400].includes((await ask(dashboard, path)).status), path);
  assert.equal((await ask(dashboard, '/', { method: 'DELETE' })).status, 405);
  assert.equal((await ask(dashboard, '/api/summary', { method: 'POST' })).status, 405);
});

test('a stream gives every event after the last one seen, and a summary to who is far behind', async (t) => {
  const events = eventList(2000);
  const dashboard = await serve(t, events);
  events.end();
  const headers = { 'Last-Event-ID': '1900' };
  const near = messages((await ask(dashboard, '/api/events?since=3', { headers })).body);
  assert.deepEqual(
    near.map(({ kind, id }) => [kind, id]).slice(0, -1),
    Array.from({ length: 100 }, (_, i) => ['run', 1901 + i]),
  );
  assert.equal(near.at(-1)?.kind, 'end');
  const far = messages((await ask(dashboard, '/api/events')).body);
  assert.deepEqual(
    far.map(({ kind }) => kind),
    ['summary', 'end'],
  );
  assert.equal(far[0]?.value.seq, 2000);
  const log = JSON.parse((await ask(dashboard, '/api/log?before=801')).body) as RunEvent[];
  assert.deepEqual(
    log.map(({ seq }) => seq),
    Array.from({ length: 500 }, (_, i) => 301 + i),
  );
});

test('a foreign Host is refused, on loopback too', async (t) => {
  const dashboard = await serve(t, eventList(3));
  for (const host of ['evil.example', 'localhost.evil.example', 'evil.example:80'])
    assert.equal((await ask(dashboard, '/', { headers: { Host: host } })).status, 421, host);
  const port = new URL(dashboard.url).port;
  for (const host of [`localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`])
    assert.equal((await ask(dashboard, '/', { headers: { Host: host } })).status, 200, host);
});

test('off loopback there is no dashboard without a token', async () => {
  const listen = { host: '0.0.0.0', port: 0 };
  const source = { summary: () => emptySummary, after: eventList().after };
  await assert.rejects(serveDashboard({ listen, token: null, source }), /token-file/);
});

test('without the token nothing is given away; with it a cookie opens everything', async (t) => {
  const events = eventList(5);
  const dashboard = await serve(t, events, { host: '0.0.0.0', token: 'open-sesame' });
  for (const path of [
    '/api/summary',
    '/api/events',
    '/api/log',
    '/page/app.js',
    '/core/summary.js',
  ]) {
    const { status, body } = await ask(dashboard, path);
    assert.equal(status, 401, path);
    assert.doesNotMatch(body, /test|é/);
  }
  const login = await ask(dashboard, '/');
  assert.equal(login.status, 401);
  assert.match(login.body, /needs its token/);
  const post = (token: string) =>
    ask(dashboard, '/login', {
      method: 'POST',
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
      body: `token=${token}`,
    });
  const wrong = await post('open-sesam');
  assert.equal(wrong.status, 403);
  assert.equal(wrong.headers['set-cookie'], undefined);
  const right = await post('open-sesame');
  assert.equal(right.status, 303);
  const cookie = String(right.headers['set-cookie']);
  assert.match(cookie, /HttpOnly; SameSite=Strict/);
  assert.doesNotMatch(cookie, /sesame/);
  const headers = { Cookie: cookie.split(';')[0] ?? '' };
  assert.equal((await ask(dashboard, '/api/summary', { headers })).status, 200);
  const forged = { Cookie: 'tandem_dashboard=open-sesame' };
  assert.equal((await ask(dashboard, '/api/summary', { headers: forged })).status, 401);
});
