import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ImageStore, startRuntime } from '../../src/runtime/index.ts';
import { runChild } from '../support/child.ts';
import { requirePeer } from '../support/find-peer.ts';
import { findBusybox, imageArchive } from '../support/image.ts';
import { describeWithPeer } from '../support/peer.ts';
import type { TarEntry } from '../support/tar.ts';
import { critestReport } from './critest-report.ts';
import { critestSkips, critests } from './critest-skips.ts';

/** critest waits a minute for a thing that does not happen, and has some eighty specs. */
const RUN_MS = 10 * 60_000;

/** Those that critest itself and its server in the host's network listen on. Taken, a spec waits a minute and tells nothing of it. */
const CRITEST_PORTS = [12_000, 12_001, 12_002, 12_003];

const E2E = 'registry.k8s.io/e2e-test-images';
const serve = (port: number): string[] => ['sh', '-c', `echo httpd starts; exec httpd -f -p ${port} -h /www`];

/** What critest expects in its images and Debian's BusyBox has not. */
const programs: Readonly<Record<string, string>> = {
  // With it critest looks for what an ExecSync has left.
  pgrep: `ps -o pid,comm | awk -v name="$1" '$2 == name { print $1; n++ } END { exit !n }'`,
  ipcs: 'cat /proc/sysvipc/shm',
  // Called `nginx` in the process table, where it is looked for by name and by words of its command line.
  nginx: "trap 'kill $!; exit' TERM; mkdir -p /var/run; echo $$ >/var/run/nginx.pid; httpd -f -p 80 -h /www & wait",
};
const passwd =
  'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\ndefault-user:x:1000:1000::/:/bin/sh\n';
const group = 'root:x:0:\ndefault-user:x:1000:\ngroup-defined-in-image:x:50000:default-user\n';
const files: readonly TarEntry[] = [
  ...Object.entries(programs).map(([name, script]): TarEntry => {
    return { kind: 'file', name: `bin/${name}`, mode: 0o755, body: Buffer.from(`#!/bin/sh\n${script}\n`) };
  }),
  { kind: 'file', name: 'etc/passwd', mode: 0o644, body: Buffer.from(passwd) },
  { kind: 'file', name: 'etc/group', mode: 0o644, body: Buffer.from(group) },
];

/** Stand-ins for the images that critest names: BusyBox and its web server. */
const images: readonly { readonly names: readonly string[]; readonly command: readonly string[] }[] = [
  { names: [`${E2E}/busybox:1.29-2`, `${E2E}/busybox:1.37.0-1`], command: ['sh'] },
  { names: [`${E2E}/nginx:1.14-2`], command: ['nginx', 'master process'] },
  { names: [`${E2E}/httpd:2.4.39-4`], command: serve(80) },
  { names: ['gcr.io/k8s-staging-cri-tools/test-image-predefined-group'], command: ['sh'] },
  { names: ['gcr.io/k8s-staging-cri-tools/hostnet-nginx-amd64'], command: serve(12_003) },
];

const canRun = process.getuid?.() === 0 && findBusybox() !== undefined;

describe.each(critests.map((one) => [one.version, one] as const))('of cri-tools %s,', (version, { peer, passed }) => {
  describeWithPeer(peer, 'critest and our runtime', () => {
    it('is the version whose specs were counted', async () => {
      const { stdout } = await runChild(requirePeer(peer), ['--version']);
      expect(stdout.toString(), 'run .ci/install-peers.sh as root').toContain(`critest version: v${version}\n`);
    });

    it.skipIf(!canRun)(
      'passes every spec that is not skipped with a reason',
      async () => {
        for (const port of CRITEST_PORTS) await requireFree(port);
        const directory = mkdtempSync(join(tmpdir(), 'podwire-critest-'));
        const stateDir = join(directory, 'state');
        for (const [at, { names, command }] of images.entries()) {
          const file = join(directory, `${at}.tar`);
          writeFileSync(file, imageArchive({ names, command, files }));
          await new ImageStore(stateDir).import(file);
        }
        const runtime = await startRuntime({ stateDir, isolation: true });
        const before = sharedMemory();
        const report = join(directory, 'report.json');
        const skips = Object.keys(critestSkips);
        const focus = process.env['CRITEST_FOCUS'];
        const args = [
          `--runtime-endpoint=${runtime.endpoints[0]}`,
          `--ginkgo.skip=${skips.join('|')}`,
          ...(focus === undefined ? [] : [`--ginkgo.focus=${focus}`]),
          `--ginkgo.json-report=${report}`,
          '--ginkgo.no-color',
          '--ginkgo.timeout=8m',
        ];
        try {
          const result = await runChild(requirePeer(peer), args, { deadlineMs: RUN_MS, cwd: directory });
          const said = result.stdout.toString();
          if (process.env['CRITEST_OUTPUT'] !== undefined) writeFileSync(process.env['CRITEST_OUTPUT'], said);
          expect(result.exitCode, said.slice(-6000)).toBe(0);
          if (focus !== undefined) return;
          const specs = critestReport(readFileSync(report, 'utf8'));
          expect(specs.leftOut.filter((name) => !skips.some((words) => new RegExp(words).test(name)))).toEqual([]);
          expect(specs.skippedThemselves).toEqual([]);
          expect(specs.passed.length).toBe(passed);
          // The newest has them all; words that leave out nothing are no longer true.
          if (peer === 'critest') {
            expect(skips.filter((words) => !specs.leftOut.some((name) => new RegExp(words).test(name)))).toEqual([]);
          }
        } finally {
          await runtime.close();
          rmSync(directory, { recursive: true });
          for (const id of sharedMemory().filter((one) => !before.includes(one))) await runChild('ipcrm', ['-m', id]);
        }
      },
      RUN_MS + 60_000,
    );
  });
});

async function requireFree(port: number): Promise<void> {
  const server = createServer().listen(port);
  try {
    // Rejects with what `error` says.
    await once(server, 'listening');
  } catch (cause) {
    throw new Error(`critest needs port ${port}: is there another critest on this machine?`, { cause });
  }
  server.close();
  await once(server, 'close');
}

/** Ids of the segments of shared memory as large as those that critest makes on the host and leaves there. */
function sharedMemory(): string[] {
  const lines = readFileSync('/proc/sysvipc/shm', 'latin1').split('\n').slice(1);
  const fields = lines.map((line) => line.trim().split(/\s+/));
  return fields.filter(([, , , bytes]) => bytes === '1048576').map(([, id = '']) => id);
}
