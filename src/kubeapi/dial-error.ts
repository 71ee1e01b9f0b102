import { toError } from '../common/errors.ts';

const untrusted =
  'its certificate is signed by nobody we trust: set certificate-authority (--certificate-authority) to the CA that issued it';

const sentences: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused: nothing listens there',
  ENOTFOUND: 'the host name is not known',
  EAI_AGAIN: 'the host name cannot be looked up now: the name server does not answer',
  EHOSTUNREACH: 'there is no route to the host',
  ENETUNREACH: 'there is no route to the network',
  ETIMEDOUT: 'no answer: the host is down or a firewall drops packets',
  ECONNRESET: 'the peer closed the connection',
  EPIPE: 'the peer closed the connection',
  SELF_SIGNED_CERT_IN_CHAIN: untrusted,
  DEPTH_ZERO_SELF_SIGNED_CERT: untrusted,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: untrusted,
  UNABLE_TO_GET_ISSUER_CERT: untrusted,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: untrusted,
  CERT_SIGNATURE_FAILURE:
    'its certificate carries the name of our CA, but not its signature: the CA was made anew, fetch the new one',
  CERT_HAS_EXPIRED: 'its certificate has expired: renew it, or set this clock right',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet: set one of the clocks right',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: 'it wants a client certificate: set client-certificate and client-key',
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE:
    'it refused the TLS handshake: it wants a client certificate, or no cipher suits both',
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: 'it does not trust the CA of our client certificate',
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: 'it does not accept our client certificate',
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: 'our client certificate has expired: renew it',
  INVALID_PURPOSE: 'its certificate is not one for servers',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS: use http://, or the port that does',
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: 'it speaks no TLS version that we accept (1.2 or later)',
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'it speaks no TLS version that we accept (1.2 or later)',
};

/** What went wrong while dialling or right after it, in words and with the remedy where there is one. */
export function explainDialError(thrown: unknown): string {
  const error = rootOf(toError(thrown)) as NodeJS.ErrnoException & { reason?: string };
  const code = error.code ?? '';
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return `its certificate is for another name (${error.reason ?? error.message}): call it by a name it carries, or set tls-server-name`;
  }
  const sentence = sentences[code];
  if (sentence !== undefined) return sentence;
  if (code.startsWith('ERR_SSL_') && code.includes('ALERT')) return `it refused the TLS handshake (${error.message})`;
  return code === '' || error.message.includes(code) ? error.message : `${error.message} (${code})`;
}

/** Several addresses were tried: the first failure stands for all. */
function rootOf(error: Error): Error {
  return error instanceof AggregateError && error.errors.length > 0 ? toError(error.errors[0]) : error;
}
