import { describe, expect, it } from 'vitest';
import { ExecPathError } from './errors.ts';
import { exited, failed } from './outcome.ts';
import { outcomeOfErrorStream, statusOf, statusOfOutcome } from './status.ts';

const decide = (text: string): ReturnType<typeof outcomeOfErrorStream> =>
  outcomeOfErrorStream(new TextEncoder().encode(text));
const withCode = (message: string): string =>
  JSON.stringify({
    status: 'Failure',
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message }] },
  });

describe('the error stream of v4 and v5', () => {
  it('carries every outcome there and back', () => {
    for (let code = 0; code <= 255; code += 1) {
      expect(decide(JSON.stringify(statusOfOutcome(exited(code))))).toEqual(exited(code));
    }
    const failure = failed(new ExecPathError('ERR_DIAL', 'no route'));
    expect(decide(JSON.stringify(statusOfOutcome(failure)))).toMatchObject({
      kind: 'failed',
      code: 'ERR_REMOTE',
      message: 'Internal error occurred: no route',
    });
  });

  it('gotcha 28: nothing at all is a failure, not exit 0', () => {
    expect(decide('')).toMatchObject({ kind: 'failed', code: 'ERR_NO_STATUS' });
  });

  it.each([
    ['gotcha 30: a trailing newline', '{"status":"Success"}\n', exited(0)],
    ['gotcha 31: unknown fields, upper-case keys', '{"x":1,"STATUS":"Success","Metadata":{}}', exited(0)],
    ['gotcha 32: leading zeros', withCode('007'), exited(7)],
    ['gotcha 32: NonZeroExitCode with code 0', withCode('0'), exited(0)],
    ['gotcha 33: 255', withCode('255'), exited(255)],
  ])('accepts %s', (_title, text, outcome) => {
    expect(decide(text)).toEqual(outcome);
  });

  it.each([
    ['gotcha 30: no JSON', 'oops', 'error stream protocol error'],
    ['gotcha 30: two values', '{"status":"Success"}{"status":"Success"}', 'error stream protocol error'],
    ['gotcha 32: no details', '{"status":"Failure","reason":"NonZeroExitCode"}', 'details must be set'],
    ['gotcha 32: no cause', '{"status":"Failure","reason":"NonZeroExitCode","details":{}}', 'no ExitCode cause given'],
    ['gotcha 32: code 256', withCode('256'), 'invalid exit code value "256"'],
    ['gotcha 32: code -1', withCode('-1'), 'invalid exit code value "-1"'],
    ['gotcha 32: an empty code', withCode(''), 'invalid exit code value ""'],
    ['an unknown status', '{"status":"Maybe"}', 'unknown error'],
    ['gotcha 34: an empty failure', '{"status":"Failure","message":""}', ''],
  ])('fails on %s', (_title, text, message) => {
    const outcome = decide(text);
    expect(outcome.kind).toBe('failed');
    expect(outcome).toMatchObject({ message: expect.stringContaining(message) });
  });
});

describe('statusOf', () => {
  it('takes reason and code from the error table', () => {
    expect(statusOf(new ExecPathError('ERR_FORBIDDEN', 'no'))).toMatchObject({
      reason: 'Forbidden',
      code: 403,
      message: 'no',
    });
  });

  it('makes a stranger an InternalError, its prefix said once', () => {
    expect(statusOf(new Error('boom')).message).toBe('Internal error occurred: boom');
    expect(statusOf('Internal error occurred: boom').message).toBe('Internal error occurred: boom');
  });
});
