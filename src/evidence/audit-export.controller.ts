import { Readable } from 'node:stream';
import { Controller, Get, Query, Res, StreamableFile } from '@nestjs/common';
import { ApiBearerAuth, ApiOkResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { AuditExportQuery } from '../audit/audit.contract.js';
import { Caller } from '../identity/actor.decorator.js';
import type { Reader } from '../platform/actor.js';
import { Requires } from '../policy/requires.js';
import { EvidenceService } from './evidence.service.js';

const text = { schema: { type: 'string' } } as const;

/** The record as a file. */
@ApiTags('audit')
@ApiBearerAuth()
@Controller('v1/audit')
export class AuditExportController {
  constructor(private readonly evidence: EvidenceService) {}

  /** The sealed record as NDJSON, CSV, OCSF, or as `audit verify` proves it, oldest first; one that was cut off goes on `after` its last line */
  @Get('export')
  @Requires('viewAudit')
  @ApiOkResponse({
    description: 'One line for each event. Usher-Audit-Last says up to which sequence was looked at',
    content: { 'application/x-ndjson': text, 'text/csv': text },
    headers: { 'Usher-Audit-Last': { schema: { type: 'integer' } } },
  })
  async export(
    @Caller() actor: Reader,
    @Query() query: AuditExportQuery,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<StreamableFile> {
    const { mediaType, extension, last, text } = await this.evidence.export(actor, query);
    void reply.header('Usher-Audit-Last', String(last));
    const disposition = `attachment; filename="audit-${query.after ?? 0}-${last}.${extension}"`;
    return new StreamableFile(Readable.from(text, { objectMode: false }), { type: mediaType, disposition });
  }
}
