#!/usr/bin/env node
// The launcher of the command `tandem`. It says in plain words what is missing, in syntax that any
// Node can read, before it loads the program that `tsc` wrote to dist/.
import { existsSync } from 'node:fs';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const main = new URL('../dist/cli/main.js', import.meta.url);

if (major < 20 || (major === 20 && minor < 15)) {
  console.error(
    `tandem: Node 20.15 or newer is needed, this is ${process.versions.node}. ` +
      'Install Node 20, 22 or 24, then run the command again.',
  );
  process.exitCode = 69;
} else if (!existsSync(main)) {
  console.error('tandem: the program is not built yet (no dist/cli/main.js). Run: npm run setup');
  process.exitCode = 69;
} else {
  const { run } = await import(main.href);
  process.exitCode = await run(process.argv.slice(2));
  // All is said and written. What may still hold the process is a connection that waits politely
  // for a peer that does not read any more.
  setTimeout(() => process.exit(), 2000).unref();
}
