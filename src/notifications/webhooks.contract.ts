import { Field, Float, InputType, Int, ObjectType, registerEnumType } from '@nestjs/graphql';
import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  ArrayMinSize,
  ArrayUnique,
  IsArray,
  IsBoolean,
  IsEnum,
  IsInt,
  IsOptional,
  IsUUID,
  Matches,
  Max,
  MaxLength,
  Min,
} from 'class-validator';
import { LINE } from '../platform/printable.js';

/** Visible characters only: what stands there is sent as it is. */
const URL_TEXT = /^https?:\/\/[\x21-\x7e]{1,2040}$/;
/** All, all of one noun, or one action of the record. */
const PATTERN = /^(?:\*|[a-z]{1,40}\.(?:\*|[a-z][a-zA-Z]{0,40}))$/;

export enum WebhookState {
  /** Events are sent */
  enabled = 'enabled',
  /** Nothing is sent: somebody said so, or the receiver answered 410 */
  disabled = 'disabled',
  /** Nothing is sent any more: an event could not be delivered for a day. POST …/replay goes on */
  failing = 'failing',
}
registerEnumType(WebhookState, { name: 'WebhookState' });

export enum DeliveryState {
  pending = 'pending',
  delivered = 'delivered',
}
registerEnumType(DeliveryState, { name: 'DeliveryState' });

/** Where events of the record are sent, signed by the Standard Webhooks specification. */
@ObjectType()
export class Webhook {
  id: string;
  url: string;
  description: string;
  /** Actions of the record: `*`, `grant.*`, or one like `grant.active` */
  events: string[];
  /** Only events about these targets; empty: about any, and about none */
  targetIds: string[];
  /** Only events about the access of these people; empty: of anybody */
  subjectIds: string[];
  @Field(() => WebhookState)
  state: WebhookState;
  /** Why it is not enabled */
  stateReason: string | null;
  stateSince: Date;
  /** Up to this sequence number of the record it is known what is to be sent */
  @Field(() => Float)
  cursor: number;
  /** Tries that failed since the last that did not */
  @Field(() => Int)
  failures: number;
  /** While nothing arrives there, nothing is tried before */
  pausedUntil: Date | null;
  /** Until when the secret before the current one signs too */
  oldSecretEndsAt: Date | null;
  /** Id of the person who made it */
  createdBy: string;
  createdAt: Date;
  updatedAt: Date;
}

/** A webhook with a secret that was just made. Shown once: Usher keeps no copy, and nobody can show it again. */
@ObjectType()
export class NewWebhook {
  /** `whsec_` and the base64 of 32 bytes; what the receiver verifies with */
  secret: string;
  webhook: Webhook;
}

@InputType()
export class CreateWebhook {
  /** https, to the public internet or a network that the operator allowed; no user, no password */
  @Matches(URL_TEXT)
  url: string;
  /** What receives there, and who answers for it */
  @Matches(LINE, { message: 'description must say something, in one line of printable characters' })
  @MaxLength(1000)
  description: string;
  /** Actions of the record: `*`, `grant.*`, or one like `grant.active` */
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(100)
  @ArrayUnique()
  @Matches(PATTERN, { each: true })
  events: string[];
  /** Only events about these targets; left out: about any, and about none */
  @IsOptional()
  @IsArray()
  @ArrayMaxSize(100)
  @ArrayUnique()
  @IsUUID(undefined, { each: true })
  targetIds?: string[];
  /** Only events about the access of these people; left out: of anybody */
  @IsOptional()
  @IsArray()
  @ArrayMaxSize(100)
  @ArrayUnique()
  @IsUUID(undefined, { each: true })
  subjectIds?: string[];
}

/** Fields left out stay as they are. */
@InputType()
export class UpdateWebhook {
  @IsOptional()
  @Matches(URL_TEXT)
  url?: string;
  @IsOptional()
  @Matches(LINE, { message: 'description must say something, in one line of printable characters' })
  @MaxLength(1000)
  description?: string;
  /** Replaces all of them; felt by events that are not yet waiting */
  @IsOptional()
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(100)
  @ArrayUnique()
  @Matches(PATTERN, { each: true })
  events?: string[];
  /** Replaces all of them; [] takes them away */
  @IsOptional()
  @IsArray()
  @ArrayMaxSize(100)
  @ArrayUnique()
  @IsUUID(undefined, { each: true })
  targetIds?: string[];
  /** Replaces all of them; [] takes them away */
  @IsOptional()
  @IsArray()
  @ArrayMaxSize(100)
  @ArrayUnique()
  @IsUUID(undefined, { each: true })
  subjectIds?: string[];
  /** false: nothing is sent until it is true again; what happens meanwhile is sent then */
  @IsOptional()
  @IsBoolean()
  enabled?: boolean;
}

@InputType()
export class RotateSecret {
  /** How long the old secret signs beside the new one; 1440 when left out, 0 ends it at once */
  @IsOptional()
  @IsInt()
  @Min(0)
  @Max(43200)
  @Field(() => Int, { nullable: true })
  overlapMinutes?: number;
}

@InputType()
export class ReplayWebhook {
  /** Sequence number in the record of the first event to be sent (again) */
  @IsInt()
  @Min(1)
  @Max(Number.MAX_SAFE_INTEGER)
  @Field(() => Float)
  from: number;
}

/** What came of a test: one signed `webhook.test`, sent at once and not repeated. */
@ObjectType()
export class WebhookTest {
  /** The receiver answered with 2xx */
  delivered: boolean;
  /** HTTP status of the answer; null: none came */
  @Field(() => Int, { nullable: true })
  status: number | null;
  /** Why it did not arrive */
  problem: string | null;
  /** As the receiver got it */
  webhookId: string;
}

/** An event that is to be sent to a webhook, or was. */
@ObjectType()
export class WebhookDelivery {
  id: string;
  /** Of the event, in the record */
  @Field(() => Float)
  sequence: number;
  /** What the receiver gets as webhook-id, the same at each try */
  webhookId: string;
  type: string;
  /** Order is kept among those of one subject: a person, else a target, else everything else */
  subject: string;
  @Field(() => DeliveryState)
  state: DeliveryState;
  @Field(() => Int)
  attempts: number;
  /** Of one that waits; one before it of the same subject may hold it up longer */
  nextAttemptAt: Date | null;
  firstAttemptAt: Date | null;
  /** HTTP status of the last answer; null: none came */
  @Field(() => Int, { nullable: true })
  lastStatus: number | null;
  /** Why the last try failed */
  lastError: string | null;
  deliveredAt: Date | null;
}

@ObjectType()
export class WebhookDeliveryPage {
  items: WebhookDelivery[];
  nextCursor: string | null;
}

/** Which deliveries to show, those made last first. */
@InputType()
export class DeliveryQuery {
  @IsOptional()
  @IsEnum(DeliveryState)
  @Field(() => DeliveryState, { nullable: true })
  state?: DeliveryState;
  @IsOptional()
  @MaxLength(100)
  cursor?: string;
  @IsOptional()
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(200)
  @Field(() => Int, { nullable: true })
  limit?: number;
}
