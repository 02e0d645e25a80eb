/** Clients as people have them, each with what the API returned for it: nothing in a recipe is changed on the way. */
import { execFile, spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { LoginToken } from './stage.ts';

const run = promisify(execFile);

/** What a recipe is part of: the answer of POST tokens, or of GET recipes without a token. */
export type Answer = Pick<LoginToken, 'recipes'> & { token?: string; tls: { caBundleUrl: string } };

export interface Ran {
  code: number | null;
  /** What it printed, trimmed. */
  stdout: string;
  stderr: string;
}

/** Debian's; the default of pyenv and the like has no psycopg2. */
const PYTHON = '/usr/bin/python3';
const PGJDBC = '/usr/share/java/postgresql.jar';
const PROJECT = fileURLToPath(new URL('../../', import.meta.url));
const QUERY = 'select current_user';
/** It lives for a second: compiling well what runs once would take most of it. */
const QUICK_JVM = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC'];
const BY_URL = `public final class UsherConnect {
  public static void main(String[] arguments) throws java.sql.SQLException {
    try (var connection = java.sql.DriverManager.getConnection(
            System.getenv("URL"), System.getenv("PGUSER"), System.getenv("PGPASSWORD"));
        var row = connection.createStatement().executeQuery("${QUERY}")) {
      row.next();
      System.out.println(row.getString(1));
    }
  }
}`;

/** Of a recipe that is a list of settings. */
export const urlOf = (text: string): string => /^URL: (.*)$/m.exec(text)?.[1] ?? '';

/** @throws Error that names what to install */
export async function needClients(): Promise<void> {
  const wanted: readonly [string, readonly string[], string][] = [
    ['psql', ['--version'], 'postgresql-client'],
    ['curl', ['--version'], 'curl'],
    ['aws', ['--version'], 'awscli'],
    [PYTHON, ['-c', 'import psycopg2'], 'python3-psycopg2'],
    ['javac', ['-version'], 'default-jdk-headless'],
    ['test', ['-r', PGJDBC], 'libpostgresql-jdbc-java'],
  ];
  const missing: string[] = [];
  for (const [program, options, debian] of wanted) await run(program, options).catch(() => missing.push(debian));
  if (missing.length > 0) throw new Error(`these tests drive real clients: apt-get install ${missing.join(' ')}`);
}

/** A home of one person's, with nothing in it. */
export class Desk {
  /** Its path. */
  readonly home: string;
  #files = 0;
  #byUrl: Promise<{ classes: string }> | undefined;

  private constructor(home: string) {
    this.home = home;
  }

  static async open(): Promise<Desk> {
    return new Desk(await mkdtemp(join(tmpdir(), 'usher-desk-')));
  }

  clear(): Promise<void> {
    return rm(this.home, { recursive: true });
  }

  /** As the notes say: the bundle is saved first. */
  async saveBundle({ tls }: Answer, pem?: string): Promise<void> {
    const text = pem ?? (await (await fetch(tls.caBundleUrl)).text());
    await mkdir(join(this.home, '.usher'), { recursive: true });
    await writeFile(join(this.home, '.usher', basename(new URL(tls.caBundleUrl).pathname)), text);
  }

  /** psql by a script of `sh`: options may follow on its last line. */
  shell(text: string, env: Record<string, string> = {}, after = ` -wXAt -c "${QUERY}"`): Promise<Ran> {
    return this.#script('sh', 'sh', `${text}${after}\n`, env);
  }

  python(text: string, secret: string): Promise<Ran> {
    const asked = `cursor = connection.cursor()\ncursor.execute("${QUERY}")\nprint(cursor.fetchone()[0])\n`;
    return this.#script(PYTHON, 'py', `${text}\n${asked}`, { PGPASSWORD: secret });
  }

  async node(text: string, secret: string): Promise<Ran> {
    const asked = `console.log((await client.query('${QUERY}')).rows[0].current_user);\nawait client.end();\n`;
    return this.#run(process.execPath, ['--input-type=module', '--eval', `${text}\n${asked}`], { PGPASSWORD: secret });
  }

  /** A whole program, compiled and started. */
  async java(text: string, secret: string): Promise<Ran> {
    const { classes, ran } = await this.#compiled(text);
    return ran.code === 0 ? this.#jvm(classes, { PGPASSWORD: secret }) : ran;
  }

  /** What DBeaver and SQL Workbench/J do with a URL and a user: they hand both to pgjdbc. */
  async url(text: string, secret: string, options: readonly string[] = []): Promise<Ran> {
    this.#byUrl ??= this.#compiled(BY_URL);
    const { classes } = await this.#byUrl;
    const path = (directory: string): string => encodeURIComponent(`${directory}/`);
    const URL = urlOf(text).replace(path('/absolute/path/to'), path(`${this.home}/.usher`));
    const PGUSER = /^Username: (.*)$/m.exec(text)?.[1] ?? '';
    return this.#jvm(classes, { URL, PGUSER, PGPASSWORD: secret }, options);
  }

  async #compiled(text: string): Promise<{ classes: string; ran: Ran }> {
    const classes = join(this.home, `java-${++this.#files}`);
    await mkdir(classes);
    const source = join(classes, 'UsherConnect.java');
    await writeFile(source, text);
    const hurry = QUICK_JVM.map((option) => `-J${option}`);
    return {
      classes,
      ran: await this.#run('javac', [...hurry, '-proc:none', '-cp', PGJDBC, '-d', classes, source], {}),
    };
  }

  #jvm(classes: string, env: Record<string, string>, options: readonly string[] = []): Promise<Ran> {
    const home = `-Duser.home=${this.home}`; // Java takes it from the account, not from HOME
    return this.#run('java', [...QUICK_JVM, home, ...options, '-cp', `${classes}:${PGJDBC}`, 'UsherConnect'], env);
  }

  async #script(program: string, kind: string, text: string, env: Record<string, string>): Promise<Ran> {
    const file = join(this.home, `recipe-${++this.#files}.${kind}`);
    await writeFile(file, text, { mode: 0o600 });
    return this.#run(program, [file], env);
  }

  #run(program: string, options: readonly string[], env: Record<string, string>): Promise<Ran> {
    const own = { PATH: process.env['PATH'] ?? '', HOME: this.home, LC_ALL: 'C', ...env };
    const child = spawn(program, options, { cwd: PROJECT, env: own, stdio: ['ignore', 'pipe', 'pipe'] });
    const [out, err]: [Buffer[], Buffer[]] = [[], []];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    return new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code) =>
        resolve({ code, stdout: Buffer.concat(out).toString().trim(), stderr: Buffer.concat(err).toString() }),
      );
    });
  }
}

