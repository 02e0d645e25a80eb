/** All that other modules may import from here beside the service and its module: plain types and pure functions. */
export type * from './target-session.js';
export { faultBehind, isTransient, TargetFault } from './advice.js';
export { planCalls } from './calls.js';
export { targetSql } from './target-sql.js';
