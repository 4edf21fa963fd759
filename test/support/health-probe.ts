/** Asks a health server what a probe of Kubernetes asks. */
import type { TestContext } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import * as protoLoader from '@grpc/proto-loader';
import { protoPath } from 'grpc-health-check';

type Answer = (error: Error | null, answer: { status: string }) => void;

const definition = protoLoader.loadSync(protoPath, { enums: String });
const loaded = grpc.loadPackageDefinition(definition) as unknown as {
  grpc: { health: { v1: { Health: grpc.ServiceClientConstructor } } };
};

/** What a probe of this service hears. */
export function probe(t: TestContext, address: string, service: string): Promise<string> {
  const client = new loaded.grpc.health.v1.Health(address, grpc.credentials.createInsecure());
  t.after(() => client.close());
  const check = client['Check'] as unknown as (request: object, reply: Answer) => void;
  return new Promise((resolve, reject) => {
    check.call(client, { service }, (error, answer) =>
      error === null ? resolve(answer.status) : reject(error),
    );
  });
}
