import { toError } from '../common/errors.ts';
import type { EtcdClient } from './etcd-client.ts';
import { Compare_CompareTarget } from './gen/etcd/v3/etcd_pb.ts';

/** `--etcd-compaction-interval` */
export const COMPACTION_INTERVAL_MS = 5 * 60_000;

/**
 * Makes etcd forget what was before the last interval, as kube-apiserver does. Of several apiservers one does it at a
 * time: the one that raises the version of a key. That key lies under the watched prefix, so that watches of a store
 * where nothing else happens come to know of newer revisions.
 *
 * Owns: the timer.
 */
export class EtcdCompactor {
  readonly #client: EtcdClient;
  readonly #key: Uint8Array;
  readonly #onProblem: (problem: Error) => void;
  readonly #timer: NodeJS.Timeout | undefined;
  #version = 0n;
  /** The revision at the last look. */
  #before = 0n;

  constructor(
    client: EtcdClient,
    key: string,
    options: { readonly intervalMs?: number; readonly onProblem: (problem: Error) => void },
  ) {
    this.#client = client;
    this.#key = Buffer.from(key);
    this.#onProblem = options.onProblem;
    const { intervalMs = COMPACTION_INTERVAL_MS } = options;
    if (intervalMs > 0) this.#timer = setInterval(() => void this.compact(), intervalMs).unref();
  }

  /** One look; fails never. */
  async compact(): Promise<void> {
    try {
      const version = this.#version;
      const { succeeded, header, responses } = await this.#client.txn({
        compare: [
          { target: Compare_CompareTarget.VERSION, key: this.#key, targetUnion: { case: 'version', value: version } },
        ],
        success: [
          { request: { case: 'requestPut', value: { key: this.#key, value: Buffer.from(String(this.#before)) } } },
        ],
        failure: [{ request: { case: 'requestRange', value: { key: this.#key } } }],
      });
      const [answer] = responses;
      const found = answer?.response.case === 'responseRange' ? answer.response.value.kvs[0] : undefined;
      this.#version = succeeded ? version + 1n : (found?.version ?? 0n);
      const before = this.#before;
      this.#before = header?.revision ?? 0n;
      if (succeeded && before > 0n) await this.#client.compact({ revision: before });
    } catch (thrown) {
      this.#onProblem(toError(thrown));
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
