import { Field, InputType, ObjectType, registerEnumType } from '@nestjs/graphql';
import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  ArrayMinSize,
  ArrayUnique,
  IsArray,
  IsBoolean,
  IsIn,
  IsOptional,
  Matches,
  MaxLength,
  ValidateNested,
} from 'class-validator';
import { actions, type Action } from '../policy/policy.contract.js';
import { LINE, READABLE } from '../platform/printable.js';

const NAME = /^[a-z][a-z0-9-]{0,62}$/;

/** A client of an OpenID provider whose own tokens, which stand for no person, are a service's. */
@ObjectType()
export class ServiceClient {
  issuer: string;
  clientId: string;
  /** Actions that may be asked for with such a token */
  scopes: string[];
}

/** As {@link ServiceClient}. */
@InputType()
export class ServiceClientInput {
  /** Exactly as in the token; of a provider with serviceTokens */
  @Matches(LINE)
  @MaxLength(255)
  issuer: string;
  /** client_id or azp of its tokens */
  @Matches(LINE)
  @MaxLength(255)
  clientId: string;
  /** As those of a key: actions of policy, actFor among them where it is to act for people */
  @Field(() => [String])
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(actions.length)
  @ArrayUnique()
  @IsIn(actions, { each: true })
  scopes: Action[];
}

/** A portal, a bot or a job: calls with API keys or tokens of its own, for itself or for a person. Never deleted: what was done leads here. */
@ObjectType()
export class Service {
  id: string;
  /** Unique for ever, and never changed */
  name: string;
  description: string;
  /** For policy, as those of a person are */
  groups: string[];
  /** Groups whose members it may act for */
  actsFor: string[];
  /** May act for everybody whom Usher knows */
  actsForAnybody: boolean;
  /** Whose tokens are this service's; null where it calls with API keys alone */
  client: ServiceClient | null;
  /** No key or token of it is taken */
  locked: boolean;
  lockedAt: Date | null;
  lockReason: string | null;
  /** Id of the person who registered it */
  createdBy: string;
  createdAt: Date;
  updatedAt: Date;
  /** Since when it is no more */
  removedAt: Date | null;
}

@InputType()
export class CreateService {
  /** Lower case, unique */
  @Matches(NAME)
  name: string;
  /** What it is, and who answers for it */
  @Matches(READABLE, { message: 'description must say something, in printable characters' })
  @MaxLength(1000)
  description: string;
  /** None when left out */
  @IsOptional()
  @IsArray()
  @ArrayMaxSize(50)
  @ArrayUnique()
  @Matches(LINE, { each: true })
  @MaxLength(256, { each: true })
  groups?: string[];
  /** Groups whose members it may act for; none when left out */
  @IsOptional()
  @IsArray()
  @ArrayMaxSize(50)
  @ArrayUnique()
  @Matches(LINE, { each: true })
  @MaxLength(256, { each: true })
  actsFor?: string[];
  /** false when left out */
  @IsOptional()
  @IsBoolean()
  actsForAnybody?: boolean;
  /** A client of an OpenID provider whose tokens are this service's; none when left out */
  @IsOptional()
  @ValidateNested()
  @Type(() => ServiceClientInput)
  client?: ServiceClientInput;
}

export enum ServiceOption {
  client = 'client',
}
registerEnumType(ServiceOption, { name: 'ServiceOption' });

/** Fields left out stay as they are. The name stays: the record has it. */
@InputType()
export class UpdateService {
  @IsOptional()
  @Matches(READABLE, { message: 'description must say something, in printable characters' })
  @MaxLength(1000)
  description?: string;
  /** Replaces all of them */
  @IsOptional()
  @IsArray()
  @ArrayMaxSize(50)
  @ArrayUnique()
  @Matches(LINE, { each: true })
  @MaxLength(256, { each: true })
  groups?: string[];
  /** Replaces all of them */
  @IsOptional()
  @IsArray()
  @ArrayMaxSize(50)
  @ArrayUnique()
  @Matches(LINE, { each: true })
  @MaxLength(256, { each: true })
  actsFor?: string[];
  @IsOptional()
  @IsBoolean()
  actsForAnybody?: boolean;
  /** Replaces it */
  @IsOptional()
  @ValidateNested()
  @Type(() => ServiceClientInput)
  client?: ServiceClientInput;
  /** Values to take away, so that the service is as if they had never been given */
  @IsOptional()
  @Field(() => [ServiceOption], { nullable: true })
  @ArrayUnique()
  @IsIn(Object.values(ServiceOption), { each: true })
  clear?: ServiceOption[];
}

@InputType()
export class LockService {
  /** For the record, and for whoever is to unlock */
  @MaxLength(1000)
  @Matches(READABLE, { message: 'reason must say something, in printable characters' })
  reason: string;
}
