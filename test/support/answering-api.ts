import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import {
  type ClientConfig,
  createTransport,
  KubeClient,
  type KubeClientOptions,
  type Pod,
} from '../../src/kubeapi/index.ts';
import type { Loopback } from './loopback.ts';

/** One request as the API got it. */
export interface Asked {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  readonly socket: Socket;
}

export type Answer = (ask: Asked, answer: ServerResponse) => unknown;

export interface AnsweringApi {
  readonly client: KubeClient;
  readonly asked: Asked[];
  readonly port: number;
}

/** An HTTP server that answers the n-th request with the n-th answer, the last one from then on; and a client of it. */
export async function answeringApi(
  loopback: Loopback,
  answers: readonly Answer[],
  { config = {}, options = {} }: { config?: Partial<ClientConfig>; options?: KubeClientOptions } = {},
): Promise<AnsweringApi> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url = '', headers, socket } = request;
      const ask = { method, url: new URL(url, 'http://x'), headers, body: Buffer.concat(chunks).toString(), socket };
      asked.push(ask);
      answers[Math.min(asked.length, answers.length) - 1]?.(ask, response);
    });
  });
  const port = await loopback.listen(server);
  const transport = createTransport({ server: new URL(`http://127.0.0.1:${port}`), ...config }, { env: {} });
  const client = new KubeClient(transport, options);
  loopback.defer(() => client.close());
  return { client, asked, port };
}

/** Answers with `value` as JSON. */
export function json(value: unknown, code = 200, headers: Record<string, string> = {}): Answer {
  return (_ask, answer) => {
    answer.writeHead(code, { 'Content-Type': 'application/json', ...headers }).end(JSON.stringify(value));
  };
}

/** A pod of the namespace `default` with one container. */
export function somePod(name: string, resourceVersion = '1'): Pod {
  return {
    metadata: { name, namespace: 'default', resourceVersion },
    spec: { containers: [{ name: 'main', image: 'i' }] },
  };
}

/** Lines of a watch. */
export function watchLines(...events: unknown[]): string {
  return events.map((event) => `${JSON.stringify(event)}\n`).join('');
}
