import { type DynamicModule, type FactoryProvider, Module, type ModuleMetadata } from '@nestjs/common';
import { AccountDoorService } from './account-door.service.js';
import { AccountRegister } from './account-register.js';
import { AwsAccounts } from './accounts.js';
import { AWS_CONFIG, type AwsConfig } from './config.js';
import { IamService } from './iam.service.js';
import { KmsService } from './kms.service.js';
import { RdsService } from './rds.service.js';
import { SecretsService } from './secrets.service.js';
import { ServerLogsService } from './server-logs.service.js';
import { SignerService } from './signer.service.js';
import { StsService } from './sts.service.js';

const services = [
  AwsAccounts,
  AccountDoorService,
  StsService,
  SignerService,
  IamService,
  KmsService,
  RdsService,
  ServerLogsService,
  SecretsService,
];

/** Every call to AWS. Configured once, in `app.module`; its services are then there for all modules. */
@Module({})
export class AwsModule {
  static configure(
    config: Pick<FactoryProvider<AwsConfig>, 'inject' | 'useFactory'> & Pick<ModuleMetadata, 'imports'>,
  ): DynamicModule {
    const { imports = [], inject = [], useFactory } = config;
    return {
      module: AwsModule,
      global: true,
      imports,
      providers: [{ provide: AWS_CONFIG, inject, useFactory }, AccountRegister, ...services],
      exports: services,
    };
  }
}
