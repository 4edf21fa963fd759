/**
 * `tandem token`: mints, lists and revokes the tokens of a coordinator.
 *
 * The secret is shown once, to standard output or into a file of its own, and kept only as a hash.
 * A coordinator that runs with `--tokens FILE` sees a change within a second or two.
 */
import type { Command } from 'commander';
import {
  mintToken,
  readTokens,
  revokeTokens,
  type TokenRow,
} from '../../shared/adapters/tokens.ts';
import { writeSecret } from '../../shared/adapters/secret-files.ts';
import { Failure } from '../../shared/core/failures.ts';
import { tokenRoles } from '../../shared/core/roles.ts';
import type { CommandSpec, GivenFlags } from '../command.ts';
import { printable, table } from '../../shared/core/format.ts';

const dayMs = 86_400_000;
const daysMax = 3650;

const declareFile = (command: Command) =>
  command.option('--tokens <FILE>', 'the file in which the coordinator looks', 'tokens.json');
const fileOf = (flags: GivenFlags) => String(flags['tokens']);

function stateOf(row: TokenRow): string {
  if (row.revoked !== null) return 'revoked';
  return Date.now() > Date.parse(row.expires) ? 'expired' : 'valid';
}

export const tokenMintCommand: CommandSpec = {
  name: 'token mint',
  positional: '',
  summary: 'a new token, shown once',
  examples: [
    ['for all workers', 'token mint --tokens tokens.json --role worker --out worker.token'],
    ['for one worker', 'token mint --role worker --name gpu-1 --days 7 --out gpu-1.token'],
    ['for somebody who watches', 'token mint --role watcher'],
  ],
  declare(command) {
    declareFile(command);
    command.option('--role <ROLE>', `what it allows: ${tokenRoles.join(', ')}`, 'worker');
    command.option('--name <NAME>', 'the only worker that it may join as; *: any', '*');
    command.option('--days <N>', 'how long it is valid', '30');
    command.option('--out <FILE>', 'write the token there, for its owner only');
  },
  prepare(args, flags, { io }) {
    if (args[0] !== undefined) throw new Failure('bad-option', `unexpected "${args[0]}".`);
    const role = tokenRoles.find((known) => known === flags['role']);
    if (role === undefined)
      throw new Failure('bad-option', `--role expects one of ${tokenRoles.join(', ')}.`);
    const name = String(flags['name']);
    if (name !== '*' && !/^[\w.-]{1,64}$/.test(name))
      throw new Failure('bad-option', '--name expects the name of a worker, or *.');
    const days = Number(flags['days']);
    if (!(days > 0 && days <= daysMax))
      throw new Failure('bad-option', `--days expects more than 0, at most ${daysMax}.`);
    const out = flags['out'];
    return async () => {
      const expires = new Date(Date.now() + days * dayMs);
      const { id, token } = mintToken(fileOf(flags), { role, name, expires });
      if (typeof out === 'string') writeSecret(out, `${token}\n`);
      else io.stdout.write(`${token}\n`);
      const where = typeof out === 'string' ? `; it stands in ${out}` : ', shown once';
      io.stderr.write(`token ${id}: ${role}, ${name}, until ${expires.toISOString()}${where}\n`);
      return 0;
    };
  },
};

export const tokenListCommand: CommandSpec = {
  name: 'token list',
  positional: '',
  summary: 'which tokens there are, without their secrets',
  examples: [['of a file', 'token list --tokens tokens.json']],
  declare(command) {
    declareFile(command);
    command.option('--json', 'as one JSON array');
  },
  prepare(_args, flags, { io }) {
    return async () => {
      const rows = readTokens(fileOf(flags)).map(({ sha256: _hash, ...row }) => row);
      const states = readTokens(fileOf(flags)).map(stateOf);
      if (flags['json'] === true) {
        io.stdout.write(
          `${JSON.stringify(rows.map((row, i) => ({ ...row, state: states[i] })))}\n`,
        );
        return 0;
      }
      const lines = rows.map(({ id, role, name, expires }, i) => [
        id,
        role,
        name,
        states[i] ?? '',
        expires,
      ]);
      const text = table([['ID', 'ROLE', 'NAME', 'STATE', 'EXPIRES'], ...lines]);
      io.stdout.write(`${printable(text, 2_000_000)}\n`);
      return 0;
    };
  },
};

export const tokenRevokeCommand: CommandSpec = {
  name: 'token revoke',
  positional: 'ID',
  positionalHelp: 'id of a token, or the name of a worker: all of its tokens',
  summary: 'a token is none any more; who joined with it is sent away',
  examples: [['one token', 'token revoke gZ1x0aQk --tokens tokens.json']],
  declare: (command) => void declareFile(command),
  prepare(args, flags, { io }) {
    const [which] = args;
    if (which === undefined) throw new Failure('bad-option', 'say which: an id of "token list".');
    return async () => {
      const count = revokeTokens(fileOf(flags), which);
      if (count === 0)
        throw new Failure('bad-option', `no valid token has the id or name "${which}".`);
      io.stdout.write(`revoked ${count} token${count === 1 ? '' : 's'}\n`);
      return 0;
    };
  },
};
