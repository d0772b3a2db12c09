// The page, looked at and used in a browser. Begun by tests/e2e/browser.rs; with names of checks
// behind it only those.

import { run } from "./browser.mjs";
import { everywhere } from "./everywhere.mjs";
import { using } from "./using.mjs";

await run({ ...everywhere, ...using });
