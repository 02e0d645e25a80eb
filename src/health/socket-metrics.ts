import { Injectable } from '@nestjs/common';
import { Gauge } from 'prom-client';
import { Sockets } from '../platform/http/sockets.js';
import { HealthService } from './health.service.js';

/** How many listen at this process, looked up when metrics are asked for. */
@Injectable()
export class SocketMetrics {
  constructor(health: HealthService, sockets: Sockets) {
    const registers = [health.registry];
    new Gauge({
      name: 'usher_sockets',
      help: 'WebSockets of GraphQL subscriptions that are open in this process',
      registers,
      collect() {
        this.set(sockets.count);
      },
    });
    new Gauge({
      name: 'usher_sockets_waiting_bytes',
      help: 'Bytes that were sent to them and did not leave the process yet',
      registers,
      collect() {
        this.set(sockets.waiting);
      },
    });
  }
}
