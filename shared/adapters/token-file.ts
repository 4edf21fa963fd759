/** A secret on one line of a file: the only way in which a token comes to us. */
import { Failure } from '../core/failures.ts';
import { readSecret } from './secret-files.ts';

const charsLeast = 8;

/** The token in a file. Throws `bad-option`, which never shows what the file holds. */
export function readToken(option: string, path: string): string {
  const text = readSecret(option, path).toString('utf8').trim();
  if (new RegExp(`^\\S{${charsLeast},1000}$`).test(text)) return text;
  throw new Failure(
    'bad-option',
    `--${option} ${path} expects one line of at least ${charsLeast} characters without spaces.`,
  );
}
