import { describe, expect, it } from 'vitest';
import { isJsonObject } from '../../common/json-object.ts';
import { withPodDefaults } from '../pod-defaults.ts';
import { containerListErrors } from './container-validation.ts';

const faultsOf = (container: object): string[] => {
  const metadata = { name: 'p' };
  const spec = { containers: [{ name: 'c', image: 'i', ...container }] };
  const { spec: filled } = withPodDefaults({ apiVersion: 'v1', kind: 'Pod', metadata, spec });
  return containerListErrors(isJsonObject(filled) ? filled : undefined).map(
    ({ field, message }) => `${field.slice(19)}: ${message}`,
  );
};

const variable = (valueFrom: object): object => ({ env: [{ name: 'A', valueFrom }] });
const idRule = 'must be between 0 and 2147483647, inclusive';
const exec = { command: ['true'] };

describe('the rules of containers', () => {
  it.each([
    [{ securityContext: { runAsUser: -1 } }, `securityContext.runAsUser: Invalid value: -1: ${idRule}`],
    [{ securityContext: { runAsGroup: 2 ** 31 } }, `securityContext.runAsGroup: Invalid value: 2147483648: ${idRule}`],
    [
      { securityContext: { seccompProfile: { type: 'x' } } },
      'securityContext.seccompProfile.type: Unsupported value: "x": supported values: "Localhost", "RuntimeDefault", "Unconfined"',
    ],
    [
      variable({ fieldRef: { fieldPath: 'status.phase' } }),
      'env[0].valueFrom.fieldRef.fieldPath: Unsupported value: "status.phase": supported values: "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"',
    ],
    [
      variable({ fieldRef: { apiVersion: 'v2', fieldPath: 'metadata.name' } }),
      'env[0].valueFrom.fieldRef.fieldPath: Invalid value: "metadata.name": error converting fieldPath: unsupported pod version: v2',
    ],
    [
      variable({ resourceFieldRef: { resource: 'limits.memory', divisor: '3' } }),
      'env[0].valueFrom.resourceFieldRef.divisor: Invalid value: "limits.memory": only divisor\'s values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the memory resource',
    ],
    [variable({ secretKeyRef: { name: 's' } }), 'env[0].valueFrom.secretKeyRef.key: Required value'],
    [
      variable({ secretKeyRef: { name: 's', key: '..' } }),
      `env[0].valueFrom.secretKeyRef.key: Invalid value: "..": must not be '..'`,
    ],
    [{ envFrom: [{}] }, 'envFrom: Invalid value: "": must specify one of: `configMapRef` or `secretRef`'],
    [{ envFrom: [{ secretRef: {} }] }, 'envFrom[0].secretRef.name: Required value'],
    [
      { livenessProbe: { httpGet: { port: 0 } } },
      'livenessProbe.httpGet.port: Invalid value: 0: must be between 1 and 65535, inclusive',
    ],
    [
      { livenessProbe: { tcpSocket: { port: 'A_b' } } },
      'livenessProbe.tcpSocket.port: Invalid value: "A_b": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)',
    ],
    [{ readinessProbe: { exec: {} } }, 'readinessProbe.exec.command: Required value'],
    [{ startupProbe: { exec, successThreshold: 2 } }, 'startupProbe.successThreshold: Invalid value: 2: must be 1'],
    [{ lifecycle: { preStop: {} } }, 'lifecycle.preStop: Required value: must specify a handler type'],
    [
      { resources: { limits: { 'example.com/gpu': '1' }, requests: { 'example.com/gpu': '2' } } },
      'resources.requests: Invalid value: "2": must be equal to example.com/gpu limit of 1',
    ],
    [
      { resources: { requests: { 'example.com/gpu': '1' } } },
      'resources.limits: Required value: Limit must be set for non overcommitable resources',
    ],
    [
      {
        ports: [
          { containerPort: 1, hostPort: 5 },
          { containerPort: 2, hostPort: 5 },
        ],
      },
      'ports[1].hostPort: Duplicate value: "TCP//5"',
    ],
  ])('refuse %j', (container, fault) => {
    expect(faultsOf(container)).toEqual([fault]);
  });

  it.each([
    ['cpu', '9m', '0.009'],
    ['cpu', '2300m', '2.3'],
    ['memory', '8Ei', '9223372036854775808'],
    ['example.com/gpu', '9007199254740993', '9007199254740993'],
  ])('compare amounts of %s exactly: %s is %s', (name, amount, limit) => {
    expect(faultsOf({ resources: { limits: { [name]: limit }, requests: { [name]: amount } } })).toEqual([]);
  });

  it('refuse a byte too many of a petabyte', () => {
    const resources = { limits: { memory: '9007199254740992' }, requests: { memory: '9007199254740993' } };
    expect(faultsOf({ resources })).toEqual([
      'resources.requests: Invalid value: "9007199254740993": must be less than or equal to memory limit of 9007199254740992',
    ]);
  });

  it('take handlers over HTTP that leave path and scheme open', () => {
    const handler = { httpGet: { port: 80 } };
    expect(faultsOf({ lifecycle: { preStop: handler }, readinessProbe: handler })).toEqual([]);
  });

  it('refuse amounts of what nobody counts', () => {
    expect(faultsOf({ resources: { requests: { foo: '1' } } })).toEqual([
      'resources.requests[foo]: Invalid value: foo: must be a standard resource type or fully qualified',
      'resources.requests[foo]: Invalid value: foo: must be a standard resource for containers',
    ]);
  });

  it('refuse rights for a container that may gain none', () => {
    const fault = (context: object): string[] =>
      faultsOf({ securityContext: { allowPrivilegeEscalation: false, ...context } });
    expect(fault({ privileged: true })).toEqual([
      expect.stringMatching(/: cannot set `allowPrivilegeEscalation` to false and `privileged` to true$/),
    ]);
    expect(fault({ capabilities: { add: ['CAP_SYS_ADMIN'] } })).toEqual([
      expect.stringMatching(/: cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN$/),
    ]);
    expect(fault({})).toEqual([]);
  });
});
