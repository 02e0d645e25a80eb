// The parent of one process, so that the process never outlives whoever asked for it. The asker holds our stdin: when
// it ends by any means, kill -9 included, the kernel closes the pipe and we end the process and clear up after it.
// Plain JavaScript, no dependency: it is run from src/ and from dist/ alike, before anything is compiled.
//
// stdin   line 1: the job (KeeperJob in embedded-postgres.ts); any further line: {"signal"?, "keep"?}; EOF: end it
// fd 3    {"pid"} | {"failed"} , {"ready"} , {"ended": {code, signal}, "tail"}
import { spawn } from 'node:child_process';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';

const TAIL_LINES = 60;

let job;
let child;
let keep = false; // asked for by {"keep": true}: leave `removeAtEnd` in place
let ready = false; // it ended before: the asker may try again with the same files
let orderly = false; // somebody alive told us to end; a bare EOF means that the asker is gone
const tail = [];

function tell(message) {
  try {
    writeSync(3, `${JSON.stringify(message)}\n`);
  } catch {
    // the asker is gone; there is nobody to tell
  }
}

function finish(ended) {
  const lost = orderly || ended.natural ? [] : job.removeIfOrphaned;
  const failed = ended.natural && job.readyText !== null && !ready;
  for (const path of [...(keep || failed ? [] : job.removeAtEnd), ...lost]) {
    try {
      rmSync(path, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
    } catch (error) {
      process.stderr.write(`keeper: ${path} is left behind: ${error.code}\n`);
    }
  }
  tell({ ended: { code: ended.code, signal: ended.signal }, tail: tail.join('\n') });
  process.exit(0);
}

function signalChild(signal) {
  // from fork on, not from 'spawn' on: an asker that dies while we start must not leave the process behind
  if (child.pid !== undefined) child.kill(signal);
}

let ending = false;
function end(signal) {
  if (!child) process.exit(0);
  signalChild(signal ?? job.endSignal);
  if (ending) return;
  ending = true;
  setTimeout(() => signalChild('SIGKILL'), job.graceMs);
}

function watchLog(log) {
  // 'a' and O_NOFOLLOW are not enough for a directory of another user: the asker passes a path inside its own directory
  const fd = job.logFile === null ? undefined : openSync(job.logFile, 'a', 0o600);
  createInterface({ input: log }).on('line', (line) => {
    if (fd !== undefined) writeSync(fd, `${line}\n`);
    tail.push(line);
    if (tail.length > TAIL_LINES) tail.shift();
    if (!ready && job.readyText !== null && line.includes(job.readyText)) {
      ready = true;
      tell({ ready: true });
    }
  });
  log.on('close', () => fd !== undefined && closeSync(fd));
}

function begin() {
  const output = job.watchLog ? ['ignore', 'pipe'] : ['inherit', 'inherit'];
  child = spawn(job.command, job.args, {
    cwd: job.cwd,
    stdio: ['ignore', ...output],
    ...(job.uid === null ? {} : { uid: job.uid, gid: job.gid }),
  });
  child.on('spawn', () => {
    tell({ pid: child.pid });
  });
  child.on('error', (error) => {
    if (child.pid !== undefined) return;
    tell({ failed: error.message });
    finish({ code: 127, signal: null, natural: true });
  });
  child.on('close', (code, signal) => finish({ code, signal, natural: !ending }));
  if (child.stderr) watchLog(child.stderr);
}

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const message = JSON.parse(line);
    if (job === undefined) {
      job = message;
      begin();
      return;
    }
    orderly = true;
    keep ||= message.keep === true;
    end(message.signal);
  })
  .on('close', () => ending || end()); // once: a second signal means something else to some programs

// A terminal's Ctrl-C is for the asker, who then tells us; a direct SIGTERM (a machine that shuts down) means the same.
process.on('SIGINT', () => {});
process.on('SIGHUP', () => {});
process.on('SIGTERM', () => end());
