import { expect, it } from 'vitest';
import { UsageError } from '../usage-error.ts';
import { type PodOptions, podOf } from './pod-of.ts';

const options: PodOptions = {
  name: 'web',
  image: 'i',
  restartPolicy: 'Never',
  imagePullPolicy: '',
  env: [],
  labels: [],
  port: undefined,
  command: [],
  replacesCommand: false,
  stdin: false,
  leaveStdinOpen: false,
  tty: false,
  overrides: '',
};

it('asks for a stdin that closes with the first who attaches, and for a terminal', () => {
  const containers = (more: Partial<PodOptions>): unknown => podOf({ ...options, ...more }).spec.containers;
  expect(containers({ stdin: true, tty: true })).toEqual([
    { name: 'web', image: 'i', stdin: true, stdinOnce: true, tty: true },
  ]);
  expect(containers({ stdin: true, leaveStdinOpen: true })).toEqual([{ name: 'web', image: 'i', stdin: true }]);
  expect(containers({})).toEqual([{ name: 'web', image: 'i' }]);
});

it('merges what is to be other: fields are set, null takes them away, lists are replaced', () => {
  const overrides = {
    metadata: { labels: null, annotations: { a: 'b' } },
    spec: { hostNetwork: true, containers: [{ name: 'z' }], dnsConfig: { options: null } },
  };
  expect(podOf({ ...options, overrides: JSON.stringify(overrides) })).toEqual({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', annotations: { a: 'b' } },
    spec: { restartPolicy: 'Never', hostNetwork: true, containers: [{ name: 'z' }], dnsConfig: {} },
  });
  expect(JSON.stringify(podOf({ ...options, overrides: '{"__proto__":{"a":1}}' }))).toContain('"__proto__":{"a":1}');
});

it.each(['{x', '"s"', '[1]', 'null', '1'])('refuses overrides %s', (overrides) => {
  expect(() => podOf({ ...options, overrides })).toThrow(new UsageError('Invalid JSON Patch'));
});
