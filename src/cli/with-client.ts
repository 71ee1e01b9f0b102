import type { KubeClient } from '../kubeapi/index.ts';
import { type ClientFlagValues, requestTimeoutMs, serverOptions } from './client-flags.ts';
import { Interruption } from './interruption.ts';
import type { Io } from './io.ts';

/** A client of the cluster that the flags name, while a command runs. */
export interface ClusterCall {
  readonly client: KubeClient;
  /** `--namespace`, else the context's. */
  readonly namespace: string;
  /** Aborted by ctrl-C, and when the reader of stdout left. */
  readonly signal: AbortSignal;
}

/** For a command that has something to do after it was interrupted. */
export interface InterruptibleCall extends ClusterCall {
  /** Whose signal it is. */
  readonly interruption: Interruption;
}

/**
 * Runs what a command asks of a cluster.
 *
 * @returns its exit code; that of the signal when one ended it
 */
export async function withClient(
  values: ClientFlagValues,
  io: Io,
  run: (call: InterruptibleCall) => Promise<number>,
): Promise<number> {
  using interruption = new Interruption(io);
  interruption.endWithReaderOf(io.out);
  const { openServer } = await import('../client/index.ts');
  const { KubeClient: Client } = await import('../kubeapi/index.ts');
  const api = await openServer(serverOptions(values));
  const timeoutMs = requestTimeoutMs(values);
  const client = new Client(api, {
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    onWarning: (text) => io.err.write(`Warning: ${text}\n`),
  });
  try {
    const namespace = values.namespace ?? api.namespace;
    return await run({ client, namespace, signal: interruption.signal, interruption });
  } catch (thrown) {
    if (interruption.exitCode !== undefined) return interruption.exitCode;
    throw thrown;
  } finally {
    client.close();
  }
}
