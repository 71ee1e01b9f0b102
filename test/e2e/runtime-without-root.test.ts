import { chownSync, existsSync, lstatSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NamespaceMode } from '../../src/cri/index.ts';
import { type ChildResult, mustRun, runChild } from '../support/child.ts';
import type { ImageOptions } from '../support/image.ts';
import { podwireArgv } from '../support/podwire.ts';
import { processesWith, processTable } from '../support/process-table.ts';
import { UserRuntime, userObstacle } from '../support/user-runtime.ts';

// The runtime of somebody who is not root: containers with walls in a user namespace. Needs `npm run build`.

/** The image's own files of another user than root. */
const image: ImageOptions = {
  files: [
    {
      kind: 'file',
      name: 'etc/passwd',
      mode: 0o644,
      body: Buffer.from('root:x:0:0::/:/bin/sh\nweb:x:1000:1000::/:/bin/sh\n'),
    },
    {
      kind: 'file',
      name: 'etc/group',
      mode: 0o644,
      body: Buffer.from('root:x:0:\nstaff:x:50:root,web\nweb:x:1000:\n'),
    },
    { kind: 'file', name: 'srv/page', mode: 0o640, owner: 1000, body: Buffer.from('page') },
  ],
};

const obstacle = await userObstacle();

describe.skipIf(obstacle !== undefined)(
  `a runtime without root${obstacle === undefined ? '' : ` (${obstacle})`}`,
  () => {
    let user: UserRuntime;
    beforeAll(async () => {
      user = await UserRuntime.start({ image });
    });
    afterAll(() => user[Symbol.asyncDispose]());

    it('gives a container a root, processes, files and rights of its own', async () => {
      const { containerId } = await user.run(['sleep', '1000']);
      const sh = (script: string): Promise<string> => user.sh(containerId, script);
      expect(await sh('id -u; id -g; cat /proc/1/cmdline | tr "\\0" " "')).toBe('0\n0\nsleep 1000');
      expect(await sh('ls /proc | grep -c "^[0-9]"')).toMatch(/^[1-5]$/);
      expect(await sh(`ls ${user.directory}`)).toBe(`ls: ${user.directory}: No such file or directory`);
      expect(await sh('ls /; ls /root/..')).not.toMatch(/work|boot/);
      expect(await sh('touch /new && rm -r /srv && mkdir /srv && ls /srv && rm /bin/vi && echo changed')).toBe(
        'changed',
      );
      expect(await sh('mount -t tmpfs x /srv; chroot /proc/1/root true; mknod /x b 8 0')).toMatch(
        /mount: permission denied[^]*mknod: \/x: Operation not permitted/,
      );
      expect(await sh('ls -A /sys/fs/cgroup')).toBe('');
      expect(await sh('echo 1 >/proc/sys/kernel/hostname')).toContain('Read-only file system');
      expect(await sh('echo into null >/dev/null; head -c 3 /dev/zero | wc -c; ls /dev/sda /dev/vda 2>&1')).toMatch(
        /^3\n.*No such file/,
      );
    });

    it('is the user outside: what is written through a volume belongs to who started the runtime', async () => {
      // The runtime's own mounts are in the volume too.
      const mounts = [{ hostPath: user.directory, containerPath: '/volume' }];
      const { containerId } = await user.run(['sh', '-c', 'echo mine >/volume/written'], { mounts });
      expect(await user.exitCode(containerId)).toBe(0);
      const { uid } = lstatSync(join(user.directory, 'written'));
      expect(uid).toBe(lstatSync(user.directory).uid);
      expect(uid).not.toBe(0);
    });

    it('has terminals with job control by exec, streams, and their exit codes', async () => {
      const { containerId } = await user.run(['sleep', '1000']);
      const script = 'stty -echo; sleep 100 & jobs; kill %1; exit 7';
      const command = await user.exec(containerId, ['sh', '-ic', script], { tty: true, stdin: true });
      let seen = '';
      command.stdout?.on('data', (chunk: Buffer) => {
        seen += chunk.toString();
      });
      expect(await command.completed).toMatchObject({ kind: 'exited', code: 7 });
      expect(seen).toMatch(/\[1\]\+? +Running +sleep 100/);
      expect(await user.bytesOf(containerId, ['sh', '-c', 'head -c 1000000 /dev/zero; exit 3'], {})).toEqual({
        bytes: 1_000_000,
        code: 3,
      });
    });

    it('shares processes within a pod, and the host’s when told so', async () => {
      const { podSandboxId, containerId } = await user.run(['sleep', '1111'], {}, { pid: NamespaceMode.POD });
      expect(await user.sh(containerId, 'ps -o comm | grep -c "^tail"')).toBe('1');
      await user.cri.runtime.removePodSandbox({ podSandboxId });
      const host = await user.run(['sleep', '1000'], {}, { pid: NamespaceMode.NODE });
      expect(await user.sh(host.containerId, `ls -d /proc/${process.pid}`)).toBe(`/proc/${process.pid}`);
    });

    it('refuses the users, groups and limits that it cannot give, and says what to do', async () => {
      const refused = (config: Parameters<UserRuntime['run']>[1], security: object): Promise<string> =>
        user.run(['true'], config, { security }).then(
          () => 'made',
          (error: Error) => error.message,
        );
      expect(await refused({}, { runAsUser: { value: 1000n } })).toContain(
        'there is no user 1000 for a container: this runtime runs without root, in a user namespace; run it as root, or install uidmap',
      );
      expect(await refused({}, { supplementalGroups: [50n] })).toContain('there is no group 50 for a container');
    });

    it('finds its containers again after kill -9', async () => {
      const { containerId } = await user.run(['sleep', '1000']);
      await user.kill();
      await user.restart();
      expect(await user.sh(containerId, 'echo again; cat /proc/1/cmdline | tr "\\0" " "')).toBe('again\nsleep 1000');
    });

    it.each(['SIGTERM', 'SIGINT'] as const)('ends cleanly by %s, and leaves nothing', async (signal) => {
      await user.run(['sleep', '1000']);
      const { pid } = JSON.parse(readFileSync(user.record, 'utf8')) as { pid: number };
      expect(await user.end(signal)).toBe(0);
      expect(processesWith(user.directory).map(({ command }) => command)).toEqual([]);
      expect(existsSync(user.record)).toBe(false);
      await expect.poll(() => processTable().find((row) => row.pid === pid && row.state !== 'Z')).toBeUndefined();
      await user.restart();
    });
  },
);

