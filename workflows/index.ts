export { contract } from './contract.js';
export { reconcile } from './reconcile.js';
export { subscription } from './subscription.js';
export { testClock } from './testClock.js';
