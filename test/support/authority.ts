/** Certificates for tests and benchmarks, by an authority of their own. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Issued, issue, newAuthority } from '../../cli/certs/issue.ts';
import { writeSecret } from '../../shared/adapters/secret-files.ts';
import type { Role } from '../../shared/core/roles.ts';

const dayMs = 86_400_000;
export const days = (from: number, to: number) => ({
  from: new Date(Date.now() + from * dayMs),
  to: new Date(Date.now() + to * dayMs),
});

/** Files of one peer, and where they lie. */
export interface Files {
  cert: string;
  key: string;
  ca: string;
}

/** A folder of certificates by one authority. */
export function authority(folder: string, name = 'ca') {
  const ca = newAuthority(days(-1, 30));
  const caPath = join(folder, `${name}.crt`);
  writeFileSync(caPath, ca.cert);
  const place = (file: string, { cert, key }: Issued): Files => {
    const paths = { cert: join(folder, `${file}.crt`), key: join(folder, `${file}.key`) };
    writeSecret(paths.key, key);
    writeFileSync(paths.cert, cert);
    return { ...paths, ca: caPath };
  };
  const files = (
    file: string,
    role: Role,
    {
      called = '*',
      validity = days(-1, 1),
      hosts = role === 'coordinator' ? ['127.0.0.1', 'localhost'] : [],
    } = {},
  ) => place(file, issue(ca, { role, name: called, hosts, validity }));
  return { ca: caPath, files };
}
