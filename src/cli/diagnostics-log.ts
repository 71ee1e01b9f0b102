import { subscribe } from 'node:diagnostics_channel';
import { inspect } from 'node:util';
import type { LocalOutput } from './io.ts';

/** At which `-v` each diagnostics channel of the libraries is shown; 0 is always. */
const levels: Readonly<Record<string, number>> = {
  'podwire:client:session': 1,
  'podwire:apiserver:request': 1,
  'podwire:runtime:left-behind': 1,
  'podwire:runtime:log-lost': 1,
  'podwire:runtime:mended': 0,
  'exec:kubeapi:call': 6,
  'exec:cri:call': 6,
  'exec:spdy:frame': 8,
  'exec:websocket:frame': 8,
};

/** The field that names the session, at each hop. */
const idFields = ['sessionId', 'auditId'] as const;

/** Writes what happens up to `level` to `target`, one line each, the session's id in front where there is one. */
export function logDiagnostics(level: number, target: LocalOutput): void {
  for (const [name, from] of Object.entries(levels)) {
    if (level < from) continue;
    subscribe(name, (message) => target.write(`${new Date().toISOString()} ${lineOf(name, message)}\n`));
  }
}

function lineOf(name: string, message: unknown): string {
  if (typeof message !== 'object' || message === null) return `${name} ${inspect(message)}`;
  const fields = Object.entries(message).filter(([, value]) => value !== undefined && value !== '');
  const id = fields.find(([key]) => (idFields as readonly string[]).includes(key));
  const rest = fields.filter((field) => field !== id).map(([key, value]) => `${key}=${textOf(value)}`);
  return `${name}${id === undefined ? '' : ` [${String(id[1])}]`} ${rest.join(' ')}`;
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return /^[\w./:%?&=+-]+$/.test(value) ? value : JSON.stringify(value);
  if (typeof value === 'number') return String(Math.round(value * 1000) / 1000);
  if (value instanceof Error) return JSON.stringify(value.message);
  return inspect(value, { breakLength: Number.POSITIVE_INFINITY, depth: 2, maxStringLength: 200, maxArrayLength: 16 });
}
