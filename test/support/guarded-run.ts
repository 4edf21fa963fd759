/**
 * A run behind certificates and tokens, for tests that attack it: the shipped coordinator, workers
 * that compute exactly and wait at a gate so that the run is still going on, and clients that say what
 * a peer who does wrong would say. Load `use-small-model.js` first, and this with `import()`.
 */
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { type CoordinatorResult, runCoordinator } from '../../coordinator/main.ts';
import { dial } from '../../shared/adapters/dial.ts';
import { RunService, TrainingService } from '../../shared/adapters/grpc.ts';
import { writeSecret } from '../../shared/adapters/secret-files.ts';
import { mintToken } from '../../shared/adapters/tokens.ts';
import { architecture } from '../../shared/core/architecture.ts';
import { parseConfig } from '../../shared/core/config.ts';
import type { Role } from '../../shared/core/roles.ts';
import { protoOldest, protoVersion } from '../../shared/wire/limits.ts';
import type { ConverseRequest, ConverseResponse } from '../../shared/wire/messages.ts';
import { runSession } from '../../worker/shell/session.ts';
import type { Files } from './authority.ts';
import { exactCompute } from './exact-compute.ts';
import { type SmallOptions, smallMethod } from './small-run.ts';

/** A token of the file, in a file of its own. */
export function tokenFile(folder: string, tokens: string, role: Role, name = '*', inDays = 1) {
  const expires = new Date(Date.now() + inDays * 86_400_000);
  const { id, token } = mintToken(tokens, { role, name, expires });
  const path = join(folder, `${role}-${id}.token`);
  writeSecret(path, `${token}\n`);
  return { id, path, token };
}

export interface Coordinator {
  address: string;
  ended: Promise<CoordinatorResult>;
  /** Lines that people need. */
  announced: string[];
}

export async function startCoordinator(
  options: SmallOptions & { run: string },
  signal = new AbortController().signal,
): Promise<Coordinator> {
  const { config } = parseConfig([{ source: 'flag', values: { ...smallMethod, ...options } }]);
  const announced: string[] = [];
  let ended: Promise<CoordinatorResult> | null = null;
  const address = await new Promise<string>((resolve, reject) => {
    ended = runCoordinator({
      config: { ...config, run: options.run },
      signal,
      say: () => undefined,
      announce: (line) => announced.push(line),
      onListening: resolve,
    });
    ended.catch(reject);
  });
  if (ended === null) throw new Error('it listens and was not started');
  return { address, ended, announced };
}

/** Who a client is: files of certificates, a token's path. */
export interface Shown {
  tls?: Files | null;
  token?: string | null;
}

export const securityOf = ({ tls = null, token = null }: Shown) => ({ tls, tokenFile: token });

/** A worker; resolves or rejects with the end of its session. */
export function guardedWorker(
  address: string,
  name: string,
  shown: Shown,
  before: (leaf: number) => Promise<unknown> | undefined = () => undefined,
  signal = new AbortController().signal,
): Promise<boolean> {
  return runSession({
    coordinator: address,
    security: securityOf(shown),
    name,
    dataset: null,
    compute: async (method) =>
      exactCompute(method, architecture(method.model), {
        before: async (leaf) => void (await before(leaf)),
      }),
    describe: () => 'exact compute',
    signal,
    say: () => undefined,
    graceMs: 0,
  });
}

type Duplex = grpc.ClientDuplexStream<object, object>;
type Readable = grpc.ClientReadableStream<object>;

export interface RawClient {
  converse(metadata?: grpc.Metadata): grpc.ClientDuplexStream<ConverseRequest, ConverseResponse>;
  pushGradients(metadata: grpc.Metadata): Duplex;
  pullWeights(request: object, metadata?: grpc.Metadata): Readable;
  listSamples(request: object): Readable;
  fetchSample(request: { sha256: string }): Readable;
  watchEvents(request: { since: number }): Readable;
  close(): void;
}

/** Both services without any of our clients' manners. */
export function rawClient(address: string, shown: Shown, more: grpc.ClientOptions = {}): RawClient {
  const line = dial(address, securityOf(shown));
  const options = { ...line.options, ...more };
  const training = new TrainingService(line.target, line.credentials, options);
  const run = new RunService(line.target, line.credentials, options);
  const calls = training as unknown as RawClient;
  const looks = run as unknown as RawClient;
  const none = () => new grpc.Metadata();
  return {
    converse: (metadata = none()) => calls.converse(metadata),
    pushGradients: (metadata) => calls.pushGradients(metadata),
    pullWeights: (request, metadata = none()) => calls.pullWeights(request, metadata),
    listSamples: (request) => calls.listSamples(request),
    fetchSample: (request) => calls.fetchSample(request),
    watchEvents: (request) => looks.watchEvents(request),
    close() {
      training.close();
      run.close();
      line.close();
    },
  };
}

/** How a stream ends: its status, and what came before. */
export async function endOf(stream: Readable | Duplex) {
  const messages: object[] = [];
  try {
    for await (const message of stream as AsyncIterable<object>) messages.push(message);
    return { code: grpc.status.OK, details: '', messages };
  } catch (error) {
    const { code, details } = error as grpc.ServiceError;
    return { code, details, messages };
  }
}

export const joinAs = (worker: string, session = ''): ConverseRequest => ({
  join: {
    protoVersion,
    protoOldest,
    worker,
    pid: 1,
    host: 'elsewhere',
    description: 'a test',
    identity: '',
    session,
  },
});
