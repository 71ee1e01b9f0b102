import { expect, it } from 'vitest';
import { mayRead, mayWrite, nextState, type StreamState } from './stream-state.ts';

it.each<[StreamState, sentFin: string, gotFin: string, reset: string]>([
  ['open', 'halfLocal', 'halfRemote', 'closed'],
  ['halfLocal', 'illegal', 'closed', 'closed'],
  ['halfRemote', 'closed', 'illegal', 'closed'],
  ['closed', 'illegal', 'illegal', 'closed'],
])('%s goes to %s by our FIN, %s by theirs, %s by a reset', (state, sentFin, gotFin, reset) => {
  expect(nextState(state, 'sentFin')).toBe(sentFin);
  expect(nextState(state, 'gotFin')).toBe(gotFin);
  expect(nextState(state, 'reset')).toBe(reset);
});

it.each<[StreamState, write: boolean, read: boolean]>([
  ['open', true, true],
  ['halfLocal', false, true],
  ['halfRemote', true, false],
  ['closed', false, false],
])('%s may write: %s, may read: %s', (state, write, read) => {
  expect(mayWrite(state)).toBe(write);
  expect(mayRead(state)).toBe(read);
});
