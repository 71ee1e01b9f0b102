import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';

/** Every module that is loaded with `file`: its static imports and theirs. `import(…)` and `import type` load nothing yet. */
function loadedWith(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  const text = readFileSync(file, 'utf8');
  for (const [, clause = '', target = ''] of text.matchAll(
    /^(?:import|export)\s+([^'";:]*?)(?:from\s+)?'([^']+)';/gm,
  )) {
    const onlyTypes = /^type\b/.test(clause) || /^\{(?:\s*type\s[^,}]+,?)+\s*\}/.test(clause);
    if (onlyTypes) continue;
    if (target.startsWith('.')) loadedWith(join(dirname(file), target), seen);
    else seen.add(target);
  }
  return seen;
}

const foreign = (file: string): string[] =>
  [...loadedWith(join(import.meta.dirname, file))].filter((name) => !name.startsWith('/') && !name.startsWith('node:'));

it('loads no package at all to parse a command line and to show help', () => {
  expect(foreign('main.ts')).toEqual([]);
  for (const command of ['exec', 'shell', 'get', 'up', 'demo', 'apiserver', 'kubelet', 'runtime', 'completion']) {
    expect(foreign(`${command}-command.ts`)).toEqual([]);
  }
});

it('loads nothing of the other hops for a client command', () => {
  const all = [...loadedWith(join(import.meta.dirname, '../client/index.ts'))];
  expect(all.filter((name) => /grpc|protobuf|x509|node-pty|zod|^yaml$/.test(name))).toEqual([]);
  expect(all.some((name) => name.endsWith('/httpstream/index.ts'))).toBe(true);
});
