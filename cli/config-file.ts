/**
 * YAML files of options: read, bounded, and turned into a layer with the line of each key.
 *
 * What the keys mean is `parseConfig`'s business; here only the YAML itself can be wrong. A run
 * folder's own `config.yaml` is read the same way when the run is resumed.
 */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isMap, isScalar, LineCounter, parseDocument } from 'yaml';
import type { ConfigLayer } from '../shared/core/config.ts';
import { Failure } from '../shared/core/failures.ts';

const fileBytesMax = 1 << 20;

/** A layer from YAML text; throws `bad-config` with file and line. */
export function configLayer(text: string, file: string): ConfigLayer {
  const counter = new LineCounter();
  const document = parseDocument(text, { lineCounter: counter, prettyErrors: false });
  const [error] = document.errors;
  if (error !== undefined) {
    const { line } = counter.linePos(error.pos[0]);
    throw new Failure('bad-config', `${file}:${line}: this is not valid YAML: ${error.message}.`);
  }
  const lines: Record<string, number> = {};
  if (document.contents === null) return { source: 'file', file, values: {}, lines };
  if (!isMap(document.contents)) {
    throw new Failure('bad-config', `${file}: expected lines such as "batch: 128", found no keys.`);
  }
  for (const { key } of document.contents.items) {
    if (isScalar(key) && key.range) lines[String(key.value)] = counter.linePos(key.range[0]).line;
  }
  try {
    // Aliases are resolved with a limit, so that a small file cannot unfold without end.
    const values: Record<string, unknown> = { ...document.toJS({ maxAliasCount: 10 }) };
    return { source: 'file', file, values, lines };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Failure('bad-config', `${file}: its aliases cannot be resolved: ${reason}.`, {
      cause,
    });
  }
}

/** Reads `--config FILE`. Throws `bad-config` where it cannot. */
export function readConfigFile(file: string): ConfigLayer {
  let text: string;
  try {
    const { size } = statSync(file);
    if (size > fileBytesMax) {
      throw new Error(`it has ${size} bytes; a config file has at most ${fileBytesMax}`);
    }
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `cannot read the config file ${file}: ${reason}. Check --config.`;
    throw new Failure('bad-config', message, { cause });
  }
  return configLayer(text, file);
}

/** Options that belong to one call and are never taken over by a resume. */
const ofOneCall = ['stop-at', 'run', 'json', 'listen', 'insecure'];

/** The layer of a run that is there already (its `config.yaml`), or null for a new one. */
export function readRunConfig(run: string): ConfigLayer | null {
  const file = join(run, 'config.yaml');
  try {
    statSync(file);
  } catch {
    // No run there yet; a path that can be none is refused where the folder is made.
    return null;
  }
  const layer = readConfigFile(file);
  for (const name of ofOneCall) delete layer.values[name];
  return layer;
}
