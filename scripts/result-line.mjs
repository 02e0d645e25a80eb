// A vitest reporter beside the default one: the last line of a run is `N passed, N failed`, with `, N skipped` where there are any.
import { writeSync } from 'node:fs';

/** A file or suite that broke outside its tests, in an import or a hook, counts as one failed test: it hides others. */
function brokenOutside(module) {
  const brokenSuites = [...module.children.allSuites()].filter((suite) => suite.errors().length > 0).length;
  return brokenSuites + (module.errors().length > 0 ? 1 : 0);
}

export default class ResultLine {
  onTestRunEnd(modules, unhandledErrors, reason) {
    const count = { passed: 0, failed: 0, skipped: 0 };
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        // still pending at the end: the run was broken off before its turn
        count[state === 'pending' ? 'failed' : state] += 1;
      }
      count.failed += brokenOutside(module);
    }
    count.failed += unhandledErrors.length;
    if (reason === 'failed' && count.failed === 0) count.failed = 1;
    const skipped = count.skipped > 0 ? `, ${count.skipped} skipped` : '';
    // at the very end, after what other reporters and vitest itself still have to say
    process.once('exit', () => writeSync(1, `${count.passed} passed, ${count.failed} failed${skipped}\n`));
  }
}
