import { Controller, Get, Header } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { Caller } from '../identity/actor.decorator.js';
import type { Actor } from '../platform/actor.js';
import { Public, Requires } from '../policy/requires.js';
import { Health } from './health.contract.js';
import { HealthService } from './health.service.js';

@ApiTags('health')
@Controller()
export class HealthController {
  constructor(private readonly health: HealthService) {}

  /** The process answers */
  @Get('health/live')
  @Public('tells only that a process runs')
  live(): Health {
    return { status: 'ok' };
  }

  /** The process can work: its database answers, and its policy is loaded */
  @Get('health/ready')
  @Public('tells only whether the process can work')
  ready(): Promise<Health> {
    return this.health.ready();
  }

  /** Prometheus metrics */
  @Get('metrics')
  @Header('Content-Type', 'text/plain; version=0.0.4; charset=utf-8')
  @ApiBearerAuth()
  @Requires('viewMetrics')
  metrics(@Caller() actor: Actor): Promise<string> {
    return this.health.metrics(actor);
  }
}
