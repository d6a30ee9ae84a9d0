// Typed lint, the part boundaries, and the bans that keep time, chance and the environment in one place each.
import js from '@eslint/js';
import prettier from 'eslint-config-prettier';
import tseslint from 'typescript-eslint';

const services = ['ingest', 'replicator', 'query-api', 'simulator'];
const boundary = (files, forbidden, message, paths = []) => ({
  files,
  rules: {
    'no-restricted-imports': [
      'error',
      {
        paths: [{ name: 'node:timers/promises', message: 'use Clock.sleep' }, ...paths],
        patterns: [{ group: forbidden.map((folder) => `**/${folder}/**`), message }],
      },
    ],
  },
});

const ambient = 'take it as an argument (Clock, Random, settings)';

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/', '.holdfast/', 'schemas/proto-texts.ts'] },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [...tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      'max-lines': ['error', { max: 400, skipBlankLines: true, skipComments: true }],
      'max-lines-per-function': ['error', { max: 70, skipBlankLines: true, skipComments: true }],
      'no-console': 'error',
      eqeqeq: 'error',
      'no-restricted-properties': [
        'error',
        { object: 'Date', property: 'now', message: ambient },
        { object: 'performance', property: 'now', message: ambient },
        { object: 'Math', property: 'random', message: ambient },
        { object: 'process', property: 'env', message: ambient },
        { object: 'process', property: 'exit', message: 'set a stop reason; only main.ts files exit' },
        { object: 'AbortSignal', property: 'timeout', message: 'use Clock' },
      ],
      'no-restricted-globals': [
        'error',
        { name: 'setTimeout', message: 'use Clock' },
        { name: 'setInterval', message: 'use Clock' },
      ],
    },
  },
  ...services.map((service) =>
    boundary(
      [`${service}/**/*.ts`],
      [...services.filter((other) => other !== service), 'cli', 'test'],
      'parts meet in topics',
    ),
  ),
  boundary(['core/**/*.ts'], [...services, 'cli', 'test'], 'shared code must not know a service'),
  boundary(['schemas/**/*.ts'], [...services, 'core', 'cli', 'test'], 'schemas do no I/O'),
  boundary(['cli/**/*.ts'], ['test'], 'nothing imports test/'),
  {
    files: ['core/clock.ts', 'core/random.ts', '**/main.ts', 'test/**/*.ts', 'bench/**/*.ts'],
    rules: { 'no-restricted-properties': 'off', 'no-restricted-globals': 'off' },
  },
  {
    files: ['cli/**/*.ts', 'bench/**/*.ts', 'test/support/**/*.ts'],
    rules: { 'no-console': 'off' },
  },
  {
    files: ['test/**/*.ts', 'bench/**/*.ts'],
    rules: {
      'max-lines-per-function': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/no-empty-function': 'off',
      '@typescript-eslint/unbound-method': 'off',
    },
  },
  {
    files: ['test/**/*.ts'],
    ignores: ['test/support/properties.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        { paths: [{ name: 'fast-check', message: 'import test/support/properties.ts, which has the seed' }] },
      ],
    },
  },
  {
    files: ['**/*.{js,mjs,cjs}'],
    languageOptions: {
      globals: Object.fromEntries(
        ['process', 'console', 'module', 'require', 'URL', 'performance', 'setTimeout'].map((name) => [
          name,
          'readonly',
        ]),
      ),
    },
    rules: { 'no-console': 'off' },
  },
  prettier,
);
