// One at a time among the processes of a machine, by a directory; nothing is left locked when the holder is killed.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

/** A process by its number and, where Linux tells, the time of its start: numbers are used again. */
function nameOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return `${pid}-${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`;
  } catch {
    return `${pid}-0`;
  }
}

function lives(name) {
  const pid = Number(name.split('-')[0]);
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (error.code === 'ESRCH') return false;
  }
  return nameOf(pid) === name;
}

const attempt = (work, ...expected) => {
  try {
    work();
    return true;
  } catch (error) {
    if (expected.includes(error.code)) return false;
    throw error;
  }
};

/**
 * A directory with the holder's name in it is renamed into place: it appears with its content or not at all, and rename
 * refuses only while the one in place is not empty. A dead holder's entry is removed by its own name, so two that clear up
 * at once cannot take the lock of a third.
 */
function take(lock, own) {
  const staging = mkdtempSync(`${lock}-`);
  writeFileSync(join(staging, own), '');
  if (attempt(() => renameSync(staging, lock), 'ENOTEMPTY', 'EEXIST')) return true;
  rmSync(staging, { recursive: true, force: true });
  for (const holder of existsSync(lock) ? readdirSync(lock) : []) {
    if (!lives(holder)) attempt(() => unlinkSync(join(lock, holder)), 'ENOENT', 'ENOTDIR');
  }
  return false;
}

/** Runs `work` while no other process on this machine holds `lock`; waits for as long as the holder lives. */
export async function withLock(lock, say, work) {
  const own = nameOf(process.pid);
  try {
    mkdirSync(dirname(lock), { recursive: true });
    for (let told = false; !take(lock, own); told = true) {
      if (!told) say('another process is preparing this folder; waiting for it …');
      await new Promise((settle) => setTimeout(settle, 200));
    }
  } catch (error) {
    if (['EACCES', 'EROFS', 'EPERM'].includes(error.code)) {
      throw new Error(
        `this folder must be prepared by somebody who may write to it: npm run build (${error.code}: ${dirname(lock)})`,
        { cause: error },
      );
    }
    throw error;
  }
  const release = () => {
    attempt(() => unlinkSync(join(lock, own)), 'ENOENT', 'ENOTDIR');
    attempt(() => rmdirSync(lock), 'ENOENT', 'ENOTEMPTY', 'EEXIST');
  };
  process.once('exit', release);
  try {
    return await work();
  } finally {
    release();
    process.off('exit', release);
  }
}
