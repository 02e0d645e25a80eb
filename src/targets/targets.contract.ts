import { ArgsType, Field, InputType, Int, ObjectType, registerEnumType } from '@nestjs/graphql';
import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  ArrayMinSize,
  ArrayUnique,
  IsArray,
  IsBoolean,
  IsEnum,
  IsFQDN,
  IsInt,
  IsOptional,
  Matches,
  Max,
  MaxLength,
  Min,
  MinLength,
  ValidateIf,
  ValidateNested,
} from 'class-validator';
import { FurtherLog, FurtherLogInput, LOG_PLACE } from './further-logs.contract.js';
import { ApprovalStage, ApprovalStageInput } from './stages.contract.js';

export enum TargetKind {
  rds_instance = 'rds-instance',
  aurora_cluster = 'aurora-cluster',
  rds_proxy = 'rds-proxy',
}
registerEnumType(TargetKind, { name: 'TargetKind' });

/** DBCluster.EngineMode, as far as PostgreSQL has it. */
export enum EngineMode {
  provisioned = 'provisioned',
  serverless = 'serverless',
}
registerEnumType(EngineMode, { name: 'EngineMode' });

export enum EndpointKind {
  writer = 'writer',
  reader = 'reader',
  instance = 'instance',
  custom = 'custom',
  proxy = 'proxy',
}
registerEnumType(EndpointKind, { name: 'EndpointKind' });

export enum TargetEnvironment {
  prod = 'prod',
  staging = 'staging',
  test = 'test',
  dev = 'dev',
}
registerEnumType(TargetEnvironment, { name: 'TargetEnvironment' });

export enum LoginMethod {
  iam = 'iam',
  password = 'password',
}
registerEnumType(LoginMethod, { name: 'LoginMethod' });

/** How much harm it does when the wrong people see it, the least first. */
export enum Sensitivity {
  public = 'public',
  internal = 'internal',
  confidential = 'confidential',
  restricted = 'restricted',
}
registerEnumType(Sensitivity, { name: 'Sensitivity' });

/** Where the PostgreSQL log of a target is read. */
export enum LogSource {
  none = 'none',
  /** Files on the machine that Usher runs on */
  file = 'file',
  /** The log files of the RDS API */
  rds = 'rds',
  cloudwatch = 'cloudwatch',
}
registerEnumType(LogSource, { name: 'LogSource' });

/** As in log_destination. */
export enum LogFormat {
  /** With the prefix of RDS */
  stderr = 'stderr',
  csv = 'csv',
  json = 'json',
}
registerEnumType(LogFormat, { name: 'LogFormat' });

const HOST = { require_tld: false, allow_numeric_tld: true };
const NAME = /^[a-z][a-z0-9-]{0,62}$/;
/** A group role of PostgreSQL; the guard on the target refuses those that reach too far. */
const ROLE = /^[a-z_][a-z0-9_]{0,62}$/;
/** Printable, no control characters, no line breaks. */
const PLAIN = /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+$/u;

/** One address of a target. */
@ObjectType()
export class Endpoint {
  id: string;
  kind: EndpointKind;
  /** Where clients connect */
  connectHost: string;
  /** The real RDS endpoint that tokens are signed for */
  tokenHost: string;
  @Field(() => Int)
  port: number;
}

@ObjectType()
export class Target {
  id: string;
  name: string;
  kind: TargetKind;
  partition: string;
  region: string;
  accountId: string;
  /** DbiResourceId, DbClusterResourceId, or the prx- of a proxy */
  resourceId: string;
  engineVersion: string;
  /** serverless is Aurora Serverless v1; v2 and all others are provisioned */
  engineMode: EngineMode;
  environment: TargetEnvironment;
  /** Members of this group own the target: they approve and may end access */
  ownerGroup: string;
  databases: string[];
  caIdentifier: string;
  masterUser: string | null;
  /** Database that holds the usher schema */
  guardDatabase: string;
  brokerLogin: string;
  /** iam, or secret when the broker reads a password at use */
  brokerAuthentication: string;
  connectRole: string | null;
  /** Where its PostgreSQL log is read, to see who connected */
  logSource: LogSource;
  logFormat: LogFormat;
  /** Of file: the directory or file. Of cloudwatch: the log group */
  logPlace: string | null;
  furtherLogs: FurtherLog[];
  enabled: boolean;
  endpoints: Endpoint[];
  createdAt: Date;
  updatedAt: Date;
  /** Since when it is being taken off the register: nothing new begins on it, and it goes when its last grant is closed */
  removingAt: Date | null;
  /** Since when nobody is let in, for what reason */
  lockedAt: Date | null;
  lockReason: string | null;
}

@ObjectType()
export class TargetPage {
  items: Target[];
  nextCursor: string | null;
}

