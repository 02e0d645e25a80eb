import { postgresMajors, type PostgresMajor } from '../../src/platform/embedded-postgres.ts';

/** The one major to be a target of this run, as `npm run test:matrix` asks for it; undefined: those that are usual. */
export const onlyMajor = chosen(process.env['USHER_TEST_POSTGRES']);

/**
 * What a test of the guard runs on. Around 16 PostgreSQL changed what a membership is, so one of each side is the least;
 * the matrix sees all.
 */
export const majors: readonly PostgresMajor[] = onlyMajor === undefined ? [15, 17] : [onlyMajor];

/** For what does not depend on the server. */
export const anyMajor: PostgresMajor = onlyMajor ?? 17;

/** Of the two targets of the stand-in. */
export const standInMajors: { orders: PostgresMajor; billing: PostgresMajor } = {
  orders: onlyMajor ?? 17,
  billing: onlyMajor ?? 15,
};

function chosen(text: string | undefined): PostgresMajor | undefined {
  if (text === undefined || text === '') return undefined;
  const found = postgresMajors.find((major) => String(major) === text);
  if (found === undefined) throw new Error(`USHER_TEST_POSTGRES is one of ${postgresMajors.join(', ')}, not ${text}`);
  return found;
}
