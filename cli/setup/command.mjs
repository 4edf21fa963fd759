/**
 * Running other programs during installation: every child has a deadline, none outlives us, and
 * what people read goes to stderr, so that stdout stays the program's own (`--json`).
 *
 * Like all of cli/setup this is plain JavaScript without a dependency: it runs before `npm ci` has
 * run and before TypeScript is there to compile anything.
 */
import { spawn } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** @typedef {(line: string) => void} Say one plain line for the person at the terminal */

/**
 * @typedef {object} Outcome how a child process ended
 * @property {boolean} ok it exited with 0
 * @property {number | null} code exit status; null when a signal or the deadline ended it
 * @property {string} stdout empty when its output was shown instead
 * @property {string} stderr likewise
 * @property {string} why one sentence on the failure, empty when ok
 */

/** A failure whose message is complete: it is printed without a stack. */
export class SetupError extends Error {}

/** @type {Set<import('node:child_process').ChildProcess>} */
const children = new Set();

/** @type {Say} */
export function say(line) {
  process.stderr.write(`tandem: ${line}\n`);
}

/** Ends every child that still runs; for the moment when we are told to stop ourselves. */
export function stopChildren() {
  for (const child of children) child.kill('SIGTERM');
}

/**
 * Absolute path of a program, as a shell would find it, or null.
 * @param {string} name
 * @param {string} [path] folders, as in the environment variable PATH
 * @returns {string | null}
 */
export function onPath(name, path = process.env['PATH'] ?? '') {
  const candidates = name.includes('/')
    ? [name]
    : path
        .split(delimiter)
        .filter((folder) => folder !== '')
        .map((folder) => join(folder, name));
  for (const candidate of candidates) {
    try {
      accessSync(candidate, constants.X_OK);
      if (statSync(candidate).isFile()) return candidate;
    } catch {
      // Not in this folder.
    }
  }
  return null;
}

/**
 * Runs a program to its end. Never throws: the outcome says why it failed.
 * @param {string} program
 * @param {readonly string[]} args
 * @param {{
 *   timeoutMs: number,
 *   cwd?: string,
 *   env?: NodeJS.ProcessEnv,
 *   show?: boolean,
 * }} options `show`: its output goes to our stderr as it comes
 * @returns {Promise<Outcome>}
 */
export function run(program, args, { timeoutMs, cwd, env, show = false }) {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd,
      env: env ?? process.env,
      stdio: show ? ['ignore', 2, 2] : ['ignore', 'pipe', 'pipe'],
    });
    children.add(child);
    let stdout = '';
    let stderr = '';
    let timedOut = false;
    child.stdout?.setEncoding('utf8').on('data', (text) => (stdout += text));
    child.stderr?.setEncoding('utf8').on('data', (text) => (stderr += text));
    const deadline = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
    }, timeoutMs);
    /** @param {number | null} code @param {string} why */
    const end = (code, why) => {
      clearTimeout(deadline);
      children.delete(child);
      resolve({ ok: code === 0 && why === '', code, stdout, stderr, why });
    };
    child.on('error', (error) => end(null, `${program} could not be started: ${error.message}`));
    child.on('close', (code, signal) => {
      if (timedOut) end(null, `${program} was ended after ${Math.round(timeoutMs / 1000)} s`);
      else if (code === 0) end(0, '');
      else end(code, `${program} ended with ${code ?? signal}${lastLine(stderr)}`);
    });
  });
}

/** @param {string} text */
function lastLine(text) {
  const line = text.trim().split('\n').at(-1)?.trim() ?? '';
  return line === '' ? '' : `: ${line.slice(0, 300)}`;
}
