import { portForwardCompliance } from './portforward-suite.ts';

const noHalfClose = {
  'tells the target the client’s end, and brings what it says after it': 'the older form has no half-close',
  'tells the client the target’s end, and takes what it says after it': 'the older form has no half-close',
};

portForwardCompliance('spdy');
portForwardCompliance('tunnel');
portForwardCompliance('channels', noHalfClose);
portForwardCompliance('channels in base64', noHalfClose);
