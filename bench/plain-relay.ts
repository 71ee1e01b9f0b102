import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { BenchHaproxy } from './haproxy.ts';

/**
 * The peer of our two hops: haproxy between kubectl and containerd's streaming server, with splicing, and nothing else on
 * the way. It leads the path of an exec to the streaming URL that it was aimed at, and asks a real apiserver (one of
 * ours, off the path of the bytes) whatever else kubectl wants to know.
 *
 * Owns: the haproxy process.
 */
export class PlainRelay implements AsyncDisposable {
  readonly #haproxy: BenchHaproxy;

  private constructor(haproxy: BenchHaproxy) {
    this.#haproxy = haproxy;
  }

  /** @param streaming any URL of the streaming server @param apiserver `http://host:port` */
  static async start(streaming: URL, apiserver: URL): Promise<PlainRelay> {
    const configure = ({ port, directory }: { port: number; directory: string }): string[] => {
      writeFileSync(join(directory, 'target.map'), 'exec /nowhere\n');
      return [
        'frontend relay',
        '  mode http',
        `  bind 127.0.0.1:${port}`,
        '  use_backend streaming if { path_end /exec }',
        '  default_backend apiserver',
        'backend streaming',
        '  mode http',
        `  http-request set-uri %[str(exec),map(${directory}/target.map)]`,
        `  server streaming ${streaming.host}`,
        'backend apiserver',
        '  mode http',
        `  server apiserver ${apiserver.host}`,
      ];
    };
    return new PlainRelay(await BenchHaproxy.start(configure, ['stats socket DIRECTORY/admin.sock level admin']));
  }

  /** For a kubeconfig. */
  get url(): string {
    return `http://127.0.0.1:${this.#haproxy.port}`;
  }

  /** The next exec goes to this streaming URL, which serves one session. */
  async aim({ pathname, search }: URL): Promise<void> {
    const { directory } = this.#haproxy;
    const admin = connect(join(directory, 'admin.sock'));
    let said = '';
    admin.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    admin.write(`set map ${directory}/target.map exec ${pathname}${search}\n`);
    await once(admin, 'close');
    if (said.trim() !== '') throw new Error(`haproxy did not take the target: ${said.trim()}`);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#haproxy[Symbol.asyncDispose]();
  }
}
