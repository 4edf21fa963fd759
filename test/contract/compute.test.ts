/**
 * The compute port's contract on each implementation.
 */
import { computeContract, implementations } from './compute-contract.ts';

for (const implementation of implementations) computeContract(implementation);
