import { tmpdir } from 'node:os';
import { describe, expect, it } from 'vitest';
import { type NodeFacts, nodeObject } from './node-object.ts';
import { measureRoom, type NodeRoom, pressureConditions } from './node-pressure.ts';

const GIB = 2 ** 30;

const roomy: NodeRoom = {
  memoryBytes: GIB,
  disk: { totalBytes: 100 * GIB, freeBytes: 50 * GIB, inodes: 1000, freeInodes: 500 },
  processes: 1000,
};

const facts: NodeFacts = {
  name: 'n1',
  address: '10.0.0.1',
  port: 10_250,
  runtime: { name: 'podwire', version: '1' },
  notReady: undefined,
  version: 'v1.2.3',
  room: roomy,
  now: new Date('2025-01-02T03:04:05Z'),
};

describe('the node of a kubelet', () => {
  it('says that nothing presses it, and that it is ready', async () => {
    const { status } = await nodeObject(facts, undefined);
    const times = { lastHeartbeatTime: '2025-01-02T03:04:05Z', lastTransitionTime: '2025-01-02T03:04:05Z' };
    expect(status?.conditions).toEqual([
      {
        type: 'MemoryPressure',
        status: 'False',
        reason: 'KubeletHasSufficientMemory',
        message: 'kubelet has sufficient memory available',
        ...times,
      },
      {
        type: 'DiskPressure',
        status: 'False',
        reason: 'KubeletHasNoDiskPressure',
        message: 'kubelet has no disk pressure',
        ...times,
      },
      {
        type: 'PIDPressure',
        status: 'False',
        reason: 'KubeletHasSufficientPID',
        message: 'kubelet has sufficient PID available',
        ...times,
      },
      {
        type: 'Ready',
        status: 'True',
        reason: 'KubeletReady',
        message: 'kubelet is posting ready status',
        ...times,
      },
    ]);
    expect(status?.capacity).toMatchObject({ 'ephemeral-storage': `${(100 * GIB) / 1024}Ki` });
  });

  it('keeps the time of a condition’s last change', async () => {
    const before = await nodeObject(facts, undefined);
    const later = { ...facts, now: new Date('2025-01-02T03:05:00Z'), room: { ...roomy, memoryBytes: 0 } };
    const { status } = await nodeObject(later, before);
    expect(status?.conditions?.map(({ type, lastTransitionTime }) => [type, lastTransitionTime])).toEqual([
      ['MemoryPressure', '2025-01-02T03:05:00Z'],
      ['DiskPressure', '2025-01-02T03:04:05Z'],
      ['PIDPressure', '2025-01-02T03:04:05Z'],
      ['Ready', '2025-01-02T03:04:05Z'],
    ]);
  });

  it('is pressed below upstream’s thresholds', () => {
    const pressed = (room: NodeRoom): string[] =>
      pressureConditions(room)
        .filter(({ status }) => status === 'True')
        .map(({ reason, message }) => `${reason}: ${message}`);
    const disk = { totalBytes: 100, freeBytes: 10, inodes: 100, freeInodes: 5 };
    expect(pressed({ memoryBytes: 100 * 2 ** 20, disk, processes: 1 })).toEqual([]);
    expect(pressed({ memoryBytes: 100 * 2 ** 20 - 1, processes: 0 })).toEqual([
      'KubeletHasInsufficientMemory: kubelet has insufficient memory available',
      'KubeletHasInsufficientPID: kubelet has insufficient PID available',
    ]);
    for (const less of [{ freeBytes: 9 }, { freeInodes: 4 }]) {
      expect(pressed({ disk: { ...disk, ...less } })).toEqual(['KubeletHasDiskPressure: kubelet has disk pressure']);
    }
  });

  it('says nothing of what it cannot measure', async () => {
    expect(pressureConditions({})).toEqual([]);
    expect(await measureRoom('/nowhere/at/all')).not.toHaveProperty('disk');
    expect((await measureRoom(tmpdir())).disk?.totalBytes).toBeGreaterThan(0);
  });
});
