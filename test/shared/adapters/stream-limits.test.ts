/** Calls whose peers stand still, at a real server: the one that stood for longest is reset. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { limitStreams } from '../../../shared/adapters/stream-limits.ts';
import {
  foreignCallsMax,
  unfinishedBytesMax,
  unreadBytesMax,
} from '../../../shared/wire/limits.ts';

type Handler = (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void;

async function served(t: TestContext, handle: Handler): Promise<http2.ClientHttp2Session> {
  const server = http2.createServer({
    maxSessionMemory: 1000,
    settings: { initialWindowSize: 4 * 1024 * 1024 },
  });
  server.on('stream', (stream, headers) => {
    stream.on('error', () => undefined);
    handle(stream, headers);
  });
  limitStreams(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = http2.connect(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: 0 } });
  t.after(() => {
    client.destroy();
    server.close();
  });
  await once(client, 'connect');
  return client;
}

const call = (client: http2.ClientHttp2Session, path = '/tandem.v1.RunService/WatchEvents') => {
  const stream = client.request({ ':method': 'POST', ':path': path, 'grpc-encoding': 'gzip' });
  stream.on('error', () => undefined);
  return stream;
};

test('of responses that nobody reads the oldest is reset once they pass the bound', async (t) => {
  const each = 32 * 1024 * 1024;
  const client = await served(t, (stream, headers) => {
    assert.equal(headers['grpc-encoding'], 'gzip, not spoken here');
    stream.respond({ ':status': 200 });
    stream.write(Buffer.alloc(each));
  });
  const first = call(client);
  first.end();
  await once(first, 'response');
  const closed = once(first, 'close');
  const others = [];
  for (let i = 1; i * each < unreadBytesMax; i += 1) {
    const other = call(client);
    other.end();
    await once(other, 'response');
    others.push(other);
  }
  await closed;
  assert.ok(others.every((other) => !other.destroyed));
});

test('of messages that are begun and not ended the oldest is reset once they pass the bound', async (t) => {
  const each = 2 * 1024 * 1024;
  const client = await served(t, (stream) => stream.on('data', () => undefined));
  const begun = (): http2.ClientHttp2Stream => {
    const stream = call(client);
    const head = Buffer.alloc(5);
    head.writeUInt32BE(each, 1);
    stream.write(Buffer.concat([head, Buffer.alloc(each - 1)]));
    return stream;
  };
  const first = begun();
  const closed = once(first, 'close');
  const whole = call(client);
  const empty = Buffer.alloc(5 * 100);
  whole.end(empty);
  for (let i = 0; i * each < unfinishedBytesMax; i += 1) begun();
  await closed;
  assert.equal(whole.rstCode, 0, 'whole messages are not counted');
});

test('of calls of other services only so many stay open', async (t) => {
  const client = await served(t, () => undefined);
  const watch = (): http2.ClientHttp2Stream => {
    const stream = call(client, '/grpc.health.v1.Health/Watch');
    stream.end();
    return stream;
  };
  const first = watch();
  const closed = once(first, 'close');
  for (let i = 0; i < foreignCallsMax; i += 1) watch();
  await closed;
});
