import { Clock } from '../../src/platform/clock.js';

/** The system's time, moved by as much as a test says. */
export class MovedClock extends Clock {
  private offset = 0;

  now(): Date {
    return new Date(Date.now() + this.offset);
  }

  /** @param milliseconds forward; negative goes back */
  move(milliseconds: number): void {
    this.offset += milliseconds;
  }
}
