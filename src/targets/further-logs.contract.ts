import { Field, InputType, Int, ObjectType } from '@nestjs/graphql';
import { IsFQDN, IsInt, Matches, Max, MaxLength, Min } from 'class-validator';

/** An absolute path that leads nowhere upwards, or the name of a log group (CloudWatch Logs API, CreateLogGroup) or of an instance. */
export const LOG_PLACE = /^(?!.*\/\.\.?(?:\/|$))[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+$/u;

/** The log of one more server of a target, such as a reader: each server writes its own. */
@ObjectType()
export class FurtherLog {
  /** With the port, that of the endpoint that leads to this server and to no other */
  connectHost: string;
  @Field(() => Int)
  port: number;
  /** Of file: the directory or file. Of cloudwatch: the log group. Of rds: the DB instance identifier */
  place: string;
}

@InputType()
export class FurtherLogInput {
  /** With the port, that of an endpoint of the target */
  @IsFQDN({ require_tld: false, allow_numeric_tld: true })
  connectHost: string;
  @IsInt()
  @Min(1)
  @Max(65535)
  @Field(() => Int)
  port: number;
  /** Of file: the directory or file, below USHER_LOG_DIR. Of cloudwatch: the log group. Of rds: the DB instance identifier */
  @Matches(LOG_PLACE)
  @MaxLength(512)
  place: string;
}
