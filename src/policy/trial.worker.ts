import { parentPort, workerData } from 'node:worker_threads';
import { PolicyEngine } from './engine.js';
import { PolicyFileError } from './policy-problem.js';
import type { CedarQuestion } from './question.js';
import type { TrialOpened, TrialStart } from './trial.js';

/**
 * The thread of a trial: parses a text in a WebAssembly instance of its own, then answers questions by it. Whatever the text
 * does to the instance, nobody else has it.
 */
function open({ text, name }: TrialStart): [TrialOpened, PolicyEngine?] {
  try {
    const engine = new PolicyEngine(text, name);
    return [{ policies: engine.about() }, engine];
  } catch (error) {
    if (error instanceof PolicyFileError) return [{ problems: error.problems }];
    return [{ problems: [{ message: error instanceof Error ? error.message : String(error) }] }];
  }
}

const [opened, engine] = open(workerData as TrialStart);
parentPort?.postMessage(opened);
parentPort?.on('message', (questions: readonly CedarQuestion[]) =>
  parentPort?.postMessage(questions.map((question) => engine?.decideCedar(question))),
);
