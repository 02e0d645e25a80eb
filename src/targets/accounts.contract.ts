import { Field, InputType, ObjectType, registerEnumType } from '@nestjs/graphql';
import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  ArrayUnique,
  IsArray,
  IsBoolean,
  IsIn,
  IsOptional,
  Matches,
  MaxLength,
  ValidateNested,
} from 'class-validator';

const NAME = /^[a-z][a-z0-9-]{0,62}$/;
const REGION = /^[a-z]{2,4}(-[a-z]+){1,2}-[0-9]{1,2}$/;
const ROLE_ARN = /^arn:aws[a-z-]{0,16}:iam::[0-9]{12}:role\/[\w+=,.@/-]{1,576}$/;
const PRINCIPAL_ARN = /^arn:aws[a-z-]{0,16}:iam::[0-9]{12}:(?:user|role)\/[\w+=,.@/-]{1,576}$/;
const ROLE_NAME = /^[\w+=,.@/-]{1,128}$/;
/** AWS STS AssumeRole: the grammar of ExternalId. */
const EXTERNAL_ID = /^[\w+=,.@:/-]{2,1224}$/;
const URL_TEXT = /^https?:\/\/[\x21-\x7e]{1,512}$/;

/** Addresses of single AWS services in one account, such as VPC endpoints; https, to a public address or an allowed network. */
@ObjectType()
export class AccountEndpoints {
  rds: string | null;
  iam: string | null;
  sts: string | null;
  secretsmanager: string | null;
  /** CloudWatch Logs */
  logs: string | null;
}

/** An AWS account that Usher works in. */
@ObjectType()
export class Account {
  id: string;
  /** The 12 digits */
  accountId: string;
  name: string;
  partition: string;
  /** Role that Usher assumes there; null: its own credentials are used */
  brokerRoleArn: string | null;
  /** Whether an external id is sent; it is never shown again */
  hasExternalId: boolean;
  /** IAM role that signs tokens there, when it is not the configured one */
  connectRole: string | null;
  /** Where discovery looks */
  regions: string[];
  endpoints: AccountEndpoints;
  /** false: discovery leaves it out; what is registered there works on */
  enabled: boolean;
  createdAt: Date;
  updatedAt: Date;
}

@InputType()
export class AccountEndpointsInput {
  @IsOptional()
  @Matches(URL_TEXT)
  rds?: string;
  @IsOptional()
  @Matches(URL_TEXT)
  iam?: string;
  @IsOptional()
  @Matches(URL_TEXT)
  sts?: string;
  @IsOptional()
  @Matches(URL_TEXT)
  secretsmanager?: string;
  /** CloudWatch Logs */
  @IsOptional()
  @Matches(URL_TEXT)
  logs?: string;
}

@InputType()
export class CreateAccount {
  /** The 12 digits */
  @Matches(/^[0-9]{12}$/)
  accountId: string;
  /** Lower case, unique */
  @Matches(NAME)
  name: string;
  @IsIn(['aws', 'aws-cn', 'aws-us-gov'])
  partition: string;
  /** Role of that account that trusts Usher; left out: Usher's own credentials are used */
  @IsOptional()
  @Matches(ROLE_ARN)
  brokerRoleArn?: string;
  /** What the trust policy of the role asks for as sts:ExternalId */
  @IsOptional()
  @Matches(EXTERNAL_ID)
  externalId?: string;
  /** IAM role that signs tokens there, when it is not the configured one */
  @IsOptional()
  @Matches(ROLE_NAME)
  @MaxLength(128)
  connectRole?: string;
  /** Where discovery looks */
  @IsArray()
  @ArrayMaxSize(50)
  @ArrayUnique()
  @Matches(REGION, { each: true })
  regions: string[];
  @IsOptional()
  @ValidateNested()
  @Type(() => AccountEndpointsInput)
  endpoints?: AccountEndpointsInput;
}

/** What an account can be without. */
export enum AccountOption {
  brokerRoleArn = 'brokerRoleArn',
  externalId = 'externalId',
  connectRole = 'connectRole',
}
registerEnumType(AccountOption, { name: 'AccountOption' });

/** Fields left out stay as they are. Account id and partition cannot be changed. */
@InputType()
export class UpdateAccount {
  @IsOptional()
  @Matches(NAME)
  name?: string;
  @IsOptional()
  @Matches(ROLE_ARN)
  brokerRoleArn?: string;
  @IsOptional()
  @Matches(EXTERNAL_ID)
  externalId?: string;
  @IsOptional()
  @Matches(ROLE_NAME)
  @MaxLength(128)
  connectRole?: string;
  @IsOptional()
  @IsArray()
  @ArrayMaxSize(50)
  @ArrayUnique()
  @Matches(REGION, { each: true })
  regions?: string[];
  /** Replaces all addresses; {} takes them away */
  @IsOptional()
  @ValidateNested()
  @Type(() => AccountEndpointsInput)
  endpoints?: AccountEndpointsInput;
  @IsOptional()
  @IsBoolean()
  enabled?: boolean;
  /** Values to take away, so that the account is as if they had never been given */
  @IsOptional()
  @Field(() => [AccountOption], { nullable: true })
  @ArrayUnique()
  @IsIn(Object.values(AccountOption), { each: true })
  clear?: AccountOption[];
}

@InputType()
export class CheckAccount {
  /** A user or role of the account: whether attached mode may ask about it, write on it and take off */
  @IsOptional()
  @Matches(PRINCIPAL_ARN)
  principalArn?: string;
}

export enum AccountVerdict {
  pass = 'pass',
  warn = 'warn',
  fail = 'fail',
}
registerEnumType(AccountVerdict, { name: 'AccountVerdict' });

/** One thing that was tried in the account. */
@ObjectType()
export class AccountCheckItem {
  /** `identity`, `connect-role`, or an IAM action */
  name: string;
  @Field(() => AccountVerdict)
  verdict: AccountVerdict;
  finding: string;
  /** What mends it */
  remedy: string | null;
}

@ObjectType()
export class AccountCheck {
  accountId: string;
  /** Who Usher is there */
  principalArn: string | null;
  items: AccountCheckItem[];
}
