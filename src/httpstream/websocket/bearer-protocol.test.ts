import { describe, expect, it } from 'vitest';
import { BEARER_PROTOCOL_PREFIX, bearerProtocol, takeBearerToken } from './bearer-protocol.ts';

const v4 = 'v4.channel.k8s.io';
const unauthorized = (message: RegExp): unknown =>
  expect.objectContaining({ code: 'ERR_UNAUTHORIZED', message: expect.stringMatching(message) });

describe('takeBearerToken', () => {
  it('gotcha 61: takes the token and leaves the other protocols in order', () => {
    expect(takeBearerToken([v4, bearerProtocol('s3cret.tøken'), 'channel.k8s.io'])).toEqual({
      token: 's3cret.tøken',
      rest: [v4, 'channel.k8s.io'],
    });
  });

  it('finds no token where none is offered', () => {
    expect(takeBearerToken([v4])).toEqual({ token: undefined, rest: [v4] });
    expect(takeBearerToken([])).toEqual({ token: undefined, rest: [] });
    // The prefix of older comments in the Kubernetes source lacks `k8s.io.`
    expect(takeBearerToken([v4, 'base64url.bearer.authorization.dG9rZW4']).token).toBeUndefined();
  });

  it('gotcha 61: refuses a token alone', () => {
    expect(() => takeBearerToken([bearerProtocol('token')])).toThrow(unauthorized(/needs another subprotocol/));
  });

  it('gotcha 61: refuses two tokens, even equal ones', () => {
    const token = bearerProtocol('token');
    expect(() => takeBearerToken([token, v4, token])).toThrow(unauthorized(/more than one/));
  });

  it.each(['dG9rZW4=', 'a+/b', '', 'abcde', 'a b'])('gotcha 61: refuses %j, not unpadded base64url', (encoded) => {
    expect(() => takeBearerToken([BEARER_PROTOCOL_PREFIX + encoded, v4])).toThrow(unauthorized(/not base64url/));
  });

  it('refuses a token that is not UTF-8, without quoting it', () => {
    const encoded = Buffer.of(0x61, 0xff, 0xfe).toString('base64url');
    const take = (): unknown => takeBearerToken([BEARER_PROTOCOL_PREFIX + encoded, v4]);
    expect(take).toThrow(unauthorized(/not UTF-8/));
    expect(take).not.toThrow(encoded);
  });
});
