import { Module, type DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AwsModule } from '../aws/aws.module.js';
import { SETTINGS, type Settings } from '../platform/config.js';
import { PlatformModule, type PlatformOptions } from '../platform/platform.module.js';
import { Database } from '../platform/state/database.js';
import { openState } from '../platform/state/state.js';
import type { TargetSession } from '../postgres/postgres.contract.js';
import type { TargetRow } from '../targets/target.js';
import { TargetAccess } from '../targets/target-access.service.js';
import { TargetsModule } from '../targets/targets.module.js';
import { commandSettings } from './broker-login.js';
import { UsageError } from './command.js';

/** What reaches a target: no API, no jobs. */
@Module({})
class CheckModule {
  static register(options: PlatformOptions): DynamicModule {
    return {
      module: CheckModule,
      imports: [
        PlatformModule.register(options),
        AwsModule.configure({ inject: [SETTINGS], useFactory: (settings: Settings) => settings.aws }),
        TargetsModule,
      ],
    };
  }
}

/**
 * Hands over the way to a registered target exactly as the service takes it: its endpoint, its trust, its token or secret.
 * The state is read and not migrated; an embedded one is opened, which the running service must not hold then.
 * @throws UsageError when no target has that name or id
 */
export async function reachRegistered<T>(
  target: string,
  work: (connect: () => Promise<TargetSession>) => Promise<T>,
): Promise<T> {
  const settings: Settings = { ...commandSettings(), jobs: false, logLevel: 'silent' };
  const state =
    settings.databaseUrl === undefined
      ? await openState(settings)
      : { url: settings.databaseUrl.reveal(), stop: () => Promise.resolve() };
  try {
    const module = CheckModule.register({ settings, databaseUrl: state.url });
    const context = await NestFactory.createApplicationContext(module, { logger: false, abortOnError: false });
    try {
      const row = await find(context.get(Database, { strict: false }), target);
      const access = context.get(TargetAccess, { strict: false });
      return await work(() => access.writer(row));
    } finally {
      await context.close();
    }
  } finally {
    await state.stop();
  }
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

async function find(db: Database, target: string): Promise<TargetRow> {
  const row = await db.client.target.findFirst({
    where: { deletedAt: null, ...(UUID.test(target) ? { id: target } : { name: target }) },
    include: { endpoints: { orderBy: { id: 'asc' } } },
  });
  if (row !== null) return row;
  const known = await db.client.target.findMany({ where: { deletedAt: null }, select: { name: true }, take: 20 });
  const names = known.map(({ name }) => name).join(', ');
  throw new UsageError(
    `No target ${JSON.stringify(target)} is registered; there ${names === '' ? 'is none' : `are ${names}`}.`,
  );
}
