import { describe, expect, it } from 'vitest';
import type { Node } from './node.ts';
import { nodeLayout } from './node-table.ts';
import type { Pod, PodSpec } from './pod.ts';
import type { ContainerState, ContainerStatus, PodStatus } from './pod-status.ts';
import { podLayout } from './pod-table.ts';
import { renderTable } from './table.ts';
import { formatTable } from './table-text.ts';

const now = new Date('2026-01-02T00:00:00Z');
const ago = (ms: number): string => new Date(now.getTime() - ms).toISOString();
const MINUTE = 60_000;

function pod(status: PodStatus, spec: Partial<PodSpec> = {}, metadata: Partial<Pod['metadata']> = {}): Pod {
  return {
    metadata: { name: 'web', namespace: 'default', creationTimestamp: ago(5 * MINUTE), ...metadata },
    spec: { containers: [{ name: 'a' }], ...spec },
    status,
  };
}

function container(name: string, state: ContainerState, more: Partial<ContainerStatus> = {}): ContainerStatus {
  return { name, state, ready: state.running !== undefined, restartCount: 0, image: '', imageID: '', ...more };
}

const running: ContainerState = { running: { startedAt: ago(MINUTE) } };
const waiting = (reason: string): ContainerState => ({ waiting: { reason } });
const ended = (exitCode: number, reason?: string): ContainerState => ({
  terminated: { exitCode, ...(reason === undefined ? {} : { reason }), finishedAt: ago(MINUTE) },
});
const condition = (type: string, status: 'True' | 'False' = 'True', reason = '') => ({ type, status, reason });

const init = { initContainers: [{ name: 'i' }, { name: 'j' }] };
const sidecar = { initContainers: [{ name: 's', restartPolicy: 'Always' }, { name: 'i' }] };
const deleted = { deletionTimestamp: ago(0) };

/** Ready, Status, Restarts as kubectl shows them. */
const golden: [what: string, pod: Pod, cells: string][] = [
  ['a running pod', pod({ phase: 'Running', containerStatuses: [container('a', running)] }), '1/1 Running 0'],
  ['a pod without any status', { ...pod({}), status: undefined as never }, '0/1  0'],
  ['a pending pod', pod({ phase: 'Pending' }), '0/1 Pending 0'],
  [
    'a gated pod',
    pod({ phase: 'Pending', conditions: [condition('PodScheduled', 'False', 'SchedulingGated')] }),
    '0/1 SchedulingGated 0',
  ],
  [
    'a pod whose image is being fetched',
    pod({ phase: 'Pending', containerStatuses: [container('a', waiting('ContainerCreating'))] }),
    '0/1 ContainerCreating 0',
  ],
  [
    'a pod that ended well',
    pod({ phase: 'Succeeded', containerStatuses: [container('a', ended(0, 'Completed'))] }),
    '0/1 Completed 0',
  ],
  [
    'a pod that failed',
    pod({ phase: 'Failed', containerStatuses: [container('a', ended(1, 'Error'))] }),
    '0/1 Error 0',
  ],
  [
    'an exit without a reason',
    pod({ phase: 'Failed', containerStatuses: [container('a', ended(7))] }),
    '0/1 ExitCode:7 0',
  ],
  [
    'a death by signal',
    pod({ phase: 'Failed', containerStatuses: [container('a', { terminated: { exitCode: 137, signal: 9 } })] }),
    '0/1 Signal:9 0',
  ],
  ['an evicted pod', pod({ phase: 'Failed', reason: 'Evicted' }), '0/1 Evicted 0'],
  [
    'a crash loop',
    pod({
      phase: 'Running',
      containerStatuses: [
        container('a', waiting('CrashLoopBackOff'), { restartCount: 4, lastState: ended(1, 'Error') }),
      ],
    }),
    '0/1 CrashLoopBackOff 4 (60s ago)',
  ],
  [
    'one container done and one running',
    pod(
      {
        phase: 'Running',
        conditions: [condition('Ready')],
        containerStatuses: [container('a', ended(0, 'Completed')), container('b', running)],
      },
      { containers: [{ name: 'a' }, { name: 'b' }] },
    ),
    '1/2 Running 0',
  ],
  [
    'the same when the pod is not ready',
    pod(
      { phase: 'Running', containerStatuses: [container('a', ended(0, 'Completed')), container('b', running)] },
      { containers: [{ name: 'a' }, { name: 'b' }] },
    ),
    '1/2 NotReady 0',
  ],
  [
    'two containers, of which the first that waits is told',
    pod(
      {
        phase: 'Pending',
        containerStatuses: [container('a', waiting('ErrImagePull')), container('b', waiting('ContainerCreating'))],
      },
      { containers: [{ name: 'a' }, { name: 'b' }] },
    ),
    '0/2 ErrImagePull 0',
  ],
  [
    'init containers that begin',
    pod(
      { phase: 'Pending', initContainerStatuses: [container('i', waiting('PodInitializing')), container('j', {})] },
      init,
    ),
    '0/1 Init:0/2 0',
  ],
  [
    'the second init container',
    pod({ phase: 'Pending', initContainerStatuses: [container('i', ended(0)), container('j', running)] }, init),
    '0/1 Init:1/2 0',
  ],
  [
    'an init container that fails',
    pod({ phase: 'Pending', initContainerStatuses: [container('i', ended(2, 'Error'))] }, init),
    '0/1 Init:Error 0',
  ],
  [
    'an init container without a reason',
    pod({ phase: 'Pending', initContainerStatuses: [container('i', ended(2))] }, init),
    '0/1 Init:ExitCode:2 0',
  ],
  [
    'an init container in a crash loop',
    pod(
      {
        phase: 'Pending',
        initContainerStatuses: [container('i', waiting('CrashLoopBackOff'), { restartCount: 2, lastState: ended(1) })],
      },
      init,
    ),
    '0/1 Init:CrashLoopBackOff 2 (60s ago)',
  ],
  [
    'after init, whose restarts no longer count',
    pod(
      {
        phase: 'Running',
        initContainerStatuses: [container('i', ended(0), { restartCount: 3 }), container('j', ended(0))],
        containerStatuses: [container('a', running)],
      },
      init,
    ),
    '1/1 Running 0',
  ],
  [
    'a sidecar that runs while init goes on',
    pod(
      {
        phase: 'Pending',
        initContainerStatuses: [container('s', running, { started: true }), container('i', running)],
      },
      sidecar,
    ),
    '1/2 Init:1/2 0',
  ],
  [
    'a sidecar beside the main container, with its restarts',
    pod(
      {
        phase: 'Running',
        initContainerStatuses: [
          container('s', running, { started: true, restartCount: 1, lastState: ended(1) }),
          container('i', ended(0)),
        ],
        containerStatuses: [container('a', running)],
      },
      sidecar,
    ),
    '2/2 Running 1 (60s ago)',
  ],
  [
    'a pod being deleted',
    pod({ phase: 'Running', containerStatuses: [container('a', running)] }, {}, deleted),
    '1/1 Terminating 0',
  ],
  [
    'a deleted pod that had ended',
    pod({ phase: 'Succeeded', containerStatuses: [container('a', ended(0, 'Completed'))] }, {}, deleted),
    '0/1 Completed 0',
  ],
  ['a deleted pod of a lost node', pod({ phase: 'Running', reason: 'NodeLost' }, {}, deleted), '0/1 Unknown 0'],
];

