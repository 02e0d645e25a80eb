import { Global, Module, type DynamicModule } from '@nestjs/common';
import { AccessModule } from './access/access.module.js';
import { AuditModule } from './audit/audit.module.js';
import { CHECKPOINT_SIGNER, type CheckpointSigner } from './audit/checkpoint-signer.js';
import { AwsModule } from './aws/aws.module.js';
import { KmsService } from './aws/kms.service.js';
import { ConnectionsModule } from './connections/connections.module.js';
import { EvidenceModule } from './evidence/evidence.module.js';
import { GrantsModule } from './grants/grants.module.js';
import { HealthModule } from './health/health.module.js';
import metadata from './metadata.js';
import { NotificationsModule } from './notifications/notifications.module.js';
import { SETTINGS, type Settings } from './platform/config.js';
import { graphql } from './platform/http/graphql.js';
import { HttpModule } from './platform/http/http.module.js';
import { PlatformModule, type PlatformOptions } from './platform/platform.module.js';
import { PermissionModule } from './policy/permission.module.js';
import { PoliciesModule } from './policy/policies.module.js';
import { StreamsModule } from './streams/streams.module.js';
import { TargetsModule } from './targets/targets.module.js';

/** The key of the record where it is in AWS KMS: audit knows no AWS, and aws no record. */
const checkpointSigner = {
  provide: CHECKPOINT_SIGNER,
  inject: [SETTINGS, KmsService],
  useFactory: ({ audit }: Settings, kms: KmsService): CheckpointSigner | null =>
    audit.kmsKey === undefined ? null : kms.key(audit.kmsKey),
};

@Global()
@Module({ providers: [checkpointSigner], exports: [checkpointSigner] })
class RecordKeyModule {}

/** The one place that wires. */
@Module({})
export class AppModule {
  static register(options: PlatformOptions): DynamicModule {
    return {
      module: AppModule,
      imports: [
        PlatformModule.register(options),
        HttpModule,
        PermissionModule,
        AwsModule.configure({ inject: [SETTINGS], useFactory: (settings: Settings) => settings.aws }),
        RecordKeyModule,
        AuditModule,
        PoliciesModule,
        TargetsModule,
        GrantsModule,
        AccessModule,
        ConnectionsModule,
        EvidenceModule,
        NotificationsModule,
        StreamsModule,
        HealthModule,
        graphql(metadata, options.settings),
      ],
    };
  }
}