/** Root of a user namespace in which nobody may make another runs what follows. */
const NO_MORE = `
  unshare --user sh -c 'read -r go; exec "$@"' podwire \\
    sh -c 'echo 0 >/proc/sys/user/max_user_namespaces; exec "$@" </dev/null' podwire "$@" <"$FIFO" & pid=$!
  exec 9>"$FIFO"
  while [ "$(readlink /proc/$pid/ns/user)" = "$(readlink /proc/self/ns/user)" ]; do sleep 0.01; done
  echo 0 0 65536 >/proc/$pid/uid_map; echo 0 0 65536 >/proc/$pid/gid_map; echo go >&9; exec 9>&-; wait $pid`;

it.skipIf(obstacle !== undefined || process.getuid?.() !== 0)(
  'says why and what to do where a user may make no namespace, and runs the host image by itself',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'podwire-refused-'));
    try {
      chownSync(folder, 65_534, 65_534);
      const env = { ...process.env, HOME: folder, TMPDIR: folder, FIFO: join(folder, 'fifo') };
      await mustRun('mkfifo', [env.FIFO]);
      const asUser = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
      const refused = (...args: string[]): Promise<ChildResult> =>
        runChild('sh', ['-c', NO_MORE, 'podwire', ...asUser, ...podwireArgv(...args)], { env });
      const { stderr, exitCode } = await refused('runtime', '--isolation', 'on');
      expect(stderr.toString()).toMatch(
        /^error: no user namespace can be made: .*\n(.*\n)* {2}remedy: {2}run it as root, or with --isolation off/,
      );
      expect(exitCode).toBe(1);
      const demo = await refused('demo', '--', 'id', '-u');
      expect(demo.stdout.toString(), demo.stderr.toString()).toBe('65534\n');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
);

const manyObstacle = await userObstacle({ many: true });

describe.skipIf(manyObstacle !== undefined)(
  `a runtime without root, by uidmap${manyObstacle === undefined ? '' : ` (${manyObstacle})`}`,
  () => {
    it('has the users and groups of the image, whose files are theirs', async () => {
      await using user = await UserRuntime.start({ many: true, image });
      const { containerId } = await user.run(['sleep', '1000'], {}, { security: { runAsUser: { value: 1000n } } });
      expect(await user.sh(containerId, 'id; cat /srv/page; touch /tmp/mine && ls -l /tmp/mine')).toMatch(
        /^uid=1000\(web\) gid=1000\(web\) groups=50\(staff\)(?:,1000\(web\))?\npage.* web +web /s,
      );
      const root = await user.run(['sleep', '1000']);
      expect(await user.sh(root.containerId, 'chown web /bin/busybox && ls -l /bin/busybox && su web -c id')).toMatch(
        / web +root [^]*uid=1000\(web\)/,
      );
      expect(
        await user.podwire('image', 'rm', '--force', '--state-dir', user.stateDir, 'podwire.local/busybox:1'),
      ).toContain('deleted');
    });
  },
);
