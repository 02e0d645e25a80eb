import { randomBytes } from 'node:crypto';
import { DomainError } from '../platform/errors.js';
import { statements } from './calls.js';
import {
  presentHello,
  presentProfile,
  presentSurvey,
  type HelloRow,
  type ProfileRow,
  type SurveyRow,
} from './present.js';
import { attempt, missing, ok, quoted, runTargetSql, warn, type Ask, type Ground } from './proof-line.js';
import { problemLines } from './proof-problems.js';
import { standing } from './proof-standing.js';
import { tryProfile } from './proof-trial.js';
import { targetSql } from './target-sql.js';
import type { GuardHello, Proof } from './target-session.js';

/** Nobody's name: a person's login has no such end, and the guard is told `check` as the person. */
const freshProbe = (): string => `check_${randomBytes(6).toString('hex')}`;

/**
 * Tries every right that the broker needs on one session of its own. Whatever is opened is rolled back: nothing stays but the
 * lines that the guard writes to the server log.
 * @param probe the login name to try with
 */
export async function prove(ask: Ask, probe = freshProbe()): Promise<Proof[]> {
  const one = async <Row>(text: string): Promise<Row> => {
    const [row] = await ask<{ outcome: Row }>(text);
    if (row === undefined) throw new DomainError('unavailable', 'target_refused', 'The guard answered nothing.');
    return row.outcome;
  };
  let hello: GuardHello | undefined;
  const proofs = await attempt('guard', async () => {
    hello = presentHello(await one<HelloRow>(statements.hello));
    return aboutGuard(hello);
  });
  if (hello === undefined) return proofs;
  const profiles = (await ask<{ outcome: ProfileRow }>(statements.profiles)).map(({ outcome }) =>
    presentProfile(outcome),
  );
  const ground: Ground = { hello, profiles, major: Math.floor(hello.serverVersion / 10_000) };
  for (const { right, look } of standing) proofs.push(...(await attempt(right, () => look(ask, ground))));
  const trials = await tryProfiles(ask, ground, probe);
  proofs.push(...problemLines(ground, trials), ...trials);
  proofs.push(...(await attempt('survey', async () => aboutSurvey(await one<SurveyRow>(statements.survey)))));
  return proofs;
}

function aboutGuard(hello: GuardHello): Proof[] {
  const ours = /usher\.version\(\)[^\n]*'([\d.]+)'/.exec(targetSql())?.[1] ?? '';
  const found = `guard ${hello.guardVersion} on PostgreSQL ${versionText(hello.serverVersion)}`;
  return [
    hello.guardVersion === ours
      ? ok('guard', found)
      : missing('guard', `${found}; this Usher brings ${ours}`, runTargetSql),
    hello.inRecovery
      ? missing('writer', 'this instance is a reader: nothing is opened or closed here', 'Name the writer endpoint.')
      : ok('writer', 'this instance takes changes'),
    hello.paused
      ? missing(
          'not paused',
          'the DBA has paused it: nothing opens',
          `UPDATE usher.setting SET value = 'off' WHERE name = 'paused';`,
        )
      : ok('not paused', 'openings are let through'),
  ];
}

const versionText = (version: number): string => `${Math.floor(version / 10_000)}.${version % 10_000}`;

async function tryProfiles(ask: Ask, ground: Ground, probe: string): Promise<Proof[]> {
  const enabled = ground.profiles.filter((profile) => profile.enabled);
  if (enabled.length === 0) {
    const example = `SELECT usher.allow('reporting-read', '{app_ro}', 480);`;
    return [missing('open', 'no profile is on the allow-list, or all are disabled', example)];
  }
  const { paused, inRecovery } = ground.hello;
  const proofs: Proof[] = [];
  for (const profile of enabled)
    for (const method of profile.methods) {
      const right = `open ${method} ${profile.name}`;
      if (paused || inRecovery) proofs.push(warn(right, 'not tried: see above', 'Then check again.'));
      else proofs.push(...(await tryProfile(ask, ground, { right, profile, method, probe })));
    }
  return proofs;
}

function aboutSurvey(row: SurveyRow): Proof[] {
  const { logins, foreign, iamGroups } = presentSurvey(row);
  const proofs = [ok('survey', `${logins.length} managed logins seen in one query`)];
  if (foreign.length > 0) {
    const revokes = foreign.map((name) => `REVOKE usher_managed FROM ${quoted(name)};`).join(' ');
    proofs.push(
      warn('marker', `usher_managed is carried by roles that the guard did not make: ${foreign.join(', ')}`, revokes),
    );
  }
  if (iamGroups.length > 0) {
    const revokes = iamGroups.map((name) => `REVOKE rds_iam FROM ${quoted(name)};`).join(' ');
    proofs.push(
      warn('rds_iam on no group', `members of ${iamGroups.join(', ')} cannot log in by password any more`, revokes),
    );
  }
  return proofs;
}
