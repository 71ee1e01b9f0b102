import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ImageStore, startRuntime } from '../../src/runtime/index.ts';
import { runChild } from '../support/child.ts';
import { requirePeer } from '../support/find-peer.ts';
import { findBusybox, imageArchive } from '../support/image.ts';
import { describeWithPeer } from '../support/peer.ts';
import { critestFocus, critestSkips } from './critest-skips.ts';

/** critest waits a minute for a thing that does not happen, and has some sixty specs. */
const RUN_MS = 8 * 60_000;

const E2E = 'registry.k8s.io/e2e-test-images';
const serve = (port: number): string[] => ['sh', '-c', `echo httpd starts; exec httpd -f -p ${port} -h /www`];

/** Debian's BusyBox has no pgrep, with which critest looks for what an ExecSync has left. */
const pgrep = Buffer.from(
  '#!/bin/sh\nps -o pid,comm | awk -v name="$1" \'$2 == name { print $1; n++ } END { exit !n }\'\n',
);

/** Stand-ins for the images that critest names: BusyBox and its web server. */
const images: readonly { readonly names: readonly string[]; readonly command: readonly string[] }[] = [
  { names: [`${E2E}/busybox:1.29-2`, `${E2E}/busybox:1.37.0-1`], command: ['sh'] },
  { names: [`${E2E}/nginx:1.14-2`, `${E2E}/httpd:2.4.39-4`], command: serve(80) },
  { names: ['gcr.io/k8s-staging-cri-tools/hostnet-nginx-amd64'], command: serve(12_003) },
];

const canRun = process.getuid?.() === 0 && findBusybox() !== undefined;

describeWithPeer('critest', 'critest and our runtime', () => {
  it.skipIf(!canRun)(
    'passes its groups on pods, containers, logs, streams and networks',
    async () => {
      const directory = mkdtempSync(join(tmpdir(), 'podwire-critest-'));
      const stateDir = join(directory, 'state');
      for (const [at, { names, command }] of images.entries()) {
        const file = join(directory, `${at}.tar`);
        writeFileSync(
          file,
          imageArchive({ names, command, files: [{ kind: 'file', name: 'bin/pgrep', mode: 0o755, body: pgrep }] }),
        );
        await new ImageStore(stateDir).import(file);
      }
      const runtime = await startRuntime({ stateDir, isolation: true });
      const skips = Object.keys(critestSkips);
      const args = [
        `--runtime-endpoint=${runtime.endpoints[0]}`,
        `--ginkgo.focus=${process.env['CRITEST_FOCUS'] ?? critestFocus.join('|')}`,
        ...(skips.length === 0 ? [] : [`--ginkgo.skip=${skips.join('|')}`]),
        '--ginkgo.no-color',
        '--ginkgo.timeout=6m',
      ];
      try {
        const result = await runChild(requirePeer('critest'), args, { deadlineMs: RUN_MS, cwd: directory });
        const said = result.stdout.toString();
        if (process.env['CRITEST_OUTPUT'] !== undefined) writeFileSync(process.env['CRITEST_OUTPUT'], said);
        expect(result.exitCode, said.slice(-6000)).toBe(0);
        expect(Number(/Ran (\d+) of/.exec(said)?.[1])).toBeGreaterThan(30);
      } finally {
        await runtime.close();
        rmSync(directory, { recursive: true });
      }
    },
    RUN_MS + 60_000,
  );
});
