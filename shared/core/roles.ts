/**
 * Who may call what. A peer has one role; every method of every service has a row, and a method
 * without a row is for nobody.
 *
 * A certificate says its role as `O=tandem:ROLE` and its name as `CN` (Kubernetes says groups and
 * users in the same two places); a token says both in the tokens' file. The name `*` fits any.
 */

export const roles = ['coordinator', 'worker', 'watcher', 'admin'] as const;
export type Role = (typeof roles)[number];

/** Roles that a token may have: the coordinator is known by its certificate. */
export const tokenRoles: readonly Role[] = ['worker', 'watcher', 'admin'];

/** Who a peer is. */
export interface PeerIdentity {
  role: Role;
  /** The worker's name that it may take; null: any. */
  name: string | null;
}

/** Nobody was asked for a proof: whoever reaches the port may do everything. */
export const everybody: PeerIdentity = { role: 'coordinator', name: null };

const training: readonly Role[] = ['worker', 'coordinator'];
const looking: readonly Role[] = ['watcher', 'admin', 'coordinator'];
const steering: readonly Role[] = ['admin', 'coordinator'];

/** gRPC path → roles that may call it. */
export const permissions: Readonly<Record<string, readonly Role[]>> = {
  '/tandem.v1.TrainingService/Converse': training,
  '/tandem.v1.TrainingService/PushGradients': training,
  '/tandem.v1.TrainingService/PullWeights': training,
  '/tandem.v1.TrainingService/ListSamples': training,
  '/tandem.v1.TrainingService/FetchSample': training,
  '/tandem.v1.RunService/GetStatus': looking,
  '/tandem.v1.RunService/WatchEvents': looking,
  '/tandem.v1.RunService/DrainWorker': steering,
  '/grpc.health.v1.Health/Check': roles,
  '/grpc.health.v1.Health/List': roles,
  '/grpc.health.v1.Health/Watch': roles,
  '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo': looking,
  '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo': looking,
};

/** Why this peer may not call this method, as a sentence; null where it may. */
export function forbidden(path: string, { role }: PeerIdentity): string | null {
  const allowed = Object.hasOwn(permissions, path) ? (permissions[path] ?? []) : [];
  if (allowed.includes(role)) return null;
  const method = path.slice(path.lastIndexOf('/') + 1).slice(0, 64);
  return `a peer with the role ${role} may not call ${method} (that is for: ${allowed.join(', ') || 'nobody'})`;
}

const prefix = 'tandem:';

/** The role among a certificate's organizations; null where it says none or several. */
export function roleOf(organizations: readonly string[]): Role | null {
  const said = organizations.filter((o) => o.startsWith(prefix)).map((o) => o.slice(prefix.length));
  const [only] = said;
  return said.length === 1 ? (roles.find((role) => role === only) ?? null) : null;
}

export const organizationOf = (role: Role): string => prefix + role;

/** The name in a certificate or a token; `*` is any name, and no name is no proof. */
export function nameOf(said: string | null | undefined): string | null | undefined {
  if (said === null || said === undefined || said === '') return undefined;
  return said === '*' ? null : said;
}
