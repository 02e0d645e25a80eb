import { ObjectType, registerEnumType } from '@nestjs/graphql';

/** How a thing stands that a target needs */
export enum ReadinessVerdict {
  pass = 'pass',
  /** It works, and somebody should act */
  warn = 'warn',
  /** It does not work, or is not safe */
  fail = 'fail',
  /** It could not be looked at; the finding says why */
  unknown = 'unknown',
}
registerEnumType(ReadinessVerdict, { name: 'ReadinessVerdict' });

/** One thing that a target needs */
@ObjectType()
export class ReadinessLine {
  /** Stable, e.g. rds.force_ssl */
  item: string;
  verdict: ReadinessVerdict;
  finding: string;
  /** The command or statement that mends it */
  remedy: string | null;
}

/** Whether a target is fit for what Usher does with it */
@ObjectType()
export class Readiness {
  targetId: string;
  lookedAt: Date;
  /** The gravest of all items: fail, then unknown, then warn */
  verdict: ReadinessVerdict;
  items: ReadinessLine[];
}

/** What became of switching IAM authentication on */
@ObjectType()
export class IamAuthentication {
  targetId: string;
  /** False when it was on already */
  changed: boolean;
}
