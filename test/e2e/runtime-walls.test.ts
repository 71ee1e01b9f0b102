import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CriClient, NamespaceMode } from '../../src/cri/index.ts';
import { HOST_IMAGE } from '../../src/runtime/index.ts';
import { isolationObstacle } from '../../src/runtime/isolation/index.ts';
import { BackgroundChild } from '../support/child.ts';
import { findBusybox } from '../support/image.ts';
import { podwireArgv } from '../support/podwire.ts';
import { WalledRuntime } from '../support/walled-runtime.ts';

// A container that tries to get out. What a hostile image tries is in src/runtime/image/image-store.test.ts.

const obstacle = (await isolationObstacle()) ?? (findBusybox() === undefined ? 'no static BusyBox' : undefined);

describe.skipIf(obstacle !== undefined)(`out of walls${obstacle === undefined ? '' : ` (${obstacle})`}`, () => {
  const secret = `secret-of-the-host-${process.pid}`;
  let walls: WalledRuntime;
  let volume: string;
  beforeAll(async () => {
    process.env['PODWIRE_TEST_SECRET'] = secret;
    const busybox = readFileSync(findBusybox() ?? '');
    const files = [
      { kind: 'file', name: 'bin/busybox-suid', mode: 0o4755, body: busybox },
      {
        kind: 'file',
        name: 'etc/passwd',
        mode: 0o644,
        body: Buffer.from('root:x:0:0::/:/bin/sh\nweb:x:1000:1000::/:/bin/sh\n'),
      },
    ] as const;
    walls = await WalledRuntime.start({ image: { files } });
    volume = join(walls.directory, 'volume');
    mkdirSync(volume, { mode: 0o777 });
    writeFileSync(join(walls.directory, 'outside'), secret);
  });
  afterAll(async () => {
    delete process.env['PODWIRE_TEST_SECRET'];
    await walls[Symbol.asyncDispose]();
  });

  it('lead no descriptor, variable, working directory or program of the host', async () => {
    const look = 'for p in /proc/[0-9]*; do ls -l $p/fd $p/cwd $p/root $p/exe; tr "\\0" "\\n" <$p/environ; done';
    const { containerId } = await walls.run(['sleep', '1000']);
    const byExec = await walls.sh(containerId, look);
    const logDirectory = join(walls.directory, 'logs');
    const own = await walls.run(['sh', '-c', `(${look}) 2>&1`], { logPath: '0.log' }, { logDirectory });
    await walls.exitCode(own.containerId);
    const log = readFileSync(join(logDirectory, '0.log'), 'latin1').replaceAll(/^\S+ stdout [FP] /gm, '');
    for (const seen of [byExec, log]) {
      expect(seen).not.toContain(secret);
      // Of the host only the tools of the way in, before an exec has become its command (ADR 30).
      // A test worker has descriptors of its parent's; a runtime that is a command has closed them: see below.
      const targets = [...seen.matchAll(/ -> (.*)/g)].map(([, target = '']) => target);
      expect(
        targets.filter(
          (target) =>
            !/^(pipe:\[\d+\]|\S+\/pipes\/podwire-fifos-\w+\/\d+ \(deleted\)|\S+\/kept\/\w+\/std(in|out|err)|\/dev\/null|\/|\/seen|(\/usr)?\/s?bin\/\w+|\/proc\/\d+\/(fd|environ))$/.test(
              target,
            ),
        ),
      ).toEqual([]);
      const names = new Set([...seen.matchAll(/^(\w+)=/gm)].map(([, name = '']) => name));
      expect(
        [...names].filter((name) => !/^(PATH|HOME|HOSTNAME|PODWIRE_SESSION|PWD|SHLVL|OLDPWD)$/.test(name)),
      ).toEqual([]);
    }
    const { containerId: typing } = await walls.run(['sleep', '1000']);
    const tty = await walls.exec(typing, ['sh', '-c', 'ls -l /proc/self/fd'], { tty: true });
    let seen = '';
    tty.stdout!.on('data', (chunk: Buffer) => {
      seen += chunk.toString();
    });
    await tty.completed;
    expect(seen).not.toContain(walls.directory);
    expect([...seen.matchAll(/ (\d+) -> \/dev\/pts\/\d+/g)].map(([, fd]) => fd)).toEqual(['0', '1', '2']);
  });

  it('leads none by a descriptor that the runtime got from its own parent', async () => {
    const stateDir = join(walls.directory, 'state-of-a-command');
    const script = `exec 40<${walls.directory}/outside 250<${walls.directory}/outside; exec "$@"`;
    const command = podwireArgv('runtime', '--state-dir', stateDir);
    await using child = new BackgroundChild('bash', ['-c', script, 'bash', ...command]);
    const [, socket = ''] = await child.waitForLog(/ready unix:\/\/(\S+)/, 30_000);
    const cri = new CriClient(socket);
    const sandboxConfig = { metadata: { name: 'p', namespace: 'n', uid: 'u' } };
    const { podSandboxId } = await cri.runtime.runPodSandbox({ config: sandboxConfig });
    const config = { metadata: { name: 'c' }, image: { image: HOST_IMAGE }, command: ['sleep', '1000'] };
    const { containerId } = await cri.runtime.createContainer({ podSandboxId, config, sandboxConfig });
    await cri.runtime.startContainer({ containerId });
    const { stdout } = await cri.runtime.execSync({ containerId, cmd: ['sh', '-c', 'ls -l /proc/self/fd'] });
    expect(Buffer.from(stdout).toString()).not.toContain('outside');
    await cri.close();
  });

  it('leads no way by the processes of the host, though it sees them', async () => {
    const { containerId } = await walls.run(['sleep', '1000'], {}, { pid: NamespaceMode.NODE });
    expect(await walls.sh(containerId, `cat /proc/${process.pid}/comm`)).not.toBe('');
    for (const way of [
      'root/etc/passwd',
      `root${walls.directory}/outside`,
      `cwd/package.json`,
      'exe',
      'fd/0',
      'environ',
      'mem',
      'map_files',
    ]) {
      expect(await walls.sh(containerId, `head -c 1 /proc/${process.pid}/${way} && echo open`)).not.toContain('open');
    }
    expect(await walls.sh(containerId, `ls /proc/${process.pid}/fd/ /proc/1/root/`)).toMatch(/permission denied/i);
    expect(await walls.sh(containerId, 'nsenter -t 1 -m true')).toMatch(/permission|permitted/i);
  });

  it('leads none by device nodes, neither in the root nor in a volume, even with the right to make them', async () => {
    const mounts = [{ containerPath: '/volume', hostPath: volume }];
    const { containerId } = await walls.run(
      ['sleep', '1000'],
      { mounts },
      { security: { capabilities: { addCapabilities: ['MKNOD'] } } },
    );
    for (const folder of ['/', '/tmp', '/dev', '/dev/shm', '/volume']) {
      const said = await walls.sh(containerId, `cd ${folder} && mknod node c 1 5 && head -c 1 node && echo open`);
      expect(`${folder}: ${said}`).toMatch(/permission denied|not permitted/i);
      expect(said).not.toContain('open');
    }
  });

  it('leads none by links and `..`, and a link in a volume takes no mount elsewhere', async () => {
    const mounts = [{ containerPath: '/volume', hostPath: volume }];
    const { containerId } = await walls.run(['sleep', '1000'], { mounts });
    const up = '../'.repeat(40);
    expect(
      await walls.sh(
        containerId,
        `cat ${up}${walls.directory}/outside /volume/../outside /proc/self/cwd/${up}${walls.directory}/outside`,
      ),
    ).not.toContain(secret);
    await walls.sh(
      containerId,
      `ln -s ${walls.directory}/outside /volume/absolute; ln -s ../outside /volume/relative; ln -s / /volume/top`,
    );
    expect(await walls.sh(containerId, 'cat /volume/absolute /volume/relative')).not.toContain(secret);
    const through = [...mounts, { containerPath: '/volume/top/etc/evil', hostPath: volume }];
    await expect(walls.run(['sleep', '1'], { mounts: through })).rejects.toThrow('leads through a link');
    expect(readdirSync(volume).toSorted()).toContain('top');
    symlinkSync('/', join(volume, 'again'));
    await expect(
      walls.run(['sleep', '1'], { mounts: [...mounts, { containerPath: '/volume/again', hostPath: volume }] }),
    ).rejects.toThrow('leads through a link');
  });

  it('gives nobody more rights in an exec than in the container, by a setuid program neither', async () => {
    const who =
      'ls -l /bin/busybox-suid | cut -c 1-4; /bin/busybox-suid id -u; grep -E "^(CapEff|CapBnd|NoNewPrivs)" /proc/self/status';
    const security = { runAsUser: { value: 1000n }, noNewPrivs: true };
    const { containerId } = await walls.run(['sh', '-c', `(${who}) >/tmp/seen; sleep 1000`], {}, { security });
    const byExec = await walls.sh(containerId, who);
    expect(byExec).toMatch(/^-rws\n1000\nCapEff:\s0+\n/);
    expect(byExec).toMatch(/NoNewPrivs:\s1$/);
    expect(await walls.sh(containerId, 'cat /tmp/seen')).toBe(byExec);
  });

  it('changes nothing that is the host’s: names, kernel settings, mounts, the image', async () => {
    const { containerId } = await walls.run(['sleep', '1000'], {}, { network: NamespaceMode.POD });
    const tries = [
      'hostname evil',
      'echo evil >/proc/sys/kernel/hostname',
      'echo 1 >/proc/sys/kernel/panic',
      'echo b >/proc/sysrq-trigger',
      'mount -t tmpfs t /tmp',
      'umount /proc',
      'mount -o remount,rw /sys',
      'unshare -m true',
    ];
    for (const line of tries)
      expect(`${line}: ${await walls.sh(containerId, `${line} && echo done`)}`).not.toContain('done');
    expect(await walls.sh(containerId, 'date -s 2001-01-01')).toContain('not permitted');
    await walls.sh(containerId, 'echo evil >/bin/ls; rm -rf /www');
    const other = await walls.run(['sleep', '1000']);
    expect(await walls.sh(other.containerId, 'ls /www')).toBe('index.html');
  });

  it('is not open to other users of the host: images and roots', () => {
    for (const name of ['', 'images']) expect(statSync(join(walls.directory, 'state', name)).mode & 0o077).toBe(0);
  });
});
