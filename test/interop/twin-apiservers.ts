import { request } from 'node:https';
import { type ApiAnswer, type ApiCall, ApiWorld } from '../support/api-world.ts';
import { KubeApiserver } from '../support/kube-apiserver.ts';

const TOKEN = 'twin-admin';

/** Ours and a real kube-apiserver, which are asked the same by an admin. Owns: both. */
export class TwinApiservers implements AsyncDisposable {
  readonly #world: ApiWorld;
  readonly #real: KubeApiserver;

  private constructor(world: ApiWorld, real: KubeApiserver) {
    this.#world = world;
    this.#real = real;
  }

  /** Resolves when both serve, with the account that a real one wants for every pod. */
  static async start(): Promise<TwinApiservers> {
    const world = await ApiWorld.start();
    try {
      const tokens = [{ token: TOKEN, name: 'admin', groups: ['system:masters'] }];
      const twins = new TwinApiservers(world, await KubeApiserver.start({ tokens }));
      const body = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } };
      await twins.both('/api/v1/namespaces/default/serviceaccounts', { method: 'POST', body });
      return twins;
    } catch (error) {
      await world[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The answers to one request. */
  async both(path: string, call: ApiCall = {}): Promise<{ readonly real: ApiAnswer; readonly ours: ApiAnswer }> {
    return { real: await this.#askReal(path, call), ours: await this.#world.call(path, call) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#real[Symbol.asyncDispose]();
    await this.#world[Symbol.asyncDispose]();
  }

  #askReal(path: string, { method = 'GET', body, headers = {} }: ApiCall): Promise<ApiAnswer> {
    const bytes = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
    // A body that a method does not usually have comes with its length alone.
    const content =
      bytes === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(bytes) };
    const options = {
      method,
      ca: this.#real.authority.certificate,
      agent: false,
      headers: { Authorization: `Bearer ${TOKEN}`, ...content, ...headers },
    };
    return new Promise((resolve, reject) => {
      const asked = request(`${this.#real.server}${path}`, options, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          const isJson = response.headers['content-type']?.includes('json') === true;
          const json: unknown = isJson ? JSON.parse(text) : undefined;
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json });
        });
      });
      asked.on('error', reject).end(bytes);
    });
  }
}

/** What an answer says of a failure: everything of its Status but what every Status has; else that it is none. */
export function refusalOf({ status, json }: ApiAnswer): unknown {
  const { kind, reason, message, details } = (json ?? {}) as Readonly<Record<string, unknown>>;
  return kind === 'Status' ? { status, reason, message, details } : { status };
}
