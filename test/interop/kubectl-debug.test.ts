import { debugInterop } from './debug-suite.ts';
import { describeWalledClusters } from './walled-cluster.ts';

// kubectl debug → our apiserver → our kubelet → a runtime with walls

describeWalledClusters('kubectl debug', ['tmux'], debugInterop);
