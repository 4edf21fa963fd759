/** How far a coordinator's resident memory may rise above what it was before the first attack. */
export const growthMost: number = 768 * 1024 * 1024;
