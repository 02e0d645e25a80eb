import { InputType, ObjectType } from '@nestjs/graphql';
import { ArrayMaxSize, ArrayUnique, IsArray, IsBoolean, IsOptional, Matches, MaxLength } from 'class-validator';
import { LINE, READABLE } from './requests.contract.js';

const NAME = /^[a-z][a-z0-9-]{0,62}$/;

/** A portal, a bot or a job: calls with API keys of its own, for itself or for a person. Never deleted: what was done leads here. */
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
  /** No key of it is taken */
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
}

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
}

@InputType()
export class LockService {
  /** For the record, and for whoever is to unlock */
  @MaxLength(1000)
  @Matches(READABLE, { message: 'reason must say something, in printable characters' })
  reason: string;
}
