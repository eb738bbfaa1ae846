// The door to every command: `npm start`, `npm run demo`, `npm test`, `npm run check` all come through here. On a fresh
// clone it installs and builds; later it finds that there is nothing to do. Node built-ins only, because it runs
// before anything is installed. It says what it does on stderr: stdout belongs to the command.
import { requireNode } from './lib/node.mjs';

requireNode();
// No top-level await here: a Node that is too old must get as far as the message.
import('./lib/run.mjs').then(({ run }) => run(process.argv[2], process.argv.slice(3)));