@InputType()
export class EndpointInput {
  @IsEnum(EndpointKind)
  kind: EndpointKind;
  /** Where clients connect */
  @IsFQDN(HOST)
  connectHost: string;
  /** The real RDS endpoint that tokens are signed for; the connect host when left out */
  @IsOptional()
  @IsFQDN(HOST)
  tokenHost?: string;
  @IsInt()
  @Min(1)
  @Max(65535)
  @Field(() => Int)
  port: number;
}

@InputType()
export class CreateTarget {
  /** Lower case, unique */
  @Matches(NAME)
  name: string;
  @IsEnum(TargetKind)
  kind: TargetKind;
  /** aws, aws-cn or aws-us-gov */
  @Matches(/^aws[a-z-]{0,16}$/)
  partition: string;
  @Matches(/^[a-z]{2,4}(-[a-z]+){1,2}-[0-9]{1,2}$/)
  region: string;
  @Matches(/^[0-9]{12}$/)
  accountId: string;
  /** db-… of an instance, cluster-… of a cluster, prx-… of a proxy */
  @Matches(/^(db-[A-Z0-9]{1,64}|cluster-[A-Z0-9]{1,64}|prx-(?!endpoint)[A-Za-z0-9]{1,64})$/)
  resourceId: string;
  @Matches(/^[0-9]{2}(\.[0-9]{1,3}){0,2}$/)
  engineVersion: string;
  /** serverless for Aurora Serverless v1, which has certificates of Amazon Trust; provisioned when left out, also for v2 */
  @IsOptional()
  @IsEnum(EngineMode)
  engineMode?: EngineMode;
  @IsEnum(TargetEnvironment)
  environment: TargetEnvironment;
  @Matches(PLAIN)
  @MaxLength(256)
  ownerGroup: string;
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(100)
  @ArrayUnique()
  @Matches(PLAIN, { each: true })
  @MaxLength(63, { each: true })
  databases: string[];
  @Matches(/^[a-z0-9-]{1,63}$/)
  caIdentifier: string;
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(50)
  @ValidateNested({ each: true })
  @Type(() => EndpointInput)
  endpoints: EndpointInput[];
  /** The master user's name, which nobody's login role may be */
  @IsOptional()
  @Matches(PLAIN)
  @MaxLength(63)
  masterUser?: string;
  /** Database that holds the usher schema; postgres when left out */
  @IsOptional()
  @Matches(PLAIN)
  @MaxLength(63)
  guardDatabase?: string;
  /** The broker's own login; usher_broker when left out */
  @IsOptional()
  @Matches(ROLE)
  brokerLogin?: string;
  /** Only where the broker cannot log in by IAM token: env:USHER_SECRET_…, file:/… or the ARN of a secret */
  @IsOptional()
  @Matches(/^(env:USHER_SECRET_[A-Z0-9_]{1,64}|file:\/.{1,512}|arn:aws[a-z-]*:secretsmanager:.{1,512})$/)
  brokerSecret?: string;
  /** IAM role in the target's account that signs tokens, when it is not the configured one */
  @IsOptional()
  @Matches(/^[\w+=,.@/-]{1,128}$/)
  connectRole?: string;
  /** Where its PostgreSQL log is read, to see who connected; none when left out */
  @IsOptional()
  @IsEnum(LogSource)
  logSource?: LogSource;
  /** stderr when left out */
  @IsOptional()
  @IsEnum(LogFormat)
  logFormat?: LogFormat;
  /** Only of file, the directory or file, below USHER_LOG_DIR; and of cloudwatch, the log group */
  @IsOptional()
  @Matches(LOG_PLACE)
  @MaxLength(512)
  logPlace?: string;
  /** Logs of its other servers, which are read in the same way; none when left out */
  @IsOptional()
  @IsArray()
  @ArrayMaxSize(50)
  @ValidateNested({ each: true })
  @Type(() => FurtherLogInput)
  furtherLogs?: FurtherLogInput[];
}

/** Fields left out stay as they are. What the target is (kind, account, region, resource id) cannot be changed. */
@InputType()
export class UpdateTarget {
  @IsOptional()
  @Matches(/^[0-9]{2}(\.[0-9]{1,3}){0,2}$/)
  engineVersion?: string;
  /** A cluster can be converted */
  @IsOptional()
  @IsEnum(EngineMode)
  engineMode?: EngineMode;
  @IsOptional()
  @IsEnum(TargetEnvironment)
  environment?: TargetEnvironment;
  @IsOptional()
  @Matches(PLAIN)
  @MaxLength(256)
  ownerGroup?: string;
  @IsOptional()
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(100)
  @ArrayUnique()
  @Matches(PLAIN, { each: true })
  @MaxLength(63, { each: true })
  databases?: string[];
  @IsOptional()
  @Matches(/^[a-z0-9-]{1,63}$/)
  caIdentifier?: string;
  @IsOptional()
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(50)
  @ValidateNested({ each: true })
  @Type(() => EndpointInput)
  endpoints?: EndpointInput[];
  /** Where its PostgreSQL log is read; a source without a place takes the place away */
  @IsOptional()
  @IsEnum(LogSource)
  logSource?: LogSource;
  @IsOptional()
  @IsEnum(LogFormat)
  logFormat?: LogFormat;
  /** Of file: the directory or file, below USHER_LOG_DIR. Of cloudwatch: the log group */
  @IsOptional()
  @Matches(LOG_PLACE)
  @MaxLength(512)
  logPlace?: string;
  /** All of them; another logSource takes those away that there were */
  @IsOptional()
  @IsArray()
  @ArrayMaxSize(50)
  @ValidateNested({ each: true })
  @Type(() => FurtherLogInput)
  furtherLogs?: FurtherLogInput[];
  /** false: nothing new is opened; what is open ends as planned */
  @IsOptional()
  @IsBoolean()
  enabled?: boolean;
}

