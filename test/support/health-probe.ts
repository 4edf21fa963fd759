/** Asks a health server what a probe of Kubernetes asks. */
import * as grpc from '@grpc/grpc-js';
import * as protoLoader from '@grpc/proto-loader';
import { protoPath } from 'grpc-health-check';

type Answer = (error: Error | null, answer: { status: string }) => void;

const definition = protoLoader.loadSync(protoPath, { enums: String });
const loaded = grpc.loadPackageDefinition(definition) as unknown as {
  grpc: { health: { v1: { Health: grpc.ServiceClientConstructor } } };
};

/** As a kubelet asks: one connection, one answer; rejects where none comes in time. */
export async function askHealth(address: string, service: string): Promise<string> {
  const client = new loaded.grpc.health.v1.Health(address, grpc.credentials.createInsecure());
  const check = client['Check'] as unknown as (
    request: object,
    options: grpc.CallOptions,
    reply: Answer,
  ) => void;
  try {
    return await new Promise((resolve, reject) => {
      const options = { deadline: Date.now() + 5000 };
      check.call(client, { service }, options, (error, answer) =>
        error === null ? resolve(answer.status) : reject(error),
      );
    });
  } finally {
    client.close();
  }
}
