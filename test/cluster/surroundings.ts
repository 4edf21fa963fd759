/** What a cluster has before a run comes: nodes, storage, a namespace with Pod Security. */
import { cpSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ControlPlane } from './control-plane.ts';
import type { NodeWish } from './kubelet.ts';

/** Eight GPUs on two nodes, and two nodes without. */
export const gpuNodes: readonly NodeWish[] = [
  { name: 'gpu-a', gpus: 4 },
  { name: 'gpu-b', gpus: 4 },
  { name: 'plain-a', gpus: 0 },
  { name: 'plain-b', gpus: 0 },
];

/** Volumes that are bound to claims as they come; nothing mounts them. */
export async function addStorage(plane: ControlPlane, count = 24): Promise<void> {
  await plane.api('POST', '/apis/storage.k8s.io/v1/storageclasses', {
    ...{ apiVersion: 'storage.k8s.io/v1', kind: 'StorageClass' },
    metadata: {
      name: 'standard',
      annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' },
    },
    provisioner: 'kubernetes.io/no-provisioner',
    volumeBindingMode: 'Immediate',
  });
  for (let at = 0; at < count; at += 1)
    await plane.api('POST', '/api/v1/persistentvolumes', {
      ...{ apiVersion: 'v1', kind: 'PersistentVolume', metadata: { name: `volume-${at}` } },
      spec: {
        capacity: { storage: '100Gi' },
        accessModes: ['ReadWriteOnce'],
        persistentVolumeReclaimPolicy: 'Retain',
        storageClassName: 'standard',
        hostPath: { path: `/nowhere/${at}` },
      },
    });
}

/** A namespace that enforces restricted Pod Security, with its default service account. */
export async function enforced(plane: ControlPlane, name: string): Promise<void> {
  const levels = ['enforce', 'warn', 'audit'].map(
    (mode) => [`pod-security.kubernetes.io/${mode}`, 'restricted'] as const,
  );
  await plane.api('POST', '/api/v1/namespaces', {
    ...{ apiVersion: 'v1', kind: 'Namespace' },
    metadata: { name, labels: Object.fromEntries(levels) },
  });
}

export interface OwnOverlay {
  /** Paths below deploy/kubernetes. */
  resources: readonly string[];
  components?: readonly string[];
  /** Text of the run file. */
  run?: string;
}

/** An overlay of somebody else's beside a copy of ours; returns its folder. */
export function ownOverlay(folder: string, deploy: string, wish: OwnOverlay): string {
  const home = mkdtempSync(join(folder, 'overlay-'));
  const copy = join(home, 'kubernetes');
  cpSync(deploy, copy, { recursive: true });
  if (wish.run !== undefined) writeFileSync(join(copy, 'base', 'run.yaml'), wish.run);
  const own = join(home, 'own');
  mkdirSync(own);
  const list = (paths: readonly string[]) => paths.map((path) => `../kubernetes/${path}`);
  const text = JSON.stringify({
    apiVersion: 'kustomize.config.k8s.io/v1beta1',
    kind: 'Kustomization',
    resources: list(wish.resources),
    components: list(wish.components ?? []),
  });
  writeFileSync(join(own, 'kustomization.yaml'), text);
  return own;
}
