/**
 * Shell completion, made from the tree of commands: what `--help` knows, the shell completes.
 *
 * The scripts are whole in themselves and never call back, so completing costs no start of Node.
 * Values of options are completed where the table of options names them, else as file names.
 */
import type { Command } from 'commander';
import { optionTable } from '../shared/core/option-table.ts';

export const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

interface Completed {
  /** `data preview`; empty for the program itself. */
  path: string;
  subcommands: { name: string; help: string }[];
  options: { name: string; help: string; value: boolean; of: readonly string[] }[];
}

function treeOf(command: Command, path = ''): Completed[] {
  const options = command.options
    .filter((option) => !option.hidden && option.long)
    .map((option) => {
      const name = option.long ?? '';
      const kind = optionTable.find((known) => `--${known.name}` === name)?.kind;
      const of = kind?.kind === 'choice' ? kind.of : [];
      return { name, help: option.description, value: option.required || option.optional, of };
    });
  const help = { name: '--help', help: 'show help', value: false, of: [] };
  const own: Completed = {
    path,
    subcommands: command.commands.map((c) => ({ name: c.name(), help: c.description() })),
    options: [...options, help],
  };
  const below = command.commands.flatMap((c) => treeOf(c, `${path} ${c.name()}`.trim()));
  return [own, ...below];
}

/** Text within single quotes of a shell. */
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

function bash(tree: readonly Completed[]): string {
  const cases = tree.map(({ path, subcommands, options }) => {
    const words = [...subcommands, ...options].map((one) => one.name).join(' ');
    return `    ${quoted(path)}) words=${quoted(words)} ;;`;
  });
  const choices = new Map(
    tree.flatMap(({ options }) =>
      options.filter((o) => o.of.length > 0).map((o) => [o.name, o.of]),
    ),
  );
  const values = [...choices].map(
    ([name, of]) =>
      `    ${name}) COMPREPLY=($(compgen -W ${quoted(of.join(' '))} -- "$current")); return ;;`,
  );
  const takers = new Set(
    tree.flatMap(({ options }) => options.filter((o) => o.value).map((o) => o.name)),
  );
  const groups = tree.filter(({ subcommands }) => subcommands.length > 0).map(({ path }) => path);
  return `# Completion of tandem for bash: source this file, or put it where bash-completion looks. In a clone
# the program goes by npx: alias tandem='npx tandem'
_tandem() {
  local current="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" path='' words='' i
  COMPREPLY=()
  case "$before" in
${values.join('\n')}
    ${[...takers].join('|')}) COMPREPLY=($(compgen -f -- "$current")); return ;;
  esac
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "\${COMP_WORDS[i]}" in
      -*) break ;;
    esac
    case "$path" in
      ${groups.map(quoted).join('|')}) path="\${path:+$path }\${COMP_WORDS[i]}" ;;
    esac
  done
  case "$path" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [[ \${#COMPREPLY[@]} -eq 0 && "$current" != -* ]] && COMPREPLY=($(compgen -f -- "$current"))
  return 0
}
complete -o filenames -F _tandem tandem
`;
}

function zsh(tree: readonly Completed[]): string {
  const colon = (text: string): string => text.replaceAll(':', '\\:');
  const cases = tree.map(({ path, subcommands, options }) => {
    const words = [...subcommands, ...options].map(
      ({ name, help }) => `      ${quoted(`${name}:${colon(help)}`)}`,
    );
    return `    ${quoted(path)}) words_=(\n${words.join('\n')}\n    ) ;;`;
  });
  const groups = tree.filter(({ subcommands }) => subcommands.length > 0).map(({ path }) => path);
  return `#compdef tandem
# Completion of tandem for zsh: put this file as _tandem into a folder of $fpath.
_tandem() {
  local path_='' i
  local -a words_
  for ((i = 2; i < CURRENT; i++)); do
    [[ "\${words[i]}" == -* ]] && break
    case "$path_" in
      ${groups.map(quoted).join('|')}) path_="\${path_:+$path_ }\${words[i]}" ;;
    esac
  done
  case "$path_" in
${cases.join('\n')}
  esac
  _describe 'tandem' words_ || _files
}
compdef _tandem tandem
`;
}

function fish(tree: readonly Completed[]): string {
  const lines = tree.flatMap(({ path, subcommands, options }) => {
    const words = path === '' ? [] : path.split(' ');
    const here =
      words.length === 0
        ? '__fish_use_subcommand'
        : words.map((word) => `__fish_seen_subcommand_from ${word}`).join('; and ');
    const seen = subcommands.map(({ name }) => name).join(' ');
    const notBelow =
      words.length > 0 && seen !== '' ? `; and not __fish_seen_subcommand_from ${seen}` : '';
    const when = quoted(`${here}${notBelow}`);
    return [
      ...subcommands.map(
        ({ name, help }) => `complete -c tandem -n ${when} -f -a ${name} -d ${quoted(help)}`,
      ),
      ...options.map(({ name, help, value, of }) => {
        const takes = of.length > 0 ? ` -x -a ${quoted(of.join(' '))}` : value ? ' -r' : '';
        return `complete -c tandem -n ${when} -l ${name.slice(2)}${takes} -d ${quoted(help)}`;
      }),
    ];
  });
  return `# Completion of tandem for fish: put this file into ~/.config/fish/completions.\n${lines.join('\n')}\n`;
}

/** The script of a shell for the tree of commands below `root`. */
export function completionScript(shell: Shell, root: Command): string {
  const tree = treeOf(root);
  return { bash, zsh, fish }[shell](tree);
}
