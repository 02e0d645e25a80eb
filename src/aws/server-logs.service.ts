import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { CloudWatchLogsClient, GetLogEventsCommand, paginateDescribeLogStreams } from '@aws-sdk/client-cloudwatch-logs';
import { DownloadDBLogFilePortionCommand, paginateDescribeDBLogFiles, RDSClient } from '@aws-sdk/client-rds';
import { AccountClients, AwsAccounts } from './accounts.js';
import { askAws, awsFault } from './aws-fault.js';
import type { ClientSettings } from './clients.js';
import type { RdsPlace } from './rds.contract.js';
import type { CloudWatchStream, LoggedLine, RdsLogFile, RdsLogPortion } from './server-logs.contract.js';

/** It reads in the background: it may wait out a throttled minute, where a person's call may not. */
const ATTEMPTS = 10;
/** The most that RDS gives at a time (API reference, DownloadDBLogFilePortion). */
const MOST_LINES = 10_000;
/** RDS gives no more than 1 MB: what is beyond it is cut out of the answer, whose marker then stands behind what was cut. */
const MOST_BYTES = 950_000;
const MOST_STREAMS = 1_000;
const PAGE = 100;

/**
 * The logs of PostgreSQL servers as AWS hands them out: files by the RDS API, streams by CloudWatch.
 * Every method throws DomainError `aws_denied`, `aws_unavailable` or `account_not_registered`; `invalid_input` for what is not there.
 */
@Injectable()
export class ServerLogsService implements OnApplicationShutdown {
  readonly #rds: AccountClients<RDSClient>;
  readonly #logs: AccountClients<CloudWatchLogsClient>;

  constructor(accounts: AwsAccounts) {
    const patient = (settings: ClientSettings): ClientSettings => ({ ...settings, maxAttempts: ATTEMPTS });
    this.#rds = new AccountClients(accounts, 'rds', (settings) => new RDSClient(patient(settings)));
    this.#logs = new AccountClients(accounts, 'logs', (settings) => new CloudWatchLogsClient(patient(settings)));
  }

  /** The log files of an instance, by the time of their last line; Aurora has those of each instance. */
  async files(place: RdsPlace, instance: string): Promise<RdsLogFile[]> {
    const call = { action: 'rds:DescribeDBLogFiles', on: instance };
    const found: RdsLogFile[] = [];
    try {
      const config = { client: await this.#rds.in(place), pageSize: PAGE, stopOnSameToken: true };
      for await (const page of paginateDescribeDBLogFiles(config, { DBInstanceIdentifier: instance }))
        for (const { LogFileName: name, Size: size = 0, LastWritten: written = 0 } of page.DescribeDBLogFiles ?? [])
          if (name !== undefined) found.push({ name, size, writtenAt: new Date(written) });
    } catch (thrown) {
      throw awsFault(thrown, call);
    }
    return found.toSorted((a, b) => a.writtenAt.getTime() - b.writtenAt.getTime() || a.name.localeCompare(b.name));
  }

  /**
   * What follows a marker in a log file, whole: where RDS cuts an answer that is too large, fewer lines are asked for.
   * @param marker `0` for the beginning of the file
   */
  async portion(place: RdsPlace, instance: string, file: string, marker: string): Promise<RdsLogPortion> {
    const client = await this.#rds.in(place);
    const call = { action: 'rds:DownloadDBLogFilePortion', on: `${file} of ${instance}` };
    for (let lines = MOST_LINES; ; lines = Math.ceil(lines / 4)) {
      const command = new DownloadDBLogFilePortionCommand({
        DBInstanceIdentifier: instance,
        LogFileName: file,
        Marker: marker,
        NumberOfLines: lines,
      });
      const answer = await askAws(call, () => client.send(command));
      const text = answer.LogFileData ?? '';
      if (Buffer.byteLength(text) >= MOST_BYTES && lines > 1) continue;
      return { text, marker: answer.Marker ?? marker, more: answer.AdditionalDataPending ?? false };
    }
  }

  /** The streams of a log group, one for each instance. */
  async streams(place: RdsPlace, group: string): Promise<CloudWatchStream[]> {
    const call = { action: 'logs:DescribeLogStreams', on: group };
    const found: CloudWatchStream[] = [];
    try {
      const config = { client: await this.#logs.in(place), stopOnSameToken: true };
      for await (const page of paginateDescribeLogStreams(config, { logGroupName: group })) {
        for (const { logStreamName: name, lastIngestionTime: at } of page.logStreams ?? [])
          if (name !== undefined) found.push({ name, writtenAt: at === undefined ? null : new Date(at) });
        if (found.length >= MOST_STREAMS) break;
      }
    } catch (thrown) {
      throw awsFault(thrown, call);
    }
    return found;
  }

  /** Lines of a stream from a moment on, oldest first. @param token of the answer before; the same comes back at the end */
  async lines(
    place: RdsPlace,
    { group, stream, since, token }: { group: string; stream: string; since: Date; token: string | undefined },
  ): Promise<{ lines: LoggedLine[]; token: string | undefined }> {
    const client = await this.#logs.in(place);
    const command = new GetLogEventsCommand({
      logGroupName: group,
      logStreamName: stream,
      startFromHead: true,
      startTime: since.getTime(),
      ...(token !== undefined && { nextToken: token }),
    });
    const call = { action: 'logs:GetLogEvents', on: `${stream} of ${group}` };
    const { events = [], nextForwardToken } = await askAws(call, () => client.send(command));
    const lines = events.map(({ timestamp = 0, message = '' }) => ({ at: new Date(timestamp), text: message }));
    return { lines, token: nextForwardToken === token ? undefined : nextForwardToken };
  }

  onApplicationShutdown(): void {
    this.#rds.destroy();
    this.#logs.destroy();
  }
}
