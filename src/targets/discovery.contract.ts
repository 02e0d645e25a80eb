import { ArgsType, Field, InputType, Int, ObjectType, registerEnumType } from '@nestjs/graphql';
import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  IsArray,
  IsEnum,
  IsOptional,
  Matches,
  MaxLength,
  MinLength,
  ValidateNested,
} from 'class-validator';
import { EndpointKind, PageArgs, TargetEnvironment, TargetKind } from './targets.contract.js';

const REGION = /^[a-z]{2,4}(-[a-z]+){1,2}-[0-9]{1,2}$/;
const NAME = /^[a-z][a-z0-9-]{0,62}$/;
const PLAIN = /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+$/u;

/** How a discovered database stands to the register */
export enum DiscoveredState {
  /** Not registered */
  new = 'new',
  /** Registered, and as AWS says */
  registered = 'registered',
  /** Registered, and AWS says otherwise */
  changed = 'changed',
  /** AWS no longer tells of it */
  missing = 'missing',
}
registerEnumType(DiscoveredState, { name: 'DiscoveredState' });

@InputType()
export class TagInput {
  @MinLength(1)
  @MaxLength(128)
  key: string;
  @MaxLength(256)
  value: string;
}

/** Ids of single accounts and regions; what is left out means all that are registered and enabled. */
@InputType()
export class StartDiscovery {
  @IsOptional()
  @IsArray()
  @ArrayMaxSize(1000)
  @Matches(/^[0-9]{12}$/, { each: true })
  accounts?: string[];
  @IsOptional()
  @IsArray()
  @ArrayMaxSize(100)
  @Matches(REGION, { each: true })
  regions?: string[];
  /** New databases are offered only with all of these tags; those known already are looked at in any case */
  @IsOptional()
  @IsArray()
  @ArrayMaxSize(20)
  @ValidateNested({ each: true })
  @Type(() => TagInput)
  tags?: TagInput[];
}

/** One account and region of a run */
@ObjectType()
export class DiscoveryPlace {
  partition: string;
  accountId: string;
  region: string;
  /** waiting, running, done or failed */
  state: string;
  @Field(() => Int)
  databases: number;
  @Field(() => Int)
  added: number;
  @Field(() => Int)
  changed: number;
  @Field(() => Int)
  missing: number;
  error: string | null;
  finishedAt: Date | null;
}

@ObjectType()
export class DiscoveryRun {
  id: string;
  requestedBy: string;
  createdAt: Date;
  /** Null while a place of it waits or runs */
  finishedAt: Date | null;
  places: DiscoveryPlace[];
}

@ArgsType()
export class DiscoveredQuery extends PageArgs {
  @IsOptional()
  @IsEnum(DiscoveredState)
  @Field(() => DiscoveredState, { nullable: true })
  state?: DiscoveredState;
}

@ObjectType()
export class DiscoveredEndpoint {
  kind: EndpointKind;
  connectHost: string;
  tokenHost: string;
  @Field(() => Int)
  port: number;
}

@ObjectType()
export class DiscoveredTag {
  key: string;
  value: string;
}

/** A field of a registered target that AWS says otherwise */
@ObjectType()
export class TargetDifference {
  field: string;
  registered: string | null;
  discovered: string | null;
}

@ObjectType()
export class DiscoveredDatabase {
  id: string;
  state: DiscoveredState;
  kind: TargetKind;
  identifier: string;
  arn: string;
  partition: string;
  accountId: string;
  region: string;
  resourceId: string;
  engine: string;
  engineVersion: string;
  status: string;
  iamAuthentication: boolean;
  caIdentifier: string | null;
  /** The first of its server certificates to end */
  certificateValidTill: Date | null;
  endpoints: DiscoveredEndpoint[];
  tags: DiscoveredTag[];
  /** The target of this resource id */
  targetId: string | null;
  /** What an update of the target would change */
  differences: TargetDifference[];
  /** Others of this name in the same account and region: restored or made anew, each with an id of its own */
  namesakes: string[];
  foundAt: Date;
  changedAt: Date;
  missingSince: Date | null;
  /** End of the last look at its account and region; of a missing database, since when it was missed */
  lastSeenAt: Date | null;
}

@ObjectType()
export class DiscoveredDatabasePage {
  items: DiscoveredDatabase[];
  nextCursor: string | null;
}

/** What AWS does not know. What is left out comes from the tags of the database; docs/discovery.md says from which. */
@InputType()
export class RegisterDatabase {
  @IsOptional()
  @Matches(NAME)
  name?: string;
  @IsOptional()
  @IsEnum(TargetEnvironment)
  @Field(() => TargetEnvironment, { nullable: true })
  environment?: TargetEnvironment;
  @IsOptional()
  @Matches(PLAIN)
  @MaxLength(256)
  ownerGroup?: string;
  @IsOptional()
  @IsArray()
  @ArrayMaxSize(100)
  @Matches(PLAIN, { each: true })
  @MaxLength(63, { each: true })
  databases?: string[];
  @IsOptional()
  @Matches(PLAIN)
  @MaxLength(63)
  guardDatabase?: string;
  @IsOptional()
  @MaxLength(63)
  brokerLogin?: string;
  @IsOptional()
  @MaxLength(600)
  brokerSecret?: string;
  @IsOptional()
  @MaxLength(128)
  connectRole?: string;
}