/** One way to run a recipe, and what to alter in its text so that it must fail. */
export interface Client {
  readonly name: string;
  run(desk: Desk, text: string, secret: string): Promise<Ran>;
  /** Replaces the host by its address, which the certificate does not carry. */
  readonly otherName: readonly [string, string];
  readonly withoutTls: readonly [string, string];
  /** Its bundle is where the recipe downloads it from, not in a file that was saved. */
  readonly downloads?: true;
}

const jdbcAlterations = {
  otherName: ['jdbc:postgresql://localhost:', 'jdbc:postgresql://127.0.0.1:'],
  withoutTls: ['sslmode=verify-full', 'sslmode=disable'],
} as const;

export const clients: readonly Client[] = [
  {
    name: 'psql',
    run: (desk, text) => desk.shell(text),
    otherName: ['host=localhost', 'host=127.0.0.1'],
    withoutTls: ['sslmode=verify-full', 'sslmode=disable'],
    downloads: true,
  },
  {
    name: 'libpq-service',
    run: (desk, text) => desk.shell(text),
    otherName: ['host=localhost', 'host=127.0.0.1'],
    withoutTls: ['sslmode=verify-full', 'sslmode=disable'],
    downloads: true,
  },
  {
    name: 'psycopg2',
    run: (desk, text, secret) => desk.python(text, secret),
    otherName: ['host="localhost"', 'host="127.0.0.1"'],
    withoutTls: ['sslmode="verify-full"', 'sslmode="disable"'],
  },
  {
    name: 'node-postgres',
    run: (desk, text, secret) => desk.node(text, secret),
    otherName: ['host: "localhost"', 'host: "127.0.0.1"'],
    withoutTls: ['ssl: {', 'ssl: false, unused: {'],
  },
  { name: 'jdbc', run: (desk, text, secret) => desk.java(text, secret), ...jdbcAlterations },
  { name: 'dbeaver', run: (desk, text, secret) => desk.url(text, secret), ...jdbcAlterations },
];
