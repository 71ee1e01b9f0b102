import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BackgroundChild } from '../test/support/child.ts';
import { requirePeer } from '../test/support/find-peer.ts';
import { freePort } from '../test/support/free-port.ts';
import { withDescendants } from '../test/support/process-table.ts';

/** Names that a configuration may use: the port to bind and a folder for its own files. */
export interface HaproxySurroundings {
  readonly port: number;
  readonly directory: string;
}

/**
 * haproxy with one thread and splicing asked for in both directions, configured by its caller.
 *
 * Owns: the process and its folder.
 */
export class BenchHaproxy implements AsyncDisposable {
  readonly port: number;
  readonly directory: string;
  readonly #child: BackgroundChild;

  private constructor({ port, directory }: HaproxySurroundings) {
    this.port = port;
    this.directory = directory;
    this.#child = new BackgroundChild(requirePeer('haproxy'), ['-W', '-db', '-f', join(directory, 'haproxy.cfg')]);
  }

  /** @param configure gives the lines of the `listen` or `frontend` sections; may write files into the folder */
  static async start(
    configure: (surroundings: HaproxySurroundings) => readonly string[],
    globals: readonly string[] = [],
  ): Promise<BenchHaproxy> {
    const surroundings = { directory: mkdtempSync(join(tmpdir(), 'podwire-bench-haproxy-')), port: await freePort() };
    const lines = [
      'global',
      '  nbthread 1',
      ...globals.map((line) => `  ${line.replaceAll('DIRECTORY', surroundings.directory)}`),
      'defaults',
      '  timeout connect 5s',
      '  timeout client 4h',
      '  timeout server 4h',
      '  timeout tunnel 4h',
      '  option splice-request',
      '  option splice-response',
      ...configure(surroundings),
    ];
    writeFileSync(join(surroundings.directory, 'haproxy.cfg'), `${lines.join('\n')}\n`);
    const haproxy = new BenchHaproxy(surroundings);
    try {
      await haproxy.#child.waitForLog(/Loading success/);
      return haproxy;
    } catch (error) {
      await haproxy[Symbol.asyncDispose]();
      throw error;
    }
  }

  /**
   * In TCP mode to a port of loopback.
   *
   * @param options `tlsFile`: certificate and key, for TLS on both sides. `splice`: `on` both ways (the default), or
   *   `auto`, where haproxy looks at each connection
   */
  static tcp(
    targetPort: number,
    { tlsFile, splice = 'on' }: { readonly tlsFile?: string | undefined; readonly splice?: 'on' | 'auto' } = {},
  ): Promise<BenchHaproxy> {
    const bind = tlsFile === undefined ? '' : ` ssl crt ${tlsFile} alpn http/1.1`;
    const server = tlsFile === undefined ? '' : ' ssl verify none alpn http/1.1';
    const choose = ['  no option splice-request', '  no option splice-response', '  option splice-auto'];
    return BenchHaproxy.start(({ port }) => [
      'listen relay',
      '  mode tcp',
      ...(splice === 'auto' ? choose : []),
      `  bind 127.0.0.1:${port}${bind}`,
      `  server target 127.0.0.1:${targetPort}${server}`,
    ]);
  }

  /** Of the worker, which moves the bytes. */
  get pid(): number {
    return withDescendants([this.#child.pid])[1] ?? this.#child.pid;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
