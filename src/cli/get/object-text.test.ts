import { expect, it } from 'vitest';
import { ObjectText, type Shown } from './object-text.ts';

const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { managedFields: [{ manager: 'me' }], name: 'web' } };
const list = { apiVersion: 'v1', kind: 'List', metadata: { resourceVersion: '' }, items: [pod] } as const;

const textOf = (kind: 'json' | 'yaml', shown: Shown, managedFields = false): string =>
  new ObjectText({ kind }, { allowMissingKeys: true, headers: true, managedFields }).format(shown);

it('leaves out who wrote which field, in objects and lists', () => {
  for (const kind of ['json', 'yaml'] as const) {
    for (const shown of [pod, list]) {
      expect(textOf(kind, shown)).toContain('web');
      expect(textOf(kind, shown)).not.toContain('managedFields');
    }
  }
});

it('shows who wrote which field when it is asked to, and in events', () => {
  expect(textOf('yaml', pod, true)).toContain('  managedFields:\n  - manager: me\n');
  expect(textOf('json', list, true)).toContain('"manager": "me"');
  expect(textOf('json', { type: 'ADDED', object: pod })).toContain('managedFields');
});
