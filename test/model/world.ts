import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createRdsAuthority } from '../../local/rds/authority.ts';
import { ACCOUNT, CA_IDENTIFIER, REGION } from '../../local/stand-in-account.ts';
import { readSettings } from '../../src/platform/config.js';
import type { PersonActor, PersonId } from '../../src/platform/actor.js';
import type { PostgresMajor } from '../../src/platform/embedded-postgres.js';
import { Database } from '../../src/platform/state/database.js';
import { ProfilesService } from '../../src/targets/profiles.service.js';
import { TargetsService } from '../../src/targets/targets.service.js';
import { EndpointKind, TargetEnvironment, TargetKind } from '../../src/targets/targets.contract.js';
import { startGuardTarget, type GuardTarget } from '../integration/guard-target.ts';
import { MovedClock } from '../support/clock.ts';
import { keptLog, logAt } from '../support/kept-log.ts';
import { newName } from '../support/people.ts';
import { standIn } from '../support/stand-in.ts';
import { freshDatabase, type TestDatabase } from '../support/state.ts';
import { openGate, type Gate } from './gate.ts';
import { beginLife, readRulesOnce, type Life } from './life.ts';

/** Profiles that overlap: what one gives and the other does not must be counted. */
export const profiles = [
  { name: 'model-read', groups: ['app_read'], approvals: 0 },
  { name: 'model-write', groups: ['app_write'], approvals: 1 },
  { name: 'model-both', groups: ['app_read', 'app_write'], approvals: 1 },
] as const;

/** Before 16 a lost membership ends sessions, from 16 on it does not; memberships carry options. */
const majors = [15, 17] as const satisfies readonly PostgresMajor[];
export const targetCount = majors.length;

export interface Somebody {
  actor: PersonActor;
  login: string;
}

export interface TargetInWorld {
  id: string;
  profileIds: string[];
  server: GuardTarget;
  gate: Gate;
}

/** Real servers that all lanes of the test share. */
export interface Servers {
  targets: GuardTarget[];
  env: Record<string, string>;
  close(): Promise<void>;
}

/** One Usher on a state of its own, with its own roads to the shared servers and its own clock. */
export interface World {
  clock: MovedClock;
  database: TestDatabase;
  targets: TargetInWorld[];
  approver: PersonActor;
  life: Life;
  /** Somebody who has nothing yet; given back with `free`. */
  somebody(): Promise<Somebody>;
  free(people: readonly Somebody[]): void;
  /** Another life on the same state; what the last one sent and had not arrived arrives beside what this one does. */
  reborn(): Promise<void>;
  /** Nothing of former lives is on its way any more. */
  quiet(): Promise<void>;
  close(): Promise<void>;
}

export async function startServers(directory: string): Promise<Servers> {
  const readAsEver = readRulesOnce();
  const authority = createRdsAuthority(REGION);
  const file = join(directory, 'model-ca.pem');
  writeFileSync(file, authority.caPem);
  const targets = await Promise.all(majors.map((major) => startGuardTarget(major, authority)));
  const env: Record<string, string> = {};
  for (const [i, { asMaster, broker }] of targets.entries()) {
    env[`USHER_SECRET_MODEL_${i}`] = await broker.password();
    for (const { name, groups } of profiles) await asMaster(`SELECT usher.allow($1, $2, 10080)`, [name, groups]);
    // thousands of openings in an hour are the point of this test
    await asMaster(`UPDATE usher.setting SET value = '1000000' WHERE name LIKE 'max_%'`);
  }
  const outside = await standIn();
  const bundles = { [REGION]: { partition: 'aws', pem: outside.caUrl, file } };
  return {
    targets,
    env: { ...outside.env, ...env, USHER_TRUST_BUNDLES: JSON.stringify(bundles), USHER_LOG_LEVEL: 'silent' },
    close: async () => {
      readAsEver();
      await Promise.all(targets.map((target) => target.stop()));
    },
  };
}

export async function createWorld(servers: Servers): Promise<World> {
  const database = await freshDatabase();
  const clock = new MovedClock();
  const settings = { ...readSettings(servers.env), databasePoolSize: 8 };
  const begin = async (): Promise<Life> => {
    const life = await beginLife({ settings, databaseUrl: database.url, clock, log: keptLog });
    logAt(settings.logLevel);
    return life;
  };
  const free: Somebody[] = [];
  let ghosts: Promise<void> = Promise.resolve();
  const first = await begin();
  const admin = await person(first, ['admins']);
  const world: World = {
    clock,
    database,
    targets: [],
    approver: (await person(first, ['owners'])).actor,
    life: first,
    somebody: async () => free.pop() ?? (await person(world.life, ['engineers', 'owners'])),
    free: (people) => void free.push(...people),
    reborn: async () => {
      const old = world.life;
      await giveBack(world);
      world.life = await begin();
      ghosts = ghosts.then(() => old.haunt()).then(() => old.end());
    },
    quiet: () => ghosts,
    close: async () => {
      await ghosts;
      await world.life.end();
      await Promise.all(world.targets.map(({ gate }) => gate.shut()));
      await database.drop();
    },
  };
  for (const [i, server] of servers.targets.entries())
    world.targets.push(await register(first, admin.actor, server, i));
  return world;
}

async function person(life: Life, groups: string[]): Promise<Somebody> {
  const name = newName('model');
  const now = new Date();
  const row = { issuer: 'model', subject: name, name, userName: name, groups, firstSeenAt: now, lastSeenAt: now };
  const { id } = await life.get(Database).client.person.create({ data: { id: crypto.randomUUID(), ...row } });
  const actor: PersonActor = {
    ...{ kind: 'person', id: id as PersonId, name, issuer: 'model', subject: name, groups, locked: false },
    ...{ authenticatedAt: undefined, address: undefined, correlationId: name },
  };
  return { actor, login: name };
}

async function register(life: Life, admin: PersonActor, server: GuardTarget, i: number): Promise<TargetInWorld> {
  const gate = await openGate(server.server.port);
  const { id } = await life.get(TargetsService).create(admin, {
    ...{ name: `model-${i}`, kind: TargetKind.rds_instance, partition: 'aws', region: REGION, accountId: ACCOUNT },
    ...{ resourceId: `db-MODEL${i}`, engineVersion: String(server.major), environment: TargetEnvironment.staging },
    ...{ ownerGroup: 'owners', databases: ['postgres'], caIdentifier: CA_IDENTIFIER, masterUser: server.master.user },
    brokerSecret: `env:USHER_SECRET_MODEL_${i}`,
    endpoints: [
      {
        kind: EndpointKind.instance,
        connectHost: 'localhost',
        tokenHost: server.address.servername,
        port: gate.port,
      },
    ],
  });
  const profileIds: string[] = [];
  for (const { name, groups, approvals } of profiles) {
    const profile = { name, groups: [...groups], maxMinutes: 1_440, approvalsNeeded: approvals, readOnly: false };
    profileIds.push((await life.get(ProfilesService).create(admin, id, profile)).id);
  }
  return { id, profileIds, server, gate };
}

/** What a life had begun to hand on is due again, as the engine sees to by itself; what it had handed on is not. */
async function giveBack({ database }: Pick<World, 'database'>): Promise<void> {
  await database.owner.query(`UPDATE pgboss.job SET state = 'created', started_on = NULL WHERE state = 'active'`);
}
