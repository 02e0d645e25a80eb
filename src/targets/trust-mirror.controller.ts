import { Controller, Get, Headers, Param, Res } from '@nestjs/common';
import { ApiHeader, ApiNotModifiedResponse, ApiOkResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { Public } from '../policy/requires.js';
import { TrustMirrorService } from './trust-mirror.service.js';

const PEM = 'application/x-pem-file';

/** Bundles as files. A controller of its own, for the others want a token. */
@ApiTags('trust')
@Controller('v1/trust/bundles')
export class TrustMirrorController {
  constructor(private readonly mirror: TrustMirrorService) {}

  /** The CA bundle of one region, or of amazon-trust, as Usher mirrors it */
  @Get(':name.pem')
  @Public('roots of certificate authorities are public, and machines fetch them before they have a token')
  @ApiHeader({ name: 'If-None-Match', required: false, description: 'ETag of the one that is there already' })
  @ApiOkResponse({ description: 'PEM, to the byte as it came', content: { [PEM]: { schema: { type: 'string' } } } })
  @ApiNotModifiedResponse({ description: 'It is still that one' })
  async pem(
    @Param('name') name: string,
    @Headers('if-none-match') known: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<string | undefined> {
    const { pem, sha256 } = await this.mirror.served(name);
    const etag = `"${sha256}"`;
    // for an hour: so long, at most, a root that AWS took back is still handed on by caches
    void reply.header('ETag', etag).header('Cache-Control', 'public, max-age=3600, must-revalidate');
    if (names(known, etag)) {
      void reply.status(304);
      return undefined;
    }
    void reply.type(PEM).header('Content-Disposition', `attachment; filename="${name}-bundle.pem"`);
    return pem;
  }
}

/** RFC 9110, 13.1.2: a list, weak or strong, or anything. */
const names = (known: string | undefined, etag: string): boolean =>
  (known ?? '')
    .split(',')
    .map((one) => one.trim().replace(/^W\//, ''))
    .some((one) => one === '*' || one === etag);
