/** All that other modules may import from here beside the service and its module: plain types and pure functions. */
export type * from './target-session.js';
export type { DatabaseFact, FactsAsked, RoleReach, ServerFacts, ServerSetting } from './server-facts.js';
export { faultBehind, isTransient, TargetFault } from './advice.js';
export { planCalls } from './calls.js';
export { readLog } from './log-lines.js';
export { randomPassword, scramVerifier } from './scram.js';
export { targetSql } from './target-sql.js';
