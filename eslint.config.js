import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

// Layout is prettier's, types are tsc's; here stand the rules that find bugs or keep a promise of docs/architecture.md.
export default defineConfig(
  { ignores: ['dist/', 'coverage/', '.usher/', 'schema/', 'src/generated/', 'src/metadata.ts'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { project: './tsconfig.local.json', tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true, requireDefaultForNonUnion: true },
      ],
      // knows from emitDecoratorMetadata that a class which is injected must stay a value
      '@typescript-eslint/consistent-type-imports': [
        'error',
        { fixStyle: 'inline-type-imports', disallowTypeAnnotations: false },
      ],
      '@typescript-eslint/no-unused-vars': ['error', { ignoreRestSiblings: true }],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allow: [{ from: 'lib', name: ['URL', 'URLSearchParams'] }] },
      ],
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      '@typescript-eslint/no-extraneous-class': ['error', { allowWithDecorator: true }],
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: true }],
      // a method may have to return a promise where one implementation has nothing to wait for
      '@typescript-eslint/require-await': 'off',
      // a contract is plain data in the clothes of a class, for the decorators' sake: literals of its shape are what is meant
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      '@typescript-eslint/no-misused-spread': 'off',
      // Prisma's enums and the contracts' have the same members, which is tested by type
      '@typescript-eslint/no-unsafe-enum-assignment': 'off',
      '@typescript-eslint/no-unsafe-enum-comparison': 'off',
      // what a caller says of ids and bodies is said by the type argument of the result
      '@typescript-eslint/no-unnecessary-type-parameters': 'off',
      // refuses Promise.withResolvers<void>()
      '@typescript-eslint/no-invalid-void-type': 'off',
      'no-console': 'error',
      eqeqeq: 'error',
      'max-lines': ['error', { max: 250, skipBlankLines: true, skipComments: true }],
    },
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/platform/**', '**/*.spec.ts'],
    rules: {
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'env', message: 'only src/platform reads the environment: ask for Settings' },
      ],
    },
  },
  // programs that speak to a terminal
  { files: ['src/main.ts', 'src/cli.ts', 'src/cli/**', 'local/**', 'bench/**'], rules: { 'no-console': 'off' } },
  // contracts: one line for each rule of each field. embedded-postgres: one file, see its first comment
  { files: ['**/*.contract.ts', 'src/platform/embedded-postgres.ts'], rules: { 'max-lines': 'off' } },
  {
    files: ['**/*.spec.ts', 'test/**'],
    rules: {
      // a test may take for granted what it then looks at: when it is wrong, it fails
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/unbound-method': 'off',
      '@typescript-eslint/no-unnecessary-condition': 'off',
      '@typescript-eslint/no-deprecated': 'off',
      '@typescript-eslint/restrict-template-expressions': 'off',
      'no-console': 'off',
      'max-lines': 'off',
    },
  },
  {
    files: ['**/*.{js,mjs,cjs}'],
    rules: { 'no-unused-vars': 'error', eqeqeq: 'error' },
  },
);
