/** A secret on one line of a file: the only way in which a token comes to us. */
import { readFileSync } from 'node:fs';
import { Failure } from '../core/failures.ts';

const charsLeast = 8;

/** The token in a file. Throws `bad-option`, which never shows what the file holds. */
export function readToken(option: string, path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8').trim();
  } catch (cause) {
    const message = `--${option} cannot be read: ${(cause as Error).message}.`;
    throw new Failure('bad-option', message, { cause });
  }
  if (new RegExp(`^\\S{${charsLeast},1000}$`).test(text)) return text;
  throw new Failure(
    'bad-option',
    `--${option} ${path} expects one line of at least ${charsLeast} characters without spaces.`,
  );
}
