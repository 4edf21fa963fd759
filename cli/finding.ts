/** What the doctor finds of one thing, and all of it as text for people. */

export interface Finding {
  name: string;
  /** `note`: not there, and not needed for training. */
  state: 'ok' | 'note' | 'warning' | 'failed';
  found: string;
  /** What to do; empty where nothing is to be done. */
  cure: string;
}

const marks: Record<Finding['state'], string> = {
  ok: 'ok',
  note: '--',
  warning: 'warn',
  failed: 'FAIL',
};

/** The findings for people. */
export function findingsText(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ name }) => name.length));
  const lines = findings.flatMap(({ name, state, found, cure }) => [
    `${marks[state].padEnd(4)}  ${name.padEnd(width)}  ${found}`,
    ...(cure === '' ? [] : [`${' '.repeat(width + 8)}→ ${cure}`]),
  ]);
  const failed = findings.filter(({ state }) => state === 'failed').length;
  const end = failed === 0 ? 'Ready to train.' : `${failed} to repair before a run.`;
  return `${lines.join('\n')}\n\n${end}\n`;
}
