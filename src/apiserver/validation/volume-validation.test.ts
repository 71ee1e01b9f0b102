import { describe, expect, it } from 'vitest';
import { volumeErrors } from './volume-validation.ts';

const faultsOf = (volume: object): string[] =>
  volumeErrors([{ name: 'v', ...volume }]).map(({ field, message }) => `${field.slice(16)}: ${message}`);

const name = { fieldPath: 'metadata.name' };
const modeRule = 'must be a number between 0 and 0777 (octal), both inclusive';

describe('the rules of volumes', () => {
  it.each([
    [{ secret: {} }, 'secret.secretName: Required value'],
    [{ configMap: {} }, 'configMap.name: Required value'],
    [
      { secret: { secretName: 's', items: [{ key: 'k', path: '../b' }] } },
      `secret.items[0].path: Invalid value: "../b": must not contain '..'`,
    ],
    [
      { configMap: { name: 'm', items: [{ key: 'k', path: '/b' }] } },
      'configMap.items[0].path: Invalid value: "/b": must be a relative path',
    ],
    [
      { configMap: { name: 'm', items: [{ key: 'k', path: '..b' }] } },
      `configMap.items[0].path: Invalid value: "..b": must not start with '..'`,
    ],
    [{ configMap: { name: 'm', items: [{ path: 'a' }] } }, 'configMap.items[0].key: Required value'],
    [{ configMap: { name: 'm', items: [{ key: 'k' }] } }, 'configMap.items[0].path: Required value'],
    [{ secret: { secretName: 's', defaultMode: 9999 } }, `secret.defaultMode: Invalid value: 9999: ${modeRule}`],
    [
      { configMap: { name: 'm', items: [{ key: 'k', path: 'a', mode: 9999 }] } },
      `configMap.items[0].mode: Invalid value: 9999: ${modeRule}`,
    ],
    [
      { downwardAPI: { items: [{ path: '/a', fieldRef: name }] } },
      'downwardAPI.path: Invalid value: "/a": must be a relative path',
    ],
    [
      { downwardAPI: { items: [{ path: 'a' }] } },
      'downwardAPI: Required value: one of fieldRef and resourceFieldRef is required',
    ],
    [
      { downwardAPI: { items: [{ path: 'a', fieldRef: { fieldPath: 'status.podIP' } }] } },
      'downwardAPI.fieldRef.fieldPath: Unsupported value: "status.podIP": supported values: "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"',
    ],
    [
      { downwardAPI: { items: [{ path: 'a', resourceFieldRef: { resource: 'limits.cpu' } }] } },
      'downwardAPI.resourceFieldRef.containerName: Required value',
    ],
    [
      { projected: { sources: [{ serviceAccountToken: { path: 'a', expirationSeconds: 599 } }] } },
      'projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes',
    ],
    [{ projected: { sources: [{ serviceAccountToken: {} }] } }, 'projected.path: Required value'],
    [
      { projected: { sources: [{ secret: { name: 's' }, configMap: { name: 'm' } }] } },
      'projected.sources[0]: Forbidden: may not specify more than 1 volume type per source',
    ],
    [
      {
        projected: {
          sources: [
            { secret: { name: 's', items: [{ key: 'k', path: 'x' }] } },
            { configMap: { name: 'm', items: [{ key: 'k', path: 'x' }] } },
          ],
        },
      },
      'projected: Invalid value: "m": conflicting duplicate paths',
    ],
    [
      { emptyDir: { sizeLimit: '-1' } },
      'emptyDir.sizeLimit: Forbidden: SizeLimit field must be a valid resource quantity',
    ],
    [{ secret: {}, emptyDir: {} }, 'secret: Forbidden: may not specify more than 1 volume type'],
  ])('refuse %j', (volume, fault) => {
    expect(faultsOf(volume)).toEqual([fault]);
  });

  it.each([
    { secret: { secretName: 's', defaultMode: 0o777, items: [{ key: 'k', path: 'a/b', mode: 0 }] } },
    { downwardAPI: { items: [{ path: 'a', fieldRef: { fieldPath: "metadata.labels['app']" } }] } },
    {
      projected: {
        sources: [{ serviceAccountToken: { path: 'token', expirationSeconds: 3607 } }, { secret: { name: 's' } }],
      },
    },
    { nfs: { server: 's', path: '/' } },
  ])('take %j', (volume) => {
    expect(faultsOf(volume)).toEqual([]);
  });
});
