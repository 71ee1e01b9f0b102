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
 * Owns: the haproxy processes.
 */
export class PlainRelay implements AsyncDisposable {
  readonly #haproxy: BenchHaproxy;
  /** A second one before it, with TLS on both sides. */
  readonly #front: BenchHaproxy | undefined;

  private constructor(haproxy: BenchHaproxy, front: BenchHaproxy | undefined) {
    this.#haproxy = haproxy;
    this.#front = front;
  }

  /**
   * @param streaming any URL of the streaming server
   * @param apiserver `http://host:port`
   * @param options `tlsFile`: certificate and key; then there are two relays, with TLS before each, as our hops have it
   */
  static async start(
    streaming: URL,
    apiserver: URL,
    { tlsFile }: { readonly tlsFile?: string } = {},
  ): Promise<PlainRelay> {
    const tls = tlsFile === undefined ? '' : ` ssl crt ${tlsFile} alpn http/1.1`;
    const configure = ({ port, directory }: { port: number; directory: string }): string[] => {
      writeFileSync(join(directory, 'target.map'), 'exec /nowhere\n');
      return [
        'frontend relay',
        '  mode http',
        `  bind 127.0.0.1:${port}${tls}`,
        '  use_backend streaming if { path_end /exec }',
        '  default_backend apiserver',
        'backend streaming',
        '  mode http',
        `  http-request set-uri %[str(exec),map(${directory}/target.map)]`,
        `  server streaming ${streaming.host}`,
        'backend apiserver',
        '  mode http',
        // kubectl has to have some credentials where it sees TLS; here everybody may do everything.
        '  http-request del-header Authorization',
        `  server apiserver ${apiserver.host}`,
      ];
    };
    const haproxy = await BenchHaproxy.start(configure, ['stats socket DIRECTORY/admin.sock level admin']);
    if (tlsFile === undefined) return new PlainRelay(haproxy, undefined);
    try {
      return new PlainRelay(haproxy, await BenchHaproxy.tcp(haproxy.port, { tlsFile }));
    } catch (error) {
      await haproxy[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** For a kubeconfig. */
  get url(): string {
    return this.#front === undefined
      ? `http://127.0.0.1:${this.#haproxy.port}`
      : `https://127.0.0.1:${this.#front.port}`;
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

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#front?.[Symbol.asyncDispose]();
    await this.#haproxy[Symbol.asyncDispose]();
  }
}
