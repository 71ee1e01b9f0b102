import { remoteCommandCompliance } from './remotecommand-suite.ts';

const noExitCodes = { 'tells every exit code from 0 to 255': 'v1 … v3 have no Status, so no exit codes' };
const noHalfClose = {
  'gotcha 39, 40: ends stdin and goes on with output': 'gotcha 41: below v5 a WebSocket has no half-close',
};

remoteCommandCompliance({ kind: 'spdy', protocol: 'v4.channel.k8s.io' });
remoteCommandCompliance({ kind: 'spdy', protocol: 'v3.channel.k8s.io' }, noExitCodes);
remoteCommandCompliance(
  { kind: 'spdy', protocol: 'v2.channel.k8s.io' },
  { ...noExitCodes, 'passes terminal sizes on': 'v1 and v2 have no resize stream over SPDY' },
);
remoteCommandCompliance(
  { kind: 'spdy', protocol: 'channel.k8s.io' },
  { ...noExitCodes, 'passes terminal sizes on': 'v1 and v2 have no resize stream over SPDY' },
);
remoteCommandCompliance({ kind: 'websocket', protocol: 'v5.channel.k8s.io' });
remoteCommandCompliance({ kind: 'websocket', protocol: 'v4.channel.k8s.io' }, noHalfClose);
remoteCommandCompliance({ kind: 'websocket', protocol: 'v4.base64.channel.k8s.io' }, noHalfClose);
remoteCommandCompliance({ kind: 'websocket', protocol: 'channel.k8s.io' }, { ...noExitCodes, ...noHalfClose });
remoteCommandCompliance({ kind: 'websocket', protocol: 'base64.channel.k8s.io' }, { ...noExitCodes, ...noHalfClose });
remoteCommandCompliance({ kind: 'websocket', protocol: '' }, { ...noExitCodes, ...noHalfClose });
