import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeProtobuf } from '../../../src/apiserver/protobuf-object.ts';
import { decodeTyped } from '../../../src/apiserver/typed-object.ts';
import { mustRun } from '../../support/child.ts';
import { findProgram } from '../../support/peer.ts';
import { runSeed } from '../../support/seed.ts';

const go = findProgram('go');

/** Of each kind, beside the full, the zero and the empty one. */
const COUNT = 30;

const kinds = [
  'Pod',
  'Node',
  'Namespace',
  'Event',
  'ServiceAccount',
  'Binding',
  'Lease',
  'CSINode',
  'Eviction',
  'DeleteOptions',
  'SelfSubjectAccessReview',
  'SubjectAccessReview',
  'LocalSubjectAccessReview',
  'SelfSubjectRulesReview',
  'SelfSubjectReview',
  'TokenReview',
];

interface Line {
  readonly kind: string;
  readonly json: object;
  readonly protobuf: string;
}

const title = `Kubernetes' own types${go === undefined ? ' (skipped: no go)' : ''}`;

describe.skipIf(go === undefined)(title, () => {
  const folder = mkdtempSync(join(tmpdir(), 'podwire-protobuf-'));
  let lines: Line[];
  beforeAll(async () => {
    const peer = join(folder, 'peer');
    await mustRun(go as string, ['build', '-o', peer, '.'], { cwd: import.meta.dirname, deadlineMs: 590_000 });
    const seed = runSeed('objects as protobuf');
    const printed = await mustRun(peer, [String(seed), String(COUNT)], { deadlineMs: 60_000 });
    lines = printed
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Line);
  }, 600_000);
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each(kinds)('say the same of a %s as JSON and as protobuf', (kind) => {
    const objects = lines.filter((line) => line.kind === kind);
    expect(objects).toHaveLength(COUNT + 3);
    for (const { json, protobuf } of objects) {
      const decoded = decodeProtobuf(Buffer.from(protobuf, 'base64'));
      expect(decodeTyped(decoded, kind)).toEqual({ object: decodeTyped(json, kind).object, unknownFields: [] });
    }
  });
});
