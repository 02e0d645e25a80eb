/** What a token costs who signs it with the AWS CLI: a Python started for each. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);
const RUNS = 5;

/** The middle of a few, in words; says so when there is no AWS CLI. Signing asks AWS nothing: the keys are none of anybody's. */
export async function timeOfAwsCli(): Promise<string> {
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: '/nonexistent',
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_ACCESS_KEY_ID: 'AKIAEXAMPLEEXAMPLE00',
    AWS_SECRET_ACCESS_KEY: 'x'.repeat(40),
  };
  const host = 'billing.abcdefghijkl.eu-west-1.rds.amazonaws.com';
  const options = ['--hostname', host, '--port', '5432', '--region', 'eu-west-1', '--username', 'alice'];
  const times: number[] = [];
  try {
    for (let i = 0; i < RUNS; i += 1) {
      const began = performance.now();
      await run('aws', ['rds', 'generate-db-auth-token', ...options], { env });
      times.push(performance.now() - began);
    }
  } catch {
    return 'not there: apt-get install awscli';
  }
  const middle = times.sort((a, b) => a - b)[Math.floor(RUNS / 2)] ?? NaN;
  return `${middle.toFixed(0)} ms a token`;
}