/** A named level of access on a target. */
@ObjectType()
export class Profile {
  id: string;
  targetId: string;
  /** The name that the target's owner allow-listed with usher.allow() */
  name: string;
  /** PostgreSQL group roles */
  groups: string[];
  @Field(() => Int)
  maxMinutes: number;
  @Field(() => Int)
  approvalsNeeded: number;
  readOnly: boolean;
  /** Of what it shows, for policies to speak of */
  sensitivity: Sensitivity;
  @Field(() => Int)
  connectionLimit: number;
  @Field(() => [LoginMethod])
  methods: LoginMethod[];
  /** Gives rds_password, with which one sets passwords of others */
  managesPasswords: boolean;
  /** And CREATEROLE with it */
  createsRoles: boolean;
  /** Who must agree, one after the other; none: whoever policy lets, approvalsNeeded of them */
  approvalStages: ApprovalStage[];
  createdAt: Date;
  updatedAt: Date;
}

@InputType()
export class CreateProfile {
  @Matches(/^[a-z][a-z0-9_-]{0,62}$/)
  name: string;
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(20)
  @ArrayUnique()
  @Matches(ROLE, { each: true })
  groups: string[];
  /** Longest access at a time, in minutes; at most 31 days */
  @IsInt()
  @Min(1)
  @Max(44640)
  @Field(() => Int)
  maxMinutes: number;
  /** People who must agree; 0 where policy may let it pass without */
  @IsInt()
  @Min(0)
  @Max(10)
  @Field(() => Int)
  approvalsNeeded: number;
  @IsBoolean()
  readOnly: boolean;
  /** Of what it shows; confidential when nothing is said */
  @IsOptional()
  @IsEnum(Sensitivity)
  sensitivity?: Sensitivity;
  /** Sessions of one login at the same time */
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(100)
  @Field(() => Int, { nullable: true })
  connectionLimit?: number;
  @IsOptional()
  @IsArray()
  @ArrayMinSize(1)
  @ArrayUnique()
  @IsEnum(LoginMethod, { each: true })
  @Field(() => [LoginMethod], { nullable: true })
  methods?: LoginMethod[];
  /** Gives rds_password: groups must be exactly that, readOnly false, approvalsNeeded at least 1 */
  @IsOptional()
  @IsBoolean()
  managesPasswords?: boolean;
  /** And CREATEROLE, where the target's owner allowed that too; only with managesPasswords */
  @IsOptional()
  @IsBoolean()
  createsRoles?: boolean;
  /** Who must agree, one after the other. Where approvalsNeeded or policy asks for more people than these, owners of the target are the rest */
  @IsOptional()
  @IsArray()
  @ArrayMaxSize(5)
  @ValidateNested({ each: true })
  @Type(() => ApprovalStageInput)
  approvalStages?: ApprovalStageInput[];
}

@InputType()
export class UpdateProfile {
  @IsOptional()
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(20)
  @ArrayUnique()
  @Matches(ROLE, { each: true })
  groups?: string[];
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(44640)
  @Field(() => Int, { nullable: true })
  maxMinutes?: number;
  @IsOptional()
  @IsInt()
  @Min(0)
  @Max(10)
  @Field(() => Int, { nullable: true })
  approvalsNeeded?: number;
  @IsOptional()
  @IsBoolean()
  readOnly?: boolean;
  /** A request that waits is shown anew before it can be approved */
  @IsOptional()
  @IsEnum(Sensitivity)
  sensitivity?: Sensitivity;
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(100)
  @Field(() => Int, { nullable: true })
  connectionLimit?: number;
  @IsOptional()
  @IsBoolean()
  managesPasswords?: boolean;
  @IsOptional()
  @IsBoolean()
  createsRoles?: boolean;
  /** Of what is asked for from now on; an empty list takes them away */
  @IsOptional()
  @IsArray()
  @ArrayMaxSize(5)
  @ValidateNested({ each: true })
  @Type(() => ApprovalStageInput)
  approvalStages?: ApprovalStageInput[];
}

@ArgsType()
export class PageArgs {
  @IsOptional()
  @MinLength(1)
  @MaxLength(100)
  cursor?: string;
  @ValidateIf((page: PageArgs) => page.limit !== undefined)
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(200)
  @Field(() => Int, { nullable: true })
  limit?: number;
}
