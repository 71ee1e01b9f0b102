const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const YEAR = 365 * DAY;

/**
 * A duration as kubectl prints ages: two or three figures that matter, such as `45s`, `3m20s`, `5h`, `2d3h`, `400d`.
 *
 * @param ms below -1 s it is `<invalid>`: a clock is wrong
 * @see kubernetes/apimachinery pkg/util/duration
 */
export function humanDuration(ms: number): string {
  const seconds = Math.trunc(ms / SECOND);
  if (seconds < -1) return '<invalid>';
  if (seconds < 0) return '0s';
  if (ms < 2 * MINUTE) return `${seconds}s`;
  if (ms < 10 * MINUTE) return two(ms, [MINUTE, 'm'], [SECOND, 's']);
  if (ms < 3 * HOUR) return `${Math.trunc(ms / MINUTE)}m`;
  if (ms < 8 * HOUR) return two(ms, [HOUR, 'h'], [MINUTE, 'm']);
  if (ms < 2 * DAY) return `${Math.trunc(ms / HOUR)}h`;
  if (ms < 8 * DAY) return two(ms, [DAY, 'd'], [HOUR, 'h']);
  if (ms < 2 * YEAR) return `${Math.trunc(ms / DAY)}d`;
  if (ms < 8 * YEAR) return two(ms, [YEAR, 'y'], [DAY, 'd']);
  return `${Math.trunc(ms / YEAR)}y`;
}

type Unit = readonly [ms: number, name: string];

/** The small unit is left out when it is 0. */
function two(ms: number, [large, largeName]: Unit, [small, smallName]: Unit): string {
  const rest = Math.trunc((ms % large) / small);
  return `${Math.trunc(ms / large)}${largeName}${rest === 0 ? '' : `${rest}${smallName}`}`;
}

/** The age of something that happened at `timestamp` (RFC 3339), or `<unknown>`. */
export function ageOf(timestamp: string | null | undefined, now: Date): string {
  const at = Date.parse(timestamp ?? '');
  return Number.isNaN(at) ? '<unknown>' : humanDuration(now.getTime() - at);
}
