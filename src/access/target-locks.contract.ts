import { InputType } from '@nestjs/graphql';
import { Matches, MaxLength } from 'class-validator';
import { READABLE } from '../platform/printable.js';

@InputType()
export class LockTarget {
  /** For the record, for whoever is to unlock, and for everybody who asks for the target meanwhile */
  @MaxLength(1000)
  @Matches(READABLE, { message: 'reason must say something, in printable characters' })
  reason: string;
}
