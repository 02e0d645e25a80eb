// Writes src/metadata.ts: what the compiler plugins of @nestjs/swagger and @nestjs/graphql read out of the contracts
// and controllers. Generated, not compiled in, so that the service from dist/ and the tests under vitest, which runs no
// compiler plugins, describe the same API (docs/adr/0006).
import { PluginMetadataGenerator } from '@nestjs/cli/lib/compiler/plugins/plugin-metadata-generator.js';
import { ReadonlyVisitor as GraphqlVisitor } from '@nestjs/graphql/plugin';
import { ReadonlyVisitor as SwaggerVisitor } from '@nestjs/swagger/plugin';
import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import ts from 'typescript';

const source = resolve(import.meta.dirname, '../src');
const outFile = join(source, 'metadata.ts');
const tsconfig = resolve(source, '../tsconfig.build.json');

const { options, fileNames, errors } = ts.getParsedCommandLineOfConfigFile(tsconfig, undefined, {
  ...ts.sys,
  onUnRecoverableConfigFileDiagnostic: (diagnostic) => {
    throw new Error(ts.flattenDiagnosticMessageText(diagnostic.messageText, '\n'));
  },
});
if (errors.length > 0) throw new Error(ts.flattenDiagnosticMessageText(errors[0].messageText, '\n'));

// the contracts and controllers are the roots; what their types need is found from there
const roots = fileNames.filter((name) => /\.(contract|controller)\.ts$/.test(name)).sort();
const program = ts.createProgram({ rootNames: roots, options });

const shared = { introspectComments: true, esmCompatible: true, pathToSource: source };
const staging = mkdtempSync(join(source, '.metadata-'));
try {
  new PluginMetadataGenerator().generate({
    visitors: [
      new SwaggerVisitor({
        ...shared,
        dtoFileNameSuffix: ['.contract.ts'],
        controllerFileNameSuffix: ['.controller.ts'],
        classValidatorShim: true,
      }),
      new GraphqlVisitor({ ...shared, typeFileNameSuffix: ['.contract.ts'] }),
    ],
    outputDir: staging,
    filename: basename(outFile),
    tsProgramRef: program,
  });
  // a visitor that cannot name a type writes the path of this machine, or Object: refuse both here, not in the API
  const text = readFileSync(join(staging, basename(outFile)), 'utf8');
  for (const wrong of [/type: \(\) => Object\b/, /import\("(?!\.\/)[^"]*"\)/]) {
    const found = wrong.exec(text);
    if (found)
      throw new Error(
        `src/metadata.ts: a contract's type cannot be expressed: …${text.slice(Math.max(0, found.index - 200), found.index + 100)}…`,
      );
  }
  renameSync(join(staging, basename(outFile)), outFile);
} finally {
  rmSync(staging, { recursive: true, force: true });
}