describe('the Table of pods', () => {
  it.each(golden)('shows %s', (_what, object, cells) => {
    const [row] = renderTable(podLayout, [object], { now }).rows;
    expect(row?.cells.slice(1, 4).join(' ')).toBe(cells);
  });

  it('has the wide columns behind the others', () => {
    const object = pod(
      {
        phase: 'Running',
        podIPs: [{ ip: '10.0.0.2' }],
        conditions: [condition('www')],
        containerStatuses: [container('a', running)],
      },
      { nodeName: 'n1', readinessGates: [{ conditionType: 'www' }, { conditionType: 'zzz' }] },
    );
    const table = renderTable(podLayout, [object, pod({ phase: 'Succeeded' })], {
      now,
      metadata: { resourceVersion: '7' },
    });
    expect(formatTable(table, { wide: true })).toBe(
      [
        'NAME   READY   STATUS      RESTARTS   AGE   IP         NODE     NOMINATED NODE   READINESS GATES',
        'web    1/1     Running     0          5m    10.0.0.2   n1       <none>           1/2',
        'web    0/1     Succeeded   0          5m    <none>     <none>   <none>           <none>',
        '',
      ].join('\n'),
    );
    expect(table.rows[0]?.object).toEqual({
      kind: 'PartialObjectMetadata',
      apiVersion: 'meta.k8s.io/v1',
      metadata: object.metadata,
    });
    expect(table.rows[1]?.conditions?.[0]).toMatchObject({ type: 'Completed', reason: 'Succeeded' });
  });

  it('carries what includeObject asks for, and columns only where they are wanted', () => {
    const object = pod({ phase: 'Running' });
    expect(renderTable(podLayout, [object], { includeObject: 'None' }).rows[0]).not.toHaveProperty('object');
    expect(renderTable(podLayout, [object], { includeObject: 'Object' }).rows[0]?.object).toBe(object);
    expect(renderTable(podLayout, [object], { withColumns: false, version: 'v1beta1' })).toMatchObject({
      apiVersion: 'meta.k8s.io/v1beta1',
      columnDefinitions: [],
    });
  });
});

describe('the Table of nodes', () => {
  it('shows status, roles, version and the wide columns', () => {
    const node: Node = {
      metadata: {
        name: 'n1',
        creationTimestamp: ago(90 * 60 * MINUTE),
        labels: {
          'node-role.kubernetes.io/worker': '',
          'node-role.kubernetes.io/control-plane': '',
          'kubernetes.io/role': 'agent',
        },
      },
      spec: { unschedulable: true },
      status: {
        conditions: [{ type: 'Ready', status: 'False' }],
        addresses: [
          { type: 'Hostname', address: 'n1' },
          { type: 'InternalIP', address: '10.0.0.1' },
        ],
        nodeInfo: {
          kubeletVersion: 'v1.32.0',
          osImage: 'Debian',
          kernelVersion: '6',
          containerRuntimeVersion: 'containerd://2',
        } as never,
      },
    };
    const bare: Node = { metadata: { name: 'n2' } };
    expect(formatTable(renderTable(nodeLayout, [node, bare], { now }), { wide: true })).toBe(
      [
        'NAME   STATUS                        ROLES                        AGE         VERSION   INTERNAL-IP   EXTERNAL-IP   OS-IMAGE    KERNEL-VERSION   CONTAINER-RUNTIME',
        'n1     NotReady,SchedulingDisabled   agent,control-plane,worker   3d18h       v1.32.0   10.0.0.1      <none>        Debian      6                containerd://2',
        'n2     Unknown                       <none>                       <unknown>             <none>        <none>        <unknown>   <unknown>        <unknown>',
        '',
      ].join('\n'),
    );
  });
});

describe('formatTable', () => {
  it('shows namespaces, leaves headers out and keeps control characters from the terminal', () => {
    const table = renderTable(podLayout, [pod({ phase: 'Running', reason: 'a\u001b[2Jb\nc' })], { now });
    expect(formatTable(table, { namespaces: true, headers: false })).toBe(
      'default   web   0/1   a^[[2Jb...   0     5m\n',
    );
  });
});
