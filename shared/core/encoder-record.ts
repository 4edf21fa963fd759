/**
 * `encoder.json` of an encoder folder: what lies beside the tensors, so that an encoder that was
 * exported or imported is used as it must be. Reading refuses what would give wrong features.
 */
import { type ModelName, modelNames, type ObjectiveName } from './method.ts';
import { type Preprocessing, preprocessingAt } from './preprocessing.ts';

export const encoderVersion = 1;

/** Where an encoder came from. */
export type EncoderSource =
  | {
      kind: 'run';
      /** Name of the run folder, its step, and the digest of the checkpoint. */
      run: string;
      step: number;
      /** Epochs of training behind it, a fraction. */
      epoch: number;
      checkpoint: string;
      identity: string;
      fingerprint: string;
      reproducible: boolean;
      /** What it was trained for, and which images it did not see; absent in older folders. */
      objective?: ObjectiveName;
      validation?: number;
      seed?: number;
    }
  | {
      kind: 'file';
      /** Name of the file without its folder, its SHA-256, whose names its tensors had. */
      file: string;
      sha256: string;
      naming: string;
    };

export interface EncoderRecord {
  version: number;
  model: ModelName;
  /** Width of the pooled features. */
  featureWidth: number;
  preprocessing: Preprocessing;
  /** SHA-256 of `encoder.safetensors`. */
  digest: string;
  source: EncoderSource;
}

export const encoderFiles = {
  record: 'encoder.json',
  encoder: 'encoder.safetensors',
  heads: 'heads.safetensors',
  card: 'README.md',
} as const;

/** The record in a parsed JSON value, or what is wrong with it, as a sentence. */
export function asEncoderRecord(value: unknown): EncoderRecord | { fault: string } {
  const found = (typeof value === 'object' ? value : null) as Partial<EncoderRecord> | null;
  if (found === null) return { fault: 'it is no object' };
  if (found.version !== encoderVersion)
    return { fault: `version ${String(found.version)}, this release reads ${encoderVersion}` };
  if (!modelNames.includes(found.model as ModelName))
    return { fault: `model ${JSON.stringify(found.model)} is none of ${modelNames.join(', ')}` };
  if (!/^[0-9a-f]{64}$/.test(String(found.digest))) return { fault: 'its digest is no SHA-256' };
  const size = found.preprocessing?.size;
  if (size === undefined || !Number.isSafeInteger(size) || size < 8 || size > 1024)
    return { fault: `preprocessing.size is ${String(size)}, it must be from 8 to 1024` };
  for (const [field, wanted] of Object.entries(preprocessingAt(size))) {
    const given = JSON.stringify(found.preprocessing?.[field as keyof Preprocessing]);
    if (given !== JSON.stringify(wanted))
      return {
        fault: `preprocessing.${field} is ${given}, this release knows ${JSON.stringify(wanted)}`,
      };
  }
  return found as EncoderRecord;
}
