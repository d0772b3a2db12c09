// A browser for the tests of the page: Chromium, which speaks with nobody but the page under test.

import { createRequire } from "node:module";
import { mkdirSync } from "node:fs";
import { join } from "node:path";

const environment = (name) => {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: these checks are begun by tests/e2e/browser.rs`);
  return value;
};

export const base = environment("PAGE_URL");
const { chromium } = createRequire(join(environment("PLAYWRIGHT"), "here"))("playwright-core");

/// Where pictures of the pages go, if anywhere.
const pictures = process.env.PICTURES;
if (pictures) mkdirSync(pictures, { recursive: true });

const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
  "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
];

export const open = () =>
  chromium.launch({ executablePath: "/usr/bin/chromium", headless: true, args: FLAGS });

/// What a page did that no page of ours may do: said on its console, asked of others, asked people.
export class Watched {
  constructor(page) {
    this.faults = [];
    page.on("console", (message) => {
      // A refused request is told by its own check.
      const expected = /Failed to load resource: the server responded with a status of 4/;
      if (message.type() === "error" && !expected.test(message.text())) {
        this.faults.push(`console: ${message.text()}`);
      }
    });
    page.on("pageerror", (error) => this.faults.push(`script: ${error.message}`));
    page.on("dialog", async (dialog) => {
      this.faults.push(`dialog: ${dialog.message()}`);
      await dialog.dismiss();
    });
    page.on("request", (request) => {
      if (!request.url().startsWith(base)) this.faults.push(`asked ${request.url()}`);
    });
  }

  check() {
    if (this.faults.length) throw new Error(this.faults.join("; "));
  }
}

/// A page in a browser of its own, which has no cookie yet.
export async function visit(browser, options = {}) {
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    baseURL: base,
    locale: "en-GB",
    viewport: { width: 1280, height: 800 },
    ...options,
  });
  context.setDefaultTimeout(60_000);
  const page = await context.newPage();
  return { context, page, watched: new Watched(page) };
}

export async function signIn(page, name = "admin") {
  await page.goto("/login");
  await page.fill("input[name=name]", name);
  await page.fill("input[name=password]", environment("PASSWORD"));
  await page.click("main button.main");
  await page.waitForURL((url) => url.pathname === "/");
}

export async function picture(page, name) {
  if (pictures) await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: false });
}

/// Runs every check, and says of each how it went.
export async function run(checks) {
  const browser = await open();
  const wanted = process.argv.slice(2);
  let failed = 0;
  for (const [name, check] of Object.entries(checks)) {
    if (wanted.length && !wanted.includes(name)) continue;
    const began = Date.now();
    try {
      await check(browser);
      console.log(`ok ${name} (${Date.now() - began} ms)`);
    } catch (error) {
      failed += 1;
      console.log(`not ok ${name}: ${error.message.split("\n").slice(0, 6).join(" | ")}`);
    } finally {
      for (const context of browser.contexts()) await context.close();
    }
  }
  await browser.close();
  process.exitCode = failed ? 1 : 0;
}

export function claim(holds, words) {
  if (!holds) throw new Error(words);
}
