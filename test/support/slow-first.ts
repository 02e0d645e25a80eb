import { relative } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const slow = ['test/model/model.spec.ts', 'test/chaos/kill.spec.ts', 'test/integration/api-fuzz.spec.ts'];

const place = ({ moduleId, project }: TestSpecification): number =>
  slow.indexOf(relative(project.config.root, moduleId));

/** The order of test files: those that take minutes come first, so that no worker stands idle while another has one left. */
export default class SlowFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const first = sorted.filter((file) => place(file) >= 0).sort((a, b) => place(a) - place(b));
    return [...first, ...sorted.filter((file) => !first.includes(file))];
  }
}
