import { Module } from '@nestjs/common';
import { AccessModule } from '../access/access.module.js';
import { ConnectionsModule } from '../connections/connections.module.js';
import { GrantsModule } from '../grants/grants.module.js';
import { PolicyModule } from '../policy/policy.module.js';
import { Follower } from './follower.js';
import { RecordTail } from './record-tail.js';
import { StreamsResolver } from './streams.resolver.js';
import { StreamsService } from './streams.service.js';

/** The record as it grows, for those who stay to listen. */
@Module({
  imports: [AccessModule, ConnectionsModule, GrantsModule, PolicyModule],
  providers: [Follower, RecordTail, StreamsResolver, StreamsService],
})
export class StreamsModule {}
