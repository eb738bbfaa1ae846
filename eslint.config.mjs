import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

const NODE_MODULES_MESSAGE = 'Pure code: no I/O, no clock, nothing of Node.';

/** What makes a replay differ, or reaches outside: forbidden where code must be deterministic. */
const NOT_DETERMINISTIC = [
  {
    selector: "CallExpression[callee.object.name='Date'][callee.property.name='now']",
    message: 'Pass the instant in.',
  },
  { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: 'Pass the instant in.' },
  {
    selector: "CallExpression[callee.object.name='Math'][callee.property.name='random']",
    message: 'Not repeatable.',
  },
  {
    selector: 'Program > VariableDeclaration[kind=/^(let|var)$/]',
    message: 'Module state is shared by executions.',
  },
  {
    selector: 'Program > ExportNamedDeclaration > VariableDeclaration[kind=/^(let|var)$/]',
    message: 'Module state is shared by executions.',
  },
];

const BINARY_FLOATS = [
  {
    selector: "CallExpression[callee.name='Number']",
    message: 'No float for money, price or quantity: use Decimal.',
  },
  { selector: "CallExpression[callee.property.name='toFixed']", message: 'Format from exact digits.' },
  {
    selector: "CallExpression[callee.object.name='Math'][callee.property.name=/^(round|floor|ceil|trunc)$/]",
    message: 'Name the rounding: roundToInteger or divideToInteger.',
  },
  {
    selector: "CallExpression[callee.property.name='parseFloat'], CallExpression[callee.name='parseFloat']",
    message: 'No float for money, price or quantity: use parseDecimal.',
  },
];

const FORBIDDEN_GLOBALS = [
  'process',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'fetch',
  'performance',
  'Buffer',
  'WeakRef',
  'FinalizationRegistry',
];

/** Node's built-ins with and without prefix, except assert, which the workflow sandbox has. */
const NODE_IMPORTS = {
  group: [
    'node:*',
    'fs',
    'fs/*',
    'path',
    'os',
    'crypto',
    'http',
    'https',
    'net',
    'child_process',
    'timers',
    'timers/*',
  ],
  message: NODE_MODULES_MESSAGE,
};

export default defineConfig(
  globalIgnores(['dist', 'dist.*', 'node_modules', '.durabill', '.tools', 'coverage', '**/*.cjs']),
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ['vitest.config.ts'] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'separate-type-imports' }],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      // `() => push(x)` where nobody looks at the result is shorter and no less clear.
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      'no-restricted-exports': [
        'error',
        { restrictDefaultExports: { direct: true, named: true, defaultFrom: true } },
      ],
      'no-restricted-syntax': [
        'error',
        { selector: 'ExportAllDeclaration', message: 'Name what you export.' },
      ],
      'no-console': 'error',
      // Takes the second copy of a package for another class: a Long made by us for Temporal's, which is the same.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      // `== null` asks for null and undefined at once.
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'max-lines': ['error', { max: 500, skipBlankLines: true, skipComments: true }],
      'max-lines-per-function': ['error', { max: 70, skipBlankLines: true, skipComments: true }],
    },
  },
  {
    files: ['vitest.config.ts'],
    rules: { 'no-restricted-exports': 'off' },
  },
  {
    // What people see is printed on purpose.
    files: ['src/cli/**/*.ts', 'src/demo/**/*.ts', 'bench/**/*.ts'],
    rules: { 'no-console': 'off' },
  },
  {
    files: ['src/domain/**/*.ts'],
    rules: {
      'no-restricted-globals': ['error', ...FORBIDDEN_GLOBALS],
      'no-restricted-imports': ['error', { patterns: [NODE_IMPORTS] }],
      'no-restricted-syntax': ['error', ...NOT_DETERMINISTIC, ...BINARY_FLOATS],
    },
  },
  {
    // Time is whole milliseconds in a number; nothing else in the domain is.
    files: ['src/domain/period.ts'],
    rules: { 'no-restricted-syntax': ['error', ...NOT_DETERMINISTIC] },
  },
  {
    files: ['workflows/**/*.ts'],
    rules: {
      'no-restricted-globals': [
        'error',
        ...FORBIDDEN_GLOBALS.filter((name) => !name.startsWith('set')),
        'console',
      ],
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            NODE_IMPORTS,
            {
              group: [
                '@temporalio/client',
                '@temporalio/worker',
                '@temporalio/activity',
                '@temporalio/testing',
              ],
              message: 'Not in workflow code.',
            },
          ],
        },
      ],
      // Date is allowed: inside the sandbox it is the workflow's own time, the same at every replay.
      'no-restricted-syntax': [
        'error',
        ...NOT_DETERMINISTIC.filter(({ selector }) => !selector.includes("'Date'")),
        {
          selector: "CallExpression[callee.name='setTimeout'], CallExpression[callee.name='setInterval']",
          message: 'Use the one waiting helper.',
        },
      ],
    },
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      // A test is a story: as long as it has to be.
      'max-lines-per-function': 'off',
      'max-lines': ['error', { max: 400, skipBlankLines: true, skipComments: true }],
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/explicit-module-boundary-types': 'off',
    },
  },
  {
    files: ['**/*.mjs'],
    rules: { 'no-unused-vars': 'error', eqeqeq: 'error', 'no-undef': 'off' },
  },
);
