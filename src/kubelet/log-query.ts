/** What a reader of a container's log asks for: PodLogOptions v1 by their JSON names. */
export interface LogQuery {
  readonly follow: boolean;
  /** Of the attempt before the present one. */
  readonly previous: boolean;
  /** Each line begins with its time. */
  readonly timestamps: boolean;
  /** Nothing older, in ms since the epoch. */
  readonly sinceMs: number | undefined;
  /** So many lines at the end of the file. */
  readonly tailLines: number | undefined;
  /** No more bytes than that. */
  readonly limitBytes: number | undefined;
  readonly stream: 'stdout' | 'stderr' | undefined;
}

/** A query that upstream's kubelet does not take: with its status and body. */
export class LogQueryError extends Error {
  readonly status: 400 | 422;

  constructor(status: 400 | 422) {
    super(status === 400 ? '{"message": "Unable to decode query."}' : '{"message": "Invalid request."}');
    this.status = status;
  }
}

/**
 * Reads the query of `/containerLogs`.
 *
 * @throws LogQueryError 400 for what cannot be read, 422 for what cannot be meant
 * @see http-surfaces.md 1.3
 */
export function parseLogQuery(query: URLSearchParams, now = Date.now()): LogQuery {
  const tail = query.get('tail') ?? '';
  const tailLines = integerOf(query, 'tailLines') ?? (tail === '' || tail === 'all' ? undefined : readInteger(tail));
  const limitBytes = integerOf(query, 'limitBytes');
  const sinceSeconds = integerOf(query, 'sinceSeconds');
  const sinceTime = timeOf(query.get('sinceTime') ?? '');
  const stream = query.get('stream') ?? 'All';
  const isWrong =
    (tailLines ?? 0) < 0 ||
    (limitBytes ?? 1) < 1 ||
    (sinceSeconds ?? 1) < 1 ||
    (sinceSeconds !== undefined && sinceTime !== undefined) ||
    !['All', 'Stdout', 'Stderr', ''].includes(stream) ||
    (tailLines !== undefined && (stream === 'Stdout' || stream === 'Stderr'));
  if (isWrong) throw new LogQueryError(422);
  return {
    follow: flagOf(query, 'follow'),
    previous: flagOf(query, 'previous'),
    timestamps: flagOf(query, 'timestamps'),
    sinceMs: sinceSeconds === undefined ? sinceTime : now - sinceSeconds * 1000,
    tailLines,
    limitBytes,
    stream: stream === 'Stdout' ? 'stdout' : stream === 'Stderr' ? 'stderr' : undefined,
  };
}

function flagOf(query: URLSearchParams, name: string): boolean {
  const value = query.get(name);
  return value !== null && value !== '0' && value.toLowerCase() !== 'false';
}

function integerOf(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name) ?? '';
  return text === '' ? undefined : readInteger(text);
}

function readInteger(text: string): number {
  if (!/^-?\d{1,15}$/.test(text)) throw new LogQueryError(400);
  return Number(text);
}

function timeOf(text: string): number | undefined {
  if (text === '') return undefined;
  const time = Date.parse(text);
  if (Number.isNaN(time)) throw new LogQueryError(400);
  return time;
}
