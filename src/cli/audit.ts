import { createReadStream } from 'node:fs';
import { access } from 'node:fs/promises';
import { openCheckpoint, readVerifierKey, type Checkpoint, type NamedKey } from '../audit/checkpoint.js';
import { redact } from '../audit/redaction.js';
import { countSealed, sealedLines, verifiableSize } from '../audit/sealed-lines.js';
import { Verification, type Verdict } from '../audit/verification.js';
import { isId } from '../platform/page.js';
import { exportOptions, exportRecord } from './audit-export.js';
import { verdictText, type Extent } from './audit-report.js';
import { fileOf, needed, read, UsageError, type Command } from './command.js';
import { withState } from './own-state.js';

const help = `usage: npm run usher -- audit verify <export.ndjson> --key <verifier key> [--checkpoint <file>]… [--json]
       npm run usher -- audit verify --database --key <verifier key> [--checkpoint <file>]… [--json]
       npm run usher -- audit export > export.ndjson
       npm run usher -- audit export --format ndjson|csv|ocsf [--after <sequence>] [--person <id>] [filters] > file
       npm run usher -- audit redact --person <id> --reason <text>

verify   holds an export, or the database itself, against signed checkpoints. It needs no network and nothing of Usher's but
         the public key (GET /v1/audit/key), and finds all that was changed, removed, added or put in another order since a
         checkpoint that you kept. Ends with 0 when every entry is proved, with 1 and the first bad entry when not.
export   writes the sealed record, with its checkpoints: what verify reads. With --format in a form for other programs, the lines that
         all filters mean: --person, --service, --target, --grant, --request, --ticket, --action, --outcome, --address, --reason,
         --from, --to, as in the API. It ends on stderr with the sequence behind which the next export goes on.
redact   takes the name and the addresses of a person out of the record, and the details of what is about them. Proofs still
         hold. Needs the owner of the tables in DATABASE_URL. It cannot be undone.

  --key <text or file>   the public key as name+id+base64; may be given several times, after a change of keys
  --checkpoint <file>    a signed checkpoint that you kept; may be given several times
  --database             the state in DATABASE_URL; without that the embedded one, which the service must not hold then

docs/audit.md tells how an auditor goes about it.`;

const options = {
  key: { type: 'string', multiple: true },
  checkpoint: { type: 'string', multiple: true },
  database: { type: 'boolean' },
  json: { type: 'boolean' },
  ...exportOptions,
} as const;

type Values = ReturnType<typeof read<typeof options>>['values'];

const actions: Record<string, (values: Values, file: string | undefined) => Promise<number>> = {
  verify,
  export: exportAll,
  redact: redactPerson,
};

export const command: Command = {
  help,
  run: (args) => {
    const { values, positionals } = read(args, options, ['action', 'file']);
    const [action = '', file] = positionals;
    const act = Object.hasOwn(actions, action) ? actions[action] : undefined;
    if (!act) throw new UsageError(`audit takes one of: ${Object.keys(actions).join(', ')}.`);
    return act(values, file);
  },
};

async function verify(values: Values, file: string | undefined): Promise<number> {
  if ((file === undefined) === (values.database !== true))
    throw new UsageError('Name the file of an export, or give --database: one of them.');
  const keys = await keysOf(values.key);
  const kept = await checkpointsOf(values.checkpoint, keys);
  const verification = new Verification(keys, kept);
  const sealed = await (file === undefined ? readDatabase(verification, kept) : readExport(verification, file));
  const verdict = verification.verdict();
  const beyond = sealed === null ? null : Math.max(0, sealed - verdict.proved);
  const extent = { kept: kept.length, beyond };
  console.log(values.json === true ? JSON.stringify(bodyOf(verdict, extent), null, 2) : verdictText(verdict, extent));
  return verdict.bad ? 1 : 0;
}

const bodyOf = ({ bad, proved, redacted, dropped, checkpoint }: Verdict, { beyond }: Extent): object => ({
  ...{ whole: bad === undefined, proved, beyond, redacted, dropped, bad: bad ?? null },
  checkpoint: checkpoint ? { ...checkpoint, root: checkpoint.root.toString('hex') } : null,
});

/** @returns null: of an export nothing is known but what is in it */
async function readExport(verification: Verification, file: string): Promise<null> {
  const input = await access(file).then(
    () => createReadStream(file, { highWaterMark: 1 << 20 }),
    (error: unknown) => {
      throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
    },
  );
  // not by readline: it also takes the line separators of Unicode, which a reason may hold, for ends of lines
  let rest = '';
  for await (const chunk of input.setEncoding('utf8')) {
    const lines = `${rest}${String(chunk)}`.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (!verification.read(line.replace(/\r$/, ''))) return null;
  }
  if (rest !== '') verification.read(rest);
  return null;
}

/** @returns how many entries are sealed: those behind the newest signature may not have been read */
async function readDatabase(verification: Verification, kept: readonly Checkpoint[]): Promise<number> {
  return withState(async ({ pool }) => {
    const sealed = await countSealed(pool);
    for await (const line of sealedLines(pool, 0, await verifiableSize(pool, kept))) {
      const goOn = 'text' in line ? verification.read(line.text) : verification.missing(line.seq, line.leaf, line.why);
      if (!goOn) return sealed;
    }
    return sealed;
  });
}

async function exportAll(values: Values, file: string | undefined): Promise<number> {
  if (file !== undefined) throw new UsageError('export writes to its output: > export.ndjson.');
  if (values.format !== undefined) return exportRecord(values);
  if (Object.keys(exportOptions).some((name) => name in values))
    throw new UsageError('Filters go with --format: what verify reads is the whole record.');
  await withState(async ({ pool }) => {
    for await (const line of sealedLines(pool)) {
      if (!('text' in line)) throw new Error(`Entry ${line.seq} is ${line.why}: audit verify --database tells more.`);
      if (!process.stdout.write(`${line.text}\n`))
        await new Promise((resolve) => process.stdout.once('drain', resolve));
    }
  });
  return 0;
}

async function redactPerson(values: Values): Promise<number> {
  const person = needed(values.person, '--person', '0190163d-8694-739b-aea5-966c26f8ad91');
  if (!isId(person)) throw new UsageError('--person is the id of a person: GET /v1/people lists them.');
  const reason = needed(values.reason, '--reason', '"erasure asked for on 2026-11-30"');
  const { lines } = await withState((db) => redact(db, person, reason, new Date()));
  console.log(`${lines} lines of the record lost what was personal of ${person}.`);
  return 0;
}

async function keysOf(given: readonly string[] = []): Promise<NamedKey[]> {
  if (given.length === 0) throw new UsageError('--key is missing: the public key, e.g. --key usher-audit.pub.');
  return Promise.all(
    given.map(async (one) => {
      const text = /^\S+\+[0-9a-f]{8}\+\S+$/.test(one) ? one : await fileOf('--key', one);
      return refusedAsUsage('--key', () => readVerifierKey(text));
    }),
  );
}

const checkpointsOf = (files: readonly string[] = [], keys: readonly NamedKey[]): Promise<Checkpoint[]> =>
  Promise.all(
    files.map(async (file) => {
      const note = await fileOf('--checkpoint', file);
      return refusedAsUsage(`--checkpoint ${file}`, () => openCheckpoint(note, keys));
    }),
  );

function refusedAsUsage<T>(option: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new UsageError(`${option}: ${error instanceof Error ? error.message : String(error)}.`, { cause: error });
  }
}
