/**
 * `node --import …/register.js`: puts the hooks in place before any program is loaded.
 *
 * Environment: TANDEM_SIM_MUTATION, a name of `mutations.ts`.
 */
import { register } from 'node:module';
import { mutations } from './mutations.ts';

const { TANDEM_SIM_MUTATION: name } = process.env;
const mutation = name === undefined ? null : mutations.find((known) => known.name === name);
if (mutation === undefined) throw new Error(`no mutation is called "${name}"`);
register('./hooks.js', import.meta.url, { data: { mutation } });
