import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BackgroundChild } from './child.ts';
import { requirePeer } from './find-peer.ts';
import { freePort } from './free-port.ts';
import { withDescendants } from './process-table.ts';

export interface HaproxyTarget {
  readonly host: string;
  readonly port: number;
}

export interface HaproxyOptions {
  /** Of several: the first that listens. When it stops to, its connections are closed and the next takes over. */
  readonly target: HaproxyTarget | readonly HaproxyTarget[];
  /** Let the kernel move the bytes where it can (`option splice-auto`). Default: true. */
  readonly splice?: boolean;
  /** PEM file with certificate and key: the client side speaks TLS. Default: plain. */
  readonly certificateFile?: string;
  /** The target side speaks TLS; the target's certificate is not verified. Default: plain. */
  readonly targetTls?: boolean;
}

/**
 * haproxy in TCP mode with one thread: what a relay hop of ours is measured against.
 *
 * Owns: the process and its folder.
 */
export class Haproxy implements AsyncDisposable {
  readonly port: number;
  readonly #child: BackgroundChild;
  readonly #directory: string;

  private constructor(port: number, directory: string) {
    this.port = port;
    this.#directory = directory;
    this.#child = new BackgroundChild(requirePeer('haproxy'), ['-W', '-db', '-f', join(directory, 'haproxy.cfg')]);
  }

  static async start(options: HaproxyOptions): Promise<Haproxy> {
    const directory = mkdtempSync(join(tmpdir(), 'podwire-haproxy-'));
    const port = await freePort();
    writeFileSync(join(directory, 'haproxy.cfg'), configOf(options, port));
    const haproxy = new Haproxy(port, directory);
    try {
      await haproxy.#child.waitForLog(/Loading success/);
      return haproxy;
    } catch (error) {
      await haproxy[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Of the worker, which moves the bytes: for CPU time and memory, see process-table.ts. */
  get pid(): number {
    return withDescendants([this.#child.pid])[1] ?? this.#child.pid;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.kill();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** How often it looks whether one of several targets listens. */
const CHECK = 'check inter 100ms fall 1 rise 1 on-marked-down shutdown-sessions';

function configOf({ target, splice = true, certificateFile, targetTls = false }: HaproxyOptions, port: number): string {
  const targets = [target].flat();
  const lines = [
    'global',
    '  nbthread 1',
    'defaults',
    '  mode tcp',
    '  timeout connect 5s',
    '  timeout client 4h',
    '  timeout server 4h',
    ...(splice ? ['  option splice-auto'] : []),
    'listen relay',
    `  bind 127.0.0.1:${port}${certificateFile === undefined ? '' : ` ssl crt ${certificateFile}`}`,
    ...targets.map(
      ({ host, port: at }, index) =>
        `  server target${index} ${host}:${at}${targetTls ? ' ssl verify none' : ''}` +
        `${targets.length === 1 ? '' : ` ${CHECK}`}${index === 0 ? '' : ' backup'}`,
    ),
    ...(targets.length === 1 ? [] : ['  option redispatch']),
  ];
  return `${lines.join('\n')}\n`;
}
