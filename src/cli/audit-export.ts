import { randomUUID } from 'node:crypto';
import { pipeline } from 'node:stream/promises';
import { Module, type DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { plainToInstance } from 'class-transformer';
import { validateSync } from 'class-validator';
import { AuditExportQuery } from '../audit/audit.contract.js';
import { AuditModule } from '../audit/audit.module.js';
import { AuditExportsService } from '../audit/exports.service.js';
import { systemActor } from '../platform/actor.js';
import { DomainError } from '../platform/errors.js';
import { PlatformModule, type PlatformOptions } from '../platform/platform.module.js';
import { openState } from '../platform/state/state.js';
import { commandSettings } from './broker-login.js';
import { UsageError } from './command.js';

const text = { type: 'string' } as const;

/** The filters of the API, each an option. */
export const exportOptions = {
  ...{ format: text, after: text, person: text, service: text, target: text, grant: text, request: text },
  ...{ ticket: text, action: text, outcome: text, address: text, reason: text, from: text, to: text },
};

export type ExportValues = { readonly [name in keyof typeof exportOptions]?: string | undefined };

/** The record and nothing else: no API, no jobs, nothing of AWS. */
@Module({})
class RecordModule {
  static register(options: PlatformOptions): DynamicModule {
    return { module: RecordModule, imports: [PlatformModule.register(options), AuditModule] };
  }
}

/**
 * Writes the sealed record to stdout, and puts that on record.
 * @throws UsageError for what is no filter, and for a sequence that no line has yet
 */
export async function exportRecord(values: ExportValues): Promise<number> {
  const query = queryOf(values);
  const settings = { ...commandSettings(), jobs: false, logLevel: 'silent' };
  const state =
    settings.databaseUrl === undefined
      ? await openState(settings)
      : { url: settings.databaseUrl.reveal(), stop: () => Promise.resolve() };
  try {
    const module = RecordModule.register({ settings, databaseUrl: state.url });
    const context = await NestFactory.createApplicationContext(module, { logger: false, abortOnError: false });
    try {
      await write(context.get(AuditExportsService, { strict: false }), query);
      return 0;
    } finally {
      await context.close();
    }
  } finally {
    await state.stop();
  }
}

async function write(exports: AuditExportsService, query: AuditExportQuery): Promise<void> {
  const everything = { all: true, personId: null, targetIds: [] };
  const begun = exports.begin(systemActor('audit export', randomUUID()), query, everything);
  const { text, last } = await begun.catch((error: unknown) => {
    throw error instanceof DomainError ? new UsageError(`${error.message} ${error.advice ?? ''}`.trim()) : error;
  });
  await pipeline(text, process.stdout, { end: false });
  console.error(`read up to sequence ${last}`);
}

/** The rules are those of the API. */
function queryOf(values: ExportValues): AuditExportQuery {
  const given = Object.keys(exportOptions).flatMap((name) => {
    const value = values[name as keyof ExportValues];
    return value === undefined ? [] : [[name, value]];
  });
  const query = plainToInstance(AuditExportQuery, Object.fromEntries(given) as Record<string, string>);
  const [problem] = validateSync(query);
  if (!problem) return query;
  const [message = 'it is not valid'] = Object.values(problem.constraints ?? {});
  throw new UsageError(`--${problem.property}: ${message}.`);
}
