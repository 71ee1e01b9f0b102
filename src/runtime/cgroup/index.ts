export type { Cgroup } from './cgroup.ts';
export { CgroupTree } from './cgroup-tree.ts';
export { type Limits, limitWrites, unsetLimits } from './limit-writes.ts';
export type { CgroupUsage } from './usage.ts';
