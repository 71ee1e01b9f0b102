import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ContainerStatusSchema, type ContainerStatus as CriContainerStatus, create } from '../cri/index.ts';
import type { Container, Pod } from '../kubeapi/index.ts';
import { terminationAnnotations, terminationMessage, terminationMount, withinShare } from './termination-message.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'podwire-termination-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const folders = (): { logs: string; volumes: string } => ({ logs: join(folder, 'logs'), volumes: folder });

const pod: Pod = { metadata: { name: 'web', namespace: 'default', uid: 'u-1' }, spec: { containers: [] } };

function mountOf(container: Partial<Container> = {}, attempt = 0): ReturnType<typeof terminationMount> {
  return terminationMount(pod, { name: 'main', ...container }, attempt, folders());
}

/** Of an attempt that ended with 3, as the runtime shows it. */
async function ended(container: Partial<Container> = {}, more: object = {}): Promise<CriContainerStatus> {
  return create(ContainerStatusSchema, {
    metadata: { name: 'main', attempt: 0 },
    labels: { 'io.kubernetes.pod.uid': 'u-1' },
    annotations: terminationAnnotations({ name: 'main', ...container }),
    mounts: [...(await mountOf(container))],
    exitCode: 3,
    ...more,
  });
}

async function said(status: CriContainerStatus): Promise<string> {
  return await terminationMessage(status, folders());
}

/** @returns where it lies */
function log(lines: readonly string[]): string {
  const path = join(folder, '0.log');
  writeFileSync(path, lines.map((line) => `2026-01-01T00:00:00Z stdout F ${line}\n`).join(''));
  return path;
}

const fallback = { terminationMessagePolicy: 'FallbackToLogsOnError' } as const;

// Facts: kubernetes pkg/kubelet/kuberuntime/kuberuntime_container.go, pkg/kubelet/container/runtime.go
describe('the file for the last word of a container', () => {
  it('is empty, for whomever it runs as, where its pod says', async () => {
    const [mount] = await mountOf();
    expect(mount).toEqual({ hostPath: `${folder}/u-1/.termination/main/0`, containerPath: '/dev/termination-log' });
    expect(statSync(mount?.hostPath ?? '')).toMatchObject({ size: 0, mode: expect.any(Number) });
    expect(statSync(mount?.hostPath ?? '').mode & 0o777).toBe(0o666);
    expect(await mountOf({ terminationMessagePath: 'tmp/last' }, 1)).toEqual([
      { hostPath: `${folder}/u-1/.termination/main/1`, containerPath: '/tmp/last' },
    ]);
  });

  it('has nothing of an attempt of the same number that the runtime has forgotten', async () => {
    const [mount] = await mountOf();
    writeFileSync(mount?.hostPath ?? '', 'old');
    await mountOf();
    expect(readFileSync(mount?.hostPath ?? '', 'utf8')).toBe('');
  });

  it('is not made where the container mounts something itself', async () => {
    expect(await mountOf({ volumeMounts: [{ name: 'v', mountPath: '/dev/termination-log/' }] })).toEqual([]);
  });
});

describe('what a container that has ended left to say', () => {
  it('is its file, of that the end', async () => {
    const status = await ended();
    const file = status.mounts[0]?.hostPath ?? '';
    expect(await said(status)).toBe('');
    writeFileSync(file, 'no disk\n');
    expect(await said(status)).toBe('no disk\n');
    writeFileSync(file, `${'x'.repeat(5000)}end`);
    expect(await said(status)).toBe(`${'x'.repeat(4093)}end`);
    rmSync(file);
    expect(await said(status)).toBe('');
  });

  it('is its log when it failed, left nothing and its pod says so', async () => {
    const logPath = log(['one', 'two']);
    expect(await said(await ended(fallback, { logPath }))).toBe('one\ntwo\n');
    expect(await said(await ended(fallback, { logPath, exitCode: 0 }))).toBe('');
    expect(await said(await ended({}, { logPath }))).toBe('');
    expect(await said(await ended(fallback, { logPath: join(folder, 'none') }))).toBe('');
    const left = await ended(fallback, { logPath });
    writeFileSync(left.mounts[0]?.hostPath ?? '', 'left');
    expect(await said(left)).toBe('left');
  });

  it.each([
    ['80 lines', Array.from({ length: 100 }, (_, at) => `${at}`), /^20\n21\n[\d\n]*\n99\n$/],
    ['2048 bytes', ['a'.repeat(3000), 'b'.repeat(1000)], /^a{1046}\nb{1000}\n$/],
  ])('is of the log the last %s', async (_what, lines, expected) => {
    expect(await said(await ended(fallback, { logPath: log(lines) }))).toMatch(expected);
  });

  it('is never read through a link, or from a file that the kubelet did not make', async () => {
    const secret = join(folder, 'secret');
    writeFileSync(secret, 'secret');
    const status = await ended();
    const [mount] = status.mounts;
    rmSync(mount?.hostPath ?? '');
    symlinkSync(secret, mount?.hostPath ?? '');
    expect(await said(status)).toMatch(/^Error on reading termination log .*ELOOP/);
    const containerPath = '/dev/termination-log';
    expect(await said(await ended({}, { mounts: [{ hostPath: secret, containerPath }] }))).toBe('');
    expect(await said(await ended({}, { labels: { 'io.kubernetes.pod.uid': '../x' } }))).toBe('');
  });

  it('is no more than a container’s share of what its pod may say, in whole characters', () => {
    expect(withinShare('x'.repeat(5000), 1)).toBe('x'.repeat(5000));
    expect(withinShare('x'.repeat(5000), 4)).toBe('x'.repeat(3072));
    expect(withinShare('é'.repeat(3000), 5)).toBe('é'.repeat(1228));
    expect(withinShare(`x${'é'.repeat(3000)}`, 4)).toBe(`x${'é'.repeat(1535)}`);
  });
});
