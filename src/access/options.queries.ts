import type { Database } from '../platform/state/database.js';
import type { Environment, ProfileFacts } from '../policy/policy.contract.js';
import type { LoginMethod } from '../targets/targets.contract.js';

type Pool = Pick<Database['pool'], 'query'>;

/** Profiles that one answer looks at, at most: those registered last. */
export const MOST_PROFILES = 5_000;

/**
 * All that a decision about asking is made of, of every target and profile, as one number each. By content: unlike a count and a
 * latest change it cannot miss two changes of one moment, and a look at a target (`looked_at`) does not make it another one.
 * Each row is hashed twice: one hash of its columns is their sum, in which two rows could swap a value unseen.
 */
const sumOf = (columns: string): string => `sum(hashint8extended(hash_record_extended(ROW(${columns}), 0), 0))`;

const TARGET = `t.id, t.name, t.environment, t.owner_group, t.enabled, t.locked_at, t.removing_at, t.tags`;
const PROFILE = `p.id, p.target_id, p.name, p.max_minutes, p.approvals_needed, p.approval_stages, p.read_only, p.sensitivity, p.methods, p.manages_passwords`;
const VERSION = `
  SELECT concat_ws('#', (SELECT ${sumOf(TARGET)} FROM target t WHERE t.deleted_at IS NULL),
                        (SELECT ${sumOf(PROFILE)} FROM profile p WHERE p.deleted_at IS NULL)) AS version`;

/** As `profileFacts` has it: the number, or the people of all stages where they are more. */
const NEEDED = `GREATEST(p.approvals_needed, (SELECT coalesce(sum((s->>'needed')::int), 0)::int FROM jsonb_array_elements(p.approval_stages) s))`;

/** Rows and their version in one statement, and so of one moment. */
const OFFERS = `
  WITH v AS MATERIALIZED (${VERSION})
  SELECT v.version, p.id, p.name, p.read_only AS "readOnly", p.sensitivity, ${NEEDED} AS "approvalsNeeded", p.max_minutes AS "maxMinutes",
         p.manages_passwords AS "managesPasswords", p.methods::text[] AS methods,
         t.id AS "targetId", t.name AS "targetName", t.environment, t.owner_group AS "ownerGroup", t.tags,
         t.enabled AND t.locked_at IS NULL AS enabled
    FROM profile p JOIN target t ON t.id = p.target_id, v
   WHERE p.deleted_at IS NULL AND t.deleted_at IS NULL AND t.removing_at IS NULL
   ORDER BY p.id DESC LIMIT ${MOST_PROFILES}`;

/** A profile that could be asked for. */
export interface Offer extends Omit<ProfileFacts, 'target'> {
  version: string;
  name: string;
  methods: LoginMethod[];
  targetId: string;
  targetName: string;
  environment: Environment;
  ownerGroup: string;
  tags: Record<string, string>;
  enabled: boolean;
}

export const offersVersion = async (pool: Pool): Promise<string> =>
  (await pool.query<{ version: string }>({ name: 'offers-version', text: VERSION })).rows[0]?.version ?? '';

/** Newest first. */
export const offers = async (pool: Pool): Promise<Offer[]> => (await pool.query<Offer>(OFFERS)).rows;

export const offerFacts = (offer: Offer): ProfileFacts => {
  const { id, readOnly, sensitivity, approvalsNeeded, maxMinutes, managesPasswords } = offer;
  const { targetId, environment, ownerGroup, enabled, tags } = offer;
  const target = { id: targetId, environment, ownerGroup, enabled, tags };
  return { id, target, readOnly, sensitivity, approvalsNeeded, maxMinutes, managesPasswords };
};
