import { describe, expect, it } from 'vitest';
import { explainDialError } from './dial-error.ts';

const withCode = (code: string, message = 'said'): Error => Object.assign(new Error(message), { code });

describe('explainDialError', () => {
  it.each([
    ['ENOTFOUND', 'the host name is not known'],
    ['EAI_AGAIN', 'the name server does not answer'],
    ['EHOSTUNREACH', 'no route to the host'],
    ['ETIMEDOUT', 'no answer: the host is down'],
    ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', 'set client-certificate and client-key'],
  ])('has words for %s', (code, words) => {
    expect(explainDialError(withCode(code))).toContain(words);
  });

  it('speaks of the first of several addresses', () => {
    expect(explainDialError(new AggregateError([withCode('ENOTFOUND'), withCode('EHOSTUNREACH')]))).toContain(
      'not known',
    );
  });

  it('keeps what it does not know, with the code', () => {
    expect(explainDialError(withCode('EWHATEVER'))).toBe('said (EWHATEVER)');
    expect(explainDialError(withCode('EWHATEVER', 'connect EWHATEVER'))).toBe('connect EWHATEVER');
    expect(explainDialError(withCode('ERR_SSL_SOME_ALERT_NEW'))).toBe('it refused the TLS handshake (said)');
    expect(explainDialError('text')).toBe('text');
  });
});
