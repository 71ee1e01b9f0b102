import { expect, it } from 'vitest';
import { type ConfirmedWrite, FollowerRecord, type SeenPod, type Told } from './follower-record.ts';

// That the rules can be broken: a record that never complains would prove nothing.

const pod = (name: string, version: number, uid = name): SeenPod => ({ name, uid, version });
const put = (object: SeenPod): Told => ({ type: 'put', object });
const write = (object: SeenPod): ConfirmedWrite => ({ type: 'put', ...object });
const list = (version: number, ...objects: SeenPod[]): Told => ({ type: 'replaced', version, objects });

function problemsOf(told: readonly Told[], confirmed: readonly ConfirmedWrite[], now: readonly SeenPod[]): string[] {
  const record = new FollowerRecord('x');
  for (const one of told) record.tell(one);
  return record.check(confirmed, now, now).filter((problem) => !problem.includes('handled is not'));
}

it('is content with what lists and events tell once, and with a list for what none told', () => {
  const told = [list(10, pod('a', 9)), put(pod('a', 12)), list(20, pod('b', 18)), put(pod('b', 21))];
  const confirmed = [9, 12].map((version) => write(pod('a', version)));
  expect(problemsOf(told, [...confirmed, write(pod('b', 18)), write(pod('b', 21))], [pod('b', 21)])).toEqual([]);
});

it('sees a repeated event, a missed one and an end that was missed', () => {
  const [first, second] = [put(pod('a', 12)), put(pod('a', 14))];
  const now = [pod('a', 14)];
  expect(problemsOf([list(10), first, first, second], [], now)).toEqual(['x: put a 12 after 12']);
  expect(problemsOf([list(10), first, second], [write(pod('b', 13))], now)).toEqual(['x: missed: put b 13']);
  expect(problemsOf([list(10), first, put(pod('a', 14, 'other'))], [], [pod('a', 14, 'other')])).toEqual([
    'x: put a 14: its end was missed',
  ]);
  expect(problemsOf([list(10), first], [], [])).toEqual(['x: what was streamed is not what is there']);
});

it('sees handlers that hear of a pod twice, out of order, or of an end that no list can have told', () => {
  const handled = (...types: Exclude<Told['type'], 'replaced'>[]): string[] =>
    problemsOf([list(10), ...types.map((type): Told => ({ type, object: pod('a', 12) }))], [], []);
  expect(handled('added', 'added')).toEqual(['x: added a 12: it was there as 12']);
  expect(handled('updated')).toEqual(['x: updated a 12: it was not there']);
  expect(handled('added', 'updated')).toEqual(['x: updated a 12: it was 12']);
  expect(handled('added', 'lost')).toEqual(['x: lost a 12: no list came since']);
});
